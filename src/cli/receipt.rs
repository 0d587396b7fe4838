//! `capigate receipt`: what became of an event.

use std::io::Write;

use serde_json::Value;

use super::client::{Reach, failure};
use super::{OK, USAGE, print_json, table};

/// Ask a running gateway where an event stands.
#[derive(Debug, clap::Args)]
pub(super) struct ReceiptArgs {
    #[command(flatten)]
    reach: Reach,
    /// The event's id
    event_id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `capigate receipt`; returns the exit code.
pub(super) async fn run(args: ReceiptArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.reach.client()?;
    if matches!(args.event_id.as_str(), "" | "." | "..") {
        let message = "no path of the admin API can name this event_id";
        return Err(failure(USAGE, message));
    }
    let answer = client.get(&["events", &args.event_id], &[]).await?;
    if args.json {
        return print_json(out, &answer);
    }
    let row = |event: &Value| {
        let at = ["at", "received_at"].map(|name| &event[name]);
        let at = at.into_iter().find(|at| !at.is_null());
        let mut row = ["event_name", "pixel", "state"]
            .map(|name| table::cell(&event[name]))
            .to_vec();
        row.push(table::moment(at.unwrap_or(&Value::Null)));
        row.extend(["batch", "reason", "code", "trace_id"].map(|name| table::cell(&event[name])));
        let policies = event["policies"].as_array().map_or(&[][..], Vec::as_slice);
        let policies: Vec<&str> = policies.iter().filter_map(Value::as_str).collect();
        row.push(table::cell(&policies.join(", ").into()));
        row
    };
    let events = answer["events"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<_> = events.iter().map(row).collect();
    let heads = [
        "event", "pixel", "state", "at", "batch", "reason", "code", "trace", "policies",
    ];
    table::print(out, &heads, &rows)?;
    for event in events {
        details(out, event)?;
    }
    Ok(OK)
}

/// What became of its fields, and the requests that carried it.
fn details(out: &mut dyn Write, event: &Value) -> std::io::Result<()> {
    let list = |name: &str| event[name].as_array().map_or(&[][..], Vec::as_slice);
    let changes: Vec<_> = (list("changes").iter())
        .map(|one| ["path", "why"].map(|name| table::cell(&one[name])).to_vec())
        .collect();
    if !changes.is_empty() {
        writeln!(out)?;
        table::print(out, &["field", "what became of it, and why"], &changes)?;
    }
    let attempt = |one: &Value| {
        let mut row = vec![table::moment(&one["at"])];
        let names = [
            "outcome", "code", "subcode", "trace_id", "events", "of_batch", "took_ms",
        ];
        row.extend(names.map(|name| table::cell(&one[name])));
        row
    };
    let attempts: Vec<_> = list("attempts").iter().map(attempt).collect();
    if !attempts.is_empty() {
        writeln!(out)?;
        let heads = [
            "request", "outcome", "code", "subcode", "trace", "events", "of batch", "ms",
        ];
        table::print(out, &heads, &attempts)?;
    }
    Ok(())
}
