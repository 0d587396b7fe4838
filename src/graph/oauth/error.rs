//! What can go wrong between us and Meta, without a secret in it.

use std::fmt;
use std::time::Duration;

use reqwest::header::{RETRY_AFTER, WWW_AUTHENTICATE};

use super::answer::Node;
use super::catalogue::{self, Context, Row};
use super::wire::{Got, MAX_LIST_ANSWERS};
use crate::graph::reply::TraceId;
use crate::graph::scrub::Text;
use crate::graph::wait;
use crate::time::UnixMs;

/// Why there is no good answer. No variant has a secret, an address or a value of ours in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OauthError {
    /// Meta gave an error of its own.
    #[error("Meta refused with {0}; `capigate explain {0}` says what that means")]
    Meta(Box<MetaError>),
    /// Nothing was read; where something may have been done, [`OauthError::UnknownOutcome`] is it.
    #[error("{0}; check graph.url, the network and the proxy, and try again")]
    Unreachable(Unreachable),
    /// The request went out and its answer did not come: it may have been done.
    #[error(
        "the answer was lost after the request had been sent, so it may have been done; look before trying again"
    )]
    UnknownOutcome,
    /// HTML from a proxy, a cut or overlong body, JSON of another shape.
    #[error(
        "HTTP {status} came with an answer that is not Meta's; check graph.url and what stands between here and Meta"
    )]
    Unreadable {
        /// The HTTP status.
        status: u16,
    },
    /// A good answer lacks a member that is needed.
    #[error("Meta's answer has no usable `{0}`; check graph.url and graph.version")]
    Missing(&'static str),
    /// The answer is about another object than the one asked for.
    #[error("Meta answered about another object than the one asked for; check graph.url")]
    OtherObject,
    /// Meta answered without an error that it was not done.
    #[error("Meta says that it was not done, and not why; look at the app and try again")]
    NotDone,
    /// Meta knows the Page and does not give its token.
    #[error(
        "Meta gives no token for this Page; its person needs a role on the Page and the permission pages_show_list"
    )]
    NoPageToken,
    /// The list does not end within [`MAX_LIST_ANSWERS`].
    #[error(
        "the list does not end within {MAX_LIST_ANSWERS} answers; ask for the object by its id"
    )]
    TooMuch,
    /// The token has characters that cannot be sent in a header.
    #[error("the token has characters that no token has; paste it again, on one line")]
    UnsendableToken,
    /// The caller's value of that name does not have the shape Meta gives it.
    #[error("{name} is not {want}")]
    BadValue {
        /// Which value.
        name: &'static str,
        /// What it should be, with an example.
        want: &'static str,
    },
}

/// Why nothing came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// No connection: no such name, refused, no route.
    #[error("Meta cannot be reached")]
    Connect,
    /// A connection, and no trust: the certificate, or a protocol in common.
    #[error("no TLS connection to Meta can be made")]
    Tls,
    /// `graph.timeout` or `graph.connect_timeout` ran out.
    #[error("Meta did not answer in time")]
    Timeout,
    /// The connection broke in the middle.
    #[error("the connection to Meta broke")]
    Broken,
}

/// Meta's error object, as far as it is used. It prints as its codes, `190/463`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaError {
    /// The HTTP status it came with; 200 for the error inside a `debug_token` answer.
    pub status: u16,
    /// `code`.
    pub code: i64,
    /// `error_subcode`, or `subcode` inside a `debug_token` answer; often absent.
    pub subcode: Option<i64>,
    /// `type`, such as `OAuthException`.
    pub kind: Option<String>,
    /// `message`: for people, and for the few cases that no code tells.
    pub message: Option<Text>,
    /// `error_user_title`, for people.
    pub user_title: Option<Text>,
    /// `error_user_msg`, for people.
    pub user_message: Option<Text>,
    /// `is_transient`, false when absent.
    pub transient: bool,
    /// `fbtrace_id`: what to give to Meta's support.
    pub trace_id: Option<TraceId>,
    /// The class in `WWW-Authenticate`, such as `invalid_code`.
    pub class: Option<String>,
    /// How long Meta asks to wait, at most [`MAX_WAIT`](crate::graph::MAX_WAIT).
    pub retry_after: Option<Duration>,
}

