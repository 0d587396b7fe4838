//! Who may append an event when several want to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tokio::sync::watch;

use super::key::Key;
use super::window::Window;
use super::{Duplicates, locked};

/// What is known: accepted events, and those that are being appended.
#[derive(Debug)]
pub(super) struct Seen {
    window: Window,
    pending: HashMap<Key, Pending>,
}

/// A key somebody has claimed.
#[derive(Debug)]
struct Pending {
    /// Closed when the claim has ended.
    ended: watch::Receiver<()>,
    /// Its event has met a death that lets it come again, before the claim ended.
    is_forgotten: bool,
}

/// What to do with an event.
#[derive(Debug)]
pub enum Turn {
    /// It is yours, or not covered: append it.
    Append,
    /// Its twin was accepted, or is in the same call: leave it out.
    Duplicate,
    /// Its twin is being appended by another: end your own claims, wait, and claim again.
    Wait(Twin),
}

/// Events by their turns.
#[derive(Debug)]
#[must_use = "claims that are dropped are free again"]
pub struct Sorted<T> {
    /// Append these, and then [`Claims::keep`].
    pub own: Vec<T>,
    /// For `own`. End them before waiting: so two callers never wait for each other.
    pub claims: Claims,
    /// Leave these out.
    pub duplicates: Vec<T>,
    /// These have their turn later.
    pub waiting: Waiting<T>,
}

/// Events whose twins are being appended by others.
#[derive(Debug)]
pub struct Waiting<T> {
    events: Vec<T>,
    twins: Vec<Twin>,
}

impl<T> Waiting<T> {
    /// Waits until all those claims have ended, one way or the other; then the events must be
    /// sorted again.
    pub async fn ended(self) -> Vec<T> {
        for twin in self.twins {
            twin.ended().await;
        }
        self.events
    }
}

impl<T> Sorted<T> {
    pub(super) fn of(events: Vec<T>, turns: Vec<Turn>, claims: Claims) -> Self {
        let mut sorted = Self {
            own: Vec::with_capacity(events.len()),
            claims,
            duplicates: Vec::new(),
            waiting: Waiting {
                events: Vec::new(),
                twins: Vec::new(),
            },
        };
        for (event, turn) in events.into_iter().zip(turns) {
            match turn {
                Turn::Append => sorted.own.push(event),
                Turn::Duplicate => sorted.duplicates.push(event),
                Turn::Wait(twin) => {
                    sorted.waiting.events.push(event);
                    sorted.waiting.twins.push(twin);
                }
            }
        }
        sorted
    }
}

/// The claim of another on a twin.
#[derive(Debug)]
pub struct Twin(watch::Receiver<()>);

impl Twin {
    /// Waits until that claim has ended, one way or the other.
    pub async fn ended(mut self) {
        // nothing is ever sent: the sender goes with the claim
        let _closed = self.0.changed().await;
    }
}

/// The events of one call that are being appended. Dropped, it frees them for others, unless
/// [`Claims::keep`] was called.
///
/// It must live where a client that goes away cannot drop it between the append and `keep`: in a
/// task of its own.
#[derive(Debug)]
#[must_use = "claims that are dropped are free again"]
pub struct Claims {
    duplicates: Duplicates,
    keys: Vec<Key>,
    is_kept: bool,
    /// Dropped after the claims have ended, which wakes those who wait.
    _ended: watch::Sender<()>,
}

impl Seen {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            pending: HashMap::new(),
        }
    }

    pub(super) fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    pub(super) fn forget(&mut self, key: Key) {
        self.window.remove(key);
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.is_forgotten = true;
        }
    }

    #[cfg(test)]
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }
}

impl Claims {
    pub(super) fn make(duplicates: Duplicates, keys: &[Option<Key>]) -> (Vec<Turn>, Self) {
        let (sender, ended) = watch::channel(());
        let mut own = Vec::new();
        let now = duplicates.0.clock.now();
        let mut seen = locked(&duplicates.0.seen);
        let Seen { window, pending } = &mut *seen;
        let mut turn = |key: Key| {
            if window.contains(key, now) {
                return Turn::Duplicate;
            }
            match pending.entry(key) {
                Entry::Occupied(twin) if twin.get().ended.same_channel(&ended) => Turn::Duplicate,
                Entry::Occupied(twin) => Turn::Wait(Twin(twin.get().ended.clone())),
                Entry::Vacant(free) => {
                    free.insert(Pending {
                        ended: ended.clone(),
                        is_forgotten: false,
                    });
                    own.push(key);
                    Turn::Append
                }
            }
        };
        let turns = keys
            .iter()
            .map(|key| key.map_or(Turn::Append, &mut turn))
            .collect();
        drop(seen);
        let claims = Self {
            duplicates,
            keys: own,
            is_kept: false,
            _ended: sender,
        };
        (turns, claims)
    }

    /// The events are durable: from now on their twins are duplicates.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        let now = self.duplicates.0.clock.now();
        let mut seen = locked(&self.duplicates.0.seen);
        for key in &self.keys {
            let pending = seen.pending.remove(key);
            if self.is_kept && pending.is_some_and(|pending| !pending.is_forgotten) {
                seen.window.insert(*key, now, now);
            }
        }
    }
}
