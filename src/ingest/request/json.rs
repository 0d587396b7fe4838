//! The members of a JSON object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::events::List;
use super::{KNOWN, MAX_MEMBERS, Members, Value, fault, utf8};
use crate::codes;
use crate::ingest::answer::Rejection;

/// Reads a body of JSON. `max_events` is `ingest.max_events`.
pub fn parse_json(body: &[u8], max_events: usize) -> Result<Members<'_>, Rejection> {
    let text = utf8(body)?;
    // some editors and exporters put one in front
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // nearly always `data` is an array, whose entries are found in the same pass
    let found = members(text, Some(max_events))
        .or_else(|_| members(text, None))
        .map_err(|error| bad_json(&error))?;
    let Some(found) = found else {
        return Err(fault(
            codes::BAD_JSON,
            "",
            format!("at most {MAX_MEMBERS} members"),
        ));
    };
    let mut list: Vec<(Cow<'_, str>, Value<'_>)> = Vec::with_capacity(found.len());
    for (name, value) in found {
        if list.iter().any(|(other, _)| *other == name) {
            let path = KNOWN.iter().find(|known| **known == name);
            return Err(fault(
                codes::DUPLICATE_KEY,
                path.copied().unwrap_or(""),
                "each member may stand once",
            ));
        }
        list.push((name, value));
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

/// The members of an object, in order; none when there are too many.
type Found<'a> = Option<Vec<(Cow<'a, str>, Value<'a>)>>;

fn members(text: &str, max_events: Option<usize>) -> Result<Found<'_>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let found = json.deserialize_any(MembersVisitor { max_events })?;
    json.end()?;
    Ok(found)
}

struct MembersVisitor {
    /// The bound of `data`, which must then be an array.
    max_events: Option<usize>,
}

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let value = match self.max_events {
                Some(max) if name == "data" => Value::Events(map.next_value_seed(List { max })?),
                _ => Value::of_json(map.next_value()?),
            };
            if members.len() == MAX_MEMBERS {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            members.push((name, value));
        }
        Ok(Some(members))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeSeed;

    use super::*;

    /// The entries of `data`, joined; found on the way or read from its text.
    fn events(body: &str, on_the_way: bool) -> Option<String> {
        let found = members(body, on_the_way.then_some(3)).unwrap().unwrap();
        let data = found.into_iter().find(|(name, _)| name == "data");
        match data.unwrap().1 {
            Value::Events(list) => list.ok().map(|list| list.join(";")),
            other => {
                let mut json = serde_json::Deserializer::from_str(other.json());
                let list = List { max: 3 }.deserialize(&mut json).unwrap();
                list.ok().map(|list| list.join(";"))
            }
        }
    }

    #[test]
    fn events_found_on_the_way_are_those_of_the_text() {
        for data in [
            r#"[{"a":[1,"]"]} , {"b":"\u0022,"}]"#,
            r#"["{\"a\":1}", 7, null]"#,
            "[ ]",
            "[1,2,3,4]",
        ] {
            let body = format!("{{\"x\":1,\"data\": {data} ,\"y\":[2]}}");
            assert_eq!(events(&body, true), events(&body, false), "{data}");
        }
        assert_eq!(events("{\"data\":[1,2,3,4]}", true), None);
        assert_eq!(events("{\"data\":[1, {}]}", true), Some("1;{}".to_owned()));
        for other in ["\"[1]\"", "{}", "7", "null"] {
            let body = format!("{{\"data\":{other}}}");
            assert!(
                members(&body, Some(3)).is_err(),
                "{other} is read the other way"
            );
            assert!(parse_json(body.as_bytes(), 3).is_ok(), "{other}");
        }
    }
}
