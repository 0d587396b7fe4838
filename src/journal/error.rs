//! What the journal says no with.

use std::path::PathBuf;

use super::format;

/// A bound of the journal that says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The segment files have reached `max_bytes`; appends resume at nine tenths of it.
    MaxBytes,
    /// Too much waits for a commit.
    MaxPending,
    /// Too many lanes have records.
    MaxLanes,
    /// Too many lanes of one pixel have records.
    MaxLanesPerPixel,
    /// The disk has no room for another segment.
    Disk,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::MaxBytes,
        Self::MaxPending,
        Self::MaxLanes,
        Self::MaxLanesPerPixel,
        Self::Disk,
    ];

    /// The name of the bound: the same word in answers, metrics and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxBytes => "journal.max_bytes",
            Self::MaxPending => "journal.max_pending",
            Self::MaxLanes => "journal.max_lanes",
            Self::MaxLanesPerPixel => "journal.max_lanes_per_pixel",
            Self::Disk => "journal.disk",
        }
    }
}

/// Why events were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A bound is reached; try again later.
    #[error("the journal is full: {}", .0.name())]
    Full(Limit),
    /// The journal is closing.
    #[error("the journal is closing")]
    Stopping,
    /// A write or sync has failed; nothing more is taken until a restart.
    #[error("a write to the journal's disk has failed")]
    Poisoned,
}

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another process has the journal open")]
    Locked,
    /// All that is in the directory has the format of another version of the program.
    #[error(
        "{} has {}, and this program reads formats up to {}: start the newer capigate that wrote it; nothing was changed",
        dir.display(),
        found.map_or("a file FORMAT that is not understood".to_owned(), |found| format!("format {found}")),
        format::VERSION
    )]
    Format {
        /// The directory.
        dir: PathBuf,
        /// Its format, if it is a number.
        found: Option<u32>,
    },
    /// A restore of a backup was begun there and has not ended.
    #[error("{} was not restored to the end: remove it, and run `capigate restore` again", .0.display())]
    Restoring(PathBuf),
    /// A segment was written by another version of the program.
    #[error("segment {segment} has format version {version}, which this program does not know")]
    Version {
        /// The file's name.
        segment: String,
        /// Its format version.
        version: u16,
    },
    /// A segment is sealed with a key.
    #[error("segment {segment} is sealed with key {key}, which this program cannot open")]
    Key {
        /// The file's name.
        segment: String,
        /// The id of the key.
        key: u32,
    },
    /// There are more segments than the journal can count.
    #[error("the journal's directory holds more than 65,535 segments")]
    TooManySegments,
    /// The disk refused.
    #[error("the journal's disk failed at: {step}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// What the disk said.
        source: std::io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(step: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { step, source }
    }

    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked => "journal_locked",
            Self::Format { .. } => "journal_format",
            Self::Restoring(_) => "journal_restoring",
            Self::Version { .. } => "journal_version",
            Self::Key { .. } => "journal_key",
            Self::TooManySegments => "journal_segments",
            Self::Io { .. } => "journal_io",
        }
    }
}
