//! Makes appends durable: group commit, one sync for all that waited.
//!
//! The order is write, sync, index, wake the callers; so memory never runs ahead of the disk.
//! There is no timer: while one commit is synced, the next gathers, and whoever is first in line lets
//! those join that are about to before it calls. A failed write or sync
//! poisons the journal, and nothing is retried, because after a failed sync the kernel may have
//! forgotten what it did not write.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::file::{Name, SegmentFile};
use super::frame::{COMMIT_BYTES, CommitWriter, HEADER_BYTES, Record, SegmentHeader};
use super::frame::{commit_len, record_len, seal};
use super::index::Index;
use super::queue::{Place, Times};
use super::records::{Source, Written};
use super::table::Segment;
use super::tiers::Tier;
use super::{Job, Shared, locked};
use crate::event::Changes;
use crate::failpoint;
use crate::journal::extras;
use crate::journal::{AppendError, Limit};
use crate::pixel::PixelId;

/// Bytes of one commit; only a single record larger than this makes a larger one.
const COMMIT_TARGET: usize = 1 << 20;

/// One record to be written.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) lane: u32,
    pub(crate) tier: Tier,
    pub(crate) pixel: PixelId,
    pub(crate) options: Arc<[u8]>,
    pub(crate) changes: Changes,
    pub(crate) payload: bytes::Bytes,
    pub(crate) times: Times,
    /// For a copy: the event's first number, and where it is copied from.
    pub(crate) copy_of: Option<(u64, Source)>,
}

impl Item {
    /// Bytes of the record.
    pub(crate) fn len(&self) -> usize {
        let extras = extras::stored_len(&self.options, &self.changes);
        record_len(extras, self.payload.len())
    }
}

/// The largest record that fits a segment of `size` bytes.
pub(crate) fn max_record(size: u64) -> usize {
    (size.saturating_sub(HEADER_BYTES) as usize).saturating_sub(2 * COMMIT_BYTES + 8)
}

/// Whether a commit with `body` bytes of records fits behind `end`, and a seal behind it.
fn room_for(end: u64, size: u64, body: usize) -> bool {
    end + (commit_len(body) + COMMIT_BYTES) as u64 <= size
}

#[derive(Debug)]
struct Active {
    slot: u16,
    file: Arc<SegmentFile>,
    /// Where the next commit goes.
    end: u64,
}

/// Counts what has become durable for the first time. It is counted here and not where the caller
/// is answered, since a caller may be gone by then.
fn count_accepted(shared: &Shared, index: &Index, written: &[Written]) {
    let mut fresh: BTreeMap<PixelId, u64> = BTreeMap::new();
    for one in written.iter().filter(|one| one.from.is_none()) {
        if let Some(pixel) = index.pixel(one.lane) {
            *fresh.entry(pixel).or_default() += 1;
        }
    }
    for (pixel, count) in fresh {
        let pixel = pixel.to_string();
        let accepted = &shared.metrics.accepted;
        accepted.with_label_values(&[pixel.as_str()]).inc_by(count);
    }
}

/// A writer that panics must not leave its callers waiting.
#[derive(Debug)]
struct PoisonOnPanic(Arc<Shared>);

impl Drop for PoisonOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .poison("writer", &io::Error::other("the writer panicked"));
        }
    }
}

/// The one that writes records.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    active: Option<Active>,
    next_seq: u64,
    commit: CommitWriter,
    written: Vec<Written>,
    /// Jobs whose last record is in the commit that is being gathered.
    complete: Vec<Job>,
}

impl Writer {
    /// A writer whose first record will be number `next_seq`.
    pub(crate) fn new(shared: Arc<Shared>, next_seq: u64) -> Self {
        Self {
            shared,
            active: None,
            next_seq,
            commit: CommitWriter::default(),
            written: Vec::new(),
            complete: Vec::new(),
        }
    }

    /// The writer thread.
    pub(crate) fn run(mut self) {
        let _guard = PoisonOnPanic(self.shared.clone());
        let mut jobs = VecDeque::new();
        while self.shared.next_jobs(&mut jobs) {
            self.commit_all(&mut jobs);
        }
        self.shared.stop_keeper();
    }

    /// Makes all of `jobs` durable and answers them.
    pub(crate) fn commit_all(&mut self, jobs: &mut VecDeque<Job>) {
        while let Some(job) = jobs.pop_front() {
            let outcome = if self.shared.is_poisoned() {
                Err((0, AppendError::Poisoned))
            } else {
                self.ensure_room(&job)
                    .map_err(|error| (0, error))
                    .and_then(|()| self.gather(&job))
            };
            match outcome {
                Ok(()) => self.complete.push(job),
                Err((done, error)) => {
                    for item in job.items.iter().skip(done) {
                        locked(&self.shared.index).renounce(item.lane, 1);
                    }
                    self.answer(job, Err(error));
                }
            }
        }
        // a failure has answered everybody
        let _answered = self.flush();
    }

