//! What the admin API says when it says no.

use axum::body::Body;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::reply::Reply;

/// Characters of a caller's member name that are repeated to it.
const NAME_SHOWN: usize = 64;

/// Why a request is not done: always with what to do next.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The stable word.
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) next: String,
    /// One line for each thing that is wrong, where there are several.
    pub(super) details: Vec<String>,
    /// Seconds, for 429 and 503.
    pub(super) retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Wrapper<'a> {
    error: Shown<'a>,
}

#[derive(Serialize)]
struct Shown<'a> {
    code: &'a str,
    message: &'a str,
    next: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [String],
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            next: next.into(),
            details: Vec::new(),
            retry_after: None,
        }
    }

    /// A member of the body or a parameter of the query is not what it should be. The name is one
    /// of ours, never a caller's.
    pub(super) fn bad(name: &'static str, expected: impl Into<String>) -> Self {
        let message = format!("{name} is not usable");
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message, expected)
    }

    /// A parameter is there more than once.
    pub(super) fn twice(name: &str) -> Self {
        let message = format!("{} is not usable", shown(name));
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            message,
            "send it once",
        )
    }

    /// A member or parameter that the route does not have.
    pub(super) fn unknown(kind: &str, name: &str) -> Self {
        let message = format!("{kind} {} is not known here", shown(name));
        let next = "leave it out, or see /openapi.json for what this route takes";
        Self::new(StatusCode::BAD_REQUEST, "unknown_member", message, next)
    }

    pub(super) fn not_found(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message, next)
    }

    pub(super) fn no_route() -> Self {
        Self::not_found(
            "there is no such page",
            "see /openapi.json for what there is",
        )
    }

    pub(super) fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "this page does not take this method",
            "see /openapi.json for the methods it takes",
        )
    }

    /// The key's role is not enough.
    pub(super) fn view_only() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "view_only",
            "this key may look, but neither change nor export anything",
            "use a key of admin.keys",
        )
    }

    /// Too many heavy requests at once.
    pub(super) fn busy() -> Self {
        let message = "other long requests are still running";
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            message,
            "wait for one of them to end",
        )
        .retry_after(1)
    }

    /// Nothing is changed any more.
    pub(super) fn stopping() -> Self {
        let (message, next) = ("the gateway is stopping", "ask the next one");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message, next)
    }

    /// Something of the gateway's own failed; the cause is in the log, not in the answer.
    pub(super) fn failed(code: &'static str, next: impl Into<String>) -> Self {
        let message = "the gateway could not do it";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, message, next)
    }

    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(super) fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let wrapper = Wrapper {
            error: Shown {
                code: self.code,
                message: &self.message,
                next: &self.next,
                details: &self.details,
            },
        };
        let mut response = Reply::json(self.status, &wrapper).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// A name the caller chose, cut short and without anything that could spoil a terminal.
fn shown(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    name.chars().take(NAME_SHOWN).map(plain).collect()
}
