//! Small private files: read within a bound, replaced as a whole.
//!
//! What root makes belongs to the owner of the file whose place it takes, or else to the owner of
//! its directory, locks and directories too: an administrator's command must not lock a service
//! out of its own files.

mod versioned;

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

pub(crate) use versioned::Versioned;

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
    /// It is a symbolic link, and nothing is where it leads.
    #[error(
        "is a symbolic link to a file that is not there: remove the link, or put the file there"
    )]
    Dangling,
    /// It would be larger than what is read.
    #[error("would be larger than {max} bytes: remove what is not used any more")]
    TooMuch {
        /// Bytes it may have.
        max: u64,
    },
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

/// Opens a file to read it, or whatever else is there: a pipe that nobody writes to is not waited
/// for. Blocks for no longer than the disk does.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let at_once = OFlags::NONBLOCK.bits() as i32;
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    OpenOptions::new()
        .read(true)
        .custom_flags(at_once)
        .open(path)
}

/// Reads a file that only its owner may read; none when there is no such file.
pub(crate) fn read(path: &Path, max: u64) -> Result<Option<Vec<u8>>, FileError> {
    let file = match open(path) {
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
/// power cut, finds the old one or the new one. Where `path` is a symbolic link it stays one, and
/// the file it leads to is replaced. Its directory is made, with mode 0700, if missing. More than
/// `max` bytes, which nobody would read again, are refused.
pub(crate) fn replace(path: &Path, bytes: &[u8], max: u64) -> Result<(), FileError> {
    if bytes.len() as u64 > max {
        return Err(FileError::TooMuch { max });
    }
    let path = resolve(path)?;
    let dir = directory(&path)?;
    let whole = write(&dir, bytes, &owner(&path)?)?;
    whole.persist(&path).map_err(|failed| failed.error)?;
    sync(&dir)
}

/// Makes a file of mode 0600, as a whole or not at all; an error when there is one. Blocks.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let dir = directory(path)?;
    let whole = write(&dir, bytes, &dir.metadata()?)?;
    whole
        .persist_noclobber(path)
        .map_err(|failed| match failed.error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists,
            _ => failed.error.into(),
        })?;
    sync(&dir)
}

/// Whether [`replace`] would find the room and the rights for so many bytes: writes them beside the
/// file, and takes them away again.
pub(crate) fn probe(path: &Path, bytes: usize) -> Result<(), FileError> {
    let path = resolve(path)?;
    let whole = write(&directory(&path)?, &vec![0; bytes], &owner(&path)?)?;
    Ok(whole.close()?)
}

/// A file that has no name to last yet, and is gone unless it gets one.
fn write(dir: &Path, bytes: &[u8], owner: &Metadata) -> Result<NamedTempFile, FileError> {
    let mut file = tempfile::Builder::new()
        .prefix(".capigate-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)?;
    file.write_all(bytes)?;
    hand_over(file.as_file(), owner)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes the names in a directory last.
fn sync(dir: &Path) -> Result<(), FileError> {
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    let dir = File::open(dir)?;
    dir.sync_all()?;
    Ok(())
}

/// Keeps other processes, and other callers in this one, from changing `path` until the result is
/// dropped. Blocks for up to ten seconds.
pub(crate) fn lock(path: &Path) -> Result<File, FileError> {
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
pub(crate) fn turn(path: &Path, ending: &str) -> Result<Option<File>, FileError> {
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
    let path = resolve(path)?;
    let owner = owner(&path)?;
    let mut name = path.into_os_string();
    name.push(ending);
    // whoever may write to the directory must not choose what root opens
    let as_it_is = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(as_it_is.bits() as i32)
        .open(PathBuf::from(name))?;
    let about = file.metadata()?;
    // nor what root gives away: such a file is empty and has no other name
    if about.is_file() && about.nlink() == 1 && about.len() == 0 {
        hand_over(&file, &owner)?;
    }
    Ok(file)
}

/// Whose a file in this place is to be.
fn owner(path: &Path) -> io::Result<Metadata> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => parent(path).metadata(),
        about => about,
    }
}

/// Gives what root has made to whom it is to belong.
fn hand_over(file: &File, owner: &Metadata) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() || file.metadata()?.uid() == owner.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// The file itself, whichever of its names `path` is, so that it has one lock. What is not there
/// yet will be in the directory of that name, which is made.
fn resolve(path: &Path) -> Result<PathBuf, FileError> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        real => return Ok(real?),
    }
    if path.is_symlink() {
        return Err(FileError::Dangling);
    }
    let name = path.file_name();
    let name = name.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(directory(path)?.canonicalize()?.join(name))
}

