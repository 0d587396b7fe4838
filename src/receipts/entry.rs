//! What is kept of an event (16 bytes) and of a batch (a line of JSON).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Attempt, Ending, MAX_ATTEMPTS, Outcome, Receipt, State, Subject};
use crate::event::{Changes, Key};
use crate::pixel::PixelId;

/// Different names, with different changes, kept for a batch.
const MAX_NAMES: usize = 128;
/// From so many on, changes are not told apart any more.
const MAX_CHANGED: usize = 96;
/// Bytes kept of a text that is not ours.
const MAX_TEXT: usize = 64;
/// No line is longer: 128 names with their changes, and 8 attempts, each byte of a text perhaps
/// written as `\u0000`.
pub(super) const MAX_LINE: usize = 128 << 10;
/// The place of a name that is not kept.
const NO_NAME: u8 = u8::MAX;
/// Bits of an [`Entry`] beside the digest: 8 of the name, 32 of the offset.
const REST_BITS: u32 = 40;

/// One event: 88 bits of the digest of its id (or of another key that it is found by), its place
/// among the names of the batch's line, and where that line is. Sorts by the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u128);

/// The digest of what an event is found by, as an entry with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdDigest(u128);

impl IdDigest {
    /// Keys of different kinds have different digests. Nothing leads back from an address's.
    pub(super) fn of((key, text): (Key, &str)) -> Self {
        let mut hash = Sha256::new();
        hash.update(match key {
            Key::EventId => &b""[..],
            Key::OrderId => b"capigate receipt order_id 1\0",
            Key::Email => b"capigate receipt em 1\0",
        });
        hash.update(text.as_bytes());
        let mut bytes = [0; 16];
        for (byte, from) in bytes.iter_mut().zip(hash.finalize()) {
            *byte = from;
        }
        Self(u128::from_be_bytes(bytes) >> REST_BITS << REST_BITS)
    }

    /// The least entry that could be of this id.
    pub(super) fn first(self) -> Entry {
        Entry(self.0)
    }

    /// The entry of an event at this place of its line.
    fn at(self, place: u8) -> Entry {
        Entry(self.0 | u128::from(place) << 32)
    }
}

impl Entry {
    /// Bytes on disk.
    pub(super) const BYTES: u64 = 16;

    pub(super) fn is_of(self, id: IdDigest) -> bool {
        self.0 >> REST_BITS == id.0 >> REST_BITS
    }

    /// Where the line of its batch begins.
    pub(super) fn offset(self) -> u32 {
        self.0 as u32
    }

    fn name(self) -> u8 {
        (self.0 >> 32) as u8
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// One batch.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) batch: u64,
    pub(super) at: i64,
    pub(super) pixel: PixelId,
    pub(super) outcome: Ended,
    pub(super) events: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) trace_id: Option<String>,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    pub(super) reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) subcode: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Vec::is_empty", default)]
    pub(super) policies: Vec<Cow<'a, str>>,
    /// A name for each place; the same name has several, if its events were changed differently.
    pub(super) names: Vec<String>,
    /// What became of the fields of the events at each place. None at all when nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) changes: Vec<String>,
    #[serde(borrow, skip_serializing_if = "Vec::is_empty", default)]
    pub(super) attempts: Vec<Tried<'a>>,
}

/// A request that carried events of the batch. What is left out is the same as of the batch.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tried<'a> {
    at: i64,
    took_ms: u64,
    /// As the batch ended.
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    outcome: Option<Cow<'a, str>>,
    /// As many as the batch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    events: Option<u64>,
    /// All events of the batch; -1 when it is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    of_batch: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    subcode: Option<i64>,
    /// That of the batch, where it was delivered by this request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    trace_id: Option<String>,
}

/// What a request comes to by which a batch was delivered.
const DELIVERED: &str = "delivered";

impl Tried<'_> {
    fn of(one: &Attempt, batch: &Ending) -> Self {
        let events = batch.batch_events as u64;
        let is_delivered = one.outcome == DELIVERED;
        let known = match &batch.outcome {
            Outcome::Delivered { trace_id, .. } if is_delivered => trace_id.as_ref(),
            _ => None,
        };
        Self {
            at: one.at,
            took_ms: one.took_ms,
            outcome: (!is_delivered).then(|| shorten(&one.outcome).into()),
            events: (one.events != events).then_some(one.events),
            of_batch: match one.of_batch {
                Some(count) if count == events => None,
                count => Some(count.map_or(-1, |count| count as i64)),
            },
            code: one.code,
            subcode: one.subcode,
            trace_id: (one.trace_id.as_ref())
                .filter(|own| Some(*own) != known)
                .map(|own| shorten(own)),
        }
    }

    fn attempt(&self, line: &Line<'_>) -> Attempt {
        let outcome = self.outcome.as_deref().unwrap_or(DELIVERED).to_owned();
        let is_delivered = outcome == DELIVERED;
        let of_batch = self.of_batch.unwrap_or(line.events as i64);
        Attempt {
            at: self.at,
            took_ms: self.took_ms,
            events: self.events.unwrap_or(line.events),
            of_batch: u64::try_from(of_batch).ok(),
            code: self.code,
            subcode: self.subcode,
            trace_id: self.trace_id.clone().or_else(|| {
                let own = line.trace_id.clone();
                own.filter(|_| is_delivered && line.outcome == Ended::Delivered)
            }),
            outcome: outcome.into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    Delivered,
    Dead,
    Filtered,
    Accepted,
}

/// An ending that is worked out but for the number of its batch and where its line will be.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) line: Line<'static>,
    ids: Vec<Entry>,
}

