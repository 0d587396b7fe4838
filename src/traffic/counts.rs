//! Rings of sixty minutes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::cells::{Cells, Total};
use super::day::{Day, Few, quarter};
use super::stopped::{Ring as Stops, Stopped};
use super::tally::{Ended, Kind, cut};
use super::{Cell, Dead, Death, MAX_LABELS, OTHER, Pulse, Report, Tally, Totals};
use crate::time::UnixMs;

/// Minutes that are kept.
pub(super) const MINUTES: usize = 60;

/// The counts of one pixel.
#[derive(Debug)]
pub(super) struct Counts {
    /// The latest minute that has anything.
    minute: i64,
    events: Ring,
    coded: Ring,
    delivered: Ring,
    with_event_id: Ring,
    names: Labelled<Cow<'static, str>>,
    match_keys: Labelled<Cow<'static, str>>,
    warnings: Labelled<Cow<'static, str>>,
    refused: Labelled<Cow<'static, str>>,
    filtered: Labelled<Cow<'static, str>>,
    dead: Labelled<Death>,
    duplicates: Ring,
    day: Day,
    cells: Cells,
    stopped: Stops,
}

/// How many in each of the last minutes.
#[derive(Clone, Debug)]
struct Ring([u32; MINUTES]);

/// A ring for each label, in the same places. There are few labels, and nearly every event looks some
/// up: they are together, away from the numbers.
#[derive(Debug)]
struct Labelled<K> {
    labels: Vec<K>,
    rings: Vec<Ring>,
    other: Ring,
}

/// The place in the rings of the present minute.
#[derive(Clone, Copy)]
struct Now {
    place: usize,
}

impl Counts {
    pub(super) fn new(minute: i64, total: Total, stopped: Total) -> Self {
        Self {
            minute,
            duplicates: Ring::new(),
            day: Day::new(minute),
            cells: Cells::new(quarter(minute), total),
            stopped: Stops::new(stopped),
            events: Ring::new(),
            coded: Ring::new(),
            delivered: Ring::new(),
            with_event_id: Ring::new(),
            names: Labelled::new(),
            match_keys: Labelled::new(),
            warnings: Labelled::new(),
            refused: Labelled::new(),
            filtered: Labelled::new(),
            dead: Labelled::new(),
        }
    }

    pub(super) fn take(&mut self, mut tally: Tally, at: UnixMs, minute: i64) {
        let now = self.advance(minute);
        let few = tally.few();
        for stop in std::mem::take(&mut tally.stopped) {
            self.stopped.add(&tally.source, stop, at);
        }
        self.day.add(few, minute);
        self.events.add(now, few.taken);
        self.coded.add(now, few.coded);
        self.duplicates.add(now, few.duplicates);
        for brought in tally.brought {
            self.cells.take(&tally.source, &brought, quarter(minute));
            self.with_event_id.add(now, brought.with_event_id);
            for (kind, word, count) in brought.words {
                let labels = match kind {
                    Kind::MatchKey => &mut self.match_keys,
                    Kind::Refused => &mut self.refused,
                    Kind::Filtered => &mut self.filtered,
                    // comes later, and from elsewhere
                    Kind::Dead => continue,
                };
                labels.add(Cow::Borrowed(word), now, count);
            }
            if brought.name == OTHER {
                self.names.other.add(now, brought.events);
            } else if brought.events > 0 {
                self.names
                    .add(Cow::Owned(brought.name), now, brought.events);
            }
        }
        for (word, count) in tally.warnings {
            self.warnings.add(Cow::Borrowed(word), now, count);
        }
    }

    pub(super) fn delivered(&mut self, ended: &Ended<'_>, minute: i64) {
        let now = self.advance(minute);
        let delivered = ended.count();
        self.delivered.add(now, delivered);
        let few = Few {
            delivered,
            ..Few::default()
        };
        self.day.add(few, minute);
        for (name, events) in &ended.0 {
            self.cells.delivered(cut(name), *events, quarter(minute));
        }
    }

    pub(super) fn dead(&mut self, death: Death, ended: &Ended<'_>, minute: i64) {
        let now = self.advance(minute);
        let dead = ended.count();
        self.dead.add(death, now, dead);
        let few = Few {
            dead,
            ..Few::default()
        };
        self.day.add(few, minute);
        for (name, events) in &ended.0 {
            let quarter = quarter(minute);
            self.cells.dead(cut(name), death.reason, *events, quarter);
        }
    }

    /// What somebody looks at to see whether it works.
    pub(super) fn pulse(&mut self, minutes: usize, minute: i64) -> Pulse {
        Pulse {
            minutes: self.totals(minutes, minute),
            day: self.day.totals(minute),
            accepted: self.day.accepted(minute),
        }
    }

    /// The totals of the last `minutes`, the present one included.
    pub(super) fn totals(&mut self, minutes: usize, minute: i64) -> Totals {
        let now = self.advance(minute);
        let sum = |ring: &Ring| ring.sum(now, minutes);
        let (taken, duplicates) = (sum(&self.events), sum(&self.duplicates));
        let refused = self.refused.sum(now, minutes);
        let filtered = self.filtered.sum(now, minutes);
        Totals {
            received: taken + refused + filtered,
            refused,
            filtered,
            duplicates,
            accepted: taken.saturating_sub(duplicates),
            coded: sum(&self.coded),
            delivered: sum(&self.delivered),
            dead: self.dead.sum(now, minutes),
        }
    }

