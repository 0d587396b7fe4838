//! Whether the person agreed, as the event itself says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::{Path, Section};
use crate::event::json::{self, Shape};

/// Answers that may be listed.
const MAX_DENIED: usize = 100;

/// The member in which the client says whether the person agreed, and what means no.
///
/// Written as `{ field = "consent", denied = ["denied", false, 0], required = false }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Consent {
    field: Path,
    /// The member of the same name in the other place, unless that is one of Meta's own.
    other: Option<Path>,
    /// The answers, as texts in small letters, in the order they were given.
    denied: Vec<Value>,
    required: bool,
}

/// Why a table is not a [`Consent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// A member that cannot be it.
    #[error(
        "in field a member of the event (\"consent\") or of custom_data (\"custom_data.consent\") that is none of Meta's own"
    )]
    Field,
    /// No answers.
    #[error("1 to {MAX_DENIED} texts, whole numbers or truth values in denied")]
    Denied,
}

/// A gate as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    field: Path,
    #[serde(default = "usual")]
    denied: Vec<Value>,
    #[serde(default)]
    required: bool,
}

fn usual() -> Vec<Value> {
    vec!["denied".into(), false.into(), 0.into()]
}

impl TryFrom<Written> for Consent {
    type Error = ConsentError;

    fn try_from(written: Written) -> Result<Self, ConsentError> {
        let Written {
            field,
            denied,
            required,
        } = written;
        let may_hold_it = match field.section() {
            Section::Event => !field.is_known(),
            section => section == Section::CustomData,
        };
        if !may_hold_it {
            return Err(ConsentError::Field);
        }
        let is_answer = |value: &Value| match value {
            Value::String(text) => !text.trim().is_empty(),
            Value::Number(number) => number.is_i64() || number.is_u64(),
            value => value.is_boolean(),
        };
        if !(1..=MAX_DENIED).contains(&denied.len()) || !denied.iter().all(is_answer) {
            return Err(ConsentError::Denied);
        }
        Ok(Self {
            other: field.elsewhere(),
            field,
            denied,
            required,
        })
    }
}

impl From<Consent> for Written {
    fn from(consent: Consent) -> Self {
        Self {
            field: consent.field,
            denied: consent.denied,
            required: consent.required,
        }
    }
}

impl Consent {
    /// The member that holds the answer.
    pub(super) fn field(&self) -> &Path {
        &self.field
    }

    /// The member of the same name in the other place: a client may have put it there.
    pub(super) fn other(&self) -> Option<&Path> {
        self.other.as_ref()
    }

    /// Both members.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Path> {
        [&self.field].into_iter().chain(&self.other)
    }

    /// Whether an event with this answer may be sent; none where it is absent or null. `other` is
    /// what stands in the other place: a no there is one, too, a yes is none.
    pub(super) fn permits(&self, answer: Option<&str>, other: Option<&str>) -> bool {
        let says_no = |raw: Option<&str>| raw.and_then(|raw| self.agrees(raw)) == Some(false);
        !says_no(other)
            && answer
                .and_then(|raw| self.agrees(raw))
                .unwrap_or(!self.required)
    }

    /// Whether an answer is a yes; `None` where it says nothing.
    ///
    /// Texts are compared without blanks around them and without regard to case, and with numbers
    /// and truth values by how these are written. An answer that is a list, an object or no JSON
    /// cannot be read, and so is none that permits.
    fn agrees(&self, raw: &str) -> Option<bool> {
        let text = match json::shape(raw) {
            Shape::Text => json::text(raw).ok(),
            Shape::Number | Shape::Bool(_) => Some(raw.into()),
            Shape::Null | Shape::List | Shape::Object => None,
        };
        match text.as_deref().map(str::trim) {
            None => Some(false),
            Some("") => None,
            Some(text) => Some(!self.denied.iter().any(|denied| is_same(denied, text))),
        }
    }
}

fn is_same(denied: &Value, text: &str) -> bool {
    match denied {
        Value::String(denied) => denied.trim().eq_ignore_ascii_case(text),
        Value::Number(number) => text.parse().ok() == number.as_f64(),
        other => other.to_string().eq_ignore_ascii_case(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(text: &str) -> Consent {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn denied_in_any_spelling_is_denied() {
        let gate = gate(r#"{"field":"consent"}"#);
        for denied in [
            "\"denied\"",
            "\" Denied \"",
            "false",
            "\"false\"",
            "\"FALSE\"",
            "0",
            "0.0",
            "-0",
            "\"0\"",
            "[]",
            "{\"ad_storage\":\"granted\"}",
            "\"\\ud800\"",
        ] {
            assert!(!gate.permits(Some(denied), None), "{denied}");
        }
        for agreed in ["\"granted\"", "true", "1", "\"yes\"", "\"\"", "\" \""] {
            assert!(gate.permits(Some(agreed), None), "{agreed}");
        }
        assert!(gate.permits(None, None));
        assert!(!gate.permits(Some("true"), Some("false")));
        assert!(!gate.permits(None, Some("\"denied\"")));
        assert!(gate.permits(None, Some("\" \"")));
    }

    #[test]
    fn where_an_answer_is_required_none_is_a_no() {
        let gate = gate(r#"{"field":"custom_data.consent","denied":["no"],"required":true}"#);
        assert!(!gate.permits(None, None));
        assert!(!gate.permits(Some("\"\""), None));
        assert!(!gate.permits(Some("\"NO\""), None));
        assert!(gate.permits(Some("false"), None));
        assert!(!gate.permits(None, Some("\"yes\"")));
        assert!(gate.permits(Some("\"yes\""), Some("\"\"")));
        let other = |field: &str| {
            let text = format!(r#"{{"field":"{field}"}}"#);
            let gate: Consent = serde_json::from_str(&text).unwrap();
            gate.other().map(ToString::to_string)
        };
        assert_eq!(other("consent").as_deref(), Some("custom_data.consent"));
        assert_eq!(other("custom_data.agreed").as_deref(), Some("agreed"));
        assert_eq!(other("custom_data.opt_out"), None);
        assert_eq!(other("value"), None);
    }

    #[test]
    fn what_is_no_gate_is_told_why() {
        for (text, want) in [
            (r#"{"field":"event_name"}"#, "none of Meta's own"),
            (r#"{"field":"opt_out"}"#, "none of Meta's own"),
            (r#"{"field":"user_data.em"}"#, "none of Meta's own"),
            (r#"{"field":"a.b"}"#, "a member of the event"),
            (r#"{"field":"consent","denied":[]}"#, "in denied"),
            (r#"{"field":"consent","denied":[" "]}"#, "in denied"),
            (r#"{"field":"consent","denied":[0.5]}"#, "in denied"),
            (r#"{"field":"consent","denied":[["a"]]}"#, "in denied"),
            (r#"{"field":"consent","require":true}"#, "unknown field"),
        ] {
            let error = serde_json::from_str::<Consent>(text).unwrap_err();
            assert!(error.to_string().contains(want), "{text}: {error}");
        }
        let text = r#"{"field":"consent","denied":["no",false,0],"required":true}"#;
        assert_eq!(serde_json::to_string(&gate(text)).unwrap(), text);
    }
}
