//! `capigate token app`: the apps whose secrets are in the vault.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::ask;
use super::desk::{Common, Desk};
use super::look::moment;
use super::say::Report;
use crate::cli::client::failure;
use crate::cli::{USAGE, WRONG};
use crate::config::AppId;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::{App, Context};
use crate::secret::Secret;
use crate::tokens::paste::Kind;
use crate::tokens::{AppRecord, Contents, TokenKey};

/// Digits of the app ids that are seen today.
const USUAL_DIGITS: std::ops::RangeInclusive<usize> = 15..=16;

/// Keep the secrets of your apps: with one, tokens of that app can be inspected for sure, extended,
/// refreshed and revoked, and each request carries a proof.
#[derive(Args, Debug)]
pub(super) struct AppArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Put an app's id and secret into the vault.
    Add(AddArgs),
    /// Show the apps in the vault.
    List(Common),
    /// Take an app out of the vault.
    Remove(RemoveArgs),
}

#[derive(Args, Debug)]
struct AddArgs {
    #[command(flatten)]
    common: Common,
    /// The app id, from App settings, Basic. The secret is pasted at the prompt or on standard
    /// input; without this, standard input has ID|SECRET
    #[arg(long, value_name = "ID")]
    app_id: Option<AppId>,
    /// Do not ask Meta whether the two belong together
    #[arg(long)]
    offline: bool,
}

#[derive(Args, Debug)]
struct RemoveArgs {
    #[command(flatten)]
    common: Common,
    /// The app id
    id: AppId,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(args: AppArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let json = match &args.verb {
        Verb::Add(args) => args.common.json,
        Verb::List(common) => common.json,
        Verb::Remove(args) => args.common.json,
    };
    let mut report = Report::new(out, json);
    let done = match args.verb {
        Verb::Add(args) => add(&args, &mut report).await,
        Verb::List(common) => list(&common, &mut report),
        Verb::Remove(args) => remove(&args, &mut report),
    };
    report.close(done)
}

async fn add(args: &AddArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    desk.vault()?;
    let app = asked(args, report)?;
    report.set("app_id", &app.id)?;
    if !USUAL_DIGITS.contains(&app.id.len()) {
        let says = "app ids have 15 or 16 digits today; check that it was copied whole";
        report.tell(Finding::new("app_id", Mark::Warn, says))?;
    }
    if args.offline {
        let says = "Meta was not asked whether id and secret belong together";
        report.tell(Finding::new("app", Mark::Skipped, says))?;
    } else if let Err(error) = desk.client.app_token(&app).await {
        report.refused("app", Context::App, &error)?;
        return report.say("Nothing was kept.");
    } else {
        report.done("app", format!("Meta knows app {} with this secret", app.id))?;
    }
    let record = AppRecord {
        secret: app.secret.clone(),
        added_at: desk.clock.now(),
    };
    let before = desk.update(|contents| Ok(contents.apps.insert(app.id.clone(), record)))?;
    let print = app.secret.fingerprint();
    let says = match before {
        None => "sealed into the vault",
        Some(old) if TokenKey::of(&old.secret) == TokenKey::of(&app.secret) => {
            "was in the vault already"
        }
        Some(_) => "put in the place of its old secret",
    };
    report.done(
        "stored",
        format!("the secret of app {} (sha256:{print}) {says}", app.id),
    )?;
    report.say(desk.takeover())
}

/// Id and secret as a person gives them.
fn asked(args: &AddArgs, report: &mut Report<'_>) -> anyhow::Result<App> {
    let id = match args.app_id {
        Some(id) => Some(id),
        None => ask::line("App id (App settings, Basic): ")?
            .map(|line| line.parse::<AppId>())
            .transpose()
            .map_err(|error| failure(USAGE, error.to_string()))?,
    };
    if let Some(id) = id {
        return Ok(App {
            id: id.get().to_string(),
            secret: ask::secret(report, "App secret", Kind::AppSecret)?,
        });
    }
    let both = ask::secret(report, "App id and secret, as ID|SECRET", Kind::AppToken)?;
    let parts = both.expose().split_once('|');
    let (id, secret) = parts.ok_or_else(|| {
        failure(
            USAGE,
            "say which app with --app-id ID, or give ID|SECRET on standard input",
        )
    })?;
    let id: AppId = id
        .parse()
        .map_err(|error| failure(USAGE, format!("the part before |: {error}")))?;
    Ok(App {
        id: id.get().to_string(),
        secret: Secret::new(secret.to_owned()),
    })
}

/// The tokens in the vault that this app has issued.
fn tokens_of<'a>(contents: &'a Contents, id: &'a str) -> impl Iterator<Item = &'a str> {
    let all = contents.tokens.iter();
    all.filter(move |(_, record)| record.facts.app_id.as_deref() == Some(id))
        .map(|(name, _)| name.as_str())
}

fn list(common: &Common, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(common)?;
    desk.vault()?;
    let contents = desk.contents()?;
    let mut rows = Vec::new();
    let mut shown = Vec::new();
    for (id, app) in &contents.apps {
        let tokens: Vec<&str> = tokens_of(&contents, id).collect();
        let (print, added) = (app.secret.fingerprint(), moment(app.added_at));
        let cell = added.as_str().unwrap_or("-").to_owned();
        rows.push(vec![id.clone(), print.clone(), cell, tokens.join(", ")]);
        shown.push(json!({
            "app_id": id,
            "secret_fingerprint": print,
            "added_at": added,
            "tokens": tokens,
        }));
    }
    report.set("apps", shown)?;
    if rows.is_empty() {
        return report.say("No app is in the vault: `capigate token app add` puts one there.");
    }
    report.table(&["app id", "secret sha256", "since", "tokens"], &rows)
}

fn remove(args: &RemoveArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    desk.vault()?;
    let contents = desk.contents()?;
    let id = args.id.get().to_string();
    if !contents.apps.contains_key(&id) {
        let text =
            format!("app {id} is not in the vault: `capigate token app list` shows which are");
        return Err(failure(WRONG, text));
    }
    let tokens: Vec<&str> = tokens_of(&contents, &id).collect();
    if !tokens.is_empty() {
        let question = format!(
            "The tokens {} are of this app. Without its secret they are sent without a proof, and cannot be extended, refreshed or revoked here. Remove it?",
            tokens.join(", ")
        );
        if !ask::yes(&question, args.yes)? {
            return report.cancelled("removed", "nothing was changed");
        }
    }
    desk.update(|contents| Ok(contents.apps.remove(&id)))?;
    report.set("app_id", &id)?;
    report.done("removed", format!("app {id} is not in the vault any more"))?;
    report.say(desk.takeover())
}
