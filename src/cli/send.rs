//! `capigate send`: posts the events of a file to a running gateway.
//!
//! The file is read by a thread of its own, batch by batch, and each batch is posted until the
//! gateway has answered for every row of it. What the rows came to is written to a file in their
//! order, and how far that file goes is noted beside it, so that an interrupted run goes on there.

mod feed;
mod post;
mod progress;
mod results;
mod state;
mod work;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use url::Url;

use super::client::{failure, reached_at};
use super::config::ConfigFiles;
use super::lint::{self, Lint};
use super::records::{Reading, Record, Source};
use super::{OK, USAGE, WRONG, environment};
use crate::app::signals::Signals;
use crate::config::units::{Rate, Span};
use crate::config::{Config, SecretRef};
use crate::lint::Totals;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::Clock;
use post::Poster;
use progress::Progress;
use results::Results;
use state::State;
use work::{Ended, Work};

/// The network, or the gateway, was not there for too long.
const NETWORK: u8 = 6;
/// Stopped by a signal.
const CANCELLED: u8 = 7;
/// The variable the ingest key is looked for when no other place is named.
const KEY_VARIABLE: &str = "CAPIGATE_INGEST_KEY";
/// The most batches on their way at once.
const MAX_PARALLEL: u8 = 8;

/// Send the events of a file to a running gateway.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Args, Debug)]
pub(super) struct SendArgs {
    /// JSON, NDJSON or CSV; - is standard input
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFiles,
    /// Ingest address of the gateway, such as http://127.0.0.1:8080; else that of the configuration
    #[arg(long, value_name = "URL")]
    to: Option<Url>,
    /// The pixel to send to; else the only one of the configuration
    #[arg(long, value_name = "ID")]
    pixel: Option<PixelId>,
    /// Environment variable with the ingest key; else CAPIGATE_INGEST_KEY
    #[arg(long, value_name = "NAME", conflicts_with = "key_file")]
    key_env: Option<String>,
    /// File with the ingest key
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Events in a request, 1 to 1000
    #[arg(long, value_name = "EVENTS", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
    /// Events sent in a second, minute or hour, such as 200/s; else as fast as the gateway takes them
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Requests on their way at once, 1 to 8
    #[arg(long, value_name = "REQUESTS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_PARALLEL)))]
    parallel: u8,
    /// Send as test events, under this code of the Events Manager
    #[arg(long, value_name = "CODE")]
    test_event_code: Option<String>,
    /// A name for this upload, which Graph is told
    #[arg(long, value_name = "TEXT")]
    upload_tag: Option<String>,
    /// How long to try while the gateway does not take a batch
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    give_up: Span,
    /// File for what each row came to, CSV or (by its ending) NDJSON; else FILE.results.csv
    #[arg(long, value_name = "PATH")]
    results: Option<PathBuf>,
    /// File in which an interrupted run finds where to go on; else FILE.capigate-progress
    #[arg(long, value_name = "PATH")]
    state: Option<PathBuf>,
    /// Begin again, though the file was sent before in whole or in part
    #[arg(long)]
    restart: bool,
    /// Look at everything as `capigate lint` does, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: the source whose rules and policies hold; else the only one of the pixel
    #[arg(long, value_name = "NAME", requires = "dry_run")]
    source: Option<String>,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    no_progress: bool,
}

/// Runs `capigate send`; returns the exit code.
pub(super) async fn run(args: SendArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut signals = Signals::new()?;
    let config = load(&args.config)?;
    let pixel = match args.pixel {
        Some(pixel) => pixel,
        None => only_pixel(&config)?,
    };
    let source = Source::open(&args.file, &args.reading)?;
    if source.has_strange_members {
        let mut err = std::io::stderr();
        writeln!(
            err,
            "members beside data that Graph does not know are left out"
        )?;
    }
    let options = options(&args, &source.options)?;
    if args.dry_run {
        let lint = Lint::new(&config, pixel, args.source.as_deref(), Clock::Real.now())?;
        return dry_run(&args, source, &lint.with_options(&options)?, out);
    }
    let url = address(&args, &config, pixel)?;
    let settings = settings(&args, &url, &options);
    let poster = Poster::new(url, &key(&args)?, &options, args.give_up.into())?;

    let (mut state, mut results, place) = begin(&args, &source, pixel, settings)?;
    if state.done {
        let rows = state.rows;
        writeln!(
            std::io::stderr(),
            "nothing is left to send: all {rows} rows were sent before. --restart sends them again"
        )?;
        return finish(&args, &state, Ended::Whole, Duration::ZERO, out);
    }
    if state.rows > 0 {
        let rows = state.rows;
        writeln!(
            std::io::stderr(),
            "going on behind row {rows}, which was confirmed before. The batch after it may have arrived already; its events keep their ids, given or made from their content, so they count once."
        )?;
    }
    let is_shown = !args.no_progress;
    let mut work = Work {
        poster,
        progress: Progress::new(source.size, is_shown, std::io::stderr().is_terminal()),
        batch: usize::from(args.batch),
        parallel: usize::from(args.parallel),
        rate: args.rate,
        place,
    };
    let begun = tokio::time::Instant::now();
    let ended = work
        .run(source, &mut state, results.as_mut(), &mut signals)
        .await?;
    finish(&args, &state, ended, begun.elapsed(), out)
}

