//! Finding an event again by what somebody knows of it.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use serde::Deserialize;

use super::ExternalId;
use super::digest::Sha256Hex;
use super::encoded::EncodedEvent;
use super::normalise::{Context, Named, contact, trim};
use crate::time::UnixMs;

/// Addresses of an event that it is found by.
const MAX_EMAILS: usize = 4;
const EM: &[u8] = b"\"em\":[\"";

/// What somebody knows of events that are kept as they go out. It holds no address, but the digest of
/// one, which `Debug` does not tell.
pub struct Wanted(By);

enum By {
    EventId(String),
    OrderId(String),
    Email(Sha256Hex),
}

/// What an event may be known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `event_id`.
    EventId,
    /// `custom_data.order_id`.
    OrderId,
    /// A digest of `user_data.em`.
    Email,
}

/// A text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address is one such as jane@example.com, and nothing beside it")]
pub struct EmailError;

impl Wanted {
    /// Of this `event_id`.
    pub fn event_id(id: &str) -> Self {
        Self(By::EventId(id.to_owned()))
    }

    /// Of this `custom_data.order_id`.
    pub fn order_id(id: &str) -> Self {
        Self(By::OrderId(trim(id).to_owned()))
    }

    /// Of this person: the address is normalised and hashed as that of an event is, and not kept.
    pub fn email(address: &str) -> Result<Self, EmailError> {
        let context = Context {
            now: UnixMs(0),
            default_country: None,
            named: Named::Nothing,
            external_id: ExternalId::Hash,
        };
        let mut buffer = String::new();
        let normal = contact::email(trim(address), &context, &mut buffer);
        let digest = normal.and_then(Sha256Hex::of).ok_or(EmailError)?;
        Ok(Self(By::Email(digest)))
    }

    /// What it is known by, and that: for an address, its digest.
    pub fn key(&self) -> (Key, &str) {
        match &self.0 {
            By::EventId(id) => (Key::EventId, id),
            By::OrderId(id) => (Key::OrderId, id),
            By::Email(digest) => (Key::Email, digest.as_str()),
        }
    }

    /// Its `event_id`, if that is what is known.
    pub fn as_event_id(&self) -> Option<&str> {
        match &self.0 {
            By::EventId(id) => Some(id),
            By::OrderId(_) | By::Email(_) => None,
        }
    }

    /// What stands in the JSON of every event that is wanted, and of few others.
    pub fn needle(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match &self.0 {
            By::EventId(id) => format!("\"event_id\":{}", quoted(id)),
            By::OrderId(id) => format!("\"order_id\":{}", quoted(id)),
            By::Email(digest) => quoted(digest.as_str()),
        }
    }

    /// Whether the JSON of an event is of one that is wanted.
    pub fn has(&self, json: &[u8]) -> bool {
        let event = || serde_json::from_slice::<Event<'_>>(json).unwrap_or_default();
        match &self.0 {
            By::EventId(id) => EncodedEvent::head_of(json).event_id.as_deref() == Some(id.as_str()),
            By::OrderId(id) => event().custom_data.order_id.as_deref() == Some(id.as_str()),
            By::Email(digest) => event()
                .user_data
                .em
                .iter()
                .any(|one| one == digest.as_str()),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    user_data: User<'a>,
    #[serde(borrow)]
    custom_data: Custom<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User<'a> {
    #[serde(borrow)]
    em: Vec<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Custom<'a> {
    #[serde(borrow)]
    order_id: Option<Cow<'a, str>>,
}

impl EncodedEvent {
    /// Gives what the event may be known by, beside its id: its `order_id`, and up to
    /// four digests of addresses. Reads no more of the event than it must.
    pub fn other_keys(&self, each: &mut dyn FnMut(Key, &str)) {
        let json = self.as_bytes();
        // a string's own quotes are escaped, so this is a member; `user_data` comes first, and its
        // values are flat
        if let Some(at) = memmem::find(json, EM) {
            let list = json.get(at + EM.len()..).unwrap_or_default();
            let end = memchr(b']', list).unwrap_or(0);
            let texts = list.get(..end).unwrap_or_default().split(|b| *b == b'"');
            for text in texts.step_by(2).take(MAX_EMAILS) {
                // without what Meta's Parameter Builder may have put behind it
                let digest = text.get(..64).and_then(|text| str::from_utf8(text).ok());
                if let Some(digest) = digest {
                    each(Key::Email, digest);
                }
            }
        }
        if memmem::find(json, b"\"order_id\":\"").is_some() {
            // it may be of another object
            let event = serde_json::from_slice::<Event<'_>>(json).unwrap_or_default();
            if let Some(id) = event.custom_data.order_id {
                each(Key::OrderId, &id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{RawEvent, Rules};

    #[test]
    fn an_event_is_found_by_what_went_into_it() {
        let json = r#"{"event_name":"Purchase","event_time":1795341558,"event_id":"a \"b\"",
            "action_source":"website","user_data":{"em":" Jane@Example.com "},
            "custom_data":{"value":1,"currency":"EUR","order_id":" o-1 "}}"#;
        let event = RawEvent::parse(json).unwrap();
        let now = UnixMs::from_secs(1_795_341_600);
        let event = event.hash("7".parse().unwrap(), &Rules::default(), now);
        let event = event.unwrap().encode().unwrap();
        let json = event.as_bytes();
        let found = |wanted: Wanted| {
            let text = std::str::from_utf8(json).unwrap();
            let (likely, is_it) = (text.contains(&wanted.needle()), wanted.has(json));
            assert!(likely || !is_it);
            is_it
        };
        assert!(found(Wanted::event_id("a \"b\"")));
        assert!(!found(Wanted::event_id("a")));
        assert!(found(Wanted::order_id("o-1 ")));
        assert!(!found(Wanted::order_id("o")));
        assert!(found(Wanted::email("jane@EXAMPLE.com").unwrap()));
        assert!(!found(Wanted::email("john@example.com").unwrap()));

        let mut keys = Vec::new();
        event.other_keys(&mut |key, text| keys.push((key, text.to_owned())));
        let jane = Wanted::email("jane@example.com").unwrap();
        let (key, digest) = jane.key();
        assert_eq!(
            keys,
            [(key, digest.to_owned()), (Key::OrderId, "o-1".to_owned())]
        );
        for wrong in ["", "jane", "jane@x", "jane@example.com and others"] {
            assert!(Wanted::email(wrong).is_err(), "{wrong}");
        }
    }
}
