//! What was sent, and what was answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// What an event is made to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Purchase,
    PageView,
    Messaging,
    /// Refused by Graph wherever it is, in the way of this number.
    Poison(u8),
    /// So old that it may expire before it is delivered.
    Old,
}

/// What is known of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not answered, or refused for the moment.
    Open,
    /// Its 200 was read.
    Accepted,
    /// Its answer was lost.
    Maybe,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its place in [`pixel_id`].
    pub(crate) pixel: usize,
    pub(crate) kind: Kind,
    pub(crate) fate: Fate,
}

/// Everything sent, by the number in the event's id.
#[derive(Debug, Default)]
pub(crate) struct Books {
    entries: Mutex<Vec<Entry>>,
    problems: Mutex<BTreeMap<String, u64>>,
}

/// The id of the pixel at this place.
pub(crate) fn pixel_id(place: usize) -> u64 {
    1_000_000_000_000_000 + place as u64
}

impl Kind {
    /// The id of the event with this number.
    pub(crate) fn event_id(self, number: usize) -> String {
        match self {
            Self::Purchase => format!("purchase-{number}"),
            Self::PageView => format!("view-{number}"),
            Self::Messaging => format!("message-{number}"),
            Self::Poison(way) => format!("poison{way}-{number}"),
            Self::Old => format!("old-{number}"),
        }
    }
}

impl Books {
    /// Opens an entry for each kind, and gives the number of the first; the others follow.
    pub(crate) fn open(&self, pixel: usize, kinds: &[Kind]) -> usize {
        let mut entries = self.entries();
        let first = entries.len();
        entries.extend(kinds.iter().map(|kind| Entry {
            pixel,
            kind: *kind,
            fate: Fate::Open,
        }));
        first
    }

    pub(crate) fn close(&self, first: usize, count: usize, fate: Fate) {
        for entry in &mut self.entries()[first..first + count] {
            entry.fate = fate;
        }
    }

    pub(crate) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap()
    }

    pub(crate) fn accepted(&self) -> usize {
        let entries = self.entries();
        entries
            .iter()
            .filter(|entry| entry.fate == Fate::Accepted)
            .count()
    }

    /// The entry of the event with this id, if it was sent to this pixel.
    pub(crate) fn find(&self, pixel: u64, event_id: &str) -> Option<(usize, Entry)> {
        let number: usize = event_id.rsplit('-').next()?.parse().ok()?;
        let entry = *self.entries().get(number)?;
        (pixel_id(entry.pixel) == pixel && entry.kind.event_id(number) == event_id)
            .then_some((number, entry))
    }

    /// Notes that something is wrong; the same words are counted.
    pub(crate) fn problem(&self, what: impl Into<String>) {
        let mut problems = self.problems.lock().unwrap();
        if problems.len() < 100 {
            *problems.entry(what.into()).or_default() += 1;
        }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let problems = self.problems.lock().unwrap();
        problems
            .iter()
            .map(|(what, times)| format!("{what} ({times} times)"))
            .collect()
    }
}
