//! The files of the journal's directory: their names, and what becomes of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::DiskFile;

/// The open file of a segment.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) first_seq: u64,
    pub(crate) salt: u64,
    pub(crate) size: u64,
}

/// What a file of the directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A segment that holds records; the number is that of its first.
    Segment(u64),
    /// The settled records of the segment with this first number.
    Done(u64),
    /// A segment ready for use.
    Spare(u64),
    /// A spare that is not ready yet.
    Making(u64),
    /// A segment set aside, because some of it could not be read.
    Corrupt(u64),
}

/// The name of the lock file.
pub(crate) const LOCK: &str = "LOCK";

impl Name {
    /// What `name` means; none for files that are not the log's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let (stem, kind) = name.split_once('.')?;
        let made = |n| Some(n).filter(|n: &Self| n.to_string() == name);
        if let Some(text) = stem.strip_prefix("spare-") {
            return match kind {
                "seg" => made(Self::Spare(number(text)?)),
                "new" => made(Self::Making(number(text)?)),
                _ => None,
            };
        }
        match kind {
            "seg" => made(Self::Segment(number(stem)?)),
            "done" => made(Self::Done(number(stem)?)),
            "seg.corrupt" => made(Self::Corrupt(number(stem)?)),
            _ => None,
        }
    }

    /// The path of the file in `dir`.
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Segment(n) => write!(f, "{n:020}.seg"),
            Self::Done(n) => write!(f, "{n:020}.done"),
            Self::Spare(n) => write!(f, "spare-{n}.seg"),
            Self::Making(n) => write!(f, "spare-{n}.new"),
            Self::Corrupt(n) => write!(f, "{n:020}.seg.corrupt"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for name in [
            Name::Segment(42),
            Name::Done(u64::MAX),
            Name::Spare(7),
            Name::Making(0),
            Name::Corrupt(42),
        ] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        for other in [
            "",
            "LOCK",
            "dead",
            "1.seg",
            "spare-01.seg",
            "spare-.seg",
            "spare-+1.seg",
            "99999999999999999999.seg",
            "00000000000000000042.seg.old",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
