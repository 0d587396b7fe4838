//! Duplicates: events that were accepted a short while ago are not accepted again.
//!
//! Meta drops a second event with the same name and id, but not among those of
//! `business_messaging`; for these the window is always on, for all others only on request.
//!
//! **Promises.** Of the covered events that share pixel, `event_name` and `event_id`, one is
//! accepted within the window, whoever posts the others: at the same time, in the same request, or
//! after a restart. An append that fails lets the next one through, so that no event is lost to
//! its failed twin. An event that became a dead letter or was purged is forgotten, so that it may
//! be sent again, corrected.
//!
//! **Refuses.** To hold back an event that is not durable: a claim is a duplicate only once the
//! journal has taken its twin. To be worth an outage: a log that cannot be written costs
//! memory of the delivered across a restart, says so, and nothing else.
//!
//! **Limits.** With [`Covers::All`], the same event with a test code and without one are two (for
//! `business_messaging` they are one). The window begins when an event is accepted, and anew when it is delivered; it lasts
//! up to an eighth longer than set. At most `max_entries` are remembered, at 19 to 39 bytes of
//! memory each; beyond that the oldest leave first, some early, counted in
//! `capigate_duplicates_forgotten_total`. Keys are 128 bits of a SHA-256. Events without
//! `event_id` are not covered.
//!
//! # Across restarts
//!
//! The window is what the journal still holds ([`Duplicates::remember`]) and the keys of what has
//! left it as delivered, which [`Duplicates::delivered`] makes durable before the journal forgets
//! them. The files of this log are dropped with the window.

mod claims;
mod key;
mod log;
#[cfg(test)]
mod tests;
mod window;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::EncodedEvent;
use crate::journal::segment::disk::Disk;
use crate::journal::{Class, Envelope, LaneKey};
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};

pub use claims::{Claims, Sorted, Turn, Twin, Waiting};
use key::Key;
use log::Log;
use window::Window;

/// Which events are held to the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Covers {
    /// Those of `business_messaging` only.
    #[default]
    Messaging,
    /// All.
    All,
}

/// How long, which and how many events are remembered, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the log; made, with mode 0700, when it is needed. One process at a time:
    /// the journal's lock stands for it.
    pub dir: PathBuf,
    /// How long an event is remembered.
    pub window: Duration,
    /// Which events.
    pub covers: Covers,
    /// How many at most.
    pub max_entries: usize,
}

/// The window of one gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Duplicates(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    covers: Covers,
    window: Duration,
    clock: Clock,
    metrics: Metrics,
    seen: Mutex<claims::Seen>,
    log: Mutex<Log>,
}

impl Duplicates {
    /// Reads the log. Blocks; never fails: a log that cannot be read is an error in the log of the
    /// gateway, and what it held is not remembered.
    pub fn open(settings: Settings, disk: Arc<dyn Disk>, clock: Clock, metrics: &Metrics) -> Self {
        let mut window = Window::new(settings.window, settings.max_entries, metrics);
        let (covers, span) = (settings.covers, settings.window);
        let now = clock.now();
        let log = Log::open(settings, disk, now, &mut |key, at| {
            window.insert(key, at.min(now), now);
        });
        Self(Arc::new(Shared {
            covers,
            window: span,
            clock,
            metrics: metrics.clone(),
            seen: Mutex::new(claims::Seen::new(window)),
            log: Mutex::new(log),
        }))
    }

    /// Whether events of this class are held to the window.
    pub fn covers(&self, class: Class) -> bool {
        class == Class::BusinessMessaging || self.0.covers == Covers::All
    }

    /// Whether an event of the moment `at` is still within the window.
    pub fn spans(&self, at: UnixMs) -> bool {
        at.plus(self.0.window) > self.0.clock.now()
    }

