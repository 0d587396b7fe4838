//! `capigate dead`: look at dead letters, take them out, try them again.

mod change;
mod look;

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::client::{Client, Reach, failure};
use super::{USAGE, table};
use crate::app::offline::Offline;
use crate::journal::dead::{LetterId, Number};

/// Look at events that were given up, and decide what becomes of them.
#[derive(Debug, Args)]
pub(super) struct DeadArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List them, oldest first.
    List(look::ListArgs),
    /// Show one with its event, masked.
    Show(look::ShowArgs),
    /// Count them by pixel and reason.
    Summary(look::SummaryArgs),
    /// Write them to standard output as they are stored, one JSON object a line.
    Export(look::ExportArgs),
    /// Send them again, after a look at what would happen.
    Redrive(change::RedriveArgs),
    /// Delete them for good.
    Purge(change::PurgeArgs),
}

/// Where the dead letters are.
#[derive(Debug, Args)]
struct At {
    #[command(flatten)]
    reach: Reach,

    /// Work on the journal's directory of the configuration; no gateway may have it open
    #[arg(long, conflicts_with = "admin")]
    offline: bool,
}

/// Which letters are meant; all conditions must hold.
#[derive(Debug, Default, Args)]
struct Which {
    /// Of this pixel
    #[arg(long, value_name = "PIXEL")]
    pixel: Option<String>,
    /// Given up for this reason: expired, refused, too_large, unconfirmed
    #[arg(long, value_name = "WORD")]
    reason: Option<String>,
    /// With this event_name
    #[arg(long, value_name = "NAME")]
    event_name: Option<String>,
    /// Refused by Graph with this code; none means without one
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    code: Option<Number>,
    /// Refused by Graph with this subcode; none means without one
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    subcode: Option<Number>,
    /// Dead for this long or longer, such as 7d
    #[arg(long, value_name = "DURATION")]
    older_than: Option<String>,
    /// Dead for less than this, such as 2h
    #[arg(long, value_name = "DURATION")]
    newer_than: Option<String>,
}

impl Which {
    /// The conditions that are given, as parameters of a query.
    fn query(&self) -> Vec<(&'static str, String)> {
        [
            ("pixel", self.pixel.clone()),
            ("reason", self.reason.clone()),
            ("event_name", self.event_name.clone()),
            ("code", self.code.map(|code| code.to_string())),
            ("subcode", self.subcode.map(|subcode| subcode.to_string())),
            ("older_than", self.older_than.clone()),
            ("newer_than", self.newer_than.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// The same as members of a body, with the letters that are named.
    fn body(&self, ids: &[LetterId]) -> Map<String, Value> {
        let mut body: Map<String, Value> = self
            .query()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        if !ids.is_empty() {
            let ids = ids.iter().map(ToString::to_string);
            body.insert("ids".to_owned(), ids.collect());
        }
        body
    }
}

/// Runs `capigate dead`; returns the exit code.
pub(super) async fn run(args: DeadArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let at = match &args.verb {
        Verb::List(args) => &args.at,
        Verb::Show(args) => &args.at,
        Verb::Summary(args) => &args.at,
        Verb::Export(args) => &args.at,
        Verb::Redrive(args) => args.at(),
        Verb::Purge(args) => args.at(),
    };
    if !at.offline {
        return verb(&at.reach.client()?, &args.verb, out).await;
    }
    let config = at.reach.load()?;
    let opened = tokio::task::spawn_blocking(move || Offline::open(config)).await?;
    let offline = opened.map_err(|error| failure(USAGE, format!("{error:#}")))?;
    let client = Client::here(offline.router(), offline.key())?;
    let done = verb(&client, &args.verb, out).await;
    offline.close().await;
    done
}

async fn verb(client: &Client, verb: &Verb, out: &mut dyn Write) -> anyhow::Result<u8> {
    match verb {
        Verb::List(args) => look::list(client, args, out).await,
        Verb::Show(args) => look::show(client, args, out).await,
        Verb::Summary(args) => look::summary(client, args, out).await,
        Verb::Export(args) => look::export(client, args, out).await,
        Verb::Redrive(args) => change::redrive(client, args, out).await,
        Verb::Purge(args) => change::purge(client, args, out).await,
    }
}
