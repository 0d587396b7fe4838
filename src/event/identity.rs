//! The `event_id` of an event that came without one.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::EventIdPolicy;
use crate::pixel::PixelId;

/// What makes an event the same when its request is repeated. Nothing here depends on when the
/// event arrived: not a time moved to our clock, not an `fbc` made on arrival. Nor does it depend on
/// what the request of a browser adds, unless the event itself says nothing about the person: then
/// two visitors of one page would otherwise have one event between them.
pub(super) struct Content<'c> {
    pub(super) pixel: PixelId,
    pub(super) event_name: &'c str,
    /// As the client sent it, in seconds.
    pub(super) event_time: i64,
    /// The hashed `user_data` as JSON.
    pub(super) user_data: &'c [u8],
    pub(super) custom_data: &'c [u8],
    pub(super) event_source_url: &'c [u8],
    /// What tells the visitor from others, where `user_data` does not.
    pub(super) person: Option<&'c str>,
}

/// The id for an event without one; `None` when the source wants none.
pub(super) fn make(policy: EventIdPolicy, content: &Content<'_>) -> Option<String> {
    match policy {
        EventIdPolicy::Derive => Some(derive(content).to_string()),
        EventIdPolicy::Random => Some(Uuid::new_v4().to_string()),
        EventIdPolicy::Leave => None,
    }
}

/// A UUIDv8 of the SHA-256 of the content, each part behind its length.
fn derive(content: &Content<'_>) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"capigate event id 1");
    hash.update(content.pixel.get().to_be_bytes());
    hash.update(content.event_time.to_be_bytes());
    for part in [
        content.event_name.as_bytes(),
        content.user_data,
        content.custom_data,
        content.event_source_url,
    ]
    .into_iter()
    .chain(content.person.map(str::as_bytes))
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    for (byte, digest) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = digest;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content<'static> {
        Content {
            pixel: PixelId::from_u64(1).unwrap(),
            event_name: "Lead",
            event_time: 5,
            user_data: b"{}",
            custom_data: b"ab",
            event_source_url: b"c",
            person: None,
        }
    }

    #[test]
    fn the_same_content_has_the_same_id() {
        let id = make(EventIdPolicy::Derive, &content()).unwrap();
        assert_eq!(make(EventIdPolicy::Derive, &content()).unwrap(), id);
        assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 8);
        // pinned: a release that changes it makes repeats across the update count twice
        assert_eq!(id, "c9f355b4-6ab5-833b-91a0-276352f5d3ee");
    }

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let base = derive(&content());
        let others = [
            Content {
                pixel: PixelId::from_u64(2).unwrap(),
                ..content()
            },
            Content {
                event_name: "Leads",
                ..content()
            },
            Content {
                event_time: 6,
                ..content()
            },
            Content {
                user_data: b"{ }",
                ..content()
            },
            Content {
                custom_data: b"a",
                event_source_url: b"bc",
                ..content()
            },
            Content {
                person: Some(""),
                ..content()
            },
        ];
        for other in &others {
            assert_ne!(derive(other), base);
        }
    }

    #[test]
    fn other_policies() {
        let random = make(EventIdPolicy::Random, &content());
        assert_ne!(random, make(EventIdPolicy::Random, &content()));
        assert_eq!(make(EventIdPolicy::Leave, &content()), None);
    }
}
