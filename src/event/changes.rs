//! What became of the fields of an event on its way from raw to hashed: which, how and why, and
//! none of their values.

mod words;

use std::fmt;

use serde::Serialize;
use smallvec::SmallVec;

use super::field;
use crate::codes::{self, Code};

/// What was done about a field. The letter stands for it on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// White space at its ends went.
    Trimmed,
    /// Brought to its normal form.
    Normalised,
    /// Hashed.
    Hashed,
    /// It arrived hashed, and passed as it was.
    Digest,
    /// A value was not usable.
    Dropped,
    /// Read from another name.
    Alias,
    /// The same value twice.
    Merged,
    /// The gateway put it in.
    Added,
    /// A personal value was blacked out.
    Redacted,
    /// It does not belong in such an event.
    Stripped,
    /// It passed, and something was to be said about it.
    Noted,
}

const CHANGES: [(Change, u8, &str); 11] = [
    (Change::Alias, b'y', "alias"),
    (Change::Trimmed, b't', "trimmed"),
    (Change::Normalised, b'n', "normalised"),
    (Change::Hashed, b'h', "hashed"),
    (Change::Digest, b'k', "already_hashed"),
    (Change::Merged, b'm', "merged"),
    (Change::Dropped, b'x', "dropped"),
    (Change::Added, b'p', "added"),
    (Change::Redacted, b'r', "redacted"),
    (Change::Stripped, b's', "stripped"),
    (Change::Noted, b'w', "noted"),
];

/// Where something may change, one bit each. The fields of `user_data` come first, by their places in
/// their table; these stand from here on. Places are on disk: new ones go to the end.
const OTHERS_FROM: usize = 40;
const OTHERS: [&str; 19] = [
    "event_name",
    "event_time",
    "event_time",
    "event_time",
    "event_id",
    "event_source_url",
    "referrer_url",
    "custom_data.value",
    "custom_data.currency",
    "custom_data.order_id",
    "custom_data.content_ids",
    "custom_data.contents",
    "custom_data.*",
    "app_data",
    "user_data.*",
    "*",
    "data_processing_options",
    "user_data.ph",
    "user_data.external_id",
];

const MILLISECONDS: usize = OTHERS_FROM + 1;
const ROUNDED: usize = OTHERS_FROM + 2;
const MOVED: usize = OTHERS_FROM + 3;
pub(super) const EVENT_ID: usize = OTHERS_FROM + 4;
const VALUE: usize = OTHERS_FROM + 7;
const CURRENCY: usize = OTHERS_FROM + 8;
const CUSTOM_DATA: usize = OTHERS_FROM + 12;
const APP_DATA: usize = OTHERS_FROM + 13;
const USER_DATA: usize = OTHERS_FROM + 14;
const OTHER: usize = OTHERS_FROM + 15;
const OPTIONS: usize = OTHERS_FROM + 16;
const CALLING_CODE: usize = OTHERS_FROM + 17;
const PERSONAL_ID: usize = OTHERS_FROM + 18;

/// Bytes of the text of [`Changes`]: a letter and 16 digits for each.
const MAX_CHANGES_TEXT: usize = CHANGES.len() * 17;

/// What most texts fit in, without memory of their own.
const USUAL_TEXT: usize = 24;

/// A set of changes of one field, while it is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Did(u16);

impl Did {
    pub(super) fn add(&mut self, change: Change) {
        self.0 |= 1 << change as u16;
    }

    pub(super) fn add_if(&mut self, change: Change, is_so: bool) {
        self.0 |= u16::from(is_so) << change as u16;
    }
}

/// The changes of an event while it is worked on: a set of places for each change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks([u64; CHANGES.len()]);

impl Marks {
    /// Adds a change of these places, a bit each.
    pub(super) fn add(&mut self, change: Change, places: u64) {
        if let Some(set) = self.0.get_mut(change as usize) {
            *set |= places;
        }
    }

    /// Adds all changes of the place.
    pub(super) fn add_all(&mut self, did: Did, place: usize) {
        let mut left = did.0;
        while left != 0 {
            if let Some(set) = self.0.get_mut(left.trailing_zeros() as usize) {
                *set |= 1 << place;
            }
            left &= left - 1;
        }
    }

    /// A member of `custom_data` was rewritten.
    pub(super) fn custom_data(&mut self, key: &str) {
        self.add(Change::Normalised, 1 << custom_place(key));
    }

