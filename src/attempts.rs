//! The last requests to Graph for each pixel: what was sent when, and what Graph said.
//!
//! **Promises.** Counts, codes, Meta's trace ids and the numbers of events in the journal only: no
//! event, no token. What went wrong is not pushed out by what went well.
//! **Refuses.** To be a record: it is in memory, and a restart forgets it.
//! **Limits.** [`MAX_FAILED`] requests of a pixel that were refused or failed and [`MAX_DELIVERED`]
//! that were confirmed, [`MAX_ALL`] in all, [`MAX_PIXELS`] pixels; the pixel that sent least lately makes
//! room. A request is a few hundred bytes, at most one KiB.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Requests that are kept of a pixel, of those that were not confirmed: more than the search for a few
/// bad events of one batch makes.
pub const MAX_FAILED: usize = 64;
/// The same of those that were.
pub const MAX_DELIVERED: usize = 8;
/// Requests that are kept of all pixels.
pub const MAX_ALL: usize = 32_768;
/// Pixels whose requests are kept.
pub const MAX_PIXELS: usize = 2048;
/// Runs of numbers that are kept of a request's events.
const MAX_RUNS: usize = 32;

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// When the answer came.
    pub at: UnixMs,
    /// Events in it.
    pub events: u64,
    /// What came of it: `delivered`, `transient`, `throttled`, `held` or `split`.
    pub outcome: &'static str,
    /// Graph's error code.
    pub code: Option<i64>,
    /// Its subcode.
    pub subcode: Option<i64>,
    /// Graph's `fbtrace_id`.
    pub trace_id: Option<String>,
    /// Milliseconds until the answer.
    pub took_ms: u64,
    /// Which events.
    #[serde(skip)]
    pub carried: Carried,
}

/// Which events a request carried, by their numbers in the journal; none where they lie too far apart
/// to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried(Option<Vec<(u64, u64)>>);

/// The last requests of one gateway. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    pixels: HashMap<PixelId, Own>,
    /// Requests of all of them.
    count: usize,
}

/// Those of one pixel, the newest last.
#[derive(Debug, Default)]
struct Own {
    failed: VecDeque<Attempt>,
    delivered: VecDeque<Attempt>,
}

impl Carried {
    /// Events of these numbers.
    pub fn of(seqs: impl Iterator<Item = u64>) -> Self {
        let mut seqs: Vec<u64> = seqs.collect();
        seqs.sort_unstable();
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for seq in seqs {
            let is_full = runs.len() == MAX_RUNS;
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(seq) => *last = seq,
                _ if is_full => return Self(None),
                _ => runs.push((seq, seq)),
            }
        }
        Self(Some(runs))
    }

    fn may_have(&self, seq: u64) -> bool {
        self.count(&[seq]) != Some(0)
    }

    /// How many of these it is, which are in rising order; none where that is not known.
    fn count(&self, seqs: &[u64]) -> Option<u64> {
        let runs = self.0.as_ref()?;
        let within = |(first, last): &(u64, u64)| {
            let start = seqs.partition_point(|seq| seq < first);
            seqs.partition_point(|seq| seq <= last) - start
        };
        Some(runs.iter().map(within).sum::<usize>() as u64)
    }
}

impl Own {
    fn last(&self) -> Option<UnixMs> {
        let last = |all: &VecDeque<Attempt>| all.back().map(|one| one.at);
        last(&self.failed).max(last(&self.delivered))
    }
}

impl All {
    /// Forgets the pixel that sent least lately, but not this one.
    fn make_room(&mut self, sender: PixelId) {
        let others = self.pixels.iter().filter(|(pixel, _)| **pixel != sender);
        let idle = others.min_by_key(|(_, own)| own.last());
        let idle = idle.map(|(pixel, _)| *pixel);
        if let Some(own) = idle.and_then(|idle| self.pixels.remove(&idle)) {
            self.count -= own.failed.len() + own.delivered.len();
        }
    }
}

impl Attempts {
    /// Keeps a request.
    pub fn note(&self, pixel: PixelId, attempt: Attempt, is_delivered: bool) {
        let mut all = self.locked();
        if all.pixels.len() >= MAX_PIXELS && !all.pixels.contains_key(&pixel)
            || all.count >= MAX_ALL
        {
            all.make_room(pixel);
        }
        let All { pixels, count } = &mut *all;
        let own = pixels.entry(pixel).or_default();
        let (all, most) = if is_delivered {
            (&mut own.delivered, MAX_DELIVERED)
        } else {
            (&mut own.failed, MAX_FAILED)
        };
        if all.len() >= most {
            all.pop_front();
            *count -= 1;
        }
        all.push_back(attempt);
        *count += 1;
    }

    /// Whether Graph has confirmed events of the pixel after that moment, as far as it is known.
    pub fn delivered_after(&self, pixel: PixelId, at: UnixMs) -> bool {
        let all = self.locked();
        let last = all.pixels.get(&pixel).and_then(|own| own.delivered.back());
        last.is_some_and(|last| last.at > at)
    }

