//! Puts the new token into the vault.

use crate::cli::token::desk::{Desk, also};
use crate::cli::token::look::shown;
use crate::cli::token::say::Report;
use crate::custody::ladder::{Finding, Mark};
use crate::custody::refresh::{add_after, supersede};
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::tokens::{Facts, Name, Slot, TokenRecord};

/// Puts the new token in the place of the old one, which is kept beside it where a pixel has it.
pub(super) fn replace(
    desk: &Desk,
    report: &mut Report<'_>,
    old: &Name,
    record: TokenRecord,
) -> anyhow::Result<()> {
    let now = desk.clock.now();
    let (secret, facts) = (record.secret.clone(), record.facts.clone());
    let replaced = desk.update(|contents| Ok(supersede(contents, old, record, now)?));
    let name = replaced.map_err(|error| lost(&error, old))?;
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
    let kept = desk.update(|contents| {
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
    });
    let (name, pixels) = kept.map_err(|error| lost(&error, old))?;
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
                "{look}, then put it there: `capigate token assign {name} --pixel {pixel} --slot next`"
            ))
        })?;
    }
    if pixels.is_empty() {
        report.say(&format!("{old} stays as it is; {look}."))?;
    }
    report.say(desk.takeover())
}

/// What is at Meta though it could not be kept.
fn lost(error: &anyhow::Error, old: &Name) -> anyhow::Error {
    let says = format!(
        "Meta has made a longer-lived token, which is kept nowhere; {old} is as it was: mend the vault, then run this again"
    );
    also(error, &says)
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
