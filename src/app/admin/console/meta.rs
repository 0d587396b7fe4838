//! What Meta says of a pixel's events: a region of the page Quality, which does not wait for it.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::super::Admin;
use super::super::dataset_quality::{self, Event, Shown, Trouble};
use super::shell::Shell;
use super::stream::{self, Kind};
use super::words::{Moment, count};
use super::{Done, View, Visit};
use crate::graph::Text;
use crate::graph::oauth::{DedupKey, Diagnostic, Figure, MatchKey};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// How often it is looked whether something has changed.
const BEAT: Duration = Duration::from_secs(5);
/// For how many looks one stream lasts; the browser opens the next one, which asks for the session
/// again.
const LASTS: u32 = 12;

/// The page for who has no script: it waits for Meta.
#[derive(Template)]
#[template(
    path = "quality_meta_page.html",
    config = "src/app/admin/console/askama.toml"
)]
struct Page {
    shell: Shell,
    pixel: PixelId,
    region: Region,
}

/// The region.
#[derive(Template)]
#[template(
    path = "quality_meta.html",
    config = "src/app/admin/console/askama.toml"
)]
struct Region {
    said: Said,
}

struct Said {
    is_simulated: bool,
    asked: Option<Moment>,
    again: Option<Moment>,
    trouble: Option<Box<Trouble>>,
    /// Since when the gateway's counts are.
    since: Moment,
    left_out: usize,
    events: Vec<Row>,
    keys: Vec<KeyRow>,
    dedup: Vec<DedupRow>,
    wrong: Vec<WrongRow>,
}

struct Row {
    event_name: String,
    score: String,
    coverage: String,
    goal: String,
    is_short: bool,
    freshness: String,
    acr: String,
    more: String,
}

struct KeyRow {
    event_name: String,
    identifier: String,
    key: Option<&'static str>,
    meta: String,
    gateway: String,
    more: String,
}

struct DedupRow {
    event_name: String,
    key: String,
    browser: String,
    server: String,
    overall: String,
}

struct WrongRow {
    event_name: String,
    name: String,
    says: String,
    solution: String,
    events: String,
}

/// `GET /console/quality/meta`: all of it on a page of its own, once Meta has answered.
pub(super) fn show(mut visit: Visit) -> Done {
    Box::pin(async move {
        let pixel = dataset_quality::pixel(&mut visit.members)?;
        visit.taken().end()?;
        dataset_quality::is_configured(visit.inner(), pixel)?;
        let shown = dataset_quality::ask(&visit.admin, pixel).await?;
        let said = Said::of(shown, visit.inner().clock.now());
        View::of(&Page {
            shell: visit.shell,
            pixel,
            region: Region { said },
        })
    })
}

/// `GET /console/quality/meta/stream`: the region, as soon as Meta has answered.
pub(super) fn stream(mut visit: Visit) -> Done {
    Box::pin(async move {
        let pixel = dataset_quality::pixel(&mut visit.members)?;
        visit.taken().end()?;
        dataset_quality::is_configured(visit.inner(), pixel)?;
        let looking = Looking {
            _permit: stream::place(&visit.admin)?,
            admin: visit.admin,
            headers: visit.headers,
            pixel,
            left: LASTS,
            last: None,
        };
        let looks = futures_util::stream::unfold(looking, Looking::next);
        Ok(View::Own(stream::response(Body::from_stream(looks))))
    })
}

/// Somebody who looks at the region.
struct Looking {
    admin: Admin,
    /// Whose session it is.
    headers: HeaderMap,
    pixel: PixelId,
    left: u32,
    /// What was sent last.
    last: Option<String>,
    _permit: OwnedSemaphorePermit,
}

impl Looking {
    /// The next piece of the stream; none at its end.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.last.is_some() {
            tokio::time::sleep(BEAT).await;
        }
        if self.left == 0 || !stream::lives(&self.admin, &self.headers) {
            return None;
        }
        self.left -= 1;
        let shown = dataset_quality::ask(&self.admin, self.pixel).await.ok()?;
        let said = Said::of(shown, self.admin.0.clock.now());
        let written = Region { said }.render().ok()?;
        // written again only where something has changed
        let piece = if self.last.as_ref() == Some(&written) {
            Bytes::from_static(b": the same\n\n")
        } else {
            stream::event(Kind::Page, &written)
        };
        self.last = Some(written);
        Some((Ok(piece), self))
    }
}

