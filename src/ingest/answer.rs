//! Answers in Graph's shape, and every refusal with its status, code and advice.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::events::Filtered;
use super::{encoding, request};
use crate::codes::{self, Code, Docs};
use crate::event::{EventError, Label, MatchKeys, Money, Warning};
use crate::journal::{self, AppendError};
use crate::pixel::PixelId;

/// The most `messages` in one answer, the last of which then says how many were left out, and the
/// most `warnings`.
pub const MAX_MESSAGES: usize = 100;

/// The methods that the paths of the front door have.
pub(super) const METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, POST");

const UNKNOWN_MEMBERS: &str = "members beside data that Graph does not know were left out";

/// The bounds of the front door, by their one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `ingest.max_body`: bytes of one body, also after decompression.
    MaxBody,
    /// `ingest.max_in_flight`: bytes of all bodies held at once.
    MaxInFlight,
    /// `ingest.max_events`: events in a request.
    MaxEvents,
    /// `ingest.body_timeout`: time for a body to arrive.
    BodyTimeout,
    /// `sources.rate`: events a second from one source.
    Rate,
    /// `sources.rate_per_address`: events from one address of a source for browsers.
    RatePerAddress,
    /// A bound of the journal.
    Journal(journal::Limit),
}

impl Limit {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let own = [
            Self::MaxBody,
            Self::MaxInFlight,
            Self::MaxEvents,
            Self::BodyTimeout,
            Self::Rate,
            Self::RatePerAddress,
        ];
        own.into_iter()
            .chain(journal::Limit::ALL.map(Self::Journal))
    }

    /// The config key.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxBody => "ingest.max_body",
            Self::MaxInFlight => "ingest.max_in_flight",
            Self::MaxEvents => "ingest.max_events",
            Self::BodyTimeout => "ingest.body_timeout",
            Self::Rate => "sources.rate",
            Self::RatePerAddress => "sources.rate_per_address",
            Self::Journal(limit) => limit.name(),
        }
    }
}

/// A fault of one event, by its place in the request's `data`.
#[derive(Debug)]
pub struct EventFault {
    /// Place in `data`, from 0.
    pub index: usize,
    /// What is wrong.
    pub error: EventError,
    /// What the event is called and worth, if it could be read at all.
    pub told: Option<Told>,
}

/// What an event that is not accepted is called, and what it says to be worth.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it is called, without personal values.
    pub label: Label,
    /// What it says to be worth.
    pub money: Option<Money>,
    /// The fields of its `user_data`.
    pub keys: MatchKeys,
}

/// Why a whole request is refused. Nothing of it was kept.
#[derive(Debug)]
pub enum Rejection {
    /// The body is not what it should be: field path, rule, valid example.
    Body {
        /// What is wrong with it.
        code: Code,
        /// The member at fault, empty for the body itself.
        path: &'static str,
        /// What is expected; never what was found.
        rule: String,
    },
    /// The path is none of ours.
    NoRoute,
    /// The path is ours, the method is not.
    Method,
    /// The body is in a form we do not read.
    ContentType,
    /// The body is packed in a way we do not unpack.
    ContentEncoding,
    /// No key, or one that no source has.
    Unauthorized {
        /// Whether a key was shown at all.
        shown: bool,
    },
    /// No key, and no page that may post without one.
    ForbiddenOrigin,
    /// The source has no right to the pixel.
    Forbidden,
    /// No such pixel is configured.
    UnknownPixel,
    /// Every event is bad, or one is and the source is strict.
    Events {
        /// The bad ones.
        faults: Vec<EventFault>,
        /// The others, which are refused with them.
        others: Vec<Told>,
    },
    /// More events than `ingest.max_events`: so many, as far as they were counted.
    TooManyEvents(usize),
    /// A bound is reached; `retry_after` in seconds where coming back helps.
    Limited(Limit, Option<u64>),
    /// The gateway is stopping.
    Stopping,
    /// The journal takes nothing more until a restart.
    Unavailable,
}

impl From<AppendError> for Rejection {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full(limit) => Self::Limited(Limit::Journal(limit), Some(5)),
            AppendError::Stopping => Self::Stopping,
            AppendError::Poisoned => Self::Unavailable,
        }
    }
}

