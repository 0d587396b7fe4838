//! Which dead letters are meant.

use std::collections::BTreeSet;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::LetterId;
use super::line::Stored;
use crate::event::EncodedEvent;
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Which dead letters are meant: those that meet every condition given; without one, all.
///
/// Ages are counted from [`DeadLetter::dead_at`](super::DeadLetter::dead_at); as JSON they are
/// whole seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Of this pixel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel: Option<PixelId>,
    /// Given up for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With exactly this `event_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// Refused by Graph with this code, or without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Number>,
    /// Refused by Graph with this subcode, or without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcode: Option<Number>,
    /// Dead for this long or longer.
    #[serde(with = "seconds", skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Duration>,
    /// Dead for less than this.
    #[serde(with = "seconds", skip_serializing_if = "Option::is_none")]
    pub newer_than: Option<Duration>,
    /// One of these; an empty list is no condition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<LetterId>,
}

/// Which of Graph's numbers is meant; as JSON the number, or [`NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// None at all.
    None,
    /// This one.
    Is(i64),
}

/// The word for [`Number::None`].
pub const NONE: &str = "none";

impl Number {
    fn meets(self, number: Option<i64>) -> bool {
        number == Option::from(self)
    }
}

impl From<Number> for Option<i64> {
    fn from(number: Number) -> Self {
        match number {
            Number::None => None,
            Number::Is(number) => Some(number),
        }
    }
}

impl From<Option<i64>> for Number {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::None, Self::Is)
    }
}

impl FromStr for Number {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        if text.eq_ignore_ascii_case(NONE) {
            return Ok(Self::None);
        }
        text.parse().map(Self::Is)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str(NONE),
            Self::Is(number) => number.fmt(f),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str(NONE),
            Self::Is(number) => serializer.serialize_i64(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Read {
            Is(i64),
            Word(String),
        }
        match Read::deserialize(deserializer)? {
            Read::Is(number) => Ok(Self::Is(number)),
            Read::Word(word) => word.parse().map_err(D::Error::custom),
        }
    }
}

impl Filter {
    /// Whether it says nothing, and so means every letter.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A filter made ready for many letters, at one moment.
pub(super) struct Matcher<'f> {
    filter: &'f Filter,
    ids: Option<BTreeSet<LetterId>>,
    now: UnixMs,
}

impl<'f> Matcher<'f> {
    pub(super) fn new(filter: &'f Filter, now: UnixMs) -> Self {
        Self {
            filter,
            ids: (!filter.ids.is_empty()).then(|| filter.ids.iter().copied().collect()),
            now,
        }
    }

    /// Whether file `number` may hold such a letter.
    pub(super) fn may_be_in(&self, number: u64) -> bool {
        self.ids.is_none() || self.first_in(number).is_some()
    }

    /// The first of the ids asked for that is in file `number`.
    pub(super) fn first_in(&self, number: u64) -> Option<LetterId> {
        let id = |offset| LetterId {
            file: number,
            offset,
        };
        let mut ids = self.ids.as_ref()?.range(id(0)..=id(u64::MAX));
        ids.next().copied()
    }

    pub(super) fn meets(&self, letter: &Stored<'_>) -> bool {
        let filter = self.filter;
        let refusal = letter.refusal.as_ref();
        let age = self.now.since(UnixMs(letter.dead_at));
        filter.pixel.is_none_or(|pixel| pixel == letter.pixel)
            && filter.reason.as_ref().is_none_or(|r| *r == letter.reason)
            && filter
                .code
                .is_none_or(|code| code.meets(refusal.map(|r| r.code)))
            && filter
                .subcode
                .is_none_or(|subcode| subcode.meets(refusal.and_then(|r| r.subcode)))
            && filter.older_than.is_none_or(|span| age >= span)
            && filter.newer_than.is_none_or(|span| age < span)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id))
            && filter.event_name.as_ref().is_none_or(|name| {
                EncodedEvent::head_of(letter.event.get().as_bytes()).event_name == *name
            })
    }
}

/// Ages as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for this signature")]
    pub(super) fn serialize<S: Serializer>(
        age: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match age {
            Some(age) => serializer.serialize_u64(age.as_secs()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}
