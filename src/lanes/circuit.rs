//! One circuit: whether the batches of one lane, pixel, token or app may pass.
//!
//! ```text
//!            transient (pixel only)             throttled
//! open ──────────────────────────> backoff    open ─────────> throttled
//!            after the wait:  probation, one batch decides
//! open ──hold──> held: one event now and then decides
//! ```
//!
//! Time comes in from outside. Each change of state gets a generation, and an answer counts only
//! when the circuit is still in the generation in which its batch was let through: so the answers
//! of several batches that were sent together move the state once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::Settings;
use super::backoff;
use super::pace::{self, FULL};
use super::snapshot::{BY_HAND, HELD, HeldBy, Seen};
use crate::graph::{Cause, Reading, Throttle};
use crate::pixel::PixelId;
use crate::time::UnixMs;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Everything passes.
    Open,
    /// Nothing passes for a while after a failure.
    Backoff { until: Instant },
    /// Nothing passes, since a limit is reached.
    Throttled { until: Instant },
    /// One batch passes, and decides.
    Probation { busy: bool },
    /// One event passes now and then, and decides; without a time, none.
    Held {
        by: HeldBy,
        next_probe: Option<Instant>,
        busy: bool,
    },
}

impl State {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Backoff { .. } => "backoff",
            Self::Throttled { .. } => "throttled",
            Self::Probation { .. } => "probation",
            Self::Held {
                by: HeldBy::Hand, ..
            } => BY_HAND,
            Self::Held { .. } => HELD,
        }
    }

    /// The higher, the graver.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Probation { .. } => 1,
            Self::Backoff { .. } => 2,
            Self::Throttled { .. } => 3,
            Self::Held {
                by: HeldBy::Hand, ..
            } => 4,
            Self::Held { .. } => 5,
        }
    }
}

/// What a circuit says to who wants to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Pass,
    /// As the one batch that decides; of one event only.
    Probe {
        one: bool,
    },
    /// Not before this moment, nor before the circuit changes.
    Wait(Option<Instant>),
}

/// The moment of a change: its time by both clocks, and a generation not used before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: UnixMs,
    pub(super) generation: u64,
}

#[derive(Debug)]
pub(super) struct Circuit {
    pub(super) state: State,
    pub(super) generation: u64,
    /// Since when it is in this state.
    pub(super) since: UnixMs,
    /// Graph's answer that led to this state.
    pub(super) seen: Option<Seen>,
    /// The pixels whose batches pass here.
    pub(super) pixels: BTreeSet<PixelId>,
    /// The share of the configured pace that is left, from 0 to 1.
    pub(super) factor: f64,
    /// Who waits stands in line, and only the first watches.
    pub(super) line: Arc<Semaphore>,
    pub(super) changed: Arc<Notify>,
    failures: u32,
    throttles: u32,
    probes: u32,
}

