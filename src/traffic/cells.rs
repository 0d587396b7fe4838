//! The same by source and event name, a quarter of an hour at a time, and an hour where it is long ago.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tally::{Brought, Kind};
use super::{Cell, FRESHNESS, MAX_CELLS, MAX_CELLS_OF_PIXEL, OTHER};

/// Hours that are kept: a day, and the present one.
pub(super) const HOURS: i64 = 25;
/// Hours before the present one that are kept by quarters.
pub(super) const FINE_HOURS: i64 = 6;
/// Quarters of an hour.
pub(super) const QUARTERS: i64 = 4;
/// Words of one cell; they are constants of the program, which has fewer.
const MAX_WORDS: usize = 128;

/// How many cells there are, of all pixels together.
pub(super) type Total = Arc<AtomicUsize>;

/// The cells of one pixel.
#[derive(Debug)]
pub(super) struct Cells {
    /// The latest quarter that has begun here.
    latest: i64,
    all: Vec<Slots>,
    /// What has no cell of its own.
    other: Option<Box<Slots>>,
    total: Total,
}

/// One cell. What came has a source; what became of it has none, since the journal does not keep it.
#[derive(Debug)]
struct Slots {
    source: Option<Arc<str>>,
    name: Box<str>,
    /// The words that its slots count, in the same places.
    words: Vec<(Kind, &'static str)>,
    /// Those that have anything, in their order.
    own: Vec<Slot>,
}

/// One quarter of a cell, or one hour, which is where its first quarter is.
#[derive(Debug)]
struct Slot {
    /// Which one.
    at: i64,
    taken: u32,
    with_event_id: u32,
    duplicates: u32,
    delivered: u32,
    freshness: [u32; FRESHNESS.len()],
    words: Vec<u32>,
}

impl Cells {
    pub(super) fn new(quarter: i64, total: Total) -> Self {
        Self {
            latest: quarter,
            all: Vec::new(),
            other: None,
            total,
        }
    }

    /// What a request has brought of one name.
    pub(super) fn take(&mut self, source: &Arc<str>, brought: &Brought, quarter: i64) {
        let quarter = self.advance(quarter);
        let cell = self.cell(Some(source), &brought.name);
        cell.count(quarter, |words, slot| {
            for (sum, more) in [
                (&mut slot.taken, brought.events),
                (&mut slot.with_event_id, brought.with_event_id),
                (&mut slot.duplicates, brought.duplicates),
            ] {
                *sum = sum.saturating_add(more);
            }
            for (sum, more) in slot.freshness.iter_mut().zip(brought.freshness) {
                *sum = sum.saturating_add(more);
            }
            let mut from = 0;
            for (kind, word, count) in &brought.words {
                from = slot.add(words, (*kind, word), *count, from);
            }
        });
    }

    /// Graph has confirmed events.
    pub(super) fn delivered(&mut self, name: &str, events: u32, quarter: i64) {
        let quarter = self.advance(quarter);
        self.cell(None, name).count(quarter, |_, slot| {
            slot.delivered = slot.delivered.saturating_add(events);
        });
    }

    /// Events have become dead letters.
    pub(super) fn dead(&mut self, name: &str, reason: &'static str, events: u32, quarter: i64) {
        let quarter = self.advance(quarter);
        self.cell(None, name).count(quarter, |words, slot| {
            slot.add(words, (Kind::Dead, reason), events, 0);
        });
    }

    /// The sums of these quarters, of the cells that have any. Beyond [`FINE_HOURS`] they are to be those
    /// of whole hours.
    pub(super) fn sums(
        &mut self,
        quarters: RangeInclusive<i64>,
        now: i64,
    ) -> impl Iterator<Item = Cell> {
        self.advance(now);
        let all = self.all.iter().chain(self.other.as_deref());
        all.filter_map(move |cell| cell.sums(&quarters))
    }

    /// Lets go of what is older than a day, once an hour. A clock that has gone back counts into the
    /// latest quarter there is.
    fn advance(&mut self, quarter: i64) -> i64 {
        let (hour, before) = (hour(quarter), hour(self.latest));
        self.latest = self.latest.max(quarter);
        if hour > before {
            let before = self.all.len();
            self.all.retain_mut(|cell| cell.age(hour));
            (self.total).fetch_sub(before - self.all.len(), Ordering::Relaxed);
            self.other.take_if(|cell| !cell.age(hour));
        }
        self.latest
    }

