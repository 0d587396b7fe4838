//! A server's words, fit to stand in an error.

use crate::secret::Secret;
use crate::text::is_hidden;

/// Characters that are shown.
const MAX_WORDS: usize = 200;
/// Characters that are looked at, so that some can be taken out.
const MAX_READ: usize = 1024;
/// So many characters in common with a secret are taken out.
const SHARED: usize = 8;

const REDACTED: &str = "[redacted]";

/// A colon and one line of at most [`MAX_WORDS`] characters, without control characters and without
/// a part of any of our secrets; empty where nothing is left.
pub(super) fn words(raw: &str, secrets: &[&Secret]) -> String {
    let seen: String = raw.chars().take(MAX_READ).collect();
    let seen = seen.split(|c: char| c.is_whitespace() || is_hidden(c));
    let seen: Vec<&str> = seen.filter(|word| !word.is_empty()).collect();
    let seen = seen.join(" ");
    let mut marks = vec![false; seen.len()];
    for secret in secrets.iter().map(|secret| secret.expose().as_bytes()) {
        // a secret that is shorter than that is looked for whole
        let part = secret.len().clamp(1, SHARED);
        for (at, piece) in seen.as_bytes().windows(part).enumerate() {
            if secret
                .windows(part)
                .any(|other| piece.eq_ignore_ascii_case(other))
            {
                marks[at..at + part].fill(true);
            }
        }
    }
    let mut clean = String::new();
    let mut inside = false;
    for (at, c) in seen.char_indices() {
        let is_marked = marks[at..at + c.len_utf8()].contains(&true);
        if !is_marked {
            clean.push(c);
        } else if !inside {
            clean.push_str(REDACTED);
        }
        inside = is_marked;
    }
    let clean: String = clean.chars().take(MAX_WORDS).collect();
    if clean.is_empty() {
        clean
    } else {
        format!(": {clean}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_on_one_line_and_without_secrets() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let url = secret("https://hooks.example/services/T0/B0canary12345");
        let (pass, empty) = (secret("hunter2"), secret(""));
        for (raw, want) in [
            ("", ""),
            (" \r\n\u{0}", ""),
            ("no_service", ": no_service"),
            ("two\r\nlines\u{1b}[31m\u{202e}", ": two lines [31m"),
            ("at /services/t0/b0canary12345 no", ": at [redacted] no"),
            ("bad B0canary", ": bad [redacted]"),
            // split by what nobody sees, it is in pieces too small to be of use
            ("xhunter2x", ": x[redacted]x"),
            ("hunter", ": hunter"),
        ] {
            assert_eq!(words(raw, &[&url, &pass, &empty]), want, "{raw:?}");
        }
        let long = words(&"é".repeat(5000), &[]);
        assert_eq!(long.chars().count(), MAX_WORDS + 2);
    }
}
