//! `capigate token system-user refresh`: a new 60-day token for one that is still good.

use clap::Args;
use serde_json::{Value, json};

use crate::app::roster;
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::cli::token::desk::{Common, Desk, refused};
use crate::cli::token::look::{ends, shown};
use crate::cli::token::say::Report;
use crate::cli::token::which::look_at;
use crate::custody::ladder::{Finding, Mark, about};
use crate::custody::refresh::{RefreshError, Refreshed, is_due, is_left_behind, refresh};
use crate::custody::{Kept, Source};
use crate::graph::oauth::{Context, Exit};
use crate::tokens::{Kind, Name, Slot};

#[derive(Args, Debug)]
pub(super) struct RefreshArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The token, as `capigate token list` shows it
    #[arg(required_unless_present = "all")]
    name: Option<Name>,
    /// Every one that is due
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// Also one that is not due yet
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: &RefreshArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    desk.vault()?;
    let contents = desk.contents()?;
    let which: Vec<Kept> = match &args.name {
        Some(name) => vec![desk.find(&contents, Some(name), None)?],
        None if args.all => {
            let all = desk.kept(&contents);
            let is_meant = |kept: &&Kept| {
                matches!(kept.source, Source::Vault(_)) && !is_left_behind(kept, &all)
            };
            all.iter().filter(is_meant).cloned().collect()
        }
        None => return Err(failure(USAGE, "say which token, or --all")),
    };
    let mut all: Vec<Value> = Vec::new();
    for kept in which {
        all.extend(one(args, &desk, report, kept).await?);
    }
    let is_new = !all.is_empty();
    report.set("refreshed", all)?;
    if is_new {
        report.say(desk.takeover())?;
    }
    Ok(())
}

/// Refreshes one token, if it is due; gives what to show of the new one.
async fn one(
    args: &RefreshArgs,
    desk: &Desk,
    report: &mut Report<'_>,
    mut kept: Kept,
) -> anyhow::Result<Option<Value>> {
    let label = kept.label.clone();
    let Some(looked) = look_at(desk, report, &kept).await? else {
        return Ok(None);
    };
    let (now, facts) = (desk.clock.now(), looked.seen.facts.clone());
    kept.app = looked.app.clone().or(kept.app);
    let is_one = facts.kind == Kind::SystemUser && facts.expires.at().is_some();
    if facts.state.is_dead() && (is_one || !args.all) {
        let bad = about(&looked.seen, None, now).into_iter();
        report.tell_all(bad.filter(|finding| finding.mark == Mark::Fail))?;
        return Ok(None);
    }
    let policy = roster::policy(&desk.config);
    if !is_one || kept.app.is_none() {
        // with --all, what cannot be refreshed was not meant
        if is_one || !args.all {
            let says = format!("{label}: {}", RefreshError::NotRefreshable);
            report.tell(Finding::new("refresh", Mark::Fail, says).exit(Exit::App))?;
        }
        return Ok(None);
    }
    // with --force and --all, all but what has its successor
    let mut slots = kept.pixels.iter();
    let is_replaced = !kept.pixels.is_empty() && slots.all(|(_, slot)| *slot == Slot::Retiring);
    if args.all && is_replaced {
        return Ok(None);
    }
    if !args.force && !is_due(&kept, &facts, &policy, now) {
        let says = format!(
            "{label} expires {}; it is not due yet",
            ends(facts.expires, now)
        );
        report.tell(Finding::new("refresh", Mark::Pass, says).next("--force refreshes it now"))?;
        return Ok(None);
    }
    let vault = desk.vault()?;
    match refresh(&desk.client, vault, &kept, &facts, now).await {
        Ok(Refreshed { name, seen, .. }) => {
            let contents = desk.contents()?;
            let record = contents.tokens.get(&name);
            let ends = ends(seen.facts.expires, now);
            let says = if name.as_str() == label {
                format!("{label} is refreshed: the new one has its name and expires {ends}")
            } else {
                format!("{label} is refreshed: {name} takes its place and expires {ends}")
            };
            report.done("refresh", says)?;
            Ok(record.map(|record| {
                let new = shown(name.as_str(), &record.secret, &seen.facts, now);
                json!({"old": label, "new": new})
            }))
        }
        Err(RefreshError::Oauth(error)) => {
            report.refused("refresh", Context::Extend, &error)?;
            Ok(None)
        }
        Err(RefreshError::Vault(error)) => Err(refused(error)),
        Err(error) => {
            let says = format!("{label}: {error}");
            report.tell(Finding::new("refresh", Mark::Fail, says).exit(Exit::Token))?;
            Ok(None)
        }
    }
}
