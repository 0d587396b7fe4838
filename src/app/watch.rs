//! Notices that the files of the configuration, of its secrets or of the vault have changed.
//!
//! It watches directories, not files: editors and orchestrators replace a file by renaming
//! another, or swap a symbolic link somewhere on the way to it. What such a directory reports is
//! only a hint; whether one of our files is another one now is seen by its stamp. Where no hints
//! come (a network file system, or no watches left), the stamps are looked at now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::config::{Config, Layers};

use super::reload::{Reloader, Trigger};

/// How often the stamps are looked at without a hint.
const LOOK: Duration = Duration::from_secs(30);
/// A directory that is never quiet delays a reload by so many debounces at most.
const MAX_DEBOUNCES: u32 = 10;
/// More symbolic links on the way to a file are a circle.
const MAX_LINKS: usize = 40;

/// Device, inode, size and times of each file that is there; what is written or replaced differs in
/// one of them.
type Stamps = BTreeMap<PathBuf, Option<[i64; 7]>>;

/// Reloads when a file has changed, for ever.
pub(super) async fn run(reloader: Reloader) {
    let mut seen = None;
    loop {
        let now = reloader.now();
        let debounce = now.config.reload.debounce.get();
        let Some(layers) = reloader.layers().cloned() else {
            return;
        };
        // first the watch and then the stamps, so that nothing can happen between them; and both
        // before the reload, so that what changes during it is seen after it
        let hint = Arc::new(Notify::new());
        let (watched, stamps) = {
            let hint = Arc::clone(&hint);
            let look = move || {
                let files = files(&layers, &now.config);
                (watch(&files, &hint), stamps(&files))
            };
            match tokio::task::spawn_blocking(look).await {
                Ok(seen) => seen,
                Err(_) => return,
            }
        };
        let is_new = seen.as_ref() != Some(&stamps);
        seen = Some(stamps);
        if is_new {
            // whether it was refused is logged and noted there
            let _ = reloader.reload(Trigger::Watch).await;
            // it may point to other files now
            continue;
        }
        let _ = timeout(LOOK, hint.notified()).await;
        for _ in 0..MAX_DEBOUNCES {
            if timeout(debounce, hint.notified()).await.is_err() {
                break;
            }
        }
        drop(watched);
    }
}

/// The files a configuration comes from, and those with the secrets that it, or what is in the
/// files now, points to: the latter may have been refused because such a file was not there yet.
fn files(layers: &Layers, in_force: &Config) -> BTreeSet<PathBuf> {
    let mut files: BTreeSet<PathBuf> = layers.files.iter().cloned().collect();
    let wanted = Config::load(&layers.files, layers.env.clone().into_iter()).ok();
    for config in wanted.iter().chain([in_force]) {
        files.extend(config.secret_files().into_iter().map(Path::to_owned));
        if config.tokens.vault_key.is_some() {
            files.insert(config.tokens.vault.clone());
        }
    }
    files
}

fn stamps(files: &BTreeSet<PathBuf>) -> Stamps {
    let stamp = |of: Metadata| {
        [
            of.dev().cast_signed(),
            of.ino().cast_signed(),
            of.size().cast_signed(),
            of.mtime(),
            of.mtime_nsec(),
            of.ctime(),
            of.ctime_nsec(),
        ]
    };
    let stat = |path: &PathBuf| (path.clone(), path.metadata().ok().map(stamp));
    files.iter().map(stat).collect()
}

/// Watches every directory in which a change can put another file in the place of one of these.
fn watch(files: &BTreeSet<PathBuf>, hint: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let hint = Arc::clone(hint);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // looking at files is no change of them, and would never end
        let is_change = |kind| {
            !matches!(kind, EventKind::Access(_))
                || kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
        };
        if event.is_ok_and(|event| is_change(event.kind)) {
            hint.notify_one();
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::debug!(%error, "files cannot be watched, they are looked at now and then");
            return None;
        }
    };
    for dir in files
        .iter()
        .flat_map(|file| directories(file))
        .collect::<BTreeSet<_>>()
    {
        if let Err(error) = watcher.watch(&dir, RecursiveMode::NonRecursive) {
            tracing::debug!(dir = %dir.display(), %error, "a directory cannot be watched");
        }
    }
    Some(watcher)
}

/// The directory of a file, and of each symbolic link on the way to it.
fn directories(file: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    for _ in 0..MAX_LINKS {
        let mut walked = PathBuf::new();
        let mut parts = path.components();
        let target = parts.by_ref().find_map(|part| {
            if part == Component::ParentDir {
                walked.pop();
                return None;
            }
            walked.push(part);
            walked.read_link().ok()
        });
        let dir = walked.parent().unwrap_or(Path::new("/")).to_owned();
        found.insert(dir.clone());
        let Some(target) = target else { break };
        path = dir.join(target).join(parts.as_path());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_has_its_directory_watched() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        std::fs::create_dir_all(at("real/one")).unwrap();
        std::fs::create_dir_all(at("mount")).unwrap();
        std::fs::create_dir_all(at("links")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file of this test")]
        std::fs::write(at("real/one/token"), "t").unwrap();
        // as Kubernetes mounts a secret, with a link to a directory in front of it
        symlink("../real/one", at("mount/..data")).unwrap();
        symlink("..data/token", at("mount/token")).unwrap();
        symlink(at("mount"), at("links/mount")).unwrap();
        let found = directories(&at("links/mount/token"));
        for dir in ["links", "mount", "real/one"] {
            assert!(found.contains(&at(dir)), "{dir}: {found:?}");
        }
        symlink("loop", at("links/loop")).unwrap();
        assert!(directories(&at("links/loop/x")).contains(&at("links")));
        assert!(!directories(Path::new("plain.toml")).is_empty());
    }

    #[test]
    fn a_file_that_is_swapped_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "files of this test")]
        for name in ["one", "two"] {
            std::fs::write(at(name), "same").unwrap();
        }
        symlink("one", at("link")).unwrap();
        let files = BTreeSet::from([at("link"), at("none")]);
        let before = stamps(&files);
        assert_eq!(before, stamps(&files));
        assert!(before[&at("link")].is_some() && before[&at("none")].is_none());
        symlink("two", at("new")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "files of this test")]
        std::fs::rename(at("new"), at("link")).unwrap();
        assert_ne!(before, stamps(&files));
    }
}
