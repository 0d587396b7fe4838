//! What is kept of an event (16 bytes) and of a batch (a line of JSON).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Ending, Outcome, Receipt, State, Subject};
use crate::pixel::PixelId;

/// Different event names kept for a batch.
const MAX_NAMES: usize = 64;
/// Bytes kept of a text that is not ours.
const MAX_TEXT: usize = 64;
/// No line is longer: 64 names and some, each byte perhaps written as `\u0000`.
pub(super) const MAX_LINE: usize = 32 << 10;
/// The place of a name that is not kept.
const NO_NAME: u8 = u8::MAX;
/// Bits of an [`Entry`] beside the digest: 8 of the name, 32 of the offset.
const REST_BITS: u32 = 40;

/// One event: 88 bits of the digest of its id, the place of its name in the batch's line, and
/// where that line is. Sorts by the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u128);

/// The digest of an event's id, as an entry with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdDigest(u128);

impl IdDigest {
    pub(super) fn of(event_id: &str) -> Self {
        let digest = Sha256::digest(event_id.as_bytes());
        let mut bytes = [0; 16];
        for (byte, from) in bytes.iter_mut().zip(digest) {
            *byte = from;
        }
        Self(u128::from_be_bytes(bytes) >> REST_BITS << REST_BITS)
    }

    /// The least entry that could be of this id.
    pub(super) fn first(self) -> Entry {
        Entry(self.0)
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
    pub(super) names: Vec<String>,
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
    /// None when no event has an id.
    pub(super) fn of(ending: &Ending) -> Option<Self> {
        let mut names: Vec<String> = Vec::new();
        let mut ids = Vec::with_capacity(ending.events.len());
        for event in &ending.events {
            let (name, id) = match event {
                Subject::Encoded(event) => {
                    let head = event.head();
                    (head.event_name, head.event_id)
                }
                Subject::Label(label) => (
                    Cow::from(&label.event_name),
                    label.event_id.as_deref().map(Cow::from),
                ),
            };
            let Some(id) = id else { continue };
            let name = place_of(&mut names, &name);
            ids.push(Entry(IdDigest::of(&id).0 | u128::from(name) << 32));
        }
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
    /// What it says about one of its events.
    pub(super) fn receipt(&self, entry: Entry, event_id: &str) -> Receipt {
        let state = match self.outcome {
            Ended::Delivered => State::Delivered,
            Ended::Dead => State::Dead,
            Ended::Filtered => State::Filtered,
            Ended::Accepted => State::Accepted,
        };
        // the others were in no batch
        let is_batch = matches!(self.outcome, Ended::Delivered | Ended::Dead);
        Receipt {
            event_id: Some(event_id.to_owned()),
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
            ..Receipt::new(self.pixel, state)
        }
    }
}

/// What an ending keeps in memory while it waits.
pub(super) fn weight(ending: &Ending) -> usize {
    let one = |event: &Subject| {
        let text = match event {
            Subject::Encoded(event) => event.as_bytes().len(),
            Subject::Label(label) => {
                label.event_name.len() + label.event_id.as_ref().map_or(0, String::len)
            }
        };
        text + size_of::<Subject>()
    };
    ending.events.iter().map(one).sum()
}

fn place_of(names: &mut Vec<String>, name: &str) -> u8 {
    let name = cut(name);
    let place = match names.iter().position(|known| known == name) {
        Some(place) => place,
        None if names.len() < MAX_NAMES => {
            names.push(name.to_owned());
            names.len() - 1
        }
        None => return NO_NAME,
    };
    u8::try_from(place).unwrap_or(NO_NAME)
}

fn shorten(text: &str) -> String {
    cut(text).to_owned()
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT))
        .unwrap_or(text)
}
