//! Small private files: read within a bound, replaced as a whole.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

/// How long who wants to change a file waits for who is changing it.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// Why a file could not be read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Others than its owner may read it.
    #[error("can be read by others (mode {mode:04o}): run `chmod 600 {}`", path.display())]
    Open {
        /// The permission bits it has.
        mode: u32,
        /// Which file.
        path: PathBuf,
    },
    /// It is larger than such a file ever is.
    #[error("is larger than such a file ever is, or no plain file")]
    TooLarge,
    /// Another process is changing it.
    #[error("is being changed by another process: try again")]
    Busy,
    /// It is there, and was to be made.
    #[error("is there already, and is left as it is: name another one")]
    Exists,
    /// The disk or the permissions are in the way.
    #[error("cannot be used: {}", .0.kind())]
    Io(#[from] io::Error),
}

/// Reads a file that only its owner may read; none when there is no such file.
pub(super) fn read(path: &Path, max: u64) -> Result<Option<Vec<u8>>, FileError> {
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    let opened = File::open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let about = file.metadata()?;
    if !about.is_file() || about.len() > max {
        return Err(FileError::TooLarge);
    }
    let mode = about.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(FileError::Open { mode, path });
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(FileError::TooLarge);
    }
    Ok(Some(bytes))
}

/// Puts a file of mode 0600 in the place of what is there, so that whoever reads it, also after a
/// power cut, finds the old one or the new one. Its directory is made, with mode 0700, if missing.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let dir = directory(path)?;
    let mut temporary = temporary(&dir)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    let dir = File::open(&dir)?;
    dir.sync_all()?;
    Ok(())
}

/// Makes a file of mode 0600; an error when there is one. Blocks.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    directory(path)?;
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists,
            _ => error.into(),
        })?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}

/// Whether [`replace`] would find the room and the rights for so many bytes: writes them beside the
/// file, and takes them away again.
pub(super) fn probe(path: &Path, bytes: u64) -> Result<(), FileError> {
    let mut temporary = temporary(&directory(path)?)?;
    io::copy(&mut io::repeat(0).take(bytes), &mut temporary)?;
    temporary.as_file().sync_all()?;
    Ok(temporary.close()?)
}

fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".capigate-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
}

/// Keeps other processes, and other callers in this one, from changing `path` until the result is
/// dropped. Blocks for up to ten seconds.
pub(super) fn lock(path: &Path) -> Result<File, FileError> {
    let file = beside(path, ".lock")?;
    for _ in 0..LOCK_WAIT.as_millis() / LOCK_LOOK.as_millis() {
        if is_locked(&file)? {
            return Ok(file);
        }
        std::thread::sleep(LOCK_LOOK);
    }
    Err(FileError::Busy)
}

/// The turn to do what is named so with `path`, until the result is dropped; none while another
/// process, or another caller in this one, has it.
pub(super) fn turn(path: &Path, ending: &str) -> Result<Option<File>, FileError> {
    let file = beside(path, ending)?;
    Ok(is_locked(&file)?.then_some(file))
}

fn is_locked(file: &File) -> Result<bool, FileError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// An empty file that only its lock matters of.
fn beside(path: &Path, ending: &str) -> Result<File, FileError> {
    directory(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(PathBuf::from(name))?;
    Ok(file)
}

/// The directory of a file, made if it is not there.
fn directory(path: &Path) -> Result<PathBuf, FileError> {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = parent.unwrap_or(Path::new(".")).to_owned();
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    Ok(dir)
}
