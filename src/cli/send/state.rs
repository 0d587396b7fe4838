//! How far a file was sent, in a small file beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::client::failure;
use crate::cli::records::Source;
use crate::cli::{USAGE, WRONG};
use crate::pixel::PixelId;
use crate::private_file;

/// Bytes such a file may have.
const MAX_STATE: u64 = 64 << 10;
/// Different codes that are counted; there are far fewer.
const MAX_CODES: usize = 256;

/// What rows came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) by_status: BTreeMap<String, u64>,
    pub(super) by_code: BTreeMap<String, u64>,
}

/// How far the rows of one file are answered for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    version: u8,
    pub(super) pixel: String,
    /// Bytes of the file, and the digest of its beginning: by these it is known again.
    bytes: Option<u64>,
    head: String,
    /// Rows that are answered for, without a gap.
    pub(super) rows: u64,
    pub(super) counts: Counts,
    /// Bytes of the file of results up to there.
    pub(super) results_bytes: u64,
    /// The first row that the file of results has; 0 and 1 are the first of all.
    #[serde(default)]
    pub(super) results_from: u64,
    /// Digests of what the rows were sent with, by option.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Whether these were all.
    pub(super) done: bool,
}

impl Counts {
    pub(super) fn add(&mut self, status: &str, code: &str) {
        *self.by_status.entry(status.to_owned()).or_default() += 1;
        let is_known = self.by_code.contains_key(code) || self.by_code.len() < MAX_CODES;
        if !code.is_empty() && is_known {
            *self.by_code.entry(code.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn of(&self, status: &str) -> u64 {
        self.by_status.get(status).copied().unwrap_or(0)
    }
}

impl State {
    /// Nothing of this file is sent yet.
    pub(super) fn new(source: &Source, pixel: PixelId, settings: BTreeMap<String, String>) -> Self {
        Self {
            version: 1,
            pixel: pixel.to_string(),
            bytes: source.size,
            head: source.fingerprint(),
            rows: 0,
            counts: Counts::default(),
            results_bytes: 0,
            results_from: 0,
            settings,
            done: false,
        }
    }

    /// What an earlier run has left.
    pub(super) fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let wrong = |what: String| {
            let message = format!(
                "{} {what}; --restart begins again without it",
                path.display()
            );
            failure(USAGE, message)
        };
        let bytes =
            private_file::read(path, MAX_STATE).map_err(|error| wrong(error.to_string()))?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let state = serde_json::from_slice(&bytes)
            .map_err(|_| wrong("does not say how far a file was sent".to_owned()))?;
        Ok(Some(state))
    }

    /// This state, if it is about the same file and pixel as `now`.
    pub(super) fn following(mut self, now: &Self) -> anyhow::Result<Self> {
        if self.rows == 0 {
            // no row is passed over, so it may go elsewhere
            self.settings.clone_from(&now.settings);
        }
        let differs = self.differs(now);
        let what = if self.version != now.version {
            "another version of this program began to send this file"
        } else if (self.bytes, &self.head) != (now.bytes, &now.head) {
            "the file has changed since it was begun to be sent"
        } else if self.pixel != now.pixel {
            "the file was begun to be sent to another pixel"
        } else if differs.is_empty() {
            return Ok(self);
        } else {
            &format!("the file was begun to be sent with another {differs}")
        };
        let rows = self.rows;
        let message = format!(
            "{what} (it got to row {rows}): --restart begins again with its first row. Events that arrived keep their ids, given or made from their content, so Meta counts them once within 48 hours"
        );
        Err(failure(USAGE, message))
    }

    /// The options that are not as they were. A state of an earlier version knows of none.
    fn differs(&self, now: &Self) -> String {
        let is_other = |name: &&String| self.settings.get(*name) != now.settings.get(*name);
        let names = self.settings.keys().filter(is_other);
        names.map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Keeps it, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        private_file::replace(path, &bytes, MAX_STATE).map_err(|error| {
            let message = format!(
                "{} {error}; name another place with --state",
                path.display()
            );
            failure(WRONG, message)
        })
    }
}
