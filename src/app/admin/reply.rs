//! A good answer of the admin listener.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// Bytes of an answer that a page shows.
const MAX_SHOWN: usize = 16 << 20;

/// Status, type and body, and what the audit line says of it.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    kind: &'static str,
    body: Body,
    /// How many things a write has changed.
    pub(super) changed: Option<u64>,
}

impl Reply {
    /// A value as JSON.
    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => Self::new(status, "application/json", text),
            // cannot be: every key of what is shown is a text
            Err(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}"),
        }
    }

    /// A value as JSON, with status 200.
    pub(super) fn ok(value: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, value)
    }

    pub(super) fn new(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Self {
        Self {
            status,
            kind,
            body: body.into(),
            changed: None,
        }
    }

    /// Notes for the audit line how many things were changed.
    pub(super) fn changed(mut self, count: u64) -> Self {
        self.changed = Some(count);
        self
    }

    /// The value of an answer in JSON, for a page that shows it.
    pub(super) async fn value(self) -> serde_json::Value {
        let bytes = axum::body::to_bytes(self.body, MAX_SHOWN).await;
        let value = bytes
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        value.unwrap_or_default()
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
