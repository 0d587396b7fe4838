//! Reads Graph's answers leniently: only the members we act on or show, whatever else is there,
//! and a member that is not what it should be is as good as absent.

use std::fmt;

use serde_json::Value;

use super::blame;
use super::scrub::{Scrubber, Text};

/// Graph's `fbtrace_id`: what to give to Meta's support. Kept to 64 harmless characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceId(String);

impl TraceId {
    /// None too when part of a secret stands in it.
    pub(super) fn read(text: &str, scrubber: &Scrubber<'_>) -> Option<Self> {
        let id: String = text
            .chars()
            .take(256)
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
            .take(64)
            .collect();
        let leaks = scrubber.finds(text) || scrubber.finds(&id);
        (!id.is_empty() && !leaks).then_some(Self(id))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Graph's error object, as far as it is used. It prints as its codes, `100/2804003`: that is what
/// logs and metrics show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphError {
    /// `error.code`.
    pub code: i64,
    /// `error.error_subcode`.
    pub subcode: Option<i64>,
    /// `error.is_transient`, false when absent.
    pub transient: bool,
    /// What `error.message` names, where codes do not tell.
    pub literal: Option<Literal>,
    /// The event that `error.error_data` blames, as its place in the batch; always one of the
    /// batch, and a hint only.
    pub index: Option<usize>,
    /// `error.error_user_title`, for people: dead letters and receipts, not logs.
    pub title: Option<Text>,
    /// `error.error_user_msg` or, without it, `error.message`, for people as well.
    pub message: Option<Text>,
}

/// A name of the API in `error.message`, the same in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// The parameter `appsecret_proof`: missing or wrong.
    AppsecretProof,
    /// The message begins with `(#100) Missing Permission`.
    MissingPermission,
}

impl Literal {
    /// The parameter that Graph names for [`Literal::AppsecretProof`].
    pub(super) const PROOF: &'static str = "appsecret_proof";

    const NO_PERMISSION: &'static str = "(#100) Missing Permission";

    /// The text by which it is known.
    pub(in crate::graph) fn text(self) -> &'static str {
        match self {
            Self::AppsecretProof => Self::PROOF,
            Self::MissingPermission => Self::NO_PERMISSION,
        }
    }

    fn read(message: &str) -> Option<Self> {
        if message.starts_with(Self::NO_PERMISSION) {
            Some(Self::MissingPermission)
        } else if message.contains(Self::PROOF) {
            Some(Self::AppsecretProof)
        } else {
            None
        }
    }
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
    /// An `error` object with a code is there.
    Error(GraphError),
    /// Neither: HTML from a proxy, a cut body, JSON of another shape.
    Unreadable,
}

/// Reads a body; never fails. What it keeps of Graph's words has no secret in it.
pub(crate) fn read(body: &[u8], scrubber: &Scrubber<'_>) -> (Reply, Option<TraceId>) {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return (Reply::Unreadable, None);
    };
    let error = body.get("error").filter(|error| !error.is_null());
    let trace = error
        .and_then(|error| text(error, "fbtrace_id"))
        .or_else(|| text(&body, "fbtrace_id"))
        .and_then(|trace| TraceId::read(trace, scrubber));
    let reply = match error {
        Some(error) => read_error(error, scrubber).map(Reply::Error),
        None => integer(&body, "events_received")
            .and_then(|received| u64::try_from(received).ok())
            .map(Reply::Received),
    };
    (reply.unwrap_or(Reply::Unreadable), trace)
}

