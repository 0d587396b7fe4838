//! The pixel (dataset) an event belongs to.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a Meta pixel, which is the same number as its dataset id.
///
/// Decimal digits only, not zero, at most `u64::MAX`; anything else does not parse.
/// It is written as a string in JSON, because Meta's ids may exceed 2^53.
///
/// ```
/// use capigate::pixel::PixelId;
/// assert!("1234567890".parse::<PixelId>().is_ok());
/// assert!("12a".parse::<PixelId>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PixelId(NonZeroU64);

/// Why a text is not a [`PixelId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pixel id is 1 to 20 decimal digits, the first of them not 0, such as 1234567890123456")]
pub struct PixelIdError;

/// What a test code is, in words.
pub const TEST_CODE_RULE: &str = "1 to 64 letters, digits, _ and -, such as TEST12345";

/// Characters of a test code.
const MAX_TEST_CODE: usize = 64;

/// Whether a text may be a test code of the Events Manager: see [`TEST_CODE_RULE`].
pub fn is_test_code(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=MAX_TEST_CODE).contains(&text.len()) && text.bytes().all(plain)
}

impl PixelId {
    /// The id as a number, for fixed-width storage.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// From a stored number; zero is no pixel.
    pub fn from_u64(id: u64) -> Option<Self> {
        NonZeroU64::new(id).map(Self)
    }
}

impl FromStr for PixelId {
    type Err = PixelIdError;

    fn from_str(text: &str) -> Result<Self, PixelIdError> {
        // `u64::from_str` would also take a leading `+`
        // and one pixel must not have two spellings
        if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PixelIdError);
        }
        let id = text.parse::<u64>().map_err(|_| PixelIdError)?;
        Self::from_u64(id).ok_or(PixelIdError)
    }
}

impl TryFrom<&str> for PixelId {
    type Error = PixelIdError;

    fn try_from(text: &str) -> Result<Self, PixelIdError> {
        text.parse()
    }
}

impl fmt::Display for PixelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for PixelId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PixelId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_only() {
        for good in ["1", "1234567890123456", "18446744073709551615"] {
            assert_eq!(good.parse::<PixelId>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "12a",
            "１２",
            "18446744073709551616",
        ] {
            assert_eq!(bad.parse::<PixelId>(), Err(PixelIdError), "{bad:?}");
        }
    }
}
