//! `GET /quality`: what events bring that Meta can match people with.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Inner;
use super::call::Call;
use super::routes::Done;
use super::sift::{self, Sift};
use crate::pixel::PixelId;
use crate::traffic::{FRESHNESS, OTHER};

/// Rows of event name and source.
const MAX_ROWS: usize = 500;
/// The share of events, in per cent, that should have a key. It is a line of ours: Meta gives none.
pub(super) const ENOUGH: u64 = 50;

/// Keys of `user_data` that any event of a customer may have, the most telling first, and what it takes
/// to send them. `fbc` is not among them: only those who came from an ad have one.
pub(super) const WANTED: [(&str, &str); 6] = [
    (
        "em",
        "the e-mail address, as the customer has typed it at sign-in or checkout; the gateway cleans and hashes it",
    ),
    (
        "ph",
        "the phone number with its country code, or default_country in the source's configuration; the gateway cleans and hashes it",
    ),
    (
        "external_id",
        "your own id of the customer, such as that of the account; the gateway hashes it",
    ),
    (
        "fbp",
        "the value of the cookie _fbp, which Meta's pixel sets in the browser",
    ),
    (
        "client_ip_address",
        "the browser's address, not that of your server or proxy",
    ),
    (
        "client_user_agent",
        "the browser's User-Agent header, unchanged",
    ),
];

/// What events bring.
#[derive(Serialize)]
pub(super) struct Quality {
    pub(super) pixel: Option<PixelId>,
    pub(super) source: Option<String>,
    pub(super) event_name: Option<String>,
    pub(super) window_seconds: u64,
    /// The time that the counts are of, in Unix milliseconds: the window by whole quarters of an hour, or
    /// whole hours where it is long ago; not before the start.
    pub(super) since: i64,
    pub(super) until: i64,
    pub(super) covered_seconds: u64,
    #[serde(flatten)]
    pub(super) all: Brought,
    /// What is to be sent next.
    pub(super) missing: Option<Missing>,
    /// By event name and source, the busiest first.
    pub(super) rows: Vec<Row>,
    /// Every match key that some event has brought, the most wanted first.
    pub(super) keys: Vec<&'static str>,
    /// What may be chosen.
    pub(super) sources: Vec<String>,
    pub(super) event_names: Vec<String>,
}

/// Events, and how many of them have what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Brought {
    /// Taken at the door, duplicates included.
    pub(super) events: u64,
    pub(super) with_event_id: u64,
    pub(super) duplicates: u64,
    /// By age when they came: up to 1 minute, 10 minutes, an hour, a day, and older.
    pub(super) freshness: BTreeMap<&'static str, u64>,
    pub(super) match_keys: BTreeMap<&'static str, u64>,
}

/// The same of one event name and source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) event_name: String,
    pub(super) source: Option<String>,
    #[serde(flatten)]
    pub(super) brought: Brought,
}

/// The match key that would help most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Missing {
    pub(super) key: &'static str,
    /// Events without it.
    pub(super) events: u64,
    /// The share of events that have it, in per cent, rounded down.
    pub(super) percent: u64,
    /// All of it in a sentence, with what it takes.
    pub(super) says: String,
}

/// `GET /quality`.
pub(super) fn show(call: Call) -> Done {
    sift::answer(call, look)
}

/// Adds it up.
pub(super) fn look(inner: &Inner, sift: Sift) -> Quality {
    let found = sift.sift(inner);
    let mut all = Brought::default();
    let mut rows: BTreeMap<(String, Option<String>), Brought> = BTreeMap::new();
    for cell in found.cells.into_iter().filter(|cell| cell.taken > 0) {
        let freshness = FRESHNESS.iter().map(|(word, _)| *word).zip(cell.freshness);
        let brought = Brought {
            events: cell.taken,
            with_event_id: cell.with_event_id,
            duplicates: cell.duplicates,
            freshness: freshness.filter(|(_, count)| *count > 0).collect(),
            match_keys: cell.match_keys,
        };
        all.add(&brought);
        let row = rows.entry((cell.event_name, cell.source)).or_default();
        row.add(&brought);
    }
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|((event_name, source), brought)| Row {
            event_name,
            source,
            brought,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.brought.events));
    rows.truncate(MAX_ROWS);
    Quality {
        window_seconds: sift.window.as_secs(),
        since: found.stretch.since.0,
        until: found.stretch.until.0,
        covered_seconds: (found.stretch.until.since(found.stretch.since)).as_secs(),
        pixel: sift.pixel,
        source: sift.source,
        event_name: sift.event_name,
        missing: all.missing(),
        keys: all.keys(),
        all,
        rows,
        sources: found.sources.into_iter().collect(),
        event_names: (found.event_names.into_iter())
            .filter(|name| name != OTHER)
            .collect(),
    }
}

impl Brought {
    pub(super) fn add(&mut self, more: &Self) {
        self.events += more.events;
        self.with_event_id += more.with_event_id;
        self.duplicates += more.duplicates;
        for (sums, more) in [
            (&mut self.freshness, &more.freshness),
            (&mut self.match_keys, &more.match_keys),
        ] {
            for (word, count) in more {
                *sums.entry(word).or_default() += count;
            }
        }
    }

    /// How many have a key.
    pub(super) fn with(&self, key: &str) -> u64 {
        self.match_keys.get(key).copied().unwrap_or_default()
    }

    fn keys(&self) -> Vec<&'static str> {
        let wanted = WANTED.iter().map(|(key, _)| *key);
        let others = self.match_keys.keys().copied();
        let others = others.filter(|key| WANTED.iter().all(|(wanted, _)| wanted != key));
        wanted.chain(others).collect()
    }

    /// The first of the wanted keys that too few events have.
    fn missing(&self) -> Option<Missing> {
        if self.events == 0 {
            return None;
        }
        let few = |key: &&(&str, &str)| self.with(key.0) * 100 / self.events < ENOUGH;
        let (key, takes) = WANTED.iter().find(few)?;
        let (with, percent) = (self.with(key), self.with(key) * 100 / self.events);
        Some(Missing {
            key,
            events: self.events - with.min(self.events),
            percent,
            says: format!(
                "The next key to send is {key}, which {percent} % of events have: {takes}."
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_key_is_the_best_that_too_few_events_have() {
        let mut brought = Brought::default();
        assert_eq!(brought.missing(), None);
        brought.events = 10;
        brought.match_keys = [("em", 5), ("fbc", 1), ("ph", 4), ("zp", 10)].into();
        let missing = brought.missing().unwrap();
        assert_eq!(
            (missing.key, missing.events, missing.percent),
            ("ph", 6, 40)
        );
        assert!(missing.says.contains("country code"), "{}", missing.says);
        assert_eq!(brought.keys()[..2], ["em", "ph"]);
        assert_eq!(brought.keys().last(), Some(&"zp"));
        for (key, _) in WANTED {
            brought.match_keys.insert(key, 10);
        }
        assert_eq!(brought.missing(), None);
    }
}
