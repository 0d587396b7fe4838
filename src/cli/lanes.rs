//! `capigate lanes`: what each lane of a running gateway does.

use std::io::Write;

use serde_json::Value;

use super::client::Reach;
use super::{OK, table};

/// Show every lane: its state, why it is held, what waits.
#[derive(Debug, clap::Args)]
pub(super) struct LanesArgs {
    #[command(flatten)]
    reach: Reach,

    /// Only those of this pixel
    #[arg(long, value_name = "PIXEL")]
    pixel: Option<crate::pixel::PixelId>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `capigate lanes`; returns the exit code.
pub(super) async fn run(args: LanesArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.reach.client()?;
    let pixel: Vec<_> = args
        .pixel
        .map(|pixel| ("pixel", pixel.to_string()))
        .into_iter()
        .collect();
    let lanes = client.all(&["lanes"], &pixel, "lanes").await?;
    if args.json {
        return super::print_json(out, &Value::Array(lanes));
    }
    let row = |lane: &Value| {
        [
            "id",
            "state",
            "reason",
            "waiting",
            "leased",
            "oldest_seconds",
            "seconds",
        ]
        .map(|name| table::cell(&lane[name]))
        .to_vec()
    };
    let rows: Vec<_> = lanes.iter().map(row).collect();
    let heads = [
        "lane",
        "state",
        "reason",
        "waiting",
        "in flight",
        "oldest s",
        "for s",
    ];
    table::print(out, &heads, &rows)?;
    for lane in &lanes {
        if let Some(advice) = lane["advice"].as_str() {
            writeln!(
                out,
                "{}: {}",
                table::cell(&lane["id"]),
                table::plain(advice)
            )?;
        }
    }
    Ok(OK)
}
