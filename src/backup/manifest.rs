//! `backup.json`: what a backup holds. It is written last.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Its name.
pub(super) const FILE: &str = "backup.json";
/// Bytes of it, at most: some hundred thousand files.
pub(super) const MAX_FILE: u64 = 64 << 20;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the data ([`crate::journal::format::VERSION`]).
    pub format: u32,
    /// The version of the program that took it.
    pub program: String,
    /// When it was begun, in Unix milliseconds.
    pub taken_at: UnixMs,
    /// Events that wait, by pixel.
    pub waiting: BTreeMap<PixelId, u64>,
    /// Dead letters.
    pub dead_letters: u64,
    /// Whether the vault is in it.
    pub vault: bool,
    /// Whether a part of the journal cannot be read.
    pub damaged: bool,
    /// Every file, by its name with `/` between the parts.
    pub files: BTreeMap<String, Listed>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Bytes of it, holes included.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

impl Manifest {
    /// Events that wait, all pixels together.
    pub fn events(&self) -> u64 {
        self.waiting.values().sum()
    }

    /// Bytes of all files, holes included.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Whether every name stays below the directory of the backup.
    pub(super) fn is_sound(&self) -> bool {
        let is_plain = |name: &String| {
            let mut parts = Path::new(name).components();
            !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        self.files.keys().all(is_plain)
    }
}
