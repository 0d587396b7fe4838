//! `capigate token assign`: gives a pixel a token that is in the vault.

use std::io::Write;

use clap::Args;

use super::add::Wanted;
use super::desk::{Common, Desk, refused};
use super::look::{ends, shown};
use super::loose::tell_loose;
use super::obtained::{Keep, SHORT_LIVED_SECS, bound};
use super::say::Report;
use super::which::look_at;
use crate::cli::WRONG;
use crate::cli::client::failure;
use crate::custody::Source;
use crate::custody::ladder::{Finding, Mark, rungs};
use crate::graph::oauth::Exit;
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::{ChangeError, Contents, Facts, Kind, Name, Slot};

#[derive(Args, Debug)]
pub(super) struct AssignArgs {
    #[command(flatten)]
    common: Common,
    /// Its name, as `capigate token list` shows it
    name: Name,
    /// The pixel (dataset) that is to have it
    #[arg(long, value_name = "ID")]
    pixel: PixelId,
    /// Whether the pixel sends with it, or falls back on it
    #[arg(long, value_enum, default_value = "current")]
    slot: Wanted,
    /// Give it whatever speaks against it
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: AssignArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = assign(&args, &mut report).await;
    report.close(done)
}

async fn assign(args: &AssignArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    desk.vault()?;
    let (name, pixel, slot) = (&args.name, args.pixel, args.slot.slot());
    let before = desk.contents()?;
    let kept = desk.find(&before, Some(name), None)?;
    if !matches!(kept.source, Source::Vault(_)) {
        return Err(failure(
            WRONG,
            format!("{name} is not in the vault: `capigate token add --pixel {pixel}` takes it"),
        ));
    }
    report.set("name", name)?;
    let is_free = allowed(&before, args);
    is_free.map_err(|error| refused(error.into()))?;
    let Some(looked) = look_at(&desk, report, &kept).await? else {
        return Ok(());
    };
    let (now, app) = (desk.clock.now(), looked.app.as_ref());
    let (seen, facts) = (&looked.seen, &looked.seen.facts);
    report.set("token", shown(name.as_str(), &kept.secret, facts, now))?;
    let mut findings = rungs(&desk.client, &kept.secret, app, Some(pixel), seen, now).await;
    findings.extend(unfit(name, facts, now));
    let is_unfit = findings.iter().any(|one| one.mark == Mark::Fail);
    if args.force {
        for finding in &mut findings {
            finding.mark = finding.mark.min(Mark::Warn);
        }
    }
    report.tell_all(findings)?;
    if is_unfit && !args.force {
        let says = format!("Pixel {pixel} did not get it; --force gives it all the same.");
        return report.say(&says);
    }
    let old = desk.update(|contents| {
        allowed(contents, args)?;
        let slots = contents.pixels.get(&pixel);
        let current = slots.and_then(|slots| slots.current.clone());
        contents.bind(pixel, slot, name, now)?;
        Ok(current)
    })?;
    let replaces = old.filter(|old| old != name && slot == Slot::Current);
    let like = replaces.as_ref().and_then(|old| before.tokens.get(old));
    let how = Keep {
        like: like.map(|record| record.facts.clone()),
        replaces,
        ..Keep::default()
    };
    bound(&desk, report, &how, name, pixel, slot)?;
    tell_loose(&desk, report, &before)?;
    report.say(desk.takeover())
}

/// Whether the slot may be filled: a current token becomes retiring, a next one is not put out.
fn allowed(contents: &Contents, args: &AssignArgs) -> Result<(), ChangeError> {
    if args.force || args.slot.slot() != Slot::Next {
        return Ok(());
    }
    let in_use = (args.pixel, Slot::Current);
    if contents.users(&args.name).any(|user| user == in_use) {
        return Err(ChangeError::IsCurrent(args.name.clone(), args.pixel));
    }
    contents.check_free(args.pixel, Slot::Next, Some(&args.name))
}

/// Why a pixel is not to send with such a token, though it may be valid.
fn unfit(name: &Name, facts: &Facts, now: UnixMs) -> Option<Finding> {
    let is_persons = !matches!(facts.kind, Kind::SystemUser | Kind::Page | Kind::App);
    let left = facts.expires.at().map(|at| at.since(now).as_secs());
    let (check, says, next) = match facts.kind {
        Kind::Page => (
            "page_token",
            "a page's token is not given to a pixel".to_owned(),
            "use a dataset token from the Events Manager or a system user's token".to_owned(),
        ),
        Kind::App => (
            "app_token",
            "an app's token cannot send events".to_owned(),
            "use a dataset token from the Events Manager or a system user's token".to_owned(),
        ),
        _ if is_persons && left.is_some_and(|left| left <= SHORT_LIVED_SECS) => (
            "short_lived",
            format!(
                "it is short-lived, expiring {}; no pixel can have it",
                ends(facts.expires, now)
            ),
            format!("extend it: `capigate token extend {name}`"),
        ),
        _ => return None,
    };
    let finding = Finding::new(check, Mark::Fail, says);
    Some(finding.next(next).exit(Exit::Token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Expiry;

    #[test]
    fn what_is_not_for_a_pixel_is_told() {
        let now = UnixMs::from_secs(1_000_000);
        let hours = |count: i64| Expiry::At(UnixMs(now.0 + count * 3_600_000));
        for (kind, expires, check) in [
            (Kind::Page, Expiry::Never, Some("page_token")),
            (Kind::App, Expiry::Never, Some("app_token")),
            (Kind::User, hours(1), Some("short_lived")),
            (Kind::User, hours(1_440), None),
            (Kind::SystemUser, hours(1), None),
            (Kind::SystemUser, Expiry::Never, None),
            (Kind::Unknown, Expiry::Unknown, None),
        ] {
            let facts = Facts {
                kind: kind.clone(),
                expires,
                ..Facts::default()
            };
            let name = "shop".parse().unwrap();
            let found = unfit(&name, &facts, now).map(|finding| finding.check);
            assert_eq!(found, check, "{kind}");
        }
    }
}
