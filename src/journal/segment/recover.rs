//! From the files to the index, and what becomes of a torn tail.
//!
//! One sequential read of every segment. The newest is then sealed where it ends, so nothing is
//! ever appended to a segment of an earlier run; its last commit is written and synced again,
//! because a process that died between write and sync leaves bytes that can be read and yet are
//! not durable. Recovering twice gives the same as recovering once.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::{DirLock, Disk};
use super::file::{LOCK, Name, SegmentFile};
use super::frame::{HeaderError, seal};
use super::index::{Index, LaneBounds};
use super::queue::{Entry, Place, Times};
use super::read::read_whole;
use super::records::Written;
use super::scan::{Found, Scan, scan};
use super::settled::{Bits, read_done};
use super::spares::Spare;
use super::table::Segment;
use super::tiers::Tier;
use super::{Shared, locked};
use crate::journal::envelope::{Class, LaneKey, RequestOptions};
use crate::journal::weights::Weights;
use crate::journal::{OpenError, Settings, format};
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::Clock;

/// How often a start looks whether the directory has been released.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// A copy that evacuation made, settled or not.
#[derive(Clone, Copy, Debug)]
struct Copy {
    seq: u64,
    ordinal: u32,
    place: Place,
    times: Times,
    live: bool,
}

/// What recovery gathers before all segments are read.
#[derive(Debug, Default)]
struct Gathered {
    index: Index,
    /// Copies by tier and first number; they are in no queue yet.
    copies: HashMap<(u32, Tier), HashMap<u64, Vec<Copy>>>,
    next_seq: u64,
    damage: u64,
}

/// Opens the directory and reads what is in it. Returns the number for the next record.
pub(crate) fn recover(
    settings: Settings,
    disk: Arc<dyn Disk>,
    clock: Clock,
    metrics: Metrics,
) -> Result<(Shared, u64), OpenError> {
    let dir = settings.dir.clone();
    disk.create_dir(&dir)
        .map_err(OpenError::io("create directory"))?;
    let lock = lock(&*disk, &dir, settings.lock_wait)?;
    format::read(&*disk, &dir)?;
    let names = disk.list(&dir).map_err(OpenError::io("list"))?;
    // what the last run renamed may not be durable yet
    disk.sync_dir(&dir)
        .map_err(OpenError::io("sync directory"))?;
    let mut segments = Vec::new();
    let mut done = Vec::new();
    let mut spares = Vec::new();
    let mut useless = Vec::new();
    for name in names.iter().filter_map(|name| Name::parse(name)) {
        match name {
            Name::Segment(first_seq) => segments.push(first_seq),
            Name::Done(first_seq) => done.push(first_seq),
            Name::Spare(number) => spares.push(number),
            Name::Making(_) => useless.push(name),
            Name::Corrupt(_) => {}
        }
    }
    segments.sort_unstable();
    spares.sort_unstable();
    useless.extend(
        done.iter()
            .filter(|first_seq| segments.binary_search(first_seq).is_err())
            .map(|first_seq| Name::Done(*first_seq)),
    );

    let shared = Shared::new(settings, disk, clock, metrics, lock);
    shared.spares.skip_to(spares.last().copied().unwrap_or(0));
    let mut gathered = Gathered {
        next_seq: 1,
        ..Gathered::default()
    };
    let mut bytes = Vec::new();
    for first_seq in &segments {
        let newest = Some(first_seq) == segments.last();
        let known_done = done.contains(first_seq);
        let kept = gathered.segment(&shared, *first_seq, newest, known_done, &mut bytes)?;
        if !kept {
            // its number is free again, and its file a spare
            let number = shared.spares.number();
            let (from, to) = (Name::Segment(*first_seq), Name::Spare(number));
            let renamed = shared.disk.rename(&from.path(&dir), &to.path(&dir));
            renamed
                .and_then(|()| shared.disk.sync_dir(&dir))
                .map_err(OpenError::io("recycle"))?;
            spares.push(number);
            useless.extend(known_done.then_some(Name::Done(*first_seq)));
        }
    }
    drop(bytes);
    gathered.place_copies();
    gathered.report(&shared);
    *locked(&shared.index) = gathered.index;

    for number in spares {
        useless.extend(adopt_spare(&shared, number));
    }
    for name in useless {
        // in the way of nobody: the next start tries again
        if let Err(error) = shared.disk.remove(&name.path(&dir)) {
            tracing::warn!(error = %error, file.name = %name, "a useless journal file stays");
        }
    }
    Ok((shared, gathered.next_seq))
}

