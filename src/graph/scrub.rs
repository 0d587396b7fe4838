//! Takes our own secrets, and what tells who an event is about, out of a server's words, before
//! anyone else may hold them.

use std::fmt;

use crate::text::is_hidden;

/// Characters of a [`Text`].
pub const MAX_TEXT: usize = 300;

/// Characters of the server's words that are looked at: enough to fill a [`Text`] after some
/// of them are taken out.
const MAX_READ: usize = 1024;

/// So many consecutive characters in common with a secret are taken out.
const SHARED: usize = 12;

/// How often `%25` may stand for the `%` of a percent-encoded secret.
const MAX_DECODED: usize = 3;

/// Letters and digits behind `EAA`, or characters behind an app id and its bar, from which on a
/// word is taken for a token, though it is none of this request.
const TOKEN_TAIL: usize = 16;

/// Digits from which on a number behind a plus is a phone number.
const PHONE_DIGITS: usize = 7;

const REDACTED: &str = "[redacted]";

/// Words of Graph: one line, at most [`MAX_TEXT`] characters, no control characters, and not a
/// part of a secret of the request; nothing that looks like a token, no e-mail address, and no
/// phone number that begins with a plus. Localised: for people, never to decide by. Only the room
/// `graph` makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secrets of one request, borrowed for as long as its answer is read.
pub(crate) struct Scrubber<'a>(Vec<&'a [u8]>);

/// One byte of a text, decoded or not, and where in the text it stands.
#[derive(Clone, Copy)]
struct Byte {
    value: u8,
    from: usize,
    to: usize,
}

impl<'a> Scrubber<'a> {
    pub(crate) fn new(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let bytes = secrets.into_iter().map(str::as_bytes);
        Self(bytes.filter(|secret| !secret.is_empty()).collect())
    }

    /// The words without secrets and personal data; none if nothing is left to read.
    pub(super) fn text(&self, raw: &str) -> Option<Text> {
        let seen = seen(raw);
        let marks = self.marks(seen.as_bytes(), true);
        let mut clean = String::new();
        let mut inside = false;
        for (at, c) in seen.char_indices() {
            let marked = marks[at..at + c.len_utf8()].contains(&true);
            if !marked {
                clean.push(c);
            } else if !inside {
                clean.push_str(REDACTED);
            }
            inside = marked;
        }
        let text: String = clean.trim().chars().take(MAX_TEXT).collect();
        (!text.is_empty()).then_some(Text(text))
    }

    /// Whether part of a secret stands in `raw`.
    pub(super) fn finds(&self, raw: &str) -> bool {
        self.marks(seen(raw).as_bytes(), false).contains(&true)
    }

    /// Which bytes belong to a secret or, if asked for, to personal data, as it is or
    /// percent-encoded.
    fn marks(&self, text: &[u8], personal: bool) -> Vec<bool> {
        let mut marks = vec![false; text.len()];
        let mut bytes: Vec<Byte> = (text.iter().enumerate())
            .map(|(at, value)| Byte {
                value: *value,
                from: at,
                to: at + 1,
            })
            .collect();
        for _ in 0..=MAX_DECODED {
            for secret in &self.0 {
                // a secret that is shorter than that is looked for whole
                let part = secret.len().min(SHARED);
                for piece in bytes.windows(part) {
                    if secret.windows(part).any(|other| same(piece, other)) {
                        marks[piece[0].from..piece[part - 1].to].fill(true);
                    }
                }
            }
            if personal {
                mark_tokens(&bytes, &mut marks);
                mark_personal(&bytes, &mut marks);
            }
            let decoded = decode(&bytes);
            if decoded.len() == bytes.len() {
                break;
            }
            bytes = decoded;
        }
        marks
    }
}

/// What is read of a text: no control characters, and none that hide or turn others around, which
/// could also stand between the letters of a secret.
fn seen(raw: &str) -> String {
    raw.chars()
        .filter(|c| !is_hidden(*c))
        .take(MAX_READ)
        .collect()
}