    /// Adds what a warning says.
    pub(super) fn warned(&mut self, path: &str, code: Code) {
        let (change, place) = match code {
            code if code == codes::ALIAS => (Change::Alias, None),
            code if code == codes::DROPPED || code == codes::UNKNOWN_KEY => (Change::Dropped, None),
            code if code == codes::REDACTED => (Change::Redacted, None),
            code if code == codes::STRIPPED => (Change::Stripped, None),
            code if code == codes::MILLISECONDS => (Change::Normalised, Some(MILLISECONDS)),
            code if code == codes::ROUNDED => (Change::Normalised, Some(ROUNDED)),
            code if code == codes::MOVED_TO_NOW => (Change::Normalised, Some(MOVED)),
            code if code == codes::CALLING_CODE => (Change::Noted, Some(CALLING_CODE)),
            code if code == codes::HASHED => (Change::Noted, Some(PERSONAL_ID)),
            code if code == codes::MISPLACED || code == codes::UNKNOWN_VALUE => {
                (Change::Noted, None)
            }
            _ => return,
        };
        let place = place.unwrap_or_else(|| place_of(path));
        self.add(change, 1 << place);
    }
}

fn place_of(path: &str) -> usize {
    if let Some(key) = path.strip_prefix("user_data.") {
        return field::read(key).unwrap_or(USER_DATA);
    }
    if let Some(key) = path.strip_prefix("custom_data.") {
        return custom_place(key);
    }
    if path.starts_with("app_data") {
        return APP_DATA;
    }
    if path.starts_with("data_processing_options") {
        return OPTIONS;
    }
    let known = OTHERS.iter().position(|known| *known == path);
    known.map_or(OTHER, |at| OTHERS_FROM + at)
}

fn custom_place(key: &str) -> usize {
    let known = OTHERS
        .iter()
        .position(|known| known.strip_prefix("custom_data.") == Some(key));
    known.map_or(CUSTOM_DATA, |at| OTHERS_FROM + at)
}

/// What became of the fields of an event. It has no values, and is cheap to clone. A short text
/// where it is kept: a letter for each change, and behind it, in hex, the places that it is about.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Changes(SmallVec<[u8; USUAL_TEXT]>);

/// What became of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Where, such as `user_data.em`.
    pub path: String,
    /// What was done, in stable words: `alias`, `trimmed`, `normalised`, `hashed`,
    /// `already_hashed`, `merged`, `dropped`, `added`, `redacted`, `stripped` or `noted`.
    pub did: Vec<&'static str>,
    /// The same in a sentence, with the reason.
    pub why: String,
}

impl Changes {
    pub(super) fn of(marks: &Marks) -> Self {
        let mut text = [0; MAX_CHANGES_TEXT];
        let mut len = 0;
        let mut put = |byte: u8| {
            if let Some(place) = text.get_mut(len) {
                *place = byte;
                len += 1;
            }
        };
        for (change, letter, _) in CHANGES {
            let set = marks.0.get(change as usize).copied().unwrap_or_default();
            if set == 0 {
                continue;
            }
            put(letter);
            let digits = (u64::BITS - set.leading_zeros()).div_ceil(4);
            for digit in (0..digits).rev() {
                let nibble = (set >> (digit * 4) & 15) as u8;
                put(nibble + if nibble < 10 { b'0' } else { b'a' - 10 });
            }
        }
        Self(text.get(..len).unwrap_or_default().into())
    }

    /// From what [`Changes::as_str`] gave; none where it is something else.
    pub(crate) fn of_record(text: &[u8]) -> Self {
        let is_ours = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (1..=MAX_CHANGES_TEXT).contains(&text.len()) && text.iter().all(is_ours);
        Self(if fits { text.into() } else { SmallVec::new() })
    }

