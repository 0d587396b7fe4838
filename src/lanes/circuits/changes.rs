//! What moves circuits from outside: a new token, a new configuration, an operator, idleness.

use std::collections::BTreeMap;

use super::{Circuits, HeldBy, Inner, Key};
use crate::graph::Cause;
use crate::lanes::circuit::{Now, State};
use crate::pixel::PixelId;
use crate::tokens::Credential;

impl Circuits {
    /// Looks at every pixel's credential again, as its next batch would. Circuits of tokens and apps
    /// that no pixel uses are forgotten.
    pub(in crate::lanes) fn tokens_changed(&self) {
        self.with(|inner, now, settings| {
            let mut routes = BTreeMap::new();
            for pixel in inner.pixels() {
                let route = self.route(inner, pixel, now, settings);
                let Some((_, keys)) = route else {
                    continue;
                };
                routes.insert(pixel, keys);
            }
            inner.circuits.retain(|key, circuit| {
                if matches!(key, Key::Pixel(_) | Key::Lane(..)) {
                    return true;
                }
                circuit
                    .pixels
                    .retain(|pixel| routes.get(pixel).is_some_and(|keys| keys.contains(key)));
                // who waits here may have another way now
                circuit.changed.notify_waiters();
                !circuit.pixels.is_empty()
            });
        });
        self.moved.notify_one();
    }

    /// A new configuration: what is held decides anew with the next batch, but for what Meta has
    /// blocked; what is throttled does when `throttles`.
    pub(in crate::lanes) fn configured(&self, throttles: bool) {
        self.with(|inner, now, _| {
            let keys: Vec<Key> = inner.circuits.keys().copied().collect();
            for key in keys {
                inner.change(key, now, |circuit| match circuit.state {
                    State::Held {
                        by: HeldBy::NoToken | HeldBy::Graph(Cause::Blocked),
                        ..
                    } => {}
                    State::Held { .. } => circuit.release(now),
                    State::Throttled { .. } if throttles => circuit.release(now),
                    _ => {}
                });
            }
        });
    }

    /// Lets the next batch decide about what is held or throttled under this id. False when nothing
    /// is; a pixel without a token stays as it is.
    pub(in crate::lanes) fn release(&self, id: &str) -> bool {
        self.with(|inner, now, _| {
            let named = inner.circuits.iter().filter(|(key, circuit)| {
                let stopped = match circuit.state {
                    State::Held { by, .. } => by != HeldBy::NoToken,
                    State::Throttled { .. } => true,
                    _ => false,
                };
                stopped && key.to_string() == id
            });
            let keys: Vec<Key> = named.map(|(key, _)| *key).collect();
            for key in &keys {
                inner.change(*key, now, |circuit| circuit.release(now));
            }
            !keys.is_empty()
        })
    }

    /// The pixel has no lane any more: circuits that only it used are forgotten, unless there is
    /// something to remember.
    pub(in crate::lanes) fn idle(&self, pixel: PixelId) {
        self.with(|inner, _, _| {
            for key in inner.keys(pixel).into_iter().chain(inner.lanes(pixel)) {
                let Some(circuit) = inner.circuits.get_mut(&key) else {
                    continue;
                };
                let lacks_token = matches!(
                    circuit.state,
                    State::Held {
                        by: HeldBy::NoToken,
                        ..
                    }
                );
                if circuit.is_plain() || lacks_token {
                    circuit.pixels.remove(&pixel);
                    if circuit.pixels.is_empty() {
                        inner.circuits.remove(&key);
                    }
                }
            }
            let still = inner
                .circuits
                .values()
                .any(|circuit| circuit.pixels.contains(&pixel));
            if !still {
                inner.credentials.remove(&pixel);
            }
        });
    }
}

impl Inner {
    pub(super) fn pixels(&self) -> Vec<PixelId> {
        let pixel = |key: &Key| match key {
            Key::Pixel(pixel) => Some(*pixel),
            _ => None,
        };
        self.circuits.keys().filter_map(pixel).collect()
    }

    /// The pixel has another credential: what is held or throttled of its own decides anew with the
    /// next batch, and answers to the old one do not count any more. Of a token or app that others
    /// use as well nothing new is known by that, unless it is the same token with another secret.
    pub(super) fn renew(
        &mut self,
        pixel: PixelId,
        before: &Credential,
        credential: &Credential,
        now: &Now,
    ) {
        let token = credential.token_key();
        let mut keys = self.lanes(pixel);
        keys.push(Key::Pixel(pixel));
        if before.token_key() == token {
            keys.push(Key::Token(token));
        }
        for key in keys {
            self.change(key, now, |circuit| match circuit.state {
                State::Held { .. } | State::Throttled { .. } => circuit.release(now),
                _ => circuit.forget_in_flight(now),
            });
        }
    }
}
