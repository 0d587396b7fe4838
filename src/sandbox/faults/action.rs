//! What a fault does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Times;
use crate::sandbox::graph_error::GraphError;

/// Headers a fault adds to its answer, such as `x-business-use-case-usage`.
pub type Headers = BTreeMap<String, String>;

/// What a fault does to a request. The word in `do` is the name here in snake case.
// `Cut {}` rather than `Cut`: serde checks for unknown members only where there are braces
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Refuse with a throttling error; nothing is accepted.
    Throttle {
        /// Graph's code: 4, 17, 32, 613, 80000 and up.
        code: i64,
        /// Graph's subcode.
        #[serde(default)]
        subcode: Option<i64>,
        /// The HTTP status. What Meta sends here is not known; 400 when absent.
        #[serde(default = "bad_request")]
        status: u16,
        /// `Retry-After`, in seconds. Not documented for Graph.
        #[serde(default)]
        retry_after: Option<u64>,
        /// Usage headers.
        #[serde(default)]
        headers: Headers,
    },
    /// Refuse with any Graph error; nothing is accepted.
    Status {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// Graph's code; 2 (service down) when absent.
        #[serde(default = "service_down")]
        code: i64,
        /// Graph's subcode.
        #[serde(default)]
        subcode: Option<i64>,
        /// Graph's `is_transient`.
        #[serde(default)]
        is_transient: Option<bool>,
        /// Graph's message; a plain one when absent. `{token}` in it becomes the token.
        #[serde(default)]
        message: Option<String>,
        /// Further headers.
        #[serde(default)]
        headers: Headers,
    },
    /// Answer with an HTML page instead of JSON; nothing is accepted.
    Html {
        /// The HTTP status; 502 when absent.
        #[serde(default = "bad_gateway")]
        status: u16,
    },
    /// Do everything, then answer with such a page: some proxy lost the real answer.
    HtmlAfterAccept {
        /// The HTTP status; 502 when absent.
        #[serde(default = "bad_gateway")]
        status: u16,
    },
    /// Read the request, then close the connection without an answer; nothing is accepted.
    Cut {},
    /// Do everything, then close the connection without an answer: the sender cannot know.
    CutAfterAccept {},
    /// Wait, then do everything as usual.
    Slow {
        /// How long, in milliseconds; at most ten minutes.
        ms: u64,
        /// Accept first and wait then: a sender that gives up has been heard all the same.
        #[serde(default)]
        accept_first: bool,
    },
    /// Refuse the token.
    BadToken {
        /// Graph's subcode; none for a token that cannot be parsed.
        #[serde(default)]
        subcode: Option<i64>,
    },
    /// Refuse every batch that holds this event.
    RefuseEvent {
        /// The event's id; `poison-*` means every id that begins with `poison-`.
        #[serde(default)]
        event_id: Option<String>,
        /// Its place in the batch, from 0, for a test that does not care which event it is.
        #[serde(default)]
        index: Option<usize>,
        /// Graph's code; 100 when absent.
        #[serde(default = "invalid_parameter")]
        code: i64,
        /// Graph's subcode.
        #[serde(default)]
        subcode: Option<i64>,
        /// Say in `error_data` which event it was. Meta is not known to.
        #[serde(default)]
        blame: bool,
    },
    /// Answer every batch whose events take more bytes with 413 and an HTML page, as a proxy would.
    TooLarge {
        /// The most bytes that pass.
        bytes: usize,
    },
    /// Accept everything, but say that fewer were received. The ledger counts all of them.
    Short {
        /// How many fewer; one when absent.
        #[serde(default = "one")]
        missing: usize,
    },
    /// Answer 200 with a body that is not JSON.
    WrongJson {
        /// Accept the events all the same.
        #[serde(default)]
        accept: bool,
    },
    /// Work as usual, with these headers on the answer.
    Headers {
        /// The headers.
        headers: Headers,
    },
}

impl Action {
    /// The word this action has in the script and in the ledger.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Throttle { .. } => "throttle",
            Self::Status { .. } => "status",
            Self::Html { .. } => "html",
            Self::HtmlAfterAccept { .. } => "html_after_accept",
            Self::Cut {} => "cut",
            Self::CutAfterAccept {} => "cut_after_accept",
            Self::Slow { .. } => "slow",
            Self::BadToken { .. } => "bad_token",
            Self::RefuseEvent { .. } => "refuse_event",
            Self::TooLarge { .. } => "too_large",
            Self::Short { .. } => "short",
            Self::WrongJson { .. } => "wrong_json",
            Self::Headers { .. } => "headers",
        }
    }

    /// The Graph error of a fault that is one, and the headers that go with it.
    pub(in crate::sandbox) fn graph_error(self) -> Option<(GraphError, Headers)> {
        let reason = self.name();
        let error = |status, code, subcode, is_transient, message| GraphError {
            status,
            reason,
            kind: "OAuthException",
            message,
            code,
            subcode,
            is_transient,
            ..GraphError::default()
        };
        match self {
            Self::Throttle {
                code,
                subcode,
                status,
                retry_after,
                mut headers,
            } => {
                if let Some(seconds) = retry_after {
                    headers.insert("retry-after".to_owned(), seconds.to_string());
                }
                let message = format!("(#{code}) Request limit reached");
                Some((error(status, code, subcode, None, message), headers))
            }
            Self::Status {
                status,
                code,
                subcode,
                is_transient,
                message,
                headers,
            } => {
                let message = message.unwrap_or_else(|| "An error by script".to_owned());
                Some((error(status, code, subcode, is_transient, message), headers))
            }
            _ => None,
        }
    }

    pub(in crate::sandbox) fn default_times(&self) -> Times {
        match self {
            Self::RefuseEvent { .. } | Self::TooLarge { .. } => Times::Forever,
            _ => Times::Count(1),
        }
    }
}

/// Which event of the batch a `refuse_event` means, if it is there.
pub(in crate::sandbox) fn refused_index(
    event_id: Option<&str>,
    index: Option<usize>,
    events: &[Value],
) -> Option<usize> {
    let is_meant = |id: &str, event: &Value| {
        let given = event.get("event_id").and_then(Value::as_str);
        given.is_some_and(|given| match id.strip_suffix('*') {
            Some(start) => given.starts_with(start),
            None => given == id,
        })
    };
    match (event_id, index) {
        (Some(id), _) => events.iter().position(|event| is_meant(id, event)),
        (None, Some(index)) => (index < events.len()).then_some(index),
        (None, None) => None,
    }
}

pub(super) fn bad_request() -> u16 {
    400
}

fn bad_gateway() -> u16 {
    502
}

pub(super) fn service_down() -> i64 {
    2
}

pub(super) fn invalid_parameter() -> i64 {
    100
}

fn one() -> usize {
    1
}
