//! Answers: JSON or text, each with the header that says this is not Meta.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::faults::Headers;

/// The header every answer carries.
pub const NOT_META: &str = "x-capigate-sandbox";

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// This is answered.
    Answer(Response<Full<Bytes>>),
    /// The connection is closed without an answer.
    HangUp,
}

/// An answer with this body.
pub(super) fn raw(
    status: u16,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(NOT_META, HeaderValue::from_static("not Meta"));
    response
}

/// An answer with this value as JSON.
pub(super) fn json(status: u16, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => raw(status, "application/json; charset=UTF-8", body),
        Err(_) => raw(
            500,
            "text/plain; charset=UTF-8",
            "the answer cannot be written",
        ),
    }
}

/// The answer with these headers added; what HTTP does not allow is left out.
pub(super) fn with_headers(
    mut response: Response<Full<Bytes>>,
    headers: &Headers,
) -> Response<Full<Bytes>> {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
