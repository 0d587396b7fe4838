//! The way back: what was current before a rotation is so again.

use crate::cli::token::desk::{Desk, refused};
use crate::cli::token::look::known;
use crate::cli::token::say::Report;
use crate::cli::token::which::facts_of;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::Exit;
use crate::pixel::PixelId;
use crate::tokens::{ChangeError, Name, Slot};

/// What became of the token that was current.
struct Back {
    failed: Option<Name>,
    is_next: bool,
}

/// Goes back to the retiring token, unless that has ended; what is current becomes the next one
/// where that slot is free.
pub(super) async fn undo(
    desk: &Desk,
    report: &mut Report<'_>,
    pixel: PixelId,
    force: bool,
) -> anyhow::Result<()> {
    let contents = desk.contents()?;
    let Some(old) = contents.in_slot(pixel, Slot::Retiring).cloned() else {
        return Err(refused(ChangeError::NoRetiring(pixel).into()));
    };
    let kept = desk.find(&contents, Some(&old), None)?;
    let state = facts_of(desk, report, &kept).await?.state;
    if state.is_dead() {
        let says = format!("{old}, the token to go back to, is {}", state.code());
        let mark = if force { Mark::Warn } else { Mark::Fail };
        let next = format!(
            "replace the current one by a new token, `capigate token rotate --pixel {pixel}`; --force goes back all the same"
        );
        let dead = Finding::new("retiring", mark, says).exit(Exit::Token);
        report.tell(if force { dead } else { dead.next(next) })?;
        if !force {
            return report.say("Nothing was changed.");
        }
    }
    let now = desk.clock.now();
    let is_dead = |name: &Name| {
        let kept = desk.find(&contents, Some(name), None);
        kept.is_ok_and(|kept| known(&kept, &desk.notes()).facts.state.is_dead())
    };
    let back = desk.update(|contents| {
        let failed = contents.in_slot(pixel, Slot::Current).cloned();
        if failed.as_ref() == Some(&old) {
            // a gateway has gone back by itself
            return Ok(Back {
                failed: None,
                is_next: false,
            });
        }
        if contents
            .in_slot(pixel, Slot::Retiring)
            .is_some_and(|name| *name != old)
            && let Some(current) = failed
        {
            return Err(ChangeError::Moved(pixel, current).into());
        }
        contents.roll_back(pixel)?;
        let fit = failed.as_ref().filter(|name| !is_dead(name));
        let is_free = contents.check_free(pixel, Slot::Next, None).is_ok();
        let next = fit.filter(|_| is_free);
        if let Some(name) = next {
            contents.bind(pixel, Slot::Next, name, now)?;
        }
        let is_next = next.is_some();
        Ok(Back { failed, is_next })
    })?;
    report.set("current", &old)?;
    report.done("undone", format!("pixel {pixel} sends with {old} again"))?;
    if let Some(failed) = back.failed {
        report.tell(if back.is_next {
            let says = format!("{failed} is the pixel's next token now");
            Finding::new("replaced", Mark::Pass, says).next(format!(
                "`capigate token rotate --pixel {pixel} --from-next` takes it again"
            ))
        } else {
            let says = format!("{failed} stays in the vault, and is in no slot of this pixel");
            Finding::new("replaced", Mark::Skipped, says)
        })?;
    }
    report.say(desk.takeover())
}
