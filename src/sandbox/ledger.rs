//! The ledger: which events were accepted, how often, and in which batches.
//!
//! Counts are kept for ever; details are bounded, the oldest go first, and the ledger says how
//! many went. No token is in it, only the name of the configured one. A name or id that is too
//! long or holds an e-mail address is shown as `sha256:` and its digest.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::privacy;
use crate::pixel::PixelId;

/// Most distinct events whose details are kept.
pub const MAX_EVENTS: usize = 1_000_000;
/// Most batches whose details are kept.
pub const MAX_BATCHES: usize = 100_000;
/// Most batch numbers kept for one event; later ones are counted only.
pub const MAX_BATCHES_OF_EVENT: usize = 16;
/// How many accepted events are kept as they came.
pub const MAX_BODIES: usize = 1_000;
/// Most bytes of events kept as they came.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// Most test event codes, and most events listed under each.
pub const MAX_TEST_CODES: usize = 50;
/// Most events listed under one test event code.
pub const MAX_TEST_EVENTS: usize = 200;
/// Longest name, id or option kept as it came, in bytes.
pub const MAX_TEXT: usize = 256;

/// An event that was accepted, and how often.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerEvent {
    /// The pixel it was posted to.
    pub pixel: PixelId,
    /// Its name.
    pub event_name: String,
    /// Its id; events without one are counted together under their name.
    pub event_id: Option<String>,
    /// How often it was accepted.
    pub times: u64,
    /// The first [`MAX_BATCHES_OF_EVENT`] batches it came in.
    pub batches: Vec<u64>,
    /// The event as it came, if it is among the last [`MAX_BODIES`] and broke no rule of privacy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// All its events were accepted.
    Accepted {
        /// What the answer said, or would have said.
        events_received: usize,
    },
    /// None of its events was accepted.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Graph's code; absent for an answer that was not Graph's.
        code: Option<i64>,
        /// Graph's subcode.
        subcode: Option<i64>,
        /// The sandbox's word for it, or the name of the fault.
        reason: &'static str,
        /// The event that was to blame, from 0.
        event_index: Option<usize>,
    },
    /// The connection was closed before anything was accepted.
    Dropped,
}

/// One request to the events edge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchRecord {
    /// Its number, from 1, in the order of the answers.
    pub number: u64,
    /// When it arrived, in Unix milliseconds of the sandbox's clock.
    pub at_ms: i64,
    /// The pixel it was posted to.
    pub pixel: PixelId,
    /// The version it was posted to, such as `v26.0`.
    pub version: String,
    /// How many events it held.
    pub size: usize,
    /// The bytes of its body.
    pub bytes: usize,
    /// The members beside `data`, such as `test_event_code`; never a token.
    pub options: Map<String, Value>,
    /// The name of the configured token it came with.
    pub token: Option<String>,
    /// Where the token was: `header`, `body`, `form` or `query`.
    pub token_place: Option<&'static str>,
    /// The version of HTTP it came over: `1.1` or `2`.
    pub http: &'static str,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// When the answer that tells of its acceptance was handed to the connection, in Unix
    /// milliseconds; absent when the sender was told nothing, or something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_ms: Option<i64>,
    /// The fault of the script that struck it.
    pub fault: Option<&'static str>,
    /// The trace id of the answer; also made when the answer was cut off.
    pub fbtrace_id: String,
}

/// Sums that are never dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Events accepted, each as often as it was.
    pub events_accepted: u64,
    /// Different events accepted, by pixel, name and id; those forgotten since may count twice.
    pub events_distinct: u64,
    /// Batches accepted.
    pub batches_accepted: u64,
    /// Batches refused, dropped connections included.
    pub batches_refused: u64,
    /// Events whose details were dropped for want of room.
    pub events_forgotten: u64,
    /// Batches whose details were dropped for want of room.
    pub batches_forgotten: u64,
}

/// Everything the ledger knows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LedgerSnapshot {
    /// The sums.
    pub totals: Totals,
    /// Accepted events, in the order of their first acceptance.
    pub events: Vec<LedgerEvent>,
    /// Batches, in the order of their answers.
    pub batches: Vec<BatchRecord>,
}

/// An event that was sent with a test event code.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestEvent {
    /// When its batch arrived, in Unix milliseconds.
    pub at_ms: i64,
    /// The pixel it was posted to.
    pub pixel: PixelId,
    /// Its name.
    pub event_name: String,
    /// Its id.
    pub event_id: Option<String>,
    /// The batch it came in.
    pub batch: u64,
}

/// Which events a question is about; a `None` asks for all.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub pixel: Option<PixelId>,
    pub event_name: Option<String>,
    pub event_id: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    pixel: PixelId,
    name: Box<str>,
    id: Option<Box<str>>,
}

#[derive(Debug, Default)]
struct Entry {
    times: u64,
    batches: Vec<u64>,
    body: Option<(u64, Value)>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    totals: Totals,
    next_batch: u64,
    next_body: u64,
    events: HashMap<Arc<Key>, Entry>,
    order: VecDeque<Arc<Key>>,
    bodies: VecDeque<(u64, Arc<Key>, usize)>,
    body_bytes: usize,
    batches: VecDeque<BatchRecord>,
    test_events: BTreeMap<String, VecDeque<TestEvent>>,
}