impl Said {
    fn of(shown: Shown, now: UnixMs) -> Self {
        let at = |ms: i64| Moment::of(UnixMs(ms), now);
        let events = &shown.events;
        let name = |event: &Event| event.meta.event_name.to_string();
        Self {
            is_simulated: shown.simulated,
            asked: shown.asked_at.map(at),
            again: shown.again_at.map(at),
            since: at(shown.gateway_since),
            left_out: shown.left_out,
            keys: (events.iter())
                .flat_map(|event| {
                    let keys = event.meta.match_keys.iter();
                    keys.map(|key| KeyRow::of(event, key))
                })
                .collect(),
            dedup: (events.iter())
                .flat_map(|event| {
                    let keys = event.meta.dedup_keys.iter();
                    keys.map(|key| DedupRow::of(name(event), key))
                })
                .collect(),
            wrong: (events.iter())
                .flat_map(|event| {
                    let all = event.meta.diagnostics.iter();
                    all.map(|one| WrongRow::of(name(event), one))
                })
                .collect(),
            events: events.iter().map(Row::of).collect(),
            trouble: shown.trouble,
        }
    }
}

/// A share that Meta gives, as exactly as it gives it.
fn percent(percent: Option<f64>) -> String {
    percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent} %"))
}

fn figure(figure: Option<&Figure>) -> String {
    percent(figure.and_then(|figure| figure.percent))
}

fn words(text: Option<&Text>) -> String {
    text.map_or_else(String::new, ToString::to_string)
}

impl Row {
    fn of(event: &Event) -> Self {
        let meta = &event.meta;
        let coverage = meta.coverage.as_ref();
        let (covered, goal) = (
            coverage.and_then(|coverage| coverage.percent),
            coverage.and_then(|coverage| coverage.goal_percent),
        );
        let freshness = meta.freshness.as_ref();
        let freshness = words(freshness.and_then(|freshness| freshness.upload_frequency.as_ref()));
        Self {
            event_name: meta.event_name.to_string(),
            score: meta
                .score
                .map_or_else(|| "–".to_owned(), |score| score.to_string()),
            coverage: percent(covered),
            goal: percent(goal),
            is_short: covered
                .zip(goal)
                .is_some_and(|(covered, goal)| covered < goal),
            freshness: if freshness.is_empty() {
                "–".to_owned()
            } else {
                freshness.replace('_', " ")
            },
            acr: figure(meta.acr.as_ref()),
            more: figure(meta.potential_acr.as_ref()),
        }
    }
}

impl KeyRow {
    fn of(event: &Event, key: &MatchKey) -> Self {
        let own = key.key.zip(event.gateway.as_ref()).map(|(key, own)| {
            // none of its events has had it
            own.match_keys.get(key).copied().unwrap_or_default()
        });
        Self {
            event_name: event.meta.event_name.to_string(),
            identifier: key.identifier.to_string(),
            key: key.key,
            meta: percent(key.percent),
            gateway: percent(own),
            more: figure(key.potential_acr.as_ref()),
        }
    }
}

impl DedupRow {
    fn of(event_name: String, key: &DedupKey) -> Self {
        Self {
            event_name,
            key: key.key.to_string(),
            browser: percent(key.browser_percent),
            server: percent(key.server_percent),
            overall: percent(key.overall_percent),
        }
    }
}

impl WrongRow {
    fn of(event_name: String, one: &Diagnostic) -> Self {
        let number = |number: i64| count(u64::try_from(number).unwrap_or_default());
        let events = match (one.affected_events, one.total_events) {
            (Some(some), Some(all)) => format!(
                "{} of {} events, {}",
                number(some),
                number(all),
                percent(one.percent)
            ),
            _ => percent(one.percent),
        };
        Self {
            event_name,
            name: words(one.name.as_ref()),
            says: words(one.description.as_ref()),
            solution: words(one.solution.as_ref()),
            events,
        }
    }
}
