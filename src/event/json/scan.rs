//! The fast way through JSON in which nothing is unusual.
//!
//! It only says where values begin and end, in text that is surely valid. Whatever it is not sure
//! about it leaves to serde_json: what is no JSON, and keys that have escapes or come twice. So all
//! errors are serde_json's, and all that has to be right here is what is taken; a test compares
//! that with serde_json.

use std::borrow::Cow;

use super::words::plain_bytes;
use super::{List, Member, USUAL_MEMBERS, same};
use crate::event::{MAX_DEPTH, MAX_MEMBERS};

/// A place in a text, before which everything was valid.
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            match self.peek()? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Steps over the next byte that is no white space, if it is this one.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next_token()? == byte).then(|| self.at += 1)
    }

    /// Whether nothing is left but white space.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.next_token().is_none()
    }

    /// What kind of value is next, by its first byte.
    pub(super) fn first_byte(&mut self) -> Option<u8> {
        self.next_token()
    }

    /// Calls `each` with every key of an object, to read the value behind it.
    pub(super) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.next_token()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            if self.next_token()? != b'"' {
                return None;
            }
            let key = self.key()?;
            self.take(b':')?;
            each(self, key)?;
            match self.next_token()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Calls `each` at every value of a list, to read it.
    pub(super) fn list(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.next_token()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            each(self)?;
            match self.next_token()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// The members of an object; none when one is unusual.
    pub(super) fn members(&mut self, members: &mut Vec<Member<'a>>) -> Option<()> {
        self.object(|scan, key| {
            let is_known = members.iter().any(|(earlier, _)| same(earlier, key));
            if is_known || members.len() == MAX_MEMBERS {
                return None;
            }
            if members.is_empty() {
                members.reserve(USUAL_MEMBERS);
            }
            members.push((Cow::Borrowed(key), scan.value()?));
            Some(())
        })
    }

    /// The elements of a list, at most `bound`.
    pub(super) fn elements(&mut self, bound: usize) -> Option<List<'a>> {
        let mut elements = List::new();
        self.list(|scan| {
            elements.push(scan.value()?);
            (elements.len() <= bound).then_some(())
        })?;
        Some(elements)
    }

    /// The raw text of the next value.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let first = self.next_token()?;
        let start = self.at;
        self.skip(first, 0)?;
        self.text.get(start..self.at)
    }

    /// Steps over a value with this first byte.
    fn skip(&mut self, first: u8, depth: usize) -> Option<()> {
        match first {
            b'"' => {
                self.at = string_end(self.text.as_bytes(), self.at + 1)?;
                Some(())
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            // the event as a whole is not deeper
            _ if depth > MAX_DEPTH => None,
            b'{' => self.object(|scan, _| {
                let first = scan.next_token()?;
                scan.skip(first, depth + 1)
            }),
            b'[' => self.list(|scan| {
                let first = scan.next_token()?;
                scan.skip(first, depth + 1)
            }),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes())
            .then(|| self.at += word.len())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let starts_with_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (starts_with_zero && whole > 1) {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return None;
            }
        }
        Some(())
    }

    /// Steps over a key; gives its text.
    fn key(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let end = start + plain_bytes(bytes.get(start..)?);
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }
}

/// The place behind the closing quote of a string, from that behind its opening quote. Halves of
/// surrogate pairs are not looked for: who reads the text does that.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += plain_bytes(bytes.get(at..)?);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += escape(bytes.get(at + 1..)?)?,
            // a control character
            _ => return None,
        }
    }
}

/// The length of an escape with its backslash, from what is behind that.
fn escape(rest: &[u8]) -> Option<usize> {
    match rest.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => {
            let digits = rest.get(1..5)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(6)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// JSON of many kinds, some of it broken.
    fn json() -> impl Strategy<Value = String> {
        let text =
            "([a-zé@ ]{0,12}|\\\\[\"\\\\/bfnrtux]|\\\\u[0-9a-f]{4}|\\\\ud83d|[\n\u{1}\u{7f}])";
        let string = proptest::collection::vec(text, 0..4)
            .prop_map(|parts| format!("\"{}\"", parts.concat()));
        let leaf = prop_oneof![
            4 => string.clone(),
            2 => "-?[0-9]{1,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
            1 => "(true|false|null|nul|tru|\\+1|\\.5|'a'|)",
        ];
        let space = "[ \n\t\r]{0,1}";
        leaf.prop_recursive(4, 32, 5, move |inner| {
            let list = proptest::collection::vec((inner.clone(), space), 0..5).prop_map(|items| {
                let items: Vec<String> = items.into_iter().map(|(a, b)| a + &b).collect();
                format!("[{}]", items.join(","))
            });
            let key = prop_oneof!["\"[a-c]{1,2}\"", string.clone()];
            let object = proptest::collection::vec((key, space, inner), 0..5).prop_map(|items| {
                let items: Vec<String> = items
                    .into_iter()
                    .map(|(a, b, c)| format!("{a}{b}:{b}{c}"))
                    .collect();
                format!("{{{}}}", items.join(","))
            });
            prop_oneof![list, object]
        })
    }

    /// The same with a byte taken out, or another put in.
    fn broken() -> impl Strategy<Value = String> {
        (
            json(),
            any::<prop::sample::Index>(),
            "[\\[\\]{},:\"0 \\\\]{0,1}",
        )
            .prop_map(|(text, at, with)| {
                let mut chars: Vec<char> = text.chars().collect();
                if !chars.is_empty() {
                    let at = at.index(chars.len());
                    chars.splice(at..=at, with.chars());
                }
                chars.into_iter().collect()
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_taken_is_what_serde_json_takes(text in prop_oneof![json(), broken()]) {
            let raw = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
            let mut scan = Scan::new(&text);
            let value = scan.value().filter(|_| scan.is_at_end());
            if value.is_some() {
                prop_assert_eq!(value, raw);
            } else if raw.is_some() {
                // only keys with escapes are left to serde_json
                prop_assert!(text.contains('\\'), "{text}");
            }
            let mut members = Vec::new();
            let mut scan = Scan::new(&text);
            if scan.members(&mut members).is_some() && scan.is_at_end() {
                let mut slow = Vec::new();
                prop_assert!(super::super::parse_members(&text, &mut slow).is_ok());
                prop_assert_eq!(members, slow);
            }
            let mut scan = Scan::new(&text);
            let elements = scan.elements(3).filter(|_| scan.is_at_end());
            if let Some(elements) = elements {
                let slow = super::super::parse_elements(&text, 3);
                prop_assert_eq!(slow, Ok(elements));
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = "[".repeat(100_000);
        assert_eq!(Scan::new(&nested).value(), None);
    }
}
