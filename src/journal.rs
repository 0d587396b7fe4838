//! The journal: what keeps an accepted event until it has met its end.
//!
//! # Promises
//!
//! - **Durable before `Ok`.** [`Journal::append`] returns `Ok` after the group commit that holds
//!   the events has been synced to disk. A power cut after that loses none of them.
//! - **At least once.** A record is handed out as a [`Lease`] and stays in the journal until the
//!   lease is settled as delivered or dead. What was leased when the process died is leased again;
//!   so are records settled within the last `settle_sync` before a crash.
//! - **The urgent first.** Of a lane's records those go first that have the least time left,
//!   divided by the weight of their event name ([`Weights`]). Among those of one weight that had
//!   about as much time left on arrival, the oldest go first, returned ones before fresh ones.
//! - **Bounded.** Every bound has a name ([`Limit::name`]) and says no at once instead of waiting.
//! - **Nothing invented.** Every record carries a checksum under a salt that is new for each life
//!   of its file; only bytes that verify are handed out.
//!
//! # What it refuses
//!
//! - It does not retry a failed write or sync: it is *poisoned*, takes nothing more, and the next
//!   start reads what truly is on disk. A full disk is no such failure: appends are refused with
//!   [`Limit::Disk`] until there is room, and all that was accepted stays and can be leased.
//! - It looks at no more of an event than its head, and stores the bytes that go on the wire; it
//!   has no field for a token or a raw personal value. Its directory is 0700, its files 0600.
//! - It does not open files of another format version, nor a directory another process has open.
//!
//! # Limits
//!
//! Segments of up to 4 GiB, 65,535 of them; a record must fit one segment. A waiting record takes
//! at most 16 bytes of memory, whatever its size.

pub mod dead;
pub mod envelope;
mod error;
pub(crate) mod extras;
pub mod format;
pub mod intents;
pub mod lease;
mod look;
pub mod segment;
mod weights;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use self::envelope::{Class, Envelope, LaneKey, Platform, Progress, RequestOptions};
pub use self::error::{AppendError, Limit, OpenError};
pub use self::lease::{Lease, LeaseLimits, Settlement, settle_all};
pub use self::look::{Found, Waiting};
use self::segment::admit::Admitted;
pub use self::segment::disk::{Disk, RealDisk};
use self::segment::keeper::Keeper;
use self::segment::recover::recover;
use self::segment::writer::Writer;
use self::segment::{Shared, locked};
pub use self::weights::Weights;
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};

/// The first segment of a run, if no spare is left from the last: small, so that a start does not
/// wait for 64 MiB of zeros.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
/// No segment is smaller.
const MIN_SEGMENT_BYTES: u64 = 4096;
/// No segment is larger: offsets are 32 bits wide.
const MAX_SEGMENT_BYTES: u64 = (1 << 32) - 8;

/// Where the journal is and how much it may hold.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory; made, with mode 0700, if it is not there.
    pub dir: PathBuf,
    /// Bytes of a segment file; held to at most a quarter of `max_bytes`.
    pub segment_bytes: u64,
    /// Record bytes that may wait for a commit.
    pub max_pending: u64,
    /// Bytes of all segment files, the spare included. The segment that a restart begins may
    /// come on top.
    pub max_bytes: u64,
    /// Lanes that may have records at the same time.
    pub max_lanes: usize,
    /// Lanes of one pixel that may have records at the same time; it keeps one caller's request
    /// options from taking the lanes of all others.
    pub max_lanes_per_pixel: usize,
    /// How often settled records are noted on disk.
    pub settle_sync: Duration,
    /// How long opening waits for another process to release the directory.
    pub lock_wait: Duration,
    /// What goes before what when a lane is behind.
    pub weights: Weights,
}

impl Settings {
    /// The defaults, in `dir`: 64 MiB segments, 32 MiB pending, 16 GiB in all, 10,000 lanes,
    /// notes every 200 ms, no wait for the lock, and all names of one weight.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            max_pending: 32 << 20,
            max_bytes: 16 << 30,
            max_lanes: 10_000,
            max_lanes_per_pixel: 100,
            settle_sync: Duration::from_millis(200),
            lock_wait: Duration::ZERO,
            weights: Weights::default(),
        }
    }
}

/// Whether appends are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// They are.
    Ok,
    /// They are refused because of a bound ([`Limit::MaxBytes`] or [`Limit::Disk`]).
    Full(Limit),
    /// They are refused until a restart.
    Poisoned,
}

/// What waits in one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneDepth {
    /// Records that wait to be leased.
    pub records: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Records that are leased.
    pub leased: u64,
    /// When the oldest waiting record was received. Exact when it is the first of its block of
    /// 128 records or was leased before; else it may be too old, by the span of one block at most.
    pub oldest_received_at: Option<UnixMs>,
}

/// What is in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Records that have not met their end, leased ones included.
    pub records: u64,
    /// Of these, leased now.
    pub leased: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Records that turned out to be unreadable since the start; they are not in `records`.
    pub lost: u64,
    /// Bytes of all segment files, the spare included.
    pub disk_bytes: u64,
    /// Segment files that hold records or are about to.
    pub segments: u64,
    /// Lanes with records.
    pub lanes: u64,
}

/// A handle to the journal. Clones share it; when the last is dropped without
/// [`Journal::close`], the journal closes itself in the background.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.shut();
    }
}

