//! `capigate token revoke`: ends a token at Meta, for good.

use std::io::Write;

use clap::Args;

use super::ask;
use super::desk::{Common, Desk, also};
use super::look::{Looked, known, look};
use super::say::Report;
use crate::cli::WRONG;
use crate::cli::client::failure;
use crate::config::AppId;
use crate::custody::ladder::{Finding, Mark};
use crate::custody::{Kept, Source};
use crate::graph::oauth::{App, Context, Exit, OauthError, State as Said};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::{Contents, Facts, Kind, Name, Slot, TokenKey};

/// Where a person ends a token by hand.
pub(super) const BY_HAND: &str = "end it by hand: in the Events Manager under the dataset's Settings, Conversions API; or in Business settings under System users, the user, Revoke tokens; a person's under facebook.com/settings, Business integrations";

#[derive(Args, Debug)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    common: Common,
    /// Its name, as `capigate token list` shows it
    #[arg(required_unless_present = "fingerprint")]
    name: Option<Name>,
    /// Or the first 8 hex digits of its SHA-256, as logs and lists show them
    #[arg(long, value_name = "HEX", conflicts_with = "name")]
    fingerprint: Option<String>,
    /// The app that has issued it; needed when Meta does not say, and several are in the vault
    #[arg(long, value_name = "ID")]
    app_id: Option<AppId>,
    /// Also what a pixel sends with: it has leaked
    #[arg(long)]
    now: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(args: RevokeArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = revoke(&args, &mut report).await;
    report.close(done)
}

async fn revoke(args: &RevokeArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let contents = desk.contents()?;
    let kept = find(args, &desk, &contents)?;
    report.set("name", &kept.label)?;
    report.set("fingerprint", kept.key.to_string())?;
    let mut current = kept
        .pixels
        .iter()
        .filter(|(_, slot)| *slot == Slot::Current);
    if let Some((pixel, _)) = current.next().filter(|_| !args.now) {
        return Err(failure(
            WRONG,
            format!(
                "pixel {pixel} sends with {}: replace it first, `capigate token rotate --pixel {pixel}`; if it has leaked, --now ends it at once, and events wait for another token",
                kept.label
            ),
        ));
    }
    let id = args.app_id.map(|id| id.get().to_string());
    let told = id
        .map(|id| desk.named_app(&contents, Some(&id)))
        .transpose()?;
    if let Source::Vault(_) = kept.source {
        desk.writable()?;
    }
    report.tell_all(costs(&contents, &kept, &known(&kept, &desk.notes()).facts))?;
    let question = format!(
        "This ends {} at Meta, at once and for good. End it?",
        kept.label
    );
    if !ask::yes(&question, args.yes)? {
        return report.cancelled("revoked", "nothing was changed");
    }
    if !at_meta(&desk, report, &kept, told).await? {
        return Ok(());
    }
    forget(&desk, report, &kept)
}

/// What else is lost with a token.
fn costs(contents: &Contents, kept: &Kept, facts: &Facts) -> Vec<Finding> {
    let mut costs = Vec::new();
    for (pixel, slot) in &kept.pixels {
        let others = contents.candidates(*pixel);
        let mut others = others.filter(|(slot, _, record)| {
            *slot != Slot::Current && TokenKey::of(&record.secret) != kept.key
        });
        if *slot != Slot::Current && others.next().is_none() {
            let says = format!(
                "{} is the {} token of pixel {pixel}, which then has none to fall back on",
                kept.label,
                slot.code()
            );
            costs.push(Finding::new("fall_back", Mark::Warn, says).next(format!(
                "give it one: `capigate token add --pixel {pixel} --slot next`"
            )));
        }
    }
    if facts.kind == Kind::User {
        let says = format!(
            "{} is a person's: tokens of pages that were made with it end, too",
            kept.label
        );
        costs.push(Finding::new("page_tokens", Mark::Warn, says));
    }
    costs
}

fn find(args: &RevokeArgs, desk: &Desk, contents: &Contents) -> anyhow::Result<Kept> {
    let Some(print) = &args.fingerprint else {
        return desk.find(contents, args.name.as_ref(), None);
    };
    let print = print.to_ascii_lowercase();
    let mut all = desk.kept(contents).into_iter();
    all.find(|kept| kept.key.to_string() == print).ok_or_else(|| {
        let text = format!("no token with this fingerprint is kept here, so it cannot be ended from here: {BY_HAND}");
        failure(WRONG, text)
    })
}