fn read_error(error: &Value, scrubber: &Scrubber<'_>) -> Option<GraphError> {
    let message = text(error, "message");
    let shown = text(error, "error_user_msg").filter(|shown| !shown.trim().is_empty());
    Some(GraphError {
        code: integer(error, "code")?,
        subcode: integer(error, "error_subcode"),
        transient: error.get("is_transient").is_some_and(is_true),
        literal: message.and_then(Literal::read),
        index: error.get("error_data").and_then(blame::index),
        title: text(error, "error_user_title").and_then(|title| scrubber.text(title)),
        message: shown.or(message).and_then(|words| scrubber.text(words)),
    })
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

fn integer(object: &Value, key: &str) -> Option<i64> {
    match object.get(key)? {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
}

fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_i64() == Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const TOKEN: &str = "EAABcanary0123456789";

    fn read(body: &[u8]) -> (Reply, Option<TraceId>) {
        super::read(body, &Scrubber::new([TOKEN]))
    }

    fn error(error: &Value) -> GraphError {
        match read(json!({ "error": error }).to_string().as_bytes()).0 {
            Reply::Error(error) => error,
            other => panic!("{other:?} of {error}"),
        }
    }

    #[test]
    fn success_and_error_are_told_apart() {
        let (reply, trace) = read(br#"{"events_received":2,"messages":[],"fbtrace_id":"AbC-1"}"#);
        assert_eq!(reply, Reply::Received(2));
        assert_eq!(trace.unwrap().to_string(), "AbC-1");
        assert_eq!(
            read(br#"{"events_received":"2","error":null}"#).0,
            Reply::Received(2)
        );

        let (reply, trace) = read(
            br#"{"error":{"message":"m","type":"OAuthException","code":100,"error_subcode":2804003,"is_transient":false,"error_user_title":"too old","error_user_msg":"older than 7 days","error_data":"{\"event_index\":4}","fbtrace_id":"T<b>1"}}"#,
        );
        let Reply::Error(error) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!((error.code, error.subcode), (100, Some(2_804_003)));
        assert!(!error.transient);
        assert_eq!(error.index, Some(4));
        assert_eq!(error.title.as_ref().unwrap().as_str(), "too old");
        assert_eq!(
            error.message.as_ref().unwrap().as_str(),
            "older than 7 days"
        );
        assert_eq!(error.to_string(), "100/2804003");
        assert_eq!(trace.unwrap().to_string(), "Tb1");
    }

    #[test]
    fn members_of_another_type_do_not_hide_the_others() {
        let odd = error(&json!({
            "code": "190", "error_subcode": {}, "is_transient": 1, "message": 7,
            "error_user_title": null, "error_user_msg": " ", "error_data": [], "fbtrace_id": 5,
        }));
        let plain = GraphError {
            code: 190,
            subcode: None,
            transient: true,
            literal: None,
            index: None,
            title: None,
            message: None,
        };
        assert_eq!(odd, plain);
        let message = |words: Value| error(&words).message.unwrap().as_str().to_owned();
        assert_eq!(message(json!({"code": 1, "message": "m"})), "m");
        assert_eq!(
            message(json!({"code": 1, "message": "m", "error_user_msg": ""})),
            "m"
        );
    }

    #[test]
    fn only_names_of_the_api_are_read_from_the_message() {
        for (message, want) in [
            (
                "(#100) Missing Permission",
                Some(Literal::MissingPermission),
            ),
            (
                "API calls from the server require an appsecret_proof argument",
                Some(Literal::AppsecretProof),
            ),
            ("appsecret_proof non valide", Some(Literal::AppsecretProof)),
            ("Invalid parameter", None),
            ("event_name (#100) Missing Permission", None),
        ] {
            let found = error(&json!({"code": 100, "message": message}));
            assert_eq!(found.literal, want, "{message}");
            let elsewhere = error(&json!({"code": 100, "error_user_msg": message}));
            assert_eq!(elsewhere.literal, None, "{message}");
        }
    }

    #[test]
    fn an_echoed_token_is_kept_nowhere() {
        let encoded = TOKEN.replace("canary", "%63anary");
        for echo in [TOKEN, &TOKEN[..14], &encoded] {
            let body = json!({"error": {
                "code": 190,
                "message": format!("bad {echo} !"),
                "error_user_title": format!("the token {echo}"),
                "fbtrace_id": format!("xx{echo}"),
                "error_data": {"event_index": echo, "blame_field_specs": [[echo]]},
            }});
            let (reply, trace) = read(body.to_string().as_bytes());
            assert_eq!(trace, None, "{echo}");
            let shown = format!("{reply:?}");
            assert!(shown.contains("bad [redacted] !"), "{shown}");
            assert!(shown.contains("the token [redacted]"), "{shown}");
            assert!(!shown.contains("anary"), "{shown}");
        }
        let echo = format!(r#"{{"events_received":1,"fbtrace_id":"{TOKEN}"}}"#);
        assert_eq!(read(echo.as_bytes()), (Reply::Received(1), None));
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
            r#"{"events_received":1.5}"#,
            r#"{"events_received":1"#,
            r#"{"error":"x"}"#,
            r#"{"error":{"message":"no code"}}"#,
            r#"{"error":{},"events_received":1}"#,
        ] {
            assert_eq!(read(body.as_bytes()).0, Reply::Unreadable, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            words in ".{0,80}",
            path in prop::collection::vec(r"data|-?[0-9]{1,25}|\PC{0,6}", 0..4),
        ) {
            let _ = read(&bytes);
            let body = json!({"error": {
                "code": words.len(), "message": words, "error_user_title": words,
                "fbtrace_id": words, "error_data": {"blame_field_specs": [path, words]},
            }});
            let (reply, _) = read(body.to_string().as_bytes());
            prop_assert!(matches!(reply, Reply::Error(_)));
        }
    }
}
