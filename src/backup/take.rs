//! Taking a backup.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::manifest::{self, Listed, Manifest};
use super::{BackupError, JOURNAL, Places, VAULT};
use crate::journal::segment::copy;
use crate::journal::segment::inspect::inspect;
use crate::journal::{Disk, RealDisk, format};
use crate::private_file;
use crate::time::Clock;

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;
/// How often a directory is copied again because a file in it was gone.
const TRIES: usize = 10;
/// Directories in directories.
const MAX_DEPTH: usize = 8;
/// The directory of the dead letters.
const DEAD: &str = "dead";
/// What is being sent at most once.
const INTENTS: &str = "intents";
/// What file systems put into their top directory.
pub(super) const LOST_FOUND: &str = "lost+found";

/// Copies what is in `from` into the new directory `out`, also beside a running gateway, and says
/// what it holds. Blocks.
pub fn take(from: &Places, out: &Path, clock: &Clock) -> Result<Manifest, BackupError> {
    let taken_at = clock.now();
    if !from.journal.is_dir() {
        return Err(BackupError::NoJournal(from.journal.clone()));
    }
    if out.symlink_metadata().is_ok() {
        return Err(BackupError::Taken(out.to_owned()));
    }
    format::read(&RealDisk, &from.journal)?;
    let parent = match out.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = |path: &Path| path.canonicalize().map_err(BackupError::at(path));
    let there = parent.ancestors().find(|dir| dir.is_dir());
    if real(there.unwrap_or(Path::new(".")))?.starts_with(real(&from.journal)?) {
        return Err(BackupError::Within(out.to_owned()));
    }
    RealDisk
        .create_dir(&parent)
        .map_err(BackupError::at(&parent))?;
    // mode 0700, and gone again unless it is whole
    let draft = tempfile::Builder::new()
        .prefix(".capigate-backup-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&parent);
    let draft = draft.map_err(BackupError::at(&parent))?;
    let journal = draft.path().join(JOURNAL);
    RealDisk
        .create_dir(&journal)
        .map_err(BackupError::at(&journal))?;
    let is_quiet = journal_files(from, &journal).map_err(BackupError::at(&from.journal))?;
    if !is_quiet {
        return Err(BackupError::Restless);
    }
    format::mark(&journal).map_err(BackupError::file(&journal))?;
    let vault = vault(from, draft.path())?;
    let mut manifest = Manifest {
        format: format::VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at,
        waiting: BTreeMap::new(),
        dead_letters: 0,
        vault,
        damaged: false,
        files: BTreeMap::new(),
    };
    look(draft.path(), &mut manifest).map_err(BackupError::at(draft.path()))?;
    let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from);
    let text = text.map_err(BackupError::at(draft.path()))?;
    let file = draft.path().join(manifest::FILE);
    private_file::create(&file, &text).map_err(BackupError::file(&file))?;
    RealDisk
        .rename(draft.path(), out)
        .and_then(|()| RealDisk.sync_dir(&parent))
        .map_err(BackupError::at(out))?;
    // it has another name now
    let _gone = draft.keep();
    Ok(manifest)
}

/// The journal's directory. False when it changes too fast.
fn journal_files(from: &Places, to: &Path) -> io::Result<bool> {
    let is_secret = |path: &Path| {
        let real = path.canonicalize();
        let real = real.as_deref().unwrap_or(path);
        let own = from.secrets.iter().chain(&from.vault);
        own.filter_map(|secret| secret.canonicalize().ok())
            .any(|secret| secret == real)
    };
    let tree = Tree {
        is_secret: &is_secret,
    };
    let dead = [from.journal.join(DEAD), to.join(DEAD)];
    let mut besides = || {
        if dead[1].is_dir() {
            // of an earlier try
            std::fs::remove_dir_all(&dead[1])?;
        }
        if dead[0].is_dir() {
            tree.copy(&dead[0], &dead[1], 1)?;
        }
        Ok(())
    };
    if !copy::copy(&RealDisk, &from.journal, to, &mut besides)? {
        return Ok(false);
    }
    tree.copy(&from.journal, to, 0)?;
    // last: what is being sent by now is known not to be sent again
    let intents = from.journal.join(INTENTS);
    if intents.is_file() {
        copy_file(&intents, &to.join(INTENTS))?;
    }
    Ok(true)
}

/// Copies all that is no segment, without what is secret.
struct Tree<'a> {
    is_secret: &'a dyn Fn(&Path) -> bool,
}

