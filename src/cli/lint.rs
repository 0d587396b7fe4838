//! `capigate lint`: what would become of the events of a file, before any is sent.

mod print;

pub(super) use print::totals;

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use axum::http::HeaderValue;
use clap::Args;
use serde_json::json;

use super::client::failure;
use super::config::ConfigFiles;
use super::records::{Reading, Record, Source};
use super::{OK, USAGE, WRONG, environment};
use crate::app::linting;
use crate::codes::{self, Code};
use crate::config::Config;
use crate::ingest::answer::Rejection;
use crate::ingest::request::Kind;
use crate::lint::{Body, Case, Desk, Linted, Totals};
use crate::pixel::PixelId;
use crate::private_file;
use crate::time::{Clock, UnixMs};

/// The pixel where none is named: the one of all examples.
const SOME_PIXEL: &str = "1234567890123456";
/// Bytes of a form, which is read as a whole.
const MAX_FORM: u64 = 8 << 20;

/// Look at events before they are sent: what would be refused or changed, and what would go out.
#[derive(Args, Debug)]
pub(super) struct LintArgs {
    /// JSON, NDJSON or CSV; - is standard input
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFiles,
    /// The pixel the events are for; else the only one of the configuration
    #[arg(long, value_name = "ID")]
    pixel: Option<PixelId>,
    /// The source whose rules and policies hold; else the only one of the pixel, else the defaults
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Read one request body of this type, such as application/x-www-form-urlencoded
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    reading: Reading,
    /// The moment the events arrive, as RFC 3339 or Unix seconds; else now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    clock: Option<UnixMs>,
    /// Show only what is refused or cannot be read, and the counts
    #[arg(long)]
    brief: bool,
    /// Print JSON: one object an event and, last, one with the totals
    #[arg(long)]
    json: bool,
}

/// What events are looked at with.
pub(super) struct Lint {
    desk: Desk,
    case: Case,
}

impl Lint {
    /// For a pixel, a source, and the options of a file.
    pub(super) fn new(
        config: &Config,
        pixel: PixelId,
        source: Option<&str>,
        now: UnixMs,
    ) -> anyhow::Result<Self> {
        if let Some(name) = source.filter(|name| !config.sources.contains_key(*name)) {
            let message = format!("--source: no source of the configuration is called {name}");
            return Err(failure(USAGE, message));
        }
        if !config.pixels.is_empty() && !config.pixels.contains_key(&pixel) {
            let message =
                format!("pixel {pixel} is not one of the configuration: name one under pixels");
            return Err(failure(WRONG, message));
        }
        let has_proof = config
            .pixels
            .get(&pixel)
            .is_some_and(|own| own.app_secret.is_some());
        let desk = linting::desk(config.clone(), pixel)?;
        let case = Case {
            pixel,
            source: linting::source_of(config, pixel, source),
            options: crate::journal::RequestOptions::default(),
            now,
            has_proof,
        };
        desk.admit(&case).map_err(|error| refused(&error))?;
        Ok(Self { desk, case })
    }

    /// With the options of a request, as JSON texts by name.
    pub(super) fn with_options(mut self, members: &[(String, String)]) -> anyhow::Result<Self> {
        self.case.options = self
            .desk
            .options(members)
            .map_err(|error| refused(&error))?;
        Ok(self)
    }

    /// What would become of one event.
    pub(super) fn look(&self, index: usize, event: &str) -> anyhow::Result<Linted> {
        Ok(self.desk.look(index, event, &self.case)?)
    }
}

/// Runs `capigate lint`; returns the exit code.
pub(super) fn run(args: &LintArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let loaded = Config::load(&args.config.files, environment());
    let config = loaded
        .map_err(|faults| failure(USAGE, format!("the configuration has faults:\n{faults}")))?;
    let pixel = match (args.pixel, config.pixels.keys().next()) {
        (Some(pixel), _) => pixel,
        (None, Some(only)) if config.pixels.len() == 1 => *only,
        (None, None) => SOME_PIXEL.parse()?,
        _ => {
            return Err(failure(
                USAGE,
                "say which pixel the events are for, with --pixel ID",
            ));
        }
    };
    let now = args.clock.unwrap_or_else(|| Clock::Real.now());
    let lint = Lint::new(&config, pixel, args.source.as_deref(), now)?;
    let mut totals = Totals::default();
    let mut has_strangers = false;
    if let Some(kind) = &args.content_type {
        whole(args, kind, lint, &mut totals, out)?;
    } else {
        let source = Source::open(&args.file, &args.reading)?;
        let members = [&source.options[..], &source.callers].concat();
        let lint = lint.with_options(&members)?;
        has_strangers = source.has_strange_members;
        let has_data = source.has_data;
        let events = stream(args, source, &lint, &mut totals, out)?;
        if has_data {
            // one request has them all
            lint.desk.fits(events).map_err(|error| refused(&error))?;
        }
    }
    let code = codes::UNKNOWN_MEMBER;
    if has_strangers && !args.json {
        let line = "a warning: members beside data that Graph does not know are left out";
        writeln!(out, "{line} ({code})")?;
    }
    if args.json {
        let warnings: Vec<Code> = has_strangers.then_some(code).into_iter().collect();
        writeln!(out, "{}", json!({ "totals": totals, "warnings": warnings }))?;
    } else {
        print::totals(&totals, out)?;
    }
    Ok(if totals.is_good() { OK } else { WRONG })
}

