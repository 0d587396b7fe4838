//! The exact JSON bytes of one hashed event, as they go to the journal and on the wire.

use std::borrow::Cow;
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

    /// The members that the encoder writes first.
    pub fn head(&self) -> Head<'_> {
        Self::head_of(&self.0)
    }

    /// As [`EncodedEvent::head`], of bytes that are still part of a record.
    pub(crate) fn head_of(json: &[u8]) -> Head<'_> {
        Head::read(json)
    }
}

/// What an event is told apart by: the first members of its JSON, read without the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// `event_name`; empty when the JSON does not begin as our encoder begins it.
    pub event_name: Cow<'a, str>,
    /// `event_time`, in Unix seconds.
    pub event_time: i64,
    /// `event_id`; none when the source's policy leaves it out.
    pub event_id: Option<Cow<'a, str>>,
    /// `action_source`.
    pub action_source: Cow<'a, str>,
}

impl<'a> Head<'a> {
    fn read(json: &'a [u8]) -> Self {
        let mut head = Self::default();
        let mut rest = json;
        if let Some(Text(name)) = member(&mut rest, "{\"event_name\":") {
            head.event_name = name;
        }
        if let Some(time) = member(&mut rest, ",\"event_time\":") {
            head.event_time = time;
        }
        if let Some(Text(id)) = member(&mut rest, ",\"event_id\":") {
            head.event_id = Some(id);
        }
        if let Some(Text(source)) = member(&mut rest, ",\"action_source\":") {
            head.action_source = source;
        }
        head
    }
}

/// A text that is borrowed unless it holds escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The value behind `key` at the start of `rest`, which then begins behind the value.
fn member<'a, T: serde::Deserialize<'a>>(rest: &mut &'a [u8], key: &str) -> Option<T> {
    let value = rest.strip_prefix(key.as_bytes())?;
    let mut values = serde_json::Deserializer::from_slice(value).into_iter();
    let read = values.next()?.ok()?;
    *rest = value.get(values.byte_offset()..)?;
    Some(read)
}

impl fmt::Debug for EncodedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedEvent({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_read_without_the_rest() {
        let json = br#"{"event_name":"Buy \"it\"","event_time":1795341558,"event_id":"a-1","action_source":"website","user_data":{"#;
        let head = EncodedEvent::head_of(json);
        assert_eq!(head.event_name, "Buy \"it\"");
        assert_eq!(head.event_time, 1_795_341_558);
        assert_eq!(head.event_id.as_deref(), Some("a-1"));
        assert_eq!(head.action_source, "website");

        let json = br#"{"event_name":"Lead","event_time":1,"action_source":"app","x":1}"#;
        let head = EncodedEvent::head_of(json);
        assert_eq!(head.event_id, None);
        assert_eq!(head.action_source, "app");
        assert_eq!(EncodedEvent::head_of(b"{}"), Head::default());
        assert_eq!(EncodedEvent::head_of(b""), Head::default());
    }
}