fn load(files: &ConfigFiles) -> anyhow::Result<Config> {
    let loaded = Config::load(&files.files, environment());
    loaded.map_err(|faults| failure(USAGE, format!("the configuration has faults:\n{faults}")))
}

fn only_pixel(config: &Config) -> anyhow::Result<PixelId> {
    let mut pixels = config.pixels.keys();
    match (pixels.next(), pixels.next()) {
        (Some(only), None) => Ok(*only),
        _ => Err(failure(
            USAGE,
            "say which pixel the events are for, with --pixel ID",
        )),
    }
}

fn address(args: &SendArgs, config: &Config, pixel: PixelId) -> anyhow::Result<Url> {
    let mut url = match &args.to {
        Some(url) => url.clone(),
        None => reached_at(
            config.listen.ingest,
            config.listen.tls.is_some(),
            "listen.ingest",
            "--to",
        )?,
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(failure(
            USAGE,
            "--to is an http or https address, such as http://127.0.0.1:8080",
        ));
    }
    let path = format!("{}/capi/{pixel}/events", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn key(args: &SendArgs) -> anyhow::Result<Secret> {
    let place = match (&args.key_env, &args.key_file) {
        (Some(name), _) => SecretRef::Env(name.clone()),
        (None, Some(path)) => SecretRef::File(path.clone()),
        (None, None) => SecretRef::Env(KEY_VARIABLE.to_owned()),
    };
    let env = |name: &str| std::env::var(name).ok();
    place.read_with(&env).map_err(|error| {
        let message = format!(
            "no ingest key is at hand: {error}; set {KEY_VARIABLE}, or name another variable with --key-env or a file with --key-file"
        );
        failure(USAGE, message)
    })
}

/// The members beside `data`: those of the file, with those of the command line in their place.
fn options(args: &SendArgs, of_file: &[(String, String)]) -> anyhow::Result<Vec<(String, String)>> {
    let mut options = of_file.to_vec();
    let given = [
        ("test_event_code", &args.test_event_code),
        ("upload_tag", &args.upload_tag),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            options.retain(|(known, _)| known != name);
            options.push((name.to_owned(), serde_json::to_string(value)?));
        }
    }
    Ok(options)
}

/// Where the run before this one stopped, if there was one; and the file of results, positioned.
fn begin(
    args: &SendArgs,
    source: &Source,
    pixel: PixelId,
    settings: BTreeMap<String, String>,
) -> anyhow::Result<(State, Option<Results>, Option<PathBuf>)> {
    let is_file = source.size.is_some();
    let place = match &args.state {
        Some(_) if !is_file => {
            let message =
                "what comes from standard input cannot be gone on with: leave out --state";
            return Err(failure(USAGE, message));
        }
        Some(path) => Some(path.clone()),
        None => is_file.then(|| beside(&args.file, ".capigate-progress")),
    };
    if let Some(place) = &place {
        apart(&args.file, place, None)?;
    }
    let fresh = State::new(source, pixel, settings);
    let before = match &place {
        Some(place) if !args.restart => State::read(place)?,
        _ => None,
    };
    let goes_on = before.is_some();
    let mut state = match before {
        Some(before) => before.following(&fresh)?,
        None => fresh,
    };
    let path = match &args.results {
        Some(path) => Some(path.clone()),
        None => is_file.then(|| beside(&args.file, ".results.csv")),
    };
    let Some(path) = path else {
        return Ok((state, None, place));
    };
    apart(&args.file, &path, place.as_deref())?;
    let results = if goes_on {
        Results::go_on(&path, state.results_bytes)?
    } else {
        Results::create(&path, args.restart)?
    };
    if goes_on && results.is_new {
        // what the rows before came to is in a file that is gone
        state.results_from = state.rows + 1;
        writeln!(
            std::io::stderr(),
            "{} was not there: what rows 1 to {} came to is lost, and it begins behind them",
            path.display(),
            state.rows
        )?;
    }
    state.results_bytes = results.bytes;
    if let Some(place) = &place {
        // from now on the file of results is known as this run's
        state.write(place)?;
    }
    Ok((state, Some(results), place))
}

/// Digests of what decides where the rows go and what becomes of them, by the option's name.
fn settings(args: &SendArgs, url: &Url, options: &[(String, String)]) -> BTreeMap<String, String> {
    use sha2::{Digest, Sha256};
    let reading = &args.reading;
    let zone = reading.zone.as_ref().and_then(|zone| zone.iana_name());
    let code = options.iter().find(|(name, _)| name == "test_event_code");
    let texts = [
        ("--to", url.origin().ascii_serialization() + url.path()),
        (
            "--test-event-code",
            format!("{:?}", code.map(|(_, code)| code)),
        ),
        ("--format", format!("{:?}", reading.format)),
        ("--delimiter", format!("{:?}", reading.delimiter)),
        ("--map", format!("{:?}", reading.map)),
        ("--ignore", format!("{:?}", reading.ignore)),
        ("--default", format!("{:?}", reading.default)),
        ("--zone", format!("{zone:?}")),
    ];
    let digest = |text: &str| hex::encode(&Sha256::digest(text)[..8]);
    texts
        .into_iter()
        .map(|(name, text)| (name.to_owned(), digest(&text)))
        .collect()
}

/// The files that are read and written are different ones.
fn apart(input: &Path, written: &Path, other: Option<&Path>) -> anyhow::Result<()> {
    let is_same = is_same(input, written) || other.is_some_and(|other| is_same(other, written));
    if !is_same {
        return Ok(());
    }
    let message = format!(
        "{} would be written over: FILE, --results and --state name different files",
        written.display()
    );
    Err(failure(USAGE, message))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|about| (about.dev(), about.ino()));
    let place = |path: &Path| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(parent.join(path.file_name()?))
    };
    let is_there = id(one).is_some() && id(one) == id(other);
    is_there || one == other || place(one).is_some_and(|place_of| Some(place_of) == place(other))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Looks at everything as `capigate lint` does, and sends nothing.
