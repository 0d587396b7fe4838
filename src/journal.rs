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
pub mod intents;

pub mod lease;
pub mod segment;
mod weights;

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

pub use self::envelope::{Class, Envelope, LaneKey, RequestOptions};
pub use self::lease::{Lease, LeaseLimits, Settlement, settle_all};
pub use self::segment::disk::{Disk, RealDisk};
use self::segment::index::LaneBounds;
use self::segment::keeper::Keeper;
use self::segment::queue::Times;
use self::segment::recover::recover;
use self::segment::tiers::Tier;
use self::segment::writer::{Item, Writer, max_record};
use self::segment::{Job, Shared, locked};
pub use self::weights::Weights;
use crate::event::EncodedEvent;
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

/// A bound of the journal that says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The segment files have reached `max_bytes`; appends resume at nine tenths of it.
    MaxBytes,
    /// Too much waits for a commit.
    MaxPending,
    /// Too many lanes have records.
    MaxLanes,
    /// Too many lanes of one pixel have records.
    MaxLanesPerPixel,
    /// The disk has no room for another segment.
    Disk,
}

impl Limit {
    /// The name of the bound: the same word in answers, metrics and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxBytes => "journal.max_bytes",
            Self::MaxPending => "journal.max_pending",
            Self::MaxLanes => "journal.max_lanes",
            Self::MaxLanesPerPixel => "journal.max_lanes_per_pixel",
            Self::Disk => "journal.disk",
        }
    }
}

/// Why events were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A bound is reached; try again later.
    #[error("the journal is full: {}", .0.name())]
    Full(Limit),
    /// The journal is closing.
    #[error("the journal is closing")]
    Stopping,
    /// A write or sync has failed; nothing more is taken until a restart.
    #[error("a write to the journal's disk has failed")]
    Poisoned,
}

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another process has the journal open")]
    Locked,
    /// A segment was written by another version of the program.
    #[error("segment {segment} has format version {version}, which this program does not know")]
    Version {
        /// The file's name.
        segment: String,
        /// Its format version.
        version: u16,
    },
    /// A segment is sealed with a key.
    #[error("segment {segment} is sealed with key {key}, which this program cannot open")]
    Key {
        /// The file's name.
        segment: String,
        /// The id of the key.
        key: u32,
    },
    /// There are more segments than the journal can count.
    #[error("the journal's directory holds more than 65,535 segments")]
    TooManySegments,
    /// The disk refused.
    #[error("the journal's disk failed at: {step}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// What the disk said.
        source: std::io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(step: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { step, source }
    }

    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked => "journal_locked",
            Self::Version { .. } => "journal_version",
            Self::Key { .. } => "journal_key",
            Self::TooManySegments => "journal_segments",
            Self::Io { .. } => "journal_io",
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

/// A record that is in the journal, as [`Journal::walk`] shows it.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// Where it belongs.
    pub lane: &'a LaneKey,
    /// The JSON of the event.
    pub event: &'a [u8],
    /// The number of the event, as [`Lease::seq`].
    pub seq: u64,
    /// When the gateway received it.
    pub received_at: UnixMs,
    /// From when on Meta would refuse it for its age.
    pub expires_at: UnixMs,
    /// Whether it is leased at this moment.
    pub leased: bool,
}

