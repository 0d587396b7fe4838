//! How long a server asks to wait.

use std::time::{Duration, UNIX_EPOCH};

use crate::time::UnixMs;

/// Nothing a server says makes a lane wait longer than this.
pub const MAX_WAIT: Duration = Duration::from_hours(24);

/// Reads `Retry-After`: whole seconds, or an HTTP date (all three forms of RFC 9110), at most
/// [`MAX_WAIT`]. A date in the past is zero; anything else is none.
pub(super) fn retry_after(value: &str, now: UnixMs) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // too many digits for a number are a very long wait, too
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_WAIT));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixMs(0).plus(since).since(now).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_dates_and_junk() {
        let secs = |n| Some(Duration::from_secs(n));
        // 1994-11-06T08:49:37Z is the date of RFC 9110
        let now = UnixMs::from_secs(784_111_777 - 90);
        for (value, want) in [
            ("0", secs(0)),
            (" 120 ", secs(120)),
            ("86401", secs(86_400)),
            ("99999999999999999999999999", secs(86_400)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", secs(90)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", secs(90)),
            ("Sun Nov  6 08:49:37 1994", secs(90)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", secs(0)),
            ("Tue, 08 Nov 1994 08:49:37 GMT", secs(86_400)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", secs(86_400)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", secs(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(retry_after(value, now), want, "{value:?}");
        }
    }
}
