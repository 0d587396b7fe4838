//! What hashed and raw personal data look like.

use serde_json::Value;

/// `user_data` keys whose values must be SHA-256, the last six from the old offline edge.
pub(super) const HASHED: [&str; 17] = [
    "em",
    "ph",
    "fn",
    "ln",
    "ge",
    "db",
    "ct",
    "st",
    "zp",
    "country",
    "external_id",
    "f5first",
    "f5last",
    "fi",
    "dobd",
    "dobm",
    "doby",
];

/// Whether `text` is 64 lower-case hex digits, or 64 hex digits in any case with an appendix that
/// Meta's Parameter Builder adds: six known ones of 2 characters, others of 8.
pub(super) fn looks_hashed(text: &str) -> bool {
    let (hex, appendix) = match text.split_once('.') {
        Some((hex, appendix)) => (hex, Some(appendix)),
        None => (text, None),
    };
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b.to_ascii_lowercase());
    let is_lower = !hex.bytes().any(|b| b.is_ascii_uppercase());
    let url_safe = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    hex.len() == 64
        && hex.bytes().all(is_hex)
        && match appendix {
            None => is_lower,
            Some("AQ" | "Ag" | "Aw" | "BA" | "BQ" | "Bg") => true,
            Some(tail) => tail.len() == 8 && tail.bytes().all(url_safe),
        }
}

/// Whether `text` holds something like an e-mail address, also with its `@` percent-encoded.
pub(super) fn has_email(text: &str) -> bool {
    let local = |c: char| c.is_alphanumeric() || "._%+-'".contains(c);
    let around = |at: usize, width: usize| {
        text[..at].ends_with(local) && is_domain_start(&text[at + width..])
    };
    text.match_indices('@').any(|(at, _)| around(at, 1))
        || text.match_indices("%40").any(|(at, _)| around(at, 3))
}

/// Whether `text` starts with labels, a dot and a top-level domain of two letters or more.
fn is_domain_start(text: &str) -> bool {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '.'))
        .unwrap_or(text.len());
    let mut labels = text[..end].split('.');
    let first = labels.next().unwrap_or_default();
    // the sentence may go on after the address, so any later label will do
    !first.is_empty()
        && labels.any(|label| label.chars().take_while(|c| c.is_alphabetic()).count() >= 2)
}

/// The values of a match key that may be one value or a list; null, "" and [] count as absent.
pub(super) fn present(value: &Value) -> impl Iterator<Item = (Option<usize>, &Value)> {
    let (single, list) = match value {
        Value::Array(list) => (None, list.as_slice()),
        other => (Some(other), &[][..]),
    };
    let list = list.iter().enumerate().map(|(i, v)| (Some(i), v));
    single
        .map(|value| (None, value))
        .into_iter()
        .chain(list)
        .filter(|(_, value)| !is_nothing(value))
}

/// Whether a value counts as absent: null, "" or [].
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::DIGEST;
    use super::*;

    #[test]
    fn a_digest_is_64_lower_case_hex_with_or_without_an_appendix() {
        let good = [String::new(), ".AQ".into(), ".AQQCAQIB".into()];
        for tail in good {
            assert!(looks_hashed(&format!("{DIGEST}{tail}")), "{tail}");
        }
        let upper = DIGEST.to_uppercase();
        let bad = [
            "",
            "john_smith@gmail.com",
            "16505551212",
            &DIGEST[..63],
            &DIGEST[..32],
            &upper,
            &format!("{DIGEST}0"),
            &format!("{DIGEST}."),
            &format!("{DIGEST}.abc"),
            &format!("{DIGEST}.a b"),
            &format!("{DIGEST}.AQ.AQ"),
        ];
        for text in bad {
            assert!(!looks_hashed(text), "{text}");
        }
    }

    #[test]
    fn addresses_are_seen_wherever_they_hide() {
        for text in [
            "john_smith@gmail.com",
            "write to jörg@exämple.de, please",
            "https://shop.example/?e=a.b%2Bc%40mail.example&x=1",
            "<x@y.co>",
            "mailto:o'brien@mail.example.",
        ] {
            assert!(has_email(text), "{text}");
        }
        for text in [
            "",
            "@",
            "a@b",
            "see @someone.else",
            "https://video.example/@channel.name",
            "vue@3.2.1",
            "50%40",
            "user@ host.example",
            "fb.1.1554763741205.AbCdEfGh",
        ] {
            assert!(!has_email(text), "{text}");
        }
    }
}
