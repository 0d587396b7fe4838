//! `capigate test-mode`: starts, lists and stops test event codes.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Reach, failure};
use super::{OK, USAGE, print_json, table};
use crate::app::offline::Offline;
use crate::config::units::Span;
use crate::pixel::PixelId;

/// Send events with a test event code for a while, so that they show under Test events in the
/// Events Manager. They count as real ones all the same.
#[derive(Debug, Args)]
pub(super) struct TestModeArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a code for a pixel's events, in the place of one that was started before.
    Start(StartArgs),
    /// List every code that the gateway holds.
    List(ListArgs),
    /// Put every code for a pixel's events out of force, also those of the configuration.
    Stop(StopArgs),
}

#[derive(Debug, Args)]
struct StartArgs {
    #[command(flatten)]
    reach: Reach,
    /// The pixel
    pixel: PixelId,
    /// The code, from Events Manager → Test events; `capigate token guide test-code` says where
    #[arg(long, value_name = "CODE")]
    code: String,
    /// When it ends by itself, such as 2h; at most 30d
    #[arg(long = "for", value_name = "DURATION")]
    span: Span,
    /// Send each event without the code, and a copy of it with the code
    #[arg(long)]
    mirror: bool,
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
struct StopArgs {
    #[command(flatten)]
    reach: Reach,
    /// The pixel
    pixel: PixelId,
    /// Work on the journal's directory of the configuration; no gateway may have it open
    #[arg(long, conflicts_with = "admin")]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `capigate test-mode`; returns the exit code.
pub(super) async fn run(args: TestModeArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Start(args) => start(args, out).await,
        Verb::List(args) => list(args, out).await,
        Verb::Stop(args) => stop(args, out).await,
    }
}

async fn start(args: StartArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.reach.client()?;
    let body = json!({
        "pixel": args.pixel,
        "code": args.code,
        "for": args.span,
        "mirror": args.mirror,
    });
    let entry = client.post(&["test-mode"], &body).await?;
    if args.json {
        return print_json(out, &entry);
    }
    let (code, until) = (table::cell(&entry["code"]), table::moment(&entry["until"]));
    let pixel = args.pixel;
    let how = if args.mirror {
        format!("events of pixel {pixel} go out as before, and a copy of each with {code}")
    } else {
        format!("events of pixel {pixel} go out with {code}, and count as real ones all the same")
    };
    writeln!(out, "started until {until}: {how}")?;
    Ok(OK)
}

async fn list(args: ListArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.reach.client()?;
    let shown = client.get(&["test-mode"], &[]).await?;
    if args.json {
        return print_json(out, &shown["codes"]);
    }
    let codes = shown["codes"].as_array().map_or(&[][..], Vec::as_slice);
    if codes.is_empty() {
        writeln!(out, "no test event code is set")?;
        return Ok(OK);
    }
    let row = |entry: &Value| {
        let until = match &entry["until"] {
            Value::Null => "no end".to_owned(),
            at => table::moment(at),
        };
        let key = entry["key"].as_str().unwrap_or("started at run time");
        let mirror = if entry["mirror"] == true { "yes" } else { "no" };
        vec![
            table::cell(&entry["pixel"]),
            table::cell(&entry["source"]),
            table::cell(&entry["code"]),
            table::cell(&entry["state"]),
            until,
            mirror.to_owned(),
            key.to_owned(),
        ]
    };
    let rows: Vec<_> = codes.iter().map(row).collect();
    let heads = [
        "pixel", "source", "code", "state", "until", "mirror", "where",
    ];
    table::print(out, &heads, &rows)?;
    Ok(OK)
}

async fn stop(args: StopArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    if !args.offline {
        let client = args.reach.client()?;
        return stop_with(&client, &args, out).await;
    }
    let config = args.reach.load()?;
    let opened = tokio::task::spawn_blocking(move || Offline::open(config)).await?;
    let offline = opened.map_err(|error| failure(USAGE, format!("{error:#}")))?;
    let client = Client::here(offline.router(), offline.key())?;
    let done = stop_with(&client, &args, out).await;
    offline.close().await;
    done
}

async fn stop_with(client: &Client, args: &StopArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let stopped = end(client, args.pixel).await?;
    if args.json {
        return print_json(out, &stopped);
    }
    tell_stopped(&stopped, out)?;
    Ok(OK)
}

/// Puts every code for a pixel's events out of force.
pub(super) async fn end(client: &Client, pixel: PixelId) -> anyhow::Result<Value> {
    let body = json!({ "pixel": pixel });
    client.post(&["test-mode", "stop"], &body).await
}

/// What a stop came to, for people.
pub(super) fn tell_stopped(stopped: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
    let list = |name: &str| stopped[name].as_array().cloned().unwrap_or_default();
    let (codes, pixel) = (list("stopped"), table::cell(&stopped["pixel"]));
    if codes.is_empty() {
        writeln!(out, "no test event code was in force for pixel {pixel}")?;
    }
    for entry in codes {
        let code = table::cell(&entry["code"]);
        writeln!(out, "stopped: {code} for events of pixel {pixel}")?;
    }
    for key in list("keys") {
        let key = table::cell(&key);
        writeln!(
            out,
            "{key} still stands in the configuration, out of force for this pixel: take it out"
        )?;
    }
    Ok(())
}
