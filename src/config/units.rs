//! Values with their unit in the text: sizes, durations, rates.
//!
//! Each type prints what it reads, keeps its value exact (no floats, no rounding) and is refused
//! in words that say what a good value looks like.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes: `"8MiB"`, `"1MB"`, `"512B"`, or a plain number of bytes.
///
/// Units: `B`, `kB`, `MB`, `GB`, `TB` (powers of 1000) and `KiB`, `MiB`, `GiB`, `TiB` (powers of
/// 1024). Whole numbers only; at most 2^63 - 1 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

/// A length of time: `"200ms"`, `"5m"`, `"7d"`.
///
/// Units: `ms`, `s`, `m`, `h`, `d`, one number and one unit. Whole milliseconds; at most 10,000
/// days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// So many things a second, a minute or an hour: `"50/s"`, `"600/m"`, `"1000/h"`.
///
/// The number is 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: NonZeroU32,
    per: Per,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Per {
    Second,
    Minute,
    Hour,
}

/// Why a text is not a value of one of the types here; says what one looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a [`Bytes`].
    #[error("a size: a whole number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB")]
    Bytes,
    /// Not a [`Span`].
    #[error("a duration: a whole number with ms, s, m, h or d, at most 10000d")]
    Span,
    /// Not a [`Rate`].
    #[error("a rate: a whole number from 1 to 1000000 with /s, /m or /h")]
    Rate,
}

const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

const SPAN_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Bytes {
    const MAX: u64 = i64::MAX.unsigned_abs();

    /// This many bytes; values over 2^63 - 1 become 2^63 - 1.
    pub const fn new(bytes: u64) -> Self {
        Self(if bytes > Self::MAX { Self::MAX } else { bytes })
    }

    /// This many KiB (1024 bytes).
    pub const fn kib(count: u32) -> Self {
        Self(count as u64 * (1 << 10))
    }

    /// This many MiB (1,048,576 bytes).
    pub const fn mib(count: u32) -> Self {
        Self(count as u64 * (1 << 20))
    }

    /// This many GiB (1,073,741,824 bytes).
    pub const fn gib(count: u32) -> Self {
        Self(count as u64 * (1 << 30))
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes for memory sizes; `usize::MAX` where it does not fit.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Span {
    const MAX: u64 = 10_000 * 86_400_000;

    /// This many milliseconds; more than 10,000 days becomes 10,000 days.
    pub const fn from_millis(ms: u64) -> Self {
        Self(if ms > Self::MAX { Self::MAX } else { ms })
    }

    /// This many days; more than 10,000 become 10,000.
    pub const fn from_days(days: u64) -> Self {
        Self::from_secs(days.saturating_mul(86_400))
    }

    /// This many seconds; more than 10,000 days becomes 10,000 days.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// As the standard library's duration.
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.get()
    }
}

impl Rate {
    const MAX: u32 = 1_000_000;

    /// This many a second; 0 becomes 1, more than 1,000,000 becomes 1,000,000.
    pub fn per_second(count: u32) -> Self {
        let count = NonZeroU32::new(count.min(Self::MAX)).unwrap_or(NonZeroU32::MIN);
        Self {
            count,
            per: Per::Second,
        }
    }

    /// This many a minute; 0 becomes 1, more than 1,000,000 becomes 1,000,000.
    pub fn per_minute(count: u32) -> Self {
        Self {
            per: Per::Minute,
            ..Self::per_second(count)
        }
    }

    /// How many in one [`Rate::period`].
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// One second, minute or hour.
    pub fn period(self) -> Duration {
        match self.per {
            Per::Second => Duration::from_secs(1),
            Per::Minute => Duration::from_mins(1),
            Per::Hour => Duration::from_hours(1),
        }
    }

    /// The time from one to the next when they are spread evenly; never zero.
    pub fn interval(self) -> Duration {
        self.period() / self.count.get()
    }

    /// How many fit into one second, rounded up; at least 1.
    pub fn each_second(self) -> NonZeroU32 {
        let period = u32::try_from(self.period().as_secs()).unwrap_or(u32::MAX);
        NonZeroU32::new(self.count.get().div_ceil(period)).unwrap_or(NonZeroU32::MIN)
    }
}

/// `12MiB` → (12, "MiB"). One form only: no sign, no space, no leading zero.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.len() > 1 && number.starts_with('0') {
        return None;
    }
    Some((number.parse().ok()?, unit))
}

fn scaled(text: &str, units: &[(&str, u64)], max: u64) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor).filter(|value| *value <= max)
}