/// The directory of a file, made if it is not there.
fn directory(path: &Path) -> io::Result<PathBuf> {
    let dir = parent(path);
    make(dir)?;
    Ok(dir.to_owned())
}

fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = parent(dir);
    make(above)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        // someone else was faster
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    let itself = OFlags::NOFOLLOW | OFlags::DIRECTORY;
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    let made = OpenOptions::new()
        .read(true)
        .custom_flags(itself.bits() as i32)
        .open(dir)?;
    hand_over(&made, &above.metadata()?)
}

fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files of these tests")]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn only_a_plain_file_within_the_bound_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(read(&path, 3).unwrap().is_none());
        replace(&path, b"123", 9).unwrap();
        assert_eq!(read(&path, 3).unwrap().unwrap(), b"123");
        assert!(matches!(read(&path, 2), Err(FileError::TooLarge)));
        let pipe = dir.path().join("pipe");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        for other in [dir.path(), &pipe, Path::new("/dev/zero")] {
            assert!(matches!(read(other, 3), Err(FileError::TooLarge)));
        }
    }

    #[test]
    fn what_is_made_is_whole_and_takes_no_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"1").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        symlink("nothing", dir.path().join("link")).unwrap();
        for taken in ["file", "link"] {
            let error = create(&dir.path().join(taken), b"2").unwrap_err();
            assert!(matches!(error, FileError::Exists), "{taken}: {error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"1");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn root_leaves_a_service_its_files() {
        const SERVICE: u32 = 12_345;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        // nobody else can be told apart from the service
        if chown(dir.path(), Some(SERVICE), Some(SERVICE)).is_err() {
            return;
        }
        let owner = |name: &str| at(name).symlink_metadata().unwrap().uid();
        // left by an earlier root
        std::fs::write(at("new.old"), b"").unwrap();
        create(&at("key"), b"1").unwrap();
        replace(&at("sub/sub/file"), b"1", 9).unwrap();
        for ending in [".lock", ".old"] {
            turn(&at("new"), ending).unwrap();
        }
        for made in [
            "key",
            "sub",
            "sub/sub",
            "sub/sub/file",
            "new.lock",
            "new.old",
        ] {
            assert_eq!(owner(made), SERVICE, "{made}");
        }
        // the owner of the file goes before the owner of the directory
        chown(at("key"), Some(SERVICE + 1), None).unwrap();
        replace(&at("key"), b"2", 9).unwrap();
        turn(&at("key"), ".lock").unwrap();
        assert_eq!([owner("key"), owner("key.lock")], [SERVICE + 1; 2]);
        // what only looks like a lock is not given away
        std::fs::write(at("secret"), b"x").unwrap();
        std::fs::write(at("empty"), b"").unwrap();
        std::fs::hard_link(at("secret"), at("new.a")).unwrap();
        std::fs::hard_link(at("empty"), at("new.b")).unwrap();
        symlink("empty", at("new.c")).unwrap();
        for ending in [".a", ".b"] {
            turn(&at("new"), ending).unwrap();
        }
        turn(&at("new"), ".c").unwrap_err();
        assert_eq!([owner("secret"), owner("empty")], [0; 2]);
    }

    #[test]
    fn every_name_of_a_file_has_its_lock_and_stays_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let file = at("real/file");
        replace(&file, b"1", 9).unwrap();
        symlink("real/file", at("link")).unwrap();
        symlink("real", at("dir")).unwrap();
        for name in [at("link"), at("dir/file"), at("real/../real/file")] {
            let turn = self::turn(&file, ".turn").unwrap();
            assert!(turn.is_some());
            assert!(self::turn(&name, ".turn").unwrap().is_none(), "{name:?}");
            replace(&name, b"2", 9).unwrap();
            assert_eq!(std::fs::read(&file).unwrap(), b"2");
            replace(&file, b"1", 9).unwrap();
            assert_eq!(read(&name, 9).unwrap().unwrap(), b"1");
        }
        assert!(at("link").is_symlink());
        // one that is not there yet has a lock, too
        let _turn = self::turn(&at("real/new"), ".turn").unwrap();
        assert!(self::turn(&at("dir/new"), ".turn").unwrap().is_none());
        symlink("nothing", at("lost")).unwrap();
        let lost = replace(&at("lost"), b"3", 9);
        assert!(matches!(lost, Err(FileError::Dangling)), "{lost:?}");
        assert!(matches!(lock(&at("lost")), Err(FileError::Dangling)));
        assert!(!at("nothing").exists());
    }
}
