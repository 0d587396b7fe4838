//! What came for each pixel and what became of it, in numbers: the last hour to the minute, which
//! somebody looks at before going live, and the last day by quarters of an hour, source and event
//! name, of which what is long ago is kept by the hour. And the last events that stopped at the door.
//!
//! **Promises.** Counts and labels only, and of an event that stopped its `event_id`: no data of a person. One short lock for a
//! request, and none that another pixel waits for.
//! **Refuses.** Pixels that are not configured.
//! **Limits.** Since the start of the process, [`WINDOW`] at most, to the minute, and [`DAY`] at most.
//! [`MAX_LABELS`] names, keys or codes of each kind for a pixel; the others share one row, [`OTHER`]. Some
//! 30 KiB of memory for a pixel with traffic, none for one without. [`MAX_CELLS_OF_PIXEL`] pairs of source
//! and name for a pixel, [`MAX_CELLS`] of all pixels together, each of up to 9 KiB; beyond those a
//! pixel has one for all others. [`MAX_STOPPED_OF_PIXEL`] events that stopped and [`MAX_STOPPED`] of all
//! pixels together, some 200 bytes each; beyond those each pixel still has its last eight.

mod cells;
mod counts;
mod day;
mod stopped;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::pixel::PixelId;
use crate::time::{Clock, UnixMs};

use counts::{Counts, MINUTES};
pub use stopped::{Stage, Stopped};
pub use tally::{Ended, Place, Tally};

/// How far one can look back.
pub const WINDOW: Duration = Duration::from_mins(MINUTES as u64);
/// How far one can look back by quarters of an hour, and beyond [`FINE`] by hours.
pub const DAY: Duration = Duration::from_hours(24);
/// How far one can look back by quarters of an hour.
pub const FINE: Duration = Duration::from_hours(cells::FINE_HOURS as u64);
/// A quarter of an hour.
pub const QUARTER: Duration = Duration::from_mins(15);
/// Events that stopped at the door and are kept of a pixel.
pub const MAX_STOPPED_OF_PIXEL: usize = 300;
/// The same of all pixels together.
pub const MAX_STOPPED: usize = 20_000;
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
    /// Events that were refused at the door, by their word; a request whose events could not be counted
    /// is one.
    pub refused: BTreeMap<String, u64>,
    /// Events that a policy has kept back, by its word.
    pub filtered: BTreeMap<String, u64>,
    /// Dead letters.
    pub dead: Vec<Dead>,
}

/// The numbers of one pixel, or of all, in some time. Events, not requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// That came with a good key, whatever came of them; of a request whose events could not be counted, one.
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

/// A time that [`Traffic::cells`] are of: whole quarters of an hour, and whole hours where it begins
/// more than [`FINE`] ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// From when on, not before the start of the process.
    pub since: UnixMs,
    /// Until when.
    pub until: UnixMs,
    quarters: RangeInclusive<i64>,
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
    stopped: cells::Total,
}

impl Traffic {
    /// Counts from now on, for these pixels.
    pub fn new(pixels: impl Iterator<Item = PixelId>, clock: Clock) -> Self {
        let traffic = Self(Arc::new(Inner {
            since: clock.now(),
            clock,
            pixels: ArcSwap::default(),
            cells: cells::Total::default(),
            stopped: cells::Total::default(),
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
            self.count(pixel, |counts, at| counts.take(tally, at, minute(at)));
        }
    }

    /// Graph has confirmed events.
    pub fn delivered(&self, pixel: PixelId, ended: &Ended<'_>) {
        self.count(pixel, |counts, at| counts.delivered(ended, minute(at)));
    }

    /// Events have become dead letters.
    pub fn dead(&self, pixel: PixelId, death: Death, ended: &Ended<'_>) {
        self.count(pixel, |counts, at| counts.dead(death, ended, minute(at)));
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

    /// The numbers of each pixel that has any in the last [`WINDOW`], in one pass over all of them.
    pub fn hour(&self) -> BTreeMap<PixelId, Totals> {
        let mut hour = BTreeMap::new();
        self.each(None, |id, counts, minute| {
            let totals = counts.totals(MINUTES, minute);
            if totals != Totals::default() {
                hour.insert(id, totals);
            }
        });
        hour
    }

    /// The last `window` before `until`, or before now, and what is missing to whole quarters of an hour,
    /// or whole hours.
    pub fn stretch(&self, window: Duration, until: Option<UnixMs>) -> Stretch {
        let now = self.0.clock.now();
        let end = until.map_or(now, |until| until.min(now));
        let hour = |quarter: i64| quarter.div_euclid(cells::QUARTERS);
        let fine = hour(quarter(now)) - cells::FINE_HOURS;
        let mut first = quarter(UnixMs(end.0 - window.min(DAY).as_millis() as i64));
        let mut last = quarter(UnixMs(end.0 - 1)).max(first);
        if hour(first) < fine {
            first = hour(first) * cells::QUARTERS;
        }
        if hour(last) < fine {
            last = hour(last) * cells::QUARTERS + cells::QUARTERS - 1;
        }
        let begin = |quarter: i64| UnixMs::from_secs(quarter * QUARTER.as_secs() as i64);
        Stretch {
            since: begin(first).max(self.0.since),
            until: begin(last + 1).min(now),
            // a clock that has gone back counts into the latest quarter there is
            quarters: first..=until.map_or(i64::MAX, |_| last),
        }
    }

    /// The numbers of `pixel`, or of each, by source and event name, in a time.
    pub fn cells(
        &self,
        pixel: Option<PixelId>,
        stretch: &Stretch,
        each: &mut dyn FnMut(PixelId, Cell),
    ) {
        self.each(pixel, |id, counts, minute| {
            for cell in counts.cells(stretch.quarters.clone(), minute) {
                each(id, cell);
            }
        });
    }

    /// The last events of `pixel`, or of each, that stopped at the door in a time; in no order.
    pub fn stopped(
        &self,
        pixel: Option<PixelId>,
        stretch: &Stretch,
        each: &mut dyn FnMut(PixelId, &Stopped),
    ) {
        self.each(pixel, |id, counts, minute| {
            for stopped in counts.stopped(minute) {
                if stretch.quarters.contains(&quarter(stopped.at)) {
                    each(id, stopped);
                }
            }
        });
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

    fn each(&self, pixel: Option<PixelId>, mut each: impl FnMut(PixelId, &mut Counts, i64)) {
        let minute = minute(self.0.clock.now());
        for (id, slot) in self.0.pixels.load().iter() {
            if pixel.is_none_or(|pixel| pixel == *id)
                && let Some(counts) = locked(slot).as_mut()
            {
                each(*id, counts, minute);
            }
        }
    }

    fn count(&self, pixel: PixelId, count: impl FnOnce(&mut Counts, UnixMs)) {
        let pixels = self.0.pixels.load();
        let Some(slot) = pixels.get(&pixel) else {
            return;
        };
        let now = self.0.clock.now();
        let mut slot = locked(slot);
        let counts = slot.get_or_insert_with(|| {
            let (cells, stopped) = (Arc::clone(&self.0.cells), Arc::clone(&self.0.stopped));
            Box::new(Counts::new(minute(now), cells, stopped))
        });
        count(counts, now);
    }
}

fn minute(at: UnixMs) -> i64 {
    at.secs().div_euclid(60)
}

fn quarter(at: UnixMs) -> i64 {
    day::quarter(minute(at))
}

/// A panic elsewhere leaves counts that are still counts.
fn locked(slot: &Slot) -> MutexGuard<'_, Option<Box<Counts>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
