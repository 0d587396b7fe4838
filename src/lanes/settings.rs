//! What the operator may set about lanes.

use std::time::Duration;

use governor::Quota;

/// How lanes batch, pace and wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long the first event of a batch waits for company.
    pub linger: Duration,
    /// Events in a batch, 1 to 1,000 (Meta's limit).
    pub max_events: usize,
    /// Payload bytes of a batch; soft, since one event always goes.
    pub max_bytes: u64,
    /// Batches in flight, all pixels together.
    pub max_in_flight_batches: usize,
    /// Batches in flight for one pixel.
    pub max_in_flight_batches_per_pixel: usize,
    /// Searches for bad events at once for one pixel, at least 1.
    pub max_bisections_per_pixel: usize,
    /// Batches a second, all pixels together.
    pub rate: Quota,
    /// Batches a second for one pixel.
    pub rate_per_pixel: Quota,
    /// Upper bound of the first wait after a failure.
    pub backoff_min: Duration,
    /// Upper bound of every wait after a failure.
    pub backoff_max: Duration,
    /// The first wait after a throttle, unless the server asks for more.
    pub throttle_min: Duration,
    /// Upper bound of every wait after a throttle, unless the server asks for more.
    pub throttle_max: Duration,
    /// How often one event is tried of what is held, and expired events are looked for.
    pub probe_interval: Duration,
    /// Business messaging events of which nobody knows whether Graph took them become dead
    /// letters instead of being sent again.
    pub messaging_at_most_once: bool,
    /// After how long without work a lane's task ends.
    pub idle: Duration,
}

impl Settings {
    /// Whether throttles may end differently under `other`.
    pub(super) fn throttles_differ(&self, other: &Self) -> bool {
        let of = |settings: &Self| {
            (
                settings.rate,
                settings.rate_per_pixel,
                settings.throttle_min,
                settings.throttle_max,
            )
        };
        of(self) != of(other)
    }
}

#[cfg(test)]
impl Settings {
    /// The defaults of the configuration, more or less.
    pub(super) fn sample() -> Self {
        let quota = Quota::per_second(std::num::NonZeroU32::MAX);
        Self {
            linger: Duration::from_millis(200),
            max_events: 1000,
            max_bytes: 1_000_000,
            max_in_flight_batches: 64,
            max_in_flight_batches_per_pixel: 4,
            max_bisections_per_pixel: 1,
            rate: quota,
            rate_per_pixel: quota,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_mins(5),
            throttle_min: Duration::from_mins(1),
            throttle_max: Duration::from_hours(1),
            probe_interval: Duration::from_mins(5),
            messaging_at_most_once: false,
            idle: Duration::from_mins(1),
        }
    }
}