impl Tree<'_> {
    /// The files of one directory and of those in it, in the order of their names (so that the
    /// entries of receipts come before the lines they point to, which only become more).
    fn copy(&self, from: &Path, to: &Path, depth: usize) -> io::Result<()> {
        RealDisk.create_dir(to)?;
        for _ in 0..TRIES {
            let mut names = RealDisk.list(from)?;
            names.sort_unstable();
            let mut is_whole = true;
            for name in names {
                is_whole &= self.copy_one(from, to, &name, depth)?;
            }
            if is_whole {
                break;
            }
        }
        RealDisk.sync_dir(to)
    }

    /// Whether it was there.
    fn copy_one(&self, from: &Path, to: &Path, name: &str, depth: usize) -> io::Result<bool> {
        let is_top = depth == 0;
        let is_elsewhere = [DEAD, INTENTS, format::FILE].contains(&name) || copy::is_own(name);
        let is_passing = name.starts_with('.') || name == LOST_FOUND || is_lock(name);
        let (path, copy) = (from.join(name), to.join(name));
        if (is_top && is_elsewhere) || is_passing || (self.is_secret)(&path) {
            return Ok(true);
        }
        let about = match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            about => about?,
        };
        if about.is_dir() && depth < MAX_DEPTH {
            self.copy(&path, &copy, depth + 1)?;
        } else if about.is_file() {
            match copy_file(&path, &copy) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                copied => copied?,
            }
        }
        Ok(true)
    }
}

/// Drafts and locks, which mean nothing in another place.
fn is_lock(name: &str) -> bool {
    let ending = Path::new(name).extension();
    ending.is_some_and(|ending| ending == "lock" || ending == "refresh" || ending == "tmp")
}

/// Copies one file, leaving holes where it has nothing but zeros.
pub(super) fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let file = RealDisk.open_read_only(from)?;
    let copy = RealDisk.create(to)?;
    let mut buf = vec![0; CHUNK];
    let (mut at, mut end) = (0, 0);
    loop {
        let read = file.read_at(&mut buf, at)?;
        let Some(bytes) = buf.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        if bytes.iter().any(|byte| *byte != 0) {
            copy.write_at(bytes, at)?;
            end = at + read as u64;
        }
        at += read as u64;
    }
    if end < at {
        copy.write_at(&[0], at - 1)?;
    }
    copy.sync()
}

/// Whether there was one.
fn vault(from: &Places, to: &Path) -> Result<bool, BackupError> {
    let Some(path) = &from.vault else {
        return Ok(false);
    };
    let bytes = private_file::read(path, crate::tokens::vault::MAX_FILE);
    let Some(bytes) = bytes.map_err(BackupError::file(path))? else {
        return Ok(false);
    };
    let copy = to.join(VAULT);
    private_file::create(&copy, &bytes).map_err(BackupError::file(&copy))?;
    Ok(true)
}

/// Reads the backup again: what is in it, and its checksums.
fn look(dir: &Path, manifest: &mut Manifest) -> io::Result<()> {
    let journal = dir.join(JOURNAL);
    let report = inspect(&RealDisk, &journal)?;
    manifest.damaged = report.damaged();
    let waiting = report.pixels.iter();
    manifest.waiting = waiting.map(|(id, tally)| (*id, tally.records)).collect();
    let dead = format!("{JOURNAL}/{DEAD}/");
    let mut dirs = vec![(dir.to_owned(), String::new())];
    while let Some((dir, above)) = dirs.pop() {
        for name in RealDisk.list(&dir)? {
            let (path, full) = (dir.join(&name), format!("{above}{name}"));
            if path.is_dir() {
                RealDisk.sync_dir(&path)?;
                dirs.push((path, format!("{full}/")));
                continue;
            }
            let mut lines = 0;
            let listed = digest(&path, &mut |bytes| {
                lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
            })?;
            if full.starts_with(&dead) {
                manifest.dead_letters += lines;
            }
            manifest.files.insert(full, listed);
        }
    }
    Ok(())
}

/// Reads a file to its end.
pub(super) fn digest(path: &Path, each: &mut dyn FnMut(&[u8])) -> io::Result<Listed> {
    let file = RealDisk.open_read_only(path)?;
    let mut buf = vec![0; CHUNK];
    let (mut hash, mut at) = (Sha256::new(), 0);
    loop {
        let read = file.read_at(&mut buf, at)?;
        let Some(bytes) = buf.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
        each(bytes);
        at += read as u64;
    }
    Ok(Listed {
        bytes: at,
        sha256: hex::encode(hash.finalize()),
    })
}
