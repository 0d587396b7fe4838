//! Texts for people: numbers of things, and texts of others that must not play tricks.

use std::borrow::Cow;
use std::fmt::Write;

/// The noun for a number of things: `event` for one, else `events`.
pub fn plural(number: u64, noun: &str) -> Cow<'_, str> {
    match number {
        1 => noun.into(),
        _ => format!("{noun}s").into(),
    }
}

/// A number of things: `1 event`, `2 events`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{number} {}", plural(number, noun))
}

/// Whether a character shows nothing, or turns others around: a control character, or one of those
/// that Unicode has for the direction and joining of texts.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

/// [`is_hidden`] without control characters.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text with what is hidden in it written out, such as `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut seen = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            // a text takes what is written to it
            let _ = write!(seen, "{}", c.escape_unicode());
        } else {
            seen.push(c);
        }
    }
    seen.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many_and_nothing_is_hidden() {
        let said = [0, 1, 2].map(|number| counted(number, "event"));
        assert_eq!(said, ["0 events", "1 event", "2 events"]);
        assert_eq!(visible("Köln – 1\u{202f}000 €"), "Köln – 1\u{202f}000 €");
        let text = visible("a\u{0}b\u{202e}c\n\u{1b}[2J");
        assert_eq!(text, "a\\u{0}b\\u{202e}c\\u{a}\\u{1b}[2J");
    }
}
