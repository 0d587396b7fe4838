//! A request taken apart: request options, the caller's key, and events kept apart by index.
//!
//! A body is first read into its [`Members`], by the rules of its encoding: [`parse_json`],
//! [`parse_form`] (the query of an address is one, too), [`parse_multipart`]. What they mean is the
//! same in each: [`read`]. `data` may be an array of events, the same as JSON text, and each event
//! an object or its JSON text in a string.
//!
//! **Precedence.** A member may stand in the query and in the body, if it is the same in both; two
//! different values are refused, since either could be the wrong one. The key is the exception: that
//! of the header wins over that of the query, and that over the body's.

mod batch;
mod events;
mod form;
mod json;
mod multipart;
mod options;
mod parts;

use std::borrow::Cow;
use std::fmt;

use axum::http::HeaderValue;
use serde_json::value::RawValue;

use super::answer::Rejection;
use crate::codes::{self, Code};
use crate::event::Warning;
use crate::journal::RequestOptions;

pub use batch::{Batch, MAX_OPERATIONS, Operation, parse_batch};
pub use form::parse_form;
pub use json::parse_json;
pub use multipart::parse_multipart;
pub(super) use options::example;
pub use options::{MAX_OPTION, MAX_PLATFORMS};
use parts::Parts;

/// Members a request may have beside its events; far more than Graph knows.
pub const MAX_MEMBERS: usize = 64;

