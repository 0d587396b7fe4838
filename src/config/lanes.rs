//! `[lanes]`: how events are gathered and how fast they go out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fault::{Fault, at_least, within};
use super::units::{Bytes, Rate, Span};

/// Batches and pace. Each pixel has a lane of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lanes {
    /// Longest time an event waits for others to fill its batch.
    pub linger: Span,
    /// Events in a batch. 1 to 1000, which is the most Meta takes.
    pub max_events: u32,
    /// Size at which a batch is full. An event that is larger by itself goes alone.
    pub max_bytes: Bytes,
    /// Batches being sent at once, all pixels together. 1 to 10000.
    pub max_in_flight_batches: u32,
    /// Batches being sent at once for one pixel. At most `lanes.max_in_flight_batches`.
    pub max_in_flight_batches_per_pixel: u32,
    /// Refused batches of one pixel that are searched for their bad events at once. 1 to 100.
    pub max_bisections_per_pixel: u32,
    /// Batches sent, all pixels together.
    pub rate: Rate,
    /// Batches sent for one pixel.
    pub rate_per_pixel: Rate,
    /// First wait after a failure that passes; it doubles each time.
    pub backoff_min: Span,
    /// Longest such wait, unless Meta asks for more.
    pub backoff_max: Span,
    /// First wait after Meta has said that a limit is reached; it doubles each time.
    pub throttle_min: Span,
    /// Longest such wait, unless Meta asks for more.
    pub throttle_max: Span,
    /// Time between two tries, of one event each, of a pixel, token or app that is held.
    pub probe_interval: Span,
    /// What to do with events of business messaging when nobody knows whether Meta took them.
    /// Meta drops no duplicates of these: `at_least_once` sends them again, `at_most_once` puts
    /// them among the dead letters.
    pub messaging: Messaging,
    /// What goes first when a lane is behind: that which has the least time left, divided by the
    /// weight of its event name. A name that is not here weighs 1. Weights are 1 to 1000, at
    /// most 8 different ones. Read at the start; what waits then is weighed anew.
    pub weights: Weights,
}

/// Whether events of business messaging may arrive twice, or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Messaging {
    /// Sent again; some may arrive twice.
    #[default]
    AtLeastOnce,
    /// Not sent again; some may have to be redriven by hand.
    AtMostOnce,
}

/// The weight of each event name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weights(BTreeMap<String, u16>);

/// The largest weight.
const MAX_WEIGHT: u16 = 1000;
/// Different weights: each is a queue of its own.
const MAX_WEIGHTS: usize = 8;
/// Names in the table.
const MAX_NAMES: usize = 256;

impl Default for Weights {
    fn default() -> Self {
        let names = [
            ("Purchase", 10),
            ("Subscribe", 5),
            ("StartTrial", 5),
            ("Lead", 3),
            ("CompleteRegistration", 3),
            ("InitiateCheckout", 3),
            ("AddPaymentInfo", 3),
        ];
        Self(names.map(|(name, weight)| (name.to_owned(), weight)).into())
    }
}

impl Weights {
    /// Each name with its weight.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        self.0.iter().map(|(name, weight)| (name.as_str(), *weight))
    }

    fn validate(&self, faults: &mut Vec<Fault>) {
        let mut wrong = |expected: String| {
            faults.push(Fault::cross("lanes.weights", expected));
        };
        if !self.0.values().all(|w| (1..=MAX_WEIGHT).contains(w)) {
            wrong(format!("weights from 1 to {MAX_WEIGHT}"));
        }
        let different: BTreeSet<&u16> = self.0.values().collect();
        if different.len() > MAX_WEIGHTS {
            wrong(format!("at most {MAX_WEIGHTS} different weights"));
        }
        if self.0.len() > MAX_NAMES {
            wrong(format!("at most {MAX_NAMES} names"));
        }
        if self.0.contains_key("") {
            wrong("event names that are not empty".to_owned());
        }
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            linger: Span::from_millis(200),
            max_events: 1000,
            max_bytes: Bytes::new(1_000_000),
            max_in_flight_batches: 64,
            max_in_flight_batches_per_pixel: 4,
            max_bisections_per_pixel: 1,
            rate: Rate::per_second(100),
            rate_per_pixel: Rate::per_second(20),
            backoff_min: Span::from_secs(1),
            backoff_max: Span::from_secs(300),
            throttle_min: Span::from_secs(60),
            throttle_max: Span::from_secs(3600),
            probe_interval: Span::from_secs(300),
            messaging: Messaging::AtLeastOnce,
            weights: Weights::default(),
        }
    }
}

impl Lanes {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        if self.linger > Span::from_secs(60) {
            faults.push(Fault::cross("lanes.linger", "at most 1m"));
        }
        within(faults, "lanes.max_events", self.max_events, 1..=1000);
        at_least(faults, "lanes.max_bytes", self.max_bytes, Bytes::kib(1));
        within(
            faults,
            "lanes.max_in_flight_batches",
            self.max_in_flight_batches,
            1..=10_000,
        );
        let one = self.max_in_flight_batches_per_pixel;
        if one == 0 || one > self.max_in_flight_batches {
            faults.push(Fault::cross(
                "lanes.max_in_flight_batches_per_pixel",
                format!(
                    "from 1 to lanes.max_in_flight_batches ({})",
                    self.max_in_flight_batches
                ),
            ));
        }
        let short = Span::from_millis(10);
        at_least(faults, "lanes.backoff_min", self.backoff_min, short);
        if self.backoff_max < self.backoff_min {
            faults.push(Fault::cross(
                "lanes.backoff_max",
                format!("at least lanes.backoff_min ({})", self.backoff_min),
            ));
        }
        within(
            faults,
            "lanes.max_bisections_per_pixel",
            self.max_bisections_per_pixel,
            1..=100,
        );
        at_least(faults, "lanes.throttle_min", self.throttle_min, short);
        if self.throttle_max < self.throttle_min {
            faults.push(Fault::cross(
                "lanes.throttle_max",
                format!("at least lanes.throttle_min ({})", self.throttle_min),
            ));
        }
        let short = Span::from_secs(1);
        at_least(faults, "lanes.probe_interval", self.probe_interval, short);
        self.weights.validate(faults);
    }
}