    /// Takes in the JSON of an event that the journal holds, without a claim: at the start.
    pub fn remember(&self, lane: &LaneKey, json: &[u8], received_at: UnixMs) {
        if !self.covers(lane.class) {
            return;
        }
        if let Some(key) = Key::of_json(lane, json) {
            let now = self.0.clock.now();
            let mut seen = locked(&self.0.seen);
            seen.window().insert(key, received_at.min(now), now);
        }
    }

    /// Asks for the turn of each event, in their order: see [`Turn`]. What is [`Turn::Append`] must
    /// be appended to the journal and then [`Claims::keep`] be called; claims that are dropped
    /// instead are free again. Does not wait; a caller that has to wait for a twin must have ended
    /// its own claims before.
    pub fn claim<'e>(&self, envelopes: impl Iterator<Item = &'e Envelope>) -> (Vec<Turn>, Claims) {
        let keys: Vec<Option<Key>> = envelopes
            .map(|envelope| {
                self.covers(envelope.lane.class)
                    .then(|| Key::of(&envelope.lane, &envelope.event))?
            })
            .collect();
        Claims::make(self.clone(), &keys)
    }

    /// As [`Duplicates::claim`], and gives each event with its turn. A caller goes on with those
    /// that wait until none is left.
    pub fn sort<T>(&self, events: Vec<T>, envelope: impl Fn(&T) -> &Envelope) -> Sorted<T> {
        let (turns, claims) = self.claim(events.iter().map(envelope));
        Sorted::of(events, turns, claims)
    }

    /// Takes in events of one lane that Graph has confirmed, or that it may have taken and must not
    /// get again. Blocks until their keys are durable
    /// and must be called before the journal settles them; it does nothing for classes that are
    /// not covered. When the log cannot be written, that is said in the gateway's log once, and
    /// they must be settled all the same: sending them again would double them for certain.
    pub fn delivered<'e>(&self, lane: &LaneKey, events: impl Iterator<Item = &'e EncodedEvent>) {
        let keys = self.keys(lane, events);
        if keys.is_empty() {
            return;
        }
        let now = self.0.clock.now();
        locked(&self.0.log).append(&keys, now);
        let mut seen = locked(&self.0.seen);
        for key in keys {
            seen.window().renew(key, now);
        }
    }

    /// Forgets events that have become dead letters or were purged, so that they may come again. Not
    /// for those that Graph may have taken: see [`Duplicates::delivered`].
    /// Does nothing for classes that are not covered.
    pub fn forget<'e>(&self, lane: &LaneKey, events: impl Iterator<Item = &'e EncodedEvent>) {
        let keys = self.keys(lane, events);
        if keys.is_empty() {
            return;
        }
        let mut seen = locked(&self.0.seen);
        for key in keys {
            seen.forget(key);
        }
    }

    fn keys<'e>(&self, lane: &LaneKey, events: impl Iterator<Item = &'e EncodedEvent>) -> Vec<Key> {
        if !self.covers(lane.class) {
            return Vec::new();
        }
        events.filter_map(|event| Key::of(lane, event)).collect()
    }

    /// Lets delivered events, or those that Graph may have taken, come again, since an operator
    /// wants them to. Claims are left alone. Not durable: the events must be claimed and appended
    /// now, or [`Duplicates::remember`] be called.
    pub fn let_again<'e>(&self, envelopes: impl Iterator<Item = &'e Envelope>) {
        let mut seen = locked(&self.0.seen);
        for one in envelopes.filter(|one| self.covers(one.lane.class)) {
            if let Some(key) = Key::of(&one.lane, &one.event) {
                seen.window().remove(key);
            }
        }
    }

    /// Counts an event that was not accepted because its twin was.
    pub fn count(&self, pixel: PixelId, duplicates: usize) {
        let pixel = pixel.to_string();
        let counter = &self.0.metrics.duplicates;
        counter
            .with_label_values(&[pixel.as_str()])
            .inc_by(duplicates as u64);
    }
}

/// Locks; a panic elsewhere does not make the maps wrong: their entries are whole values.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
