//! Numbers and times as people read them.

use std::fmt;

use crate::text::plural;
use crate::time::UnixMs;

/// A time: how long ago, and in UTC.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Such as `2026-11-30T13:28:51Z`.
    pub(super) utc: String,
    /// Such as `3 min ago`, or `in 3 min`.
    pub(super) words: String,
}

impl Moment {
    pub(super) fn of(at: UnixMs, now: UnixMs) -> Self {
        let words = if at.0 > now.0 {
            format!("in {}", span(at.since(now).as_secs()))
        } else {
            format!("{} ago", span(now.since(at).as_secs()))
        };
        let utc = jiff::Timestamp::from_second(at.secs());
        Self {
            utc: utc.map(|utc| utc.to_string()).unwrap_or_default(),
            words,
        }
    }
}

/// Writes a `<time>` element.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { utc, words } = self;
        write!(f, "<time datetime=\"{utc}\" title=\"{utc}\">{words}</time>")
    }
}

// nothing in it comes from outside
impl askama::filters::HtmlSafe for Moment {}

/// A number of seconds in its two largest units.
pub(super) fn span(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let Some(first) = units.iter().position(|(_, unit)| seconds >= *unit) else {
        return "0 s".to_owned();
    };
    let (name, unit) = units[first];
    let rest = units.get(first + 1).filter(|_| unit > 60);
    match rest.map(|(name, of)| (name, seconds % unit / of)) {
        Some((smaller, count)) if count > 0 => {
            format!("{} {name} {count} {smaller}", seconds / unit)
        }
        _ => format!("{} {name}", seconds / unit),
    }
}

/// A size in the largest unit that it fills.
pub(super) fn bytes(count: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (name, shift) in units {
        if count >= 1 << shift {
            let value = count as f64 / (1_u64 << shift) as f64;
            return format!("{value:.1} {name}");
        }
    }
    format!("{count} bytes")
}

/// A duration that may be short.
pub(super) fn time(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.2} ms", seconds * 1000.0)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.1} s")
    }
}

/// A count with blanks between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 event`, `2 events`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {}", count(number), plural(number, noun))
}

/// Where the receipt of an event is.
pub(super) fn receipt(event_id: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(event_id.as_bytes()).collect();
    format!("/console/receipt?event_id={id}")
}

/// A part of a whole in per cent, to a tenth, rounded down, so that 100 means all; never more.
pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let tenths = part.min(whole).saturating_mul(1000) / whole;
    match tenths % 10 {
        0 => format!("{} %", tenths / 10),
        rest => format!("{}.{rest} %", tenths / 10),
    }
}

/// Events a second.
pub(super) fn rate(rate: f64) -> String {
    if rate < 10.0 {
        format!("{rate:.1}/s")
    } else {
        format!("{}/s", count(rate.round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_words() {
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(counted(1000, "event"), "1\u{202f}000 events");
        let spans = [0, 59, 60, 3599, 3600, 3660, 86_400, 90_000].map(span);
        let said = [
            "0 s",
            "59 s",
            "1 min",
            "59 min",
            "1 h",
            "1 h 1 min",
            "1 d",
            "1 d 1 h",
        ];
        assert_eq!(spans, said);
        assert_eq!(
            [0, 2048, 5 << 30].map(bytes),
            ["0 bytes", "2.0 KiB", "5.0 GiB"]
        );
        assert_eq!(
            [7, 1000, 1_234_567].map(count).join("|"),
            "7|1\u{202f}000|1\u{202f}234\u{202f}567"
        );
        assert_eq!(
            [0.000_25, 0.0123, 2.5].map(time),
            ["0.25 ms", "12.3 ms", "2.5 s"]
        );
        assert_eq!([0.25, 1234.0].map(rate).join("|"), "0.2/s|1\u{202f}234/s");
        let (now, at) = (UnixMs::from_secs(1_000_000), UnixMs::from_secs(999_820));
        let moment = Moment::of(at, now).to_string();
        assert_eq!(
            moment,
            "<time datetime=\"1970-01-12T13:43:40Z\" title=\"1970-01-12T13:43:40Z\">3 min ago</time>"
        );
        assert_eq!(
            [(1, 0), (1, 3), (9999, 10_000), (3, 2)].map(|(part, whole)| share(part, whole)),
            ["–", "33.3 %", "99.9 %", "100 %"]
        );
        assert_eq!(Moment::of(now, at).words, "in 3 min");
    }
}
