//! The fields of `user_data` whose values are hashed.

use std::ops::Range;

use smallvec::SmallVec;

use super::super::changes::{Change, Did};
use super::super::digest::{self, Arrived, Sha256Hex};
use super::super::field::Field;
use super::super::json::{self, Shape};
use super::super::look::Becomes;
use super::super::normalise::{Context, contact, identifier, trim};
use super::super::pii::Pii;
use super::super::reject::{EventError, path_of};
use super::super::work::Work;
use super::super::{ExternalId, MAX_LIST, firewall};
use super::PATH;
use crate::codes;

pub(super) const UNUSABLE: &str = "dropped: not a usable value of this field";
const MD5: &str = "dropped: an MD5 digest matches nobody, send the value or its SHA-256";
const OF_NOTHING: &str = "dropped: the digest of an empty string";
const LACKS_CODE: &str = "has no calling code that could be told for sure; it is hashed as it is, and matches only if it has one: write it as +49 151 …";
const PERSONAL_ID: &str = "looks like an e-mail address or a phone number, so it is hashed, though the source sends \
     external ids in clear";

/// What is sent of one value of a hashed field.
enum Sent<'t> {
    /// As it arrived.
    Digest(Sha256Hex),
    /// The digest of this normal form.
    Hashed(&'t str),
    /// An external id of a source that sends them in clear.
    Clear(&'t str),
}

impl Sent<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Digest(digest) => {
                out.push(b'"');
                out.extend_from_slice(digest.as_bytes());
                out.push(b'"');
            }
            Self::Hashed(normal) => {
                out.push(b'"');
                out.extend_from_slice(&digest::hex_of(normal));
                out.push(b'"');
            }
            Self::Clear(text) => json::write_text(out, text),
        }
    }
}

/// What is to be said about a field once it is written.
#[derive(Default)]
pub(super) struct Remarks {
    /// Why a value was dropped.
    pub(super) dropped: Option<&'static str>,
    /// What was done to any of the values.
    pub(super) did: Did,
    lacks_code: bool,
    personal_id: bool,
}

impl Remarks {
    pub(super) fn make(self, (index, field): (usize, &Field), work: &mut Work<'_>) {
        work.marks.add_all(self.did, index);
        let path = || path_of(PATH, field.key);
        if let Some(reason) = self.dropped {
            work.warn(path(), codes::DROPPED, reason);
        }
        if self.lacks_code {
            work.warn(path(), codes::CALLING_CODE, LACKS_CODE);
        }
        if self.personal_id {
            work.warn(path(), codes::HASHED, PERSONAL_ID);
        }
    }
}

/// Writes the digests of all the values given for a field; says whether there are any.
pub(super) fn write(
    field: &Field,
    values: &[Pii<'_>],
    context: &Context,
    remarks: &mut Remarks,
    buffer: &mut String,
    out: &mut Vec<u8>,
) -> Result<bool, EventError> {
    let flawed = |flaw: json::Flaw| flaw.at(&path_of(PATH, field.key));
    // where the values stand in `out`
    let mut all: SmallVec<[Range<usize>; 4]> = SmallVec::new();
    let mut take = |scalar: Option<&str>| match sent(field, scalar, context, remarks, buffer) {
        Ok(sent) => {
            let before = out.len();
            out.push(if all.is_empty() { b'[' } else { b',' });
            let start = out.len();
            sent.write(out);
            let value = start..out.len();
            let is_same =
                |earlier: &Range<usize>| out.get(earlier.clone()) == out.get(value.clone());
            if all.iter().any(is_same) {
                out.truncate(before);
                remarks.did.add(Change::Merged);
            } else {
                all.push(value);
            }
        }
        Err(reason) => remarks.dropped = Some(reason),
    };
    for value in values {
        let raw = value.open();
        if let Some(text) = json::only_text(raw) {
            take(Some(text));
        } else if json::shape(raw) == Shape::List {
            for element in json::elements(raw, MAX_LIST).map_err(flawed)? {
                take(json::scalar(element).map_err(flawed)?.as_deref());
            }
        } else {
            take(json::scalar(raw).map_err(flawed)?.as_deref());
        }
    }
    if all.is_empty() {
        remarks.dropped = remarks.dropped.or(Some(UNUSABLE));
        return Ok(false);
    }
    out.push(b']');
    Ok(true)
}

/// What a person may see of one value.
pub(super) fn look(field: &Field, raw: &str, context: &Context, buffer: &mut String) -> Becomes {
    let Ok(scalar) = json::scalar(raw) else {
        return Becomes::Dropped(UNUSABLE);
    };
    let mut remarks = Remarks::default();
    match sent(field, scalar.as_deref(), context, &mut remarks, buffer) {
        Ok(Sent::Digest(digest)) => Becomes::digest(digest.as_str()),
        Ok(Sent::Hashed(normal)) => match Sha256Hex::of(normal) {
            Some(digest) => Becomes::hashed(field.key, normal, digest.as_str()),
            None => Becomes::Dropped(UNUSABLE),
        },
        Ok(Sent::Clear(text)) => Becomes::Clear(text.chars().count()),
        Err(reason) => Becomes::Dropped(reason),
    }
}

/// What is sent of one value, or why nothing is; none is no text.
fn sent<'t>(
    field: &Field,
    scalar: Option<&'t str>,
    context: &Context,
    remarks: &mut Remarks,
    buffer: &'t mut String,
) -> Result<Sent<'t>, &'static str> {
    let scalar = scalar.ok_or(UNUSABLE)?;
    let text = trim(scalar);
    let is_trimmed = text.len() != scalar.len();
    match digest::read(text) {
        Arrived::Digest(digest) => {
            remarks.did.add(Change::Digest);
            remarks.did.add_if(Change::Trimmed, is_trimmed);
            return Ok(Sent::Digest(digest));
        }
        Arrived::OfNothing => return Err(OF_NOTHING),
        Arrived::Plain => {}
    }
    // an external id of 32 hex digits is more likely a UUID
    if digest::is_md5(text) && field.key != "external_id" {
        return Err(MD5);
    }
    let is_clear = field.key == "external_id" && context.external_id == ExternalId::Raw;
    let (normal, lacks_code) = if is_clear && !text.is_empty() {
        if !firewall::is_personal(text) {
            remarks.did.add_if(Change::Trimmed, is_trimmed);
            return Ok(Sent::Clear(text));
        }
        remarks.personal_id = true;
        (identifier::joined(text, buffer), false)
    } else if field.key == "ph" {
        contact::number(text, context, buffer)
    } else {
        ((field.normalise)(text, context, buffer), false)
    };
    let normal = normal.filter(|normal| !normal.is_empty()).ok_or(UNUSABLE)?;
    remarks.lacks_code |= lacks_code;
    remarks.did.add(Change::Hashed);
    remarks.did.add_if(Change::Trimmed, is_trimmed);
    remarks.did.add_if(Change::Normalised, normal != text);
    Ok(Sent::Hashed(normal))
}
