//! The keys in memory, in generations that leave as a whole.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use prometheus::{IntCounter, IntGauge};

use super::key::Key;
use crate::telemetry::metrics::Metrics;
use crate::time::UnixMs;

/// Parts of the window, and of `max_entries`.
pub(super) const PARTS: u32 = 8;

/// A generation holds the keys of one eighth of the window, or less when there are many.
#[derive(Debug)]
pub(super) struct Window {
    /// Milliseconds an entry is remembered.
    lifetime: i64,
    /// Milliseconds a generation spans.
    span: i64,
    max_entries: usize,
    /// By the span they are of, counted from the epoch, and a serial number.
    generations: BTreeMap<(i64, u32), HashSet<Key>>,
    len: usize,
    entries: IntGauge,
    forgotten: IntCounter,
}

impl Window {
    pub(super) fn new(window: Duration, max_entries: usize, metrics: &Metrics) -> Self {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1);
        Self {
            lifetime: millis(window),
            span: millis(window / PARTS),
            max_entries,
            generations: BTreeMap::new(),
            len: 0,
            entries: metrics.duplicates_entries.clone(),
            forgotten: metrics.duplicates_forgotten.clone(),
        }
    }

    /// Whether the key is remembered at `now`.
    pub(super) fn contains(&mut self, key: Key, now: UnixMs) -> bool {
        self.expire(now);
        self.generations
            .values()
            .rev()
            .any(|keys| keys.contains(&key))
    }

    /// Remembers a key of the moment `at`, unless it is known or `at` is too long ago.
    pub(super) fn insert(&mut self, key: Key, at: UnixMs, now: UnixMs) {
        if at.0.saturating_add(self.lifetime) <= now.0 || self.contains(key, now) {
            return;
        }
        let part = self.max_entries / PARTS as usize;
        let span = at.0.div_euclid(self.span);
        let last = self
            .generations
            .range_mut((span, 0)..=(span, u32::MAX))
            .next_back();
        let (serial, keys) = match last {
            Some(((_, serial), keys)) if !is_full(keys, part) => (*serial, Some(keys)),
            Some(((_, serial), _)) => (serial.saturating_add(1), None),
            None => (0, None),
        };
        let is_new = match keys {
            Some(keys) => keys.insert(key),
            None => self
                .generations
                .entry((span, serial))
                .or_default()
                .insert(key),
        };
        self.len += usize::from(is_new);
        while self.len > self.max_entries {
            let Some((_, keys)) = self.generations.pop_first() else {
                break;
            };
            self.len -= keys.len();
            self.forgotten.inc_by(keys.len() as u64);
        }
        self.show();
    }

    /// Remembers a key from `now` on, known or not.
    pub(super) fn renew(&mut self, key: Key, now: UnixMs) {
        self.remove(key);
        self.insert(key, now, now);
    }

    pub(super) fn remove(&mut self, key: Key) {
        for keys in self.generations.values_mut() {
            if keys.remove(&key) {
                self.len -= 1;
            }
        }
        self.show();
    }

    fn expire(&mut self, now: UnixMs) {
        while let Some(oldest) = self.generations.first_entry() {
            let end = (oldest.key().0 + 1).saturating_mul(self.span);
            if end.saturating_add(self.lifetime) > now.0 {
                break;
            }
            self.len -= oldest.remove().len();
            self.show();
        }
    }

    fn show(&self) {
        self.entries.set(self.len as i64);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// A set is left as it is rather than doubled past its part: so it is nearly full, and an entry
/// takes little more than its bytes.
fn is_full(keys: &HashSet<Key>, part: usize) -> bool {
    let would_grow = keys.len() == keys.capacity() && !keys.is_empty();
    keys.len() >= part || (would_grow && keys.capacity() * 2 > part)
}
