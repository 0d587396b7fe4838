//! `capigate holds`: what is held or throttled, and letting the next batch decide anew.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Reach;
use super::{OK, print_json, table};

/// See which pixels, tokens and apps are held or throttled, and release them.
#[derive(Debug, Args)]
pub(super) struct HoldsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List them with what to do about each.
    List(ListArgs),
    /// Let the next batch decide about one.
    Release(ReleaseArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    reach: Reach,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ReleaseArgs {
    #[command(flatten)]
    reach: Reach,
    /// The hold, such as pixel:1234567890123456
    id: String,
}

/// Runs `capigate holds`; returns the exit code.
pub(super) async fn run(args: HoldsArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    match args.verb {
        Verb::List(args) => list(args, out).await,
        Verb::Release(args) => {
            let client = args.reach.client()?;
            let path = ["holds", &args.id, "release"];
            client.post(&path, &json!({})).await?;
            writeln!(out, "released: the next batch decides")?;
            Ok(OK)
        }
    }
}

async fn list(args: ListArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.reach.client()?;
    let holds = client.all(&["holds"], &[], "holds").await?;
    if args.json {
        return print_json(out, &Value::Array(holds));
    }
    let row = |hold: &Value| {
        let graph = &hold["graph"];
        let pixels = hold["pixels"].as_array().map_or(0, Vec::len);
        vec![
            table::cell(&hold["id"]),
            table::cell(&hold["state"]),
            table::cell(&hold["cause"]),
            table::cell(&graph["code"]),
            table::moment(&hold["since"]),
            table::cell(&hold["next_probe"]),
            pixels.to_string(),
            table::cell(&hold["waiting"]),
        ]
    };
    let rows: Vec<_> = holds.iter().map(row).collect();
    let heads = [
        "id",
        "state",
        "cause",
        "code",
        "since",
        "next try s",
        "pixels",
        "waiting",
    ];
    table::print(out, &heads, &rows)?;
    for hold in &holds {
        let (id, advice) = (table::cell(&hold["id"]), table::cell(&hold["advice"]));
        writeln!(out, "{id}: {advice}")?;
    }
    Ok(OK)
}
