//! What may wait: the settle log, emptied segments, the next spare, evacuation.
//!
//! Settled records are noted in `.done` files, written and synced at intervals; losing the last
//! notes costs a repeated delivery, never an event. A sealed segment in which nothing lives
//! becomes the spare, or goes.
//!
//! **Evacuation.** A lane that is held keeps a few records in every segment and would pin them
//! all. When the files take more than twice what lives in them, and two segments, the survivors
//! of the emptiest are written again at the head: a normal durable commit. They keep their
//! `origin`, so their turn in the lane, and their times. If the machine stops between the copy
//! and the end of the original, recovery takes the copy.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::disk::{DiskFile, is_full};
use super::file::{Name, SegmentFile};
use super::index::{Index, Source};
use super::queue::Place;
use super::read::read_whole;
use super::scan::scan;
use super::settled::{DONE_HEADER_BYTES, done_header, push_done_frame};
use super::spares::Spare;
use super::table::Segment;
use super::writer::Item;
use super::{Call, Job, Shared, locked};
use crate::failpoint;
use crate::journal::envelope::{LaneKey, RequestOptions};
use crate::journal::{AppendError, Limit};
use crate::pixel::PixelId;

/// A segment is given this long after its seal to empty by itself before it is evacuated.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a full journal looks whether there is room again.
const RETRY: Duration = Duration::from_secs(1);
/// Bytes of records copied by one append.
const COPY_TARGET: usize = 512 << 10;

/// The one that cleans up.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    /// Open `.done` files, by the first number of their segment.
    done: HashMap<u64, Arc<dyn DiskFile>>,
}

/// Makes copies durable and tells the index.
pub(crate) type CopyFn<'a> = dyn FnMut(&Shared, Vec<Item>) -> Result<(), AppendError> + 'a;

