//! The few calls the journal makes on a disk.
//!
//! They are a parameter so that a test can put a disk in their place that loses what was not
//! synced. All offsets and sizes are bytes; every call blocks.

use std::any::Any;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FallocateFlags;

use crate::failpoint;

/// A lock that is held as long as this value lives.
pub type DirLock = Box<dyn Any + Send + Sync>;

/// One open file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads from `offset` until `buf` is full or the file ends; returns the bytes read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`. Nothing is durable before [`DiskFile::sync`].
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content written so far durable, and the size where that is needed to read it.
    fn sync(&self) -> io::Result<()>;
    /// Fills the file with zeros up to `size`, so that later writes only replace blocks.
    fn allocate(&self, size: u64) -> io::Result<()>;
    /// The size of the file.
    fn size(&self) -> io::Result<u64>;
}

/// A file system, as far as the journal needs one.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a directory and its parents, mode 0700; one that exists is left as it is.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names of the files of a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes an empty file, mode 0600, in place of one that may exist.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading.
    fn open_read_only(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name in the same directory. Not durable before [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Not durable before [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names of a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on a file, made if need be; `WouldBlock` when another holds it.
    fn lock(&self, path: &Path) -> io::Result<DirLock>;
}

/// Whether the disk said that it has no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(File);

/// Zeros written in one call.
const FILL_CHUNK: usize = 1 << 20;
/// Zeros written between two syncs, so that a commit never waits behind a whole segment.
const FILL_SYNC: u64 = 4 << 20;

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        failpoint::room(|| Ok(offset + bytes.len() as u64 > self.size()?))?;
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        failpoint::room(|| Ok(true))?;
        // asks for all blocks at once, so that a full disk says so early; a file system that
        // cannot do this is told by writing
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, size) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(errno) => return Err(errno.into()),
        }
        let zeros = vec![0; FILL_CHUNK];
        let mut at = 0;
        while at < size {
            let n = (size - at).min(FILL_CHUNK as u64);
            self.0
                .write_all_at(zeros.get(..n as usize).unwrap_or(&zeros), at)?;
            at += n;
            if at % FILL_SYNC == 0 {
                self.0.sync_data()?;
            }
        }
        self.0.sync_all()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the journal meets the file system"
    )]
    options.open(path)
}

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            // a name that is not UTF-8 is none of ours
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        failpoint::room(|| Ok(true))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Arc::new(RealFile(open(options.mode(0o600), path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = open(OpenOptions::new().read(true).write(true), path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open_read_only(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(open(
            OpenOptions::new().read(true),
            path,
        )?)))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the journal meets the file system"
    )]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the journal meets the file system"
    )]
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        open(OpenOptions::new().read(true), dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<DirLock> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = open(options.mode(0o600), path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn directories_and_files_are_for_their_owner_only() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("a/b");
        RealDisk.create_dir(&dir).unwrap();
        RealDisk.create_dir(&dir).unwrap();
        let file = RealDisk.create(&dir.join("f")).unwrap();
        file.allocate(3 << 20).unwrap();
        assert_eq!(file.size().unwrap(), 3 << 20);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("f")), 0o600);
    }

    #[test]
    fn a_lock_is_held_once() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("LOCK");
        let held = RealDisk.lock(&path).unwrap();
        assert_eq!(
            RealDisk.lock(&path).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(held);
        RealDisk.lock(&path).unwrap();
    }
}
