//! Answers in Graph's shape, and every refusal with its status, code and advice.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::event::{EventError, Warning};
use crate::journal::{self, AppendError};

/// The most `messages` in one answer; the last one then says how many were left out.
pub const MAX_MESSAGES: usize = 100;

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
}

/// Why a whole request is refused. Nothing of it was kept.
#[derive(Debug)]
pub enum Rejection {
    /// The body is not what it should be: field path, rule, valid example.
    Body {
        /// The stable word.
        code: &'static str,
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
    Events(Vec<EventFault>),
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

/// One row of the answer table.
struct Row {
    status: u16,
    /// The stable word: `errors[].code`, the label of `capigate_requests_total`, the README.
    code: &'static str,
    /// Graph's code for the same thing, so that clients written for Graph act rightly.
    graph: i64,
    subcode: Option<u32>,
    transient: bool,
}

const fn row(
    status: u16,
    code: &'static str,
    graph: i64,
    subcode: Option<u32>,
    transient: bool,
) -> Row {
    Row {
        status,
        code,
        graph,
        subcode,
        transient,
    }
}

impl Rejection {
    fn row(&self) -> Row {
        match self {
            Self::Body { code, .. } => row(400, code, 100, None, false),
            Self::NoRoute => row(404, "no_route", 2500, None, false),
            Self::Method => row(405, "method", 100, None, false),
            Self::ContentType => row(415, "content_type", 100, None, false),
            Self::Unauthorized { .. } => row(401, "unauthorized", 190, None, false),
            Self::ForbiddenOrigin => row(403, "forbidden_origin", 200, None, false),
            Self::Forbidden => row(403, "forbidden_pixel", 200, None, false),
            Self::UnknownPixel => row(400, "unknown_pixel", 100, Some(33), false),
            Self::Events(faults) => {
                let subcode = faults.first().and_then(|fault| fault.error.graph_subcode());
                row(400, "events", 100, subcode, false)
            }
            Self::Limited(Limit::MaxBody, _) => row(413, "too_large", 100, None, false),
            Self::Limited(Limit::MaxEvents, _) => row(400, "too_many_events", 100, None, false),
            Self::Limited(Limit::BodyTimeout, _) => row(408, "body_timeout", 2, None, true),
            Self::Limited(Limit::Rate | Limit::RatePerAddress, _) => {
                row(429, "rate", 4, None, true)
            }
            Self::Limited(Limit::MaxInFlight | Limit::Journal(_), _) => {
                row(503, "overloaded", 2, None, true)
            }
            Self::Stopping => row(503, "stopping", 2, None, true),
            Self::Unavailable => row(503, "unavailable", 2, None, true),
        }
    }

    /// The stable word of this refusal.
    pub fn code(&self) -> &'static str {
        self.row().code
    }

    /// The HTTP status of this refusal.
    pub fn status(&self) -> u16 {
        self.row().status
    }

    /// The bound that said no, if one did.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::Limited(limit, _) => Some(*limit),
            _ => None,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Body { path: "", rule, .. } => format!("the body: {rule}"),
            Self::Body { path, rule, .. } => format!("{path}: {rule}"),
            Self::NoRoute => "no such path; events go to POST /{version}/{pixel_id}/events, such as /v26.0/1234567890123456/events, or to POST /capi/{pixel_id}/events".to_owned(),
            Self::Method => "events are sent with POST".to_owned(),
            Self::ContentType => "the body must be JSON (Content-Type: application/json), as it is or compressed with gzip or deflate".to_owned(),
            Self::Unauthorized { shown: false } => "no key: send this gateway's ingest key as Authorization: Bearer …, or as access_token in the body or the query".to_owned(),
            Self::Unauthorized { shown: true } => "no source of this gateway has the key that was sent; compare its SHA-256 with sources.<name>.keys".to_owned(),
            Self::ForbiddenOrigin => "no key, and the Origin is not one from which pages may post for this pixel; add it to sources.<name>.origins of a source of kind browser, or send this gateway's ingest key".to_owned(),
            Self::Forbidden => "the caller's source has no right to the pixel; add the pixel to sources.<name>.pixels".to_owned(),
            Self::UnknownPixel => "the pixel in the path is not configured in this gateway; add it under pixels.<id>".to_owned(),
            Self::Events(faults) => match faults.as_slice() {
                [only] => format!("data[{}].{}", only.index, only.error),
                several => format!("{} events are refused; each is named in errors", several.len()),
            },
            Self::Limited(limit, _) => format!("{} ({})", advice(*limit), limit.name()),
            Self::Stopping => "the gateway is stopping; send the request again to the next one".to_owned(),
            Self::Unavailable => "the gateway cannot make events durable until it is restarted; send the request again later".to_owned(),
        }
    }

    /// The answer, with the gateway's own `trace` id.
    pub fn into_response(self, trace: &str) -> Response<Body> {
        let row = self.row();
        let errors = match &self {
            Self::Events(faults) => event_errors(faults),
            Self::Body { code, path, rule } => {
                vec![ErrorItem {
                    index: None,
                    path: (*path).to_owned(),
                    code,
                    rule: rule.clone(),
                    example: None,
                    notes: Vec::new(),
                }]
            }
            _ => Vec::new(),
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
                error_subcode: row.subcode,
                is_transient: row.transient,
                fbtrace_id: trace,
                error_data: ErrorData {
                    code: row.code,
                    limit: self.limit().map(Limit::name),
                },
            },
            errors,
        };
        let mut response = json(row.status, &body);
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
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
    /// Whether the body had members that Graph does not know.
    pub unknown_members: bool,
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
        let unknown = self.unknown_members.then(|| UNKNOWN_MEMBERS.to_owned());
        let mut messages: Vec<String> = faults.chain(unknown).chain(warnings).collect();
        if messages.len() > MAX_MESSAGES {
            let left_out = messages.len() - MAX_MESSAGES + 1;
            messages.truncate(MAX_MESSAGES - 1);
            messages.push(format!("{left_out} more messages are left out"));
        }
        let body = SuccessBody {
            events_received: self.events,
            messages,
            fbtrace_id: trace,
            errors: event_errors(&self.faults),
        };
        json(200, &body)
    }
}

fn event_errors(faults: &[EventFault]) -> Vec<ErrorItem> {
    faults
        .iter()
        .map(|fault| ErrorItem {
            index: Some(fault.index),
            path: fault.error.path().to_owned(),
            code: fault.error.code(),
            rule: fault.error.rule().to_owned(),
            example: Some(fault.error.example().to_owned()),
            notes: fault
                .error
                .notes()
                .iter()
                .map(ToString::to_string)
                .collect(),
        })
        .collect()
}

#[derive(Serialize)]
struct SuccessBody<'a> {
    events_received: usize,
    messages: Vec<String>,
    fbtrace_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorItem>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorItem>,
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
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
}

#[derive(Serialize)]
struct ErrorItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    path: String,
    code: &'static str,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<String>,
    /// What had been changed or dropped before, and may be the cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
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
