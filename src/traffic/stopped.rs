//! The last events that stopped at the door, so that the counts of them have a list.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::cells::{HOURS, Total, take_one};
use super::{MAX_STOPPED, MAX_STOPPED_OF_PIXEL};
use crate::time::UnixMs;

/// Rows that each pixel may keep when there are [`MAX_STOPPED`] already.
const FEW: usize = 8;
/// Bytes of an event id that is kept; a longer one is not.
const MAX_ID: usize = 256;

/// How an event stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was refused.
    Refused,
    /// A policy has kept it back.
    Filtered,
    /// Its twin was accepted before.
    Duplicate,
}

impl Stage {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Refused, Self::Filtered, Self::Duplicate];

    /// The stable word: `refused`, `filtered` or `duplicate`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Filtered => "filtered",
            Self::Duplicate => "duplicate",
        }
    }
}

/// An event that stopped at the door, or a whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// When.
    pub at: UnixMs,
    /// Whose event.
    pub source: Arc<str>,
    /// As in [`Cell`](super::Cell): cut, `(unnamed)` or `(whole requests)`.
    pub event_name: String,
    /// Its id, if it has one that can be kept.
    pub event_id: Option<String>,
    /// How it stopped.
    pub stage: Stage,
    /// Why: the stable word of the refusal or the policy, or `duplicate`.
    pub cause: &'static str,
    /// How many events: of a request, all of it.
    pub events: u32,
}

/// The same on its way from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) name: String,
    pub(super) event_id: Option<String>,
    pub(super) stage: Stage,
    pub(super) cause: &'static str,
    pub(super) events: u32,
}

/// The last of one pixel, by cause, so that what is frequent does not push out what is rare.
#[derive(Debug)]
pub(super) struct Ring {
    by_cause: Vec<(&'static str, VecDeque<Stopped>)>,
    len: usize,
    total: Total,
}

impl Ring {
    pub(super) fn new(total: Total) -> Self {
        Self {
            by_cause: Vec::new(),
            len: 0,
            total,
        }
    }

    pub(super) fn add(&mut self, source: &Arc<str>, stop: Stop, at: UnixMs) {
        if self.len < MAX_STOPPED_OF_PIXEL && self.take_place() {
            self.len += 1;
        } else {
            self.make_room();
        }
        let stopped = Stopped {
            at,
            source: Arc::clone(source),
            event_name: stop.name,
            event_id: stop.event_id.filter(|id| id.len() <= MAX_ID),
            stage: stop.stage,
            cause: stop.cause,
            events: stop.events,
        };
        let known = (self.by_cause.iter_mut()).find(|(cause, _)| *cause == stop.cause);
        match known {
            Some((_, all)) => all.push_back(stopped),
            None => self.by_cause.push((stop.cause, [stopped].into())),
        }
    }

    /// All that are not older than a day.
    pub(super) fn all(&mut self, hour: i64) -> impl Iterator<Item = &Stopped> {
        let since = UnixMs::from_secs((hour - HOURS + 1) * 3600);
        let mut gone = 0;
        for (_, all) in &mut self.by_cause {
            while all.front().is_some_and(|one| one.at < since) {
                all.pop_front();
                gone += 1;
            }
        }
        self.len -= gone;
        self.total.fetch_sub(gone, Ordering::Relaxed);
        self.by_cause.iter().flat_map(|(_, all)| all)
    }

    fn take_place(&self) -> bool {
        let is_few = self.len < FEW;
        if is_few {
            self.total.fetch_add(1, Ordering::Relaxed);
        }
        is_few || take_one(&self.total, MAX_STOPPED)
    }

    /// Lets go of the oldest of the most frequent cause.
    fn make_room(&mut self) {
        let longest = self.by_cause.iter_mut().max_by_key(|(_, all)| all.len());
        longest.and_then(|(_, all)| all.pop_front());
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.total.fetch_sub(self.len, Ordering::Relaxed);
    }
}