    fn cell(&mut self, source: Option<&Arc<str>>, name: &str) -> &mut Slots {
        let is_it = |cell: &Slots| *cell.name == *name && cell.source.as_ref() == source;
        let known = self.all.iter().position(is_it);
        let may_add = known.is_none() && self.all.len() < MAX_CELLS_OF_PIXEL && name != OTHER;
        if may_add && take_one(&self.total, MAX_CELLS) {
            self.all.push(Slots::new(source.cloned(), name));
        }
        let own = known.or_else(|| may_add.then(|| self.all.len().checked_sub(1)).flatten());
        match own.and_then(|at| self.all.get_mut(at)) {
            Some(cell) if is_it(cell) => cell,
            _ => {
                let other = &mut self.other;
                other.get_or_insert_with(|| Box::new(Slots::new(None, OTHER)))
            }
        }
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        self.total.fetch_sub(self.all.len(), Ordering::Relaxed);
    }
}

fn hour(quarter: i64) -> i64 {
    quarter.div_euclid(QUARTERS)
}

/// False when there are as many as there may be.
pub(super) fn take_one(total: &AtomicUsize, most: usize) -> bool {
    let more = |count| (count < most).then_some(count + 1);
    let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
    total.fetch_update(set, fetch, more).is_ok()
}

impl Slots {
    fn new(source: Option<Arc<str>>, name: &str) -> Self {
        Self {
            source,
            name: name.into(),
            words: Vec::new(),
            own: Vec::new(),
        }
    }

    /// Counts into a quarter, which is none before those that are there.
    fn count(
        &mut self,
        quarter: i64,
        count: impl FnOnce(&mut Vec<(Kind, &'static str)>, &mut Slot),
    ) {
        if self.own.last().is_none_or(|last| last.at != quarter) {
            self.own.push(Slot::new(quarter));
        }
        if let Some(last) = self.own.last_mut() {
            count(&mut self.words, last);
        }
    }

    /// Lets go of what is older than a day, and makes hours of the quarters that are no more kept as
    /// such. False when nothing is left.
    fn age(&mut self, now: i64) -> bool {
        let mut kept: Vec<Slot> = Vec::with_capacity(self.own.len());
        for mut slot in self.own.drain(..) {
            let hour = hour(slot.at);
            if now - hour >= HOURS {
                continue;
            }
            if now - hour > FINE_HOURS {
                slot.at = hour * QUARTERS;
            }
            match kept.last_mut() {
                Some(last) if last.at == slot.at => last.join(&slot),
                _ => kept.push(slot),
            }
        }
        self.own = kept;
        !self.own.is_empty()
    }

    fn sums(&self, quarters: &RangeInclusive<i64>) -> Option<Cell> {
        let mut cell = Cell {
            source: self.source.as_deref().map(str::to_owned),
            event_name: self.name.to_string(),
            ..Cell::default()
        };
        let mut words = vec![0_u64; self.words.len()];
        let mut any = false;
        for slot in (self.own.iter()).filter(|slot| quarters.contains(&slot.at)) {
            any = true;
            cell.taken += u64::from(slot.taken);
            cell.with_event_id += u64::from(slot.with_event_id);
            cell.duplicates += u64::from(slot.duplicates);
            cell.delivered += u64::from(slot.delivered);
            for (sum, more) in cell.freshness.iter_mut().zip(slot.freshness) {
                *sum += u64::from(more);
            }
            for (sum, more) in words.iter_mut().zip(&slot.words) {
                *sum += u64::from(*more);
            }
        }
        for ((kind, word), count) in self.words.iter().zip(words) {
            if count > 0 {
                let counts = match kind {
                    Kind::MatchKey => &mut cell.match_keys,
                    Kind::Refused => &mut cell.refused,
                    Kind::Filtered => &mut cell.filtered,
                    Kind::Dead => &mut cell.dead,
                };
                counts.insert(word, count);
            }
        }
        any.then_some(cell)
    }
}

impl Slot {
    fn new(quarter: i64) -> Self {
        Self {
            at: quarter,
            taken: 0,
            with_event_id: 0,
            duplicates: 0,
            delivered: 0,
            freshness: [0; FRESHNESS.len()],
            words: Vec::new(),
        }
    }

    fn join(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.taken, other.taken),
            (&mut self.with_event_id, other.with_event_id),
            (&mut self.duplicates, other.duplicates),
            (&mut self.delivered, other.delivered),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in self.freshness.iter_mut().zip(other.freshness) {
            *sum = sum.saturating_add(more);
        }
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (sum, more) in self.words.iter_mut().zip(&other.words) {
            *sum = sum.saturating_add(*more);
        }
    }

    /// Counts a word, looked for from the place `from`; gives the place behind it, where the next of
    /// the same order is likely to be.
    fn add(
        &mut self,
        words: &mut Vec<(Kind, &'static str)>,
        word: (Kind, &'static str),
        count: u32,
        from: usize,
    ) -> usize {
        let ahead = words.iter().skip(from).position(|known| *known == word);
        let known = ahead.map(|ahead| from + ahead);
        let known = known.or_else(|| words.iter().take(from).position(|known| *known == word));
        let at = match known {
            Some(at) => at,
            None if words.len() < MAX_WORDS => {
                words.push(word);
                words.len() - 1
            }
            None => return from,
        };
        if self.words.len() <= at {
            self.words.resize(words.len(), 0);
        }
        if let Some(sum) = self.words.get_mut(at) {
            *sum = sum.saturating_add(count);
        }
        at + 1
    }
}
