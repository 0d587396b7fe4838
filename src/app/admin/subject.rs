//! What a change is about, for its line in the log.
//!
//! **Promises.** The id of the path, and those members that the row of the table names, each only in a form
//! in which it can be no address, no token and no free text: a number, a time, an id, a word of ours. What
//! is not of that form is a question mark.
//! **Limits.** [`MAX`] bytes.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::call::Members;
use crate::config::units::Span;
use crate::pixel::PixelId;
use crate::telemetry::metrics::DEAD_REASONS;

/// Bytes of a subject.
const MAX: usize = 200;
/// Characters of a name or an id.
const MAX_WORD: usize = 50;
/// Says that there was more.
const MORE: char = '…';
/// What stands for a value that is not of its form.
const UNFIT: &str = "?";

/// A place for it, which is filled when it is known. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject(Arc<OnceLock<String>>);

impl Subject {
    /// Notes it; the first word counts.
    pub(super) fn note(&self, subject: String) {
        if !subject.is_empty() {
            // a second one says no more than the first
            let _ = self.0.set(subject);
        }
    }

    pub(super) fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// The subject of a call: the parameter of its path, and what its members of these names say.
pub(super) fn of(id: &str, members: &Members, names: &[&'static str]) -> String {
    let mut text = String::new();
    if !id.is_empty() {
        text.push_str(if is_id(id) { id } else { UNFIT });
    }
    for name in names {
        if let Some(value) = members.peek(name).filter(|value| *value != "") {
            let space = if text.is_empty() { "" } else { " " };
            let said = said(name, value).unwrap_or_else(|| UNFIT.to_owned());
            // writing to a text does not fail
            let _ = write!(text, "{space}{name}={said}");
        }
    }
    cut(text)
}

fn cut(mut text: String) -> String {
    if text.len() > MAX {
        text.truncate(text.floor_char_boundary(MAX - MORE.len_utf8()));
        text.push(MORE);
    }
    text
}

/// A value in the form that values of this name have.
fn said(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts?.join(",")
        }
        Value::Null | Value::Object(_) => return None,
    };
    let is_fit = match name {
        "pixel" => text.parse::<PixelId>().is_ok(),
        "ids" | "letter" => text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"-, ".contains(&b)),
        "reason" => DEAD_REASONS.contains(&text.as_str()),
        "code" | "subcode" => text == "none" || text.parse::<i64>().is_ok(),
        "for" | "older_than" | "newer_than" => text.parse::<Span>().is_ok(),
        "event_name" | "source" => is_name(&text),
        "id" | "token" => is_id(&text),
        "all" | "dry_run" | "force" | "include_unconfirmed" | "mirror" | "undo" => {
            matches!(text.as_str(), "true" | "false")
        }
        _ => false,
    };
    is_fit.then_some(text)
}

/// Whether it may be an id of ours, as of an issue, a hold or a letter, or a fingerprint. Tokens have
/// capital letters.
fn is_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b":._-".contains(&b);
    text.len() <= MAX_WORD && text.bytes().all(fits)
}

/// Whether it may be the name of an event or a source, and neither an address nor a token.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || " _-".contains(c);
    text.chars().count() <= MAX_WORD && !text.starts_with("EAA") && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_says_what_was_chosen() {
        let members = Members::of([
            ("pixel", json!(123)),
            ("reason", json!("refused")),
            ("event_name", json!("Add To_cart")),
            ("code", json!("none")),
            ("older_than", json!("2h")),
            ("ids", json!(["1-2", "1-33"])),
            ("dry_run", json!(true)),
            ("token", json!("not asked for")),
        ]);
        let names = [
            "pixel",
            "reason",
            "event_name",
            "code",
            "subcode",
            "older_than",
            "ids",
            "dry_run",
        ];
        assert_eq!(
            of("", &members, &names),
            "pixel=123 reason=refused event_name=Add To_cart code=none older_than=2h ids=1-2,1-33 dry_run=true"
        );
        assert_eq!(of("by_hand:123", &Members::none(), &names), "by_hand:123");
        let undo = Members::of([("undo", json!("true"))]);
        assert_eq!(of("0123abcd", &undo, &["undo"]), "0123abcd undo=true");
    }

    #[test]
    fn it_says_nothing_that_is_personal_or_secret_and_is_bounded() {
        for bad in [
            "jane@example.com",
            "jane%40example.com",
            "EAABsbCS1234567890",
            "the shop moves, ask Anna",
            "\u{1b}[31m",
            "\u{202e}1",
        ] {
            for name in [
                "pixel",
                "reason",
                "event_name",
                "source",
                "code",
                "ids",
                "letter",
                "for",
                "id",
                "token",
                "dry_run",
                "anything",
            ] {
                let members = Members::of([(name, json!(bad))]);
                assert_eq!(of("", &members, &[name]), format!("{name}=?"), "{bad:?}");
                let members = Members::of([(name, json!({"a": bad}))]);
                assert_eq!(of("", &members, &[name]), format!("{name}=?"));
            }
            assert_eq!(of(bad, &Members::none(), &[]), "?", "{bad:?}");
        }
        let ids = vec!["12-345"; 100];
        let long = of("", &Members::of([("ids", json!(ids))]), &["ids"]);
        assert!(long.len() <= MAX && long.ends_with(MORE), "{long}");
    }
}
