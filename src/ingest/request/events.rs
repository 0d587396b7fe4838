//! `data`: the events, each as a text of its own.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Value, fault};
use crate::codes;
use crate::ingest::answer::{Limit, Rejection};

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
    let mut json = serde_json::Deserializer::from_str(data.json());
    let list = json
        .deserialize_seq(List { max: max_events })
        .and_then(|list| json.end().map(|()| list))
        .map_err(|_| {
            fault(
                codes::MALFORMED,
                "data",
                "an array of event objects is expected",
            )
        })?;
    match list {
        Some(list) if list.is_empty() => Err(none()),
        Some(list) => Ok(list.into_iter().map(unquote).collect()),
        None => Err(too_many()),
    }
}

pub(super) fn none() -> Rejection {
    fault(codes::NO_EVENTS, "data", "at least one event is needed")
}

pub(super) fn too_many() -> Rejection {
    Rejection::Limited(Limit::MaxEvents, None)
}

/// Some clients send each event as a JSON text inside a string.
fn unquote(event: &RawValue) -> Cow<'_, str> {
    let text = event.get();
    if text.starts_with('"')
        && let Ok(inner) = serde_json::from_str::<String>(text)
    {
        return Cow::Owned(inner);
    }
    Cow::Borrowed(text)
}

/// A list of at most so many entries, each as its text.
pub(super) struct List {
    pub(super) max: usize,
}

impl<'de> Visitor<'de> for List {
    /// None when there are more than `max`.
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            if list.len() == self.max {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            list.push(item);
        }
        Ok(Some(list))
    }
}
