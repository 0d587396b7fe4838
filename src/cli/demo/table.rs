//! The demo's table: what came in (masked), what went out, and what Graph said.

use std::io::{self, Write};

use serde_json::Value;

use crate::sandbox::{BatchRecord, LedgerEvent};
use crate::text::counted;

/// One sample and its end.
pub(super) struct Row<'a> {
    pub(super) title: &'a str,
    pub(super) came_in: &'a Value,
    pub(super) end: End<'a>,
    pub(super) notes: Vec<&'a str>,
}

/// How a sample ended.
pub(super) enum End<'a> {
    Delivered(&'a LedgerEvent, &'a BatchRecord),
    Refused(&'a Value),
    Missing,
}

/// Columns of the value as it came in.
const WIDTH: usize = 34;

pub(super) fn print(out: &mut dyn Write, number: usize, row: &Row<'_>) -> io::Result<()> {
    let name = row.came_in["event_name"].as_str().unwrap_or_default();
    let source = row.came_in["action_source"].as_str().unwrap_or_default();
    writeln!(out, "\n{number}. {}: {name} ({source})", row.title)?;
    match &row.end {
        End::Delivered(event, batch) => {
            if let Some(went_out) = &event.body {
                changes(out, row.came_in, went_out)?;
            }
            for note in &row.notes {
                writeln!(out, "     note: {note}")?;
            }
            writeln!(
                out,
                "   ACCEPTED, then delivered in batch {} ({}); Graph's answer: 200, events_received {}, trace {}",
                batch.number,
                counted(batch.size as u64, "event"),
                batch.size,
                batch.fbtrace_id
            )
        }
        End::Refused(error) => {
            for note in error["notes"].as_array().into_iter().flatten() {
                writeln!(out, "     note: {}", note.as_str().unwrap_or_default())?;
            }
            writeln!(
                out,
                "   REFUSED by the gateway: {}: {} ({}); for example {}",
                error["path"].as_str().unwrap_or("the event"),
                error["rule"].as_str().unwrap_or_default(),
                error["code"].as_str().unwrap_or_default(),
                error["example"].as_str().unwrap_or_default(),
            )
        }
        End::Missing => writeln!(out, "   NOT DELIVERED in time"),
    }
}

/// Each key whose value changed on the way; the rest by name.
fn changes(out: &mut dyn Write, came_in: &Value, went_out: &Value) -> io::Result<()> {
    let (before, after) = (leaves(came_in), leaves(went_out));
    let mut same = Vec::new();
    for (path, old) in &before {
        match after.iter().find(|(other, _)| other == path) {
            Some((_, new)) if new == old => same.push(path.as_str()),
            Some((_, new)) => line(out, path, &mask(old), &short(new))?,
            None => line(out, path, &mask(old), "left out")?,
        }
    }
    for (path, new) in &after {
        if !before.iter().any(|(other, _)| other == path) {
            line(out, path, "", &short(new))?;
        }
    }
    writeln!(out, "     unchanged: {}", same.join(", "))
}

fn line(out: &mut dyn Write, path: &str, old: &str, new: &str) -> io::Result<()> {
    writeln!(out, "     {path:<28} {old:<WIDTH$} → {new}")
}

fn leaves(event: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in event.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => {
                found.extend(
                    inner
                        .iter()
                        .map(|(name, value)| (format!("{key}.{name}"), text(value))),
                );
            }
            _ => found.push((key.clone(), text(value))),
        }
    }
    found
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The first letter of each word stays; other letters and all digits do not.
fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let letter = c.is_alphanumeric();
        masked.push(if letter && (inside || c.is_numeric()) {
            '*'
        } else {
            c
        });
        inside = letter;
    }
    clip(&masked, WIDTH)
}

/// A digest by its first digits, other texts by their start.
fn short(text: &str) -> String {
    let is_digest = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest {
        return format!("sha256 {}…", &text[..12]);
    }
    clip(text, 72)
}

fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_hides_all_but_first_letters() {
        assert_eq!(mask("Jane.DOE@Example.COM"), "J***.D**@E******.C**");
        assert_eq!(mask("+1 (650) 555-1212"), "+* (***) ***-****");
    }

    #[test]
    fn a_digest_is_shortened() {
        assert_eq!(short(&"ab".repeat(32)), "sha256 abababababab…");
        assert_eq!(short("USD"), "USD");
    }
}
