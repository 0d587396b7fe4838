//! `capigate token rotate`: another token in the place of the one that a pixel sends with, without
//! a gap and with a way back.

mod undo;

use std::io::Write;

use clap::Args;

use super::ask;
use super::desk::{Common, Desk, also, refused};
use super::look::known;
use super::loose::tell_loose;
use super::obtained::{Extend, Keep, keep};
use super::revoke::at_meta;
use super::say::Report;
use super::which::facts_of;
use crate::app::roster;
use crate::cli::WRONG;
use crate::cli::client::failure;
use crate::custody::ladder::{Finding, Mark, when};
use crate::pixel::PixelId;
use crate::tokens::paste::Kind;
use crate::tokens::{ChangeError, Contents, Facts, Name, Obtained, Slot, TokenKey};

#[derive(Args, Debug)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    common: Common,
    /// The pixel
    #[arg(long, value_name = "ID")]
    pixel: PixelId,
    #[command(flatten)]
    step: Step,
    /// With --finish: end the old token at Meta as well
    #[arg(long, requires = "finish")]
    revoke: bool,
    /// What to call the new token
    #[arg(long)]
    name: Option<Name>,
    /// Take the new one whatever speaks against it; with --finish, end the overlap early;
    /// with --undo, go back also to a token that has ended
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one flag each, of which one may be given"
)]
struct Step {
    /// Paste the new token, at the prompt or on standard input (the default)
    #[arg(long)]
    paste: bool,
    /// Take the pixel's next token
    #[arg(long)]
    from_next: bool,
    /// Let go of the old token, which is kept until then
    #[arg(long)]
    finish: bool,
    /// Go back to the old token; the new one becomes the next one
    #[arg(long)]
    undo: bool,
}

pub(super) async fn run(args: RotateArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = rotate(&args, &mut report).await;
    report.close(done)
}

async fn rotate(args: &RotateArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    desk.vault()?;
    report.set("pixel", args.pixel)?;
    if args.step.undo {
        return undo::undo(&desk, report, args.pixel, args.force).await;
    }
    if args.step.finish {
        return finish(args, &desk, report).await;
    }
    forward(args, &desk, report).await
}

async fn forward(args: &RotateArgs, desk: &Desk, report: &mut Report<'_>) -> anyhow::Result<()> {
    let (pixel, contents) = (args.pixel, desk.contents()?);
    let configured = desk.config.pixels.get(&pixel);
    if let Some(place) = configured.and_then(|pixel| pixel.token.as_ref()) {
        return Err(failure(
            WRONG,
            format!(
                "pixel {pixel} sends with what is in {place}: put the new token there; or, to keep it in the vault, take the line token = … out of [pixels.{pixel}] and hand it over then"
            ),
        ));
    }
    let Some(current) = contents.in_slot(pixel, Slot::Current).cloned() else {
        return Err(failure(
            WRONG,
            format!("pixel {pixel} sends with nothing yet: `capigate token add --pixel {pixel}`"),
        ));
    };
    let next = contents.in_slot(pixel, Slot::Next).cloned();
    if args.step.from_next && next.is_none() {
        return Err(refused(ChangeError::NoNext(pixel).into()));
    }
    let mut options = Keep {
        name: args.name.clone(),
        bind: Some((pixel, Slot::Current)),
        replaces: Some(current.clone()),
        extend: Extend::Ask,
        stored: args.step.from_next,
        force: args.force,
        ..Keep::default()
    };
    if !args.step.from_next {
        options.check(desk)?;
    }
    let like = model(desk, report, &current).await?;
    let is_dead = like.state.is_dead();
    options.like = Some(like);
    let token = match next.filter(|_| args.step.from_next) {
        Some(next) => contents
            .tokens
            .get(&next)
            .map(|record| record.secret.clone()),
        None => Some(ask::secret(report, "New access token", Kind::LaneToken)?),
    };
    let Some(token) = token else {
        return Err(refused(ChangeError::NoNext(pixel).into()));
    };
    let is_same = |name: &Name| {
        let record = contents.tokens.get(name);
        record.is_some_and(|record| TokenKey::of(&record.secret) == TokenKey::of(&token))
    };
    if is_same(&current) {
        return Err(failure(
            WRONG,
            format!(
                "this is {current}, the token that pixel {pixel} sends with already: make a new one"
            ),
        ));
    }
    let kept = keep(desk, report, token, Obtained::Pasted, &options).await?;
    let Some(name) = kept.filter(|_| !report.has_failed()) else {
        return Ok(());
    };
    tell_loose(desk, report, &contents)?;
    if is_dead {
        report.say(desk.takeover())?;
        return report.say(&format!(
            "Let go of the old one: `capigate token rotate --pixel {pixel} --finish --force`."
        ));
    }
    report.say(&format!(
        "A running gateway takes that over by itself, and goes back to {current} when Graph refuses {name}.\nWhen events have been delivered with {name}, and {} later, let go of the old one:\n`capigate token rotate --pixel {pixel} --finish --revoke`.",
        desk.config.tokens.overlap
    ))
}

