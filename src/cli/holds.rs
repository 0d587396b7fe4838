//! `capigate holds`: what is held or throttled, holding a pixel by hand, and letting go.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Reach;
use super::{OK, print_json, table};
use crate::pixel::PixelId;

/// See which pixels, tokens and apps are held or throttled, release them, and hold pixels by hand.
#[derive(Debug, Args)]
pub(super) struct HoldsArgs {
    #[command(subcommand)]
    verb: Verb,
}

/// What the id of a pixel that is held by hand begins with.
const BY_HAND: &str = "by_hand:";

#[derive(Debug, Subcommand)]
enum Verb {
    /// List them with what to do about each.
    List(ListArgs),
    /// Hold a pixel by hand: its events are taken and wait, until it is released.
    Add(AddArgs),
    /// Release one: a pixel held by hand sends again, and of others the next batch decides.
    Release(ReleaseArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    #[command(flatten)]
    reach: Reach,
    /// The pixel
    pixel: PixelId,
    /// Release it by itself after so long, such as 2h; at most 30d
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<String>,
    /// Why, for whoever finds it held
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// In the place of the end and reason of a hold that there is
    #[arg(long)]
    replace: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
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
    /// The hold, such as pixel:1234567890123456 or by_hand:1234567890123456
    id: String,
}

/// Runs `capigate holds`; returns the exit code.
pub(super) async fn run(args: HoldsArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    match args.verb {
        Verb::List(args) => list(args, out).await,
        Verb::Add(args) => add(args, out).await,
        Verb::Release(args) => {
            let client = args.reach.client()?;
            let path = ["holds", &args.id, "release"];
            client.post(&path, &json!({})).await?;
            let then = if args.id.starts_with(BY_HAND) {
                "what waits is sent"
            } else {
                "the next batch decides"
            };
            writeln!(out, "released: {then}")?;
            Ok(OK)
        }
    }
}

async fn add(args: AddArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.reach.client()?;
    let mut body = json!({ "pixel": args.pixel });
    for (name, value) in [("for", args.span), ("reason", args.reason)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    if args.replace {
        body["replace"] = true.into();
    }
    let held = client.post(&["holds"], &body).await?;
    if args.json {
        return print_json(out, &held);
    }
    let until = match &held["until"] {
        Value::Null => "it is released".to_owned(),
        until => table::moment(until),
    };
    let (pixel, id) = (args.pixel, table::cell(&held["id"]));
    writeln!(
        out,
        "held: events of pixel {pixel} are taken and wait until {until}; Meta refuses those older than 7 days\nrelease it: `capigate holds release {id}`"
    )?;
    Ok(OK)
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
        let by_hand = &hold["by_hand"];
        if let Some(by) = by_hand["by"].as_str() {
            let id = table::cell(&hold["id"]);
            let until = by_hand["until"]
                .as_i64()
                .map(|_| table::moment(&by_hand["until"]));
            let until = until.map_or_else(String::new, |until| format!(", until {until}"));
            let why = by_hand["reason"]
                .as_str()
                .map_or_else(String::new, |why| format!(": {}", table::plain(why)));
            writeln!(out, "{id}: held by {}{until}{why}", table::plain(by))?;
        }
        let (id, advice) = (table::cell(&hold["id"]), table::cell(&hold["advice"]));
        writeln!(out, "{id}: {advice}")?;
    }
    Ok(OK)
}