    /// The numbers of these quarters, by source and name.
    pub(super) fn cells(
        &mut self,
        quarters: RangeInclusive<i64>,
        minute: i64,
    ) -> impl Iterator<Item = Cell> {
        self.cells.sums(quarters, quarter(minute))
    }

    /// The last events that stopped at the door, in no order.
    pub(super) fn stopped(&mut self, minute: i64) -> impl Iterator<Item = &Stopped> {
        self.stopped.all(minute.div_euclid(60))
    }

    /// The sums of the last `minutes`, the present one included.
    pub(super) fn report(&mut self, minutes: usize, minute: i64) -> Report {
        let now = self.advance(minute);
        let sum = |ring: &Ring| ring.sum(now, minutes);
        let mut dead: Vec<Dead> = (self.dead.iter())
            .map(|(death, ring)| (*death, ring))
            .chain([(Death::OTHER, &self.dead.other)])
            .map(|(death, ring)| Dead {
                death,
                events: sum(ring),
            })
            .filter(|dead| dead.events > 0)
            .collect();
        dead.sort_by(|one, other| {
            other
                .events
                .cmp(&one.events)
                .then(one.death.cmp(&other.death))
        });
        Report {
            window_seconds: 0,
            covered_seconds: 0,
            events: sum(&self.events),
            coded: sum(&self.coded),
            delivered: sum(&self.delivered),
            with_event_id: sum(&self.with_event_id),
            names: self.names.sums(now, minutes),
            match_keys: self.match_keys.sums(now, minutes),
            warnings: self.warnings.sums(now, minutes),
            refused: self.refused.sums(now, minutes),
            filtered: self.filtered.sums(now, minutes),
            dead,
        }
    }

    /// Empties the minutes that have begun since. A clock that has gone back counts into the latest
    /// minute there is.
    fn advance(&mut self, minute: i64) -> Now {
        let passed = minute.saturating_sub(self.minute).clamp(0, MINUTES as i64);
        if passed > 0 {
            let first = minute - passed + 1;
            let places: Vec<usize> = (first..=minute).map(place).collect();
            for ring in [
                &mut self.events,
                &mut self.coded,
                &mut self.delivered,
                &mut self.with_event_id,
                &mut self.duplicates,
            ] {
                ring.empty(&places);
            }
            for labels in [
                &mut self.names,
                &mut self.match_keys,
                &mut self.warnings,
                &mut self.refused,
                &mut self.filtered,
            ] {
                labels.empty(&places);
            }
            self.dead.empty(&places);
            self.minute = minute;
        }
        Now {
            place: place(self.minute),
        }
    }
}

impl Death {
    const OTHER: Self = Self {
        reason: OTHER,
        code: None,
        subcode: None,
    };
}

impl Ring {
    fn new() -> Self {
        Self([0; MINUTES])
    }

    fn add(&mut self, now: Now, count: u32) {
        if let Some(minute) = self.0.get_mut(now.place) {
            *minute = minute.saturating_add(count);
        }
    }

    fn empty(&mut self, places: &[usize]) {
        for place in places {
            if let Some(minute) = self.0.get_mut(*place) {
                *minute = 0;
            }
        }
    }

    fn sum(&self, now: Now, minutes: usize) -> u64 {
        let back = (0..minutes.min(MINUTES)).map(|back| (now.place + MINUTES - back) % MINUTES);
        let counts = back.filter_map(|place| self.0.get(place));
        counts.map(|count| u64::from(*count)).sum()
    }
}

impl<K: PartialEq> Labelled<K> {
    fn new() -> Self {
        Self {
            labels: Vec::new(),
            rings: Vec::new(),
            other: Ring::new(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&K, &Ring)> {
        self.labels.iter().zip(&self.rings)
    }

    fn sum(&self, now: Now, minutes: usize) -> u64 {
        let rings = self.rings.iter().chain([&self.other]);
        rings.map(|ring| ring.sum(now, minutes)).sum()
    }

    fn add(&mut self, label: K, now: Now, count: u32) {
        let known = self.labels.iter().position(|known| *known == label);
        if let Some(ring) = known.and_then(|at| self.rings.get_mut(at)) {
            ring.add(now, count);
        } else if self.labels.len() < MAX_LABELS {
            let mut ring = Ring::new();
            ring.add(now, count);
            self.labels.push(label);
            self.rings.push(ring);
        } else {
            self.other.add(now, count);
        }
    }

    /// Labels of which nothing is left make room for others.
    fn empty(&mut self, places: &[usize]) {
        self.other.empty(places);
        for ring in &mut self.rings {
            ring.empty(places);
        }
        let is_left = |ring: &Ring| ring.0.iter().any(|count| *count > 0);
        let mut rings = self.rings.iter();
        self.labels.retain(|_| rings.next().is_some_and(is_left));
        self.rings.retain(is_left);
    }
}

impl Labelled<Cow<'static, str>> {
    fn sums(&self, now: Now, minutes: usize) -> BTreeMap<String, u64> {
        let rings = self.iter().map(|(label, ring)| (&**label, ring));
        let all = rings.chain([(OTHER, &self.other)]);
        all.map(|(label, ring)| (label.to_owned(), ring.sum(now, minutes)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

fn place(minute: i64) -> usize {
    minute.rem_euclid(MINUTES as i64) as usize
}
