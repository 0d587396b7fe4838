//! Reads Graph's answers leniently: only the members we act on, whatever else is there.

use std::fmt;

use serde::Deserialize;

/// Graph's `fbtrace_id`: what to give to Meta's support. Kept to 64 harmless characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceId(String);

impl TraceId {
    fn read(text: &str) -> Option<Self> {
        let id: String = text
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
            .take(64)
            .collect();
        (!id.is_empty()).then_some(Self(id))
    }

    /// Whether part of `secret` stands in it; such an id is not kept.
    pub(super) fn repeats(&self, secret: &str) -> bool {
        let secret = secret.as_bytes();
        let part = secret.len().clamp(1, 12);
        self.0
            .as_bytes()
            .windows(part)
            .any(|piece| secret.windows(part).any(|other| other == piece))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of Graph's error object that decides what to do. Its texts are left out: they are
/// localised, and may repeat what was sent, the token included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphError {
    /// `error.code`.
    pub code: i64,
    /// `error.error_subcode`.
    pub subcode: Option<i64>,
    /// `error.is_transient`, false when absent.
    pub transient: bool,
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subcode {
            Some(subcode) => write!(f, "{}/{subcode}", self.code),
            None => self.code.fmt(f),
        }
    }
}

/// What a body of Graph says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `events_received` is there.
    Received(u64),
    /// An `error` object is there.
    Error(GraphError),
    /// Neither: HTML from a proxy, a cut body, JSON of another shape.
    Unreadable,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    events_received: Option<u64>,
    #[serde(default)]
    error: Option<ErrorBody>,
    #[serde(default)]
    fbtrace_id: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: i64,
    #[serde(default)]
    error_subcode: Option<i64>,
    #[serde(default)]
    is_transient: Option<bool>,
    #[serde(default)]
    fbtrace_id: Option<String>,
}

/// Reads a body; never fails.
pub fn read(body: &[u8]) -> (Reply, Option<TraceId>) {
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return (Reply::Unreadable, None);
    };
    if let Some(error) = body.error {
        let trace = error
            .fbtrace_id
            .or(body.fbtrace_id)
            .as_deref()
            .and_then(TraceId::read);
        let error = GraphError {
            code: error.code,
            subcode: error.error_subcode,
            transient: error.is_transient.unwrap_or(false),
        };
        return (Reply::Error(error), trace);
    }
    let trace = body.fbtrace_id.as_deref().and_then(TraceId::read);
    match body.events_received {
        Some(received) => (Reply::Received(received), trace),
        None => (Reply::Unreadable, trace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_and_error_are_told_apart() {
        let (reply, trace) = read(br#"{"events_received":2,"messages":[],"fbtrace_id":"AbC-1"}"#);
        assert_eq!(reply, Reply::Received(2));
        assert_eq!(trace.unwrap().to_string(), "AbC-1");

        let (reply, trace) = read(
            br#"{"error":{"message":"m","type":"OAuthException","code":100,"error_subcode":2804003,"is_transient":false,"fbtrace_id":"T<b>1"}}"#,
        );
        let error = GraphError {
            code: 100,
            subcode: Some(2_804_003),
            transient: false,
        };
        assert_eq!(reply, Reply::Error(error));
        assert_eq!(error.to_string(), "100/2804003");
        assert_eq!(trace.unwrap().to_string(), "Tb1");
    }

    #[test]
    fn a_trace_id_that_repeats_a_secret_is_known() {
        let trace = TraceId::read("xxEAAB1234567890yy").unwrap();
        assert!(trace.repeats("EAAB1234567890"));
        assert!(trace.repeats("EAAB12345678 and more"));
        assert!(!trace.repeats("EAAC9999999999"));
        assert!(!TraceId::read("AbC").unwrap().repeats("EAAC9999999999"));
    }

    #[test]
    fn anything_else_is_unreadable() {
        for body in [
            "",
            "<html>502</html>",
            "[]",
            "null",
            r#"{"ok":true}"#,
            r#"{"events_received":-1}"#,
            r#"{"error":"x"}"#,
        ] {
            assert_eq!(read(body.as_bytes()).0, Reply::Unreadable, "{body}");
        }
    }
}
