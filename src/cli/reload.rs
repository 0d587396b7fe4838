//! `capigate reload`: takes over a changed configuration, and says what came of it.

use std::io::Write;

use serde_json::{Value, json};

use super::client::Reach;
use super::{OK, print_json, table};

/// Make a running gateway read its configuration again.
#[derive(Debug, clap::Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    reach: Reach,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `capigate reload`; returns the exit code.
pub(super) async fn run(args: ReloadArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.reach.client()?;
    let report = client.post(&["config", "reload"], &json!({})).await?;
    if args.json {
        return print_json(out, &report);
    }
    let (result, generation) = (table::cell(&report["result"]), &report["generation"]);
    writeln!(out, "{result}, generation {generation}")?;
    let changed = report["changed"].as_array().map_or(&[][..], Vec::as_slice);
    for key in changed.iter().filter_map(Value::as_str) {
        writeln!(out, "  {}", table::plain(key))?;
    }
    Ok(OK)
}
