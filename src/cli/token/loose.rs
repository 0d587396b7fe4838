//! Tells which tokens a change has left in no slot of any pixel.

use super::desk::Desk;
use super::say::Report;
use crate::custody::ladder::{Finding, Mark};
use crate::tokens::{Contents, Name};

/// Tells of every token that a pixel had before and none has now.
pub(super) fn tell_loose(
    desk: &Desk,
    report: &mut Report<'_>,
    before: &Contents,
) -> anyhow::Result<()> {
    let after = desk.contents()?;
    for name in loose(before, &after) {
        let is_dead = after.tokens[&name].facts.state.is_dead();
        let finding = if is_dead {
            let says = format!("{name} is in no slot now, and has ended");
            Finding::new("loose", Mark::Skipped, says)
                .next(format!("take it out: `capigate token remove {name}`"))
        } else {
            let says = format!("{name} is in no slot now, and is as good at Meta as before");
            Finding::new("loose", Mark::Warn, says)
                .next(format!("end it: `capigate token revoke {name}`"))
        };
        report.tell(finding)?;
    }
    Ok(())
}

fn loose(before: &Contents, after: &Contents) -> Vec<Name> {
    let is_used = |contents: &Contents, name: &Name| contents.users(name).next().is_some();
    let all = after.tokens.keys();
    all.filter(|name| is_used(before, name) && !is_used(after, name))
        .cloned()
        .collect()
}
