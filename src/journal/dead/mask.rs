//! Hides who an event is about.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What stands for a hidden value.
const MASK: &str = "\"[masked]\"";
/// Hex digits of a SHA-256 digest.
const DIGEST: usize = 64;
/// Those that are shown: enough to tell values apart, too few to be joined with another list.
const SHOWN: usize = 8;

/// The event without what tells who it is about: of `user_data` only the first hex digits of SHA-256
/// digests are left, whatever the key, and so of a digest in another place, but for the `event_id`;
/// of URLs what stands before the query, which may hold a click id.
pub fn masked(event: &RawValue) -> Box<RawValue> {
    let text = serde_json::from_str(event.get()).map(|members| {
        object(&members, |key, value| match key {
            "user_data" => match serde_json::from_str(value) {
                Ok(fields) => object(&fields, |_, value| {
                    if is_digests(value) {
                        without_digests(value)
                    } else {
                        MASK.to_owned()
                    }
                }),
                Err(_) => MASK.to_owned(),
            },
            "event_source_url" | "referrer_url" => without_digests(&without_query(value)),
            "event_id" => value.to_owned(),
            _ => without_digests(value),
        })
    });
    let text = text.unwrap_or_else(|_| MASK.to_owned());
    RawValue::from_string(text).unwrap_or_default()
}

/// The members of an object, in order, their values as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

fn object(members: &Members<'_>, show: impl Fn(&str, &str) -> String) -> String {
    let shown: Vec<String> = members
        .0
        .iter()
        .map(|(key, value)| {
            let name = serde_json::to_string(key).unwrap_or_else(|_| MASK.to_owned());
            format!("{name}:{}", show(key, value.get()))
        })
        .collect();
    format!("{{{}}}", shown.join(","))
}

/// Whether a value is a digest or a list of digests; what Meta's Parameter Builder puts behind one does
/// not count.
fn is_digests(value: &str) -> bool {
    let is_digest = |text: &String| {
        let hex = text.split('.').next().unwrap_or_default();
        hex.len() == DIGEST && hex.bytes().all(|b| b.is_ascii_hexdigit()) && text.len() <= 73
    };
    if let Ok(list) = serde_json::from_str::<Vec<String>>(value) {
        return list.iter().all(is_digest);
    }
    serde_json::from_str(value).is_ok_and(|text: String| is_digest(&text))
}

/// JSON as it is written, but for its texts and keys in which a digest stands.
fn without_digests(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let (before, text) = rest.split_at(start);
        let (text, after) = text.split_at(end_of_text(text));
        out.push_str(before);
        match cut(text) {
            Some(cut) => out.push_str(&cut),
            None => out.push_str(text),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The byte behind the text with which JSON begins.
fn end_of_text(json: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !is_escaped => return at + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    json.len()
}

/// A text of JSON with the beginnings of the digests in it; none where there are no digests.
fn cut(text: &str) -> Option<String> {
    if text.len() < DIGEST {
        return None;
    }
    let plain: String = serde_json::from_str(text).ok()?;
    let mut out = String::new();
    let (mut rest, mut is_cut) = (plain.as_str(), false);
    while !rest.is_empty() {
        let hex = rest.find(|c: char| !c.is_ascii_hexdigit());
        let (run, after) = rest.split_at(hex.unwrap_or(rest.len()));
        if let (true, Some(begin)) = (run.len() >= DIGEST, run.get(..SHOWN)) {
            out.push_str(begin);
            out.push('…');
            is_cut = true;
        } else {
            out.push_str(run);
        }
        let other = after.find(|c: char| c.is_ascii_hexdigit());
        let (between, next) = after.split_at(other.unwrap_or(after.len()));
        out.push_str(between);
        rest = next;
    }
    is_cut.then(|| serde_json::to_string(&out).unwrap_or_else(|_| MASK.to_owned()))
}

fn without_query(value: &str) -> String {
    let Ok(url) = serde_json::from_str::<Cow<'_, str>>(value) else {
        return MASK.to_owned();
    };
    match url.split_once(['?', '#']) {
        Some((page, _)) => {
            serde_json::to_string(&format!("{page}?[masked]")).unwrap_or_else(|_| MASK.to_owned())
        }
        None => value.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(event: &str) -> String {
        let event: &RawValue = serde_json::from_str(event).unwrap();
        masked(event).get().to_owned()
    }

    #[test]
    fn only_beginnings_of_digests_stay() {
        let digest = "0123456789abcdef".repeat(4);
        let upper = digest.to_uppercase();
        let escaped = digest.replace('a', "\\u0061");
        let event = format!(
            r#"{{"event_name":"Lead","event_id":"{digest}","event_source_url":"https://shop.example/{digest}?fbclid=Iw1#x","referrer_url":"https://a.example/","user_data":{{"em":["{digest}","{escaped}"],"ph":"{upper}.AQ","country":"{digest}","fbc":"fb.1.2.Iw1","client_ip_address":"203.0.113.7","lead_id":12345678901234567,"em2":["{digest}","x"]}},"custom_data":{{"value":1.10,"big":123456789012345678901234567890,"{digest}":[ "x\"{escaped}-1", "a" ]}}}}"#
        );
        assert_eq!(
            mask(&event),
            format!(
                r#"{{"event_name":"Lead","event_id":"{digest}","event_source_url":"https://shop.example/01234567…?[masked]","referrer_url":"https://a.example/","user_data":{{"em":["01234567…","01234567…"],"ph":"01234567….AQ","country":"01234567…","fbc":"[masked]","client_ip_address":"[masked]","lead_id":"[masked]","em2":"[masked]"}},"custom_data":{{"value":1.10,"big":123456789012345678901234567890,"01234567…":[ "x\"01234567…-1", "a" ]}}}}"#
            )
        );
        // what was cut off does no harm
        for end in (0..event.len()).filter(|end| event.is_char_boundary(*end)) {
            let _ = without_digests(&event[..end]);
        }
    }

    #[test]
    fn what_is_not_understood_is_hidden() {
        assert_eq!(mask("[1]"), MASK);
        assert_eq!(
            mask(r#"{"user_data":"jane"}"#),
            r#"{"user_data":"[masked]"}"#
        );
        assert_eq!(
            mask(r#"{"referrer_url":5}"#),
            r#"{"referrer_url":"[masked]"}"#
        );
    }
}