impl OauthError {
    /// The stable word for logs and `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Meta(_) => "meta",
            Self::Unreachable(Unreachable::Connect) => "unreachable",
            Self::Unreachable(Unreachable::Tls) => "tls",
            Self::Unreachable(Unreachable::Timeout) => "timeout",
            Self::Unreachable(Unreachable::Broken) => "broken",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Unreadable { .. } => "unreadable",
            Self::Missing(_) => "missing",
            Self::OtherObject => "other_object",
            Self::NotDone => "not_done",
            Self::NoPageToken => "no_page_token",
            Self::TooMuch => "too_much",
            Self::UnsendableToken => "unsendable_token",
            Self::BadValue { .. } => "bad_value",
        }
    }

    /// What it means and what to do next, for an error of a request of this kind.
    pub fn explain(&self, context: Context) -> &'static Row {
        let slug = match self {
            Self::Meta(error) => return catalogue::explain(context, error),
            Self::Unreachable(Unreachable::Tls) => "tls",
            Self::Unreachable(_) => "unreachable",
            Self::UnknownOutcome if context == Context::Code => "code-answer-lost",
            Self::UnknownOutcome => "answer-lost",
            Self::Unreadable { .. } | Self::Missing(_) | Self::OtherObject | Self::TooMuch => {
                "unreadable"
            }
            Self::NotDone => "not-done",
            Self::NoPageToken => "page-token-withheld",
            Self::UnsendableToken => "token-unsendable",
            Self::BadValue { .. } => "bad-value",
        };
        catalogue::known(slug)
    }

    /// Meta's error, if it gave one.
    pub fn meta(&self) -> Option<&MetaError> {
        match self {
            Self::Meta(error) => Some(error),
            _ => None,
        }
    }
}

impl MetaError {
    /// The error in an answer, with the wrapper `error` or without.
    pub(super) fn read(got: &Got, body: Node<'_>, now: UnixMs) -> Option<Self> {
        let error = match body.get("error") {
            Some(error) => Self::of(got.status, error),
            // without the wrapper both are needed to tell it from an object
            None => (body.raw("message")).and_then(|_| Self::of(got.status, body)),
        }?;
        let header = |name| got.headers.get(name)?.to_str().ok();
        Some(Self {
            class: header(WWW_AUTHENTICATE).and_then(class),
            retry_after: header(RETRY_AFTER).and_then(|value| wait::retry_after(value, now)),
            ..error
        })
    }

    /// The error object itself; none without a code.
    pub(super) fn of(status: u16, error: Node<'_>) -> Option<Self> {
        let subcode = error.integer("error_subcode");
        Some(Self {
            status,
            code: error.integer("code")?,
            subcode: subcode
                .or_else(|| error.integer("subcode"))
                .filter(|subcode| *subcode != 0),
            kind: error.word("type"),
            message: error.text("message"),
            user_title: error.text("error_user_title"),
            user_message: error.text("error_user_msg"),
            transient: error.flag("is_transient").unwrap_or(false),
            trace_id: error.trace("fbtrace_id"),
            class: None,
            retry_after: None,
        })
    }
}

impl fmt::Display for MetaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subcode {
            Some(subcode) => write!(f, "{}/{subcode}", self.code),
            None => self.code.fmt(f),
        }
    }
}

/// The class of `OAuth "Facebook Platform" "invalid_code" "…"`: the second text in quotes.
fn class(header: &str) -> Option<String> {
    let word = header.split('"').nth(3)?;
    let plain =
        (1..=40).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    plain.then(|| word.to_owned())
}
