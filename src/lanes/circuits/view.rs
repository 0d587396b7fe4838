//! What others may see of the circuits.

use tokio::time::Instant;

use super::{Circuits, HeldBy, Key, Seen};
use crate::journal::Class;
use crate::lanes::circuit::{Circuit, State};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// One circuit at one moment.
#[derive(Clone, Debug)]
pub(in crate::lanes) struct Standing {
    pub(in crate::lanes) key: Key,
    pub(in crate::lanes) state: State,
    pub(in crate::lanes) since: UnixMs,
    pub(in crate::lanes) seen: Option<Seen>,
    /// Whose events it is about. Empty where one pixel was asked for: a token may have thousands.
    pub(in crate::lanes) pixels: Vec<PixelId>,
}

impl Standing {
    fn of(key: Key, circuit: &Circuit) -> Self {
        Self {
            key,
            state: circuit.state,
            since: circuit.since,
            seen: circuit.seen.clone(),
            pixels: Vec::new(),
        }
    }

    fn with_pixels(self, circuit: &Circuit) -> Self {
        Self {
            pixels: circuit.pixels.iter().copied().collect(),
            ..self
        }
    }

    pub(in crate::lanes) fn held_by(&self) -> Option<HeldBy> {
        match self.state {
            State::Held { by, .. } => Some(by),
            _ => None,
        }
    }

    /// Seconds to the next try, rounded up; none when nothing is tried, or it is being tried.
    pub(in crate::lanes) fn next_try(&self, now: Instant) -> Option<u64> {
        let at = match self.state {
            State::Backoff { until } | State::Throttled { until } => until,
            State::Held {
                next_probe: Some(at),
                busy: false,
                ..
            } => at,
            _ => return None,
        };
        let wait = at.saturating_duration_since(now);
        Some(wait.as_millis().div_ceil(1000) as u64)
    }
}

impl Circuits {
    /// The gravest of the circuits of a pixel and a class, or that a person holds it; none when it
    /// has none yet. Of equals the widest.
    pub(in crate::lanes) fn gravest(&self, pixel: PixelId, class: Class) -> Option<Standing> {
        let inner = crate::lanes::lock(&self.inner);
        let gravest = std::iter::once(Key::Lane(pixel, class))
            .chain(inner.keys(pixel))
            .filter_map(|key| Some((key, inner.circuits.get(&key)?)))
            .max_by_key(|(_, circuit)| circuit.state.rank())
            .map(|(key, circuit)| Standing::of(key, circuit));
        (gravest.into_iter().chain(self.by_hand.standing(pixel)))
            .max_by_key(|standing| standing.state.rank())
    }

    /// Everything that is held or throttled, in the order app, token, pixel, lane.
    pub(in crate::lanes) fn stopped(&self) -> Vec<Standing> {
        let inner = crate::lanes::lock(&self.inner);
        inner
            .circuits
            .iter()
            .filter(|(_, circuit)| {
                matches!(circuit.state, State::Held { .. } | State::Throttled { .. })
            })
            .map(|(key, circuit)| Standing::of(*key, circuit).with_pixels(circuit))
            .collect()
    }

    /// The share of the pace that is left to each pixel.
    pub(in crate::lanes) fn factors(&self) -> Vec<(PixelId, f64)> {
        let inner = crate::lanes::lock(&self.inner);
        inner
            .pixels()
            .into_iter()
            .map(|pixel| (pixel, inner.factor(pixel)))
            .collect()
    }
}
