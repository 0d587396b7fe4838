//! The verbs that change something: redrive and purge. Without `--yes` they first say what they
//! would do, and ask.

use std::io::{IsTerminal, Write};

use clap::Args;
use serde_json::{Map, Value};

use super::{At, Client, USAGE, Which, failure, table};
use crate::cli::{OK, WRONG, print_json};
use crate::journal::dead::LetterId;
use crate::text::counted;

#[derive(Debug, Args)]
struct Change {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    which: Which,
    /// These letters
    #[arg(value_name = "ID")]
    ids: Vec<LetterId>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RedriveArgs {
    #[command(flatten)]
    change: Change,
    /// Also those that may have been delivered and that Meta would count twice
    #[arg(long)]
    include_unconfirmed: bool,
}

#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    change: Change,
    /// All of them; needed when nothing else says which
    #[arg(long)]
    all: bool,
}

impl RedriveArgs {
    pub(super) fn at(&self) -> &At {
        &self.change.at
    }
}

impl PurgeArgs {
    pub(super) fn at(&self) -> &At {
        &self.change.at
    }
}

pub(super) async fn redrive(
    client: &Client,
    args: &RedriveArgs,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut body = args.change.which.body(&args.change.ids);
    let unconfirmed = args.include_unconfirmed.into();
    body.insert("include_unconfirmed".to_owned(), unconfirmed);
    let path = ["dead", "redrive"];
    let unknown = unknown(client, &args.change.ids).await?;
    let report = change(client, &args.change, &path, body, redrive_text, out).await?;
    let Some(report) = report.filter(|_| !unknown) else {
        return Ok(WRONG);
    };
    let is_whole = report["stopped"].is_null() && report["refused"] == 0;
    Ok(if is_whole { OK } else { WRONG })
}

pub(super) async fn purge(
    client: &Client,
    args: &PurgeArgs,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut body = args.change.which.body(&args.change.ids);
    if body.is_empty() && !args.all {
        let message = "say which letters to delete (such as --pixel, --reason or ids), or --all";
        return Err(failure(USAGE, message));
    }
    body.insert("all".to_owned(), args.all.into());
    let path = ["dead", "purge"];
    let unknown = unknown(client, &args.change.ids).await?;
    let report = change(client, &args.change, &path, body, purge_text, out).await?;
    let is_whole = report.is_some() && !unknown;
    Ok(if is_whole { OK } else { WRONG })
}

/// Names the ids that no letter has: a report only counts those that one has. Whether there are
/// some; an error when there are no others.
async fn unknown(client: &Client, ids: &[LetterId]) -> anyhow::Result<bool> {
    let mut unknown = Vec::new();
    for id in ids {
        let id = id.to_string();
        if !client.has(&["dead", &id]).await? {
            unknown.push(id);
        }
    }
    if unknown.is_empty() {
        return Ok(false);
    }
    let told = format!(
        "there is no dead letter {}; it may have been redriven or purged, see `capigate dead list`",
        unknown.join(", ")
    );
    if unknown.len() == ids.len() {
        return Err(failure(WRONG, told));
    }
    // the output is the report
    writeln!(std::io::stderr(), "capigate: {told}")?;
    Ok(true)
}

/// How a report reads.
type Text = fn(&Value, &mut dyn Write) -> std::io::Result<()>;

/// Says what would be done and asks, unless told otherwise, and then does it; the report of what
/// was done or, in a dry run, would be. None when the person says no.
async fn change(
    client: &Client,
    change: &Change,
    path: &[&str],
    mut body: Map<String, Value>,
    text: Text,
    out: &mut dyn Write,
) -> anyhow::Result<Option<Value>> {
    let mut show = |report: &Value| {
        if change.json {
            print_json(out, report).map(drop)
        } else {
            Ok(text(report, out)?)
        }
    };
    if change.dry_run || !change.yes {
        body.insert("dry_run".to_owned(), true.into());
        let report = client.post(path, &Value::Object(body.clone())).await?;
        if change.dry_run {
            show(&report)?;
            return Ok(Some(report));
        }
        if !std::io::stdin().is_terminal() {
            show(&report)?;
            let message =
                "nothing was done, since nobody can be asked: look at the above and say --yes";
            return Err(failure(USAGE, message));
        }
        // what asks a person is no part of the output
        let mut asks = std::io::stderr();
        text(&report, &mut asks)?;
        if !confirmed(&mut asks)? {
            writeln!(asks, "nothing was done")?;
            return Ok(None);
        }
    }
    body.insert("dry_run".to_owned(), false.into());
    let report = client.post(path, &Value::Object(body)).await?;
    show(&report)?;
    Ok(Some(report))
}

fn confirmed(asks: &mut dyn Write) -> anyhow::Result<bool> {
    write!(asks, "go on? [y/N] ")?;
    asks.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn redrive_text(report: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let [matched, redriven, would, refused, unconfirmed] = [
        "matched",
        "redriven",
        "would_redrive",
        "refused",
        "unconfirmed",
    ]
    .map(|name| &report[name]);
    let matched = letters(matched);
    if report["dry_run"] == true {
        writeln!(
            out,
            "to be sent again: {would} of {matched}; refused, and they stay: {refused}"
        )?;
    } else {
        writeln!(
            out,
            "in the journal again: {redriven} of {matched}; refused, and they stay: {refused}"
        )?;
    }
    if unconfirmed != 0 {
        writeln!(
            out,
            "{unconfirmed} may have been delivered and stay: name them, or --include-unconfirmed"
        )?;
    }
    for letter in report["refusals"].as_array().into_iter().flatten() {
        let [id, code, path, rule] =
            ["id", "code", "path", "rule"].map(|name| table::cell(&letter[name]));
        writeln!(out, "  {id}: {path}: {rule} ({code})")?;
    }
    if let Some(stopped) = report["stopped"].as_str() {
        writeln!(out, "it stopped before the end: {}", table::plain(stopped))?;
    }
    Ok(())
}

fn purge_text(report: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let letters = letters(&report["letters"]);
    if report["dry_run"] == true {
        writeln!(out, "to be deleted for good: {letters}")
    } else {
        writeln!(out, "deleted: {letters}")
    }
}

fn letters(number: &Value) -> String {
    counted(number.as_u64().unwrap_or_default(), "letter")
}
