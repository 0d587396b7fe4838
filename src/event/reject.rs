//! Why an event is refused, and what was changed about one that is not.
//!
//! Neither ever holds a value the client sent: a path, a stable word, a rule and a made-up example.

use std::borrow::Cow;
use std::fmt;

use crate::codes::Code;

/// Why an event is refused: where, which rule, and an example of what would pass.
///
/// It never holds a value the client sent, nor a key that could be one, so it may be answered
/// and logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {rule}; for example {example}", if .path.is_empty() { "event" } else { .path })]
pub struct EventError {
    code: Code,
    path: Cow<'static, str>,
    rule: &'static str,
    example: &'static str,
    notes: Vec<Warning>,
}

impl EventError {
    pub(in crate::event) fn new(
        code: Code,
        path: impl Into<Cow<'static, str>>,
        rule: &'static str,
        example: &'static str,
    ) -> Self {
        Self {
            code,
            path: path.into(),
            rule,
            example,
            notes: Vec::new(),
        }
    }

    /// The same, with what had been changed or dropped before.
    pub(in crate::event) fn after(mut self, notes: Vec<Warning>) -> Self {
        self.notes = notes;
        self
    }

    /// What had been changed or dropped before the fault was found, and may be its cause.
    pub fn notes(&self) -> &[Warning] {
        &self.notes
    }

    /// Where in the event, such as `user_data.em`; empty for the event itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong; its word is stable.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is expected there.
    pub fn rule(&self) -> &'static str {
        self.rule
    }

    /// A made-up value that would pass, as JSON text.
    pub fn example(&self) -> &'static str {
        self.example
    }

    /// Graph's subcode for the same fault; `None` where Meta's answer is not known.
    pub fn graph_subcode(&self) -> Option<u32> {
        self.code.row().subcode
    }
}

/// Something about an accepted event that its sender should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where in the event, such as `user_data.email`.
    pub path: Cow<'static, str>,
    /// What it is about; its word is stable.
    pub code: Code,
    /// What was done, or what should be done.
    pub text: Cow<'static, str>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// `parent.key`, or `parent.*` when the key is the client's and could itself be a personal value.
pub(in crate::event) fn path_of(parent: &str, key: &str) -> Cow<'static, str> {
    let shown = if tells_nothing(key) { key } else { "*" };
    if parent.is_empty() {
        Cow::Owned(shown.to_owned())
    } else {
        Cow::Owned(format!("{parent}.{shown}"))
    }
}

/// Whether a key reads as an identifier of a program rather than as someone's data.
fn tells_nothing(key: &str) -> bool {
    key.len() <= 48
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && key.bytes().filter(u8::is_ascii_digit).count() < 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    #[test]
    fn an_error_reads_as_path_rule_and_example() {
        let error = EventError::new(codes::MISSING, "event_name", "a name is needed", "\"Lead\"");
        assert_eq!(
            error.to_string(),
            "event_name: a name is needed; for example \"Lead\""
        );
        let whole = EventError::new(codes::TOO_LARGE, "", "too large", "{}");
        assert_eq!(whole.to_string(), "event: too large; for example {}");
    }

    #[test]
    fn a_key_that_could_be_a_value_is_not_shown() {
        assert_eq!(path_of("user_data", "shoe_size"), "user_data.shoe_size");
        assert_eq!(path_of("", "utm-source2"), "utm-source2");
        for personal in [
            "jane@example.com",
            "16505551212",
            "p16505551212",
            "Jane Doe",
            "",
        ] {
            assert_eq!(path_of("user_data", personal), "user_data.*");
        }
    }
}
