//! The members of a JSON object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{KNOWN, MAX_MEMBERS, Members, Value, fault, utf8};
use crate::codes;
use crate::ingest::answer::Rejection;

/// Reads a body of JSON.
pub fn parse_json(body: &[u8]) -> Result<Members<'_>, Rejection> {
    let text = utf8(body)?;
    // some editors and exporters put one in front
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut json = serde_json::Deserializer::from_str(text);
    let found = json
        .deserialize_any(MembersVisitor)
        .and_then(|found| json.end().map(|()| found))
        .map_err(|error| bad_json(&error))?;
    let Some(found) = found else {
        return Err(fault(
            codes::BAD_JSON,
            "",
            format!("at most {MAX_MEMBERS} members"),
        ));
    };
    let mut list: Vec<(Cow<'_, str>, Value<'_>)> = Vec::with_capacity(found.len());
    for (name, raw) in found {
        if list.iter().any(|(other, _)| *other == name) {
            let path = KNOWN.iter().find(|known| **known == name);
            return Err(fault(
                codes::DUPLICATE_KEY,
                path.copied().unwrap_or(""),
                "each member may stand once",
            ));
        }
        list.push((name, Value::of_json(raw)));
    }
    Ok(Members {
        list,
        ..Members::default()
    })
}

/// Where the text stops being JSON; serde's own words are left out, since they quote values.
pub(super) fn bad_json(error: &serde_json::Error) -> Rejection {
    let what = if error.is_eof() {
        "the JSON ends too early"
    } else if error.is_data() {
        "a JSON object is expected, such as {\"data\":[{…}]}; found something else"
    } else {
        "not JSON"
    };
    fault(
        codes::BAD_JSON,
        "",
        format!("{what}, at line {} column {}", error.line(), error.column()),
    )
}

/// Borrows from the body unless the text has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    /// None when there are too many.
    type Value = Option<Vec<(Cow<'de, str>, &'de RawValue)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?;
            if members.len() == MAX_MEMBERS {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            members.push((name, value));
        }
        Ok(Some(members))
    }
}
