//! `capigate journal`: what is in the journal's files, never what is in an event.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use crate::cli::{OK, WRONG};
use crate::journal::RealDisk;
use crate::journal::segment::inspect::{FileReport, Report, State, inspect};

/// Look into a journal's directory. Reads only, and may be run beside a gateway.
#[derive(Debug, clap::Args)]
pub struct JournalArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Read every record; exit with 1 if something is damaged.
    Check(Place),
    /// Count what waits, by file and by pixel.
    Stats(Place),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The journal's directory.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `capigate journal`; returns the exit code.
pub fn run(args: &JournalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (place, check) = match &args.verb {
        Verb::Check(place) => (place, true),
        Verb::Stats(place) => (place, false),
    };
    let report = inspect(&RealDisk, &place.dir)
        .with_context(|| format!("cannot read the journal in {}", place.dir.display()))?;
    if report.files.is_empty() {
        anyhow::bail!(
            "there is no journal in {}: no segment file; is it the right directory?",
            place.dir.display()
        );
    }
    if place.json {
        serde_json::to_writer_pretty(&mut *out, &json(&report))?;
        writeln!(out)?;
    } else {
        text(&report, out)?;
    }
    Ok(if check && report.damaged() { WRONG } else { OK })
}

fn word(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Sealed => "sealed",
        State::Spare => "spare",
        State::SetAside => "set aside",
        State::Foreign => "unknown format",
    }
}

fn json(report: &Report) -> serde_json::Value {
    let file = |file: &FileReport| {
        serde_json::json!({
            "name": file.name,
            "state": word(file.state),
            "bytes": file.size,
            "used_bytes": file.used,
            "records": file.records,
            "settled": file.settled,
            "damage": file.damage,
        })
    };
    let files: Vec<_> = report.files.iter().map(file).collect();
    let pixels: serde_json::Map<_, _> = report
        .pixels
        .iter()
        .map(|(pixel, tally)| {
            let tally = serde_json::json!({ "records": tally.records, "bytes": tally.bytes });
            (pixel.to_string(), tally)
        })
        .collect();
    serde_json::json!({ "files": files, "pixels": pixels, "damaged": report.damaged() })
}

fn text(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<32} {:<14} {:>10} {:>10} {:>12}  damage",
        "file", "state", "records", "settled", "bytes"
    )?;
    for file in &report.files {
        let damage = if file.damage.is_empty() {
            "-".to_owned()
        } else {
            let places: Vec<String> = file.damage.iter().map(u64::to_string).collect();
            format!("at {}", places.join(", "))
        };
        writeln!(
            out,
            "{:<32} {:<14} {:>10} {:>10} {:>12}  {damage}",
            file.name,
            word(file.state),
            file.records,
            file.settled,
            file.size,
        )?;
    }
    writeln!(out, "\n{:<24} {:>10} {:>14}", "pixel", "waiting", "bytes")?;
    for (pixel, tally) in &report.pixels {
        writeln!(out, "{pixel:<24} {:>10} {:>14}", tally.records, tally.bytes)?;
    }
    let total: u64 = report.pixels.values().map(|tally| tally.records).sum();
    let bytes: u64 = report.pixels.values().map(|tally| tally.bytes).sum();
    writeln!(out, "{:<24} {total:>10} {bytes:>14}", "all")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use crate::journal::{Disk, Envelope, Journal, LeaseLimits, Settings, Settlement, settle_all};
    use crate::telemetry::metrics::Metrics;
    use crate::time::Clock;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: JournalArgs,
    }

    fn call(verb: &str, dir: &Path, more: &[&str]) -> (u8, String) {
        let dir = dir.to_str().unwrap();
        let words = ["capigate", verb, "--dir", dir];
        let line = Line::parse_from(words.iter().chain(more));
        let mut out = Vec::new();
        let code = run(&line.args, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn counts_beside_a_running_journal_and_finds_damage_in_a_stopped_one() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("journal");
        let metrics = Metrics::new().unwrap();
        let open = || {
            let settings = Settings {
                segment_bytes: 1 << 20,
                ..Settings::new(&dir)
            };
            Journal::open(settings, Arc::new(RealDisk), Clock::Real, &metrics).unwrap()
        };
        let journal = open();
        let envelopes =
            [7, 7, 7, 8].map(|pixel| Envelope::sample(pixel, "{\"secret\":\"canary\"}"));
        let envelopes = envelopes.to_vec();
        let lane = envelopes[0].lane.clone();
        journal.append(envelopes).await.unwrap();
        let (code, text) = call("check", &dir, &[]);
        assert_eq!(code, OK, "{text}");
        assert!(!text.contains("canary"));
        let limits = LeaseLimits {
            max_events: 1,
            max_bytes: 1000,
        };
        settle_all(journal.lease(&lane, limits), Settlement::Delivered);
        journal.close().await;

        let (code, text) = call("stats", &dir, &["--json"]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &value["damaged"]), (OK, &false.into()));
        assert_eq!(value["pixels"]["7"]["records"], 2);
        assert_eq!(value["pixels"]["8"]["records"], 1);
        let file = &value["files"][0];
        assert_eq!((&file["records"], &file["settled"]), (&4.into(), &1.into()));
        assert_eq!(file["state"], "open");
        open().close().await;

        // rot in the first record, whose segment is sealed by now
        let name = file["name"].as_str().unwrap();
        let disk = RealDisk.open(&dir.join(name)).unwrap();
        disk.write_at(b"!", 512 + 32 + 52 + 3).unwrap();
        let (code, text) = call("check", &dir, &[]);
        assert_eq!(code, WRONG);
        assert!(text.contains("at 512"), "{text}");
        assert_eq!(call("stats", &dir, &[]).0, OK);
    }

    #[test]
    fn a_directory_that_is_not_there_is_said_so() {
        let place = Place {
            dir: PathBuf::from("/nowhere/journal"),
            json: false,
        };
        let args = JournalArgs {
            verb: Verb::Check(place),
        };
        let error = run(&args, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/journal"));
    }
}