    /// Sees that the whole of a job fits before any of it is written: a caller that is refused
    /// will come again, and what it left behind would be delivered twice. The first spare it needs
    /// is made now, so that a full disk too says no before the first commit.
    fn ensure_room(&mut self, job: &Job) -> Result<(), AppendError> {
        // a part of some copies does no harm, and makes room
        let copies = job.items.iter().any(|item| item.copy_of.is_some());
        if copies || self.rolls_for(&job.items) == 0 {
            return Ok(());
        }
        if !self.shared.has_spare() {
            // those before this one do not wait for the spare
            self.flush()?;
        }
        self.shared.await_spare().map_err(AppendError::Full)?;
        if self.rolls_for(&job.items) > self.shared.rolls_left() {
            self.shared.refused_large();
            return Err(AppendError::Full(Limit::MaxBytes));
        }
        Ok(())
    }

    /// How many times [`Writer::gather`] will roll for `items`: the same steps, only counted.
    fn rolls_for(&self, items: &[Item]) -> u64 {
        let (mut end, mut size) = self
            .active
            .as_ref()
            .map_or((0, 0), |active| (active.end, active.file.size));
        let (mut body, mut records) = (self.commit.body_len(), self.commit.records());
        let mut rolls = 0;
        for item in items {
            let len = item.len();
            if records > 0
                && (commit_len(body + len) > COMMIT_TARGET || !room_for(end, size, body + len))
            {
                end += commit_len(body) as u64;
                (body, records) = (0, 0);
            }
            if !room_for(end, size, body + len) {
                rolls += 1;
                (end, size) = (HEADER_BYTES, self.shared.settings.segment_bytes);
            }
            body += len;
            records += 1;
        }
        rolls
    }

    /// Puts a job's records into commits. On an error says how many of them are durable.
    fn gather(&mut self, job: &Job) -> Result<(), (usize, AppendError)> {
        for (at, item) in job.items.iter().enumerate() {
            let in_commit = self.commit.records() as usize;
            let durable = at.saturating_sub(in_commit);
            let body = self.commit.body_len() + item.len();
            if in_commit > 0 && (commit_len(body) > COMMIT_TARGET || !self.fits(body)) {
                self.flush().map_err(|e| (durable, e))?;
            }
            if !self.fits(self.commit.body_len() + item.len()) {
                self.roll().map_err(|e| (at, e))?;
            }
            self.push(item);
        }
        Ok(())
    }

    /// Whether a commit with `body` bytes of records fits the segment, and a seal behind it.
    fn fits(&self, body: usize) -> bool {
        self.active
            .as_ref()
            .is_some_and(|active| room_for(active.end, active.file.size, body))
    }

    fn push(&mut self, item: &Item) {
        let Some(active) = &self.active else { return };
        if self.commit.records() == 0 {
            self.commit.begin(active.file.salt, self.next_seq);
        }
        let seq = self.next_seq + u64::from(self.commit.records());
        let origin = item.copy_of.map(|(origin, _)| origin);
        let options = extras::stored(&item.options, &item.changes);
        let record = Record {
            seq,
            origin: seq,
            pixel: item.pixel.get(),
            received_at: item.times.received_at,
            expires_at: item.times.expires_at,
            options: &options,
            payload: &item.payload,
        };
        let (start, len) = self.commit.push(record, origin);
        self.written.push(Written {
            lane: item.lane,
            tier: item.tier,
            origin: origin.unwrap_or(seq),
            ordinal: (seq - active.file.first_seq) as u32,
            place: Place {
                slot: active.slot,
                offset: (active.end as usize + start) as u32,
                len: len as u32,
            },
            times: item.times,
            from: item.copy_of.map(|(_, source)| source),
        });
    }

