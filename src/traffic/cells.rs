//! The same by source and event name, an hour at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tally::{Brought, Kind};
use super::{Cell, FRESHNESS, MAX_CELLS, MAX_CELLS_OF_PIXEL, OTHER};

/// Hours that are kept: a day, and the present one.
pub(super) const HOURS: usize = 25;
/// Words of one cell; they are constants of the program, which has fewer.
const MAX_WORDS: usize = 128;

/// How many cells there are, of all pixels together.
pub(super) type Total = Arc<AtomicUsize>;

/// The cells of one pixel.
#[derive(Debug)]
pub(super) struct Cells {
    /// The latest hour that has begun here.
    latest: i64,
    all: Vec<Hours>,
    /// What has no cell of its own.
    other: Option<Box<Hours>>,
    total: Total,
}

/// One cell. What came has a source; what became of it has none, since the journal does not keep it.
#[derive(Debug)]
struct Hours {
    source: Option<Arc<str>>,
    name: Box<str>,
    /// The words that its hours count, in the same places.
    words: Vec<(Kind, &'static str)>,
    /// Those that have anything, in their order.
    slots: Vec<Hour>,
}

/// One hour of a cell.
#[derive(Debug)]
struct Hour {
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
    pub(super) fn new(hour: i64, total: Total) -> Self {
        Self {
            latest: hour,
            all: Vec::new(),
            other: None,
            total,
        }
    }

    /// What a request has brought of one name.
    pub(super) fn take(&mut self, source: &Arc<str>, brought: &Brought, hour: i64) {
        let hour = self.advance(hour);
        let cell = self.cell(Some(source), &brought.name);
        cell.count(hour, |words, slot| {
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
    pub(super) fn delivered(&mut self, name: &str, events: u32, hour: i64) {
        let hour = self.advance(hour);
        self.cell(None, name).count(hour, |_, slot| {
            slot.delivered = slot.delivered.saturating_add(events);
        });
    }

    /// Events have become dead letters.
    pub(super) fn dead(&mut self, name: &str, reason: &'static str, events: u32, hour: i64) {
        let hour = self.advance(hour);
        self.cell(None, name).count(hour, |words, slot| {
            slot.add(words, (Kind::Dead, reason), events, 0);
        });
    }

    /// The sums of the last `hours`, the present one included, of those that have any.
    pub(super) fn sums(&mut self, hours: usize, hour: i64) -> impl Iterator<Item = Cell> {
        let now = self.advance(hour);
        let all = self.all.iter().chain(self.other.as_deref());
        all.filter_map(move |cell| cell.sums(hours, now))
    }

    /// Lets go of what is older than a day, once an hour. A clock that has gone back counts into the
    /// latest hour there is.
    fn advance(&mut self, hour: i64) -> i64 {
        if hour > self.latest {
            self.latest = hour;
            let before = self.all.len();
            self.all.retain_mut(|cell| cell.is_left(hour));
            (self.total).fetch_sub(before - self.all.len(), Ordering::Relaxed);
            self.other.take_if(|cell| !cell.is_left(hour));
        }
        self.latest
    }

    fn cell(&mut self, source: Option<&Arc<str>>, name: &str) -> &mut Hours {
        let is_it = |cell: &Hours| *cell.name == *name && cell.source.as_ref() == source;
        let known = self.all.iter().position(is_it);
        let may_add = known.is_none() && self.all.len() < MAX_CELLS_OF_PIXEL && name != OTHER;
        if may_add && take_one(&self.total) {
            self.all.push(Hours::new(source.cloned(), name));
        }
        let own = known.or_else(|| may_add.then(|| self.all.len().checked_sub(1)).flatten());
        match own.and_then(|at| self.all.get_mut(at)) {
            Some(cell) if is_it(cell) => cell,
            _ => {
                let other = &mut self.other;
                other.get_or_insert_with(|| Box::new(Hours::new(None, OTHER)))
            }
        }
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        self.total.fetch_sub(self.all.len(), Ordering::Relaxed);
    }
}

/// False when there are as many as there may be.
fn take_one(total: &AtomicUsize) -> bool {
    let more = |count| (count < MAX_CELLS).then_some(count + 1);
    let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
    total.fetch_update(set, fetch, more).is_ok()
}

impl Hours {
    fn new(source: Option<Arc<str>>, name: &str) -> Self {
        Self {
            source,
            name: name.into(),
            words: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Counts into an hour, which is none before those that are there.
    fn count(&mut self, hour: i64, count: impl FnOnce(&mut Vec<(Kind, &'static str)>, &mut Hour)) {
        if self.slots.last().is_none_or(|last| last.at != hour) {
            self.slots.push(Hour::new(hour));
        }
        if let Some(last) = self.slots.last_mut() {
            count(&mut self.words, last);
        }
    }

    fn is_left(&mut self, now: i64) -> bool {
        self.slots.retain(|slot| now - slot.at < HOURS as i64);
        !self.slots.is_empty()
    }

    fn sums(&self, hours: usize, now: i64) -> Option<Cell> {
        let first = now - hours.clamp(1, HOURS) as i64 + 1;
        let mut cell = Cell {
            source: self.source.as_deref().map(str::to_owned),
            event_name: self.name.to_string(),
            ..Cell::default()
        };
        let mut words = vec![0_u64; self.words.len()];
        let mut any = false;
        for slot in (self.slots.iter()).filter(|slot| (first..=now).contains(&slot.at)) {
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

impl Hour {
    fn new(hour: i64) -> Self {
        Self {
            at: hour,
            taken: 0,
            with_event_id: 0,
            duplicates: 0,
            delivered: 0,
            freshness: [0; FRESHNESS.len()],
            words: Vec::new(),
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
