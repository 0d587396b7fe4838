//! The test lab: test codes, what would become of an event, and sending one.

mod outgoing;
mod presets;

use std::fmt::Write;

use askama::Template;
use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::call::Members;
use super::super::problem::Problem;
use super::super::work::beside;
use super::super::{Inner, go_live, lint, test_mode};
use super::pixels::mark;
use super::shell::Shell;
use super::words::span;
use super::{Done, View, Visit};
use crate::app::linting;
use crate::config::Config;
use crate::custody::ladder::Mark;
use crate::lint::{Finding, Linted};
use crate::pixel::PixelId;
use crate::test_mode::{Entry, Standing};
use crate::time::UnixMs;
use crate::traffic::WINDOW;

use outgoing::Sent;
use presets::PRESETS;

/// The page.
const HOME: &str = "/console/lab";
/// Pixels that are offered to choose from.
const MAX_OFFERED: usize = 500;
/// Events of a body that are shown.
const MAX_SHOWN: usize = 20;
const MINUTE_SECS: u64 = 60;

#[derive(Template)]
#[template(path = "lab.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    is_production: bool,
    codes: Vec<Row>,
    pixels: Vec<String>,
    sources: Vec<String>,
    presets: Vec<&'static str>,
    /// What is chosen in the form.
    chosen: Chosen,
    /// What stands in the box: only ever one of our own presets.
    preset: String,
    checklist: Option<Checklist>,
    looked: Option<Looked>,
    sent: Option<Sent>,
}

#[derive(Clone, Default)]
struct Chosen {
    pixel: Option<PixelId>,
    source: String,
    preset: String,
}

/// A test code.
struct Row {
    entry: Entry,
    state: &'static str,
    left: String,
}

struct Checklist {
    pixel: PixelId,
    is_ready: bool,
    checks: Vec<Check>,
}

struct Check {
    mark: &'static str,
    is_bad: bool,
    says: String,
    next: Option<String>,
}

/// What would become of a body.
struct Looked {
    pixel: PixelId,
    source: String,
    findings: Vec<Finding>,
    events: Vec<Event>,
    /// Events that are not shown.
    more: usize,
}

struct Event {
    verdict: &'static str,
    linted: Linted,
    requests: Vec<Outgoing>,
}

/// A request as it would go to Graph, masked.
struct Outgoing {
    line: String,
    body: String,
}

/// `GET /console/lab`.
pub(super) fn show(mut visit: Visit) -> Done {
    Box::pin(async move {
        let chosen = Chosen::of(&mut visit)?;
        visit.taken().end()?;
        Page::of(visit, chosen, None, None).await
    })
}

/// `POST /console/lab/check`: what would become of the events in the box.
pub(super) fn check(mut visit: Visit) -> Done {
    Box::pin(async move {
        let chosen = Chosen::of(&mut visit)?;
        let body = payload(&mut visit.members)?;
        visit.taken().end()?;
        let looked = look(&visit, &chosen, body).await?;
        Page::of(visit, chosen, Some(looked), None).await
    })
}

/// `POST /console/lab/send`: the events in the box, as if the source had posted them.
pub(super) fn send(mut visit: Visit) -> Done {
    Box::pin(async move {
        let chosen = Chosen::of(&mut visit)?;
        let body = payload(&mut visit.members)?;
        let is_sure = visit.members.flag("sure")?;
        visit.taken().end()?;
        if !is_sure {
            return Err(Problem::bad(
                "sure",
                "tick the box: Meta counts an event from here as a real one, also with a test code",
            ));
        }
        let inner = visit.inner();
        let config = &inner.in_force().config;
        let pixel = chosen.pixel(config)?;
        let source = chosen.source(config, pixel)?;
        let ingest = inner.ingest.as_ref().ok_or_else(|| {
            Problem::not_found("no gateway runs here", "start one with `capigate serve`")
        })?;
        let answer = ingest.post_as(&source, pixel, &body).await;
        let sent = Sent::read(pixel, source, answer).await;
        Page::of(visit, chosen, None, Some(sent)).await
    })
}