    /// As it is kept: letters and digits. Empty when nothing is known.
    pub fn as_str(&self) -> &str {
        // it has letters and digits only
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What became of each field, in the order of Meta's table. What a later version has written and
    /// this one does not know is left out.
    pub fn fields(&self) -> Vec<FieldChange> {
        let sets = self.sets();
        let set = |change: Change| sets.get(change as usize).copied().unwrap_or_default();
        let one = |place: usize| {
            let path = path(place)?;
            let did: Vec<(Change, &'static str)> = (CHANGES.iter())
                .filter(|(change, ..)| set(*change) & 1 << place != 0)
                .map(|(change, _, word)| (*change, *word))
                .collect();
            let why = words::why(place, &did);
            (!did.is_empty()).then(|| FieldChange {
                path,
                did: did.into_iter().map(|(_, word)| word).collect(),
                why,
            })
        };
        (0..64).filter_map(one).collect()
    }

    fn sets(&self) -> [u64; CHANGES.len()] {
        let mut sets = [0; CHANGES.len()];
        let mut rest = self.as_str();
        while let Some(letter) = rest.bytes().next() {
            let digits = rest.get(1..).unwrap_or_default();
            let end = digits.find(|c: char| !c.is_ascii_hexdigit());
            let (hex, after) = digits.split_at(end.unwrap_or(digits.len()));
            rest = after;
            let change = CHANGES.iter().find(|(_, known, _)| *known == letter);
            let change = change.map(|(change, ..)| *change as usize);
            if let (Some(set), Ok(places)) = (
                change.and_then(|change| sets.get_mut(change)),
                u64::from_str_radix(hex, 16),
            ) {
                *set = places;
            }
        }
        sets
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes({})", self.as_str())
    }
}

fn path(place: usize) -> Option<String> {
    if let Some(field) = field::at(place) {
        return Some(format!("user_data.{}", field.key));
    }
    let other = OTHERS.get(place.checked_sub(OTHERS_FROM)?);
    other.map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{RawEvent, Rules};
    use crate::time::UnixMs;

    fn changes(json: &str) -> Changes {
        let now = UnixMs::from_secs(1_795_341_600);
        let event = RawEvent::parse(json).unwrap();
        let event = event.hash("7".parse().unwrap(), &Rules::default(), now);
        event.unwrap().encode().unwrap().changes().clone()
    }

    fn did(changes: &Changes) -> Vec<(String, String)> {
        let fields = changes.fields().into_iter();
        fields.map(|one| (one.path, one.did.join(" "))).collect()
    }

    #[test]
    fn each_field_says_what_was_done_and_why() {
        let digest = "0123456789abcdef".repeat(4);
        let all = changes(&format!(
            r#"{{"event_name":"Purchase","event_time":"1795341558123.5","action_source":"website",
            "user_data":{{"email":" Jane@Example.com ","ph":"+1 650 555 1212","fn":"jane","ln":["{digest}","{digest}"],
            "country":"Germany","zp":"","shoe":"42","fbp":" fb.1.1.2 "}},
            "custom_data":{{"value":"12.50","currency":"eur","note":"to john@example.com"}}}}"#
        ));
        let expected = [
            ("user_data.em", "alias trimmed normalised hashed"),
            ("user_data.ph", "normalised hashed"),
            ("user_data.fn", "hashed"),
            ("user_data.ln", "already_hashed merged"),
            ("user_data.zp", "dropped"),
            ("user_data.country", "normalised hashed"),
            ("user_data.fbp", "trimmed"),
            ("event_time", "normalised"),
            ("event_time", "normalised"),
            ("event_id", "added"),
            ("custom_data.value", "normalised"),
            ("custom_data.currency", "normalised"),
            ("custom_data.*", "redacted"),
            ("user_data.*", "dropped"),
        ];
        let expected = expected.map(|(path, did)| (path.to_owned(), did.to_owned()));
        assert_eq!(did(&all), expected);
        let why = &all.fields()[0].why;
        assert_eq!(
            why,
            "read from another name of it; trimmed; lower-cased, then hashed, since Meta matches the SHA-256 of the normal form"
        );
        assert!(!format!("{:?}", all.fields()).contains("ane"));
        assert!(all.as_str().len() < 90, "{all:?}");
    }

    #[test]
    fn a_usual_event_takes_few_bytes() {
        let json = r#"{"event_name":"Lead","event_time":1795341558,"event_id":"a","action_source":"website",
            "user_data":{"em":"Jane@Example.com","ph":"16505551212","fn":"jane","client_user_agent":"x"}}"#;
        assert_eq!(changes(json).as_str(), "n1h7");
    }

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else() {
        for text in ["n1h7", "hffffffffffffffff", "zffh1"] {
            let read = Changes::of_record(text.as_bytes());
            assert_eq!(read.as_str(), text);
            assert!(!read.fields().is_empty());
        }
        for text in ["", "N1", "h1\"", "é", "h 1"] {
            assert!(Changes::of_record(text.as_bytes()).is_empty(), "{text}");
        }
        assert!(Changes::of_record(&[b'a'; MAX_CHANGES_TEXT + 1]).is_empty());
        // a later version's letter, and digits that are none
        assert!(Changes::of_record(b"zffq1h").fields().is_empty());
        assert!(field::FIELD_COUNT <= OTHERS_FROM && OTHERS_FROM + OTHERS.len() <= 64);
        for (at, (change, ..)) in CHANGES.iter().enumerate() {
            let twice = CHANGES.iter().filter(|(other, ..)| other == change).count();
            assert!(twice == 1 && (*change as usize) < CHANGES.len(), "{at}");
        }
    }
}
