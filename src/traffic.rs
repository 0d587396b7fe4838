//! What came for each pixel and what became of it, in numbers: the last hour to the minute, which
//! somebody looks at before going live, and the last day by quarters of an hour, and by hour, source
//! and event name.
//!
//! **Promises.** Counts and labels only: no id, and no data of a person. One short lock for a
//! request, and none that another pixel waits for.
//! **Refuses.** Pixels that are not configured.
//! **Limits.** Since the start of the process, [`WINDOW`] at most, to the minute, and [`DAY`] at most.
//! [`MAX_LABELS`] names, keys or codes of each kind for a pixel; the others share one row, [`OTHER`]. Some
//! 30 KiB of memory for a pixel with traffic, none for one without. [`MAX_CELLS_OF_PIXEL`] pairs of source
//! and name for a pixel, [`MAX_CELLS`] of all pixels together, each of up to 5 KiB; beyond those a
//! pixel has one for all others.

mod cells;
mod counts;
mod day;
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
pub use tally::{Ended, Place, Tally};

/// How far one can look back.
pub const WINDOW: Duration = Duration::from_mins(MINUTES as u64);
/// How far one can look back by the hour.
pub const DAY: Duration = Duration::from_hours(24);
/// What [`Pulse::minutes`] is about.
pub const FEW_MINUTES: Duration = Duration::from_mins(5);
/// Pairs of source and event name that are counted apart for a pixel.
pub const MAX_CELLS_OF_PIXEL: usize = 64;
/// The same of all pixels together.
pub const MAX_CELLS: usize = 20_000;
/// The name of events that have none.
pub const UNNAMED: &str = "(unnamed)";
/// The name of the events of requests that were refused as a whole.
pub const REQUEST: &str = "(whole requests)";
/// How old events are when they come, from `event_time` on: a word, and the seconds up to which it holds.
pub const FRESHNESS: [(&str, i64); 5] = [
    ("1m", 60),
    ("10m", 600),
    ("1h", 3_600),
    ("1d", 86_400),
    ("older", i64::MAX),
];
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

/// The numbers of one pixel, or of all, in some time. Events, not requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// That came with a good key, whatever came of them.
    pub received: u64,
    /// Of those, refused at the door.
    pub refused: u64,
    /// Of those, kept back by a policy.
    pub filtered: u64,
    /// Of those, that had come before, and are not sent again.
    pub duplicates: u64,
    /// Of those, made durable: all others.
    pub accepted: u64,
    /// Events that got a test code, be it for a copy.
    pub coded: u64,
    /// Events that Graph has confirmed in that time, whenever they came; copies of a mirror included.
    pub delivered: u64,
    /// Events that have become dead letters in that time, whenever they came.
    pub dead: u64,
}

/// Whether it works, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The last [`FEW_MINUTES`].
    pub minutes: Totals,
    /// The last [`DAY`].
    pub day: Totals,
    /// Events made durable in each quarter of an hour of that day, the oldest first; empty when nothing
    /// ever came.
    pub accepted: Vec<u32>,
}

/// The numbers of one source and event name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Whose events they are. None for what became of them, which nobody knows by source, and for
    /// [`OTHER`].
    pub source: Option<String>,
    /// `event_name`.
    pub event_name: String,
    /// Events taken at the door, duplicates included.
    pub taken: u64,
    /// Of those, events that brought an `event_id`.
    pub with_event_id: u64,
    /// Of those, events that had come before.
    pub duplicates: u64,
    /// Of those, how many were of which age: in the order of [`FRESHNESS`].
    pub freshness: [u64; FRESHNESS.len()],
    /// Of those, events by field of `user_data`.
    pub match_keys: BTreeMap<&'static str, u64>,
    /// Events that were refused at the door, by word.
    pub refused: BTreeMap<&'static str, u64>,
    /// Events that a policy has kept back, by its word.
    pub filtered: BTreeMap<&'static str, u64>,
    /// Events that Graph has confirmed.
    pub delivered: u64,
    /// Dead letters by reason.
    pub dead: BTreeMap<&'static str, u64>,
}

/// The traffic of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Traffic(Arc<Inner>);

type Slot = Arc<Mutex<Option<Box<Counts>>>>;

struct Inner {
    clock: Clock,
    since: UnixMs,
    pixels: ArcSwap<BTreeMap<PixelId, Slot>>,
    cells: cells::Total,
}

impl Traffic {
    /// Counts from now on, for these pixels.
    pub fn new(pixels: impl Iterator<Item = PixelId>, clock: Clock) -> Self {
        let traffic = Self(Arc::new(Inner {
            since: clock.now(),
            clock,
            pixels: ArcSwap::default(),
            cells: cells::Total::default(),
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
    pub fn delivered(&self, pixel: PixelId, ended: &Ended<'_>) {
        self.count(pixel, |counts, minute| counts.delivered(ended, minute));
    }

    /// Events have become dead letters.
    pub fn dead(&self, pixel: PixelId, death: Death, ended: &Ended<'_>) {
        self.count(pixel, |counts, minute| counts.dead(death, ended, minute));
    }

    /// Since when there are counts.
    pub fn since(&self) -> UnixMs {
        self.0.since
    }

    /// Whether it works for `pixel`; all zero for one without traffic.
    pub fn pulse(&self, pixel: PixelId) -> Pulse {
        let minutes = FEW_MINUTES.as_secs() as usize / 60;
        let minute = minute(self.0.clock.now());
        let pixels = self.0.pixels.load();
        let pulse = pixels.get(&pixel).and_then(|slot| {
            let mut slot = locked(slot);
            Some(slot.as_mut()?.pulse(minutes, minute))
        });
        pulse.unwrap_or_default()
    }

    /// The numbers of `pixel`, or of each, by source and event name, in the last `window` and what is
    /// missing to a whole hour. Gives since when that is.
    pub fn cells(
        &self,
        pixel: Option<PixelId>,
        window: Duration,
        each: &mut dyn FnMut(PixelId, Cell),
    ) -> UnixMs {
        let now = self.0.clock.now();
        let hours = window.min(DAY).as_secs().div_ceil(3600) + 1;
        let minute = minute(now);
        for (id, slot) in self.0.pixels.load().iter() {
            if pixel.is_none_or(|pixel| pixel == *id)
                && let Some(counts) = locked(slot).as_mut()
            {
                for cell in counts.cells(hours as usize, minute) {
                    each(*id, cell);
                }
            }
        }
        let first = minute.div_euclid(60) - hours as i64 + 1;
        UnixMs::from_secs(first * 3600).max(self.0.since)
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
        let total = &self.0.cells;
        let counts = slot.get_or_insert_with(|| Box::new(Counts::new(minute, Arc::clone(total))));
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
