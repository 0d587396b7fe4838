//! The body in Graph's shape: request options, the caller's key, and events kept apart by index.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::answer::{Limit, Rejection};
use crate::codes::{self, Code};
use crate::journal::RequestOptions;

/// Members a body may have; far more than Graph knows.
pub const MAX_MEMBERS: usize = 64;
/// Characters of a request option such as `test_event_code`.
pub const MAX_OPTION: usize = 128;

/// A parsed body. The events are still raw text, one slice each, so that a bad one hides no other.
pub struct Parsed<'a> {
    /// The events' JSON texts, in order.
    pub events: Vec<Cow<'a, str>>,
    /// What applies to the whole request.
    pub options: RequestOptions,
    /// The member `access_token`.
    pub key: Option<Cow<'a, str>>,
    /// Whether members were left out because Graph does not know them.
    pub unknown_members: bool,
}

impl fmt::Debug for Parsed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parsed({} events)", self.events.len())
    }
}

/// Reads a body. `max_events` is `ingest.max_events`.
pub fn parse(body: &[u8], max_events: usize) -> Result<Parsed<'_>, Rejection> {
    let text = std::str::from_utf8(body).map_err(|error| {
        fault(
            codes::NOT_UTF8,
            "",
            format!("it must be UTF-8; byte {} is not", error.valid_up_to()),
        )
    })?;
    // some editors and exporters put one in front
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json
        .deserialize_any(MembersVisitor)
        .and_then(|members| json.end().map(|()| members))
        .map_err(|error| bad_json(&error))?;
    let members = match members {
        Members::Object(members) => members,
        Members::TooMany => {
            return Err(fault(
                codes::BAD_JSON,
                "",
                format!("at most {MAX_MEMBERS} members"),
            ));
        }
    };

    let mut parsed = Parsed {
        events: Vec::new(),
        options: RequestOptions::default(),
        key: None,
        unknown_members: false,
    };
    let mut data = None;
    let mut seen: Vec<Cow<'_, str>> = Vec::with_capacity(members.len());
    for (name, value) in members {
        if seen.contains(&name) {
            let path = KNOWN
                .iter()
                .find(|known| **known == name)
                .copied()
                .unwrap_or("");
            return Err(fault(
                codes::DUPLICATE_KEY,
                path,
                "each member may stand once".to_owned(),
            ));
        }
        match name.as_ref() {
            "data" => data = Some(value),
            "access_token" => parsed.key = option(value, "access_token", usize::MAX)?,
            "test_event_code" => {
                parsed.options.test_event_code = text_option(value, "test_event_code")?;
            }
            "partner_agent" => parsed.options.partner_agent = text_option(value, "partner_agent")?,
            "upload_tag" => parsed.options.upload_tag = text_option(value, "upload_tag")?,
            "upload_id" => parsed.options.upload_id = text_option(value, "upload_id")?,
            "upload_source" => parsed.options.upload_source = text_option(value, "upload_source")?,
            "namespace_id" => parsed.options.namespace_id = text_option(value, "namespace_id")?,
            // the caller's proof is about the caller's token, which is not the one we send with
            "appsecret_proof" => {}
            _ => parsed.unknown_members = true,
        }
        seen.push(name);
    }
    let data = data.ok_or_else(|| {
        fault(
            codes::MISSING,
            "data",
            "an array of events is needed, such as {\"data\":[{…}]}".to_owned(),
        )
    })?;
    parsed.events = events(data, max_events)?;
    Ok(parsed)
}

const KNOWN: &[&str] = &[
    "data",
    "access_token",
    "test_event_code",
    "partner_agent",
    "upload_tag",
    "upload_id",
    "upload_source",
    "namespace_id",
    "appsecret_proof",
];

fn fault(code: Code, path: &'static str, rule: String) -> Rejection {
    Rejection::Body { code, path, rule }
}

/// Where the text stops being JSON; serde's own words are left out, since they quote values.
fn bad_json(error: &serde_json::Error) -> Rejection {
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

fn events(data: &RawValue, max_events: usize) -> Result<Vec<Cow<'_, str>>, Rejection> {
    let wrong = || {
        fault(
            codes::MALFORMED,
            "data",
            "an array of event objects is expected".to_owned(),
        )
    };
    // one `data` in a string: the array as text, as a form would carry it
    if data.get().starts_with('"') {
        let inner: String = serde_json::from_str(data.get()).map_err(|_| wrong())?;
        let inner: &RawValue = serde_json::from_str(&inner).map_err(|_| wrong())?;
        let list = list(inner, max_events).ok_or_else(wrong)??;
        return list
            .into_iter()
            .map(|event| Ok(Cow::Owned(unquote(event).into_owned())))
            .collect();
    }
    let list = list(data, max_events).ok_or_else(wrong)??;
    Ok(list.into_iter().map(unquote).collect())
}

