//! An event as the client sent it.

use std::borrow::Cow;
use std::fmt;

use super::build::{build, label};
use super::hashed::HashedEvent;
use super::json::{self, Member, Part, Shape};
use super::look::Look;
use super::pii::Pii;
use super::policy::{Path, Section};
use super::reject::EventError;
use super::visit::Visit;
use super::work::malformed;
use super::{MAX_RAW_BYTES, Rules, field, user_data};
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
#[derive(Clone)]
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

/// What an event is called where it is not sent: without personal values, as it would go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// `event_name`; empty where it has none.
    pub event_name: String,
    /// `event_id`, if the client gave one.
    pub event_id: Option<String>,
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
                    let example = match key.as_ref() {
                        "custom_data" => "{\"value\":129.9,\"currency\":\"EUR\"}",
                        "app_data" => "{\"advertiser_tracking_enabled\":1}",
                        _ => "{\"external_id\":\"customer-1\"}",
                    };
                    return Err(malformed(key.into_owned(), "must be an object", example));
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
        match self.slot(&key) {
            Some(slot) => *slot = Some(raw),
            // no key comes twice
            None => self.other.push((key, raw)),
        }
    }

    /// The place of a member that has one of its own.
    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
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
            _ => return None,
        })
    }

    /// Takes a member out; gives its raw text, or none where it is absent. A field of `user_data`
    /// goes under all its names.
    pub(super) fn take(&mut self, path: &Path) -> Option<&'a str> {
        let name = path.name();
        match path.section() {
            Section::Event => match self.slot(name) {
                Some(slot) => slot.take(),
                None => take(&mut self.other, name),
            },
            Section::UserData => take_field(self.user_data.as_mut()?, name).map(Pii::open),
            Section::CustomData => take(self.custom_data.as_mut()?, name),
            Section::AppData => take(self.app_data.as_mut()?, name),
        }
    }

    /// The raw text of a member; none where it is absent or null. A field of `user_data` is found
    /// under all its names; its own comes first.
    pub(super) fn get(&self, path: &Path) -> Option<&'a str> {
        let name = path.name();
        let raw = match path.section() {
            Section::Event => match name {
                "event_name" => self.event_name,
                "event_time" => self.event_time,
                "event_id" => self.event_id,
                "action_source" => self.action_source,
                "event_source_url" => self.event_source_url,
                "referrer_url" => self.referrer_url,
                "opt_out" => self.opt_out,
                "messaging_channel" => self.messaging_channel,
                "data_processing_options" => self.data_processing_options,
                "data_processing_options_country" => self.data_processing_options_country,
                "data_processing_options_state" => self.data_processing_options_state,
                _ => find(&self.other, name),
            },
            Section::UserData => find_field(self.user_data.as_deref()?, name).map(Pii::open),
            Section::CustomData => find(self.custom_data.as_deref()?, name),
            Section::AppData => find(self.app_data.as_deref()?, name),
        };
        raw.filter(|raw| json::shape(raw) != Shape::Null)
    }

    /// Puts a member in, in the place of one of the same name, or of the same field.
    pub(super) fn set(&mut self, path: &'a Path, raw: &'a str) {
        let name = Cow::Borrowed(path.name());
        match path.section() {
            Section::Event => match self.slot(&name) {
                Some(slot) => *slot = Some(raw),
                None => put(&mut self.other, name, raw),
            },
            Section::UserData => {
                let members = self.user_data.get_or_insert_default();
                take_field(members, &name);
                members.push((name, Pii::new(raw)));
            }
            Section::CustomData => put(self.custom_data.get_or_insert_default(), name, raw),
            Section::AppData => put(self.app_data.get_or_insert_default(), name, raw),
        }
    }

    /// What the event is called.
    pub fn label(&self, rules: &Rules) -> Label {
        label(self, rules)
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
    ) -> Result<HashedEvent<'a>, EventError> {
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
    ) -> Result<HashedEvent<'a>, EventError> {
        build(&self, pixel, rules, now, Some(visit))
    }
}

fn find<T: Copy>(members: &[(Cow<'_, str>, T)], name: &str) -> Option<T> {
    let found = members.iter().find(|(key, _)| json::same(key, name));
    found.map(|(_, value)| *value)
}

fn take<T>(members: &mut Vec<(Cow<'_, str>, T)>, name: &str) -> Option<T> {
    let at = members.iter().position(|(key, _)| json::same(key, name))?;
    Some(members.remove(at).1)
}

/// Whether both names are read as one field; names of no field must be the same.
fn is_field(key: &str, name: &str) -> bool {
    json::same(key, name) || field::read(name).is_some_and(|index| field::read(key) == Some(index))
}

fn find_field<'a>(members: &[(Cow<'_, str>, Pii<'a>)], name: &str) -> Option<Pii<'a>> {
    let is_there = |value: &Pii<'_>| json::shape(value.open()) != Shape::Null;
    let own = field::read(name).and_then(field::at);
    let own = own.and_then(|field| find(members, field.key));
    own.filter(is_there).or_else(|| {
        let mut named = members.iter().filter(|(key, _)| is_field(key, name));
        named.find_map(|(_, value)| Some(*value).filter(is_there))
    })
}

fn take_field<'a>(members: &mut Vec<(Cow<'_, str>, Pii<'a>)>, name: &str) -> Option<Pii<'a>> {
    let at = members.iter().position(|(key, _)| is_field(key, name))?;
    let first = members.remove(at).1;
    members.retain(|(key, _)| !is_field(key, name));
    Some(first)
}

fn put<'a, T>(members: &mut Vec<(Cow<'a, str>, T)>, name: Cow<'a, str>, value: T) {
    match members.iter_mut().find(|(key, _)| json::same(key, &name)) {
        Some((_, old)) => *old = value,
        None => members.push((name, value)),
    }
}

impl fmt::Debug for RawEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawEvent({} bytes)", self.bytes)
    }
}