impl Note {
    /// None when no event has anything that it could be found by.
    pub(super) fn of(ending: &Ending, by_keys: bool) -> Option<Self> {
        // what is noted before the end is found by its id only, together with the end
        let has_ended = matches!(
            ending.outcome,
            Outcome::Delivered { .. } | Outcome::Dead { .. }
        );
        let mut places = Places::default();
        let mut ids = Vec::with_capacity(ending.events.len());
        for event in &ending.events {
            match event {
                Subject::Encoded(event) => {
                    let head = event.head();
                    let place = places.of(&head.event_name, event.changes().as_str());
                    let mut add = |key, text: &str| ids.push(IdDigest::of((key, text)).at(place));
                    if let Some(id) = &head.event_id {
                        add(Key::EventId, id);
                    }
                    if by_keys && has_ended {
                        event.other_keys(&mut add);
                    }
                }
                Subject::Label(label) => {
                    let place = places.of(&label.event_name, "");
                    let id = label.event_id.as_deref();
                    ids.extend(id.map(|id| IdDigest::of((Key::EventId, id)).at(place)));
                }
            }
        }
        let Places { names, changes } = places;
        let is_known = changes.iter().any(|changes| !changes.is_empty());
        let mut line = Line {
            batch: 0,
            at: ending.at.0,
            pixel: ending.pixel,
            outcome: Ended::Delivered,
            events: ending.batch_events as u64,
            received: None,
            trace_id: None,
            reason: None,
            code: None,
            subcode: None,
            policies: Vec::new(),
            names,
            changes: if is_known { changes } else { Vec::new() },
            attempts: (ending.attempts.iter().take(MAX_ATTEMPTS))
                .map(|one| Tried::of(one, ending))
                .collect(),
        };
        match &ending.outcome {
            Outcome::Delivered { trace_id, received } => {
                line.received = Some(*received);
                line.trace_id = trace_id.as_deref().map(shorten);
            }
            Outcome::Dead {
                reason,
                code,
                subcode,
                trace_id,
            } => {
                line.outcome = Ended::Dead;
                line.reason = Some(Cow::Borrowed(reason));
                line.code = *code;
                line.subcode = *subcode;
                line.trace_id = trace_id.as_deref().map(shorten);
            }
            Outcome::Filtered { policy } => {
                line.outcome = Ended::Filtered;
                line.reason = Some(Cow::Borrowed(policy));
            }
            Outcome::Accepted { policies } => {
                line.outcome = Ended::Accepted;
                line.policies = policies.iter().map(|word| Cow::Borrowed(*word)).collect();
            }
        }
        (!ids.is_empty()).then_some(Self { line, ids })
    }

    /// Its events, with their line at `offset`.
    pub(super) fn entries(&self, offset: u32) -> impl Iterator<Item = Entry> {
        self.ids
            .iter()
            .map(move |entry| Entry(entry.0 | u128::from(offset)))
    }

    /// Other events in their place.
    #[cfg(test)]
    pub(super) fn set_ids(&mut self, ids: impl Iterator<Item = IdDigest>) {
        self.ids = ids.map(IdDigest::first).collect();
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

impl Line<'_> {
    /// What it says about one of its events, which was found by this id or by something else.
    pub(super) fn receipt(&self, entry: Entry, event_id: Option<&str>) -> Receipt {
        let state = match self.outcome {
            Ended::Delivered => State::Delivered,
            Ended::Dead => State::Dead,
            Ended::Filtered => State::Filtered,
            Ended::Accepted => State::Accepted,
        };
        // the others were in no batch
        let is_batch = matches!(self.outcome, Ended::Delivered | Ended::Dead);
        Receipt {
            event_id: event_id.map(str::to_owned),
            event_name: self.names.get(usize::from(entry.name())).cloned(),
            at: Some(self.at),
            batch: is_batch.then_some(self.batch),
            batch_events: is_batch.then_some(self.events),
            batch_received: self.received,
            trace_id: self.trace_id.clone(),
            reason: self.reason.as_deref().map(str::to_owned),
            code: self.code,
            subcode: self.subcode,
            policies: self.policies.iter().map(ToString::to_string).collect(),
            changes: self
                .changes
                .get(usize::from(entry.name()))
                .map_or_else(Vec::new, |changes| {
                    Changes::of_record(changes.as_bytes()).fields()
                }),
            attempts: self.attempts.iter().map(|one| one.attempt(self)).collect(),
            ..Receipt::new(self.pixel, state)
        }
    }
}

/// What an ending keeps in memory while it waits.
pub(super) fn weight(ending: &Ending) -> usize {
    let one = |event: &Subject| {
        let text = match event {
            Subject::Encoded(event) => event.as_bytes().len() + event.changes().as_str().len(),
            Subject::Label(label) => {
                label.event_name.len() + label.event_id.as_ref().map_or(0, String::len)
            }
        };
        text + size_of::<Subject>()
    };
    ending.events.iter().map(one).sum()
}

/// The different events of a batch, as far as they are told apart.
#[derive(Default)]
struct Places {
    names: Vec<String>,
    changes: Vec<String>,
}

impl Places {
    fn of(&mut self, name: &str, changes: &str) -> u8 {
        let name = cut(name);
        let changes = if self.names.len() < MAX_CHANGED {
            changes
        } else {
            ""
        };
        let mut known = self.names.iter().zip(&self.changes);
        let place =
            match known.position(|known| (known.0.as_str(), known.1.as_str()) == (name, changes)) {
                Some(place) => place,
                None if self.names.len() < MAX_NAMES => {
                    self.names.push(name.to_owned());
                    self.changes.push(changes.to_owned());
                    self.names.len() - 1
                }
                None => return NO_NAME,
            };
        u8::try_from(place).unwrap_or(NO_NAME)
    }
}

fn shorten(text: &str) -> String {
    cut(text).to_owned()
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT))
        .unwrap_or(text)
}
