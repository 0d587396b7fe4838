//! `capigate token inspect`: what Meta says of a token.

use std::io::Write;

use clap::Args;

use super::ask;
use super::desk::{Common, Desk};
use super::look::{Looked, ends, look, shown};
use super::say::Report;
use super::which::{Which, look_at};
use crate::custody::alarms::{NEEDED_SCOPE, extra_scopes};
use crate::custody::ladder::about;
use crate::graph::oauth::Context;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::tokens::Facts;
use crate::tokens::paste::Kind;

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: Which,
    /// A token that is pasted, at the prompt or on standard input, and not kept
    #[arg(long, conflicts_with_all = ["name", "pixel"])]
    stdin: bool,
}

pub(super) async fn run(args: InspectArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = inspect(&args, &mut report).await;
    report.close(done)
}

async fn inspect(args: &InspectArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let contents = desk.contents()?;
    if args.stdin {
        let token = ask::secret(report, "Access token", Kind::LaneToken)?;
        let before = Facts::default();
        return match look(&desk, &contents, &token, None, None, &before).await {
            Ok(looked) => tell(&desk, report, "(not kept)", &token, None, &looked),
            Err(error) => report.refused("token", Context::Debug, &error),
        };
    }
    let kept = args.which.find(&desk, &contents)?;
    let served = kept.pixels.first().map(|(pixel, _)| *pixel);
    let pixel = args.which.pixel.or(served);
    match look_at(&desk, report, &kept).await? {
        Some(looked) => tell(&desk, report, &kept.label, &kept.secret, pixel, &looked),
        None => Ok(()),
    }
}

fn tell(
    desk: &Desk,
    report: &mut Report<'_>,
    label: &str,
    token: &Secret,
    pixel: Option<PixelId>,
    looked: &Looked,
) -> anyhow::Result<()> {
    let (now, facts) = (desk.clock.now(), &looked.seen.facts);
    report.set("token", shown(label, token, facts, now))?;
    let has_it = facts.scopes.iter().any(|scope| scope == NEEDED_SCOPE);
    let is_listed = looked.seen.verdict && !facts.scopes.is_empty();
    let missing: Vec<&str> = [NEEDED_SCOPE]
        .into_iter()
        .filter(|_| is_listed && !has_it)
        .collect();
    report.set("scopes_missing", missing)?;
    report.set("scopes_extra", extra_scopes(facts).collect::<Vec<_>>())?;
    report.tell_all(about(&looked.seen, pixel, now))?;
    let unknown = || "-".to_owned();
    let app = match (&facts.app_id, &facts.app_name) {
        (Some(id), Some(name)) => format!("{id} ({name})"),
        (Some(id), None) => id.clone(),
        _ => unknown(),
    };
    let mut rows = vec![
        vec!["token".to_owned(), format!("{label}: {}", token.masked())],
        vec!["kind".to_owned(), facts.kind.to_string()],
        vec!["app".to_owned(), app],
        vec![
            "holder".to_owned(),
            facts.user_id.clone().unwrap_or_else(unknown),
        ],
        vec!["expires".to_owned(), ends(facts.expires, now)],
        vec!["data access ends".to_owned(), ends(facts.data_access, now)],
    ];
    if let Some(page) = &facts.page_id {
        rows.push(vec!["page".to_owned(), page.clone()]);
    }
    if let Some(at) = facts.issued_at {
        rows.push(vec![
            "issued".to_owned(),
            crate::custody::ladder::when(at, now),
        ]);
    }
    for target in &facts.targets {
        rows.push(vec![format!("{} for", target.scope), target.ids.join(", ")]);
    }
    report.say("")?;
    report.table(&["what", "Meta says"], &rows)
}
