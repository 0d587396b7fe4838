//! `capigate go-live`: what the last hour's traffic says about going live, and the end of test mode.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use super::client::Reach;
use super::test_mode::{end, tell_stopped};
use super::token::ask;
use super::{OK, WRONG, print_json, table};
use crate::config::units::Span;
use crate::pixel::PixelId;

/// Hold a pixel's traffic of the last hour to what going live needs, and end its test mode.
///
/// Each line is ✓ fine, ! to know, ✗ to be mended, or - not told. While something has to be mended,
/// the exit code is 1 and the test event code stays; `capigate test-mode stop` ends it all the same.
#[derive(Debug, Args)]
pub(super) struct GoLiveArgs {
    #[command(flatten)]
    reach: Reach,
    /// The pixel
    pixel: PixelId,
    /// How far to look back, at most 1h
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    window: Span,
    /// End test mode without asking
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `capigate go-live`; returns the exit code.
pub(super) async fn run(args: GoLiveArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.reach.client()?;
    let pixel = args.pixel.to_string();
    let query = [("window", args.window.to_string())];
    let mut found = client.get(&["go-live", &pixel], &query).await?;
    let is_ready = found["ready"] == true;
    let codes = found["test_codes"].as_array().map_or(0, Vec::len);
    if !args.json {
        tell(&found, out)?;
    }
    let ends = is_ready && codes > 0 && is_wanted(&args, &pixel)?;
    let stopped = if ends {
        Some(end(&client, args.pixel).await?)
    } else {
        None
    };
    let exit = if is_ready { OK } else { WRONG };
    if args.json {
        if let Some(found) = found.as_object_mut() {
            let stopped = stopped.unwrap_or(Value::Null);
            found.insert("stopped".to_owned(), json!(stopped));
        }
        print_json(out, &found)?;
        return Ok(exit);
    }
    match (&stopped, is_ready, codes) {
        (Some(stopped), ..) => tell_stopped(stopped, out)?,
        (None, true, 0) => writeln!(out, "pixel {pixel} is live")?,
        (None, true, _) => writeln!(out, "the test event code stays")?,
        (None, false, 0) => writeln!(out, "what is marked ✗ has to be mended")?,
        (None, false, _) => writeln!(
            out,
            "what is marked ✗ has to be mended; the test event code stays (`capigate test-mode stop {pixel}` ends it)"
        )?,
    }
    Ok(exit)
}

/// Without a terminal, and where JSON is printed, nobody can be asked.
fn is_wanted(args: &GoLiveArgs, pixel: &str) -> anyhow::Result<bool> {
    if args.yes {
        return Ok(true);
    }
    let question = format!("Go live with pixel {pixel}, without its test event code?");
    Ok(!args.json && ask::offered(&question)?)
}

fn tell(found: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
    let checks = found["checks"].as_array().map_or(&[][..], Vec::as_slice);
    for check in checks {
        let mark = match check["mark"].as_str() {
            Some("pass") => '✓',
            Some("warn") => '!',
            Some("fail") => '✗',
            _ => '-',
        };
        writeln!(out, "{mark} {}", table::cell(&check["says"]))?;
        if let Some(next) = check["next"].as_str() {
            writeln!(out, "  → {}", table::plain(next))?;
        }
    }
    out.flush()?;
    Ok(())
}