/// Ends a token at Meta, and asks whether it has ended. True when it has.
pub(super) async fn at_meta(
    desk: &Desk,
    report: &mut Report<'_>,
    kept: &Kept,
    told: Option<App>,
) -> anyhow::Result<bool> {
    let contents = desk.contents()?;
    let before = known(kept, &desk.notes()).facts;
    let told = told.or_else(|| kept.app.clone());
    let app = match look(desk, &contents, &kept.secret, told.clone(), None, &before).await {
        // what was known before may have been put right since
        Ok(looked) if looked.seen.verdict && looked.seen.facts.state.is_dead() => {
            report.done("revoked", format!("{} has ended already", kept.label))?;
            return Ok(true);
        }
        Ok(Looked { seen, app }) => app.or(told.filter(|_| !(seen.verdict && seen.foreign))),
        // a leaked token is ended also when Meta has no time to be asked
        Err(_) => told,
    };
    let Some(app) = app else {
        let says = format!(
            "{} cannot be ended from here: that takes the secret of the app that has issued it",
            kept.label
        );
        let finding = Finding::new("revoked", Mark::Fail, says)
            .next(format!(
                "{BY_HAND}; then `capigate token remove {}`",
                kept.label
            ))
            .exit(Exit::App);
        report.tell(finding)?;
        return Ok(false);
    };
    let done = desk.client.revoke(&app, &kept.secret, &kept.secret).await;
    match done {
        Ok(()) => report.done("revoked", format!("Meta has ended {}", kept.label))?,
        // it may have been done; the look below tells
        Err(error @ OauthError::UnknownOutcome) => {
            report.tell(Finding::of("revoked", Mark::Warn, Context::Revoke, &error))?;
        }
        Err(error) if has_ended(&error) => {
            report.done("revoked", format!("{} has ended already", kept.label))?;
        }
        Err(error) => {
            report.refused("revoked", Context::Revoke, &error)?;
            return Ok(false);
        }
    }
    confirm(desk, report, kept, app).await
}

fn has_ended(error: &OauthError) -> bool {
    let is_token = error.meta().is_some();
    let state = error.explain(Context::Revoke).state;
    is_token && matches!(state, Said::Revoked | Said::Expired)
}

/// Asks Meta whether it has ended.
async fn confirm(
    desk: &Desk,
    report: &mut Report<'_>,
    kept: &Kept,
    app: App,
) -> anyhow::Result<bool> {
    let contents = desk.contents()?;
    let before = known(kept, &desk.notes()).facts;
    let looked = look(desk, &contents, &kept.secret, Some(app), None, &before).await;
    let seen = looked.ok().map(|looked| looked.seen);
    let seen = seen.filter(|seen| seen.verdict);
    let Some(seen) = seen else {
        let says = "whether it has ended cannot be told now";
        let next = format!("ask later: `capigate token inspect {}`", kept.label);
        report.tell(
            Finding::new("confirmed", Mark::Fail, says)
                .next(next)
                .exit(Exit::Network),
        )?;
        return Ok(false);
    };
    if seen.facts.state.is_dead() {
        report.done("confirmed", "Meta says that it is not valid any more")?;
        return Ok(true);
    }
    let says = "Meta says that it is still valid";
    report.tell(
        Finding::new("confirmed", Mark::Fail, says)
            .next(BY_HAND)
            .exit(Exit::Token),
    )?;
    Ok(false)
}

/// Takes an ended token out of the vault; a pixel that sent with it goes on with its next one, else
/// with the one before.
pub(super) fn forget(desk: &Desk, report: &mut Report<'_>, kept: &Kept) -> anyhow::Result<()> {
    let Source::Vault(name) = &kept.source else {
        let says = format!("{} still points to it", kept.label);
        return report
            .tell(Finding::new("removed", Mark::Warn, says).next("put a new token there"));
    };
    let now = desk.clock.now();
    let updated = desk.update(|contents| {
        let senders = contents
            .users(name)
            .filter(|(_, slot)| *slot == Slot::Current);
        let senders: Vec<PixelId> = senders.map(|(pixel, _)| pixel).collect();
        contents.remove(name, true)?;
        let heir = |pixel| (pixel, succeed(contents, pixel, now));
        Ok(senders.into_iter().map(heir).collect::<Vec<_>>())
    });
    let heirs = updated.map_err(|error| {
        let says = format!(
            "{name} has ended at Meta and is still in the vault: mend that, then run `capigate token remove {name} --force`"
        );
        also(&error, &says)
    })?;
    report.done("removed", format!("{name} is not in the vault any more"))?;
    for (pixel, heir) in heirs {
        report.tell(if let Some(heir) = heir {
            let says = format!("pixel {pixel} sends with {heir} now");
            Finding::new("pixel", Mark::Pass, says)
        } else {
            let says = format!("pixel {pixel} has no token now: its events are taken and wait");
            Finding::new("pixel", Mark::Warn, says)
                .next(format!("give it one: `capigate token add --pixel {pixel}`"))
        })?;
    }
    report.say(desk.takeover())
}

/// Gives a pixel without a current token its next one, else the one before; none when it has
/// neither.
fn succeed(contents: &mut Contents, pixel: PixelId, now: UnixMs) -> Option<Name> {
    contents.candidates(pixel).next()?;
    let next = contents.promote(pixel, now);
    next.or_else(|_| contents.roll_back(pixel)).ok()
}