    /// Those of a pixel, the newest first.
    pub fn of(&self, pixel: PixelId) -> Vec<Attempt> {
        let locked = self.locked();
        let own = locked.pixels.get(&pixel).into_iter();
        let all = own.flat_map(|own| own.failed.iter().chain(&own.delivered));
        let mut all: Vec<Attempt> = all.cloned().collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.at));
        all
    }

    /// Those of a pixel that carried the event with this number in the journal, or may have.
    pub fn of_event(&self, pixel: PixelId, seq: u64) -> Vec<Attempt> {
        let mut all = self.of(pixel);
        all.retain(|one| one.carried.may_have(seq));
        all
    }

    /// The last `most` of those of a pixel that carried any of the events with these numbers, or may
    /// have, the newest first; each with how many of them it carried, where that is known.
    pub fn of_events(
        &self,
        pixel: PixelId,
        mut seqs: Vec<u64>,
        most: usize,
    ) -> Vec<(Attempt, Option<u64>)> {
        seqs.sort_unstable();
        let locked = self.locked();
        let own = locked.pixels.get(&pixel).into_iter();
        let mut all: Vec<&Attempt> = own
            .flat_map(|own| own.failed.iter().chain(&own.delivered))
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.at));
        // most carried others: only what is given is cloned
        let counted = |one: &Attempt| {
            let count = one.carried.count(&seqs);
            (count != Some(0)).then(|| (one.clone(), count))
        };
        all.into_iter().filter_map(counted).take(most).collect()
    }

    /// A panic elsewhere leaves requests that were made.
    fn locked(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(at: i64, seqs: &[u64]) -> Attempt {
        Attempt {
            at: UnixMs(at),
            events: seqs.len() as u64,
            outcome: "transient",
            code: None,
            subcode: None,
            trace_id: None,
            took_ms: 1,
            carried: Carried::of(seqs.iter().copied()),
        }
    }

    fn pixel(number: usize) -> PixelId {
        (1000 + number).to_string().parse().unwrap()
    }

    #[test]
    fn few_are_kept_of_few_pixels_and_failures_stay() {
        let attempts = Attempts::default();
        for at in 0..MAX_FAILED as i64 + 3 {
            attempts.note(pixel(0), attempt(at, &[]), false);
        }
        for at in 100..200 {
            attempts.note(pixel(0), attempt(at, &[]), true);
        }
        let all = attempts.of(pixel(0));
        assert_eq!(all.len(), MAX_FAILED + MAX_DELIVERED);
        assert_eq!(
            (all[0].at, all[MAX_DELIVERED].at),
            (UnixMs(199), UnixMs(MAX_FAILED as i64 + 2))
        );
        attempts.note(pixel(1), attempt(0, &[]), false);
        for number in 2..=MAX_PIXELS {
            attempts.note(pixel(number), attempt(300, &[]), false);
        }
        assert!(attempts.of(pixel(1)).is_empty());
        assert!(!attempts.of(pixel(0)).is_empty());
    }

    #[test]
    fn there_are_never_more_than_all_pixels_may_have() {
        let attempts = Attempts::default();
        let pixels = MAX_ALL / MAX_FAILED + 8;
        for number in 0..pixels {
            for at in 0..=MAX_FAILED {
                let at = (number * 100 + at) as i64;
                attempts.note(pixel(number), attempt(at, &[]), false);
            }
        }
        let counted: usize = (0..pixels)
            .map(|number| attempts.of(pixel(number)).len())
            .sum();
        assert_eq!(counted, attempts.locked().count);
        assert!(
            (MAX_ALL - MAX_FAILED..=MAX_ALL).contains(&counted),
            "{counted}"
        );
        assert!(attempts.of(pixel(0)).is_empty());
        assert_eq!(attempts.of(pixel(pixels - 1)).len(), MAX_FAILED);
    }

    #[test]
    fn an_event_is_known_by_its_number() {
        let attempts = Attempts::default();
        attempts.note(pixel(0), attempt(1, &[7, 5, 6, 9]), false);
        attempts.note(pixel(0), attempt(2, &[8]), false);
        let far: Vec<u64> = (0..=MAX_RUNS as u64).map(|n| n * 2).collect();
        let of = |seq| {
            attempts
                .of_event(pixel(0), seq)
                .iter()
                .map(|one| one.at.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (of(5), of(7), of(8), of(10)),
            (vec![1], vec![1], vec![2], vec![])
        );
        let counts = |seqs: &[u64]| {
            let all = attempts.of_events(pixel(0), seqs.to_vec(), 9);
            all.iter().map(|(_, count)| *count).collect::<Vec<_>>()
        };
        assert_eq!(counts(&[9, 8, 5]), [Some(1), Some(2)]);
        assert_eq!(counts(&[1]), []);
        // too many runs to keep: it may have been in it
        attempts.note(pixel(0), attempt(3, &far), false);
        assert_eq!(of(8), [3, 2]);
        assert_eq!(of(1001), [3]);
        assert_eq!(counts(&[8]), [None, Some(1)]);
        assert_eq!(attempts.of_events(pixel(0), vec![8], 1).len(), 1);
    }
}