/// A text as it may be kept and shown.
pub(super) fn shown(text: &str) -> String {
    if text.len() > MAX_TEXT || privacy::has_email(text) {
        format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes())))
    } else {
        text.to_owned()
    }
}

impl Ledger {
    /// Takes the batch in; `data` are its events, kept only if it was accepted, and as they came
    /// only if `clean`. Returns its number.
    pub(super) fn record(&mut self, mut batch: BatchRecord, data: Vec<Value>, clean: bool) -> u64 {
        self.next_batch += 1;
        batch.number = self.next_batch;
        if matches!(batch.outcome, Outcome::Accepted { .. }) {
            self.totals.batches_accepted += 1;
            let each = batch.bytes / data.len().max(1);
            for event in data {
                self.accept(&batch, event, clean.then_some(each));
            }
        } else {
            self.totals.batches_refused += 1;
        }
        self.batches.push_back(batch);
        if self.batches.len() > MAX_BATCHES {
            self.batches.pop_front();
            self.totals.batches_forgotten += 1;
        }
        self.next_batch
    }

    /// Notes that the sender is told of the batch with this number, if it is still listed.
    pub(super) fn told(&mut self, number: u64, at_ms: i64) {
        let first = self.batches.front().map_or(0, |batch| batch.number);
        let at = number.checked_sub(first).map(|at| at as usize);
        if let Some(batch) = at.and_then(|at| self.batches.get_mut(at)) {
            batch.told_ms = Some(at_ms);
        }
    }

    fn accept(&mut self, batch: &BatchRecord, event: Value, keep: Option<usize>) {
        let text = |key: &str| {
            event
                .get(key)
                .and_then(Value::as_str)
                .filter(|t| !t.is_empty())
        };
        let name = shown(text("event_name").unwrap_or_default());
        let id = text("event_id").map(shown);
        if let Some(code) = batch.options.get("test_event_code").and_then(Value::as_str) {
            let seen = TestEvent {
                at_ms: batch.at_ms,
                pixel: batch.pixel,
                event_name: name.clone(),
                event_id: id.clone(),
                batch: batch.number,
            };
            self.list_test_event(code, seen);
        }
        let key = Arc::new(Key {
            pixel: batch.pixel,
            name: name.into(),
            id: id.map(Into::into),
        });
        self.totals.events_accepted += 1;
        if !self.events.contains_key(&key) {
            self.totals.events_distinct += 1;
            self.order.push_back(Arc::clone(&key));
        }
        let entry = self.events.entry(Arc::clone(&key)).or_default();
        entry.times += 1;
        if entry.batches.len() < MAX_BATCHES_OF_EVENT {
            entry.batches.push(batch.number);
        }
        if let Some(bytes) = keep {
            self.next_body += 1;
            entry.body = Some((self.next_body, event));
            self.bodies.push_back((self.next_body, key, bytes));
            self.body_bytes += bytes;
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.bodies.len() > MAX_BODIES || self.body_bytes > MAX_BODY_BYTES {
            let Some((number, key, bytes)) = self.bodies.pop_front() else {
                break;
            };
            self.body_bytes -= bytes;
            // a later copy of the same event has a place of its own in the line
            if let Some(entry) = self.events.get_mut(&key) {
                entry.body.take_if(|(kept, _)| *kept == number);
            }
        }
        if self.order.len() > MAX_EVENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.events.remove(&oldest);
            self.totals.events_forgotten += 1;
        }
    }

    fn list_test_event(&mut self, code: &str, event: TestEvent) {
        if !self.test_events.contains_key(code) && self.test_events.len() >= MAX_TEST_CODES {
            // make room by the code that was quiet for longest
            let quiet = self
                .test_events
                .iter()
                .min_by_key(|(_, events)| events.back().map(|event| event.batch))
                .map(|(code, _)| code.clone());
            if let Some(quiet) = quiet {
                self.test_events.remove(&quiet);
            }
        }
        let events = self.test_events.entry(code.to_owned()).or_default();
        events.push_back(event);
        if events.len() > MAX_TEST_EVENTS {
            events.pop_front();
        }
    }