/// `POST /console/lab/start`.
pub(super) fn start(mut visit: Visit) -> Done {
    Box::pin(async move {
        let members = visit.taken();
        let reply = test_mode::start(visit.call("", members)).await?;
        let entry = visit.done(reply).await;
        let said = format!(
            "The code {} is active for pixel {}{}.",
            entry["code"].as_str().unwrap_or_default(),
            entry["pixel"].as_str().unwrap_or_default(),
            if entry["mirror"] == true {
                ", on a copy of each event"
            } else {
                ""
            }
        );
        Ok(View::Go(home(&entry), said))
    })
}

/// `POST /console/lab/stop`.
pub(super) fn stop(mut visit: Visit) -> Done {
    Box::pin(async move {
        let members = visit.taken();
        let reply = test_mode::stop(visit.call("", members)).await?;
        let stopped = visit.done(reply).await;
        let count = stopped["stopped"].as_array().map_or(0, Vec::len);
        let keys = stopped["keys"].as_array().into_iter().flatten();
        let keys: Vec<&str> = keys.filter_map(Value::as_str).collect();
        let mut said = format!("Stopped, {count} codes were active.");
        if !keys.is_empty() {
            let keys = keys.join(", ");
            let _ = write!(said, " Take it out of the configuration, too: {keys}.");
        }
        Ok(View::Go(home(&stopped), said))
    })
}

/// The page, with the pixel that something was done with.
fn home(of: &Value) -> String {
    match of["pixel"].as_str() {
        Some(pixel) => format!("{HOME}?pixel={pixel}"),
        None => HOME.to_owned(),
    }
}

/// The body that was pasted: events may stand alone, or in a list.
fn payload(members: &mut Members) -> Result<Bytes, Problem> {
    let expected = "paste an event, a list of events, or a whole body {\"data\": [...]}";
    let text = members.text("payload")?;
    let text = text.ok_or_else(|| Problem::bad("payload", expected))?;
    let text = text.trim();
    let is_body = || {
        let members: Result<std::collections::HashMap<String, &RawValue>, _> =
            serde_json::from_str(text);
        // what is no JSON is said to be none by who reads it
        members.map_or(true, |members| members.contains_key("data"))
    };
    Ok(if text.starts_with('[') {
        format!("{{\"data\":{text}}}").into()
    } else if text.starts_with('{') && !is_body() {
        format!("{{\"data\":[{text}]}}").into()
    } else {
        text.to_owned().into()
    })
}

async fn look(visit: &Visit, chosen: &Chosen, body: Bytes) -> Result<Looked, Problem> {
    let pixel = chosen
        .pixel
        .map(|id| ("pixel", Value::from(id.to_string())));
    let source = Some(chosen.source.as_str()).filter(|name| !name.is_empty());
    let source = source.map(|name| ("source", Value::from(name)));
    let mut call = visit.call("", Members::of(pixel.into_iter().chain(source)));
    call.content_type = Some(HeaderValue::from_static("application/json"));
    call.body = body;
    let shown = lint::shown(call).await?;
    let more = shown.events.len().saturating_sub(MAX_SHOWN);
    let event = |linted: Linted| Event {
        verdict: match linted.verdict.word() {
            "accepted" => "✓ accepted",
            "filtered" => "– kept back",
            _ => "✗ refused",
        },
        requests: linted
            .requests
            .iter()
            .map(|request| Outgoing {
                line: outgoing::head(request),
                body: outgoing::body(&request.body),
            })
            .collect(),
        linted,
    };
    Ok(Looked {
        pixel: shown.pixel,
        source: shown.source,
        findings: shown.findings,
        events: shown
            .events
            .into_iter()
            .take(MAX_SHOWN)
            .map(event)
            .collect(),
        more,
    })
}

/// How the pixel stands before it goes live. Blocks.
fn checklist(inner: &Inner, pixel: PixelId) -> Option<Checklist> {
    let shown = go_live::look(inner, pixel, WINDOW)?;
    let check = |row: go_live::Row| Check {
        mark: mark(row.mark),
        is_bad: row.mark == Mark::Fail,
        says: row.says,
        next: row.next,
    };
    Some(Checklist {
        pixel,
        is_ready: shown.ready,
        checks: shown.checks.into_iter().map(check).collect(),
    })
}

