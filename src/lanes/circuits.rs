//! The circuits of all lanes, pixels, tokens and apps, and what an answer means for them.
//!
//! A batch passes when the circuits of its app, its token, its pixel **and** its lane let it; it
//! then holds a [`Ticket`]. So a token that is refused stops every pixel that uses it and no other. A token's
//! circuit is found by the token's digest: a new token has a new circuit.
//!
//! All are behind one lock, held for moments: a batch passes all four at once or none. They are
//! as many as lanes, pixels and tokens are in use. Lanes that differ in their options alone share
//! a circuit.

mod changes;
mod inner;
mod key;
mod view;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::Settings;
use super::by_hand::ByHand;
use super::circuit::{Look, Now, State};
use super::pace;
use super::snapshot::{HeldBy, Seen};
use super::ticket::{Stamp, Ticket};
use crate::graph::{Hold, Scope, Throttle, Usage};
use crate::journal::Class;
use crate::pixel::PixelId;
use crate::time::Clock;
use crate::tokens::{Credential, Tokens};

use inner::Inner;
pub(super) use key::Key;
pub(super) use view::Standing;

/// What an answer says about the circuits its batch passed.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// The batch was taken.
    Delivered,
    /// Graph has looked at the events and refused some.
    Refused,
    /// Nothing.
    Nothing,
    Transient(Option<Duration>),
    Throttled(Throttle, Option<Seen>),
    Hold(Hold, Option<Seen>),
}

/// Who is in the way.
pub(super) struct Blocked {
    pub(super) line: Arc<Semaphore>,
    pub(super) changed: Arc<Notify>,
    pub(super) until: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Circuits {
    inner: Mutex<Inner>,
    tokens: Tokens,
    by_hand: ByHand,
    clock: Clock,
    settings: Arc<ArcSwap<Settings>>,
    /// Something has moved that others may see.
    pub(super) moved: Notify,
}

impl Circuits {
    pub(super) fn new(
        tokens: Tokens,
        by_hand: ByHand,
        clock: Clock,
        settings: Arc<ArcSwap<Settings>>,
    ) -> Self {
        Self {
            inner: Mutex::default(),
            tokens,
            by_hand,
            clock,
            settings,
            moved: Notify::new(),
        }
    }

    /// Who is in the way of the next batch of this pixel and class; nobody when it may pass.
    pub(super) fn blocked(&self, pixel: PixelId, class: Class) -> Option<Blocked> {
        let by_hand = self.by_hand.blocked(pixel);
        if by_hand.is_some() {
            return by_hand;
        }
        self.with(|inner, now, settings| {
            let keys = match self.way(inner, pixel, class, now, settings) {
                Some((_, keys)) => keys.to_vec(),
                None => vec![Key::Pixel(pixel)],
            };
            keys.into_iter().find_map(|key| {
                match inner.change(key, now, |circuit| circuit.look(now)) {
                    Look::Pass | Look::Probe { .. } => None,
                    Look::Wait(until) => {
                        let circuit = inner.circuits.get(&key)?;
                        Some(Blocked {
                            line: Arc::clone(&circuit.line),
                            changed: Arc::clone(&circuit.changed),
                            until,
                        })
                    }
                }
            })
        })
    }

    /// Lets a batch of this pixel and class pass, if nobody is in the way.
    pub(super) fn enter(self: &Arc<Self>, pixel: PixelId, class: Class) -> Option<Ticket> {
        if self.by_hand.holds(pixel) {
            return None;
        }
        self.with(|inner, now, settings| {
            let (credential, keys) = self.way(inner, pixel, class, now, settings)?;
            let looks = keys.map(|key| inner.change(key, now, |circuit| circuit.look(now)));
            if looks.iter().any(|look| matches!(look, Look::Wait(_))) {
                return None;
            }
            let mut stamps = Vec::with_capacity(keys.len());
            for (key, look) in keys.into_iter().zip(looks) {
                let probes = matches!(look, Look::Probe { .. });
                let circuit = inner.circuit(key, now);
                if probes {
                    circuit.occupy();
                }
                stamps.push(Stamp {
                    key,
                    generation: circuit.generation,
                    probes,
                });
            }
            Some(Ticket::new(
                Arc::clone(self),
                credential,
                stamps,
                looks.contains(&Look::Probe { one: true }),
            ))
        })
    }

    /// Whether none of the circuits has changed since the ticket was given, and nobody holds the
    /// pixel by now.
    pub(super) fn are_current(&self, stamps: &[Stamp]) -> bool {
        let by_hand = |stamp: &Stamp| match stamp.key {
            Key::Pixel(pixel) => self.by_hand.holds(pixel),
            _ => false,
        };
        if stamps.iter().any(by_hand) {
            return false;
        }
        let inner = super::lock(&self.inner);
        stamps.iter().all(|stamp| inner.is_fresh(stamp))
    }

    /// The batch of a ticket was not sent.
    pub(super) fn cancel(&self, stamps: &[Stamp]) {
        self.with(|inner, now, _| inner.vacate(stamps.iter(), now, None));
    }

