//! `capigate reload`: takes over a changed configuration, and says what came of it.

use std::collections::BTreeMap;
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
    let differences = report["differences"].as_array().into_iter().flatten();
    let told: BTreeMap<&str, &Value> = differences
        .filter_map(|one| Some((one["key"].as_str()?, one)))
        .collect();
    let changed = report["changed"].as_array().map_or(&[][..], Vec::as_slice);
    for key in changed.iter().filter_map(Value::as_str) {
        let one = told.get(key).copied().unwrap_or(&Value::Null);
        let says = match (one["old"].as_str(), one["new"].as_str()) {
            (None, None) => one["what"].as_str().unwrap_or("changed").to_owned(),
            (old, new) => format!("{} -> {}", old.unwrap_or("none"), new.unwrap_or("none")),
        };
        writeln!(out, "  {}: {}", table::plain(key), table::plain(&says))?;
    }
    let warnings = report["warnings"].as_array().into_iter().flatten();
    for warning in warnings.filter_map(Value::as_str) {
        writeln!(out, "warning: {}", table::plain(warning))?;
    }
    Ok(OK)
}