    /// Writes and syncs the gathered commit, then tells the index and the callers.
    fn flush(&mut self) -> Result<(), AppendError> {
        let records = self.commit.records();
        if records > 0
            && let Some(active) = &mut self.active
        {
            let timer = self.shared.metrics.journal_commit_seconds.start_timer();
            let bytes = self.commit.finish();
            failpoint::hit("journal.before_write");
            let outcome = active.file.file.write_at(bytes, active.end).and_then(|()| {
                failpoint::hit("journal.after_write");
                active.file.file.sync()
            });
            if let Err(error) = outcome {
                timer.stop_and_discard();
                return Err(self.fail("commit", &error));
            }
            failpoint::hit("journal.after_sync");
            timer.observe_duration();
            let half = active.file.size / 2;
            let was_half = active.end >= half;
            active.end += bytes.len() as u64;
            if !was_half && active.end >= half {
                // from here on a spare does not wait any more for a segment to empty
                self.shared.kick();
            }
            self.next_seq += u64::from(records);
            let mut index = locked(&self.shared.index);
            self.shared.metrics.journal_commits.inc();
            count_accepted(&self.shared, &index, &self.written);
            let rang = index.committed(active.slot, active.end, &self.written);
            self.shared.show_counts(&index);
            drop(index);
            if rang {
                self.shared.ring();
            }
            self.written.clear();
            self.commit.begin(0, 0);
        }
        self.answer_complete(Ok(()));
        Ok(())
    }

    fn answer_complete(&mut self, outcome: Result<(), AppendError>) {
        let bytes = self.complete.iter().map(|job| job.bytes).sum();
        self.shared.release_pending(bytes);
        for job in self.complete.drain(..) {
            let _caller_gone = job.reply.send(outcome);
        }
    }

    fn answer(&self, job: Job, outcome: Result<(), AppendError>) {
        self.shared.release_pending(job.bytes);
        let _caller_gone = job.reply.send(outcome);
    }

    fn fail(&mut self, what: &'static str, error: &io::Error) -> AppendError {
        self.shared.poison(what, error);
        self.written.clear();
        self.commit.begin(0, 0);
        self.active = None;
        self.answer_complete(Err(AppendError::Poisoned));
        AppendError::Poisoned
    }

    /// Seals the active segment and goes on in a spare.
    pub(crate) fn roll(&mut self) -> Result<(), AppendError> {
        let spare = self.shared.take_spare().map_err(AppendError::Full)?;
        let rolled = self.roll_into(spare);
        self.shared.spares.rolled();
        self.shared.kick();
        rolled
    }

    /// Goes on in `spare`, which must be large enough for whatever is to be written first.
    pub(crate) fn roll_into(&mut self, spare: super::spares::Spare) -> Result<(), AppendError> {
        // the head is durable before the file gets its name, and the old segment is sealed
        // before the new one exists: recovery never meets a named segment without a head, nor
        // an open one that is not the newest
        let sealed_at = self.next_seq;
        if self.active.as_ref().is_some_and(|a| a.end == HEADER_BYTES) {
            // two segments must not share a name: an empty one takes a number with it
            self.next_seq += 1;
        }
        let header = SegmentHeader {
            first_seq: self.next_seq,
            salt: uuid::Uuid::new_v4().as_u64_pair().0,
            created: self.shared.clock.now(),
            size: spare.size,
        };
        let written = spare.file.write_at(&header.encode(), 0);
        if let Err(error) = written.and_then(|()| spare.file.sync()) {
            return Err(self.fail("segment header", &error));
        }
        if let Some(old) = self.active.take() {
            let bytes = seal(old.file.salt, sealed_at);
            let sealed = old.file.file.write_at(&bytes, old.end);
            if let Err(error) = sealed.and_then(|()| old.file.file.sync()) {
                return Err(self.fail("seal", &error));
            }
            let now = self.shared.clock.now();
            if let Some(segment) = locked(&self.shared.index).segment_mut(old.slot) {
                segment.end = old.end + bytes.len() as u64;
                segment.sealed_at = Some(now);
            }
        }
        let dir = &self.shared.settings.dir;
        let path = Name::Segment(header.first_seq).path(dir);
        let renamed = self.shared.disk.rename(&spare.name.path(dir), &path);
        failpoint::hit("journal.after_rename");
        if let Err(error) = renamed.and_then(|()| self.shared.disk.sync_dir(dir)) {
            return Err(self.fail("segment name", &error));
        }
        let file = Arc::new(SegmentFile {
            file: spare.file,
            first_seq: header.first_seq,
            salt: header.salt,
            size: spare.size,
        });
        let mut index = locked(&self.shared.index);
        let slot = index.add_segment(Segment::new(file.clone(), HEADER_BYTES));
        drop(index);
        // an empty segment without a number stays behind until the next start
        let slot = slot.ok_or(AppendError::Full(Limit::MaxBytes))?;
        self.active = Some(Active {
            slot,
            file,
            end: HEADER_BYTES,
        });
        Ok(())
    }
}
