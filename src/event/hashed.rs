//! An event with nothing personal left in clear that Meta wants hashed.

use std::borrow::Cow;
use std::fmt;

use super::changes::{Changes, Marks};
use super::encoded::EncodedEvent;
use super::json;
use super::match_keys::MatchKeys;
use super::reject::{EventError, Warning};
use super::source::ActionSource;
use crate::codes;
use crate::time::UnixMs;

/// An event that Meta is expected to take, with every personal value hashed. It borrows its name and
/// id from the raw one.
///
/// The only way to one is [`RawEvent::hash`](super::RawEvent::hash). `Debug` tells the name and the length only.
pub struct HashedEvent<'a> {
    pub(in crate::event) event_name: Cow<'a, str>,
    pub(in crate::event) event_time: i64,
    pub(in crate::event) event_id: Option<Cow<'a, str>>,
    pub(in crate::event) brought_id: bool,
    pub(in crate::event) match_keys: MatchKeys,
    pub(in crate::event) action_source: ActionSource,
    pub(in crate::event) expires_at: UnixMs,
    /// The JSON members behind the four above, without braces around them.
    pub(in crate::event) rest: Vec<u8>,
    pub(in crate::event) warnings: Vec<Warning>,
    pub(in crate::event) marks: Marks,
    pub(in crate::event) max_bytes: usize,
}

impl HashedEvent<'_> {
    /// `event_name` as it goes on the wire.
    pub fn event_name(&self) -> &str {
        &self.event_name
    }

    /// `event_id` as it goes on the wire: the client's, or ours; `None` when the source's policy
    /// is to leave it out.
    pub fn event_id(&self) -> Option<&str> {
        self.event_id.as_deref()
    }

    /// The same event under another id: that of the event it is a copy of.
    #[must_use]
    pub fn with_event_id(mut self, event_id: Option<String>) -> Self {
        self.event_id = event_id.map(Cow::Owned);
        self
    }

    /// Whether `event_id` is the client's.
    pub fn brought_id(&self) -> bool {
        self.brought_id
    }

    /// The fields of its `user_data`.
    pub fn match_keys(&self) -> MatchKeys {
        self.match_keys
    }

    /// `event_time` as it goes on the wire, in Unix seconds.
    pub fn event_time(&self) -> i64 {
        self.event_time
    }

    /// Where the event happened.
    pub fn action_source(&self) -> ActionSource {
        self.action_source
    }

    /// When it is too late to send the event: 6 hours before Meta's window ends, so 6 d 18 h after
    /// `event_time`, or 61 d 18 h from a physical store; a minute before its end for an event that
    /// arrives within these 6 hours.
    pub fn expires_at(&self) -> UnixMs {
        self.expires_at
    }

    /// What the sender should know about the event, though it was taken.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The event as the JSON text that is stored and sent; refused when it is larger than the
    /// source's bound.
    pub fn encode(&self) -> Result<EncodedEvent, EventError> {
        let mut digits = itoa::Buffer::new();
        let (time, source) = (digits.format(self.event_time), self.action_source.as_str());
        let id = self.event_id.as_deref();
        let exact = r#"{"event_name":"","event_time":,"action_source":"",}"#.len()
            + self.event_name.len()
            + time.len()
            + id.map_or(0, |id| r#","event_id":"""#.len() + id.len())
            + source.len()
            + self.rest.len();
        // as much as is needed where nothing is escaped, so that nothing is wasted while it waits
        let mut out = Vec::with_capacity(exact);
        out.extend_from_slice(br#"{"event_name":"#);
        json::write_text(&mut out, &self.event_name);
        out.extend_from_slice(br#","event_time":"#);
        out.extend_from_slice(time.as_bytes());
        if let Some(id) = id {
            out.extend_from_slice(br#","event_id":"#);
            json::write_text(&mut out, id);
        }
        out.extend_from_slice(br#","action_source":""#);
        out.extend_from_slice(source.as_bytes());
        out.extend_from_slice(b"\",");
        out.extend_from_slice(&self.rest);
        out.push(b'}');
        if out.len() > self.max_bytes {
            return Err(EventError::new(
                codes::TOO_LARGE,
                "",
                "is larger than the source's max_event_bytes once encoded",
                "{\"event_name\":\"Lead\"}",
            ));
        }
        Ok(EncodedEvent::new(out, Changes::of(&self.marks)))
    }
}

impl fmt::Debug for HashedEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashedEvent({} bytes)", self.rest.len())
    }
}