/// Takes the directory for this process, as soon as another has released it.
fn lock(disk: &dyn Disk, dir: &Path, wait: Duration) -> Result<DirLock, OpenError> {
    let since = Instant::now();
    let mut said = false;
    loop {
        match disk.lock(&dir.join(LOCK)) {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                return Err(OpenError::io("lock")(error));
            }
            Err(_) => {}
        }
        let left = wait.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(OpenError::Locked);
        }
        if !std::mem::replace(&mut said, true) {
            tracing::info!(
                wait_ms = wait.as_millis() as u64,
                "another process has the journal open; waiting for it to finish"
            );
        }
        std::thread::sleep(left.min(LOCK_POLL));
    }
}

/// Takes a spare of a former run, or says that it is of no use.
fn adopt_spare(shared: &Shared, number: u64) -> Option<Name> {
    let name = Name::Spare(number);
    let size = shared.settings.segment_bytes;
    let file = shared.disk.open(&name.path(&shared.settings.dir)).ok()?;
    if file.size().ok() != Some(size) {
        return Some(name);
    }
    shared
        .spares
        .offer(Spare { name, file, size })
        .map(|extra| extra.name)
}

impl Gathered {
    /// Reads one segment; false if it is the newest and holds nothing.
    fn segment(
        &mut self,
        shared: &Shared,
        first_seq: u64,
        newest: bool,
        known_done: bool,
        bytes: &mut Vec<u8>,
    ) -> Result<bool, OpenError> {
        let name = Name::Segment(first_seq);
        let path = name.path(&shared.settings.dir);
        let file = shared.disk.open(&path).map_err(OpenError::io("open"))?;
        read_whole(&*file, bytes).map_err(OpenError::io("read"))?;
        let size = bytes.len() as u64;
        // first only where it ends; the records once the settled ones are known
        let mut found = check(bytes, first_seq, newest)?;
        self.next_seq = self.next_seq.max(found.next_seq);
        let whole = found.damage.is_empty();
        if newest && whole && found.next_seq == first_seq {
            return Ok(false);
        }
        if newest && whole {
            finish(&*file, bytes, &mut found).map_err(OpenError::io("seal"))?;
        }
        for offset in &found.damage {
            self.damage += 1;
            tracing::error!(
                segment = %name,
                segment.offset = offset,
                "a journal segment is damaged; what can be read of it is kept"
            );
        }
        let mut settled = Bits::default();
        let mut done_end = 0;
        if known_done && let Some(salt) = found.salt {
            let records = (found.next_seq - first_seq) as u32;
            done_end = read_notes(shared, first_seq, salt, records, &mut settled)
                .map_err(OpenError::io("read settled"))?;
        }
        let file = Arc::new(SegmentFile {
            file,
            first_seq,
            salt: found.salt.unwrap_or(0),
            size,
        });
        let mut segment = Segment::new(file, found.end);
        segment.damaged = !whole;
        segment.sealed_at = Some(shared.clock.now());
        segment.settled = settled.clone();
        segment.done_end = done_end;
        let slot = self.index.add_segment(segment);
        let slot = slot.ok_or(OpenError::TooManySegments)?;
        let mut arrived = Vec::new();
        scan(bytes, first_seq, newest, &mut |one| {
            let ordinal = (one.record.seq - first_seq) as u32;
            let live = !settled.has(ordinal);
            let weights = &shared.settings.weights;
            self.record(&one, slot, ordinal, live, weights, &mut arrived);
        })
        .map_err(|error| header_error(error, first_seq))?;
        self.index.committed(slot, found.end, &arrived);
        Ok(true)
    }

    fn record(
        &mut self,
        found: &Found<'_>,
        slot: u16,
        ordinal: u32,
        live: bool,
        weights: &Weights,
        arrived: &mut Vec<Written>,
    ) {
        let record = &found.record;
        let copied = record.origin != record.seq;
        if !live && !copied {
            return;
        }
        let key = PixelId::from_u64(record.pixel)
            .zip(RequestOptions::from_stored(record.options))
            .map(|(pixel, options)| LaneKey {
                pixel,
                options: Arc::new(options),
                class: Class::of_json(record.payload),
            });
        let Some(key) = key else {
            self.damage += 1;
            return;
        };
        let lane = if live {
            // those that were here before a limit was lowered stay
            self.index.open_lane(&key, LaneBounds::NONE).ok()
        } else {
            self.index.find_lane(&key)
        };
        // a settled copy in a lane where nothing lives has no original to take back
        let Some(lane) = lane else { return };
        let place = Place {
            slot,
            offset: found.offset as u32,
            len: found.len as u32,
        };
        let times = Times {
            received_at: record.received_at,
            expires_at: record.expires_at,
        };
        let tier = Tier::of(weights, record.payload, times);
        if copied {
            let of_tier = self.copies.entry((lane, tier)).or_default();
            of_tier.entry(record.origin).or_default().push(Copy {
                seq: record.seq,
                ordinal,
                place,
                times,
                live,
            });
            if live && let Some(segment) = self.index.segment_mut(slot) {
                segment.live += 1;
                segment.live_bytes += u64::from(place.len);
            }
        } else {
            arrived.push(Written {
                lane,
                tier,
                origin: record.origin,
                ordinal,
                place,
                times,
                from: None,
            });
        }
    }

