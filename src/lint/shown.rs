//! What is told of one event, for people and programs.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::codes::Code;
use crate::event::{EventError, Look, Warning};

/// What would become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It would be taken and sent.
    Accepted,
    /// A policy of the source or the pixel would keep it back.
    Filtered,
    /// It would be refused.
    Refused,
}

impl Verdict {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
        }
    }
}

/// Everything about one event.
#[derive(Debug, Serialize)]
pub struct Linted {
    /// Its place, from 0.
    pub index: usize,
    /// What would become of it.
    pub verdict: Verdict,
    /// Whether it would go out otherwise than it came, beyond hashing.
    pub changed: bool,
    /// What is wrong with it, and what its sender should know.
    pub findings: Vec<Finding>,
    /// Its personal fields, masked.
    pub user_data: Vec<Seen>,
    /// The requests that would carry it; the gateway puts several events into one.
    pub requests: Vec<Outgoing>,
}

/// One thing that is to be said of an event; never a value of its.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `refused`, `filtered` or `warning`.
    pub kind: &'static str,
    /// Where, such as `custom_data.value`; empty for the event itself.
    pub path: String,
    /// The stable word.
    pub code: &'static str,
    /// What is expected, or what was done.
    pub rule: String,
    /// A made-up value that would pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// What to do.
    pub next: &'static str,
    /// Where the README has the code.
    pub docs: String,
    /// Meta's page about the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'static str>,
}

impl Finding {
    pub(super) fn new(kind: &'static str, path: &str, code: Code, rule: impl Into<String>) -> Self {
        let row = code.row();
        Self {
            kind,
            path: path.to_owned(),
            code: code.word(),
            rule: rule.into(),
            example: None,
            next: row.next,
            docs: code.docs().to_string(),
            meta: row.meta,
        }
    }

    pub(super) fn refused(error: &EventError) -> Self {
        Self {
            example: Some(error.example().to_owned()),
            ..Self::new("refused", error.path(), error.code(), error.rule())
        }
    }

    pub(super) fn warning(warning: &Warning) -> Self {
        Self::new("warning", &warning.path, warning.code, &*warning.text)
    }
}

/// One member of `user_data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Where the client put it, such as `user_data.email`.
    pub path: String,
    /// Meta's name of the field; none for one that Meta does not have.
    pub field: Option<&'static str>,
    /// What becomes of each of its values.
    pub values: Vec<String>,
}

impl From<Look> for Seen {
    fn from(look: Look) -> Self {
        Self {
            path: look.path.into_owned(),
            field: look.field,
            values: look.values.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A request to Graph.
#[derive(Debug, Serialize)]
pub struct Outgoing {
    /// `POST`.
    pub method: &'static str,
    /// Where it goes.
    pub url: String,
    /// Its headers, the token masked.
    #[serde(serialize_with = "as_object")]
    pub headers: Vec<(&'static str, String)>,
    /// Its body, the token masked, the events as they are stored.
    pub body: Box<RawValue>,
}

fn as_object<S: Serializer>(
    headers: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

/// Counts over many events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Events looked at.
    pub events: u64,
    /// By the word of their verdict; `error` is what is no event.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// How often each code was said.
    pub codes: BTreeMap<&'static str, u64>,
}

impl Totals {
    /// One more event.
    pub fn add(&mut self, linted: &Linted) {
        self.count(linted.verdict.word());
        self.add_findings(&linted.findings);
    }

    /// What is said of a body as a whole.
    pub fn add_findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            *self.codes.entry(finding.code).or_default() += 1;
        }
    }

    /// One more record that is no event.
    pub fn add_error(&mut self, code: Code) {
        self.count("error");
        *self.codes.entry(code.word()).or_default() += 1;
    }

    /// Whether nothing is refused.
    pub fn is_good(&self) -> bool {
        let bad = |word| self.verdicts.contains_key(word);
        !bad("refused") && !bad("error")
    }

    fn count(&mut self, word: &'static str) {
        self.events += 1;
        *self.verdicts.entry(word).or_default() += 1;
    }
}
