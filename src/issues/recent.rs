//! Events of the last hour, by the minute.

use crate::time::UnixMs;

const MINUTES: usize = 60;

/// A ring of minutes.
pub(super) struct Recent {
    /// The minute that was counted last.
    last: i64,
    counts: [u32; MINUTES],
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            last: i64::MIN / 2,
            counts: [0; MINUTES],
        }
    }
}

impl Recent {
    pub(super) fn add(&mut self, events: u64, now: UnixMs) {
        let now = minute(now).max(self.last);
        let gone = (now - self.last).min(MINUTES as i64);
        for back in 0..gone {
            *self.at(now - back) = 0;
        }
        self.last = now;
        let count = self.at(now);
        *count = count.saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
    }

    pub(super) fn sum(&self, now: UnixMs) -> u64 {
        let now = minute(now).max(self.last);
        let first = (now - MINUTES as i64 + 1).max(self.last - MINUTES as i64 + 1);
        let live = (first..=self.last).filter_map(|minute| self.counts.get(place(minute)));
        live.map(|count| u64::from(*count)).sum()
    }

    fn at(&mut self, minute: i64) -> &mut u32 {
        &mut self.counts[place(minute)]
    }
}

fn place(minute: i64) -> usize {
    minute.rem_euclid(MINUTES as i64) as usize
}

fn minute(at: UnixMs) -> i64 {
    at.secs().div_euclid(60)
}