fn list(data: &RawValue, max_events: usize) -> Option<Result<Vec<&RawValue>, Rejection>> {
    let mut json = serde_json::Deserializer::from_str(data.get());
    let list = json.deserialize_seq(ListVisitor { max: max_events }).ok()?;
    Some(match list {
        Some(list) if list.is_empty() => Err(fault(
            codes::NO_EVENTS,
            "data",
            "at least one event is needed".to_owned(),
        )),
        Some(list) => Ok(list),
        None => Err(Rejection::Limited(Limit::MaxEvents, None)),
    })
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

/// A request option. It is kept and sent in clear, so nothing passes that could be an e-mail
/// address, and nothing that is a phone number.
fn text_option(value: &RawValue, path: &'static str) -> Result<Option<String>, Rejection> {
    let Some(text) = option(value, path, MAX_OPTION)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/ -".contains(c);
    // these two are names with letters; the others may be dates or numbers
    let is_name = matches!(path, "test_event_code" | "partner_agent");
    let lacks_letter = is_name && !text.contains(|c: char| c.is_ascii_alphabetic());
    if lacks_letter || !text.chars().all(plain) {
        let rule = format!(
            "ASCII letters, digits, blanks and _ . : / - only, such as {}",
            example(path)
        );
        return Err(fault(codes::MALFORMED, path, rule));
    }
    Ok(Some(text.into_owned()))
}

/// A string, or null for none.
fn option<'a>(
    value: &'a RawValue,
    path: &'static str,
    max: usize,
) -> Result<Option<Cow<'a, str>>, Rejection> {
    if value.get() == "null" {
        return Ok(None);
    }
    let text: Text<'a> = serde_json::from_str(value.get()).map_err(|_| {
        fault(
            codes::MALFORMED,
            path,
            format!("a string is expected, such as {}", example(path)),
        )
    })?;
    if text.0.chars().count() > max {
        return Err(fault(
            codes::MALFORMED,
            path,
            format!("at most {max} characters, such as {}", example(path)),
        ));
    }
    Ok(Some(text.0))
}

pub(super) fn example(path: &str) -> &'static str {
    match path {
        "" | "data" => "{\"data\":[{…}]}",
        "test_event_code" => "\"TEST12345\"",
        "partner_agent" => "\"myplatform\"",
        "access_token" => "the ingest key of your source",
        _ => "\"2026-11-22\"",
    }
}

/// Borrows from the body unless the text has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

enum Members<'a> {
    Object(Vec<(Cow<'a, str>, &'a RawValue)>),
    TooMany,
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?;
            if members.len() == MAX_MEMBERS {
                while map
                    .next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?
                    .is_some()
                {}
                return Ok(Members::TooMany);
            }
            members.push((name, value));
        }
        Ok(Members::Object(members))
    }
}

struct ListVisitor {
    max: usize,
}

impl<'de> Visitor<'de> for ListVisitor {
    /// None when there are more than `max`.
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            if list.len() == self.max {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            list.push(item);
        }
        Ok(Some(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &[u8]) -> &'static str {
        parse(body, 3).map(|_| ()).unwrap_err().code().word()
    }

    #[test]
    fn events_stay_text_and_apart() {
        let body = br#" {"data":[{"a":1.10},"{\"b\":2}", 5],"test_event_code":"TEST1","access_token":"k\u0065y","x":1} "#;
        let parsed = parse(body, 3).unwrap();
        assert_eq!(parsed.events, [r#"{"a":1.10}"#, r#"{"b":2}"#, "5"]);
        assert_eq!(parsed.options.test_event_code.as_deref(), Some("TEST1"));
        assert_eq!(parsed.key.as_deref(), Some("key"));
        assert!(parsed.unknown_members);
        assert_eq!(
            parse(br#"{"data":"[{\"a\":1}]"}"#, 3).unwrap().events,
            [r#"{"a":1}"#]
        );
    }

    #[test]
    fn each_bad_body_has_its_code() {
        assert_eq!(code(b""), "bad_json");
        assert_eq!(code(br#"{"data":[{}"#), "bad_json");
        assert_eq!(code(b"[]"), "bad_json");
        assert_eq!(code(br#"{"data":[{}]} x"#), "bad_json");
        assert_eq!(code(b"{\"data\":[\"\xff\"]}"), "not_utf8");
        assert_eq!(code(b"{}"), "missing");
        assert_eq!(code(br#"{"data":[]}"#), "no_events");
        assert_eq!(code(br#"{"data":{}}"#), "malformed");
        assert_eq!(code(br#"{"data":null}"#), "malformed");
        assert_eq!(code(br#"{"data":"x"}"#), "malformed");
        assert_eq!(code(br#"{"data":[1,2,3,4]}"#), "too_many_events");
        assert_eq!(code(br#"{"data":[1],"data":[1]}"#), "duplicate_key");
        assert_eq!(code(br#"{"data":[1],"test_event_code":7}"#), "malformed");
        assert_eq!(
            code(br#"{"data":[1],"test_event_code":"4915209876543"}"#),
            "malformed"
        );
        assert_eq!(
            code(br#"{"data":[1],"upload_tag":"jane@example.com"}"#),
            "malformed"
        );
        let many: Vec<String> = (0..65).map(|n| format!("\"k{n}\":1")).collect();
        assert_eq!(
            code(format!("{{{}}}", many.join(",")).as_bytes()),
            "bad_json"
        );
    }

    #[test]
    fn no_refusal_repeats_what_was_sent() {
        for body in [
            r#"{"data":[1],"test_event_code":["canary@example.com"]}"#,
            r#"{"data":"canary@example.com"}"#,
            r#""canary@example.com""#,
            r#"{"canary@example.com":1,"canary@example.com":2}"#,
        ] {
            let rejection = parse(body.as_bytes(), 3).unwrap_err();
            assert!(!format!("{rejection:?}").contains("canary"), "{body}");
        }
    }

    #[test]
    fn ten_thousand_levels_do_not_overflow() {
        let deep = format!(
            "{{\"data\":[{}1{}]}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        assert_eq!(parse(deep.as_bytes(), 3).unwrap().events.len(), 1);
        let open = format!("{{\"data\":{}", "[".repeat(10_000));
        assert_eq!(code(open.as_bytes()), "bad_json");
    }
}
