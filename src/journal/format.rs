//! The format of all that lies below the journal's directory, as one number in its file `FORMAT`.
//!
//! Segments, dead letters, receipts and the rest carry marks of their own; this one number is for
//! all of them, and is raised when an earlier program would misread or lose something. A program
//! opens what has its own number or a smaller one, and leaves everything else as it is. A directory
//! without the file has the first format.

use std::io;
use std::path::Path;

use super::error::OpenError;
use super::segment::disk::Disk;
use crate::private_file::{self, FileError};

/// The format that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;
/// The file that says it.
pub(crate) const FILE: &str = "FORMAT";
/// What stands before the number.
const HEAD: &str = "capigate-data ";
/// What stands there while a backup is being restored.
const RESTORING: &str = "capigate-data restoring";
/// Bytes of the file, at most.
const MAX: usize = 64;

/// The format of a directory, if this program may open it. Reads only.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<u32, OpenError> {
    let file = match disk.open_read_only(&dir.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(1),
        Err(error) => return Err(OpenError::io("read format")(error)),
    };
    let mut bytes = [0; MAX];
    let read = file.read_at(&mut bytes, 0);
    let read = read.map_err(OpenError::io("read format"))?;
    let text = str::from_utf8(bytes.get(..read).unwrap_or_default()).unwrap_or("?");
    let text = text.trim_end();
    if text == RESTORING {
        return Err(OpenError::Restoring(dir.to_owned()));
    }
    let number = text.strip_prefix(HEAD).and_then(|text| text.parse().ok());
    match number {
        Some(number @ 1..=VERSION) => Ok(number),
        // a crash may have left it without its content
        None if text.is_empty() => Ok(1),
        found => Err(OpenError::Format {
            dir: dir.to_owned(),
            found,
        }),
    }
}

/// Notes that the directory has this program's format. Blocks.
pub(crate) fn mark(dir: &Path) -> Result<(), FileError> {
    let path = dir.join(FILE);
    let text = format!("{HEAD}{VERSION}\n");
    match private_file::read(&path, MAX as u64) {
        Ok(Some(found)) if found == text.as_bytes() => Ok(()),
        _ => private_file::replace(&path, text.as_bytes(), MAX as u64),
    }
}

/// Notes that the directory is not to be opened before [`mark`]. Blocks.
pub(crate) fn begin_restore(dir: &Path) -> Result<(), FileError> {
    let text = format!("{RESTORING}\n");
    private_file::create(&dir.join(FILE), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::RealDisk;

    #[test]
    fn only_what_is_known_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let found = || read(&RealDisk, dir.path());
        assert_eq!(found().unwrap(), 1);
        mark(dir.path()).unwrap();
        mark(dir.path()).unwrap();
        assert_eq!(found().unwrap(), VERSION);
        let put = |text: &str| private_file::replace(&path, text.as_bytes(), 99).unwrap();
        put("");
        assert_eq!(found().unwrap(), 1);
        for (text, code) in [
            ("capigate-data 2\n", "journal_format"),
            ("capigate-data 0\n", "journal_format"),
            ("capigate-data 1x\n", "journal_format"),
            ("something else", "journal_format"),
            ("capigate-data restoring\n", "journal_restoring"),
        ] {
            put(text);
            let error = found().unwrap_err();
            assert_eq!(error.code(), code, "{text}");
            let said = error.to_string();
            assert!(said.contains(dir.path().to_str().unwrap()), "{said}");
        }
    }

    #[test]
    fn a_restore_begins_only_where_nothing_is() {
        let dir = tempfile::tempdir().unwrap();
        begin_restore(dir.path()).unwrap();
        begin_restore(dir.path()).unwrap_err();
        read(&RealDisk, dir.path()).unwrap_err();
        mark(dir.path()).unwrap();
        assert_eq!(read(&RealDisk, dir.path()).unwrap(), VERSION);
    }
}