impl Journal {
    /// Opens the journal in `settings.dir`, recovers what is in it and starts its threads.
    /// Blocks for as long as reading the segments takes.
    pub fn open(
        settings: Settings,
        disk: Arc<dyn Disk>,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, OpenError> {
        let (shared, writer, keeper) = open_parts(settings, disk, clock, metrics)?;
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(work).map_err(OpenError::io("start thread"))
        };
        let handle = Self(Arc::new(Handle { shared }));
        // should the second not start, dropping the handle ends the first
        spawn("journal-writer", Box::new(move || writer.run()))?;
        spawn("journal-keeper", Box::new(move || keeper.run()))?;
        Ok(handle)
    }

    /// Makes `envelopes` durable. `Ok` means that all of them are.
    ///
    /// A bound refuses the whole call: [`Limit::MaxBytes`], and all others that are not the disk's,
    /// are answered with nothing written. A record that does not fit a segment is refused as
    /// [`Limit::MaxPending`].
    ///
    /// A call of more than 1 MiB, or one that goes on in the next segment, takes several commits;
    /// of such a call a part may stay, and be delivered, though it was not answered with `Ok`:
    ///
    /// - when the process or the machine stops before the answer;
    /// - when a write or sync fails ([`AppendError::Poisoned`]);
    /// - when the disk has no room for a segment ([`Limit::Disk`]), and the call needs more than
    ///   the rest of the active segment and one more.
    ///
    /// After the first two a call of one commit may stay too, as a whole.
    pub async fn append(&self, envelopes: Vec<Envelope>) -> Result<(), AppendError> {
        let Some(Admitted { answer, bell }) = self.shared().admit(envelopes)? else {
            return Ok(());
        };
        if let Some(bell) = bell {
            // the other requests that have come meanwhile join: one call and one sync for all
            tokio::task::yield_now().await;
            drop(bell);
        }
        // the writer answers every job; it can only vanish by a defect of its own
        answer.await.unwrap_or(Err(AppendError::Poisoned))
    }

    /// Hands out the most urgent records of a lane, at least one if any waits; they are in the
    /// order of their arrival. Blocks on reads, which the page cache mostly answers.
    pub fn lease(&self, lane: &LaneKey, limits: LeaseLimits) -> Vec<Lease> {
        self.shared().lease(lane, limits)
    }

    /// The lanes that got records since the last call. At the start that is every lane with
    /// recovered records. A lease that was dropped wakes its lane too; a returned one does not.
    pub fn woken(&self) -> Vec<LaneKey> {
        locked(&self.shared().index).take_woken()
    }

    /// Changes whenever [`Journal::woken`] has something to say; the first wait ends at once.
    pub fn changed(&self) -> watch::Receiver<u64> {
        let mut changed = self.shared().changed.subscribe();
        changed.mark_changed();
        changed
    }

    /// What waits in one lane. Cheap: one lock, no disk.
    pub fn waiting(&self, lane: &LaneKey) -> LaneDepth {
        locked(&self.shared().index).lane_depth(lane)
    }

    /// Every lane that has records.
    pub fn lanes(&self) -> Vec<(LaneKey, LaneDepth)> {
        locked(&self.shared().index).lane_depths()
    }

    /// What is in the journal.
    pub fn depth(&self) -> Depth {
        let mut depth = locked(&self.shared().index).depth();
        depth.disk_bytes += self.shared().spares.bytes();
        depth
    }

    /// Longest time until what is settled is noted on disk.
    pub fn settle_sync(&self) -> Duration {
        self.shared().settings.settle_sync
    }

    /// Record bytes that wait for a commit: what [`Limit::MaxPending`] bounds.
    pub fn pending(&self) -> u64 {
        self.shared().pending()
    }

    /// Whether appends are taken.
    pub fn health(&self) -> Health {
        *self.shared().health.borrow()
    }

    /// Follows [`Journal::health`].
    pub fn health_changed(&self) -> watch::Receiver<Health> {
        self.shared().health.subscribe()
    }

    /// Waits until the journal is poisoned.
    pub async fn poisoned(&self) {
        let mut health = self.health_changed();
        // an error would mean that the journal is gone, but this handle holds it
        let _there = health.wait_for(|h| *h == Health::Poisoned).await;
    }

    /// Takes no more appends, commits those that wait, notes what is settled, releases the lock.
    /// May be called again. Leases may still be settled afterwards, but nobody notes it: what they
    /// hold is delivered once more after the next start.
    pub async fn close(&self) {
        self.shared().shut();
        let mut closed = self.shared().closed.subscribe();
        let _there = closed.wait_for(|closed| *closed).await;
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

/// Recovers, and makes the parts that the threads run.
pub(crate) fn open_parts(
    mut settings: Settings,
    disk: Arc<dyn Disk>,
    clock: Clock,
    metrics: &Metrics,
) -> Result<(Arc<Shared>, Writer, Keeper), OpenError> {
    settings.segment_bytes = settings
        .segment_bytes
        .min(settings.max_bytes / 4)
        .clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)
        .next_multiple_of(8);
    let (shared, next_seq) = recover(settings, disk, clock, metrics.clone())?;
    let shared = Arc::new(shared);
    let mut writer = Writer::new(shared.clone(), next_seq);
    let first = if shared.has_spare() {
        shared.take_spare()
    } else {
        shared.make_spare(shared.settings.segment_bytes.min(FIRST_SEGMENT_BYTES))
    };
    match first {
        Ok(spare) => {
            if writer.roll_into(spare).is_err() {
                let failed = std::io::Error::other("the first segment could not be begun");
                return Err(OpenError::io("first segment")(failed));
            }
        }
        // what is there can be delivered all the same
        Err(limit) => shared.set_full(Some(limit)),
    }
    shared.check_room();
    shared.show_sizes();
    if locked(&shared.index).counts().0 > 0 {
        shared.ring();
    }
    let keeper = Keeper::new(shared.clone());
    Ok((shared, writer, keeper))
}

#[cfg(test)]
mod tests;
