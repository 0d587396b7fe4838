//! What others may see of a lane.

use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::graph::Cause;
use crate::journal::LaneKey;
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::UnixMs;

/// Why a lane sends nothing until a probe succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// Graph's answer.
    Graph(Cause),
    /// Graph refuses the batch.
    Refused,
    /// No token is configured for the pixel.
    NoToken,
    /// Expired events cannot be written to the dead letters.
    DeadLetters,
}

impl HeldBy {
    /// The stable word for logs and `/readyz`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Graph(cause) => cause.code(),
            Self::Refused => "refused",
            Self::NoToken => "no_token",
            Self::DeadLetters => "dead_letters",
        }
    }

    /// What a person should do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Graph(Cause::Token) => {
                "the access token is refused: put a valid one where the config points to, and restart"
            }
            Self::Graph(_) => {
                "the token may not post to this pixel, or the pixel does not exist: check both in Events Manager"
            }
            Self::Refused => {
                "Graph refuses the batch: look up graph.code and graph.subcode in the log"
            }
            Self::NoToken => "no token is configured for this pixel: add pixels.<id>.token",
            Self::DeadLetters => {
                "expired events cannot be written to the dead letters: free disk space, or raise journal.dead_max_bytes"
            }
        }
    }
}

/// The states of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// Sends as work comes.
    Open,
    /// Waits after a transient failure.
    Backoff,
    /// Tries one batch after a wait.
    Probation,
    /// Sends nothing but a probe now and then.
    Held(HeldBy),
}

impl LaneState {
    /// The stable word, also the value of the metric label `state`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Backoff => "backoff",
            Self::Probation => "probation",
            Self::Held(_) => "held",
        }
    }
}

/// One lane at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct LaneSnapshot {
    /// The lane's pixel.
    pub pixel: PixelId,
    /// The request-wide `test_event_code` of its batches, if any.
    pub test_event_code: Option<String>,
    /// `open`, `backoff`, `probation` or `held`.
    pub state: &'static str,
    /// Why it is held.
    pub reason: Option<&'static str>,
    /// What to do about that.
    pub advice: Option<&'static str>,
    /// Seconds in this state.
    pub seconds: u64,
}

/// A lane's state where others can read it; keeps the gauge of lanes by state.
#[derive(Clone)]
pub(super) struct Shown(Arc<Inner>);

struct Inner {
    now: Mutex<(LaneState, UnixMs)>,
    metrics: Metrics,
}

impl Shown {
    pub(super) fn new(at: UnixMs, metrics: &Metrics) -> Self {
        metrics
            .lanes
            .with_label_values(&[LaneState::Open.code()])
            .inc();
        Self(Arc::new(Inner {
            now: Mutex::new((LaneState::Open, at)),
            metrics: metrics.clone(),
        }))
    }

    pub(super) fn set(&self, state: LaneState, at: UnixMs) {
        let mut now = super::lock(&self.0.now);
        if now.0 != state {
            self.0
                .metrics
                .lanes
                .with_label_values(&[now.0.code()])
                .dec();
            self.0
                .metrics
                .lanes
                .with_label_values(&[state.code()])
                .inc();
            *now = (state, at);
        }
    }

    pub(super) fn snapshot(&self, key: &LaneKey, at: UnixMs) -> LaneSnapshot {
        let (state, since) = *super::lock(&self.0.now);
        let held = match state {
            LaneState::Held(by) => Some(by),
            _ => None,
        };
        LaneSnapshot {
            pixel: key.pixel,
            test_event_code: key.options.test_event_code.clone(),
            state: state.code(),
            reason: held.map(HeldBy::code),
            advice: held.map(HeldBy::advice),
            seconds: at.since(since).as_secs(),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let (state, _) = *super::lock(&self.now);
        self.metrics.lanes.with_label_values(&[state.code()]).dec();
    }
}
