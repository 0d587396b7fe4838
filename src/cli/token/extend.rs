//! `capigate token extend`: a token that is good now, for one that is good for longer.

mod store;

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::ask;
use super::desk::{Common, Desk};
use super::look::{Looked, ending, ends, look, shown};
use super::obtained::{Extend, Keep, SHORT_LIVED_SECS, keep};
use super::say::Report;
use super::which::{Which, look_at};
use crate::cli::client::failure;
use crate::cli::{USAGE, WRONG};
use crate::config::AppId;
use crate::custody::Source;
use crate::custody::ladder::{Finding, Mark, about};
use crate::graph::oauth::{App, Context, Exit};
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::paste::Kind as Paste;
use crate::tokens::{Expiry, Facts, Kind, Name, Obtained, State, TokenKey, TokenRecord};
use store::{keep_unseen, replace};

#[derive(Args, Debug)]
pub(super) struct ExtendArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: Which,
    /// A token that is pasted, at the prompt or on standard input
    #[arg(long, conflicts_with_all = ["name", "pixel"])]
    stdin: bool,
    /// The app that has issued it; needed when Meta does not say, and several are in the vault
    #[arg(long, value_name = "ID")]
    app_id: Option<AppId>,
    /// What to call the new token, of one that is pasted
    #[arg(long = "as", value_name = "NAME", requires = "stdin")]
    new_name: Option<Name>,
}

/// The token that is to be extended.
struct Old {
    secret: Secret,
    name: Option<Name>,
    facts: Facts,
    app: App,
}

pub(super) async fn run(args: ExtendArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = extend(args, &mut report).await;
    report.close(done)
}

async fn extend(args: ExtendArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let options = Keep {
        name: args.new_name.clone(),
        extend: Extend::Never,
        ..Keep::default()
    };
    options.check(&desk)?;
    let Some(old) = find(&args, &desk, report).await? else {
        return Ok(());
    };
    let now = desk.clock.now();
    let is_system_users = old.facts.kind == Kind::SystemUser;
    let granted = desk.client.extend(&old.app, &old.secret, is_system_users);
    let granted = match granted.await {
        Ok(granted) => granted,
        Err(error) => return report.refused("extend", Context::Extend, &error),
    };
    let (contents, told) = (desk.contents()?, Some(old.app.clone()));
    let before = Facts::default();
    let looked = look(&desk, &contents, &granted.token, told, None, &before).await;
    let (mut facts, unseen) = match looked {
        Ok(Looked { seen, .. }) if seen.verdict => (seen.facts, None),
        looked => {
            let facts = Facts {
                kind: old.facts.kind.clone(),
                app_id: Some(old.app.id.clone()),
                ..Facts::default()
            };
            let finding = match looked {
                Err(error) => Finding::of("token", Mark::Fail, Context::Debug, &error),
                Ok(_) => Finding::new("token", Mark::Fail, "Meta says nothing about the new token"),
            };
            (facts, Some(finding))
        }
    };
    if let (Expiry::Unknown, Some(seconds)) = (facts.expires, granted.expires_in) {
        facts.expires = Expiry::At(now.plus(Duration::from_secs(seconds)));
    }
    compare(report, &old.facts, &facts, now)?;
    if TokenKey::of(&granted.token) == TokenKey::of(&old.secret) {
        if let Some(name) = old.name.filter(|_| unseen.is_none()) {
            desk.note(&name, &facts)?;
        }
        let says = "Meta gave the very same token back";
        return report.tell(Finding::new("extend", Mark::Warn, says));
    }
    if unseen.is_none() && !is_better(&old.facts, &facts, now) {
        let says =
            "the new token does not live longer, so the old one stays and the new one is not kept";
        return report.tell(Finding::new("extend", Mark::Warn, says));
    }
    let Some(name) = &old.name else {
        let options = Keep {
            app: Some(old.app),
            expires_in: granted.expires_in,
            ..options
        };
        keep(&desk, report, granted.token, Obtained::Extended, &options).await?;
        return Ok(());
    };
    let record = TokenRecord {
        secret: granted.token,
        obtained: Obtained::Extended,
        added_at: now,
        facts,
    };
    match unseen {
        None => replace(&desk, report, name, record),
        Some(unseen) => {
            report.tell(unseen)?;
            keep_unseen(&desk, report, name, record)
        }
    }
}