    /// Gives copies their turn in their tiers. Of an event that is there more than once, the
    /// last copy counts: the others were only still there because the machine stopped.
    fn place_copies(&mut self) {
        let mut lanes = Vec::new();
        for ((lane, tier), copies) in std::mem::take(&mut self.copies) {
            lanes.push(lane);
            let mut entries = self.index.unbuild(lane, tier);
            entries.retain(|(entry, _)| {
                let superseded = copies.contains_key(&entry.origin);
                if superseded && let Some(segment) = self.index.segment_mut(entry.place.slot) {
                    let ordinal = (entry.origin - segment.file.first_seq) as u32;
                    segment.retire(ordinal, entry.place.len);
                }
                !superseded
            });
            for (origin, all) in copies {
                let last = all.iter().map(|copy| copy.seq).max();
                for copy in all.iter().filter(|copy| copy.live) {
                    let place = copy.place;
                    if Some(copy.seq) == last {
                        entries.push((Entry { origin, place }, copy.times));
                    } else if let Some(segment) = self.index.segment_mut(place.slot) {
                        segment.retire(copy.ordinal, place.len);
                    }
                }
            }
            entries.sort_unstable_by_key(|(entry, _)| entry.origin);
            self.index.rebuild(lane, tier, &entries);
        }
        // only now: the copies of one tier may be all that a lane has
        for lane in lanes {
            self.index.close_if_empty(lane);
        }
    }

    fn report(&self, shared: &Shared) {
        let depth = self.index.depth();
        shared.metrics.journal_corrupt.inc_by(self.damage);
        shared.metrics.journal_recovered.set(depth.records as i64);
        shared.metrics.journal_records.set(depth.records as i64);
        shared.metrics.journal_bytes.set(depth.bytes as i64);
        tracing::info!(
            journal.records = depth.records,
            journal.segments = depth.segments,
            journal.lanes = depth.lanes,
            "journal recovered"
        );
    }
}

/// Reads which records are settled, and makes that durable: they will not be delivered again,
/// whatever became of the last sync. Returns the bytes of the file that count.
fn read_notes(
    shared: &Shared,
    first_seq: u64,
    salt: u64,
    records: u32,
    settled: &mut Bits,
) -> io::Result<u64> {
    let path = Name::Done(first_seq).path(&shared.settings.dir);
    let file = shared.disk.open(&path)?;
    let mut text = Vec::new();
    read_whole(&*file, &mut text)?;
    let end = read_done(&text, first_seq, salt, records, &mut |ordinal| {
        settled.set(ordinal);
    });
    if end > 0 {
        file.write_at(text.get(..end).unwrap_or_default(), 0)?;
        file.sync()?;
    }
    Ok(end as u64)
}

fn check(bytes: &[u8], first_seq: u64, newest: bool) -> Result<Scan, OpenError> {
    scan(bytes, first_seq, newest, &mut |_| {}).map_err(|error| header_error(error, first_seq))
}

fn header_error(error: HeaderError, first_seq: u64) -> OpenError {
    let segment = Name::Segment(first_seq).to_string();
    match error {
        HeaderError::Version(version) => OpenError::Version { segment, version },
        HeaderError::Key(key) => OpenError::Key { segment, key },
        HeaderError::Damaged => OpenError::io("header")(io::ErrorKind::InvalidData.into()),
    }
}

/// Makes the last commit durable, whatever became of its sync, and the seal behind it.
fn finish(file: &dyn super::disk::DiskFile, bytes: &[u8], found: &mut Scan) -> io::Result<()> {
    let (start, end) = (found.last_commit as usize, found.end as usize);
    file.write_at(bytes.get(start..end).unwrap_or_default(), found.last_commit)?;
    file.sync()?;
    if !found.sealed {
        // only now: a seal behind a commit that did not survive would read as damage
        let bytes = seal(found.salt.unwrap_or(0), found.next_seq);
        file.write_at(&bytes, found.end)?;
        file.sync()?;
        found.end += bytes.len() as u64;
        found.sealed = true;
    }
    Ok(())
}
