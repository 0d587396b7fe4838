//! Trouble: how one token is refused from now on.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::span::optional_span;
use super::states::TokenState;
use super::tokens::{DATASET_APP, Token};
use crate::pixel::PixelId;
use crate::sandbox::graph_error::GraphError;
use crate::sandbox::refusal::Refusal;

/// A change to a token. What is absent stays as it is; a change that says nothing of state, code,
/// subcode or message leaves the state alone.
///
/// ```
/// use capigate::sandbox::{TokenChange, TokenState};
/// let change: TokenChange =
///     serde_json::from_str(r#"{"state":"expired","omit_subcode":true}"#).unwrap();
/// assert_eq!(change.state, Some(TokenState::Expired));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenChange {
    /// The state: the row to answer with. `valid` mends it, but turns no time back.
    pub state: Option<TokenState>,
    /// Graph's code in the place of the row's; 190 when there is no row.
    pub code: Option<i64>,
    /// Graph's subcode in the place of the row's.
    pub subcode: Option<i64>,
    /// The text in the place of the row's; `{token}` becomes the token itself.
    pub message: Option<String>,
    /// The HTTP status in the place of the row's, 400 to 599.
    pub status: Option<u16>,
    /// No subcode, whatever the row has.
    pub omit_subcode: bool,
    /// Graph's `is_transient`.
    pub is_transient: Option<bool>,
    /// The pixels it can reach from now on.
    pub pixels: Option<Vec<PixelId>>,
    /// The scopes it has from now on.
    pub scopes: Option<Vec<String>>,
    /// How long it lives from now, such as `"10s"`.
    #[serde(deserialize_with = "optional_span")]
    pub expires_in: Option<Duration>,
}

impl From<TokenState> for TokenChange {
    fn from(state: TokenState) -> Self {
        Self {
            state: Some(state),
            ..Self::default()
        }
    }
}

impl TokenChange {
    /// Whether an answer can have this status.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match self.status {
            Some(status) if !(400..=599).contains(&status) => {
                Err("the status of a token's refusal is from 400 to 599, such as 400")
            }
            _ => Ok(()),
        }
    }

    /// Whether it says anything of the state.
    pub(super) fn is_of_state(&self) -> bool {
        self.state.is_some()
            || self.code.is_some()
            || self.subcode.is_some()
            || self.message.is_some()
    }

    /// The trouble it puts the token in; none if it is valid then.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let row = self.state.and_then(TokenState::refusal);
        if row.is_none() && self.code.is_none() && self.subcode.is_none() && self.message.is_none()
        {
            return None;
        }
        let mut trouble = row.map_or_else(Trouble::unnamed, Trouble::of);
        if let Some(code) = self.code {
            trouble.code = code;
        }
        if let Some(message) = &self.message {
            trouble.message = Cow::Owned(message.clone());
        }
        if let Some(status) = self.status {
            trouble.status = status;
        }
        trouble.subcode = self.subcode.or(trouble.subcode);
        trouble.is_transient = self.is_transient;
        if self.omit_subcode {
            trouble.subcode = None;
        }
        Some(trouble)
    }
}

/// How a token is refused.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub reason: &'static str,
    pub status: u16,
    pub code: i64,
    pub subcode: Option<i64>,
    pub kind: &'static str,
    pub message: Cow<'static, str>,
    pub is_transient: Option<bool>,
}

impl Trouble {
    pub(super) fn of(row: &'static Refusal) -> Self {
        Self {
            reason: row.reason,
            status: row.status,
            code: row.code,
            subcode: row.subcode,
            kind: row.kind,
            message: Cow::Borrowed(row.message),
            is_transient: None,
        }
    }

    fn unnamed() -> Self {
        Self {
            reason: "by_script",
            status: 400,
            code: 190,
            subcode: None,
            kind: "OAuthException",
            message: Cow::Borrowed("Error validating access token"),
            is_transient: None,
        }
    }

    /// The answer to a call with this token.
    pub(super) fn error(&self, token: &Token, now: i64) -> GraphError {
        GraphError {
            message: self.text(token, now),
            ..self.untold(now)
        }
    }

    /// The answer to a call with a token nobody knows.
    pub(super) fn untold(&self, now: i64) -> GraphError {
        GraphError {
            status: self.status,
            reason: self.reason,
            kind: self.kind,
            message: filled(&self.message, DATASET_APP, now, now),
            code: self.code,
            subcode: self.subcode,
            is_transient: self.is_transient,
            error_data: (self.subcode == Some(459))
                .then(|| json!({ "url": "https://www.facebook.com/" })),
            ..GraphError::default()
        }
    }

    /// The message, filled in.
    pub(super) fn text(&self, token: &Token, now: i64) -> String {
        let expiry = token.expires_at.unwrap_or(now);
        filled(&self.message, &token.app, expiry, now).replace("{token}", &token.value)
    }
}

fn filled(message: &str, app: &str, expiry: i64, now: i64) -> String {
    message
        .replace("{app}", app)
        .replace("{expiry}", &day(expiry))
        .replace("{now}", &day(now))
}

/// A moment as these texts have it, in UTC.
fn day(secs: i64) -> String {
    jiff::Timestamp::from_second(secs).map_or_else(
        |_| "an unknown day".to_owned(),
        |at| at.strftime("%A, %d-%b-%y %H:%M:%S UTC").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_bends_its_row() {
        let read = |text: &str| serde_json::from_str::<TokenChange>(text).unwrap();
        let cases = [
            (r#"{"state":"valid"}"#, None),
            (r#"{"pixels":["7"]}"#, None),
            (r#"{"state":"expired"}"#, Some((190, Some(463), 400))),
            (
                r#"{"state":"expired","omit_subcode":true,"status":401}"#,
                Some((190, None, 401)),
            ),
            (r#"{"subcode":477}"#, Some((190, Some(477), 400))),
            (r#"{"code":102,"message":"over"}"#, Some((102, None, 400))),
            (
                r#"{"state":"no_access","code":803}"#,
                Some((803, Some(33), 400)),
            ),
        ];
        for (text, expected) in cases {
            let trouble = read(text).trouble();
            let seen = trouble.map(|t| (t.code, t.subcode, t.status));
            assert_eq!(seen, expected, "{text}");
        }
        assert!(!read(r#"{"pixels":["7"]}"#).is_of_state());
        assert!(serde_json::from_str::<TokenChange>(r#"{"state":"sad"}"#).is_err());
    }

    #[test]
    fn days_are_written_out() {
        assert_eq!(day(0), "Thursday, 01-Jan-70 00:00:00 UTC");
    }
}
