//! JSON for a page: laid out, in the order in which it is written.

use serde_json::value::RawValue;

use crate::journal::dead;

const INDENT: &str = "  ";

/// An event that is not masked yet, without what tells who it is about.
pub(super) fn event(event: &RawValue) -> String {
    laid_out(dead::masked_json(event).get())
}

/// JSON over several lines.
pub(super) fn laid_out(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut rest) = (0_usize, json);
    while let Some(c) = rest.chars().next() {
        let (_, after) = rest.split_at(c.len_utf8());
        rest = after;
        match c {
            '"' => {
                let end = end_of_text(rest);
                let (text, after) = rest.split_at(end);
                rest = after;
                out.push('"');
                out.push_str(text);
            }
            '{' | '[' => {
                out.push(c);
                let close = if c == '{' { '}' } else { ']' };
                if let Some(after) = rest.trim_start().strip_prefix(close) {
                    rest = after;
                    out.push(close);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// The byte behind the quotation mark that ends a text.
fn end_of_text(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => return at + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    rest.len()
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str(INDENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_in_its_order() {
        let json = r#"{"b":[1.10,{}, []],"a":{"em":["ab"],"t":"x\"{,:}\\"},"e":null}"#;
        let shown = laid_out(json);
        assert_eq!(
            shown,
            "{\n  \"b\": [\n    1.10,\n    {},\n    []\n  ],\n  \"a\": {\n    \"em\": [\n      \"ab\"\n    ],\n    \"t\": \"x\\\"{,:}\\\\\"\n  },\n  \"e\": null\n}"
        );
        // what was cut off does no harm
        for end in (0..json.len()).filter(|end| json.is_char_boundary(*end)) {
            let _ = laid_out(&json[..end]);
        }
    }
}