/// Marks what has the shape of somebody's token: `EAA…`, or an app id, a bar and a secret.
fn mark_tokens(bytes: &[Byte], marks: &mut [bool]) {
    let run = |bytes: &[Byte], also: &[u8]| {
        let part = |byte: &&Byte| byte.value.is_ascii_alphanumeric() || also.contains(&byte.value);
        bytes.iter().take_while(part).count()
    };
    for (at, byte) in bytes.iter().enumerate() {
        let (first, tail) = match byte.value {
            b'E' if bytes[at..].iter().take(3).map(|b| b.value).eq(*b"EAA") => {
                (at, run(&bytes[at..], b"").saturating_sub(3))
            }
            b'|' => {
                let id = bytes[..at].iter().rev();
                let id = id.take_while(|b| b.value.is_ascii_digit()).count();
                if id == 0 {
                    continue;
                }
                (at - id, run(&bytes[at + 1..], b"-_"))
            }
            _ => continue,
        };
        if tail >= TOKEN_TAIL {
            let last = if byte.value == b'|' {
                at + tail
            } else {
                at + 2 + tail
            };
            marks[bytes[first].from..bytes[last].to].fill(true);
        }
    }
}

/// Marks e-mail addresses, and phone numbers with a plus: other digits may as well be an id that a
/// person needs to see.
fn mark_personal(bytes: &[Byte], marks: &mut [bool]) {
    let is_word = |byte: &&Byte| {
        byte.value.is_ascii_alphanumeric() || byte.value >= 0x80 || b"._+-'".contains(&byte.value)
    };
    for (at, byte) in bytes.iter().enumerate() {
        let (before, after) = (&bytes[..at], &bytes[at + 1..]);
        let (first, last) = match byte.value {
            b'@' => {
                let left = before.iter().rev().take_while(is_word).count();
                let right = after.iter().take_while(is_word).count();
                if left == 0 || right == 0 {
                    continue;
                }
                (at - left, at + right)
            }
            b'+' => {
                let number = after
                    .iter()
                    .take_while(|b| b.value.is_ascii_digit() || b" -.()/".contains(&b.value));
                let digits: Vec<usize> = number
                    .enumerate()
                    .filter(|(_, byte)| byte.value.is_ascii_digit())
                    .map(|(place, _)| place)
                    .collect();
                match digits.last() {
                    Some(last) if digits.len() >= PHONE_DIGITS => (at, at + 1 + last),
                    _ => continue,
                }
            }
            _ => continue,
        };
        marks[bytes[first].from..bytes[last].to].fill(true);
    }
}

fn same(piece: &[Byte], other: &[u8]) -> bool {
    (piece.iter().zip(other)).all(|(byte, other)| byte.value.eq_ignore_ascii_case(other))
}

fn decode(bytes: &[Byte]) -> Vec<Byte> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        if let (b'%', [high, low, after @ ..]) = (first.value, after)
            && let (Some(h), Some(l)) = (digit(*high), digit(*low))
        {
            decoded.push(Byte {
                value: h << 4 | l,
                from: first.from,
                to: low.to,
            });
            rest = after;
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    decoded
}

