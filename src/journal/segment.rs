//! The embedded log: segments on disk, an index in memory, one thread that writes.
//!
//! The parts: `frame` is the bytes, `file` the names, `disk` the calls; `admit` is the way in;
//! `writer` makes commits durable; `keeper` does what may wait (the settle log, recycling), with
//! `spares` and `evacuate`; `index`, `records` and `table` know where everything is, `lane`,
//! `tiers` and `queue` whose turn it is; `recover` rebuilds them from the files; `read` reads
//! what is leased, `walk` all there is, `commits` commit by commit; `inspect` only looks.
//!
//! `Writer` and `Keeper` are plain structs driven by calls, so that a test can run them in any
//! order on a disk that lies; the threads are thin shells around them.

pub(crate) mod admit;
pub(crate) mod commits;
pub(crate) mod copy;
pub mod disk;
pub(crate) mod evacuate;
pub(crate) mod file;
pub(crate) mod frame;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod keeper;
mod lane;
#[cfg(test)]
mod lying;
#[cfg(test)]
mod model;
#[cfg(test)]
mod pressure;
pub(crate) mod queue;
pub(crate) mod read;
pub(crate) mod records;
pub(crate) mod recover;
pub(crate) mod scan;
pub(crate) mod settled;
#[cfg(test)]
pub(crate) mod sim;
pub(crate) mod spares;
pub(crate) mod table;
pub(crate) mod tiers;
pub(crate) mod walk;
pub(crate) mod writer;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use self::disk::{DirLock, Disk};
use self::index::Index;
use self::spares::Spares;
use self::writer::Item;
use super::{AppendError, Health, Limit, Settings};
use crate::telemetry::metrics::Metrics;
use crate::time::Clock;

/// How long the writer waits at most for the call of the first in line: its task may be kept by other
/// work, which must not keep everybody.
const GATHER: Duration = Duration::from_millis(1);

/// What the appends, the lanes, the writer and the keeper share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) index: Mutex<Index>,
    pub(crate) spares: Spares,
    door: Mutex<Door>,
    /// Something came through the door, or it was closed.
    arrived: Condvar,
    chores: Mutex<Chores>,
    /// The keeper has something to do.
    called: Condvar,
    pub(crate) health: watch::Sender<Health>,
    /// Counts the times a first lane woke.
    pub(crate) changed: watch::Sender<u64>,
    /// True once all is written and the lock released.
    pub(crate) closed: watch::Sender<bool>,
    pub(crate) lock: Mutex<Option<DirLock>>,
}

/// Where appends wait for the writer.
#[derive(Debug, Default)]
struct Door {
    jobs: VecDeque<Job>,
    /// When the first of them came.
    since: Option<Instant>,
    /// The writer is to take them.
    called: bool,
    /// The writer waits for as long as it takes, so the first append must wake it.
    asleep: bool,
    /// Record bytes that wait for a commit, or are in one.
    pending: u64,
    full: Option<Limit>,
    shut: Option<AppendError>,
    /// The writer may go home once the line is empty. Poison alone does not send it home: what is
    /// settled is still noted, and the directory stays locked.
    closing: bool,
}

/// What the keeper was called for.
#[derive(Debug, Default)]
struct Chores {
    kicked: bool,
    stop: bool,
}

/// One call of append.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) items: Vec<Item>,
    /// What it counts against `max_pending`.
    pub(crate) bytes: u64,
    pub(crate) reply: oneshot::Sender<Result<(), AppendError>>,
}

impl Door {
    /// Whether there is something to take that is not to wait any longer.
    fn is_due(&self) -> bool {
        let has_waited = || self.since.is_some_and(|since| since.elapsed() >= GATHER);
        !self.jobs.is_empty() && (self.called || self.closing || has_waited())
    }
}

/// Calls the writer when it is dropped. Whoever is first in line has it, and waits with it for as long
/// as others are about to join.
#[derive(Debug)]
pub(crate) struct Bell<'s>(&'s Shared);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        locked(&self.0.door).called = true;
        self.0.arrived.notify_one();
    }
}

/// Why the keeper woke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Time has passed, or somebody asked.
    Tidy,
    /// The journal closes.
    Stop,
}