/// How a body is written, by its `Content-Type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JSON.
    Json,
    /// Nothing is said: JSON, or nothing at all.
    Unsaid,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`, with its boundary.
    Multipart(String),
    /// Something else: taken if it is a JSON object all the same.
    Other,
}

/// The members of a request as they were written, in order.
#[derive(Default)]
pub struct Members<'a> {
    list: Vec<(Cow<'a, str>, Value<'a>)>,
    /// The fields `data[0]`, `data[1]` and so on of a form.
    parts: Parts<'a>,
    /// Whether those came as `data={…}&data={…}`.
    repeated: bool,
}

/// What a member holds.
#[derive(Clone, PartialEq, Eq)]
enum Value<'a> {
    /// A string of JSON, a field of a form, or a parameter of a query.
    Text(Cow<'a, str>),
    /// Any other JSON value, as its text.
    Json(&'a str),
    /// The entries of an array that is `data`.
    Events(events::Listed<'a>),
}

/// A request that has been read. The events are still raw text, one slice each, so that a bad one
/// hides no other.
pub struct Parsed<'a> {
    /// The events' JSON texts, in order.
    pub events: Vec<Cow<'a, str>>,
    /// What applies to the whole request.
    pub options: RequestOptions,
    /// The member `access_token`.
    pub key: Option<&'a str>,
    /// Whether members were left out because Graph does not know them.
    pub unknown_members: bool,
    /// What is to be said about the members beside the events.
    pub warnings: Vec<Warning>,
}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Members({})", self.list.len())
    }
}

impl fmt::Debug for Parsed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parsed({} events)", self.events.len())
    }
}

impl Kind {
    /// The kind that the header `Content-Type` names.
    pub fn of(header: Option<&HeaderValue>) -> Result<Self, Rejection> {
        let Some(header) = header else {
            return Ok(Self::Unsaid);
        };
        let Ok(text) = header.to_str() else {
            return Ok(Self::Other);
        };
        let essence = text.split(';').next().unwrap_or_default();
        match essence.trim().to_ascii_lowercase().as_str() {
            "" | "application/json" | "text/plain" | "text/json" => Ok(Self::Json),
            "application/x-www-form-urlencoded" => Ok(Self::Form),
            "multipart/form-data" => multer::parse_boundary(text)
                .map(Self::Multipart)
                .map_err(|_| multipart::bad("its Content-Type names no boundary")),
            json if json.ends_with("+json") => Ok(Self::Json),
            _ => Ok(Self::Other),
        }
    }

    /// The members of a body of this kind. `max_events` is `ingest.max_events`.
    ///
    /// An object of JSON is taken as such whatever its type says: no form begins with a brace, and
    /// many a client sends JSON as a form.
    pub fn members<'a>(&self, body: &'a [u8], max_events: usize) -> Result<Members<'a>, Rejection> {
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        match self {
            Self::Unsaid if body.is_empty() => Ok(Members::default()),
            Self::Json | Self::Unsaid => parse_json(body, max_events),
            Self::Form | Self::Other if is_object => parse_json(body, max_events),
            Self::Form => parse_form(body, max_events),
            Self::Multipart(boundary) => parse_multipart(body, boundary, max_events),
            Self::Other => Err(Rejection::ContentType),
        }
    }
}

/// What the members of a query and those of a body mean together.
pub fn read<'a>(
    query: &'a Members<'_>,
    body: &'a Members<'_>,
    max_events: usize,
) -> Result<Parsed<'a>, Rejection> {
    let mut parsed = Parsed {
        events: Vec::new(),
        options: RequestOptions::default(),
        key: None,
        unknown_members: false,
        warnings: Vec::new(),
    };
    let mut known: [Option<&Value<'_>>; KNOWN.len()] = [None; KNOWN.len()];
    let of_query = query.list.iter().map(|member| (member, true));
    let of_body = body.list.iter().map(|member| (member, false));
    for ((name, value), is_query) in of_query.chain(of_body) {
        if let Some(at) = KNOWN.iter().position(|known| known == name) {
            let path = KNOWN[at];
            match known[at] {
                Some(other) if other == value || path == "access_token" => {}
                Some(_) => return Err(twice(path)),
                None => known[at] = Some(value),
            }
        } else if IGNORED.contains(&name.as_ref()) {
            options::check_ignored(name, value)?;
        } else {
            // an address may have picked anything up on its way
            parsed.unknown_members |= !is_query;
        }
    }
    let of = |name| {
        let at = KNOWN.iter().position(|known| *known == name)?;
        known[at]
    };
    parsed.key = options::key(of("access_token"))?;
    parsed.options = options::read(of)?;
    parsed
        .warnings
        .extend(options::check_agent(&mut parsed.options));
    parsed.events = match (of("data"), query.parts.is_empty(), body.parts.is_empty()) {
        (data, true, true) => events::read(data, max_events)?,
        (None, false, true) => query.parts.events()?,
        (None, true, false) => body.parts.events()?,
        _ => return Err(twice("data")),
    };
    Ok(parsed)
}

/// The members that mean something here.
const KNOWN: [&str; 11] = [
    "data",
    "access_token",
    "test_event_code",
    "partner_agent",
    "upload_tag",
    "upload_id",
    "upload_source",
    "namespace_id",
    "platforms",
    "progress",
    "trace",
];

/// Graph's parameters for any call, which say nothing about events. A proof is about the caller's
/// token, which is not the one that the gateway sends with; Meta's SDK for Node sends the pixel of the
/// path as `id`.
const IGNORED: [&str; 18] = [
    "appsecret_proof",
    "appsecret_time",
    "callback",
    "date_format",
    "debug",
    "fields",
    "format",
    "id",
    "include_headers",
    "locale",
    "metadata",
    "method",
    "pretty",
    "return_ssl_resources",
    "sdk",
    "summary",
    "suppress_http_code",
    "transport",
];

/// The members of a batch that may stand once.
const OF_BATCH: [&str; 2] = ["batch", "include_headers"];

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Whether a member beside `data` is an option of the request, which Graph is told.
#[must_use]
pub fn is_option(name: &str) -> bool {
    is_known(name) && KNOWN.contains(&name) && name != "access_token"
}

/// Whether a member beside `data` means anything to Graph.
#[must_use]
pub fn is_known(name: &str) -> bool {
    name != "data" && (KNOWN.contains(&name) || IGNORED.contains(&name))
}

fn fault(code: Code, path: &'static str, rule: impl Into<String>) -> Rejection {
    let rule = rule.into();
    Rejection::Body { code, path, rule }
}

fn twice(path: &'static str) -> Rejection {
    fault(
        codes::DUPLICATE_KEY,
        path,
        "it may stand once, in the query or in the body, or be the same in both",
    )
}

fn utf8(bytes: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        fault(
            codes::NOT_UTF8,
            "",
            format!("it must be UTF-8; byte {at} is not"),
        )
    })
}

impl<'a> Value<'a> {
    fn of_json(raw: &'a RawValue) -> Self {
        let text = raw.get();
        if text.starts_with('"')
            && let Ok(json::Text(text)) = serde_json::from_str(text)
        {
            return Self::Text(text);
        }
        // a string whose escapes mean nothing is none
        Self::Json(text)
    }

    /// The JSON that is here, or that the text here should be.
    fn json(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Json(text) => text,
            // `data` is not read like the others
            Self::Events(_) => "[]",
        }
    }
}

impl<'a> Members<'a> {
    /// The member `access_token`, if it is one that can be a key.
    pub fn key(&self) -> Option<&str> {
        match self.get("access_token")? {
            Value::Text(key) => Some(key),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&Value<'a>> {
        let found = self.list.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value)
    }

    /// Adds a field of a form; `max_events` is `ingest.max_events`.
    fn add(
        &mut self,
        name: Cow<'a, str>,
        text: Cow<'a, str>,
        max_events: usize,
    ) -> Result<(), Rejection> {
        if name.starts_with("data[") {
            if self.repeated {
                return Err(twice("data"));
            }
            return self.parts.add(&name, text, max_events);
        }
        if name == "data" && is_object(&text) && self.repeat()? {
            return self.parts.add("data[]", text, max_events);
        }
        if self.list.len() == MAX_MEMBERS {
            return Err(fault(
                codes::BAD_FORM,
                "",
                format!("at most {MAX_MEMBERS} fields beside data[0], data[1] and so on"),
            ));
        }
        // of what is not known any may stand twice
        let mut known = KNOWN.iter().chain(&OF_BATCH);
        if let Some(path) = known.find(|known| **known == name)
            && (self.list.iter().any(|(other, _)| *other == name)
                || self.repeated && name == "data")
        {
            return Err(twice(path));
        }
        self.list.push((name, Value::Text(text)));
        Ok(())
    }

    /// Whether another `data` with one event stood before: some clients write a list like that.
    /// That first one joins the events in fields of their own.
    fn repeat(&mut self) -> Result<bool, Rejection> {
        let is_event =
            |(name, value): &(Cow<'a, str>, Value<'a>)| name == "data" && is_object(value.json());
        if let Some(at) = self.list.iter().position(is_event) {
            if !self.parts.is_empty() {
                return Err(twice("data"));
            }
            if let (_, Value::Text(first)) = self.list.remove(at) {
                self.parts.add("data[]", first, usize::MAX)?;
            }
            self.repeated = true;
        }
        Ok(self.repeated)
    }
}

#[cfg(test)]
mod tests;
