//! The last requests to Graph for each pixel: what was sent when, and what Graph said.
//!
//! **Promises.** Counts, codes and Meta's trace ids only: no event, no token.
//! **Refuses.** To be a record: it is in memory, and a restart forgets it.
//! **Limits.** [`MAX_ATTEMPTS`] of a pixel, [`MAX_PIXELS`] pixels; the pixel that sent least lately
//! makes room.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Requests that are kept of a pixel.
pub const MAX_ATTEMPTS: usize = 16;
/// Pixels whose requests are kept.
pub const MAX_PIXELS: usize = 2048;

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
}

/// The last requests of one gateway. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<Mutex<HashMap<PixelId, VecDeque<Attempt>>>>);

impl Attempts {
    /// Keeps a request.
    pub fn note(&self, pixel: PixelId, attempt: Attempt) {
        let mut pixels = self.locked();
        if pixels.len() >= MAX_PIXELS && !pixels.contains_key(&pixel) {
            let last = |all: &VecDeque<Attempt>| all.back().map(|one| one.at);
            let idle = pixels.iter().min_by_key(|(_, all)| last(all));
            let idle = idle.map(|(pixel, _)| *pixel);
            idle.map(|idle| pixels.remove(&idle));
        }
        let all = pixels.entry(pixel).or_default();
        if all.len() >= MAX_ATTEMPTS {
            all.pop_front();
        }
        all.push_back(attempt);
    }

    /// Those of a pixel, the newest first.
    pub fn of(&self, pixel: PixelId) -> Vec<Attempt> {
        let pixels = self.locked();
        let all = pixels.get(&pixel).into_iter().flatten();
        all.rev().cloned().collect()
    }

    /// A panic elsewhere leaves requests that were made.
    fn locked(&self) -> MutexGuard<'_, HashMap<PixelId, VecDeque<Attempt>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_kept_of_few_pixels() {
        let attempts = Attempts::default();
        let note = |pixel: usize, at: i64| {
            let attempt = Attempt {
                at: UnixMs(at),
                events: 1,
                outcome: "delivered",
                code: None,
                subcode: None,
                trace_id: None,
                took_ms: 1,
            };
            attempts.note((1000 + pixel).to_string().parse().unwrap(), attempt);
        };
        let of = |pixel: usize| attempts.of((1000 + pixel).to_string().parse().unwrap());
        for at in 0..MAX_ATTEMPTS as i64 + 3 {
            note(0, at);
        }
        assert_eq!(of(0).len(), MAX_ATTEMPTS);
        assert_eq!(of(0)[0].at, UnixMs(MAX_ATTEMPTS as i64 + 2));
        note(1, 0);
        for pixel in 2..=MAX_PIXELS {
            note(pixel, 100);
        }
        assert_eq!((of(1).len(), of(0).len()), (0, MAX_ATTEMPTS));
    }
}