/// Locks; a thread that panicked while it held the lock changes nothing for the others.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Shows the index's counts in the metrics; under its lock, so that the last one to change it
    /// has the last word.
    pub(crate) fn show_counts(&self, index: &Index) {
        let (records, payload) = index.counts();
        self.metrics.journal_records.set(records as i64);
        self.metrics.journal_bytes.set(payload as i64);
    }

    /// Shows in the metrics what the files take.
    pub(crate) fn show_sizes(&self) {
        let depth = locked(&self.index).depth();
        let bytes = depth.disk_bytes + self.spares.bytes();
        self.metrics.journal_disk_bytes.set(bytes as i64);
        self.metrics.journal_segments.set(depth.segments as i64);
    }

    pub(crate) fn new(
        settings: Settings,
        disk: Arc<dyn Disk>,
        clock: Clock,
        metrics: Metrics,
        lock: DirLock,
    ) -> Self {
        Self {
            disk,
            settings,
            clock,
            metrics,
            index: Mutex::default(),
            spares: Spares::default(),
            door: Mutex::default(),
            arrived: Condvar::new(),
            chores: Mutex::default(),
            called: Condvar::new(),
            health: watch::Sender::new(Health::Ok),
            changed: watch::Sender::new(0),
            closed: watch::Sender::new(false),
            lock: Mutex::new(Some(lock)),
        }
    }

    /// Puts an append in line for the writer, unless a limit is reached. The first in line is to
    /// call the writer.
    pub(crate) fn enqueue(&self, job: Job) -> Result<Option<Bell<'_>>, (Job, AppendError)> {
        let door = locked(&self.door);
        let refusal = if let Some(shut) = door.shut {
            Some(shut)
        } else if let Some(limit) = door.full {
            Some(AppendError::Full(limit))
        } else if door.pending + job.bytes > self.settings.max_pending {
            Some(AppendError::Full(Limit::MaxPending))
        } else {
            None
        };
        if let Some(error) = refusal {
            return Err((job, error));
        }
        Ok(self.line_up(door, job))
    }

    /// Puts copies in line: they pass when the journal is full, for they make it less so.
    pub(crate) fn enqueue_copies(&self, job: Job) -> Result<(), AppendError> {
        let door = locked(&self.door);
        if let Some(error) = door.shut {
            return Err(error);
        }
        self.line_up(door, job);
        Ok(())
    }

    fn line_up(&self, mut door: MutexGuard<'_, Door>, job: Job) -> Option<Bell<'_>> {
        door.pending += job.bytes;
        door.jobs.push_back(job);
        if door.jobs.len() > 1 {
            return None;
        }
        door.since = Some(Instant::now());
        // one that is awake looks again within `GATHER`; to wake it costs more than to hash an event
        let asleep = std::mem::take(&mut door.asleep);
        drop(door);
        if asleep {
            self.arrived.notify_one();
        }
        Some(Bell(self))
    }

    /// Waits for a call and takes all appends that are there; false when the journal closes and all is
    /// out.
    pub(crate) fn next_jobs(&self, jobs: &mut VecDeque<Job>) -> bool {
        let mut door = locked(&self.door);
        let mut idle = false;
        while !door.is_due() {
            if door.closing {
                return false;
            }
            door.called = false;
            door.asleep = idle && door.jobs.is_empty();
            if door.asleep {
                door = (self.arrived.wait(door)).unwrap_or_else(PoisonError::into_inner);
                idle = false;
                continue;
            }
            let patience = door
                .since
                .map_or(GATHER, |since| GATHER.saturating_sub(since.elapsed()));
            let (guard, wait) =
                (self.arrived.wait_timeout(door, patience)).unwrap_or_else(PoisonError::into_inner);
            door = guard;
            idle = wait.timed_out();
        }
        door.asleep = false;
        door.since = None;
        door.called = false;
        std::mem::swap(&mut door.jobs, jobs);
        true
    }

    /// Record bytes that wait for a commit, or are in one.
    pub(crate) fn pending(&self) -> u64 {
        locked(&self.door).pending
    }

    /// An append has been answered: its bytes no longer wait.
    pub(crate) fn release_pending(&self, bytes: u64) {
        let mut door = locked(&self.door);
        door.pending = door.pending.saturating_sub(bytes);
    }

    /// No append is taken from now on; those in line still are.
    pub(crate) fn shut(&self) {
        let mut door = locked(&self.door);
        door.shut.get_or_insert(AppendError::Stopping);
        door.closing = true;
        drop(door);
        self.arrived.notify_all();
    }

    /// A write or sync has failed: what the disk holds is unknown until the next start.
    pub(crate) fn poison(&self, what: &'static str, error: &std::io::Error) {
        let mut door = locked(&self.door);
        door.shut = Some(AppendError::Poisoned);
        door.since = None;
        let jobs = std::mem::take(&mut door.jobs);
        door.pending = 0;
        drop(door);
        self.metrics.journal_poisoned.set(1);
        tracing::error!(error = %error, step = what, "the journal takes nothing more until a restart");
        self.health.send_replace(Health::Poisoned);
        for job in jobs {
            let _caller_gone = job.reply.send(Err(AppendError::Poisoned));
        }
    }

    /// Whether a write or sync has failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        locked(&self.door).shut == Some(AppendError::Poisoned)
    }

    /// The limit that keeps appends out now.
    pub(crate) fn full(&self) -> Option<Limit> {
        locked(&self.door).full
    }

    /// Lets appends in, or keeps them out because of `limit`.
    pub(crate) fn set_full(&self, limit: Option<Limit>) {
        let mut door = locked(&self.door);
        let before = std::mem::replace(&mut door.full, limit);
        drop(door);
        if before == limit {
            return;
        }
        if let Some(limit) = limit {
            tracing::error!(limit = limit.name(), "the journal is full");
        } else {
            tracing::warn!("the journal has room again");
        }
        self.health.send_if_modified(|health| {
            if *health == Health::Poisoned {
                return false;
            }
            *health = limit.map_or(Health::Ok, Health::Full);
            true
        });
    }

    /// Calls the keeper.
    pub(crate) fn kick(&self) {
        locked(&self.chores).kicked = true;
        self.called.notify_one();
    }

    /// Tells the keeper that there will be nothing more.
    pub(crate) fn stop_keeper(&self) {
        locked(&self.chores).stop = true;
        self.called.notify_one();
    }

    /// Waits until the keeper is called or `patience` has passed (for ever if there is none).
    pub(crate) fn next_call(&self, patience: Option<Duration>) -> Call {
        let mut chores = locked(&self.chores);
        while !chores.kicked && !chores.stop {
            let Some(patience) = patience else {
                chores = self
                    .called
                    .wait(chores)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (guard, timed_out) = self
                .called
                .wait_timeout(chores, patience)
                .unwrap_or_else(PoisonError::into_inner);
            chores = guard;
            if timed_out.timed_out() {
                break;
            }
        }
        chores.kicked = false;
        if chores.stop { Call::Stop } else { Call::Tidy }
    }

    /// Tells the lanes' keeper that `woken` has something to say.
    pub(crate) fn ring(&self) {
        self.changed.send_modify(|n| *n += 1);
    }
}
