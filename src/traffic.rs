//! What came for each pixel in the last hour and what became of it, in numbers: what somebody looks
//! at before going live.
//!
//! **Promises.** Counts and labels only: no id, and no data of a person. One short lock for a
//! request, and none that another pixel waits for.
//! **Refuses.** Pixels that are not configured.
//! **Limits.** Since the start of the process, [`WINDOW`] at most, to the minute. [`MAX_LABELS`] names,
//! keys or codes of each kind for a pixel; the others share one row, [`OTHER`]. Some 30 KiB of memory
//! for a pixel with traffic, none for one without.

mod counts;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::pixel::PixelId;
use crate::time::{Clock, UnixMs};

use counts::{Counts, MINUTES};
pub use tally::Tally;

/// How far one can look back.
pub const WINDOW: Duration = Duration::from_mins(MINUTES as u64);
/// Labels of one kind that are counted apart.
pub const MAX_LABELS: usize = 40;
/// The row of the labels beyond those.
pub const OTHER: &str = "(other)";
/// Characters of a label.
pub const MAX_LABEL: usize = 64;

/// How events died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Death {
    /// The stable word of the dead letter.
    pub reason: &'static str,
    /// Graph's code, if it has refused them.
    pub code: Option<i64>,
    /// Its subcode.
    pub subcode: Option<i64>,
}

/// Dead letters of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dead {
    /// How they died.
    #[serde(flatten)]
    pub death: Death,
    /// How many.
    pub events: u64,
}

/// The numbers of one pixel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The time that was asked for.
    pub window_seconds: u64,
    /// The time that the numbers are about: less, when the process has not run for so long.
    pub covered_seconds: u64,
    /// Events taken at the door, duplicates and the copies of a fan-out included.
    pub events: u64,
    /// Of those, events that got a test code, be it for a copy.
    pub coded: u64,
    /// Events that Graph has confirmed, copies included.
    pub delivered: u64,
    /// Events that brought an `event_id`.
    pub with_event_id: u64,
    /// Events by name.
    pub names: BTreeMap<String, u64>,
    /// Events by field of `user_data`.
    pub match_keys: BTreeMap<String, u64>,
    /// Warnings by their word.
    pub warnings: BTreeMap<String, u64>,
    /// Events, and whole requests, that were refused at the door, by their word.
    pub refused: BTreeMap<String, u64>,
    /// Events that a policy has kept back, by its word.
    pub filtered: BTreeMap<String, u64>,
    /// Dead letters.
    pub dead: Vec<Dead>,
}

/// The traffic of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Traffic(Arc<Inner>);

type Slot = Arc<Mutex<Option<Box<Counts>>>>;

struct Inner {
    clock: Clock,
    since: UnixMs,
    pixels: ArcSwap<BTreeMap<PixelId, Slot>>,
}

impl Traffic {
    /// Counts from now on, for these pixels.
    pub fn new(pixels: impl Iterator<Item = PixelId>, clock: Clock) -> Self {
        let traffic = Self(Arc::new(Inner {
            since: clock.now(),
            clock,
            pixels: ArcSwap::default(),
        }));
        traffic.expect(pixels);
        traffic
    }

    /// Takes another set of pixels over; those that stay keep their counts.
    pub fn expect(&self, pixels: impl Iterator<Item = PixelId>) {
        let before = self.0.pixels.load();
        let slot = |pixel| {
            let known = before.get(&pixel).cloned();
            (pixel, known.unwrap_or_default())
        };
        self.0.pixels.store(Arc::new(pixels.map(slot).collect()));
    }

    /// Takes in a request.
    pub fn taken(&self, pixel: PixelId, tally: Tally) {
        if !tally.is_empty() {
            self.count(pixel, |counts, minute| counts.take(tally, minute));
        }
    }

    /// Graph has confirmed events.
    pub fn delivered(&self, pixel: PixelId, events: u64) {
        self.count(pixel, |counts, minute| counts.delivered(events, minute));
    }

    /// Events have become dead letters.
    pub fn dead(&self, pixel: PixelId, death: Death, events: u64) {
        self.count(pixel, |counts, minute| counts.dead(death, events, minute));
    }

    /// The numbers of `pixel` in the last `window`; none for one that is not configured.
    pub fn report(&self, pixel: PixelId, window: Duration) -> Option<Report> {
        let pixels = self.0.pixels.load();
        let slot = pixels.get(&pixel)?;
        let window = window.clamp(Duration::from_mins(1), WINDOW);
        let now = self.0.clock.now();
        let minutes = window.as_secs().div_ceil(60) as usize;
        let counts = locked(slot)
            .as_mut()
            .map(|counts| counts.report(minutes, minute(now)));
        Some(Report {
            window_seconds: window.as_secs(),
            covered_seconds: window.min(now.since(self.0.since)).as_secs(),
            ..counts.unwrap_or_default()
        })
    }

    fn count(&self, pixel: PixelId, count: impl FnOnce(&mut Counts, i64)) {
        let pixels = self.0.pixels.load();
        let Some(slot) = pixels.get(&pixel) else {
            return;
        };
        let minute = minute(self.0.clock.now());
        let mut slot = locked(slot);
        let counts = slot.get_or_insert_with(|| Box::new(Counts::new(minute)));
        count(counts, minute);
    }
}

fn minute(at: UnixMs) -> i64 {
    at.secs().div_euclid(60)
}

/// A panic elsewhere leaves counts that are still counts.
fn locked(slot: &Slot) -> MutexGuard<'_, Option<Box<Counts>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