impl Rejection {
    /// What is wrong; its word is stable.
    pub fn code(&self) -> Code {
        match self {
            Self::Body { code, .. } => *code,
            Self::NoRoute => codes::NO_ROUTE,
            Self::Method => codes::METHOD,
            Self::ContentType => codes::CONTENT_TYPE,
            Self::ContentEncoding => codes::CONTENT_ENCODING,
            Self::Unauthorized { .. } => codes::UNAUTHORIZED,
            Self::ForbiddenOrigin => codes::FORBIDDEN_ORIGIN,
            Self::Forbidden => codes::FORBIDDEN_PIXEL,
            Self::UnknownPixel => codes::UNKNOWN_PIXEL,
            Self::Events { .. } => codes::EVENTS,
            Self::TooManyEvents(_) => codes::TOO_MANY_EVENTS,
            Self::Limited(limit, _) => match limit {
                Limit::MaxBody => codes::TOO_LARGE,
                Limit::MaxEvents => codes::TOO_MANY_EVENTS,
                Limit::BodyTimeout => codes::BODY_TIMEOUT,
                Limit::Rate | Limit::RatePerAddress => codes::RATE,
                Limit::MaxInFlight | Limit::Journal(_) => codes::OVERLOADED,
            },
            Self::Stopping => codes::STOPPING,
            Self::Unavailable => codes::UNAVAILABLE,
        }
    }

    /// The HTTP status of this refusal.
    pub fn status(&self) -> u16 {
        self.code().row().status
    }

    /// The bound that said no, if one did.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::Limited(limit, _) => Some(*limit),
            Self::TooManyEvents(_) => Some(Limit::MaxEvents),
            _ => None,
        }
    }

    /// The member or header at fault; empty for the request itself.
    pub(super) fn path(&self) -> &'static str {
        match self {
            Self::Body { path, .. } => path,
            Self::ContentType => "Content-Type",
            Self::ContentEncoding => "Content-Encoding",
            Self::Unauthorized { .. } => "access_token",
            Self::ForbiddenOrigin => "Origin",
            Self::Forbidden | Self::UnknownPixel => "pixel_id",
            Self::TooManyEvents(_) => "data",
            _ => "",
        }
    }

    /// What is expected, as far as this refusal knows more than its row.
    fn rule(&self) -> Cow<'static, str> {
        match self {
            Self::Body { rule, .. } => rule.clone().into(),
            Self::Limited(limit, _) => advice(*limit).into(),
            Self::TooManyEvents(_) => advice(Limit::MaxEvents).into(),
            _ => self.code().row().rule.into(),
        }
    }

    fn example(&self) -> Option<&'static str> {
        match self {
            Self::Body { code, path, .. } if [codes::MISSING, codes::MALFORMED].contains(code) => {
                Some(request::example(path))
            }
            _ => self.code().row().example,
        }
    }

    /// What is wrong and what to do, in a sentence; never a value.
    pub fn message(&self) -> String {
        let row = self.code().row();
        match self {
            Self::Body { path: "", rule, .. } => format!("the body: {rule}"),
            Self::Body { path, rule, .. } => format!("{path}: {rule}"),
            Self::Unauthorized { shown: true } => format!(
                "no source of this gateway has the key that was sent; {}",
                row.next
            ),
            Self::Unauthorized { shown: false } => {
                format!(
                    "no key was sent; Authorization has the scheme Bearer (or OAuth); {}",
                    row.next
                )
            }
            Self::Events { faults, .. } => match faults.as_slice() {
                [only] => format!("data[{}].{}", only.index, only.error),
                several => format!(
                    "{} events are refused; each is named in errors",
                    several.len()
                ),
            },
            Self::Limited(limit, _) => said(*limit),
            Self::TooManyEvents(_) => said(Limit::MaxEvents),
            _ => match row.example {
                Some(example) => format!("{}, such as {example}; {}", row.rule, row.next),
                None => format!("{}; {}", row.rule, row.next),
            },
        }
    }

    /// The answer, with the gateway's own `trace` id.
    pub fn into_response(self, trace: &str) -> Response<Body> {
        let code = self.code();
        let row = code.row();
        let errors = match &self {
            Self::Events { faults, .. } => faults.iter().map(EventFault::item).collect(),
            _ => vec![ErrorItem {
                index: None,
                path: self.path(),
                code,
                rule: self.rule(),
                example: self.example(),
                docs: code.docs(),
                meta: row.meta,
                notes: Vec::new(),
            }],
        };
        let subcode = match &self {
            Self::Events { faults, .. } => {
                faults.first().and_then(|fault| fault.error.graph_subcode())
            }
            _ => row.subcode,
        };
        let retry_after = match &self {
            Self::Limited(_, seconds) => *seconds,
            Self::Stopping | Self::Unavailable => Some(5),
            _ => None,
        };
        let body = ErrorBody {
            error: ErrorObject {
                message: self.message(),
                kind: "OAuthException",
                code: row.graph,
                error_subcode: subcode,
                is_transient: row.is_transient,
                fbtrace_id: trace,
                error_data: ErrorData {
                    code,
                    limit: self.limit().map(Limit::name),
                    docs: code.docs(),
                },
            },
            errors,
        };
        let mut response = json(row.status, &body);
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self {
            Self::Method => headers.insert(ALLOW, METHODS),
            Self::ContentEncoding => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding::TAKEN))
            }
            _ => None,
        };
        response
    }
}

