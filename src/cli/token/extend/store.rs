//! Puts the new token into the vault.

use super::SHORT_LIVED_SECS;
use crate::cli::token::desk::Desk;
use crate::cli::token::look::shown;
use crate::cli::token::say::Report;
use crate::custody::ladder::{Finding, Mark};
use crate::custody::refresh::{add_after, supersede};
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::tokens::{Facts, Name, Slot, TokenRecord};

/// Puts the new token in the place of the old one. One that is short-lived and serves no pixel is
/// of no more use; any other is kept beside it.
pub(super) fn replace(
    desk: &Desk,
    report: &mut Report<'_>,
    old: &Name,
    before: &Facts,
    record: TokenRecord,
) -> anyhow::Result<()> {
    let now = desk.clock.now();
    let left = before.expires.at().map(|at| at.since(now).as_secs());
    let is_short = left.is_some_and(|left| left <= SHORT_LIVED_SECS);
    let (secret, facts) = (record.secret.clone(), record.facts.clone());
    let name = desk.update(|contents| {
        let is_used = contents.users(old).next().is_some();
        if is_used || !is_short {
            return Ok(supersede(contents, old, record, now)?);
        }
        contents.remove(old, true)?;
        contents.add(old.clone(), record)?;
        Ok(old.clone())
    })?;
    stored(desk, report, &name, &secret, &facts)?;
    let contents = desk.contents()?;
    for (pixel, slot) in contents.users(&name) {
        let says = format!("pixel {pixel} has it as its {} token", slot.code());
        report.done("bound", says)?;
    }
    if name != *old {
        report.say(&format!("The old one stays in the vault as {old}."))?;
    }
    report.say(desk.takeover())
}

/// Keeps a new token that Meta could not be asked about beside the old one: no pixel sends with it
/// before someone has looked at it. Where the old one is current, it becomes the next one if that
/// slot is free.
pub(super) fn keep_unseen(
    desk: &Desk,
    report: &mut Report<'_>,
    old: &Name,
    record: TokenRecord,
) -> anyhow::Result<()> {
    let now = desk.clock.now();
    let (secret, facts) = (record.secret.clone(), record.facts.clone());
    let (name, pixels) = desk.update(|contents| {
        let name = add_after(contents, old, record)?;
        let senders = contents
            .users(old)
            .filter(|(_, slot)| *slot == Slot::Current);
        let senders: Vec<PixelId> = senders.map(|(pixel, _)| pixel).collect();
        let mut pixels = Vec::new();
        for pixel in senders {
            let is_free = contents.check_free(pixel, Slot::Next, None).is_ok();
            if is_free {
                contents.bind(pixel, Slot::Next, &name, now)?;
            }
            pixels.push((pixel, is_free));
        }
        Ok((name, pixels))
    })?;
    stored(desk, report, &name, &secret, &facts)?;
    let look = format!("when Meta answers: `capigate token inspect {name}`");
    for (pixel, is_next) in &pixels {
        report.tell(if *is_next {
            let says = format!("pixel {pixel} has it as its next token, and sends with {old}");
            Finding::new("bound", Mark::Pass, says).next(format!(
                "{look}, then `capigate token rotate --pixel {pixel} --from-next`"
            ))
        } else {
            let says = format!("pixel {pixel} has another next token, and sends with {old}");
            Finding::new("bound", Mark::Warn, says).next(format!(
                "{look}, then put it there: `capigate token add --stored {name} --pixel {pixel} --slot next --force`"
            ))
        })?;
    }
    if pixels.is_empty() {
        report.say(&format!("{old} stays as it is; {look}."))?;
    }
    report.say(desk.takeover())
}

/// Tells under which name it is in the vault.
fn stored(
    desk: &Desk,
    report: &mut Report<'_>,
    name: &Name,
    secret: &Secret,
    facts: &Facts,
) -> anyhow::Result<()> {
    let now = desk.clock.now();
    report.set("name", name)?;
    report.set("token", shown(name.as_str(), secret, facts, now))?;
    let masked = secret.masked();
    report.done(
        "stored",
        format!("sealed into the vault as {name}: {masked}"),
    )
}