/// An event that [`Journal::find`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it belongs.
    pub lane: LaneKey,
    /// Its name.
    pub event_name: String,
    /// The number of the event, as [`Lease::seq`].
    pub seq: u64,
    /// When the gateway received it.
    pub received_at: UnixMs,
    /// From when on Meta would refuse it for its age.
    pub expires_at: UnixMs,
    /// Whether it was leased at that moment.
    pub leased: bool,
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
    /// A call of more than 1 MiB takes several commits; a crash, or a bound that is reached in
    /// the middle, may keep a part of a call that was not answered with `Ok`. A record that does
    /// not fit a segment is refused as [`Limit::MaxPending`].
    pub async fn append(&self, envelopes: Vec<Envelope>) -> Result<(), AppendError> {
        let Some(job) = self.shared().admit(envelopes)? else {
            return Ok(());
        };
        // the writer answers every job; it can only vanish by a defect of its own
        job.await.unwrap_or(Err(AppendError::Poisoned))
    }

    /// Hands out the most urgent records of a lane, at least one if any waits; they are in the
    /// order of their arrival. Blocks on reads, which the page cache mostly answers.
    pub fn lease(&self, lane: &LaneKey, limits: LeaseLimits) -> Vec<Lease> {
        self.shared().lease(lane, limits)
    }

    /// Shows every record of the lanes for which `wanted` says so, waiting or leased, to `each`,
    /// until that breaks.
    ///
    /// A record that is settled or appended during the walk may be shown or not; one that is
    /// moved meanwhile may be shown twice, under one `seq`. Reads every segment, one after the
    /// other, and holds about 1 MiB of it. No lock is held while `each` runs. Blocks; the error
    /// is that of a read, with what comes after it unseen.
    pub fn walk(
        &self,
        wanted: &dyn Fn(&LaneKey) -> bool,
        each: &mut dyn FnMut(Waiting<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        if !self.lanes().iter().any(|(lane, _)| wanted(lane)) {
            return Ok(());
        }
        let shared = self.shared();
        shared.walk(&|_| true, &mut |one| {
            if wanted(one.lane) {
                each(one)
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    /// The first `limit` events in the journal whose `event_id` is this one. Walks through the
    /// whole journal, so it takes as long as reading that does.
    pub fn find(&self, event_id: &str, limit: usize) -> io::Result<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        let key = serde_json::to_string(event_id).map_err(io::Error::from)?;
        let key = format!("\"event_id\":{key}");
        let finder = memchr::memmem::Finder::new(key.as_bytes());
        if limit == 0 {
            return Ok(found);
        }
        let shared = self.shared();
        // most records are not looked at any further
        let likely = |payload: &[u8]| finder.find(payload).is_some();
        shared.walk(&|record| likely(record.payload), &mut |one| {
            let head = EncodedEvent::head_of(one.event);
            let is_it = head.event_id.as_deref() == Some(event_id);
            if is_it && found.iter().all(|known| known.seq != one.seq) {
                found.push(Found {
                    lane: one.lane.clone(),
                    event_name: head.event_name.into_owned(),
                    seq: one.seq,
                    received_at: one.received_at,
                    expires_at: one.expires_at,
                    leased: one.leased,
                });
            }
            if found.len() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(found)
    }

    /// When the next of a lane's waiting records expire: the earliest expiry among those that are
    /// the first of their tier, leased ones left out. Events that were received later, with less
    /// time left than others of their tier, may expire before. Reads one record a tier; blocks.
    pub fn next_expiry(&self, lane: &LaneKey) -> Option<UnixMs> {
        self.shared().next_expiry(lane)
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

impl Shared {
    /// Puts an append in line; none if there is nothing to do.
    pub(crate) fn admit(
        &self,
        envelopes: Vec<Envelope>,
    ) -> Result<Option<oneshot::Receiver<Result<(), AppendError>>>, AppendError> {
        if envelopes.is_empty() {
            return Ok(None);
        }
        let (items, bytes) = self.itemise(envelopes).map_err(AppendError::Full)?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            items,
            bytes,
            reply,
        };
        match self.enqueue(job) {
            Ok(()) => Ok(Some(answer)),
            Err((job, error)) => {
                self.renounce(&job.items);
                Err(error)
            }
        }
    }

    fn renounce(&self, items: &[Item]) {
        let mut index = locked(&self.index);
        for item in items {
            index.renounce(item.lane, 1);
        }
    }

    /// Finds the lane of every envelope.
    fn itemise(&self, envelopes: Vec<Envelope>) -> Result<(Vec<Item>, u64), Limit> {
        let mut items: Vec<Item> = Vec::with_capacity(envelopes.len());
        let mut last: Option<LaneKey> = None;
        let largest = max_record(self.settings.segment_bytes);
        let mut bytes = 0;
        let tier = |envelope: &Envelope| {
            let times = times_of(envelope);
            Tier::of(&self.settings.weights, envelope.event.as_bytes(), times)
        };
        // before the lock is taken
        let tiers: Vec<Tier> = envelopes.iter().map(tier).collect();
        let bounds = LaneBounds {
            all: self.settings.max_lanes,
            of_pixel: self.settings.max_lanes_per_pixel,
        };
        let mut index = locked(&self.index);
        for (envelope, tier) in envelopes.into_iter().zip(tiers) {
            let same = items
                .last()
                .filter(|_| last.as_ref() == Some(&envelope.lane));
            let known = match same {
                Some(item) => Ok((item.lane, item.options.clone())),
                None => index
                    .open_lane(&envelope.lane, bounds)
                    .map(|lane| (lane, index.options(lane))),
            };
            let item = known.map(|(lane, options)| Item {
                lane,
                tier,
                pixel: envelope.lane.pixel,
                options,
                payload: envelope.event.as_bytes().clone(),
                times: times_of(&envelope),
                copy_of: None,
            });
            let refused = match item {
                Ok(item) => {
                    index.announce(item.lane, 1);
                    let len = item.len();
                    bytes += len as u64;
                    items.push(item);
                    (len > largest).then_some(Limit::MaxPending)
                }
                Err(limit) => Some(limit),
            };
            if let Some(limit) = refused {
                drop(index);
                self.renounce(&items);
                return Err(limit);
            }
            last = Some(envelope.lane);
        }
        Ok((items, bytes))
    }
}

fn times_of(envelope: &Envelope) -> Times {
    Times {
        received_at: envelope.received_at,
        expires_at: envelope.expires_at,
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