/// The largest unit that leaves a whole number.
fn print(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)], zero: &str) -> fmt::Result {
    for (name, factor) in units {
        if value != 0 && value.is_multiple_of(*factor) {
            return write!(f, "{}{name}", value / factor);
        }
    }
    f.write_str(zero)
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if let Some((bytes, "")) = split(text) {
            return Some(Self(bytes))
                .filter(|b| b.0 <= Self::MAX)
                .ok_or(UnitError::Bytes);
        }
        scaled(text, &BYTE_UNITS, Self::MAX)
            .map(Self)
            .ok_or(UnitError::Bytes)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, &SPAN_UNITS, Self::MAX)
            .map(Self)
            .ok_or(UnitError::Span)
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text).ok_or(UnitError::Rate)?;
        let per = match unit {
            "/s" => Per::Second,
            "/m" => Per::Minute,
            "/h" => Per::Hour,
            _ => return Err(UnitError::Rate),
        };
        let count = u32::try_from(number)
            .ok()
            .filter(|n| *n <= Self::MAX)
            .and_then(NonZeroU32::new)
            .ok_or(UnitError::Rate)?;
        Ok(Self { count, per })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, &BYTE_UNITS, "0B")
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, &SPAN_UNITS, "0s")
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            Per::Second => "s",
            Per::Minute => "m",
            Per::Hour => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl de::Visitor<'_> for TextOrNumber {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&UnitError::Bytes, f)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Bytes, E> {
                u64::try_from(number)
                    .map(Bytes)
                    .map_err(|_| E::custom(UnitError::Bytes))
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// For types that are written as a text: their `FromStr` is their `Deserialize`.
pub(super) fn from_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("8MiB", 8 << 20),
            ("1MB", 1_000_000),
            ("64KiB", 65_536),
            ("5kB", 5_000),
            ("0", 0),
            ("0B", 0),
            ("17", 17),
            ("9223372036854775807", i64::MAX.unsigned_abs()),
        ] {
            assert_eq!(text.parse::<Bytes>().map(Bytes::get), Ok(bytes), "{text}");
        }
        assert_eq!(Bytes::mib(8).to_string(), "8MiB");
        assert_eq!(Bytes::new(1_000_000).to_string(), "1MB");
        for bad in [
            "",
            "MiB",
            "8 MiB",
            "8mib",
            "8M",
            "-1MiB",
            "+1B",
            "1.5MiB",
            "08MiB",
            "8388608TiB",
            "9223372036854775808",
            "99999999999999999999B",
        ] {
            assert_eq!(bad.parse::<Bytes>(), Err(UnitError::Bytes), "{bad:?}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [
            ("200ms", 200),
            ("5m", 300_000),
            ("7d", 604_800_000),
            ("0s", 0),
            ("36h", 129_600_000),
        ] {
            let span = text.parse::<Span>();
            assert_eq!(span.map(Span::get), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(Span::from_millis(1500).to_string(), "1500ms");
        assert_eq!(Span::from_secs(300).to_string(), "5m");
        for bad in [
            "", "5", "5 m", "m", "1.5s", "-5s", "5min", "1m30s", "10001d",
        ] {
            assert_eq!(bad.parse::<Span>(), Err(UnitError::Span), "{bad:?}");
        }
    }

    #[test]
    fn rates() {
        let rate: Rate = "600/m".parse().unwrap();
        assert_eq!(rate.count().get(), 600);
        assert_eq!(rate.period(), Duration::from_mins(1));
        assert_eq!(rate.interval(), Duration::from_millis(100));
        assert_eq!(rate.each_second().get(), 10);
        assert_eq!("1/h".parse::<Rate>().unwrap().each_second().get(), 1);
        let fastest: Rate = "1000000/s".parse().unwrap();
        assert_eq!(fastest.interval(), Duration::from_micros(1));
        assert_eq!(Rate::per_second(0).count().get(), 1);
        for bad in ["", "50", "0/s", "50/sec", "/s", "-1/s", "1000001/s", "5 /s"] {
            assert_eq!(bad.parse::<Rate>(), Err(UnitError::Rate), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_prints_reads_back(n in 0..=Bytes::MAX, ms in 0..=Span::MAX, count in 1..=Rate::MAX, per in 0..3) {
            let bytes = Bytes::new(n);
            prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
            let span = Span::from_millis(ms);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            let text = format!("{count}{}", ["/s", "/m", "/h"][per as usize]);
            prop_assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }

        #[test]
        fn round_numbers_read_back_too(n in 0u64..5000, size in 0usize..BYTE_UNITS.len(), time in 0usize..SPAN_UNITS.len()) {
            let (unit, factor) = BYTE_UNITS[size];
            let bytes: Bytes = format!("{n}{unit}").parse().unwrap();
            prop_assert_eq!(bytes.get(), n * factor);
            prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
            let (unit, factor) = SPAN_UNITS[time];
            let span: Span = format!("{n}{unit}").parse().unwrap();
            prop_assert_eq!(span.get(), Duration::from_millis(n * factor));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = (text.parse::<Bytes>(), text.parse::<Span>(), text.parse::<Rate>());
        }
    }
}
