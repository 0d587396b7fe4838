//! The groups in a small file, so that what was refused at the door, what is over and since when
//! things go wrong is known after a restart.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::private_file::{self, FileError};
use crate::time::UnixMs;

/// The version of the file's format.
const VERSION: u32 = 1;
/// Bytes of the file: [`MAX_ISSUES`](super::MAX_ISSUES) groups, each with all the ids it may have.
const MAX_FILE: u64 = 8 << 20;

/// Where it is written. Mode 0600; replaced as a whole.
#[derive(Debug)]
pub(super) struct Snapshots(PathBuf);

/// All groups at one moment.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    version: u32,
    /// Since when they are counted.
    pub(super) since: UnixMs,
    pub(super) groups: Vec<Group>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Group {
    #[serde(flatten)]
    pub(super) kind: Kind,
    pub(super) noted: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) most: Option<Amount>,
    pub(super) first_seen: UnixMs,
    pub(super) last_seen: UnixMs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) over: Option<UnixMs>,
    /// The newest last.
    pub(super) event_ids: VecDeque<String>,
}

/// Events, and what they say to be worth.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Amount {
    pub(super) events: u64,
    pub(super) valued: u64,
    pub(super) money: BTreeMap<String, f64>,
}

impl Snapshot {
    pub(super) fn new(since: UnixMs, groups: Vec<Group>) -> Self {
        Self {
            version: VERSION,
            since,
            groups,
        }
    }
}

impl Snapshots {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// None where there is no file.
    pub(super) fn read(&self) -> Result<Option<Snapshot>, FileError> {
        let Some(text) = private_file::read(&self.0, MAX_FILE)? else {
            return Ok(None);
        };
        let snapshot: Snapshot = serde_json::from_slice(&text).map_err(io::Error::from)?;
        if snapshot.version != VERSION {
            return Err(io::Error::from(io::ErrorKind::Unsupported).into());
        }
        Ok(Some(snapshot))
    }

    pub(super) fn write(&self, snapshot: &Snapshot) -> Result<(), FileError> {
        let text = serde_json::to_vec(snapshot).map_err(io::Error::from)?;
        private_file::replace(&self.0, &text, MAX_FILE)
    }
}
