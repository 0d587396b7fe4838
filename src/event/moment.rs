//! Reads `event_time`.

use super::json::{self, Shape};
use super::reject::EventError;
use super::source::{ActionSource, LAST_MARGIN};
use super::work::{Work, malformed, missing};
use crate::codes;

const PATH: &str = "event_time";
const RULE: &str = "must be Unix time in whole seconds";
const EXAMPLE: &str = "1795341558";

/// From here on a number is read as milliseconds: as seconds it would be the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// How far a client's clock may be ahead, in seconds.
const TOLERANCE_S: i64 = 300;

/// When an event happened, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// As the client sent it, in seconds: the same whenever the request is repeated.
    pub(super) sent: i64,
    /// As it goes on the wire: never ahead of our clock.
    pub(super) time: i64,
}

/// Reads the time and holds it against the window of its source.
pub(super) fn read(
    raw: Option<&str>,
    source: ActionSource,
    work: &mut Work<'_>,
) -> Result<Moment, EventError> {
    let mut sent = seconds(raw, work)?;
    if sent >= MILLISECONDS_FROM {
        sent /= 1000;
        work.warn(
            PATH,
            codes::MILLISECONDS,
            "read as milliseconds; send whole seconds",
        );
    }
    if sent <= 0 {
        return Err(malformed(PATH, RULE, EXAMPLE));
    }
    let now = work.now.secs();
    if sent > now.saturating_add(TOLERANCE_S) {
        return Err(EventError::new(
            codes::IN_FUTURE,
            PATH,
            "must not be more than 5 minutes ahead",
            EXAMPLE,
        ));
    }
    let open = source.window().saturating_sub(2 * LAST_MARGIN);
    let age = u64::try_from(now.saturating_sub(sent)).unwrap_or(0);
    if age > open.as_secs() {
        let rule = match source {
            ActionSource::PhysicalStore => "must be within the last 62 days",
            _ => "must be within the last 7 days",
        };
        return Err(EventError::new(codes::TOO_OLD, PATH, rule, EXAMPLE));
    }
    if sent > now {
        work.warn(
            PATH,
            codes::MOVED_TO_NOW,
            "was ahead of our clock and set to now",
        );
    }
    Ok(Moment {
        sent,
        time: sent.min(now),
    })
}

fn seconds(raw: Option<&str>, work: &mut Work<'_>) -> Result<i64, EventError> {
    let raw = raw
        .filter(|raw| json::shape(raw) != Shape::Null)
        .ok_or_else(|| missing(PATH, RULE, EXAMPLE))?;
    let text = match json::shape(raw) {
        Shape::Number => raw.into(),
        Shape::Text => json::text(raw).map_err(|flaw| flaw.at(PATH))?,
        _ => return Err(malformed(PATH, RULE, EXAMPLE)),
    };
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(malformed(PATH, RULE, EXAMPLE));
    }
    if fraction.bytes().any(|b| b != b'0') {
        work.warn(PATH, codes::ROUNDED, "the fraction of a second was cut off");
    }
    whole.parse().map_err(|_| malformed(PATH, RULE, EXAMPLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Rules;
    use crate::event::changes::Marks;
    use crate::time::UnixMs;

    const NOW: i64 = 1_795_341_600;
    const DAY: i64 = 86_400;

    fn run(raw: &str, source: ActionSource) -> Result<(i64, i64, usize), &'static str> {
        let rules = Rules::default();
        let mut work = Work {
            rules: &rules,
            now: UnixMs::from_secs(NOW),
            warnings: Vec::new(),
            marks: Marks::default(),
        };
        match read(Some(raw), source, &mut work) {
            Ok(moment) => Ok((moment.time, moment.sent, work.warnings.len())),
            Err(error) => Err(error.code().word()),
        }
    }

    #[test]
    fn the_window_is_inclusive_and_longer_for_stores() {
        let web = |time: i64| run(&time.to_string(), ActionSource::Website);
        let store = |time: i64| run(&time.to_string(), ActionSource::PhysicalStore);
        let oldest = NOW - 7 * DAY + 120;
        assert_eq!(web(oldest), Ok((oldest, oldest, 0)));
        assert_eq!(web(oldest - 1), Err("too_old"));
        let oldest = NOW - 62 * DAY + 120;
        assert_eq!(store(oldest), Ok((oldest, oldest, 0)));
        assert_eq!(store(oldest - 1), Err("too_old"));
    }

    #[test]
    fn a_clock_that_is_a_little_ahead_is_forgiven() {
        let web = |time: i64| run(&time.to_string(), ActionSource::Website);
        assert_eq!(web(NOW + 300), Ok((NOW, NOW + 300, 1)));
        assert_eq!(web(NOW + 301), Err("in_future"));
    }

    #[test]
    fn spellings_of_a_time() {
        for (raw, want) in [
            ("\" 1795341600 \"", Ok((NOW, NOW, 0))),
            ("1795341600000", Ok((NOW, NOW, 1))),
            ("\"1795341600999\"", Ok((NOW, NOW, 1))),
            ("1795341599.75", Ok((NOW - 1, NOW - 1, 1))),
            ("1795341600.0", Ok((NOW, NOW, 0))),
            ("0", Err("malformed")),
            ("-5", Err("malformed")),
            ("1.8e9", Err("malformed")),
            ("1e999", Err("malformed")),
            ("99999999999999999999999", Err("malformed")),
            ("9223372036854775807", Err("in_future")),
            ("\"2026-11-22\"", Err("malformed")),
            ("\"\"", Err("malformed")),
            ("true", Err("malformed")),
            ("[]", Err("malformed")),
            ("null", Err("missing")),
            ("1", Err("too_old")),
        ] {
            assert_eq!(run(raw, ActionSource::Website), want, "{raw}");
        }
    }
}