fn dry_run(
    args: &SendArgs,
    source: Source,
    lint: &Lint,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut totals = Totals::default();
    let mut first: Vec<String> = Vec::new();
    let mut failed = Ok(());
    let mut index = 0;
    let mut one = |record: Record| -> anyhow::Result<()> {
        let mut tell = |path: &str, message: &str| {
            if first.len() < results::SHOWN {
                let words = results::words(path, message);
                first.push(format!("line {}: {words}", record.line));
            }
        };
        match &record.event {
            Ok(event) => {
                let linted = lint.look(index, event)?;
                totals.add(&linted);
                for finding in linted.findings.iter().filter(|one| one.kind != "warning") {
                    tell(&finding.path, &finding.rule);
                }
            }
            Err(fault) => {
                totals.add_error(fault.code);
                tell(&fault.path, &fault.message);
            }
        }
        index += 1;
        Ok(())
    };
    let read = source.read(&mut |record| match one(record) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Err(error);
            ControlFlow::Break(())
        }
    });
    failed.and(read)?;
    if args.json {
        super::print_json(
            out,
            &json!({ "sent": 0, "totals": totals, "faults": first }),
        )?;
    } else {
        for line in first {
            writeln!(out, "{line}")?;
        }
        lint::totals(&totals, out)?;
        writeln!(out, "nothing was sent")?;
    }
    Ok(if totals.is_good() { OK } else { WRONG })
}

/// Says what came of it.
fn finish(
    args: &SendArgs,
    state: &State,
    ended: Ended,
    took: Duration,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let counts = &state.counts;
    let results = args.results.clone().or_else(|| {
        let is_file = args.file != Path::new("-");
        is_file.then(|| beside(&args.file, ".results.csv"))
    });
    let results = results.map(|path| path.display().to_string());
    if args.json {
        let summary: Value = json!({
            "file": args.file.display().to_string(),
            "pixel": state.pixel,
            "rows": state.rows,
            "status": counts.by_status,
            "codes": counts.by_code,
            "whole": ended == Ended::Whole,
            "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
            "results": results,
        });
        super::print_json(out, &summary)?;
    } else {
        let parts: Vec<String> = counts
            .by_status
            .iter()
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        let parts = if parts.is_empty() {
            "none yet".to_owned()
        } else {
            parts.join(", ")
        };
        writeln!(out, "{} rows answered for: {parts}", state.rows)?;
        for (code, count) in &counts.by_code {
            writeln!(out, "  {count} × {code}")?;
        }
        if let Some(results) = results {
            match state.results_from {
                from if from > state.rows => {}
                0 | 1 => writeln!(out, "each row is in {results}")?,
                from => writeln!(out, "each row from row {from} on is in {results}")?,
            }
        }
    }
    let again = "the same command goes on from there";
    match ended {
        Ended::Whole if counts.of("refused") + counts.of("error") > 0 => Ok(WRONG),
        Ended::Whole => Ok(OK),
        Ended::Stopped if args.file == Path::new("-") => Err(failure(
            CANCELLED,
            format!("stopped behind row {}", state.rows),
        )),
        Ended::Stopped => Err(failure(
            CANCELLED,
            format!("stopped behind row {}; {again}", state.rows),
        )),
        Ended::GaveUp(why) => Err(failure(
            NETWORK,
            format!("gave up behind row {}: {why}; {again}", state.rows),
        )),
        Ended::Wrong(why) => Err(failure(
            USAGE,
            format!("ended behind row {}: {why}", state.rows),
        )),
        Ended::Live(events) => Err(failure(
            WRONG,
            format!(
                "stopped behind row {}: the source does not take a test_event_code, so the gateway left it out and took {events} of the events as live. Set sources.NAME.allow_test_event_code = true, or begin with `capigate test-mode start`; {again}",
                state.rows
            ),
        )),
        Ended::Unreadable(error) => Err(failure(
            WRONG,
            format!("ended behind row {}: {error}", state.rows),
        )),
    }
}
