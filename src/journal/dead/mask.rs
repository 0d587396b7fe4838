//! Hides who an event is about.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What stands for a hidden value.
const MASK: &str = "\"[masked]\"";

/// The event without what tells in clear who it is about: of `user_data` only SHA-256 digests are
/// left, whatever the key, and of URLs what stands before the query, which may hold a click id.
pub fn masked(event: &RawValue) -> Box<RawValue> {
    let text = serde_json::from_str(event.get()).map(|members| {
        object(&members, |key, value| match key {
            "user_data" => match serde_json::from_str(value) {
                Ok(fields) => object(&fields, |_, value| {
                    if is_digests(value) { value } else { MASK }.to_owned()
                }),
                Err(_) => MASK.to_owned(),
            },
            "event_source_url" | "referrer_url" => without_query(value),
            _ => value.to_owned(),
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

/// Whether a value is a digest or a list of digests.
fn is_digests(value: &str) -> bool {
    let is_digest = |text: &String| {
        text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    if let Ok(list) = serde_json::from_str::<Vec<String>>(value) {
        return list.iter().all(is_digest);
    }
    serde_json::from_str(value).is_ok_and(|text: String| is_digest(&text))
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
    fn only_digests_stay_of_user_data() {
        let digest = "0123456789abcdef".repeat(4);
        let event = format!(
            r#"{{"event_name":"Lead","event_source_url":"https://shop.example/a?fbclid=Iw1#x","referrer_url":"https://a.example/","user_data":{{"em":["{digest}"],"country":"{digest}","fbc":"fb.1.2.Iw1","client_ip_address":"203.0.113.7","lead_id":12345678901234567,"em2":["{digest}","x"]}},"custom_data":{{"value":1.10,"big":123456789012345678901234567890}}}}"#
        );
        assert_eq!(
            mask(&event),
            format!(
                r#"{{"event_name":"Lead","event_source_url":"https://shop.example/a?[masked]","referrer_url":"https://a.example/","user_data":{{"em":["{digest}"],"country":"{digest}","fbc":"[masked]","client_ip_address":"[masked]","lead_id":"[masked]","em2":"[masked]"}},"custom_data":{{"value":1.10,"big":123456789012345678901234567890}}}}"#
            )
        );
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
