//! What events bring that Meta can match people with.

use askama::Template;

use super::super::quality::{self, Brought, Quality};
use super::choice::{self, Choice};
use super::shell::Shell;
use super::words::{count, share};
use super::{Done, Visit};
use crate::time::UnixMs;
use crate::traffic::FRESHNESS;

/// What each of [`FRESHNESS`] is called.
const AGES: [&str; FRESHNESS.len()] = ["up to 1 min", "10 min", "1 h", "1 day", "older"];

#[derive(Template)]
#[template(path = "quality.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    choice: Choice,
    /// The key to send next, or that there is none.
    says: String,
    cards: Vec<(&'static str, String, String)>,
    keys: Vec<&'static str>,
    ages: &'static [&'static str],
    rows: Vec<Row>,
}

struct Row {
    event_name: String,
    source: String,
    events: String,
    /// The share of events that have each of the keys; whether it is none.
    keys: Vec<(String, bool)>,
    with_event_id: String,
    duplicates: String,
    ages: Vec<String>,
}

/// `GET /console/quality`.
pub(super) fn show(visit: Visit) -> Done {
    choice::show(visit, quality::look, page)
}

fn page(shell: Shell, choice: Choice, quality: Quality, now: UnixMs) -> Page {
    let all = &quality.all;
    let of = |part: u64| share(part, all.events);
    let fresh = all
        .freshness
        .get(FRESHNESS[0].0)
        .copied()
        .unwrap_or_default();
    let says = match (&quality.missing, all.events) {
        (_, 0) => "No event came in this time.".to_owned(),
        (Some(missing), _) => missing.says.clone(),
        (None, _) => {
            "At least half of the events have each of the keys that any customer may have."
                .to_owned()
        }
    };
    Page {
        choice: choice.with(
            &quality.sources,
            &quality.event_names,
            (quality.since, quality.until),
            now,
        ),
        says,
        cards: vec![
            ("Events", count(all.events), "taken at the door".to_owned()),
            (
                "Without event_id",
                count(all.events - all.with_event_id.min(all.events)),
                of(all.events - all.with_event_id.min(all.events)),
            ),
            ("Duplicates", count(all.duplicates), of(all.duplicates)),
            ("Within a minute", count(fresh), of(fresh)),
        ],
        rows: (quality.rows.iter())
            .map(|row| {
                Row::of(
                    &row.event_name,
                    row.source.as_deref(),
                    &row.brought,
                    &quality.keys,
                )
            })
            .collect(),
        keys: quality.keys,
        ages: &AGES,
        shell,
    }
}

impl Row {
    fn of(event_name: &str, source: Option<&str>, brought: &Brought, keys: &[&str]) -> Self {
        let of = |part: u64| share(part, brought.events);
        let age = |word: &str| brought.freshness.get(word).copied().unwrap_or_default();
        Self {
            event_name: event_name.to_owned(),
            source: source.unwrap_or("all others").to_owned(),
            events: count(brought.events),
            keys: keys
                .iter()
                .map(|key| (of(brought.with(key)), brought.with(key) == 0))
                .collect(),
            with_event_id: of(brought.with_event_id),
            duplicates: of(brought.duplicates),
            ages: FRESHNESS.iter().map(|(word, _)| of(age(word))).collect(),
        }
    }
}
