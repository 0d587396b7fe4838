//! Dead letters as they are shown.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::line::Stored;
use super::{LetterId, mask};
use crate::event::{Changes, EncodedEvent, FieldChange};
use crate::journal::envelope::{Class, RequestOptions};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// A dead letter in a list: all about it but the event itself. Moments are Unix milliseconds,
/// except `event_time`, which is in seconds as Meta has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its name.
    pub id: LetterId,
    /// Whose it is.
    pub pixel: PixelId,
    /// The class of its lane.
    pub class: &'static str,
    /// Why it was given up.
    pub reason: String,
    /// `event_name`.
    pub event_name: String,
    /// `event_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// `event_time`, in seconds.
    pub event_time: i64,
    /// `action_source`.
    pub action_source: String,
    /// When the gateway received it.
    #[serde(serialize_with = "ms")]
    pub received_at: UnixMs,
    /// When it was too late to send it.
    #[serde(serialize_with = "ms")]
    pub expires_at: UnixMs,
    /// When it was given up.
    #[serde(serialize_with = "ms")]
    pub dead_at: UnixMs,
    /// Graph's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Graph's error subcode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// Graph's error message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Graph's trace id, to ask Meta about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The options of its request.
    #[serde(skip_serializing_if = "RequestOptions::is_empty")]
    pub options: RequestOptions,
}

/// A part of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Page {
    /// In the order of their ids.
    pub letters: Vec<Letter>,
    /// After which id to go on; none when there is no more.
    pub next: Option<LetterId>,
}

/// How much of an event is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Nothing that could tell who it is about: of `user_data` the beginnings of digests only, and
    /// URLs without their query.
    #[default]
    Masked,
    /// As it is stored and would be sent.
    Clear,
}

/// A dead letter with its event.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// All about it.
    #[serde(flatten)]
    pub letter: Letter,
    /// The event as JSON.
    pub event: Box<RawValue>,
    /// Its number in the journal, where that was written down.
    #[serde(skip)]
    pub seq: Option<u64>,
    /// What became of its fields when it came in, where that was written down.
    #[serde(skip)]
    pub changes: Vec<FieldChange>,
}

/// How many letters a pixel has for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The pixel.
    pub pixel: PixelId,
    /// The reason.
    pub reason: String,
    /// How many.
    pub letters: u64,
}

/// A dead letter with what is needed to try it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub id: LetterId,
    /// Whose it is.
    pub pixel: PixelId,
    /// The options of its request.
    pub options: RequestOptions,
    /// Why it was given up.
    pub reason: String,
    /// When the gateway received it.
    pub received_at: UnixMs,
    /// When it was given up.
    pub dead_at: UnixMs,
    /// What became of its fields when it came in.
    pub changes: Changes,
    /// The hashed event as JSON.
    pub event: String,
}

impl From<&Stored<'_>> for Letter {
    fn from(stored: &Stored<'_>) -> Self {
        let json = stored.event.get().as_bytes();
        let head = EncodedEvent::head_of(json);
        let refusal = stored.refusal.as_ref();
        Self {
            id: stored.id,
            pixel: stored.pixel,
            class: Class::of_json(json).code(),
            reason: stored.reason.to_string(),
            event_name: head.event_name.into_owned(),
            event_id: head.event_id.map(Into::into),
            event_time: head.event_time,
            action_source: head.action_source.into_owned(),
            received_at: UnixMs(stored.received_at),
            expires_at: UnixMs(stored.expires_at),
            dead_at: UnixMs(stored.dead_at),
            code: refusal.map(|r| r.code),
            subcode: refusal.and_then(|r| r.subcode),
            message: refusal.and_then(|r| r.message.clone()),
            trace_id: refusal.and_then(|r| r.trace_id.clone()),
            options: stored.options.clone(),
        }
    }
}

impl Shown {
    pub(super) fn new(stored: &Stored<'_>, view: View) -> Self {
        Self {
            letter: stored.into(),
            seq: stored.seq,
            changes: stored.changes.fields(),
            event: match view {
                View::Masked => mask::masked(stored.event),
                View::Clear => stored.event.to_owned(),
            },
        }
    }
}

impl From<&Stored<'_>> for Kept {
    fn from(stored: &Stored<'_>) -> Self {
        Self {
            id: stored.id,
            pixel: stored.pixel,
            options: stored.options.clone(),
            reason: stored.reason.to_string(),
            received_at: UnixMs(stored.received_at),
            dead_at: UnixMs(stored.dead_at),
            changes: stored.changes.clone(),
            event: stored.event.get().to_owned(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn ms<S: Serializer>(moment: &UnixMs, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(moment.0)
}
