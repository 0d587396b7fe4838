//! A small private file of JSON that says of which version its format is.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{FileError, read, replace};

/// Where it is, the version that is read and written, and how many bytes it may have. Mode 0600;
/// replaced as a whole.
#[derive(Debug)]
pub(crate) struct Versioned {
    path: PathBuf,
    version: u32,
    max: u64,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize, Serialize)]
struct File<T> {
    version: u32,
    #[serde(flatten)]
    value: T,
}

impl Versioned {
    pub(crate) fn new(path: PathBuf, version: u32, max: u64) -> Self {
        Self { path, version, max }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; none where there is no file. Blocks.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, FileError> {
        let Some(text) = read(&self.path, self.max)? else {
            return Ok(None);
        };
        let found: Version = serde_json::from_slice(&text).map_err(io::Error::from)?;
        if found.version != self.version {
            return Err(io::Error::from(io::ErrorKind::Unsupported).into());
        }
        let file: File<T> = serde_json::from_slice(&text).map_err(io::Error::from)?;
        Ok(Some(file.value))
    }

    /// Puts this in the place of what it holds. Blocks.
    pub(crate) fn write<T: Serialize>(&self, value: T) -> Result<(), FileError> {
        let version = self.version;
        let text = serde_json::to_vec(&File { version, value }).map_err(io::Error::from)?;
        replace(&self.path, &text, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Kept {
        marks: Vec<i64>,
    }

    #[test]
    fn what_was_written_is_read_and_another_version_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |version| Versioned::new(dir.path().join("kept.json"), version, 100);
        assert_eq!(at(1).read::<Kept>().unwrap(), None);
        let kept = Kept { marks: vec![1, -2] };
        at(1).write(&kept).unwrap();
        assert_eq!(at(1).read::<Kept>().unwrap(), Some(kept));
        assert!(matches!(at(2).read::<Kept>(), Err(FileError::Io(_))));
        let large = Kept { marks: vec![0; 99] };
        assert!(matches!(
            at(1).write(&large),
            Err(FileError::TooMuch { max: 100 })
        ));
    }
}
