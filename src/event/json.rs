//! Reading JSON by slices of the request body, and writing it to one buffer.
//!
//! Values stay raw text until their rule asks for them, so integers keep all their digits and
//! what is passed through is passed byte for byte.

mod outline;
mod scan;
mod vet;
mod words;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::reject::{EventError, path_of};
use super::{MAX_DEPTH, MAX_MEMBERS};
use crate::codes;

pub(super) use outline::{Part, outline};
use scan::Scan;
pub(super) use vet::vet;
pub(super) use words::any_of;

/// One member of an object: its key, and its value as raw JSON text.
pub(super) type Member<'a> = (Cow<'a, str>, &'a str);

/// The elements of a list as raw JSON text; most lists are short.
pub(super) type List<'a> = SmallVec<[&'a str; 4]>;

/// Why a piece of JSON cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Not JSON, half a surrogate pair, or a number beyond 64-bit floating point.
    Syntax,
    /// The key that an object has twice.
    Repeated(String),
    TooMany,
}

impl Flaw {
    /// The error for a flaw found at `path`.
    pub(super) fn at(&self, path: &str) -> EventError {
        let own = path.to_owned();
        match self {
            Self::Syntax => EventError::new(
                codes::MALFORMED,
                own,
                "must be valid JSON: whole surrogate pairs, finite numbers",
                "{\"event_name\":\"Lead\"}",
            ),
            Self::Repeated(key) => EventError::new(
                codes::REPEATED_KEY,
                path_of(path, key),
                "a key may occur only once in its object",
                "{\"value\":1}",
            ),
            Self::TooMany => EventError::new(
                codes::TOO_MANY,
                own,
                "at most 256 members in an object, 10,000 entries in a list, 256 in a user_data list",
                "[\"sku-1\"]",
            ),
        }
    }
}

/// What kind of value raw JSON text is; it is decided by the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Bool(bool),
    Null,
    List,
    Object,
}

pub(super) fn shape(raw: &str) -> Shape {
    match raw.as_bytes().first() {
        Some(b'"') => Shape::Text,
        Some(b'{') => Shape::Object,
        Some(b'[') => Shape::List,
        Some(b't') => Shape::Bool(true),
        Some(b'f') => Shape::Bool(false),
        Some(b'n') | None => Shape::Null,
        Some(_) => Shape::Number,
    }
}

/// Whether `text` nests lists and objects at most [`MAX_DEPTH`] deep. It does not recurse.
pub(super) fn is_shallow(text: &str) -> bool {
    // small sums of small chunks, which the compiler turns into vector code
    let opens = |chunk: &[u8]| -> u8 { chunk.iter().map(|b| u8::from(*b & 0xdf == b'[')).sum() };
    let chunks = text.as_bytes().chunks(128);
    if chunks.map(|chunk| usize::from(opens(chunk))).sum::<usize>() <= MAX_DEPTH {
        return true;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// The members of an object, in order; an error when it is not one.
pub(super) fn members(text: &str) -> Result<Vec<Member<'_>>, Flaw> {
    let mut members = Vec::new();
    read_members(text, &mut members)?;
    Ok(members)
}

/// As [`members`], in place of what `members` held before.
pub(super) fn read_members<'a>(text: &'a str, members: &mut Vec<Member<'a>>) -> Result<(), Flaw> {
    members.clear();
    let mut scan = Scan::new(text);
    if scan.members(members).is_some() && scan.is_at_end() {
        return Ok(());
    }
    members.clear();
    parse_members(text, members)
}

fn parse_members<'a>(text: &'a str, members: &mut Vec<Member<'a>>) -> Result<(), Flaw> {
    let mut flaw = Flaw::Syntax;
    let mut json = serde_json::Deserializer::from_str(text);
    let visitor = Members {
        members,
        flaw: &mut flaw,
    };
    match json.deserialize_map(visitor) {
        Ok(()) if json.end().is_ok() => Ok(()),
        _ => Err(flaw),
    }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// How many members an object has room for at first.
const USUAL_MEMBERS: usize = 16;

struct Members<'f, 'de> {
    members: &'f mut Vec<Member<'de>>,
    flaw: &'f mut Flaw,
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { members, flaw } = self;
        while let Some(Key(key)) = map.next_key()? {
            if members.len() == MAX_MEMBERS {
                *flaw = Flaw::TooMany;
                return Err(A::Error::custom(""));
            }
            if members.iter().any(|(earlier, _)| same(earlier, &key)) {
                *flaw = Flaw::Repeated(key.into_owned());
                return Err(A::Error::custom(""));
            }
            if members.is_empty() {
                members.reserve(USUAL_MEMBERS);
            }
            let value: &RawValue = map.next_value()?;
            members.push((key, value.get()));
        }
        Ok(())
    }
}

/// Whether two keys are equal; most differ in length or in their last byte.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.as_bytes().last() == b.as_bytes().last() && a == b
}

/// The elements of a list, at most `bound`; an error when it is not one.
pub(super) fn elements(text: &str, bound: usize) -> Result<List<'_>, Flaw> {
    if let Some(element) = only_string(text).filter(|_| bound > 0) {
        return Ok(SmallVec::from_slice(&[element]));
    }
    let mut scan = Scan::new(text);
    match scan.elements(bound) {
        Some(elements) if scan.is_at_end() => Ok(elements),
        _ => parse_elements(text, bound),
    }
}

