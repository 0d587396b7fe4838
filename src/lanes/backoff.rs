//! How long to wait after the n-th failure, throttle or failed probe in a row.

use std::time::Duration;

/// The longest wait a server may ask for after a failure. What it wants beyond that, it can ask
/// for again.
pub const MAX_SERVER_WAIT: Duration = Duration::from_hours(1);

/// The same after a throttle, where asking too early makes it longer.
pub const MAX_THROTTLE: Duration = Duration::from_hours(24);

/// The longest time between two probes of what Meta has blocked, as a multiple of the usual.
const MAX_BLOCKED: u32 = 288;

/// The first time to wait for a probe of what Meta has blocked, as a multiple of the usual.
const FIRST_BLOCKED: u32 = 12;

/// Full jitter: a time drawn evenly from nothing to `min · 2^(failures − 1)`, at most `max`, so
/// that pixels that failed together do not come back together. `draw` gives a number from 0 to 1.
/// What the server asked for, up to [`MAX_SERVER_WAIT`], is a lower bound.
pub fn delay(
    failures: u32,
    min: Duration,
    max: Duration,
    server: Option<Duration>,
    draw: impl FnOnce() -> f64,
) -> Duration {
    let jittered = doubled(min, failures, max).mul_f64(draw().clamp(0.0, 1.0));
    jittered.max(server.unwrap_or_default().min(MAX_SERVER_WAIT))
}

/// `min · floor`, doubled with each throttle in a row, at most `max`; or what the server asked
/// for, up to [`MAX_THROTTLE`], if that is longer.
pub fn throttle(
    in_a_row: u32,
    floor: u32,
    min: Duration,
    max: Duration,
    server: Option<Duration>,
) -> Duration {
    let own = doubled(min.saturating_mul(floor.max(1)), in_a_row, max);
    own.max(server.unwrap_or_default().min(MAX_THROTTLE))
}

/// The time to the next probe of what Meta has blocked, after `probes` that failed: twelve times
/// the usual `interval`, doubling up to 288 times. With five minutes: an hour up to a day.
pub fn blocked(interval: Duration, probes: u32) -> Duration {
    let first = interval.saturating_mul(FIRST_BLOCKED);
    doubled(
        first,
        probes.saturating_add(1),
        interval.saturating_mul(MAX_BLOCKED),
    )
}

/// `min · 2^(times − 1)`, at most `max`.
fn doubled(min: Duration, times: u32, max: Duration) -> Duration {
    let factor = 1_u32
        .checked_shl(times.saturating_sub(1))
        .unwrap_or(u32::MAX);
    min.saturating_mul(factor).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_mins(5);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn the_bound_doubles_up_to_the_maximum() {
        let bounds: Vec<u64> = (1..=12)
            .map(|n| delay(n, MIN, MAX, None, || 1.0).as_secs())
            .collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(delay(u32::MAX, MIN, MAX, None, || 1.0), MAX);
    }

    #[test]
    fn the_draw_covers_the_whole_range() {
        assert_eq!(delay(3, MIN, MAX, None, || 0.0), Duration::ZERO);
        assert_eq!(delay(3, MIN, MAX, None, || 0.5), Duration::from_secs(2));
    }

    #[test]
    fn the_server_may_ask_for_longer_never_for_less() {
        assert_eq!(delay(1, MIN, MAX, Some(HOUR), || 0.5), HOUR);
        assert_eq!(delay(1, MIN, MAX, Some(Duration::MAX), || 0.5), HOUR);
        assert_eq!(
            delay(9, MIN, MAX, Some(MIN), || 1.0),
            Duration::from_secs(256)
        );
    }

    #[test]
    fn throttles_double_from_their_floor() {
        let minute = Duration::from_mins(1);
        let minutes = |n, floor, server| throttle(n, floor, minute, HOUR, server).as_secs() / 60;
        assert_eq!(
            [1, 2, 3, 7, 99].map(|n| minutes(n, 1, None)),
            [1, 2, 4, 60, 60]
        );
        assert_eq!([1, 2, 3].map(|n| minutes(n, 15, None)), [15, 30, 60]);
        assert_eq!(minutes(1, 0, Some(2 * minute)), 2);
        assert_eq!(minutes(3, 1, Some(minute)), 4);
        assert_eq!(minutes(1, 1, Some(Duration::MAX)), 24 * 60);
    }

    #[test]
    fn what_is_blocked_is_probed_after_an_hour_then_ever_later() {
        let hours = |probes| blocked(MAX, probes).as_secs() / 3600;
        assert_eq!([0, 1, 2, 4, 5, 9].map(hours), [1, 2, 4, 16, 24, 24]);
    }
}
