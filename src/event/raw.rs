//! An event as the client sent it.

use std::borrow::Cow;
use std::fmt;

use super::build::build;
use super::hashed::HashedEvent;
use super::json::{self, Member, Part, Shape};
use super::look::Look;
use super::pii::Pii;
use super::reject::EventError;
use super::visit::Visit;
use super::work::malformed;
use super::{MAX_RAW_BYTES, Rules, user_data};
use crate::codes;
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// An event as the client sent it: read, but neither checked nor hashed.
///
/// It borrows the request's body. It cannot be stored: there is no `Serialize`, and `Debug` tells
/// the length only.
///
/// ```compile_fail
/// let event = capigate::event::RawEvent::parse("{}").unwrap();
/// serde_json::to_string(&event).unwrap();
/// ```
pub struct RawEvent<'a> {
    pub(super) bytes: usize,
    pub(super) event_name: Option<&'a str>,
    pub(super) event_time: Option<&'a str>,
    pub(super) event_id: Option<&'a str>,
    pub(super) action_source: Option<&'a str>,
    pub(super) event_source_url: Option<&'a str>,
    pub(super) referrer_url: Option<&'a str>,
    pub(super) opt_out: Option<&'a str>,
    pub(super) messaging_channel: Option<&'a str>,
    pub(super) data_processing_options: Option<&'a str>,
    pub(super) data_processing_options_country: Option<&'a str>,
    pub(super) data_processing_options_state: Option<&'a str>,
    pub(super) user_data: Option<Vec<(Cow<'a, str>, Pii<'a>)>>,
    pub(super) custom_data: Option<Vec<Member<'a>>>,
    pub(super) app_data: Option<Vec<Member<'a>>>,
    /// Everything else, in order.
    pub(super) other: Vec<Member<'a>>,
}

impl<'a> RawEvent<'a> {
    /// Reads the JSON text of one event.
    ///
    /// Refuses what is no JSON object, is longer than [`MAX_RAW_BYTES`], nests deeper than
    /// [`MAX_DEPTH`](super::MAX_DEPTH), or has a key twice. An empty list stands for an empty object, because that
    /// is how PHP writes one.
    pub fn parse(json: &'a str) -> Result<Self, EventError> {
        if json.len() > MAX_RAW_BYTES {
            return Err(EventError::new(
                codes::TOO_LARGE,
                "",
                "must be at most 1 MiB as received",
                "{\"event_name\":\"Lead\"}",
            ));
        }
        if !json::is_shallow(json) {
            return Err(EventError::new(
                codes::TOO_DEEP,
                "",
                "lists and objects must nest at most 32 deep",
                "{\"custom_data\":{\"contents\":[{\"id\":\"sku-1\"}]}}",
            ));
        }
        let json = json.trim_matches([' ', '\t', '\r', '\n']);
        if json::shape(json) != Shape::Object {
            return Err(malformed(
                "",
                "must be a JSON object",
                "{\"event_name\":\"Lead\"}",
            ));
        }
        let mut event = Self {
            bytes: json.len(),
            event_name: None,
            event_time: None,
            event_id: None,
            action_source: None,
            event_source_url: None,
            referrer_url: None,
            opt_out: None,
            messaging_channel: None,
            data_processing_options: None,
            data_processing_options_country: None,
            data_processing_options_state: None,
            user_data: None,
            custom_data: None,
            app_data: None,
            other: Vec::new(),
        };
        let parts = json::outline(json, &["user_data", "custom_data", "app_data"])
            .map_err(|(path, flaw)| flaw.at(path))?;
        for (key, part) in parts {
            match part {
                Part::Raw(raw) => event.put(key, raw),
                Part::Section(members) => event.put_section(&key, members),
                Part::Nothing => {}
                Part::NoObject => {
                    return Err(malformed(
                        key.into_owned(),
                        "must be an object",
                        "{\"external_id\":\"customer-1\"}",
                    ));
                }
            }
        }
        Ok(event)
    }

    fn put_section(&mut self, key: &str, members: Vec<Member<'a>>) {
        match key {
            "user_data" => {
                let guarded = members.into_iter().map(|(key, raw)| (key, Pii::new(raw)));
                self.user_data = Some(guarded.collect());
            }
            "custom_data" => self.custom_data = Some(members),
            _ => self.app_data = Some(members),
        }
    }

    fn put(&mut self, key: Cow<'a, str>, raw: &'a str) {
        let slot = match key.as_ref() {
            "event_name" => &mut self.event_name,
            "event_time" => &mut self.event_time,
            "event_id" => &mut self.event_id,
            "action_source" => &mut self.action_source,
            "event_source_url" => &mut self.event_source_url,
            "referrer_url" => &mut self.referrer_url,
            "opt_out" => &mut self.opt_out,
            "messaging_channel" => &mut self.messaging_channel,
            "data_processing_options" => &mut self.data_processing_options,
            "data_processing_options_country" => &mut self.data_processing_options_country,
            "data_processing_options_state" => &mut self.data_processing_options_state,
            _ => {
                self.other.push((key, raw));
                return;
            }
        };
        *slot = Some(raw);
    }

    /// What a person may see of its `user_data`, and what becomes of it under these rules.
    pub fn look(&self, rules: &Rules, now: UnixMs) -> Vec<Look> {
        let members = self.user_data.as_deref().unwrap_or_default();
        user_data::look(members, rules, now)
    }

    /// Checks the event, hashes what is personal, and lets go of the rest.
    ///
    /// `now` is the moment of arrival. The event is checked against everything that Meta is known
    /// to refuse; what Meta documents but does not enforce becomes a warning.
    pub fn hash(
        self,
        pixel: PixelId,
        rules: &Rules,
        now: UnixMs,
    ) -> Result<HashedEvent, EventError> {
        build(&self, pixel, rules, now, None)
    }

    /// The same for an event that came from a browser: it gets what it lacks of what the request
    /// tells about the person (`fbc`, `fbp`, address, user agent), and may have no `user_data` of
    /// its own. Events of apps, stores and messages get nothing: nobody browsed there.
    pub fn hash_visit(
        self,
        pixel: PixelId,
        rules: &Rules,
        now: UnixMs,
        visit: &Visit,
    ) -> Result<HashedEvent, EventError> {
        build(&self, pixel, rules, now, Some(visit))
    }
}

impl fmt::Debug for RawEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawEvent({} bytes)", self.bytes)
    }
}