fn digit(byte: Byte) -> Option<u8> {
    let digit = char::from(byte.value).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;

    const TOKEN: &str = "EAAB|canary/0123456789+abcdefghij=";
    const APP_SECRET: &str = "5ec2e7c0ffee5ec2e7c0ffee";

    fn scrub(raw: &str) -> Option<String> {
        let (token, app) = (
            Secret::new(TOKEN.to_owned()),
            Secret::new(APP_SECRET.to_owned()),
        );
        let secrets = [token.expose(), app.expose(), "ab12cd34ef56ab12cd34ef56"];
        let text = Scrubber::new(secrets).text(raw);
        text.map(|text| text.as_str().to_owned())
    }

    #[test]
    fn secrets_are_taken_out_and_the_rest_is_kept() {
        for (raw, want) in [
            ("Invalid parameter", "Invalid parameter"),
            (
                "bad token EAAB|canary/0123456789+abcdefghij= here",
                "bad token [redacted] here",
            ),
            // a part of it, within other letters
            ("xxcanary/01234xx", "xx[redacted]xx"),
            // eleven characters are no secret
            ("canary/0123", "canary/0123"),
            (
                "access_token=EAAB%7Ccanary%2F0123456789%2Babcdefghij%3D&x=1",
                "access_token=[redacted]&x=1",
            ),
            ("EAAB%7ccanary%2f0123456789", "[redacted]"),
            ("EAAB%257Ccanary%252F0123456789", "[redacted]"),
            ("%45%41%41%42%7C%63%61%6E%61%72%79%2F%30", "[redacted]"),
            ("EAAB|can\u{0}ary\n/012\u{200b}3456789", "[redacted]"),
            ("é5EC2E7C0FFEE5ec2e7c0ffeeé", "é[redacted]é"),
            (
                "proof ab12cd34ef56ab12cd34ef56, key 5ec2e7c0ffee",
                "proof [redacted], key [redacted]",
            ),
            (" 100 % of %zz and %", "100 % of %zz and %"),
            ("line\r\n\u{1b}[31mred\u{202e}", "line[31mred"),
        ] {
            assert_eq!(scrub(raw).as_deref(), Some(want), "{raw:?}");
        }
        assert_eq!(scrub("\u{0}\n \u{feff}"), None);
        assert_eq!(scrub(&"é".repeat(5000)).unwrap().chars().count(), MAX_TEXT);
    }

    #[test]
    fn what_looks_like_a_token_is_taken_out() {
        for (raw, want) in [
            (
                "Malformed access token EAAx0123456789abcdefg.",
                "Malformed access token [redacted].",
            ),
            ("token=EAA%780123456789abcdefg&x=1", "token=[redacted]&x=1"),
            (
                "app 1234567890|0123456789abcdef-_ is wrong",
                "app [redacted] is wrong",
            ),
            ("app 1234567890%7C0123456789abcdef", "app [redacted]"),
            // too short, and no id
            (
                "EAAx01234 and 12|34, a|0123456789abcdef",
                "EAAx01234 and 12|34, a|0123456789abcdef",
            ),
            ("EAA", "EAA"),
        ] {
            assert_eq!(scrub(raw).as_deref(), Some(want), "{raw:?}");
        }
    }

    #[test]
    fn personal_data_is_taken_out_and_ids_are_kept() {
        for (raw, want) in [
            (
                "value jane.doe+shop@example.com is not hashed",
                "value [redacted] is not hashed",
            ),
            ("em=jane%40example.com&x=1", "em=[redacted]&x=1"),
            ("em=jane%2540example.com", "em=[redacted]"),
            ("jörg@exämple.de, then", "[redacted], then"),
            ("call +49 (30) 123-4567!", "call [redacted]!"),
            ("ph %2B4930123456", "ph [redacted]"),
            // no address, no phone number, and an id that is needed
            ("a @ b, 5+3 and +12", "a @ b, 5+3 and +12"),
            (
                "Object with ID '1234567890123456' does not exist",
                "Object with ID '1234567890123456' does not exist",
            ),
        ] {
            assert_eq!(scrub(raw).as_deref(), Some(want), "{raw:?}");
        }
    }

    #[test]
    fn a_short_secret_is_found_whole_and_an_empty_one_nowhere() {
        let scrubber = Scrubber::new(["hunter2", ""]);
        assert_eq!(scrubber.text("xhunter2x").unwrap().as_str(), "x[redacted]x");
        assert!(!scrubber.finds("hunter"));
    }

    fn encoded(text: &str) -> String {
        let escapes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        escapes.concat()
    }

    proptest! {
        #[test]
        fn no_text_shares_twelve_characters_with_the_token(
            pieces in prop::collection::vec((0..TOKEN.len(), 0..TOKEN.len(), ".{0,3}", any::<bool>()), 0..30),
        ) {
            let mut raw = String::new();
            for (from, to, other, escape) in pieces {
                let part = &TOKEN[from.min(to)..from.max(to)];
                if escape {
                    raw.push_str(&encoded(part));
                } else {
                    raw.push_str(part);
                }
                raw.push_str(&other);
            }
            let clean = scrub(&raw).unwrap_or_default();
            for piece in TOKEN.as_bytes().windows(SHARED) {
                let piece = std::str::from_utf8(piece).unwrap();
                let encoded = encoded(piece);
                prop_assert!(!clean.contains(piece), "{clean}");
                prop_assert!(!clean.contains(&encoded), "{clean}");
            }
        }
    }
}
