//! Backups of what a gateway keeps: all that lies below `journal.dir`, and the vault.
//!
//! **Promises.** [`take()`] may run beside a gateway: every event that waited when it began is in the
//! backup, and every dead letter, unless it was purged meanwhile. The backup is there as a whole or
//! not at all, its files with mode 0600, its directories with 0700, and each file with its SHA-256.
//! [`restore()`] writes only where nothing is, checks every byte first, and a restore that was
//! interrupted is opened by no gateway.
//! **Refuses.** The key of the vault and every other secret file of the configuration, wherever
//! they are. Whoever has the backup and the key has the tokens: keep them apart.
//! **Limits.** What was delivered after the backup is delivered again by a gateway that is restored
//! from it; Meta drops that by its `event_id`, but not messages (`business_messaging`). A journal
//! that gives segments back all the time may be too fast; then [`BackupError::Restless`] says so.

mod manifest;
mod restore;
mod take;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use self::manifest::{Listed, Manifest};
pub use self::restore::restore;
pub use self::take::take;
use crate::private_file::FileError;

/// The directory of a backup that the journal's directory is in.
const JOURNAL: &str = "journal";
/// The vault in a backup.
const VAULT: &str = "tokens.vault";

/// What a backup is taken of, or restored to.
#[derive(Clone, Debug)]
pub struct Places {
    /// `journal.dir`.
    pub journal: PathBuf,
    /// `tokens.vault`, if there is one.
    pub vault: Option<PathBuf>,
    /// Files that never come into a backup: keys and other secrets.
    pub secrets: Vec<PathBuf>,
}

/// Why a backup could not be taken or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing to copy.
    #[error("there is no journal in {}: name the gateway's configuration with --config", .0.display())]
    NoJournal(PathBuf),
    /// The place is taken.
    #[error("{} is there already, and is left as it is: name another one, or move it away", .0.display())]
    Taken(PathBuf),
    /// The next backup would hold this one.
    #[error("{} is within journal.dir: name a place outside of it", .0.display())]
    Within(PathBuf),
    /// Segments come and go all the time.
    #[error(
        "the journal changes too fast to be copied beside its gateway: try again when it is quieter, stop the gateway, or take a snapshot of the file system"
    )]
    Restless,
    /// Not a whole backup.
    #[error("{} is no whole backup: there is no readable backup.json in it", .0.display())]
    NoBackup(PathBuf),
    /// Of a later program.
    #[error(
        "the backup has format {found}, and this program reads formats up to {known}: use the newer capigate that took it"
    )]
    Format {
        /// Its format.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// Changed since it was taken.
    #[error(
        "the file {name} of the backup is missing or damaged: use another backup; nothing was restored"
    )]
    Damaged {
        /// Which one.
        name: String,
    },
    /// The journal's directory cannot be opened by this program.
    #[error(transparent)]
    Open(#[from] crate::journal::OpenError),
    /// The disk or the permissions are in the way.
    #[error("{}: {error}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        error: FileError,
    },
}

impl BackupError {
    fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File {
            path,
            error: error.into(),
        }
    }

    fn file(path: impl Into<PathBuf>) -> impl FnOnce(FileError) -> Self {
        let path = path.into();
        move |error| Self::File { path, error }
    }
}