fn parse_elements(text: &str, bound: usize) -> Result<List<'_>, Flaw> {
    let mut json = serde_json::Deserializer::from_str(text);
    match json.deserialize_seq(Elements(bound)) {
        Ok(Some(list)) if json.end().is_ok() => Ok(list),
        Ok(None) => Err(Flaw::TooMany),
        _ => Err(Flaw::Syntax),
    }
}

/// The element of a list of one string in which nothing is escaped, as most values of `user_data`
/// come.
fn only_string(text: &str) -> Option<&str> {
    let element = text.strip_prefix('[')?.strip_suffix(']')?;
    let inner = element.strip_prefix('"')?.strip_suffix('"')?;
    (!words::needs_escape(inner.as_bytes())).then_some(element)
}

struct Elements(usize);

impl<'de> Visitor<'de> for Elements {
    type Value = Option<List<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = List::new();
        let mut fits = true;
        while let Some(element) = list.next_element::<&RawValue>()? {
            if elements.len() < self.0 {
                elements.push(element.get());
            } else {
                fits = false;
            }
        }
        Ok(fits.then_some(elements))
    }
}

/// Calls `each` with the members of every object of a list, which may have `bound` elements; says
/// whether it is a list of objects only. What it says counts only then, and without a flaw; some
/// may be given twice.
pub(super) fn objects<'a>(
    text: &'a str,
    bound: usize,
    each: &mut impl FnMut(&[Member<'a>]) -> Result<(), Flaw>,
) -> Result<bool, Flaw> {
    let mut members = Vec::new();
    let mut scan = Scan::new(text);
    let mut count = 0;
    let is_done = scan.list(|scan| {
        count += 1;
        members.clear();
        scan.members(&mut members).filter(|()| count <= bound)?;
        each(&members).ok()
    });
    if is_done.is_some() && scan.is_at_end() {
        return Ok(true);
    }
    // something is unusual
    for object in elements(text, bound)? {
        if shape(object) != Shape::Object {
            return Ok(false);
        }
        read_members(object, &mut members)?;
        each(&members)?;
    }
    Ok(true)
}

/// The text of a JSON string.
pub(super) fn text(raw: &str) -> Result<Cow<'_, str>, Flaw> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or(Flaw::Syntax)?;
    if any_of(inner.as_bytes(), [b'\\']) {
        let text: String = serde_json::from_str(raw).map_err(|_| Flaw::Syntax)?;
        Ok(Cow::Owned(text))
    } else {
        Ok(Cow::Borrowed(inner))
    }
}

/// The text of a string, or the digits of an integer; `None` for any other value.
pub(super) fn scalar(raw: &str) -> Result<Option<Cow<'_, str>>, Flaw> {
    match shape(raw) {
        Shape::Text => text(raw).map(Some),
        Shape::Number if is_integer(raw) => Ok(Some(Cow::Borrowed(raw))),
        _ => Ok(None),
    }
}

/// Whether the text of a number has neither fraction nor exponent.
pub(super) fn is_integer(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the text of a JSON number stands for a finite value. Without an exponent it takes more
/// than 300 digits not to.
pub(super) fn is_finite(number: &str) -> bool {
    let is_plain = |b: u8| matches!(b, b'0'..=b'9' | b'.' | b'-');
    number.len() <= 300 && number.bytes().all(is_plain)
        || number.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Writes a string with its quotes.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    if words::needs_escape(text.as_bytes()) {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..b' ' => {
                    out.extend_from_slice(b"\\u00");
                    out.push(HEX[usize::from(byte >> 4)]);
                    out.push(HEX[usize::from(byte & 15)]);
                }
                _ => out.push(byte),
            }
        }
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

/// As [`write_key`], for a name of ours, in which there is nothing to escape.
pub(super) fn write_name(out: &mut Vec<u8>, name: &'static str) {
    debug_assert!(
        name.bytes()
            .all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'0'..=b'9'))
    );
    if !matches!(out.last(), Some(b'{') | None) {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Writes `"key":`, with a comma before it unless it opens the object.
pub(super) fn write_key(out: &mut Vec<u8>, key: &str) {
    if !matches!(out.last(), Some(b'{') | None) {
        out.push(b',');
    }
    write_text(out, key);
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_raw_text() {
        let text = r#" { "a\u0062": 12345678901234567890123 , "c":[1, 2] } "#;
        let found = members(text).unwrap();
        assert_eq!(found[0], (Cow::from("ab"), "12345678901234567890123"));
        assert_eq!(found[1], (Cow::from("c"), "[1, 2]"));
        assert_eq!(
            members(r#"{"a":1,"\u0061":2}"#),
            Err(Flaw::Repeated("a".into()))
        );
        for bad in ["[]", "{", "{}x", r#"{"\ud800":1}"#, ""] {
            assert_eq!(members(bad), Err(Flaw::Syntax), "{bad}");
        }
    }

    #[test]
    fn depth_is_measured_without_recursion() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(is_shallow(&nested(MAX_DEPTH)));
        assert!(!is_shallow(&nested(MAX_DEPTH + 1)));
        assert!(!is_shallow(&nested(100_000)));
        let wide = format!("[{}]", vec!["[]"; 500].join(","));
        assert!(is_shallow(&wide));
        let quoted = format!("\"{}\\\"{}\"", "[".repeat(50), "{".repeat(50));
        assert!(is_shallow(&quoted));
    }

    #[test]
    fn text_round_trips() {
        for text in ["", "plain", "q\"b\\n\n\r\t\u{1}\u{1f}é\u{2028}"] {
            let mut out = Vec::new();
            write_text(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
