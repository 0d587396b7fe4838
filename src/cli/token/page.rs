//! `capigate token pages` and `page`: the pages of a person, and their tokens.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::desk::{Common, Desk};
use super::look::ends;
use super::obtained::{Extend, Keep, SHORT_LIVED_SECS, keep};
use super::say::Report;
use super::which::{Asker, From};
use crate::cli::WRONG;
use crate::cli::client::failure;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::Context;
use crate::pixel::PixelId;
use crate::tokens::{Kind, Name, Obtained, Slot};

/// What the permission to list pages is called.
const PAGES_SCOPE: &str = "pages_show_list";

#[derive(Args, Debug)]
pub(super) struct PagesArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    from: From,
}

#[derive(Args, Debug)]
pub(super) struct PageArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    from: From,
    /// The page, as `capigate token pages` lists it
    #[arg(long, value_name = "ID")]
    page_id: String,
    /// What to call the token
    #[arg(long)]
    name: Option<Name>,
    /// The pixel that is to send with it, for which a page's token is not made
    #[arg(long, value_name = "ID", requires = "force")]
    pixel: Option<PixelId>,
    /// Keep it whatever speaks against it
    #[arg(long)]
    force: bool,
}

pub(super) async fn list(args: PagesArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = pages(&args, &mut report).await;
    report.close(done)
}

pub(super) async fn run(args: PageArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = page(args, &mut report).await;
    report.close(done)
}

async fn pages(args: &PagesArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let asker = args.from.asker(&desk, report, "A person's access token");
    let Some(asker) = asker.await? else {
        return Ok(());
    };
    let secret = asker.app.as_ref().map(|app| &app.secret);
    let pages = match desk.client.pages(&asker.secret, secret).await {
        Ok(pages) => pages,
        Err(error) => return report.refused("pages", Context::Page, &error),
    };
    let mut rows = Vec::new();
    let mut shown = Vec::new();
    for page in &pages {
        let name = page.name.as_ref().map(ToString::to_string);
        let has_token = page.token.is_some();
        let yes = if has_token { "yes" } else { "no" };
        rows.push(vec![
            page.id.clone(),
            name.clone().unwrap_or_default(),
            page.tasks.join(", "),
            yes.to_owned(),
        ]);
        shown.push(json!({
            "page_id": page.id,
            "name": name,
            "tasks": page.tasks,
            "has_token": has_token,
        }));
    }
    report.set("pages", shown)?;
    if rows.is_empty() {
        let scopes = &asker.facts.scopes;
        let hint = if !scopes.is_empty() && !scopes.iter().any(|scope| scope == PAGES_SCOPE) {
            format!(
                "the token lacks {PAGES_SCOPE}: log in with it, `capigate token login --scope {PAGES_SCOPE}`"
            )
        } else {
            "its person has no role on any page, or has not chosen one when logging in".to_owned()
        };
        return Err(failure(
            WRONG,
            format!("no page is there for this token: {hint}"),
        ));
    }
    report.table(&["page id", "name", "tasks", "token"], &rows)?;
    report.say("\n`capigate token page --page-id ID` gets the token of one.")
}

async fn page(args: PageArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let mut options = Keep {
        name: args.name,
        bind: args.pixel.map(|pixel| (pixel, Slot::Current)),
        kind: Some(Kind::Page),
        page: Some(args.page_id.clone()),
        extend: Extend::Never,
        force: args.force,
        ..Keep::default()
    };
    options.check(&desk)?;
    let asker = args.from.asker(&desk, report, "A person's access token");
    let Some(asker) = asker.await? else {
        return Ok(());
    };
    if let Some(finding) = short_parent(&desk, &asker) {
        report.tell(finding)?;
    }
    let secret = asker.app.as_ref().map(|app| &app.secret);
    let token = desk.client.page_token(&asker.secret, secret, &args.page_id);
    match token.await {
        Ok(token) => {
            options.app = asker.app;
            report.done(
                "page",
                format!("Meta gave the token of page {}", args.page_id),
            )?;
            keep(&desk, report, token, Obtained::Page, &options).await?;
            Ok(())
        }
        Err(error) => report.refused("page", Context::Page, &error),
    }
}

/// A page's token made with a short-lived one ends with it.
fn short_parent(desk: &Desk, asker: &Asker) -> Option<Finding> {
    let now = desk.clock.now();
    let expires = asker.facts.expires;
    let left = expires.at()?.since(now).as_secs();
    (left <= SHORT_LIVED_SECS).then(|| {
        let says = format!(
            "the person's token expires {}; a page's token made with it ends with it",
            ends(expires, now)
        );
        Finding::new("short_parent", Mark::Warn, says)
            .next("extend it first, `capigate token extend`, then get the page's token again: that one does not expire")
    })
}
