//! What the steps of hashing one event share: the rules, the moment, and the warnings so far.

use std::borrow::Cow;

use super::changes::Marks;
use super::reject::{EventError, Warning, path_of};
use super::{Rules, firewall, json};
use crate::codes::{self, Code};
use crate::time::UnixMs;
use firewall::Mark;
use json::Shape;

pub(super) struct Work<'r> {
    pub(super) rules: &'r Rules,
    pub(super) now: UnixMs,
    pub(super) warnings: Vec<Warning>,
    pub(super) marks: Marks,
}

impl Work<'_> {
    pub(super) fn warn(
        &mut self,
        path: impl Into<Cow<'static, str>>,
        code: Code,
        text: impl Into<Cow<'static, str>>,
    ) {
        let path = path.into();
        self.marks.warned(&path, code);
        self.warnings.push(Warning {
            path,
            code,
            text: text.into(),
        });
    }

    /// Writes a member that is passed through: checked, redacted where the firewall finds
    /// something, otherwise byte for byte.
    pub(super) fn pass(
        &mut self,
        parent: &str,
        key: &str,
        raw: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), EventError> {
        let suspect = match json::vet(raw) {
            Ok(suspect) => suspect || firewall::names_a_secret(key.as_bytes()),
            Err(flaw) => return Err(flaw.at(&path_of(parent, key))),
        };
        let clean_key = self.redact(key, Mark::Digest, || path_of(parent, key));
        json::write_key(out, clean_key.as_deref().unwrap_or(key));
        if suspect && self.rules.pii_firewall {
            let start = out.len();
            if firewall::rewrite(key, raw, out) {
                self.warn_redacted(path_of(parent, key));
                return Ok(());
            }
            out.truncate(start);
        }
        out.extend_from_slice(raw.as_bytes());
        Ok(())
    }

    /// The text without addresses, with a warning; `None` when there are none or the firewall is
    /// off.
    pub(super) fn redact(
        &mut self,
        text: &str,
        mark: Mark,
        path: impl FnOnce() -> Cow<'static, str>,
    ) -> Option<String> {
        if !self.rules.pii_firewall {
            return None;
        }
        let clean = firewall::redact(text, mark)?;
        self.warn_redacted(path());
        Some(clean)
    }

    pub(super) fn warn_redacted(&mut self, path: Cow<'static, str>) {
        self.warn(
            path,
            codes::REDACTED,
            "a personal value was redacted; send it in user_data, where it is hashed",
        );
    }
}

/// The text of a member that must be a string; `None` when it is null.
pub(super) fn string<'a>(
    raw: &'a str,
    path: &'static str,
    example: &'static str,
) -> Result<Option<Cow<'a, str>>, EventError> {
    match json::shape(raw) {
        Shape::Null => Ok(None),
        Shape::Text => json::text(raw).map(Some).map_err(|flaw| flaw.at(path)),
        _ => Err(malformed(path, "must be a string", example)),
    }
}

/// The text of a string or the digits of an integer; `None` when it is null.
pub(super) fn string_or_integer<'a>(
    raw: &'a str,
    path: &'static str,
    example: &'static str,
) -> Result<Option<Cow<'a, str>>, EventError> {
    if json::shape(raw) == Shape::Null {
        return Ok(None);
    }
    match json::scalar(raw).map_err(|flaw| flaw.at(path))? {
        Some(text) => Ok(Some(text)),
        None => Err(malformed(path, "must be a string", example)),
    }
}

/// A boolean, also as `0`, `1` or the word in a string; `None` when it is null or empty.
pub(super) fn boolean(raw: &str, path: &'static str) -> Result<Option<bool>, EventError> {
    let word = match json::shape(raw) {
        Shape::Null => return Ok(None),
        Shape::Bool(value) => return Ok(Some(value)),
        _ => json::scalar(raw).map_err(|flaw| flaw.at(path))?,
    };
    match word.as_deref().map(str::trim) {
        Some("") => Ok(None),
        Some("1") => Ok(Some(true)),
        Some("0") => Ok(Some(false)),
        Some(word) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(word) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err(malformed(path, "must be true or false, or 1 or 0", "true")),
    }
}

pub(super) fn malformed(
    path: impl Into<Cow<'static, str>>,
    rule: &'static str,
    example: &'static str,
) -> EventError {
    EventError::new(codes::MALFORMED, path, rule, example)
}

pub(super) fn missing(path: &'static str, rule: &'static str, example: &'static str) -> EventError {
    EventError::new(codes::MISSING, path, rule, example)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_liberally() {
        for raw in ["true", "1", "\"1\"", "\"TRUE\""] {
            assert_eq!(boolean(raw, "x"), Ok(Some(true)), "{raw}");
        }
        for raw in ["false", "0", "\"0\"", "\" false \""] {
            assert_eq!(boolean(raw, "x"), Ok(Some(false)), "{raw}");
        }
        for raw in ["null", "\"\""] {
            assert_eq!(boolean(raw, "x"), Ok(None), "{raw}");
        }
        for raw in ["2", "\"yes\"", "[]", "{}", "1.0"] {
            assert_eq!(
                boolean(raw, "x").unwrap_err().code(),
                codes::MALFORMED,
                "{raw}"
            );
        }
    }
}
