//! Faults by script: what goes wrong, for whom, and how often.
//!
//! The script is a list. A request takes the first fault that fits it and no other; a fault whose
//! count is used up leaves the list. As JSON (or the same keys in TOML):
//!
//! ```json
//! {"do": "throttle", "code": 4, "retry_after": 30, "pixel": "1234567890123456", "times": 3}
//! ```
//!
//! A fault is about the events edge unless it names another: `"edge": "debug_token"`.

mod action;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::accounts::Edge;
use crate::pixel::PixelId;

pub use action::{Action, Headers};

pub(super) use action::refused_index;
use action::{bad_request, invalid_parameter, service_down};

/// Most faults the control API takes into the script.
pub const MAX_FAULTS: usize = 1000;

/// Longest wait of a fault: ten minutes.
pub(super) const MAX_SLOW_MS: u64 = 600_000;

/// One fault of the script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The edge it is about; events when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<Edge>,
    /// Only for this pixel; for every pixel when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel: Option<PixelId>,
    /// How many requests it spoils. When absent: one; for ever for `refuse_event` and `too_large`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// What happens.
    #[serde(flatten)]
    pub action: Action,
}

/// How often a fault strikes: a number, or `"forever"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// This many requests.
    Count(u64),
    /// Every request, until the script is cleared.
    Forever,
}

/// Why a fault cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// A status HTTP does not have, or that ends no request.
    #[error("the status of a fault is from 200 to 599")]
    Status,
    /// A header HTTP does not allow.
    #[error("a fault has a header that HTTP does not allow")]
    Header,
    /// `refuse_event` without one of its two ways to name an event.
    #[error("refuse_event needs event_id or index, not both")]
    WhichEvent,
    /// It would never strike.
    #[error("times must be at least 1")]
    Never,
    /// It would wait too long.
    #[error("slow waits at most {MAX_SLOW_MS} ms")]
    TooSlow,
    /// It is about events, and names another edge.
    #[error("refuse_event, too_large and short are of the events edge")]
    WrongEdge,
    /// The script is full.
    #[error("the script holds {MAX_FAULTS} faults already")]
    Full,
}

impl FaultError {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Header => "header",
            Self::WhichEvent => "which_event",
            Self::Never => "never",
            Self::TooSlow => "too_slow",
            Self::WrongEdge => "wrong_edge",
            Self::Full => "full",
        }
    }
}

impl From<Action> for Fault {
    fn from(action: Action) -> Self {
        Self {
            edge: None,
            pixel: None,
            times: None,
            action,
        }
    }
}

impl Fault {
    /// A plain throttling error of this code.
    pub fn throttle(code: i64) -> Self {
        Self::from(Action::Throttle {
            code,
            subcode: None,
            status: bad_request(),
            retry_after: None,
            headers: Headers::new(),
        })
    }

    /// Graph's "service temporarily down" with this HTTP status.
    pub fn status(status: u16) -> Self {
        Self::from(Action::Status {
            status,
            code: service_down(),
            subcode: None,
            is_transient: Some(true),
            message: None,
            headers: Headers::new(),
        })
    }

    /// Closes the connection without an answer; nothing is accepted.
    pub fn cut() -> Self {
        Self::from(Action::Cut {})
    }

    /// Accepts, then closes the connection without an answer.
    pub fn cut_after_accept() -> Self {
        Self::from(Action::CutAfterAccept {})
    }

    /// Refuses every batch that holds the event with this id, with 100 and this subcode.
    pub fn refuse_event(event_id: &str, subcode: Option<i64>) -> Self {
        Self::from(Action::RefuseEvent {
            event_id: Some(event_id.to_owned()),
            index: None,
            code: invalid_parameter(),
            subcode,
            blame: false,
        })
    }

    /// The same fault, for one pixel only.
    #[must_use]
    pub fn on(mut self, pixel: PixelId) -> Self {
        self.pixel = Some(pixel);
        self
    }

    /// The same fault, on another edge.
    #[must_use]
    pub fn at(mut self, edge: Edge) -> Self {
        self.edge = Some(edge);
        self
    }

