//! Every refusal and warning of the front door, by its stable word: one table for answers,
//! metrics, commands and the README.
//!
//! A [`Code`] is made here only, from a word of the table, and a word that has no row does not
//! compile. A row says in general words what is expected, shows an example and says what to do;
//! the answer itself adds where (the field path) and, of an event, which.
//!
//! Two kinds of words have tables of their own: the problems of the admin API
//! (`app::admin::problem`), and what Meta answers about tokens ([`crate::graph::oauth::catalogue`])
//! and about events ([`crate::graph::verdict`]).
//!
//! A new word is a row in one of the parts, and a constant below; the README's table follows
//! (`README=write cargo test --lib codes`), and `tests/it/wrong_inputs.rs` asks for an input
//! that leads to it.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Serialize, Serializer};

mod event;
mod pages;
mod request;
mod warning;

#[cfg(test)]
mod readme;

/// What a word is said about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A whole request is refused, and nothing of it was kept.
    Request,
    /// One event is refused; its neighbours are taken, unless the source is strict.
    Event,
    /// An event is taken, and its sender should know something about it.
    Warning,
    /// What the operator has set for a source or a pixel keeps an event or a request from going
    /// out.
    Policy,
}

impl About {
    /// The stable word: `request`, `event`, `warning` or `policy`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Event => "event",
            Self::Warning => "warning",
            Self::Policy => "policy",
        }
    }
}

/// What is known about a word.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The stable word: small letters, digits and `_`.
    pub word: &'static str,
    /// What it is said about; one word has one meaning, and may be said about several.
    pub about: &'static [About],
    /// The HTTP status of a request that is refused for it; 200 where nothing is refused. An event
    /// that is refused alone is answered with the status of [`EVENTS`].
    pub status: u16,
    /// Graph's code for the same thing, so that clients written for Graph act rightly; 0 where
    /// nothing is refused.
    pub graph: i64,
    /// Graph's subcode for the same thing, where Meta's answer is known.
    pub subcode: Option<u32>,
    /// Whether sending the same again later helps.
    pub is_transient: bool,
    /// What is expected, in general; never what was found.
    pub rule: &'static str,
    /// A made-up example of what passes.
    pub example: Option<&'static str>,
    /// What to do next.
    pub next: &'static str,
    /// Meta's page about it, where it is a rule of Meta's.
    pub meta: Option<&'static str>,
}

impl Row {
    /// A refusal with Graph's code 100 (invalid parameter) and HTTP status 400.
    const fn new(
        word: &'static str,
        about: &'static [About],
        rule: &'static str,
        next: &'static str,
    ) -> Self {
        Self {
            word,
            about,
            status: 400,
            graph: 100,
            subcode: None,
            is_transient: false,
            rule,
            example: None,
            next,
            meta: None,
        }
    }

    const fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    const fn graph(self, graph: i64) -> Self {
        Self { graph, ..self }
    }

    const fn sub(self, subcode: u32) -> Self {
        let subcode = Some(subcode);
        Self { subcode, ..self }
    }

    /// Graph's code 2 (service down for a while) with this HTTP status.
    const fn transient(self, status: u16) -> Self {
        Self {
            is_transient: true,
            ..self.status(status).graph(2)
        }
    }

    /// Nothing is refused for it.
    const fn taken(self) -> Self {
        self.status(200).graph(0)
    }

    const fn example(self, example: &'static str) -> Self {
        let example = Some(example);
        Self { example, ..self }
    }

    const fn meta(self, page: &'static str) -> Self {
        let meta = Some(page);
        Self { meta, ..self }
    }

    /// Whether it is said about such things.
    pub fn is_about(&self, about: About) -> bool {
        self.about.contains(&about)
    }
}

/// A word of the table. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Code(&'static Row);

static PARTS: [&[Row]; 3] = [request::ROWS, event::ROWS, warning::ROWS];

/// Every word, in the order of the documents.
pub fn all() -> impl Iterator<Item = Code> {
    PARTS.iter().copied().flatten().map(Code)
}

/// The code of a word, such as `too_old`.
pub fn find(word: &str) -> Option<Code> {
    all().find(|code| code.word() == word)
}