/// A segment to be evacuated.
#[derive(Debug)]
struct Victim {
    slot: u16,
    file: Arc<SegmentFile>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            done: HashMap::new(),
        }
    }

    /// The keeper thread.
    pub(crate) fn run(mut self) {
        let interval = self.shared.settings.settle_sync;
        let mut flushed = Instant::now();
        // what recovery found empty is recycled at once
        let mut patience = Some(Duration::ZERO);
        loop {
            let call = self.shared.next_call(patience);
            if call == Call::Stop {
                break;
            }
            if flushed.elapsed() >= interval {
                self.flush_settled();
                flushed = Instant::now();
            }
            self.evacuate(&mut |shared, items| copy_through_writer(shared, items));
            patience = self.patience();
        }
        self.flush_settled();
        self.recycle();
        *locked(&self.shared.lock) = None;
        self.shared.closed.send_replace(true);
    }

    /// How long the keeper may sleep if nobody calls.
    fn patience(&self) -> Option<Duration> {
        let index = locked(&self.shared.index);
        if index
            .segments()
            .any(|(_, s)| !s.unsaved.is_empty() || empty(s))
        {
            return Some(self.shared.settings.settle_sync);
        }
        let busy = self.shared.full().is_some() || self.excess(&index) > 0;
        busy.then_some(RETRY)
    }

    /// Recycles what is empty and sees that a spare is there.
    pub(crate) fn tidy(&mut self) {
        self.recycle();
        if !self.shared.is_poisoned() {
            // a full journal has said so where appends see it
            let _full = self.shared.ensure_spare();
        }
        let mut depth = locked(&self.shared.index).depth();
        depth.disk_bytes += self.shared.spares.bytes();
        let metrics = &self.shared.metrics;
        metrics.journal_disk_bytes.set(depth.disk_bytes as i64);
        metrics.journal_segments.set(depth.segments as i64);
    }

    /// Writes down and syncs what was settled since the last time.
    pub(crate) fn flush_settled(&mut self) {
        let mut work = Vec::new();
        for (slot, segment) in locked(&self.shared.index).segments_mut() {
            if !segment.unsaved.is_empty() {
                let ordinals = std::mem::take(&mut segment.unsaved);
                work.push((slot, segment.file.clone(), segment.done_end, ordinals));
            }
        }
        if work.is_empty() {
            return;
        }
        failpoint::hit("journal.settle_sync");
        let mut created = false;
        let mut touched = Vec::new();
        for (slot, segment, end, mut ordinals) in work {
            created |= end == 0;
            match self.write_done(&segment, end, &mut ordinals) {
                Ok((file, end)) => {
                    touched.push(file);
                    if let Some(segment) = locked(&self.shared.index).segment_mut(slot) {
                        segment.done_end = end;
                    }
                }
                Err(error) if is_full(&error) => {
                    // they are not forgotten in memory, and the next turn tries again
                    if let Some(segment) = locked(&self.shared.index).segment_mut(slot) {
                        segment.unsaved.append(&mut ordinals);
                    }
                }
                Err(error) => return self.shared.poison("settle log", &error),
            }
        }
        let synced = touched.iter().try_for_each(|file| file.sync());
        let synced = synced.and_then(|()| {
            if created {
                self.shared.disk.sync_dir(&self.shared.settings.dir)
            } else {
                Ok(())
            }
        });
        if let Err(error) = synced {
            self.shared.poison("settle log", &error);
        }
    }

    fn write_done(
        &mut self,
        segment: &SegmentFile,
        end: u64,
        ordinals: &mut [u32],
    ) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        let path = Name::Done(segment.first_seq).path(&self.shared.settings.dir);
        let file = match self.done.get(&segment.first_seq) {
            Some(file) => file.clone(),
            None if end == 0 => self.shared.disk.create(&path)?,
            None => self.shared.disk.open(&path)?,
        };
        self.done.insert(segment.first_seq, file.clone());
        let mut bytes = Vec::new();
        if end == 0 {
            bytes = done_header(segment.first_seq, segment.salt);
            debug_assert_eq!(bytes.len(), DONE_HEADER_BYTES);
        }
        push_done_frame(&mut bytes, segment.salt, ordinals);
        file.write_at(&bytes, end)?;
        Ok((file, end + bytes.len() as u64))
    }

    /// Turns every sealed segment in which nothing lives into the spare, or removes it.
    pub(crate) fn recycle(&mut self) {
        let mut emptied: Vec<(u64, u64, bool)> = Vec::new();
        let mut index = locked(&self.shared.index);
        let slots: Vec<u16> = index
            .segments()
            // a lease that is being read holds on to the file
            .filter(|(_, s)| empty(s) && Arc::strong_count(&s.file) == 1)
            .map(|(slot, s)| {
                emptied.push((s.file.first_seq, s.file.size, s.damaged));
                slot
            })
            .collect();
        for slot in slots {
            index.remove_segment(slot);
        }
        drop(index);
        if emptied.is_empty() {
            return;
        }
        failpoint::hit("journal.before_recycle");
        match self.put_away(&emptied) {
            Ok(()) => {}
            // what is left behind holds nothing live, and the next start clears it away
            Err(error) if is_full(&error) => {
                tracing::error!(error = %error, "an empty journal segment cannot be recycled");
            }
            Err(error) => self.shared.poison("recycle", &error),
        }
    }

    fn put_away(&mut self, emptied: &[(u64, u64, bool)]) -> io::Result<()> {
        let dir = self.shared.settings.dir.clone();
        let disk = self.shared.disk.clone();
        let mut spares = Vec::new();
        for (first_seq, size, damaged) in emptied {
            self.done.remove(first_seq);
            let path = Name::Segment(*first_seq).path(&dir);
            let wanted = *size == self.shared.settings.segment_bytes
                && spares.is_empty()
                && !self.shared.has_spare();
            if *damaged {
                disk.rename(&path, &Name::Corrupt(*first_seq).path(&dir))?;
            } else if wanted {
                let name = Name::Spare(self.shared.spares.number());
                disk.rename(&path, &name.path(&dir))?;
                let file = disk.open(&name.path(&dir))?;
                let size = *size;
                spares.push(Spare { name, file, size });
            } else {
                disk.remove(&path)?;
            }
            failpoint::hit("journal.after_rename");
        }
        // the old names are gone for good before the files get new content, and before the
        // notes go that say what was settled in them
        disk.sync_dir(&dir)?;
        for (first_seq, _, _) in emptied {
            match disk.remove(&Name::Done(*first_seq).path(&dir)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        for spare in spares {
            if let Some(extra) = self.shared.spares.offer(spare) {
                disk.remove(&extra.name.path(&dir))?;
            }
        }
        Ok(())
    }

    /// Bytes by which the files exceed twice what lives in them and two segments.
    fn excess(&self, index: &Index) -> u64 {
        let used = index.disk_bytes() + self.shared.spares.bytes();
        let allowed = 2 * index.live_bytes() + 2 * self.shared.settings.segment_bytes;
        used.saturating_sub(allowed)
    }

    /// The segment to evacuate now, if there is one.
    fn victim(&self) -> Option<Victim> {
        let now = self.shared.clock.now();
        let full = self.shared.full().is_some();
        let spare = self.shared.has_spare();
        let index = locked(&self.shared.index);
        let excess = self.excess(&index) > 0;
        let room: u64 = index
            .segments()
            .filter(|(_, s)| s.sealed_at.is_none())
            .map(|(_, s)| s.file.size.saturating_sub(s.end))
            .sum();
        let ripe = |s: &Segment| {
            let waited = s
                .sealed_at
                .is_some_and(|at| full || now.since(at) >= PATIENCE);
            // with a margin for the commits around the copies
            let fits = spare || s.live_bytes + s.live_bytes / 8 + 256 <= room;
            let worth = s.damaged || ((excess || full) && s.live_bytes * 2 <= s.file.size);
            waited && s.live > 0 && !s.stuck && fits && worth
        };
        let (slot, segment) = index
            .segments()
            .filter(|(_, s)| ripe(s))
            .min_by_key(|(_, s)| (!s.damaged, s.live_bytes * 1000 / s.file.size.max(1)))?;
        Some(Victim {
            slot,
            file: segment.file.clone(),
        })
    }

    /// Tidies, and moves survivors to the head while the files are too large for what lives in
    /// them.
    pub(crate) fn evacuate(&mut self, copy: &mut CopyFn<'_>) {
        self.tidy();
        while !self.shared.is_poisoned()
            && let Some(victim) = self.victim()
        {
            failpoint::hit("journal.evacuate");
            let moved = self.move_out(&victim, copy);
            let slot = victim.slot;
            drop(victim);
            match moved {
                Ok(0) => {
                    // what the index believes to live there cannot be read
                    self.give_up(slot);
                }
                Ok(count) => self.shared.metrics.journal_evacuated.inc_by(count),
                Err(_) => return,
            }
            self.tidy();
        }
    }

    fn give_up(&self, slot: u16) {
        let index = locked(&self.shared.index);
        if index.segment(slot).is_none_or(|s| s.live == 0) {
            // they were settled in the meantime
            return;
        }
        drop(index);
        tracing::error!("records of a journal segment cannot be read; it is left for a restart");
        self.shared.metrics.journal_corrupt.inc();
        if let Some(segment) = locked(&self.shared.index).segment_mut(slot) {
            segment.damaged = true;
            segment.stuck = true;
        }
    }

    fn move_out(&self, victim: &Victim, copy: &mut CopyFn<'_>) -> Result<u64, AppendError> {
        let mut bytes = Vec::new();
        if let Err(error) = read_whole(&*victim.file.file, &mut bytes) {
            tracing::error!(error = %error, "a journal segment cannot be read");
            return Ok(0);
        }
        let settled = locked(&self.shared.index)
            .segment(victim.slot)
            .map(|s| s.settled.clone())
            .unwrap_or_default();
        let mut items = Vec::new();
        let first_seq = victim.file.first_seq;
        let scanned = scan(&bytes, first_seq, false, &mut |found| {
            let ordinal = (found.record.seq - first_seq) as u32;
            let key = PixelId::from_u64(found.record.pixel)
                .zip(RequestOptions::from_stored(found.record.options));
            let Some((pixel, options)) = key.filter(|_| !settled.has(ordinal)) else {
                return;
            };
            let key = LaneKey {
                pixel,
                options: Arc::new(options),
            };
            let place = Place {
                slot: victim.slot,
                offset: found.offset as u32,
                len: found.len as u32,
            };
            let index = locked(&self.shared.index);
            // no lane: it was settled since
            let Some(lane) = index.find_lane(&key) else {
                return;
            };
            items.push(Item {
                lane,
                pixel,
                options: index.options(lane),
                payload: bytes::Bytes::copy_from_slice(found.record.payload),
                received_at: found.record.received_at,
                expires_at: found.record.expires_at,
                copy_of: Some((found.record.origin, Source { place, ordinal })),
            });
        });
        drop(bytes);
        if scanned.is_err() {
            return Ok(0);
        }
        let total = items.len() as u64;
        let mut rest = VecDeque::from(items);
        while !rest.is_empty() {
            let mut size = 0;
            let mut part = Vec::new();
            while size < COPY_TARGET
                && let Some(item) = rest.pop_front()
            {
                size += item.len();
                part.push(item);
            }
            copy(&self.shared, part)?;
        }
        Ok(total)
    }
}

/// Whether a segment has served its time.
fn empty(segment: &Segment) -> bool {
    segment.live == 0 && segment.sealed_at.is_some()
}

/// Announces copies to their lanes, which must not close while the copies are on their way.
pub(crate) fn copy_job(
    shared: &Shared,
    items: Vec<Item>,
) -> (Job, oneshot::Receiver<Result<(), AppendError>>) {
    let (reply, answer) = oneshot::channel();
    let mut index = locked(&shared.index);
    for item in &items {
        index.announce(item.lane, 1);
    }
    drop(index);
    let job = Job {
        items,
        bytes: 0,
        reply,
    };
    (job, answer)
}

fn copy_through_writer(shared: &Shared, items: Vec<Item>) -> Result<(), AppendError> {
    let (job, answer) = copy_job(shared, items);
    shared.enqueue_copies(job)?;
    answer
        .blocking_recv()
        .unwrap_or(Err(AppendError::Full(Limit::Disk)))
}