    /// The same fault, for this many requests.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(Times::Count(count));
        self
    }

    /// The same fault, until the script is cleared.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.times = Some(Times::Forever);
        self
    }

    /// Whether this can be answered with.
    pub fn check(&self) -> Result<(), FaultError> {
        if self.times == Some(Times::Count(0)) {
            return Err(FaultError::Never);
        }
        let of_events = matches!(
            self.action,
            Action::RefuseEvent { .. } | Action::TooLarge { .. } | Action::Short { .. }
        );
        if of_events && self.edge() != Edge::Events {
            return Err(FaultError::WrongEdge);
        }
        let (status, headers) = match &self.action {
            Action::Throttle {
                status, headers, ..
            }
            | Action::Status {
                status, headers, ..
            } => (*status, Some(headers)),
            Action::Html { status } | Action::HtmlAfterAccept { status } => (*status, None),
            Action::Headers { headers } => (200, Some(headers)),
            Action::RefuseEvent {
                event_id, index, ..
            } if event_id.is_some() == index.is_some() => return Err(FaultError::WhichEvent),
            Action::Slow { ms, .. } if *ms > MAX_SLOW_MS => return Err(FaultError::TooSlow),
            _ => (200, None),
        };
        if !(200..=599).contains(&status) {
            return Err(FaultError::Status);
        }
        let allowed = |(name, value): (&String, &String)| {
            name.parse::<hyper::header::HeaderName>().is_ok()
                && value.parse::<hyper::header::HeaderValue>().is_ok()
        };
        if headers.is_some_and(|headers| !headers.iter().all(allowed)) {
            return Err(FaultError::Header);
        }
        Ok(())
    }

    fn edge(&self) -> Edge {
        self.edge.unwrap_or_default()
    }

    /// Whether it strikes a call to an edge other than events, about this pixel if it is about one.
    pub(super) fn fits_call(&self, edge: Edge, pixel: Option<PixelId>) -> bool {
        self.edge() == edge && self.pixel.is_none_or(|only| pixel == Some(only))
    }

    pub(super) fn fits(&self, pixel: PixelId, events: &[Value]) -> bool {
        if !self.fits_call(Edge::Events, Some(pixel)) {
            return false;
        }
        match &self.action {
            Action::RefuseEvent {
                event_id, index, ..
            } => refused_index(event_id.as_deref(), *index, events).is_some(),
            Action::TooLarge { bytes } => {
                let sizes = events.iter().map(|event| event.to_string().len());
                sizes.sum::<usize>() > *bytes
            }
            _ => true,
        }
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Forever => serializer.serialize_str("forever"),
        }
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("times is a number or \"forever\"");
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "forever" => Ok(Self::Forever),
            Value::Number(count) => count.as_u64().map(Self::Count).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_form_is_flat_and_strict() {
        let fault: Fault = serde_json::from_value(json!({
            "do": "throttle", "code": 80004, "subcode": 2_446_079, "retry_after": 30,
            "pixel": "7", "times": "forever", "headers": {"x-app-usage": "{}"},
        }))
        .unwrap();
        assert_eq!(fault.pixel, PixelId::from_u64(7));
        assert_eq!(fault.times, Some(Times::Forever));
        let again = serde_json::to_value(&fault).unwrap();
        assert_eq!(serde_json::from_value::<Fault>(again).unwrap(), fault);
        let toml = "do = \"slow\"\nms = 20\ntimes = 3\npixel = \"7\"";
        let slow: Fault = toml::from_str(toml).unwrap();
        assert_eq!(slow.times, Some(Times::Count(3)));
        for bad in [
            json!({"do": "explode"}),
            json!({"do": "cut", "sometimes": 3}),
            json!({"do": "slow"}),
            json!({"do": "slow", "ms": 1, "sec": 1}),
            json!({"do": "cut", "times": "often"}),
            json!({"do": "cut", "pixel": "abc"}),
        ] {
            assert!(
                serde_json::from_value::<Fault>(bad.clone()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_http_cannot_say_is_no_fault() {
        let check = |value| serde_json::from_value::<Fault>(value).unwrap().check();
        let cases = [
            (json!({"do": "html", "status": 101}), FaultError::Status),
            (json!({"do": "status", "status": 600}), FaultError::Status),
            (
                json!({"do": "headers", "headers": {"a b": ""}}),
                FaultError::Header,
            ),
            (
                json!({"do": "headers", "headers": {"a": "\n"}}),
                FaultError::Header,
            ),
            (json!({"do": "refuse_event"}), FaultError::WhichEvent),
            (json!({"do": "cut", "times": 0}), FaultError::Never),
            (json!({"do": "short", "edge": "me"}), FaultError::WrongEdge),
        ];
        for (value, error) in cases {
            assert_eq!(check(value.clone()), Err(error), "{value}");
        }
        assert_eq!(check(json!({"do": "html"})), Ok(()));
    }
}
