//! Time, CPU time, bytes on disk, and what the disk itself can do.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// User and system time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// What some work took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) written: u64,
}

/// Does `work`, whose wall time counts, then `rest`, which counts but for its wall time.
pub(crate) fn spent<T>(disk: &Disk, work: impl FnOnce() -> T, rest: impl FnOnce()) -> (T, Spent) {
    disk.flush();
    let (start, before, bytes) = (Instant::now(), cpu(), disk.written());
    let outcome = work();
    let wall = start.elapsed();
    rest();
    disk.flush();
    let spent = Spent {
        wall,
        cpu: cpu().saturating_sub(before),
        written: disk.written().saturating_sub(bytes),
    };
    (outcome, spent)
}

/// The value below which `part` of them lie.
pub(crate) fn quantile(values: &mut [Duration], part: f64) -> Duration {
    values.sort_unstable();
    let at = (values.len() as f64 * part) as usize;
    let at = at.min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or_default()
}

/// The disk by itself.
pub(crate) struct Disk {
    file: File,
    /// The kernel's counts of the device; there are none of a file system over others.
    counts: String,
}

const PROBE_PAGES: usize = 256;

impl Disk {
    /// The one that `path`, a new file, is on.
    pub(crate) fn of(path: &Path) -> Self {
        let file = File::create(path).unwrap();
        file.write_all_at(&vec![1; PROBE_PAGES * 4096], 0).unwrap();
        file.sync_all().unwrap();
        let device = file.metadata().unwrap().dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let counts = format!("/sys/dev/block/{major}:{minor}/stat");
        Self { file, counts }
    }

    /// How long it takes to write 4 KiB over what is there and sync them, some times over.
    pub(crate) fn probe(&self, times: usize) -> Vec<Duration> {
        let probe = |n: usize| {
            let start = Instant::now();
            let at = (n % PROBE_PAGES * 4096) as u64;
            self.file.write_all_at(&[2; 4096], at).unwrap();
            self.file.sync_data().unwrap();
            start.elapsed()
        };
        (0..times).map(probe).collect()
    }

    /// Writes out what is in memory, so that he pays for it who wrote it.
    pub(crate) fn flush(&self) {
        rustix::fs::syncfs(&self.file).unwrap();
    }

    /// Bytes that the device has written, for whomever; 0 where nobody counts them.
    fn written(&self) -> u64 {
        let counts = std::fs::read_to_string(&self.counts).unwrap_or_default();
        let sectors = counts.split_whitespace().nth(6);
        sectors.and_then(|n| n.parse().ok()).unwrap_or(0) * 512
    }
}

const COPY_TRIES: usize = 100;

/// A file as it is: where, when it was last written, and the bytes it takes on disk.
#[derive(PartialEq, Eq)]
struct Found {
    path: PathBuf,
    modified: (i64, i64),
    bytes: u64,
}

/// The files under `dir`; one that goes meanwhile is left out.
fn files(dir: &Path) -> Vec<Found> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => all.extend(files(&path)),
            Ok(meta) => all.push(Found {
                path,
                modified: (meta.mtime(), meta.mtime_nsec()),
                bytes: meta.blocks() * 512,
            }),
            Err(_) => {}
        }
    }
    all.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    all
}

/// Bytes that the files under `dir` take on disk.
pub(crate) fn disk_bytes(dir: &Path) -> u64 {
    files(dir).iter().map(|file| file.bytes).sum()
}

/// Copies the files under `from` as they are, open or not: what a process that is killed leaves.
/// An engine that still changes them is waited for.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    for _ in 0..COPY_TRIES {
        let before = files(from);
        let copied = before.iter().all(|file| {
            let target = to.join(file.path.strip_prefix(from).unwrap());
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(&file.path, target).is_ok()
        });
        if copied && files(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the files under {} never come to rest", from.display());
}