impl Chosen {
    fn of(visit: &mut Visit) -> Result<Self, Problem> {
        let taken = visit.members.take(&["pixel", "source", "preset"]);
        let text = |name: &str| taken[name].as_str().unwrap_or_default().trim();
        let pixel = match text("pixel") {
            "" => None,
            id => Some(
                id.parse()
                    .map_err(|_| Problem::bad("pixel", "send a pixel id: 1 to 20 digits"))?,
            ),
        };
        let config = &visit.inner().in_force().config;
        Ok(Self {
            pixel: pixel.or_else(|| only(config)),
            source: text("source").to_owned(),
            preset: text("preset").to_owned(),
        })
    }

    fn pixel(&self, config: &Config) -> Result<PixelId, Problem> {
        let pixel = self.pixel;
        let pixel =
            pixel.ok_or_else(|| Problem::bad("pixel", "say which pixel the events are for"));
        let pixel = pixel?;
        if config.pixels.contains_key(&pixel) {
            return Ok(pixel);
        }
        let next = "choose one that stands under pixels";
        Err(Problem::not_found("this pixel is not configured", next))
    }

    /// The source in whose name something is sent.
    fn source(&self, config: &Config, pixel: PixelId) -> Result<String, Problem> {
        let named = Some(self.source.as_str()).filter(|name| !name.is_empty());
        let source = linting::source_of(config, pixel, named);
        if config.sources.contains_key(&source) {
            return Ok(source);
        }
        Err(Problem::bad(
            "source",
            "say as which source the events are sent: one under sources that may post for the pixel",
        ))
    }
}

/// The pixel, where there is just one.
fn only(config: &Config) -> Option<PixelId> {
    let mut pixels = config.pixels.keys();
    let first = pixels.next();
    first.filter(|_| pixels.next().is_none()).copied()
}

impl Row {
    fn of(entry: Entry, now: UnixMs) -> Self {
        let left = match entry.until {
            _ if entry.state != Standing::Active => String::new(),
            None => "no end".to_owned(),
            Some(until) => {
                let left = UnixMs(until).since(now).as_secs();
                span(left.next_multiple_of(MINUTE_SECS))
            }
        };
        Self {
            state: match entry.state {
                Standing::Active => "active",
                Standing::Ended => "ended",
                Standing::Stopped => "stopped",
            },
            left,
            entry,
        }
    }
}

impl Page {
    async fn of(
        visit: Visit,
        chosen: Chosen,
        looked: Option<Looked>,
        sent: Option<Sent>,
    ) -> Result<View, Problem> {
        let admin = visit.admin.clone();
        let pixel = chosen.pixel;
        // it reads a file, and when the first events expire
        let checklist = beside(move || pixel.and_then(|pixel| checklist(&admin.0, pixel))).await?;
        let inner = visit.inner();
        let (now, in_force) = (inner.clock.now(), inner.in_force());
        let config = &in_force.config;
        let preset = match chosen.preset.as_str() {
            "" => String::new(),
            name => presets::body(name, pixel.and_then(|id| config.pixels.get(&id)), now)
                .ok_or_else(|| {
                    let status = StatusCode::NOT_FOUND;
                    let next = "choose one of the list";
                    Problem::new(status, "not_found", "there is no such preset", next)
                })?,
        };
        let pixels = config.pixels.keys().take(MAX_OFFERED);
        let codes = inner.test_mode.list().into_iter();
        View::of(&Page {
            is_production: inner.test_mode.is_production(),
            codes: codes.map(|entry| Row::of(entry, now)).collect(),
            pixels: pixels.map(ToString::to_string).collect(),
            sources: config.sources.keys().cloned().collect(),
            presets: PRESETS.iter().map(|(name, _)| *name).collect(),
            chosen,
            preset,
            checklist,
            looked,
            sent,
            shell: visit.shell,
        })
    }
}
