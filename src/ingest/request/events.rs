//! `data`: the events, each as a text of its own.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Value, fault};
use crate::codes;
use crate::ingest::answer::Rejection;

/// Takes the array apart. Events of clients that send each as a text in a string are unwrapped.
pub(super) fn read<'a>(
    data: Option<&'a Value<'_>>,
    max_events: usize,
) -> Result<Vec<Cow<'a, str>>, Rejection> {
    let Some(data) = data else {
        return Err(fault(
            codes::MISSING,
            "data",
            "an array of events is needed, such as {\"data\":[{…}]}",
        ));
    };
    let read;
    let list = match data {
        Value::Events(list) => list,
        Value::Text(_) | Value::Json(_) => {
            read = from_text(data.json(), max_events)?;
            &read
        }
    };
    match list {
        Ok(list) if list.is_empty() => Err(none()),
        Ok(list) => Ok(list.iter().map(|event| unquote(event)).collect()),
        Err(found) => Err(Rejection::TooManyEvents(*found)),
    }
}

fn from_text(text: &str, max: usize) -> Result<Listed<'_>, Rejection> {
    let mut json = serde_json::Deserializer::from_str(text);
    let list = List { max }.deserialize(&mut json);
    list.and_then(|list| json.end().map(|()| list))
        .map_err(|_| {
            fault(
                codes::MALFORMED,
                "data",
                "an array of event objects is expected",
            )
        })
}

pub(super) fn none() -> Rejection {
    fault(codes::NO_EVENTS, "data", "at least one event is needed")
}

/// Some clients send each event as a JSON text inside a string.
fn unquote(text: &str) -> Cow<'_, str> {
    if text.starts_with('"')
        && let Ok(inner) = serde_json::from_str::<String>(text)
    {
        return Cow::Owned(inner);
    }
    Cow::Borrowed(text)
}

/// The entries of a list, each as its text; how many there are when those are too many.
pub(super) type Listed<'a> = Result<Vec<&'a str>, usize>;

/// A list of at most so many entries.
pub(super) struct List {
    pub(super) max: usize,
}

impl<'de> DeserializeSeed<'de> for List {
    type Value = Listed<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Listed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            if list.len() == self.max {
                let mut found = self.max + 1;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    found += 1;
                }
                return Ok(Err(found));
            }
            list.push(item.get());
        }
        Ok(Ok(list))
    }
}
