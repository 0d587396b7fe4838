//! What a gateway has noticed about its tokens, for the commands to show: no secret is in it.
//!
//! One JSON file beside the journal, by fingerprint. It is a convenience: what cannot be read is
//! as good as empty, and losing it loses no token and no event.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::usage::Usage;
use crate::pixel::PixelId;
use crate::private_file::{self, FileError};
use crate::time::UnixMs;

/// Bytes of the file that are read.
pub const MAX_FILE: u64 = 16 << 20;

/// What has been noticed, by fingerprint (the first 8 hex digits of the token's SHA-256).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// By token.
    pub tokens: BTreeMap<String, Note>,
}

/// What has been noticed about one token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// When a gateway saw it first: its age, where Meta does not tell.
    pub first_seen: Option<UnixMs>,
    /// What Meta said last.
    pub facts: Facts,
    /// What came of sending with it.
    pub usage: Usage,
    /// The pixels it was current for until Graph refused it, and when another took its place.
    pub gave_way: BTreeMap<PixelId, UnixMs>,
}

impl Notes {
    /// The file of the gateway with this journal.
    pub fn path(journal_dir: &Path) -> PathBuf {
        journal_dir.join("tokens.json")
    }

    /// Reads them; none when there is no file. Blocks.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let bytes = private_file::read(path, MAX_FILE)?;
        let read = bytes.map(|bytes| serde_json::from_slice(&bytes));
        let read = read.transpose().map_err(std::io::Error::from)?;
        Ok(read.unwrap_or_default())
    }

    /// Puts them in the place of what is there. Blocks.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        private_file::replace(path, &bytes, MAX_FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_written_and_missing_ones_are_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = Notes::path(dir.path());
        assert_eq!(Notes::read(&path).unwrap(), Notes::default());
        let mut notes = Notes::default();
        let note = Note {
            first_seen: Some(UnixMs(7)),
            ..Note::default()
        };
        notes.tokens.insert("9817945f".to_owned(), note);
        notes.write(&path).unwrap();
        assert_eq!(Notes::read(&path).unwrap(), notes);
        private_file::replace(&path, b"{", MAX_FILE).unwrap();
        assert!(Notes::read(&path).is_err());
    }
}
