//! What makes a group, and its name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::event::Money;
use crate::pixel::PixelId;

/// Where an event went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Refused at the door: it was never accepted.
    Door,
    /// A policy has kept it back.
    Policy,
    /// Meta has refused it, or does not take the pixel's events for now.
    Meta,
    /// The gateway holds it back or has given it up without a word of Meta's, such as for its age.
    Lane,
}

impl Place {
    /// The stable word: `door`, `policy`, `meta` or `lane`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::Policy => "policy",
            Self::Meta => "meta",
            Self::Lane => "lane",
        }
    }
}

/// What makes a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// Whose events.
    pub pixel: PixelId,
    /// Where.
    pub place: Place,
    /// The stable word: of the refusal, of the policy, the reason of the dead letters, or why events
    /// are held.
    pub word: Cow<'static, str>,
    /// Meta's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Meta's subcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// The field, such as `custom_data.value`; empty for the event as a whole, or where it is not
    /// known.
    pub path: Cow<'static, str>,
}

/// Something that went wrong with an event, or with all of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its group.
    pub kind: Kind,
    /// How many events.
    pub events: u64,
    /// Its `event_id`.
    pub event_id: Option<String>,
    /// What it says to be worth.
    pub money: Option<Money>,
}

/// The name of a group: 16 hex digits, part of the SHA-256 of its [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssueId(u64);

/// A text is no name of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an issue is 16 hex digits, such as 0f3a5c7e9b1d2468")]
pub struct IssueIdError;

impl Kind {
    /// Its name.
    pub fn id(&self) -> IssueId {
        let text = format!(
            "{} {} {} {:?} {:?} {}",
            self.pixel,
            self.place.word(),
            self.word,
            self.code,
            self.subcode,
            self.path
        );
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 8];
        for (byte, from) in bytes.iter_mut().zip(digest) {
            *byte = from;
        }
        IssueId(u64::from_be_bytes(bytes))
    }

    /// Whether it is of this code: our word (`without_value`), Meta's code (`100`), or that with its
    /// subcode (`100/2804009`).
    pub fn is_of(&self, code: &str) -> bool {
        let number = self.code.map(|number| match self.subcode {
            Some(subcode) => (number.to_string(), format!("{number}/{subcode}")),
            None => (number.to_string(), number.to_string()),
        });
        self.word == code || number.is_some_and(|(bare, whole)| bare == code || whole == code)
    }
}

impl fmt::Display for IssueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for IssueId {
    type Err = IssueIdError;

    fn from_str(text: &str) -> Result<Self, IssueIdError> {
        let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(Self).ok_or(IssueIdError)
    }
}

impl Serialize for IssueId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