/// One body, as a client would post it.
fn whole(
    args: &LintArgs,
    kind: &str,
    mut lint: Lint,
    totals: &mut Totals,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let header = HeaderValue::from_str(kind)
        .map_err(|_| failure(USAGE, "--content-type: expected such as application/json"))?;
    let kind = Kind::of(Some(&header)).map_err(|error| refused(&error))?;
    let body = body(&args.file)?;
    let Body {
        events,
        options,
        findings,
    } = lint
        .desk
        .read(&kind, &body)
        .map_err(|error| refused(&error))?;
    lint.case.options = options;
    totals.add_findings(&findings);
    if args.json && !findings.is_empty() {
        writeln!(out, "{}", json!({ "findings": findings }))?;
    } else {
        print::findings(&findings, out)?;
    }
    for (index, event) in events.iter().enumerate() {
        let linted = lint.look(index, event)?;
        totals.add(&linted);
        show(args, &linted, None, out)?;
    }
    Ok(())
}

/// Event by event, of a file of any size: how many there were.
fn stream(
    args: &LintArgs,
    source: Source,
    lint: &Lint,
    totals: &mut Totals,
    out: &mut dyn Write,
) -> anyhow::Result<usize> {
    let mut index = 0;
    let mut failed = Ok(());
    let mut each = |record: Record| -> anyhow::Result<()> {
        match &record.event {
            Ok(event) => {
                let linted = lint.look(index, event)?;
                totals.add(&linted);
                show(args, &linted, Some(record.line), out)?;
            }
            Err(fault) => {
                totals.add_error(fault.code);
                if args.json {
                    let line = json!({
                        "index": index,
                        "line": record.line,
                        "verdict": "error",
                        "path": fault.path,
                        "code": fault.code,
                        "message": fault.message,
                    });
                    writeln!(out, "{line}")?;
                } else {
                    print::fault(record.line, fault, out)?;
                }
            }
        }
        index += 1;
        Ok(())
    };
    let read = source.read(&mut |record| match each(record) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Err(error);
            ControlFlow::Break(())
        }
    });
    failed.and(read)?;
    Ok(index)
}

fn show(
    args: &LintArgs,
    linted: &Linted,
    line: Option<u64>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if args.brief && linted.verdict.word() == "accepted" {
        return Ok(());
    }
    if args.json {
        let mut value = serde_json::to_string(linted)?;
        if let Some(line) = line {
            value.insert_str(1, &format!("\"line\":{line},"));
        }
        writeln!(out, "{value}")?;
        return Ok(());
    }
    print::event(linted, line, args.brief, out)
}

fn refused(rejection: &Rejection) -> anyhow::Error {
    let code = rejection.code();
    failure(WRONG, format!("{} ({code})", rejection.message()))
}

fn body(path: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| {
        let message = format!("{} cannot be read: {}", path.display(), error.kind());
        failure(USAGE, message)
    };
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(private_file::open(path).map_err(unreadable)?)
    };
    let mut body = Vec::new();
    input
        .take(MAX_FORM + 1)
        .read_to_end(&mut body)
        .map_err(unreadable)?;
    if body.len() as u64 > MAX_FORM {
        return Err(failure(
            WRONG,
            "a body of more than 8 MiB would be refused (too_large)",
        ));
    }
    Ok(body)
}

fn moment(text: &str) -> Result<UnixMs, &'static str> {
    if let Ok(seconds) = text.parse() {
        return Ok(UnixMs::from_secs(seconds));
    }
    let moment = text.parse::<jiff::Timestamp>();
    moment
        .map(|moment| UnixMs(moment.as_millisecond()))
        .map_err(|_| "a moment such as 2026-11-22T10:00:00Z, or Unix seconds")
}
