//! The map of circuits, and the log of their changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::key::Key;
use crate::lanes::circuit::{Circuit, Now, State};
use crate::lanes::pace;
use crate::lanes::snapshot::Seen;
use crate::lanes::ticket::Stamp;
use crate::pixel::PixelId;
use crate::tokens::Credential;

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) circuits: BTreeMap<Key, Circuit>,
    /// What each pixel last travelled with.
    pub(super) credentials: BTreeMap<PixelId, Arc<Credential>>,
    pub(super) generation: u64,
    /// Changes of state, to be logged once the lock is free.
    pub(super) notes: Vec<Note>,
}

#[derive(Debug)]
pub(super) struct Note {
    key: Key,
    was: State,
    is: State,
    seen: Option<Seen>,
}

impl Inner {
    pub(super) fn circuit(&mut self, key: Key, now: &Now) -> &mut Circuit {
        self.circuits
            .entry(key)
            .or_insert_with(|| Circuit::new(now))
    }

    /// Works on a circuit, and notes when its state is another afterwards.
    pub(super) fn change<R>(
        &mut self,
        key: Key,
        now: &Now,
        work: impl FnOnce(&mut Circuit) -> R,
    ) -> R {
        let circuit = self.circuit(key, now);
        let (was, pace) = (circuit.state, circuit.factor);
        let result = work(circuit);
        let is = circuit.state;
        if was.code() != is.code() || pace::steps(pace) != pace::steps(circuit.factor) {
            let seen = circuit.seen.clone();
            self.notes.push(Note { key, was, is, seen });
        }
        result
    }

    pub(super) fn is_fresh(&self, stamp: &Stamp) -> bool {
        self.circuits
            .get(&stamp.key)
            .is_some_and(|circuit| circuit.generation == stamp.generation)
    }

    /// Frees the places of a batch that decides nothing.
    pub(super) fn vacate<'a>(
        &mut self,
        stamps: impl Iterator<Item = &'a Stamp>,
        now: &Now,
        after: Option<Instant>,
    ) {
        for stamp in stamps.filter(|stamp| stamp.probes) {
            if self.is_fresh(stamp) {
                self.change(stamp.key, now, |circuit| circuit.vacate(after));
            }
        }
    }

    /// The circuits that are of one class of the pixel's events only.
    pub(super) fn lanes(&self, pixel: PixelId) -> Vec<Key> {
        let is_lane = |key: &Key| matches!(key, Key::Lane(own, _) if *own == pixel);
        self.circuits.keys().copied().filter(is_lane).collect()
    }

    /// The circuits that all the pixel's events pass.
    pub(super) fn keys(&self, pixel: PixelId) -> Vec<Key> {
        let mut keys = vec![Key::Pixel(pixel)];
        if let Some(credential) = self.credentials.get(&pixel) {
            keys.push(Key::Token(credential.token_key()));
            keys.push(Key::App(credential.app_key()));
        }
        keys
    }

    pub(super) fn factor(&self, pixel: PixelId) -> f64 {
        self.keys(pixel)
            .iter()
            .filter_map(|key| self.circuits.get(key))
            .map(|circuit| circuit.factor)
            .fold(pace::FULL, f64::min)
    }
}

impl Note {
    pub(super) fn log(&self) {
        let (circuit, state) = (self.key.to_string(), self.is.code());
        let error = self.seen.as_ref().map(Seen::codes);
        let trace = self.seen.as_ref().and_then(|seen| seen.trace_id.as_deref());
        match self.is {
            _ if self.was.code() == state => {}
            State::Held { by, .. } => {
                tracing::error!(
                    circuit,
                    cause = by.code(),
                    graph.code = error,
                    graph.trace_id = trace,
                    advice = by.advice(),
                    "held: nothing is sent but a probe now and then"
                );
            }
            State::Throttled { .. } => {
                tracing::warn!(
                    circuit,
                    graph.code = error,
                    graph.trace_id = trace,
                    "throttled: nothing is sent for a while"
                );
            }
            State::Open if self.was.rank() > 0 => {
                tracing::info!(circuit, was = self.was.code(), "open again");
            }
            State::Open | State::Backoff { .. } | State::Probation { .. } => {
                tracing::debug!(circuit, was = self.was.code(), state, "changed");
            }
        }
    }
}
