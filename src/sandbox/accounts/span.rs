//! Lengths of time of the world: `"90s"`, `"10m"`, `"1h"`, `"60d"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::sandbox::settings::parse_duration;

/// A length of time as text: a number and its unit, `ms`, `s`, `m`, `h` or `d`.
///
/// ```
/// use std::time::Duration;
/// use capigate::sandbox::parse_span;
/// assert_eq!(parse_span("60d"), Some(Duration::from_secs(5_184_000)));
/// assert_eq!(parse_span("60"), None);
/// ```
pub fn parse_span(text: &str) -> Option<Duration> {
    let whole = |number: &str, seconds: u64| {
        let number: u64 = number.parse().ok()?;
        number.checked_mul(seconds).map(Duration::from_secs)
    };
    if let Some(days) = text.strip_suffix('d') {
        whole(days, 86_400)
    } else if let Some(hours) = text.strip_suffix('h') {
        whole(hours, 3_600)
    } else {
        parse_duration(text)
    }
}

/// The span in whole seconds, no more than a century: any moment it is added to stays one.
pub(super) fn seconds(span: Duration) -> i64 {
    const CENTURY: u64 = 36_525 * 86_400;
    span.as_secs().min(CENTURY) as i64
}

pub(in crate::sandbox) fn span<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).ok_or_else(|| {
        serde::de::Error::custom("a length of time such as \"90s\", \"10m\", \"1h\" or \"60d\"")
    })
}

pub(in crate::sandbox) fn optional_span<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    span(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_needs_a_unit() {
        assert_eq!(parse_span("2h"), Some(Duration::from_hours(2)));
        assert_eq!(parse_span("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(seconds(Duration::from_secs(90)), 90);
        assert_eq!(seconds(Duration::MAX), 36_525 * 86_400);
        for bad in ["", "5", "d", "1.5d", "-1h", "1 d", "99999999999999999999d"] {
            assert_eq!(parse_span(bad), None, "{bad}");
        }
    }
}
