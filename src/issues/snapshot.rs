//! The groups in a small file, so that what was refused at the door, what is over and since when
//! things go wrong is known after a restart.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::private_file::Versioned;
use crate::time::UnixMs;

/// The version of the file's format.
const VERSION: u32 = 1;
/// Bytes of the file: [`MAX_ISSUES`](super::MAX_ISSUES) groups, each with all the ids it may have.
const MAX_FILE: u64 = 8 << 20;

/// The file.
pub(super) fn file(path: PathBuf) -> Versioned {
    Versioned::new(path, VERSION, MAX_FILE)
}

/// All groups at one moment.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
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
