//! A day in quarters of an hour.

use super::Totals;

/// Quarters of an hour that are kept: a day, and the present one.
pub(super) const QUARTERS: usize = 24 * 4 + 1;
/// Minutes of one.
const MINUTES: i64 = 15;

/// What came and what became of it, in numbers; of one quarter, or of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Few {
    pub(super) taken: u32,
    pub(super) duplicates: u32,
    pub(super) refused: u32,
    pub(super) filtered: u32,
    pub(super) coded: u32,
    pub(super) delivered: u32,
    pub(super) dead: u32,
}

/// The last day of one pixel.
#[derive(Debug)]
pub(super) struct Day {
    quarters: [Few; QUARTERS],
    /// The latest quarter that has begun here.
    latest: i64,
}

impl Day {
    pub(super) fn new(minute: i64) -> Self {
        Self {
            quarters: [Few::default(); QUARTERS],
            latest: quarter(minute),
        }
    }

    /// Counts into the present quarter.
    pub(super) fn add(&mut self, few: Few, minute: i64) {
        self.advance(minute);
        if let Some(quarter) = self.quarters.get_mut(place(self.latest)) {
            quarter.add(few);
        }
    }

    /// The sum of the day.
    pub(super) fn totals(&mut self, minute: i64) -> Totals {
        self.advance(minute);
        let mut totals = Totals::default();
        for quarter in &self.quarters {
            totals.add(*quarter);
        }
        totals
    }

    /// Events made durable in each quarter, the oldest first.
    pub(super) fn accepted(&mut self, minute: i64) -> Vec<u32> {
        self.advance(minute);
        let back = (0..QUARTERS as i64).rev().map(|back| self.latest - back);
        let quarters = back.filter_map(|quarter| self.quarters.get(place(quarter)));
        quarters
            .map(|quarter| quarter.taken.saturating_sub(quarter.duplicates))
            .collect()
    }

    /// A clock that has gone back counts into the latest quarter there is.
    fn advance(&mut self, minute: i64) {
        let now = quarter(minute);
        let passed = now.saturating_sub(self.latest);
        for begun in (0..passed.clamp(0, QUARTERS as i64)).map(|back| now - back) {
            if let Some(quarter) = self.quarters.get_mut(place(begun)) {
                *quarter = Few::default();
            }
        }
        self.latest = self.latest.max(now);
    }
}

impl Few {
    pub(super) fn add(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.taken, other.taken),
            (&mut self.duplicates, other.duplicates),
            (&mut self.refused, other.refused),
            (&mut self.filtered, other.filtered),
            (&mut self.coded, other.coded),
            (&mut self.delivered, other.delivered),
            (&mut self.dead, other.dead),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Totals {
    pub(super) fn add(&mut self, few: Few) {
        let [taken, duplicates, refused, filtered] =
            [few.taken, few.duplicates, few.refused, few.filtered].map(u64::from);
        self.received += taken + refused + filtered;
        self.refused += refused;
        self.filtered += filtered;
        self.duplicates += duplicates;
        self.accepted += taken.saturating_sub(duplicates);
        self.coded += u64::from(few.coded);
        self.delivered += u64::from(few.delivered);
        self.dead += u64::from(few.dead);
    }
}

pub(super) fn quarter(minute: i64) -> i64 {
    minute.div_euclid(MINUTES)
}

fn place(quarter: i64) -> usize {
    quarter.rem_euclid(QUARTERS as i64) as usize
}