fn said(limit: Limit) -> String {
    format!("{} ({})", advice(limit), limit.name())
}

fn advice(limit: Limit) -> &'static str {
    match limit {
        Limit::MaxBody => {
            "the body is too large, as sent or when unpacked; send fewer events in a request"
        }
        Limit::MaxEvents => "too many events in data; send fewer in a request",
        Limit::BodyTimeout => "the body did not arrive in time; send the request again",
        Limit::Rate => {
            "this source sends more events than its rate allows; send the request again after Retry-After"
        }
        Limit::RatePerAddress => {
            "this address sends more events than one address may; send fewer, after Retry-After"
        }
        Limit::MaxInFlight => {
            "too many bodies are being taken in at once; send the request again after Retry-After"
        }
        Limit::Journal(journal::Limit::MaxLanes | journal::Limit::MaxLanesPerPixel) => {
            "too many different request options (test_event_code, upload_tag and so on) have events waiting; use fewer, or send the request again after Retry-After"
        }
        Limit::Journal(_) => "the journal is full; send the request again after Retry-After",
    }
}

/// What was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// How many events are durable now, here or as the duplicate of an earlier one.
    pub events: usize,
    /// What was changed or is missing, by event.
    pub warnings: Vec<(usize, Warning)>,
    /// The events that were left out.
    pub faults: Vec<EventFault>,
    /// The events, or copies of events, that a policy has kept back.
    pub filtered: Vec<Filtered>,
    /// The places of events that are duplicates of accepted ones.
    pub duplicates: Vec<usize>,
    /// The pixel of the request.
    pub pixel: PixelId,
    /// Whether the body had members that Graph does not know.
    pub unknown_members: bool,
    /// What is to be known about the request as a whole.
    pub request_warnings: Vec<Warning>,
}

impl Accepted {
    /// The answer, with the gateway's own `trace` id.
    pub fn into_response(self, trace: &str) -> Response<Body> {
        let faults = self
            .faults
            .iter()
            .map(|fault| format!("data[{}].{}", fault.index, fault.error));
        let warnings = self
            .warnings
            .iter()
            .map(|(index, warning)| format!("data[{index}].{warning}"));
        let filtered = self.filtered.iter().map(Filtered::message);
        let unknown = self.unknown_members.then(|| UNKNOWN_MEMBERS.to_owned());
        let whole = self.request_warnings.iter().map(ToString::to_string);
        let whole = unknown.into_iter().chain(whole);
        let messages = faults.chain(filtered).chain(whole).chain(warnings);
        let mut messages: Vec<String> = messages.collect();
        if messages.len() > MAX_MESSAGES {
            let left_out = messages.len() - MAX_MESSAGES + 1;
            messages.truncate(MAX_MESSAGES - 1);
            messages.push(format!("{left_out} more messages are left out"));
        }
        let unknown = self.unknown_members.then(|| WarningItem {
            index: None,
            path: "",
            code: codes::UNKNOWN_MEMBER,
            text: UNKNOWN_MEMBERS,
            docs: codes::UNKNOWN_MEMBER.docs(),
        });
        let of_request = self.request_warnings.iter().map(|warning| (None, warning));
        let of_events = self.warnings.iter();
        let of_events = of_events.map(|(index, warning)| (Some(*index), warning));
        let warnings = of_request
            .chain(of_events)
            .map(|(index, warning)| WarningItem {
                index,
                path: &warning.path,
                code: warning.code,
                text: &warning.text,
                docs: warning.code.docs(),
            });
        let body = SuccessBody {
            events_received: self.events,
            messages,
            fbtrace_id: trace,
            duplicates: self.duplicates,
            errors: self.faults.iter().map(EventFault::item).collect(),
            filtered: (self.filtered.iter())
                .map(|one| one.item(self.pixel))
                .collect(),
            warnings: unknown
                .into_iter()
                .chain(warnings)
                .take(MAX_MESSAGES)
                .collect(),
        };
        json(200, &body)
    }
}

