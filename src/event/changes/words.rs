//! Changes in a sentence, with the reason.

use super::super::field;
use super::{
    CALLING_CODE, CURRENCY, Change, EVENT_ID, MILLISECONDS, MOVED, PERSONAL_ID, ROUNDED, VALUE,
};

/// What was done about a place, and why.
pub(super) fn why(place: usize, did: &[(Change, &str)]) -> String {
    let has = |change: Change| did.iter().any(|(one, _)| *one == change);
    let mut parts: Vec<String> = Vec::new();
    if has(Change::Alias) {
        parts.push("read from another name of it".to_owned());
    }
    if has(Change::Trimmed) {
        parts.push("trimmed".to_owned());
    }
    if has(Change::Normalised) {
        parts.push(normal_form(place).to_owned());
    }
    if has(Change::Merged) {
        parts.push("a value that came twice sent once".to_owned());
    }
    if has(Change::Hashed) {
        let then = if has(Change::Trimmed) || has(Change::Normalised) {
            "then hashed"
        } else {
            "hashed"
        };
        parts.push(format!(
            "{then}, since Meta matches the SHA-256 of the normal form"
        ));
    }
    if has(Change::Digest) {
        parts.push(
            "arrived hashed and passed as it was, since a digest must not be hashed twice"
                .to_owned(),
        );
    }
    let others = [
        (
            Change::Dropped,
            "a value was left out, since Meta has no use for it there",
        ),
        (Change::Added, added(place)),
        (
            Change::Redacted,
            "a personal value was blacked out, since it would have gone out in clear",
        ),
        (
            Change::Stripped,
            "left out, since it does not belong in such an event",
        ),
        (Change::Noted, noted(place)),
    ];
    for (_, words) in others.iter().filter(|(change, _)| has(*change)) {
        parts.push((*words).to_owned());
    }
    parts.join("; ").replace("; then ", ", then ")
}

/// How the normal form of a field comes about.
fn normal_form(place: usize) -> &'static str {
    match place {
        MILLISECONDS => "read as milliseconds, since Meta wants whole seconds",
        ROUNDED => "the fraction of a second cut off, since Meta wants whole seconds",
        MOVED => {
            "was a little ahead of the gateway’s clock and set to now, since Meta refuses a time to come"
        }
        VALUE => "written as a plain JSON number",
        CURRENCY => "upper-cased to its ISO 4217 code",
        _ => match field::at(place).map(|field| field.key) {
            Some("em" | "madid") => "lower-cased",
            Some("ph") => "reduced to its digits with the calling code",
            Some("fn" | "ln") => "lower-cased, without white space and punctuation",
            Some("ct") => "lower-cased, without white space, digits and punctuation",
            Some("st") => "lower-cased, or mapped to its code",
            Some("zp") => "lower-cased, without what Meta does not match by",
            Some("country") => "mapped to its two-letter code",
            Some("ge") => "reduced to its initial",
            Some("db") => "written as YYYYMMDD",
            Some("dobd" | "dobm" | "doby") => "written with all its digits",
            Some("fi" | "f5first" | "f5last") => "lower-cased and shortened",
            Some("external_id") => "lower-cased, without white space",
            _ => "brought to the form that Meta reads",
        },
    }
}

fn added(place: usize) -> &'static str {
    if place == EVENT_ID {
        return "made by the gateway from the content, so that a repeated event counts once";
    }
    match field::at(place).map(|field| field.key) {
        Some("fbc") => {
            "made by the gateway from the click id of the page’s URL, or taken from its cookie"
        }
        _ => "taken by the gateway from the browser’s request, since the event came without it",
    }
}

fn noted(place: usize) -> &'static str {
    match place {
        CALLING_CODE => {
            "no calling code could be told for sure, so it matches only if the number has one"
        }
        PERSONAL_ID => {
            "looked like an e-mail address or a phone number, so it was hashed, though its source sends external ids in clear"
        }
        _ => "passed as it was, though Meta may not read it there or not know the value",
    }
}