impl Code {
    /// The code of a word; one that has no row does not compile, since all calls are constants.
    const fn of(word: &str) -> Self {
        let mut part = 0;
        while part < PARTS.len() {
            let rows = PARTS[part];
            let mut at = 0;
            while at < rows.len() {
                if same(rows[at].word.as_bytes(), word.as_bytes()) {
                    return Self(&rows[at]);
                }
                at += 1;
            }
            part += 1;
        }
        panic!("no row of the table has this word")
    }

    /// The stable word, for answers, metric labels, logs and documents.
    pub fn word(self) -> &'static str {
        self.0.word
    }

    /// What is known about it.
    pub fn row(self) -> &'static Row {
        self.0
    }

    /// Where the README of this program has it: `README.md#code-too_old`.
    pub fn docs(self) -> Docs {
        Docs(self)
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.word() == other.word()
    }
}

impl Eq for Code {}

impl Hash for Code {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.word().hash(state);
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// Where a word is documented: the README and the anchor in it.
#[derive(Clone, Copy, Debug)]
pub struct Docs(Code);

impl fmt::Display for Docs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "README.md#code-{}", self.0)
    }
}

impl Serialize for Docs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The path is none of ours.
pub const NO_ROUTE: Code = Code::of("no_route");
/// The path is ours, the method is not.
pub const METHOD: Code = Code::of("method");
/// The body is in a form that is not read.
pub const CONTENT_TYPE: Code = Code::of("content_type");
/// The body is packed in a way that is not unpacked.
pub const CONTENT_ENCODING: Code = Code::of("content_encoding");
/// No key, or one that no source has.
pub const UNAUTHORIZED: Code = Code::of("unauthorized");
/// No key, and no page that may post without one.
pub const FORBIDDEN_ORIGIN: Code = Code::of("forbidden_origin");
/// The source has no right to the pixel.
pub const FORBIDDEN_PIXEL: Code = Code::of("forbidden_pixel");
/// No such pixel is configured.
pub const UNKNOWN_PIXEL: Code = Code::of("unknown_pixel");
/// The pixel id in the path is no number.
pub const BAD_PIXEL: Code = Code::of("bad_pixel");
/// The body is not what its Content-Encoding says.
pub const BAD_ENCODING: Code = Code::of("bad_encoding");
/// The body ended before it was whole.
pub const CUT_BODY: Code = Code::of("cut_body");
/// The body is not UTF-8.
pub const NOT_UTF8: Code = Code::of("not_utf8");
/// The body is not a JSON object.
pub const BAD_JSON: Code = Code::of("bad_json");
/// The body is not the form that its Content-Type says.
pub const BAD_FORM: Code = Code::of("bad_form");
/// The same member twice beside `data`.
pub const DUPLICATE_KEY: Code = Code::of("duplicate_key");
/// `data` is empty.
pub const NO_EVENTS: Code = Code::of("no_events");
/// `data` has more events than `ingest.max_events`.
pub const TOO_MANY_EVENTS: Code = Code::of("too_many_events");
/// A batch has more operations than Graph takes.
pub const TOO_MANY_OPERATIONS: Code = Code::of("too_many_operations");
/// Every event is refused, or one is and the source is strict.
pub const EVENTS: Code = Code::of("events");
/// The body did not arrive in time.
pub const BODY_TIMEOUT: Code = Code::of("body_timeout");
/// A body or an event is too large.
pub const TOO_LARGE: Code = Code::of("too_large");
/// The source sends too many events.
pub const RATE: Code = Code::of("rate");
/// A bound of the gateway is reached.
pub const OVERLOADED: Code = Code::of("overloaded");
/// The gateway is stopping.
pub const STOPPING: Code = Code::of("stopping");
/// The journal takes nothing more until a restart.
pub const UNAVAILABLE: Code = Code::of("unavailable");

