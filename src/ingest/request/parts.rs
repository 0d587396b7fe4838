//! Events that a form spreads over fields, as PHP writes arrays: `data[0]={…}`, or
//! `data[0][event_name]=Purchase&data[0][user_data][em][0]=…`.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::fault;
use crate::codes;
use crate::ingest::answer::Rejection;

/// Brackets after `data`; events nest less.
const MAX_DEPTH: usize = 8;

/// One event for each index.
#[derive(Default)]
pub(super) struct Parts<'a> {
    events: Vec<Event<'a>>,
}

enum Event<'a> {
    /// `data[0]={…}`.
    Text(Cow<'a, str>),
    /// `data[0][…]=…`.
    Fields(Map<String, Value>),
}

impl<'a> Parts<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Adds the field `name`, which begins with `data[`.
    pub(super) fn add(
        &mut self,
        name: &str,
        text: Cow<'a, str>,
        max_events: usize,
    ) -> Result<(), Rejection> {
        let keys = keys(name).ok_or_else(wrong)?;
        let (index, rest) = keys.split_first().ok_or_else(wrong)?;
        let len = self.events.len();
        let at = match *index {
            "" if rest.is_empty() => len,
            number => number.parse().map_err(|_| wrong())?,
        };
        // fields of one event stand together, and so do the events
        if at > len || at + 1 < len {
            return Err(wrong());
        }
        if at == max_events {
            // there may be more
            return Err(Rejection::TooManyEvents(at + 1));
        }
        match (self.events.get_mut(at), rest) {
            (None, []) => self.events.push(Event::Text(text)),
            (None, rest) => {
                let mut fields = Map::new();
                put(&mut fields, rest, text)?;
                self.events.push(Event::Fields(fields));
            }
            (Some(Event::Fields(fields)), [_, ..]) => put(fields, rest, text)?,
            _ => return Err(wrong()),
        }
        Ok(())
    }

    pub(super) fn events(&self) -> Result<Vec<Cow<'_, str>>, Rejection> {
        let text = |event: &'_ Event<'a>| match event {
            Event::Text(text) => Ok(Cow::Owned(text.to_string())),
            Event::Fields(fields) => serde_json::to_string(&listed(fields)).map(Cow::Owned),
        };
        let events: Result<_, _> = self.events.iter().map(text).collect();
        events.map_err(|_| wrong())
    }
}

fn wrong() -> Rejection {
    fault(
        codes::MALFORMED,
        "data",
        "events in fields of their own are numbered from 0, without gaps, each once or with all of its fields, such as data[0]={…}&data[1]={…} or data[0][event_name]=Purchase",
    )
}

/// What is in the brackets of `data[0][event_name]`.
fn keys(name: &str) -> Option<Vec<&str>> {
    let inner = name.strip_prefix("data[")?.strip_suffix(']')?;
    let keys: Vec<&str> = inner.splitn(MAX_DEPTH + 1, "][").collect();
    let is_plain = |key: &&str| !key.contains(['[', ']']);
    (keys.len() <= MAX_DEPTH && keys.iter().all(is_plain)).then_some(keys)
}

fn put(
    fields: &mut Map<String, Value>,
    keys: &[&str],
    text: Cow<'_, str>,
) -> Result<(), Rejection> {
    let (key, rest) = keys.split_first().ok_or_else(wrong)?;
    let key = match *key {
        // the next of a list
        "" => fields.len().to_string(),
        key => key.to_owned(),
    };
    if rest.is_empty() {
        return match fields.insert(key, Value::String(text.into_owned())) {
            None => Ok(()),
            Some(_) => Err(wrong()),
        };
    }
    match fields
        .entry(key)
        .or_insert_with(|| Value::Object(Map::new()))
    {
        Value::Object(inner) => put(inner, rest, text),
        _ => Err(wrong()),
    }
}

/// The same, with an array in the place of each object whose keys are `0`, `1` and so on.
fn listed(fields: &Map<String, Value>) -> Value {
    let inner = |value: &Value| match value {
        Value::Object(fields) => listed(fields),
        value => value.clone(),
    };
    let is_list =
        !fields.is_empty() && (0..fields.len()).all(|n| fields.contains_key(&n.to_string()));
    if is_list {
        let item = |n: usize| fields.get(&n.to_string()).map(inner);
        return (0..fields.len()).filter_map(item).collect();
    }
    let member = |(key, value): (&String, &Value)| (key.clone(), inner(value));
    Value::Object(fields.iter().map(member).collect())
}
