//! What goes out, and what came of it, as a page shows it.

use std::fmt::Write;

use axum::body::Body;
use axum::http::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::masked;
use super::super::words::counted;
use crate::lint::Outgoing;
use crate::pixel::PixelId;

/// Bytes of an answer of the front door that are read.
const MAX_ANSWER: usize = 4 << 20;

/// What came of sending.
pub(super) struct Sent {
    pub(super) pixel: PixelId,
    pub(super) source: String,
    pub(super) status: u16,
    pub(super) is_good: bool,
    /// Events that are taken, in words.
    pub(super) events: String,
    /// What is wrong, or was changed.
    pub(super) told: Vec<Told>,
    pub(super) messages: Vec<String>,
}

/// Something that the answer says of a field.
pub(super) struct Told {
    pub(super) kind: &'static str,
    pub(super) code: String,
    pub(super) path: String,
    pub(super) rule: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// The address and the headers of a request; the token is masked in them.
pub(super) fn head(request: &Outgoing) -> String {
    let mut head = format!("{} {}", request.method, request.url);
    for (name, value) in &request.headers {
        let _ = write!(head, "\n{name}: {value}");
    }
    head
}

/// The body of a request, its events masked.
pub(super) fn body(body: &RawValue) -> String {
    let events: Result<Envelope<'_>, _> = serde_json::from_str(body.get());
    let members: Result<Map<String, Value>, _> = serde_json::from_str(body.get());
    let (Ok(events), Ok(mut members)) = (events, members) else {
        return String::new();
    };
    members.remove("data");
    let events: Vec<String> = events.data.into_iter().map(masked::event).collect();
    let mut json = format!("{{\"data\":[{}]", events.join(","));
    for (name, value) in members {
        let _ = write!(json, ",{}:{value}", Value::from(name));
    }
    json.push('}');
    masked::laid_out(&json)
}

impl Sent {
    /// Reads what the front door has answered.
    pub(super) async fn read(pixel: PixelId, source: String, answer: Response<Body>) -> Self {
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), MAX_ANSWER).await;
        let answer: Value = bytes
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let kinds = [
            ("errors", "refused", ["code", "path", "rule"]),
            ("filtered", "kept back", ["policy", "key", ""]),
            ("warnings", "warning", ["code", "path", "text"]),
        ];
        let told = kinds.into_iter().flat_map(|(name, kind, members)| {
            let all = answer[name].as_array().into_iter().flatten();
            all.map(move |one| {
                let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
                let [code, path, rule] = members.map(text);
                Told {
                    kind,
                    code,
                    path,
                    rule,
                }
            })
        });
        let messages = answer["messages"].as_array().into_iter().flatten();
        let error = answer["error"]["message"].as_str();
        Self {
            pixel,
            source,
            status: status.as_u16(),
            is_good: status.is_success(),
            events: counted(
                answer["events_received"].as_u64().unwrap_or_default(),
                "event",
            ),
            told: told.collect(),
            messages: messages
                .filter_map(Value::as_str)
                .chain(error)
                .map(str::to_owned)
                .collect(),
        }
    }
}