/// A member that must be there is not, or is empty.
pub const MISSING: Code = Code::of("missing");
/// A member has the wrong type, shape or value.
pub const MALFORMED: Code = Code::of("malformed");
/// An object has the same key twice, so it has no single meaning.
pub const REPEATED_KEY: Code = Code::of("repeated_key");
/// Lists and objects are nested too deep.
pub const TOO_DEEP: Code = Code::of("too_deep");
/// A list or object has more entries than its bound.
pub const TOO_MANY: Code = Code::of("too_many");
/// `event_time` is before the window Meta accepts.
pub const TOO_OLD: Code = Code::of("too_old");
/// `event_time` is further ahead than clocks differ.
pub const IN_FUTURE: Code = Code::of("in_future");
/// What is left of `user_data` cannot identify anyone.
pub const NO_MATCH_KEYS: Code = Code::of("no_match_keys");
/// A purchase without a usable `value`.
pub const WITHOUT_VALUE: Code = Code::of("without_value");
/// A purchase or order without a usable `currency`.
pub const WITHOUT_CURRENCY: Code = Code::of("without_currency");
/// The operating system's version in `app_data.extinfo` is empty.
pub const OS_VERSION: Code = Code::of("os_version");
/// An event name that the messaging channels do not know.
pub const MESSAGING_NAME: Code = Code::of("messaging_name");

/// A field was read under another name.
pub const ALIAS: Code = Code::of("alias");
/// A value that cannot be used was left out.
pub const DROPPED: Code = Code::of("dropped");
/// A phone number may have no calling code.
pub const CALLING_CODE: Code = Code::of("calling_code");
/// An external id in clear would have been a personal value.
pub const HASHED: Code = Code::of("hashed");
/// A key that is no field of `user_data` was left out.
pub const UNKNOWN_KEY: Code = Code::of("unknown_key");
/// A member beside `data` that Graph does not know was left out.
pub const UNKNOWN_MEMBER: Code = Code::of("unknown_member");
/// A source's request has brought a test code, and may not.
pub const TEST_CODE_LEFT_OUT: Code = Code::of("test_code_left_out");
/// A personal value outside `user_data` was blacked out.
pub const REDACTED: Code = Code::of("redacted");
/// A member that does not belong in such an event was left out.
pub const STRIPPED: Code = Code::of("stripped");
/// The event's time was a little ahead and was set to now.
pub const MOVED_TO_NOW: Code = Code::of("moved_to_now");
/// The event's time was read as milliseconds.
pub const MILLISECONDS: Code = Code::of("milliseconds");
/// The fraction of a second was cut off.
pub const ROUNDED: Code = Code::of("rounded");
/// A member is where Meta does not read it.
pub const MISPLACED: Code = Code::of("misplaced");
/// A value that Meta may not know is passed on.
pub const UNKNOWN_VALUE: Code = Code::of("unknown_value");
/// The event was received before.
pub const DUPLICATE: Code = Code::of("duplicate");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_word_has_one_row_and_is_found() {
        let mut seen = BTreeSet::new();
        for code in all() {
            let row = code.row();
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            assert!(row.word.bytes().all(plain), "{code}");
            assert!(seen.insert(row.word), "{code} is there twice");
            assert_eq!(find(row.word), Some(code));
            assert!(!row.about.is_empty() && !row.rule.is_empty() && !row.next.is_empty());
        }
        assert_eq!(find("no_such_word"), None);
        assert_ne!(TOO_OLD, IN_FUTURE);
    }

    #[test]
    fn what_refuses_has_a_status_and_what_does_not_has_none() {
        for code in all() {
            let row = code.row();
            let refuses = row.is_about(About::Request) || row.is_about(About::Event);
            assert_eq!(refuses, row.status >= 400, "{code}");
            assert_eq!(refuses, row.graph != 0, "{code}");
            assert!(refuses || row.status == 200, "{code}");
        }
        assert_eq!(TOO_OLD.row().subcode, Some(2_804_003));
        assert_eq!(RATE.row().graph, 4);
    }

    #[test]
    fn it_is_shown_as_its_word() {
        assert_eq!(TOO_OLD.to_string(), "too_old");
        assert_eq!(serde_json::to_string(&TOO_OLD).unwrap(), "\"too_old\"");
        assert_eq!(format!("{TOO_OLD:?}"), "Code(too_old)");
        assert_eq!(TOO_OLD.docs().to_string(), "README.md#code-too_old");
    }

    #[test]
    fn every_row_has_a_constant() {
        let text = include_str!("codes.rs");
        for code in all() {
            let constant = format!("Code = Code::of(\"{code}\");");
            assert!(text.contains(&constant), "{code}: a row that nothing uses");
        }
    }
}