    /// Moves the circuits by the answer to a batch.
    pub(super) fn report(&self, stamps: &[Stamp], heard: &Heard, usage: &Usage) {
        self.with(|inner, now, settings| {
            let probe_again = now.instant + settings.probe_interval;
            let fresh: Vec<bool> = stamps.iter().map(|stamp| inner.is_fresh(stamp)).collect();
            for (stamp, fresh) in stamps.iter().zip(fresh) {
                let scope = stamp.key.scope();
                // the circuit may be gone: then nobody needs to know
                if !inner.circuits.contains_key(&stamp.key) {
                    continue;
                }
                inner.change(stamp.key, now, |circuit| match heard {
                    Heard::Delivered if fresh => {
                        circuit.open(now);
                        circuit.factor = pace::climbed(circuit.factor);
                    }
                    Heard::Refused if fresh => circuit.open(now),
                    Heard::Transient(wait) if scope == Scope::Pixel => {
                        circuit.fail(fresh, *wait, settings, now);
                    }
                    Heard::Throttled(throttle, seen) if scope == throttle.scope => {
                        circuit.throttle(fresh, throttle, seen.clone(), settings, now);
                    }
                    Heard::Hold(hold, seen) if scope == hold.scope => {
                        let by = HeldBy::Graph(hold.cause);
                        circuit.hold(fresh, by, seen.clone(), settings, now);
                    }
                    // Graph knows token and app, or it would not have come to the pixel; and the
                    // pixel, or it would not have come to what its lane needs
                    Heard::Hold(hold, _)
                        if hold.scope >= Scope::Pixel && scope < hold.scope && fresh =>
                    {
                        circuit.open(now);
                    }
                    _ if fresh && stamp.probes => circuit.vacate(Some(probe_again)),
                    _ => {}
                });
                if let Some(reading) = usage.worst(scope) {
                    inner.change(stamp.key, now, |circuit| {
                        circuit.read(fresh, &reading, settings, now);
                    });
                }
            }
        });
    }

    /// The pixel fails, whatever was heard before.
    pub(super) fn fail(&self, pixel: PixelId) {
        self.with(|inner, now, settings| {
            inner.change(Key::Pixel(pixel), now, |circuit| {
                // what stops it for longer stays
                let moves = matches!(circuit.state, State::Open | State::Probation { .. });
                circuit.fail(moves, None, settings, now);
            });
        });
    }

    /// How long batches of this pixel and class will wait, as far as anyone knows.
    pub(super) fn wait_ahead(&self, pixel: PixelId, class: Class) -> Duration {
        // a search must not keep its events for as long as a person may hold them
        if self.by_hand.holds(pixel) {
            return Duration::MAX;
        }
        self.with(|inner, now, settings| {
            let Some((_, keys)) = self.way(inner, pixel, class, now, settings) else {
                return Duration::MAX;
            };
            let waits = keys.map(|key| match inner.circuit(key, now).state {
                State::Held { .. } => Duration::MAX,
                State::Backoff { until } | State::Throttled { until } => {
                    until.saturating_duration_since(now.instant)
                }
                State::Open | State::Probation { .. } => Duration::ZERO,
            });
            waits.into_iter().max().unwrap_or_default()
        })
    }

    /// The share of the configured pace that is left to the pixel.
    pub(super) fn factor(&self, pixel: PixelId) -> f64 {
        let inner = super::lock(&self.inner);
        inner.factor(pixel)
    }

    /// The credential of a batch and the circuits it passes, the widest first.
    fn way(
        &self,
        inner: &mut Inner,
        pixel: PixelId,
        class: Class,
        now: &Now,
        settings: &Settings,
    ) -> Option<(Arc<Credential>, [Key; 4])> {
        let (credential, [app, token, own]) = self.route(inner, pixel, now, settings)?;
        let lane = Key::Lane(pixel, class);
        inner.circuit(lane, now).pixels.insert(pixel);
        Some((credential, [app, token, own, lane]))
    }

    /// The credential of the pixel and the circuits that batches of every class pass. Without a
    /// credential the pixel is held; with another one, what it brought about decides anew.
    fn route(
        &self,
        inner: &mut Inner,
        pixel: PixelId,
        now: &Now,
        settings: &Settings,
    ) -> Option<(Arc<Credential>, [Key; 3])> {
        let lacks_token = |state: State| {
            matches!(
                state,
                State::Held {
                    by: HeldBy::NoToken,
                    ..
                }
            )
        };
        let Some(credential) = self.tokens.get(pixel) else {
            inner.circuit(Key::Pixel(pixel), now).pixels.insert(pixel);
            inner.change(Key::Pixel(pixel), now, |circuit| {
                if !lacks_token(circuit.state) {
                    circuit.hold(true, HeldBy::NoToken, None, settings, now);
                }
            });
            inner.credentials.remove(&pixel);
            return None;
        };
        inner.change(Key::Pixel(pixel), now, |circuit| {
            if lacks_token(circuit.state) {
                circuit.open(now);
            }
        });
        let keys = [
            Key::App(credential.app_key()),
            Key::Token(credential.token_key()),
            Key::Pixel(pixel),
        ];
        for key in keys {
            inner.circuit(key, now).pixels.insert(pixel);
        }
        let before = inner.credentials.insert(pixel, Arc::clone(&credential));
        if let Some(before) = before.filter(|before| !before.is_same(&credential)) {
            inner.renew(pixel, &before, &credential, now);
        }
        Some((credential, keys))
    }

    fn with<R>(&self, work: impl FnOnce(&mut Inner, &Now, &Settings) -> R) -> R {
        let settings = self.settings.load();
        let wall = self.clock.now();
        let mut inner = super::lock(&self.inner);
        inner.generation += 1;
        let now = Now {
            instant: Instant::now(),
            wall,
            generation: inner.generation,
        };
        let result = work(&mut inner, &now, &settings);
        let notes = std::mem::take(&mut inner.notes);
        drop(inner);
        if !notes.is_empty() {
            self.moved.notify_one();
            notes.iter().for_each(inner::Note::log);
        }
        result
    }
}

#[cfg(test)]
mod tests;
