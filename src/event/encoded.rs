//! The exact JSON bytes of one hashed event, as they go to the journal and on the wire.

use std::fmt;

use bytes::Bytes;

/// The JSON text of one hashed event: what the journal stores and what Graph receives.
///
/// It is made from a `HashedEvent`, or read back from a record of the journal whose checksum
/// holds; there is no other way, so raw personal data cannot get into one.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedEvent(Bytes);

impl EncodedEvent {
    /// From the encoder of this room.
    pub(in crate::event) fn new(json: Vec<u8>) -> Self {
        Self(json.into())
    }

    /// From a record of the journal whose checksum holds.
    pub(crate) fn from_record(json: Bytes) -> Self {
        Self(json)
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for EncodedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedEvent({} bytes)", self.0.len())
    }
}
