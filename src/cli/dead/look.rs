//! The verbs that change nothing: list, show, summary, export.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use super::{At, Client, Which, table};
use crate::cli::{OK, print_json};
use crate::journal::dead::LetterId;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) at: At,
    #[command(flatten)]
    which: Which,
    /// How many, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: u16,
    /// Go on behind this one
    #[arg(long, value_name = "ID")]
    after: Option<LetterId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) at: At,
    /// The letter
    id: LetterId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SummaryArgs {
    #[command(flatten)]
    pub(super) at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) at: At,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn list(
    client: &Client,
    args: &ListArgs,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut query = args.which.query();
    query.push(("limit", args.limit.to_string()));
    query.extend(args.after.map(|after| ("after", after.to_string())));
    let page = client.get(&["dead"], &query).await?;
    if args.json {
        return print_json(out, &page);
    }
    let letters = page["letters"].as_array().map_or(&[][..], Vec::as_slice);
    let row = |letter: &Value| {
        let mut row = ["id", "pixel", "reason", "code", "event_name", "event_id"]
            .map(|name| table::cell(&letter[name]))
            .to_vec();
        row.push(table::moment(&letter["dead_at"]));
        row
    };
    let rows: Vec<_> = letters.iter().map(row).collect();
    let heads = [
        "id",
        "pixel",
        "reason",
        "code",
        "event",
        "event_id",
        "dead since",
    ];
    table::print(out, &heads, &rows)?;
    if let Some(next) = page["next"].as_str() {
        writeln!(out, "there are more: --after {}", table::plain(next))?;
    }
    Ok(OK)
}

pub(super) async fn show(
    client: &Client,
    args: &ShowArgs,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut letter = client.get(&["dead", &args.id.to_string()], &[]).await?;
    if args.json {
        return print_json(out, &letter);
    }
    for name in ["received_at", "expires_at", "dead_at"] {
        letter[name] = table::moment(&letter[name]).into();
    }
    let event = letter["event"].take();
    for (name, value) in letter.as_object().into_iter().flatten() {
        if name != "event" {
            writeln!(out, "{:<13} {}", table::plain(name), table::cell(value))?;
        }
    }
    for line in serde_json::to_string_pretty(&event)?.lines() {
        writeln!(out, "{}", table::plain(line))?;
    }
    Ok(OK)
}

pub(super) async fn summary(
    client: &Client,
    args: &SummaryArgs,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let summary = client.get(&["dead", "summary"], &[]).await?;
    if args.json {
        return print_json(out, &summary);
    }
    let groups = summary["groups"].as_array().map_or(&[][..], Vec::as_slice);
    let row = |group: &Value| ["pixel", "reason", "letters"].map(|name| table::cell(&group[name]));
    let mut rows: Vec<_> = groups.iter().map(|group| row(group).to_vec()).collect();
    let all = json!({"pixel": "all", "letters": summary["letters"]});
    rows.push(row(&all).to_vec());
    table::print(out, &["pixel", "reason", "letters"], &rows)?;
    let (bytes, oldest) = (&summary["bytes"], table::moment(&summary["oldest_at"]));
    writeln!(out, "{bytes} bytes, the oldest of {oldest}")?;
    Ok(OK)
}

pub(super) async fn export(
    client: &Client,
    args: &ExportArgs,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let path = ["dead", "export"];
    client.copy(&path, &args.which.query(), out).await?;
    out.flush()?;
    Ok(OK)
}
