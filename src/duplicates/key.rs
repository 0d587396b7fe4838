//! What an event is told apart by.

use sha2::{Digest, Sha256};

use crate::event::EncodedEvent;
use crate::journal::{Class, LaneKey};

/// The first half of the SHA-256 of pixel, `event_name` and `event_id`, and of the test code.
///
/// A copy that goes to the test tool must be told apart from its event, which goes without a code.
/// Meta counts one of the two, but for `business_messaging`: there a code makes no other event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) [u8; Self::BYTES]);

impl Key {
    pub(super) const BYTES: usize = 16;

    /// None for an event without `event_id`.
    pub(super) fn of(lane: &LaneKey, event: &EncodedEvent) -> Option<Self> {
        Self::of_json(lane, event.as_bytes())
    }

    /// The same of bytes that are still part of a record.
    pub(super) fn of_json(lane: &LaneKey, json: &[u8]) -> Option<Self> {
        let head = EncodedEvent::head_of(json);
        let id = head.event_id.as_deref()?;
        let mut hash = Sha256::new();
        hash.update(lane.pixel.get().to_be_bytes());
        // the length keeps the end of the name and the start of the id apart
        hash.update((head.event_name.len() as u64).to_be_bytes());
        hash.update(head.event_name.as_bytes());
        hash.update(id.as_bytes());
        if lane.class != Class::BusinessMessaging
            && let Some(code) = &lane.options.test_event_code
        {
            // no id ends so: JSON in UTF-8 has no such byte
            hash.update([0xff]);
            hash.update(code.as_bytes());
        }
        let mut key = [0; Self::BYTES];
        for (byte, from) in key.iter_mut().zip(hash.finalize()) {
            *byte = from;
        }
        Some(Self(key))
    }
}
