//! The exact JSON bytes of one hashed event, as they go to the journal and on the wire.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::changes::Changes;

/// The JSON text of one hashed event: what the journal stores and what Graph receives.
///
/// It is made from a `HashedEvent`, or read back from a record of the journal whose checksum
/// holds; there is no other way, so raw personal data cannot get into one.
///
/// It knows what became of its fields on the way. Two are the same when their JSON is.
#[derive(Clone)]
pub struct EncodedEvent {
    json: Bytes,
    changes: Changes,
}

impl PartialEq for EncodedEvent {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for EncodedEvent {}

impl EncodedEvent {
    /// From the encoder of this room.
    pub(in crate::event) fn new(json: Vec<u8>, changes: Changes) -> Self {
        let json = json.into();
        Self { json, changes }
    }

    /// From a record of the journal whose checksum holds.
    pub(crate) fn from_record(json: Bytes) -> Self {
        let changes = Changes::default();
        Self { json, changes }
    }

    /// The same, with what became of its fields.
    #[must_use]
    pub(crate) fn with_changes(self, changes: Changes) -> Self {
        Self { changes, ..self }
    }

    /// What became of its fields, as far as that is known.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.json
    }

    /// The members that the encoder writes first.
    pub fn head(&self) -> Head<'_> {
        Self::head_of(&self.json)
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
        Self::read_plain(json).unwrap_or_else(|| Self::read_any(json))
    }

    /// Of an event in whose head nothing is escaped, as nearly all are: without a parser.
    fn read_plain(json: &'a [u8]) -> Option<Self> {
        let mut rest = json;
        let event_name = plain_text(&mut rest, "{\"event_name\":\"")?;
        rest = rest.strip_prefix(b",\"event_time\":")?;
        let end = rest.iter().position(|b| !b.is_ascii_digit())?;
        let (digits, after) = rest.split_at_checked(end)?;
        rest = after;
        let no_zero = digits.first().is_some_and(|first| *first != b'0');
        let event_time = str::from_utf8(digits)
            .ok()?
            .parse()
            .ok()
            .filter(|_| no_zero)?;
        let event_id = if rest.starts_with(b",\"event_id\":") {
            Some(plain_text(&mut rest, ",\"event_id\":\"")?)
        } else {
            None
        };
        Some(Self {
            event_name,
            event_time,
            event_id,
            action_source: plain_text(&mut rest, ",\"action_source\":\"")?,
        })
    }

    fn read_any(json: &'a [u8]) -> Self {
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

/// The text behind `key` and its opening quote at the start of `rest`, which then begins behind the
/// closing one; `None` when it has escapes or is no JSON.
fn plain_text<'a>(rest: &mut &'a [u8], key: &str) -> Option<Cow<'a, str>> {
    let value = rest.strip_prefix(key.as_bytes())?;
    let end = memchr::memchr2(b'"', b'\\', value)?;
    let (text, after) = value.split_at_checked(end)?;
    *rest = after.strip_prefix(b"\"")?;
    let text = str::from_utf8(text).ok()?;
    let is_plain = text.bytes().all(|b| b >= b' ');
    is_plain.then_some(Cow::Borrowed(text))
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
        write!(f, "EncodedEvent({} bytes)", self.json.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_plain_head_is_what_the_parser_reads(
            name in "[a-zA-Z é\"\\\\]{0,6}",
            time in "-?[0-9]{1,20}(\\.5|e1)?",
            id in proptest::option::of("[a-z0-9\u{1}é-]{0,6}"),
            source in "(web|app)\"?",
            cut in 0..80_usize,
        ) {
            let id = id.map_or(String::new(), |id| format!(",\"event_id\":\"{id}\""));
            let json = format!(
                "{{\"event_name\":\"{name}\",\"event_time\":{time}{id},\"action_source\":\"{source}\",\"x\":1}}"
            );
            for json in [json.as_bytes(), json.as_bytes().get(..cut).unwrap_or_default()] {
                if let Some(plain) = Head::read_plain(json) {
                    prop_assert_eq!(plain, Head::read_any(json));
                }
            }
        }
    }

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
