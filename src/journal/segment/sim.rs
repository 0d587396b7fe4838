//! A disk that lies: what was not synced may or may not survive.
//!
//! It keeps what programs see apart from what is durable. When the power goes, any subset of the
//! unsynced 512-byte sectors survives, and any subset of the unsynced changes of names. When a
//! sync fails, some sectors are durable and the rest are forgotten: they can still be read, but
//! no later sync writes them. When only the process dies, all it wrote can still be read.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::disk::{DirLock, Disk, DiskFile};
use super::file::Name;
use super::locked;

const SECTOR: usize = 512;

/// A small random generator whose seed is printed when a case fails.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// True once in `n`.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rng: Rng,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    /// Calls until the power goes.
    power_in: Option<u64>,
    /// Syncs until one fails.
    sync_fails_in: Option<u64>,
    /// Bytes of all files.
    capacity: u64,
    off: bool,
    /// Handles of an earlier run do not work.
    run: u64,
    /// Syncs of files so far.
    syncs: u64,
    locked_in: Option<u64>,
}

#[derive(Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: usize,
    run: u64,
}

struct SimLock(SimDisk, u64);

fn gone() -> io::Error {
    io::Error::other("the power is off")
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

impl SimDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            power_in: None,
            sync_fails_in: None,
            capacity: u64::MAX,
            off: false,
            run: 0,
            syncs: 0,
            locked_in: None,
        })))
    }

    /// The power goes in the middle of the call after `calls` more.
    pub(crate) fn lose_power_in(&self, calls: Option<u64>) {
        locked(&self.0).power_in = calls;
    }

    /// The sync after `syncs` more fails.
    pub(crate) fn fail_sync_in(&self, syncs: Option<u64>) {
        locked(&self.0).sync_fails_in = syncs;
    }

    /// How much fits.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        locked(&self.0).capacity = bytes;
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        locked(&self.0).used()
    }

    /// Syncs of files so far.
    pub(crate) fn syncs(&self) -> u64 {
        locked(&self.0).syncs
    }

    pub(crate) fn is_off(&self) -> bool {
        locked(&self.0).off
    }

    /// The process dies; what it wrote is still to be seen.
    pub(crate) fn kill(&self) {
        let mut state = locked(&self.0);
        state.run += 1;
        state.locked_in = None;
    }

    /// The machine stops and starts again.
    pub(crate) fn power_cycle(&self) {
        let mut state = locked(&self.0);
        state.run += 1;
        state.locked_in = None;
        state.off = false;
        state.power_in = None;
        state.sync_fails_in = None;
        let odds = [0, 1, 2, 4, u64::MAX][state.rng.below(5) as usize];
        let mut rng = state.rng.clone();
        let mut survives = || match odds {
            0 => false,
            u64::MAX => true,
            n => rng.below(4) < n,
        };
        for content in &mut state.files {
            if content.seen.len() != content.durable.len() && survives() {
                content.durable.resize(content.seen.len(), 0);
            }
            for sector in std::mem::take(&mut content.unsynced) {
                if survives() {
                    content.persist(sector);
                }
            }
            content.seen = content.durable.clone();
        }
        for change in std::mem::take(&mut state.name_changes) {
            if survives() {
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        state.rng = rng;
    }

    /// Changes bytes of a file behind everybody's back.
    pub(crate) fn damage(&self, name: &str, at: usize, mask: u8) {
        let mut state = locked(&self.0);
        let file = state.names[name];
        state.files[file].seen[at] ^= mask;
        state.files[file].durable[at] ^= mask;
    }

    /// Every segment becomes a spare with its old content; every other file goes.
    pub(crate) fn make_spares(&self) {
        let mut state = locked(&self.0);
        let old = std::mem::take(&mut state.names);
        let segments = old
            .iter()
            .filter(|(name, _)| matches!(Name::parse(name), Some(Name::Segment(_))));
        let spares = segments
            .zip(1..)
            .map(|((_, file), n)| (format!("spare-{n}.seg"), *file))
            .collect();
        state.names = spares;
        state.durable_names = state.names.clone();
        state.name_changes.clear();
        for content in &mut state.files {
            content.durable = content.seen.clone();
            content.unsynced.clear();
        }
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let state = locked(&self.0);
        state.files[state.names[name]].seen.clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        locked(&self.0).names.keys().cloned().collect()
    }

    fn open_as(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = locked(&self.0);
        state.call()?;
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        let (disk, run) = (self.clone(), state.run);
        Ok(Arc::new(SimFile { disk, file, run }))
    }

    fn change(&self, change: NameChange) -> io::Result<()> {
        let mut state = locked(&self.0);
        let called = state.call();
        // the change may be on its way when the power goes
        if called.is_ok() || state.rng.once_in(2) {
            change.apply(&mut state.names);
            state.name_changes.push(change);
        }
        called
    }
}

impl State {
    /// Every call passes here; the power may go.
    fn call(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.power_in {
            if *left == 0 {
                self.off = true;
            }
            *left = left.saturating_sub(1);
        }
        if self.off { Err(gone()) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        let sizes = self.names.values().map(|file| self.files[*file].seen.len());
        sizes.sum::<usize>() as u64
    }
}

impl Content {
    fn persist(&mut self, sector: usize) {
        let start = (sector * SECTOR).min(self.durable.len());
        let end = (start + SECTOR)
            .min(self.durable.len())
            .min(self.seen.len());
        if start < end {
            self.durable[start..end].copy_from_slice(&self.seen[start..end]);
        }
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.seen.len() {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.unsynced.extend(offset / SECTOR..=(end - 1) / SECTOR);
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = locked(&self.disk.0);
        if state.off || state.run != self.run {
            return Err(gone());
        }
        let seen = &state.files[self.file].seen;
        let rest = seen.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = locked(&self.disk.0);
        if state.off || state.run != self.run {
            return Err(gone());
        }
        let size = state.files[self.file].seen.len() as u64;
        let grows = (offset + bytes.len() as u64).saturating_sub(size);
        if grows > 0 && state.used() + grows > state.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let called = state.call();
        if called.is_ok() || state.rng.once_in(2) {
            state.files[self.file].write(bytes, offset as usize);
        }
        called
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = locked(&self.disk.0);
        if state.off || state.run != self.run {
            return Err(gone());
        }
        state.call()?;
        state.syncs += 1;
        let fails = state.sync_fails_in == Some(0);
        state.sync_fails_in = state.sync_fails_in.map(|n| n.saturating_sub(1));
        let mut rng = state.rng.clone();
        let content = &mut state.files[self.file];
        if !fails || rng.once_in(2) {
            content.durable.resize(content.seen.len(), 0);
        }
        for sector in std::mem::take(&mut content.unsynced) {
            if !fails || rng.once_in(2) {
                content.persist(sector);
            }
        }
        state.rng = rng;
        if fails {
            state.sync_fails_in = None;
            return Err(io::Error::other("the sync failed"));
        }
        Ok(())
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        let now = self.size()?;
        if size > now {
            self.write_at(&vec![0; (size - now) as usize], now)?;
        }
        self.sync()
    }

    fn size(&self) -> io::Result<u64> {
        let state = locked(&self.disk.0);
        if state.off || state.run != self.run {
            return Err(gone());
        }
        Ok(state.files[self.file].seen.len() as u64)
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        locked(&self.0).call()
    }

    fn list(&self, _dir: &Path) -> io::Result<Vec<String>> {
        locked(&self.0).call()?;
        Ok(self.names())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = locked(&self.0);
        state.files.push(Content::default());
        let file = state.files.len() - 1;
        drop(state);
        let name = name_of(path);
        self.change(NameChange::Create(name.clone(), file))?;
        self.open_as(&name)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_as(&name_of(path))
    }

    fn open_read_only(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_as(&name_of(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(NameChange::Rename(name_of(from), name_of(to)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let name = name_of(path);
        if !locked(&self.0).names.contains_key(&name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(NameChange::Remove(name))
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = locked(&self.0);
        state.call()?;
        for change in std::mem::take(&mut state.name_changes) {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn lock(&self, _path: &Path) -> io::Result<DirLock> {
        let mut state = locked(&self.0);
        state.call()?;
        if state.locked_in == Some(state.run) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locked_in = Some(state.run);
        Ok(Box::new(SimLock(self.clone(), state.run)))
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = locked(&self.0.0);
        if state.locked_in == Some(self.1) {
            state.locked_in = None;
        }
    }
}
