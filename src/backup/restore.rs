//! Restoring a backup.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use super::manifest::{self, Manifest};
use super::take::{LOST_FOUND, copy_file, digest};
use super::{BackupError, JOURNAL, Places, VAULT};
use crate::journal::{Disk, RealDisk, format};
use crate::private_file;

/// Puts the backup in `from` where `to` says, and gives what it holds. The journal's directory must
/// be missing or empty, and the vault missing; without `to.vault` the vault is left out. What root
/// restores belongs to the owner of the directory above. Blocks.
pub fn restore(from: &Path, to: &Places) -> Result<Manifest, BackupError> {
    let manifest = read(from)?;
    let vault = to.vault.as_ref().filter(|_| manifest.vault);
    if let Some(vault) = vault
        && vault.symlink_metadata().is_ok()
    {
        return Err(BackupError::Taken(vault.clone()));
    }
    let is_empty = |dir: &Path| match RealDisk.list(dir) {
        Ok(names) => names.iter().all(|name| name == LOST_FOUND),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_empty(&to.journal) {
        return Err(BackupError::Taken(to.journal.clone()));
    }
    for (name, listed) in &manifest.files {
        let found = digest(&from.join(name), &mut |_| {});
        if found.ok().as_ref() != Some(listed) {
            return Err(BackupError::Damaged { name: name.clone() });
        }
    }
    // no gateway opens it from here on to the end
    format::begin_restore(&to.journal).map_err(BackupError::file(&to.journal))?;
    let owner = to
        .journal
        .metadata()
        .map_err(BackupError::at(&to.journal))?;
    for name in manifest.files.keys() {
        let Some(inside) = name.strip_prefix(JOURNAL).and_then(|n| n.strip_prefix('/')) else {
            continue;
        };
        if inside == format::FILE {
            continue;
        }
        let path = to.journal.join(inside);
        put(&from.join(name), &path, &to.journal, &owner).map_err(BackupError::at(&path))?;
    }
    RealDisk
        .sync_dir(&to.journal)
        .map_err(BackupError::at(&to.journal))?;
    if let Some(vault) = vault {
        let bytes = private_file::read(&from.join(VAULT), crate::tokens::vault::MAX_FILE);
        let bytes = bytes.map_err(BackupError::file(from.join(VAULT)))?;
        let bytes = bytes.unwrap_or_default();
        private_file::create(vault, &bytes).map_err(BackupError::file(vault))?;
    }
    format::mark(&to.journal).map_err(BackupError::file(&to.journal))?;
    Ok(manifest)
}

/// What every version of `backup.json` says.
#[derive(serde::Deserialize)]
struct Head {
    format: u32,
}

/// What the backup holds; its files are not looked at.
fn read(from: &Path) -> Result<Manifest, BackupError> {
    let text = RealDisk.open_read_only(&from.join(manifest::FILE));
    let text = text.and_then(|file| {
        let mut text = vec![0; file.size()?.min(manifest::MAX_FILE) as usize];
        let read = file.read_at(&mut text, 0)?;
        text.truncate(read);
        Ok(text)
    });
    let none = || BackupError::NoBackup(from.to_owned());
    let text = text.map_err(|_| none())?;
    // first, since what else a later one says is not known
    let head: Head = serde_json::from_slice(&text).map_err(|_| none())?;
    if head.format > format::VERSION {
        return Err(BackupError::Format {
            found: head.format,
            known: format::VERSION,
        });
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| none())?;
    Some(manifest).filter(Manifest::is_sound).ok_or_else(none)
}

/// Copies one file to its place below `top`.
fn put(from: &Path, path: &Path, top: &Path, owner: &Metadata) -> io::Result<()> {
    let dirs: Vec<PathBuf> = (path.ancestors().skip(1))
        .take_while(|dir| *dir != top)
        .map(Path::to_owned)
        .collect();
    for dir in dirs.iter().rev().filter(|dir| !dir.is_dir()) {
        RealDisk.create_dir(dir)?;
        hand_over(dir, owner)?;
    }
    copy_file(from, path)?;
    hand_over(path, owner)?;
    path.parent().map_or(Ok(()), |dir| RealDisk.sync_dir(dir))
}

fn hand_over(path: &Path, owner: &Metadata) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() || path.symlink_metadata()?.uid() == owner.uid() {
        return Ok(());
    }
    lchown(path, Some(owner.uid()), Some(owner.gid()))
}
