//! The fields of a form that is written like a query.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::{Members, fault};
use crate::codes;
use crate::ingest::answer::Rejection;

/// Reads `name=value&name=value`, percent-encoded, `+` for a blank. `max_events` is
/// `ingest.max_events`.
pub fn parse_form(form: &[u8], max_events: usize) -> Result<Members<'_>, Rejection> {
    let mut members = Members::default();
    for pair in form.split(|byte| *byte == b'&') {
        if pair.is_empty() {
            continue;
        }
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        members.add(decoded(name)?, decoded(value)?, max_events)?;
    }
    Ok(members)
}

fn decoded(text: &[u8]) -> Result<Cow<'_, str>, Rejection> {
    let blanks: Cow<'_, [u8]> = if memchr::memchr(b'+', text).is_some() {
        let blank = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
        text.iter().map(blank).collect::<Vec<u8>>().into()
    } else {
        text.into()
    };
    let bytes: Cow<'_, [u8]> = match blanks {
        Cow::Borrowed(text) => percent_decode(text).into(),
        Cow::Owned(text) => Cow::Owned(percent_decode(&text).collect()),
    };
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    text.ok_or_else(|| fault(codes::NOT_UTF8, "", "its fields must be UTF-8 when decoded"))
}
