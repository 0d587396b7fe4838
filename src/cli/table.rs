//! Plain tables, moments and texts for a terminal.

use std::io::{self, Write};

use serde_json::Value;

use crate::text::visible;

/// Prints rows under their heads, columns aligned, numbers to the right.
pub(super) fn print(out: &mut dyn Write, heads: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| plain(cell)).collect())
        .collect();
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let columns = 0..heads.len();
    let cell = |row: &[String], at: usize| row.get(at).cloned().unwrap_or_default();
    let width = |at| {
        let all = rows.iter().chain([&heads]);
        all.map(|row| cell(row, at).chars().count())
            .max()
            .unwrap_or(0)
    };
    let is_number = |at| {
        let is_digits = |text: String| text == "-" || text.bytes().all(|b| b.is_ascii_digit());
        !rows.is_empty() && rows.iter().all(|row| is_digits(cell(row, at)))
    };
    let layout: Vec<(usize, bool)> = columns.map(|at| (width(at), is_number(at))).collect();
    for row in [&heads].into_iter().chain(&rows) {
        let mut line = String::new();
        for (at, (width, right)) in layout.iter().enumerate() {
            let text = cell(row, at);
            let pad = " ".repeat(width - text.chars().count().min(*width));
            let gap = if at == 0 { "" } else { "  " };
            let parts = if *right {
                [gap, &pad, &text]
            } else {
                [gap, &text, &pad]
            };
            line.extend(parts);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A member of an answer as the text of a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// A member that is a moment in Unix milliseconds, in UTC and to the second.
pub(super) fn moment(value: &Value) -> String {
    let at = value
        .as_i64()
        .map(|ms| jiff::Timestamp::from_second(ms.div_euclid(1000)));
    at.and_then(Result::ok)
        .map_or_else(|| "-".to_owned(), |at| at.to_string())
}

/// A text of a client's must neither command the terminal it is shown on nor turn its line around.
pub(super) fn plain(text: &str) -> String {
    visible(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_commands_the_terminal() {
        let rows =
            [("a", "7"), ("l\u{1b}[2J", "1234")].map(|(a, b)| vec![a.to_owned(), b.to_owned()]);
        let mut out = Vec::new();
        print(&mut out, &["name", "events"], &rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "name        events\na                7\nl\\u{1b}[2J    1234\n"
        );
        assert_eq!(
            moment(&1_795_305_600_500_i64.into()),
            "2026-11-22T00:00:00Z"
        );
        assert_eq!(cell(&Value::Null), "-");
    }
}
