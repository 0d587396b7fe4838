//! `capigate token remove`: takes a token out of the vault.

use std::io::Write;

use clap::Args;

use super::ask;
use super::desk::{Common, Desk, refused};
use super::say::Report;
use crate::custody::ladder::{Finding, Mark};
use crate::tokens::Name;

#[derive(Args, Debug)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    common: Common,
    /// Its name, as `capigate token list` shows it
    name: Name,
    /// Also what a pixel sends with
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &RemoveArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = remove(args, &mut report);
    report.close(done)
}

fn remove(args: &RemoveArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    desk.vault()?;
    let (name, force) = (&args.name, args.force);
    let mut rest = desk.contents()?;
    let own = rest.remove(name, force);
    let own = own.map_err(|error| refused(error.into()))?;
    if !own.facts.state.is_dead() {
        let question = format!(
            "{name} may still be good at Meta, and nobody can get its value back from there. Remove it?"
        );
        if !ask::yes(&question, args.yes)? {
            return report.cancelled("removed", "nothing was changed");
        }
    }
    let (users, removed) = desk.update(|contents| {
        let users: Vec<_> = contents.users(name).collect();
        Ok((users, contents.remove(name, force)?))
    })?;
    report.set("name", name)?;
    report.done("removed", format!("{name} is not in the vault any more"))?;
    if !removed.facts.state.is_dead() {
        let says = "at Meta it is as good as before: whoever has it can use it";
        report.tell(
            Finding::new("revoked", Mark::Skipped, says)
                .next("another time, `capigate token revoke` ends it there as well"),
        )?;
    }
    for (pixel, slot) in users {
        let says = format!("it was the {} token of pixel {pixel}", slot.code());
        report.tell(Finding::new("pixel", Mark::Warn, says))?;
    }
    report.say(desk.takeover())
}