/// What the new token is held to: what is known of the one it replaces, which may have ended.
async fn model(desk: &Desk, report: &mut Report<'_>, current: &Name) -> anyhow::Result<Facts> {
    let kept = desk.find(&desk.contents()?, Some(current), None)?;
    let before = known(&kept, &desk.notes()).facts;
    let mut facts = facts_of(desk, report, &kept).await?;
    if facts.state.is_dead() {
        let says = format!("{current}, the token until now, is {}", facts.state.code());
        report.tell(Finding::new("current", Mark::Warn, says))?;
    }
    // Meta tells less of one that has ended
    if facts.scopes.is_empty() {
        facts.scopes = before.scopes;
    }
    facts.app_id = facts.app_id.or(before.app_id);
    Ok(facts)
}

async fn finish(args: &RotateArgs, desk: &Desk, report: &mut Report<'_>) -> anyhow::Result<()> {
    let (pixel, contents) = (args.pixel, desk.contents()?);
    let Some(old) = contents.in_slot(pixel, Slot::Retiring).cloned() else {
        return Err(refused(ChangeError::NoRetiring(pixel).into()));
    };
    if let Some(why) = too_early(desk, &contents, pixel).filter(|_| !args.force) {
        return Err(failure(
            WRONG,
            format!(
                "{why}; {old} stays as the one to go back to (--force lets go of it all the same)"
            ),
        ));
    }
    if args.revoke {
        let others: Vec<String> = contents
            .users(&old)
            .filter(|(other, _)| *other != pixel)
            .map(|(other, _)| other.to_string())
            .collect();
        if !others.is_empty() {
            return Err(failure(
                WRONG,
                format!(
                    "{old} is not ended at Meta, since the pixels {} have it, too: finish without --revoke",
                    others.join(", ")
                ),
            ));
        }
        desk.writable()?;
        let question = format!("This ends {old} at Meta, at once and for good. End it?");
        if !ask::yes(&question, args.yes)? {
            return report.cancelled("revoked", "nothing was changed");
        }
        let kept = desk.find(&contents, Some(&old), None)?;
        if !at_meta(desk, report, &kept, None).await? {
            return Ok(());
        }
    }
    let revoked = args.revoke;
    let finished = desk.update(|contents| {
        let loose = contents.finish(pixel)?;
        if let Some(name) = loose.as_ref().filter(|_| revoked) {
            contents.remove(name, true)?;
        }
        Ok(loose)
    });
    let loose = finished.map_err(|error| {
        if !revoked {
            return error;
        }
        let says = format!(
            "{old} has ended at Meta and is still in the vault: mend that, then run `capigate token rotate --pixel {pixel} --finish --force`"
        );
        also(&error, &says)
    })?;
    report.set("finished", &old)?;
    report.set("revoked", revoked)?;
    report.done("finished", format!("pixel {pixel} has let go of {old}"))?;
    if loose.is_some() && !revoked {
        let says = format!("{old} is still good at Meta, and still in the vault");
        report.tell(
            Finding::new("revoked", Mark::Skipped, says)
                .next(format!("end it: `capigate token revoke {old}`")),
        )?;
    }
    report.say(desk.takeover())
}

/// Why the old token may still be needed, if so.
fn too_early(desk: &Desk, contents: &Contents, pixel: PixelId) -> Option<String> {
    let (now, notes) = (desk.clock.now(), desk.notes());
    let slots = contents.pixels.get(&pixel)?;
    let since = slots.retiring.as_ref()?.since;
    let overlap = roster::policy(&desk.config).overlap;
    if now.since(since) < overlap {
        let ends = when(since.plus(overlap), now);
        return Some(format!("the overlap (tokens.overlap) lasts until {ends}"));
    }
    let current = slots.current.as_ref()?;
    let kept = desk.find(contents, Some(current), None).ok()?;
    let usage = known(&kept, &notes).usage;
    let is_proved = usage.used_by.get(&pixel).is_some_and(|at| *at > since);
    (!is_proved).then(|| {
        format!(
            "the gateway of this configuration has delivered nothing of pixel {pixel} with {current} yet"
        )
    })
}
