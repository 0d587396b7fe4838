//! What the machine and the configuration are doing.

use askama::Template;

use super::super::call::Members;
use super::super::limits::{self, Limit};
use super::super::system::{self, Stage};
use super::super::work::beside;
use super::super::{Inner, config};
use super::shell::Shell;
use super::stream::{self, Kind};
use super::words::{Moment, bytes, count, rate, span, time};
use super::{Done, View, Visit};
use crate::config::Difference;
use crate::time::UnixMs;

/// Uses from this share on are shown as near their bound, in per cent.
const NEAR: u64 = 80;

#[derive(Template)]
#[template(path = "system.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    now: Now,
    config: Config,
}

#[derive(Template)]
#[template(path = "system_now.html", config = "src/app/admin/console/askama.toml")]
struct Now {
    accepted: String,
    delivered: String,
    events: String,
    disk: String,
    /// How much of its bound the journal fills, in per cent.
    percent: u64,
    /// When it is full, as it goes on now.
    full_in: Option<String>,
    stages: Vec<(&'static str, String, String, String)>,
    limits: Vec<Row>,
    version: &'static str,
    graph: String,
}

struct Config {
    generation: i64,
    last: Option<Last>,
    /// What the last one has changed that did.
    change: Option<Change>,
}

/// A reload that has changed something.
struct Change {
    at: Moment,
    generation: u64,
    /// A key, and what it said and says.
    changed: Vec<(String, String, String)>,
}

/// The last reload.
struct Last {
    at: Moment,
    trigger: String,
    result: String,
    /// Why it was refused.
    error: Option<String>,
}

/// A limit in words.
struct Row {
    name: String,
    value: String,
    used: String,
    percent: Option<u64>,
    is_near: bool,
    turned_away: u64,
}

/// `GET /console/system`.
pub(super) fn show(visit: Visit) -> Done {
    Box::pin(async move {
        let Visit {
            admin,
            shell,
            members,
            ..
        } = visit;
        members.end()?;
        // the dead letters' lock may be held across a sync
        let page = beside(move || Page {
            now: now(&admin.0),
            config: in_force(&admin.0),
            shell,
        });
        View::of(&page.await?)
    })
}

/// `GET /console/system/stream`: what moves, every few seconds.
pub(super) fn stream(visit: Visit) -> Done {
    Box::pin(async move { stream::again(visit, Kind::Page, |inner| now(inner).render().ok()) })
}

/// `POST /console/system/reload`.
pub(super) fn reload(mut visit: Visit) -> Done {
    Box::pin(async move {
        let call = visit.call("", Members::none());
        visit.taken().end()?;
        let reply = visit.done(config::reload(call).await?).await;
        let said = match reply["result"].as_str() {
            Some("applied") => "The changed configuration is in force.",
            _ => "The files say what is in force already.",
        };
        let warnings = reply["warnings"].as_array().into_iter().flatten();
        let warnings = warnings.filter_map(|warning| warning.as_str());
        let all: Vec<&str> = std::iter::once(said).chain(warnings).collect();
        Ok(View::Go("/console/system".to_owned(), all.join(" ")))
    })
}

fn now(inner: &Inner) -> Now {
    let system = system::system(inner);
    let per_second = |of: Option<f64>| of.map_or_else(|| "…".to_owned(), rate);
    let journal = &system.journal;
    Now {
        accepted: per_second(system.accepted_per_second),
        delivered: per_second(system.delivered_per_second),
        events: count(journal.events),
        disk: format!(
            "{} of {}",
            bytes(journal.disk_bytes),
            bytes(journal.max_bytes)
        ),
        percent: journal.disk_bytes.saturating_mul(100) / journal.max_bytes.max(1),
        full_in: journal.full_in_seconds.map(span),
        stages: system.stages.iter().map(stage).collect(),
        limits: limits::limits(inner).into_iter().map(Row::of).collect(),
        version: system.version,
        graph: format!("{} {}", system.graph_url, system.graph_version),
    }
}

/// Keys with their values, where those may be told.
fn told(changed: &[String], differences: &[Difference]) -> Vec<(String, String, String)> {
    let row = |key: &String| {
        let one = differences.iter().find(|one| one.key == *key);
        let (old, new) = match one {
            Some(one) if one.old.is_some() || one.new.is_some() => {
                let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
                (said(&one.old), said(&one.new))
            }
            one => {
                let what = one.map_or("changed", |one| one.what.word());
                ("not shown".to_owned(), what.to_owned())
            }
        };
        (key.clone(), old, new)
    };
    changed.iter().map(row).collect()
}

fn stage(stage: &Stage) -> (&'static str, String, String, String) {
    let said = |of: Option<f64>| of.map_or_else(|| "–".to_owned(), time);
    (
        stage.stage,
        count(stage.count),
        said(stage.p50),
        said(stage.p99),
    )
}

fn in_force(inner: &Inner) -> Config {
    let last = inner.reloader().and_then(|reloader| {
        let last = reloader.last()?;
        Some(Last {
            at: Moment::of(UnixMs(last.at_ms), inner.clock.now()),
            trigger: word(&last.trigger),
            result: word(&last.result),
            error: last.error.map(|error| error.to_string()),
        })
    });
    Config {
        generation: inner.metrics.config_generation.get(),
        last,
        change: inner.reloader().and_then(|reloader| {
            let applied = reloader.applied()?;
            Some(Change {
                at: Moment::of(UnixMs(applied.at_ms), inner.clock.now()),
                generation: applied.generation,
                changed: told(&applied.changed, &applied.differences),
            })
        }),
    }
}

/// The stable word of a value that is one.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

impl Row {
    fn of(limit: Limit) -> Self {
        let say = |value| match limit.unit {
            "bytes" => bytes(value),
            "seconds" => span(value),
            unit => format!("{value} {unit}"),
        };
        Self {
            value: say(limit.value),
            used: limit.used.map(say).unwrap_or_default(),
            is_near: limit.percent.is_some_and(|percent| percent >= NEAR),
            percent: limit.percent,
            turned_away: limit.turned_away,
            name: limit.name,
        }
    }
}