/// The token, with its facts and its app; none when it cannot be extended, which the report then
/// has as a failure, or need not be.
async fn find(
    args: &ExtendArgs,
    desk: &Desk,
    report: &mut Report<'_>,
) -> anyhow::Result<Option<Old>> {
    let contents = desk.contents()?;
    let id = args.app_id.map(|id| id.get().to_string());
    let told = id
        .map(|id| desk.named_app(&contents, Some(&id)))
        .transpose()?;
    let (secret, name, looked) = if args.stdin {
        let secret = ask::secret(report, "Access token", Paste::LaneToken)?;
        let before = Facts::default();
        match look(desk, &contents, &secret, told.clone(), None, &before).await {
            Ok(looked) => (secret, None, looked),
            Err(error) => {
                report.refused("token", Context::Debug, &error)?;
                return Ok(None);
            }
        }
    } else {
        let kept = args.which.find(desk, &contents)?;
        let Source::Vault(name) = &kept.source else {
            return Err(failure(
                WRONG,
                format!(
                    "{} is not in the vault, so it cannot be replaced: paste it with `capigate token extend --stdin`",
                    kept.label
                ),
            ));
        };
        let name = name.clone();
        let Some(looked) = look_at(desk, report, &kept).await? else {
            return Ok(None);
        };
        (kept.secret, Some(name), looked)
    };
    let now = desk.clock.now();
    let Looked { seen, app } = looked;
    if seen.facts.state.is_dead() {
        let bad = about(&seen, None, now).into_iter();
        report.tell_all(bad.filter(|finding| finding.mark == Mark::Fail))?;
        return Ok(None);
    }
    if let Some(finding) = pointless(&seen.facts) {
        report.set("token", shown("", &secret, &seen.facts, now))?;
        report.tell(finding)?;
        return Ok(None);
    }
    let app = match (told, app, &seen.facts.app_id) {
        (Some(app), _, _) | (None, Some(app), _) => app,
        (None, None, Some(id)) => desk.named_app(&contents, Some(id))?,
        (None, None, None) if seen.foreign => {
            return Err(failure(
                USAGE,
                "it was issued by an app whose secret is not in the vault: put it there with `capigate token app add`, or say which app it is with --app-id ID",
            ));
        }
        (None, None, None) => desk.named_app(&contents, None)?,
    };
    let facts = seen.facts;
    Ok(Some(Old {
        secret,
        name,
        facts,
        app,
    }))
}

/// Why there is nothing to extend, if so.
fn pointless(facts: &Facts) -> Option<Finding> {
    match &facts.kind {
        Kind::Page => Some(
            Finding::new("extend", Mark::Fail, "a page's token cannot be extended")
                .next("extend its person's token, then get the page's again: `capigate token page`")
                .exit(Exit::Token),
        ),
        Kind::App => Some(
            Finding::new("extend", Mark::Fail, "an app's token does not end").exit(Exit::Token),
        ),
        _ if facts.expires == Expiry::Never && facts.data_access == Expiry::Never => {
            Some(Finding::new(
                "extend",
                Mark::Pass,
                "it never expires: there is nothing to extend",
            ))
        }
        _ => None,
    }
}

/// Shows both side by side.
fn compare(report: &mut Report<'_>, old: &Facts, new: &Facts, now: UnixMs) -> anyhow::Result<()> {
    let shown = |facts: &Facts| {
        json!({
            "kind": facts.kind,
            "state": facts.state,
            "expires": ending(facts.expires),
            "data_access": ending(facts.data_access),
            "scopes": facts.scopes,
        })
    };
    report.set("before", shown(old))?;
    report.set("after", shown(new))?;
    let row =
        |what: &str, show: &dyn Fn(&Facts) -> String| vec![what.to_owned(), show(old), show(new)];
    let rows = [
        row("kind", &|facts| facts.kind.to_string()),
        row("state", &|facts| facts.state.code().to_owned()),
        row("expires", &|facts| ends(facts.expires, now)),
        row("data access ends", &|facts| ends(facts.data_access, now)),
        row("scopes", &|facts| facts.scopes.join(", ")),
    ];
    report.table(&["", "before", "after"], &rows)
}

/// Whether the new token lives longer, or what it may read does.
fn is_better(old: &Facts, new: &Facts, now: UnixMs) -> bool {
    if new.state.is_dead() || new.state == State::Blocked {
        return false;
    }
    // nobody knows an end: more than an end that is near, less than one that is told
    let length = |expires: Expiry| match expires {
        Expiry::Never => i64::MAX,
        Expiry::At(at) => at.0,
        Expiry::Unknown => now.plus(Duration::from_secs(SHORT_LIVED_SECS)).0,
    };
    let of = |facts: &Facts| (length(facts.expires), length(facts.data_access));
    of(new) > of(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_end_is_the_better_one() {
        let now = UnixMs::from_secs(1_000_000);
        let hour = |count: i64| Expiry::At(UnixMs(now.0 + count * 3_600_000));
        let facts = |expires, data_access| Facts {
            expires,
            data_access,
            state: State::Valid,
            ..Facts::default()
        };
        let never = Expiry::Never;
        for (old, new, better) in [
            ((hour(1), never), (hour(1_440), never), true),
            ((hour(1_440), never), (hour(1_440), never), false),
            ((hour(1_440), never), (hour(1_439), never), false),
            ((hour(1_440), never), (never, never), true),
            ((never, never), (hour(1_440), never), false),
            ((hour(1_440), hour(10)), (hour(1_440), hour(20)), true),
            ((hour(1), never), (Expiry::Unknown, never), true),
            ((hour(48), never), (Expiry::Unknown, never), false),
            ((Expiry::Unknown, never), (Expiry::Unknown, never), false),
        ] {
            let judged = is_better(&facts(old.0, old.1), &facts(new.0, new.1), now);
            assert_eq!(judged, better, "{old:?} {new:?}");
        }
        let dead = Facts {
            state: State::Invalid,
            ..facts(never, never)
        };
        assert!(!is_better(&facts(hour(1), never), &dead, now));
    }
}
