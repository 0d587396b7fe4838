//! An encoded event and what is needed to send it.
//!
//! There is no field here for a token or a raw personal value; the request options are texts of
//! the caller, held at the door to what an e-mail address cannot be written in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::extras;
use crate::event::EncodedEvent;
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// The members of a request, beside its events, that Graph is to receive again.
///
/// Events with different options never share a batch, so they are part of the lane's key.
/// A record stores them as their JSON object; the empty options take no bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestOptions {
    /// Shows the events under this code in Meta's test tool, too; they count all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_event_code: Option<String>,
    /// The partner platform that sends for the advertiser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_agent: Option<String>,
    /// The name of an upload of offline events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_tag: Option<String>,
    /// The id of an upload of offline events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// Where an upload of offline events comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_source: Option<String>,
    /// The scope in which the caller's own ids are unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// The software that the events came through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// Which events of a longer upload these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// A number of the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<u32>,
}

/// Software that events came through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// What it is called.
    pub name: String,
    /// What kind it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Places in an upload, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// The first of them.
    pub start_inclusive: i64,
    /// The one after the last.
    pub end_exclusive: i64,
}

impl RequestOptions {
    /// Whether no option is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The bytes a record keeps.
    pub(crate) fn to_stored(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From the bytes a record keeps.
    pub(crate) fn from_stored(bytes: &[u8]) -> Option<Self> {
        if extras::has_no_options(bytes) {
            return Some(Self::default());
        }
        serde_json::from_slice(bytes).ok()
    }
}

/// What events must share to travel in one batch: the pixel and the request's options.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// The pixel.
    pub pixel: PixelId,
    /// The options of the request.
    pub options: Arc<RequestOptions>,
    /// What kind of events.
    pub class: Class,
}

/// Events that Meta checks by different rules travel apart, so that those with the strictest
/// rules do not sink the batches of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Every `action_source` that is not named below.
    #[default]
    Rest,
    /// `app`.
    App,
    /// `physical_store`.
    PhysicalStore,
    /// `business_messaging`: Meta drops no duplicates of these.
    BusinessMessaging,
}

impl Class {
    /// The class of an event, from its `action_source`.
    pub fn of(event: &EncodedEvent) -> Self {
        Self::of_json(event.as_bytes())
    }

    /// The same of bytes that are still part of a record.
    pub(crate) fn of_json(json: &[u8]) -> Self {
        match &*EncodedEvent::head_of(json).action_source {
            "app" => Self::App,
            "physical_store" => Self::PhysicalStore,
            "business_messaging" => Self::BusinessMessaging,
            _ => Self::Rest,
        }
    }

    /// The stable word for logs and listings.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::App => "app",
            Self::PhysicalStore => "physical_store",
            Self::BusinessMessaging => "business_messaging",
        }
    }
}

impl LaneKey {
    /// The lane of `pixel` for requests without options and events of the class `rest`.
    pub fn plain(pixel: PixelId) -> Self {
        Self {
            pixel,
            options: Arc::default(),
            class: Class::Rest,
        }
    }

    /// The lane of `event`.
    pub fn of(pixel: PixelId, options: Arc<RequestOptions>, event: &EncodedEvent) -> Self {
        Self {
            pixel,
            options,
            class: Class::of(event),
        }
    }
}

/// One event on its way into the journal.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Where it belongs.
    pub lane: LaneKey,
    /// The hashed event as JSON.
    pub event: EncodedEvent,
    /// When the gateway received it.
    pub received_at: UnixMs,
    /// From when on Meta would refuse it for its age.
    pub expires_at: UnixMs,
}

#[cfg(test)]
impl Envelope {
    /// For the tests of rooms that may not make events.
    pub(crate) fn sample(pixel: u64, json: &'static str) -> Self {
        Self {
            lane: LaneKey::plain(PixelId::from_u64(pixel).unwrap()),
            event: EncodedEvent::from_record(json.into()),
            received_at: UnixMs(1),
            expires_at: UnixMs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_take_no_bytes_when_empty_and_come_back_when_not() {
        assert!(RequestOptions::default().to_stored().is_empty());
        let some = RequestOptions {
            test_event_code: Some("TEST1".to_owned()),
            upload_tag: Some("store".to_owned()),
            ..RequestOptions::default()
        };
        let stored = some.to_stored();
        assert_eq!(
            stored,
            br#"{"test_event_code":"TEST1","upload_tag":"store"}"#
        );
        assert_eq!(RequestOptions::from_stored(&stored), Some(some));
        assert_eq!(RequestOptions::from_stored(b"{"), None);
    }

    #[test]
    fn options_are_stored_as_graph_takes_them() {
        let stored = br#"{"platforms":[{"name":"shopsoft","type":"ecommerce","version":"2.1"},{"name":"a","type":"b"}],"progress":{"start_inclusive":0,"end_exclusive":100},"trace":7}"#;
        let options = RequestOptions::from_stored(stored).unwrap();
        assert_eq!(options.platforms.len(), 2);
        assert_eq!(options.to_stored(), stored);
        // a record of a later version
        let later = RequestOptions::from_stored(br#"{"trace":7,"new":[1]}"#).unwrap();
        assert_eq!(later.trace, Some(7));
    }
}