impl Circuit {
    pub(super) fn new(now: &Now) -> Self {
        Self {
            state: State::Open,
            generation: now.generation,
            since: now.wall,
            seen: None,
            pixels: BTreeSet::new(),
            factor: FULL,
            line: Arc::new(Semaphore::new(1)),
            changed: Arc::default(),
            failures: 0,
            throttles: 0,
            probes: 0,
        }
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_plain(&self) -> bool {
        self.state == State::Open && self.factor >= FULL
    }

    /// Whether a batch may pass now. A wait that is over becomes probation.
    pub(super) fn look(&mut self, now: &Now) -> Look {
        if let State::Backoff { until } | State::Throttled { until } = self.state
            && until <= now.instant
        {
            self.set(State::Probation { busy: false }, now);
        }
        match self.state {
            State::Open => Look::Pass,
            State::Probation { busy: false } => Look::Probe { one: false },
            State::Probation { busy: true } | State::Held { busy: true, .. } => Look::Wait(None),
            State::Backoff { until } | State::Throttled { until } => Look::Wait(Some(until)),
            State::Held {
                next_probe: Some(at),
                ..
            } if at <= now.instant => Look::Probe { one: true },
            State::Held { next_probe, .. } => Look::Wait(next_probe),
        }
    }

    /// A batch passes that is to decide.
    pub(super) fn occupy(&mut self) {
        if let State::Probation { busy } | State::Held { busy, .. } = &mut self.state {
            *busy = true;
        }
    }

    /// It was not sent, or its answer says nothing about this circuit. A probe of something held
    /// takes its turn all the same, `after` that time.
    pub(super) fn vacate(&mut self, after: Option<Instant>) {
        match &mut self.state {
            State::Probation { busy } => *busy = false,
            State::Held {
                busy, next_probe, ..
            } => {
                *busy = false;
                *next_probe = next_probe.map(|at| after.unwrap_or(at));
            }
            State::Open | State::Backoff { .. } | State::Throttled { .. } => return,
        }
        self.changed.notify_waiters();
    }

    /// The far end is well.
    pub(super) fn open(&mut self, now: &Now) {
        (self.failures, self.throttles, self.probes) = (0, 0, 0);
        self.seen = None;
        if self.state != State::Open {
            self.set(State::Open, now);
        }
    }

    /// A failure that passes by itself.
    pub(super) fn fail(
        &mut self,
        fresh: bool,
        wait: Option<Duration>,
        settings: &Settings,
        now: &Now,
    ) {
        let (min, max) = (settings.backoff_min, settings.backoff_max);
        match self.state {
            State::Held { .. } if fresh => {
                self.vacate(Some(now.instant + settings.probe_interval));
            }
            _ if fresh => {
                self.failures = self.failures.saturating_add(1);
                let delay = backoff::delay(self.failures, min, max, wait, fastrand::f64);
                let until = now.instant + delay;
                self.set(State::Backoff { until }, now);
            }
            // what the server asks for counts, whoever it answers
            State::Backoff { until } => {
                let asked = wait.unwrap_or_default().min(backoff::MAX_SERVER_WAIT);
                self.state = State::Backoff {
                    until: until.max(now.instant + asked),
                };
            }
            _ => {}
        }
    }

    /// A limit is reached: nothing passes for longer each time, and the pace is halved.
    pub(super) fn throttle(
        &mut self,
        fresh: bool,
        throttle: &Throttle,
        seen: Option<Seen>,
        settings: &Settings,
        now: &Now,
    ) {
        let graver = matches!(self.state, State::Backoff { .. });
        if fresh || graver {
            self.throttles = self.throttles.saturating_add(1);
            self.factor = pace::halved(self.factor);
            let wait = backoff::throttle(
                self.throttles,
                throttle.floor,
                settings.throttle_min,
                settings.throttle_max,
                throttle.wait,
            );
            let until = now.instant + wait;
            self.set(State::Throttled { until }, now);
            self.seen = seen;
        } else if let State::Throttled { until } = self.state {
            let asked = throttle.wait.unwrap_or_default().min(backoff::MAX_THROTTLE);
            self.state = State::Throttled {
                until: until.max(now.instant + asked),
            };
        }
    }

    /// How much of a limit is used up: the pace follows, and when nothing is left, nothing passes
    /// until there is, though the batch itself was taken.
    pub(super) fn read(&mut self, fresh: bool, reading: &Reading, settings: &Settings, now: &Now) {
        self.factor = self.factor.min(pace::left(reading.percent));
        if reading.percent >= 100.0 && fresh && self.state == State::Open {
            let stated = reading.regain.filter(|wait| !wait.is_zero());
            let wait = stated.unwrap_or(settings.throttle_min);
            let until = now.instant + wait.min(backoff::MAX_THROTTLE);
            self.set(State::Throttled { until }, now);
        }
    }

    /// Nothing passes but probes.
    pub(super) fn hold(
        &mut self,
        fresh: bool,
        by: HeldBy,
        seen: Option<Seen>,
        settings: &Settings,
        now: &Now,
    ) {
        let graver = matches!(self.state, State::Backoff { .. } | State::Throttled { .. });
        if !fresh && !graver {
            return;
        }
        let (was, since) = (self.state, self.since);
        let again = matches!(was, State::Held { by: before, .. } if before == by);
        self.probes = if again {
            self.probes.saturating_add(1)
        } else {
            0
        };
        let interval = settings.probe_interval;
        let next_probe = match by {
            HeldBy::NoToken | HeldBy::DeadLetters | HeldBy::Intents | HeldBy::Hand => None,
            HeldBy::Graph(Cause::Blocked) => Some(backoff::blocked(interval, self.probes)),
            HeldBy::Graph(_) => Some(interval),
        };
        let state = State::Held {
            by,
            next_probe: next_probe.map(|wait| now.instant + wait),
            busy: false,
        };
        self.set(state, now);
        self.seen = seen;
        if again {
            self.since = since;
        }
    }

    /// Lets one batch decide at once.
    pub(super) fn release(&mut self, now: &Now) {
        self.throttles = 0;
        self.set(State::Probation { busy: false }, now);
    }

    /// Answers of batches that are in flight are not heard any more.
    pub(super) fn forget_in_flight(&mut self, now: &Now) {
        self.vacate(None);
        self.generation = now.generation;
        self.changed.notify_waiters();
    }

    fn set(&mut self, state: State, now: &Now) {
        self.state = state;
        self.generation = now.generation;
        self.since = now.wall;
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
