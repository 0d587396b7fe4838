//! How long to wait after the n-th failure in a row.

use std::time::Duration;

/// The longest wait a server may ask for. What it wants beyond that, it can ask for again.
pub const MAX_SERVER_WAIT: Duration = Duration::from_hours(1);

/// Full jitter: a time drawn evenly from nothing to `min · 2^(failures − 1)`, at most `max`, so
/// that lanes that failed together do not come back together. `draw` gives a number from 0 to 1.
/// What the server asked for, up to [`MAX_SERVER_WAIT`], is a lower bound.
pub fn delay(
    failures: u32,
    min: Duration,
    max: Duration,
    server: Option<Duration>,
    draw: impl FnOnce() -> f64,
) -> Duration {
    let doubled = min.saturating_mul(
        1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    let jittered = doubled.min(max).mul_f64(draw().clamp(0.0, 1.0));
    jittered.max(server.unwrap_or_default().min(MAX_SERVER_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_mins(5);

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
        let hour = Duration::from_hours(1);
        assert_eq!(delay(1, MIN, MAX, Some(hour), || 0.5), hour);
        assert_eq!(delay(1, MIN, MAX, Some(Duration::MAX), || 0.5), hour);
        assert_eq!(
            delay(9, MIN, MAX, Some(MIN), || 1.0),
            Duration::from_secs(256)
        );
    }
}