    /// Forgets everything but the numbering of batches.
    pub(super) fn clear(&mut self) {
        *self = Self {
            next_batch: self.next_batch,
            next_body: self.next_body,
            ..Self::default()
        };
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn events<'a>(
        &'a self,
        filter: &'a Filter,
    ) -> impl Iterator<Item = LedgerEvent> + 'a {
        let name = filter.event_name.as_deref().map(shown);
        let id = filter.event_id.as_deref().map(shown);
        let fits = move |key: &Key| {
            filter.pixel.is_none_or(|pixel| pixel == key.pixel)
                && name.as_deref().is_none_or(|name| name == &*key.name)
                && id.as_deref().is_none_or(|id| key.id.as_deref() == Some(id))
        };
        self.order
            .iter()
            .filter(move |key| fits(key))
            .filter_map(|key| Some((key, self.events.get(key)?)))
            .map(|(key, entry)| LedgerEvent {
                pixel: key.pixel,
                event_name: key.name.to_string(),
                event_id: key.id.as_ref().map(ToString::to_string),
                times: entry.times,
                batches: entry.batches.clone(),
                body: entry.body.as_ref().map(|(_, body)| body.clone()),
            })
    }

    /// The events of a pixel that are kept as they came, with their names.
    pub(super) fn bodies(&self, pixel: PixelId) -> impl Iterator<Item = (&str, &Value)> {
        self.bodies.iter().filter_map(move |(number, key, _)| {
            let entry = self.events.get(key).filter(|_| key.pixel == pixel)?;
            let (kept, body) = entry.body.as_ref()?;
            (kept == number).then_some((&*key.name, body))
        })
    }

    pub(super) fn batches(&self) -> &VecDeque<BatchRecord> {
        &self.batches
    }

    pub(super) fn test_events(&self) -> &BTreeMap<String, VecDeque<TestEvent>> {
        &self.test_events
    }

    pub(super) fn snapshot(&self) -> LedgerSnapshot {
        LedgerSnapshot {
            totals: self.totals,
            events: self.events(&Filter::default()).collect(),
            batches: self.batches.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples::with_id;
    use super::*;

    fn batch(outcome: Outcome) -> BatchRecord {
        BatchRecord {
            number: 0,
            at_ms: 0,
            pixel: PixelId::from_u64(7).unwrap(),
            version: "v26.0".into(),
            size: 1,
            bytes: 100,
            options: Map::new(),
            token: None,
            token_place: None,
            http: "2",
            outcome,
            told_ms: None,
            fault: None,
            fbtrace_id: String::new(),
        }
    }

    fn accepted() -> BatchRecord {
        batch(Outcome::Accepted { events_received: 1 })
    }

    #[test]
    fn an_event_is_counted_by_pixel_name_and_id() {
        let mut ledger = Ledger::default();
        ledger.record(accepted(), vec![with_id("a"), with_id("b")], true);
        ledger.record(accepted(), vec![with_id("a")], true);
        ledger.record(batch(Outcome::Dropped), vec![with_id("a")], true);
        let seen = ledger.snapshot();
        let counts: Vec<_> = seen
            .events
            .iter()
            .map(|e| (e.event_id.as_deref().unwrap(), e.times, e.batches.clone()))
            .collect();
        assert_eq!(counts, [("a", 2, vec![1, 2]), ("b", 1, vec![1])]);
        assert_eq!(seen.totals.events_accepted, 3);
        assert_eq!(seen.totals.events_distinct, 2);
        assert_eq!(seen.totals.batches_refused, 1);
        assert_eq!(seen.batches.len(), 3);
        assert_eq!(seen.events[0].body, Some(with_id("a")));
    }

    #[test]
    fn only_the_last_bodies_stay_and_counts_stay_with_them() {
        let mut ledger = Ledger::default();
        ledger.record(accepted(), vec![with_id("first")], true);
        for n in 0..MAX_BODIES {
            ledger.record(accepted(), vec![with_id(&n.to_string())], true);
        }
        let events = ledger.snapshot().events;
        assert_eq!(events.len(), MAX_BODIES + 1);
        assert_eq!(events[0].body, None);
        assert!(events[1..].iter().all(|event| event.body.is_some()));
        // seen again, it is kept again
        ledger.record(accepted(), vec![with_id("first")], true);
        assert!(ledger.snapshot().events[0].body.is_some());
        assert_eq!(ledger.snapshot().events[0].times, 2);
    }

    #[test]
    fn what_looks_like_personal_data_is_not_kept() {
        let mut ledger = Ledger::default();
        ledger.record(accepted(), vec![with_id("me@shop.example")], false);
        ledger.record(accepted(), vec![with_id(&"x".repeat(MAX_TEXT + 1))], true);
        let events = ledger.snapshot().events;
        assert_eq!(events[0].body, None);
        for event in &events {
            assert!(event.event_id.as_ref().unwrap().starts_with("sha256:"));
        }
        let filter = Filter {
            event_id: Some("me@shop.example".into()),
            ..Filter::default()
        };
        assert_eq!(ledger.events(&filter).count(), 1);
    }

    #[test]
    fn test_events_are_listed_under_their_code_and_bounded() {
        let mut ledger = Ledger::default();
        for code in 0..=MAX_TEST_CODES {
            let mut batch = accepted();
            batch
                .options
                .insert("test_event_code".into(), json!(format!("TEST{code}")));
            let events = vec![with_id("a"); MAX_TEST_EVENTS + 1];
            ledger.record(batch, events, true);
        }
        let codes = ledger.test_events();
        assert_eq!(codes.len(), MAX_TEST_CODES);
        assert!(!codes.contains_key("TEST0"));
        assert!(codes.values().all(|events| events.len() == MAX_TEST_EVENTS));
        ledger.clear();
        assert_eq!(ledger.snapshot(), LedgerSnapshot::default());
        ledger.record(accepted(), vec![with_id("a")], true);
        assert!(ledger.snapshot().batches[0].number > 1);
    }
}