impl Filtered {
    fn message(&self) -> String {
        let (policy, key) = (self.kept_back.policy, self.kept_back.key());
        format!("data[{}]: not sent: {policy} ({key})", self.index)
    }

    fn item(&self, pixel: PixelId) -> FilteredItem {
        FilteredItem {
            index: self.index,
            policy: self.kept_back.policy,
            key: self.kept_back.key(),
            pixel: (self.pixel != pixel).then_some(self.pixel),
            docs: self.kept_back.policy.docs(),
        }
    }
}

impl EventFault {
    fn item(&self) -> ErrorItem<'_> {
        let error = &self.error;
        ErrorItem {
            index: Some(self.index),
            path: error.path(),
            code: error.code(),
            rule: error.rule().into(),
            example: Some(error.example()),
            docs: error.code().docs(),
            meta: error.code().row().meta,
            notes: error.notes().iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Serialize)]
struct SuccessBody<'a> {
    events_received: usize,
    messages: Vec<String>,
    fbtrace_id: &'a str,
    /// The events that were received before, by their place in `data`; `messages` may leave some out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorItem<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filtered: Vec<FilteredItem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningItem<'a>>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
    errors: Vec<ErrorItem<'a>>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    code: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<u32>,
    is_transient: bool,
    fbtrace_id: &'a str,
    error_data: ErrorData,
}

#[derive(Serialize)]
struct ErrorData {
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
    docs: Docs,
}

#[derive(Serialize)]
struct ErrorItem<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    path: &'a str,
    code: Code,
    rule: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<&'static str>,
    docs: Docs,
    /// Meta's page about the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'static str>,
    /// What had been changed or dropped before, and may be the cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// An event, or the copy of one for another pixel, that a policy has kept back.
#[derive(Serialize)]
struct FilteredItem {
    index: usize,
    policy: Code,
    /// The config key of the policy.
    key: String,
    /// Of a copy: the pixel it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pixel: Option<PixelId>,
    docs: Docs,
}

/// What `messages` say in words, for programs.
#[derive(Serialize)]
struct WarningItem<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    path: &'a str,
    code: Code,
    text: &'a str,
    docs: Docs,
}

fn json(status: u16, body: &impl Serialize) -> Response<Body> {
    // plain structs of strings and numbers always serialise
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_and_warnings_are_bounded() {
        let warning = |index| {
            let warning = Warning {
                path: "event_time".into(),
                code: codes::ROUNDED,
                text: "the fraction of a second was cut off".into(),
            };
            (index, warning)
        };
        let accepted = Accepted {
            events: 500,
            warnings: (0..500).map(warning).collect(),
            faults: Vec::new(),
            filtered: Vec::new(),
            duplicates: Vec::new(),
            pixel: "1".parse().unwrap(),
            unknown_members: true,
            request_warnings: Vec::new(),
        };
        let body = accepted.into_response("t").into_body();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let warnings = body["warnings"].as_array().unwrap();
        let messages = body["messages"].as_array().unwrap();
        assert_eq!((warnings.len(), messages.len()), (100, 100));
        assert_eq!(warnings[0]["code"], "unknown_member");
        assert_eq!(warnings[1]["docs"], "README.md#code-rounded");
        assert_eq!(messages[99], "402 more messages are left out");
    }

    #[test]
    fn what_the_journal_says_has_its_code() {
        let code = |error: AppendError| Rejection::from(error).code();
        assert_eq!(code(AppendError::Stopping), codes::STOPPING);
        assert_eq!(code(AppendError::Poisoned), codes::UNAVAILABLE);
        let full = AppendError::Full(journal::Limit::MaxBytes);
        assert_eq!(code(full), codes::OVERLOADED);
        assert_eq!(Rejection::from(full).status(), 503);
    }
}
