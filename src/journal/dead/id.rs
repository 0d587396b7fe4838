//! The name of a dead letter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a dead letter, printed like `12-34567`: the number of its file, and the offset in
/// bytes at which it was first written. It is kept for life, also when its file is rewritten.
///
/// Ids sort in the order in which the letters were written.
///
/// ```
/// use capigate::journal::dead::LetterId;
/// let id: LetterId = "12-34567".parse()?;
/// assert_eq!(id.to_string(), "12-34567");
/// assert!("12".parse::<LetterId>().is_err());
/// # Ok::<(), capigate::journal::dead::LetterIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    pub(super) file: u64,
    pub(super) offset: u64,
}

/// Why a text is not a [`LetterId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a dead letter is two whole numbers with a hyphen between, such as 12-34567")]
pub struct LetterIdError;

impl LetterId {
    /// The number of the file it is in.
    pub fn file(self) -> u64 {
        self.file
    }
}

impl FromStr for LetterId {
    type Err = LetterIdError;

    fn from_str(text: &str) -> Result<Self, LetterIdError> {
        let (file, offset) = text.split_once('-').ok_or(LetterIdError)?;
        Ok(Self {
            file: number(file)?,
            offset: number(offset)?,
        })
    }
}

/// One spelling only: no sign, no leading zero.
fn number(text: &str) -> Result<u64, LetterIdError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(LetterIdError);
    }
    text.parse().map_err(|_| LetterIdError)
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.file, self.offset)
    }
}

impl Serialize for LetterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LetterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_has_one_spelling() {
        for good in ["0-0", "1-0", "12-34567", "18446744073709551615-1"] {
            assert_eq!(good.parse::<LetterId>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "01-1",
            "1-01",
            "+1-1",
            "1--1",
            "1-1-1",
            "1-a",
            " 1-1",
            "18446744073709551616-1",
        ] {
            assert_eq!(bad.parse::<LetterId>(), Err(LetterIdError), "{bad:?}");
        }
    }

    #[test]
    fn ids_sort_as_numbers() {
        let id = |text: &str| text.parse::<LetterId>().unwrap();
        assert!(id("9-100") < id("10-0"));
        assert!(id("9-9") < id("9-10"));
    }
}
