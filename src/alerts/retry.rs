//! When a message that was not sent is tried again, and when it is given up.

use std::time::Duration;

use super::ChannelError;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// Nothing a server says makes a message wait longer than this.
pub(super) const MAX_SERVER_WAIT: Duration = Duration::from_mins(15);

/// How long to wait after `failures` in a row, the last of them `error`, or none to give up.
/// `waited` is the time since the message was raised, `draw` a number from 0 to 1.
///
/// From half of 1 s, 2 s, 4 s up to 5 min to the whole of it, or what the server asks for, up to
/// [`MAX_SERVER_WAIT`], if that is longer; but never beyond `give_up`, so that the last try comes
/// at its end.
pub(super) fn wait(
    error: &ChannelError,
    failures: u32,
    waited: Duration,
    give_up: Duration,
    draw: f64,
) -> Option<Duration> {
    let left = give_up.saturating_sub(waited);
    if error.is_final() || left.is_zero() {
        return None;
    }
    let factor = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let most = FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT);
    let own = most.mul_f64(f64::midpoint(1.0, draw.clamp(0.0, 1.0)));
    let server = error.wait().unwrap_or_default().min(MAX_SERVER_WAIT);
    Some(own.max(server).min(left))
}

#[cfg(test)]
mod tests {
    use super::super::Channel;
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const DOWN: ChannelError = ChannelError::Connect(Channel::Webhook);

    fn secs(failures: u32, draw: f64) -> f64 {
        let wait = wait(&DOWN, failures, Duration::ZERO, HOUR, draw);
        wait.unwrap().as_secs_f64()
    }

    #[test]
    fn waits_double_with_jitter() {
        let most: Vec<u64> = (1..=11).map(|n| secs(n, 1.0) as u64).collect();
        assert_eq!(most, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!((secs(3, 0.0) - 2.0).abs() < 1e-9);
        assert!((secs(u32::MAX, 1.0) - 300.0).abs() < 1e-9);
    }

    #[test]
    fn it_ends_at_the_limit_or_where_trying_cannot_help() {
        let mut waited = Duration::ZERO;
        let mut failures = 1;
        while let Some(more) = wait(&DOWN, failures, waited, HOUR, 1.0) {
            waited += more;
            failures += 1;
        }
        assert_eq!(waited, HOUR);
        assert!((12..40).contains(&failures), "{failures}");
        let last = ChannelError::NoStartTls;
        assert_eq!(wait(&last, 1, Duration::ZERO, HOUR, 1.0), None);
    }

    #[test]
    fn the_server_may_ask_for_longer_within_bounds() {
        let asked = |secs| {
            let busy = ChannelError::Status {
                status: 429,
                words: String::new(),
                wait: Some(Duration::from_secs(secs)),
            };
            let wait = wait(&busy, 2, Duration::from_mins(50), HOUR, 1.0);
            wait.unwrap().as_secs()
        };
        assert_eq!([asked(0), asked(30), asked(9999)], [2, 30, 600]);
        let busy = ChannelError::Status {
            status: 503,
            words: String::new(),
            wait: Some(HOUR),
        };
        assert_eq!(
            wait(&busy, 1, Duration::ZERO, HOUR, 0.0),
            Some(MAX_SERVER_WAIT)
        );
    }
}
