//! Moves survivors out of segments that are nearly empty.
//!
//! A lane that is held keeps a few records in every segment and would pin them
//! all. When the files take more than twice what lives in them, and two segments, the survivors
//! of the emptiest are written again at the head: a normal durable commit. They keep their
//! `origin`, so their turn in the lane, and their times. If the machine stops between the copy
//! and the end of the original, recovery takes the copy.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::commits::{Reach, commits};
use super::file::SegmentFile;
use super::index::Index;
use super::keeper::Keeper;
use super::queue::{Place, Times};
use super::read::read_whole;
use super::records::Source;
use super::scan::{Found, records, scan};
use super::settled::Bits;
use super::table::Segment;
use super::tiers::Tier;
use super::writer::Item;
use super::{Job, Shared, locked};
use crate::failpoint;
use crate::journal::envelope::{Class, LaneKey, RequestOptions};
use crate::journal::extras;
use crate::journal::{AppendError, Limit};
use crate::pixel::PixelId;

/// A segment is given this long after its seal to empty by itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same for one that is nearly empty: long enough for what is in flight.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);
/// A segment of which less than this part lives is nearly empty: what is left costs little to
/// move, and is most likely held.
const NEARLY: u64 = 16;
/// Bytes of records copied by one append.
const COPY_TARGET: usize = 512 << 10;

/// Makes copies durable and tells the index.
pub(crate) type CopyFn<'a> = dyn FnMut(&Shared, Vec<Item>) -> Result<(), AppendError> + 'a;

/// A segment to be evacuated.
#[derive(Debug)]
struct Victim {
    slot: u16,
    file: Arc<SegmentFile>,
}

impl Keeper {
    /// Bytes by which the files exceed twice what lives in them and two segments.
    pub(super) fn excess(&self, index: &Index) -> u64 {
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
            let patience = if nearly_empty(s) {
                SHORT_PATIENCE
            } else {
                PATIENCE
            };
            let waited = s
                .sealed_at
                .is_some_and(|at| full || now.since(at) >= patience);
            // with a margin for the commits around the copies
            let fits = spare || s.live_bytes + s.live_bytes / 8 + 256 <= room;
            // a segment that becomes the spare saves making one
            let worth = s.damaged
                || ((excess || full) && s.live_bytes * 2 <= s.file.size)
                || (!spare && nearly_empty(s));
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

    /// Whether making a spare can wait for a sealed segment that is about to become one: so there
    /// is rarely more than the head and one other.
    pub(super) fn spare_can_wait(&self) -> bool {
        if self.shared.full().is_some() || self.shared.has_spare() {
            return false;
        }
        if self.shared.spares.is_rolling() {
            return true;
        }
        let now = self.shared.clock.now();
        let index = locked(&self.shared.index);
        let has_room = |(_, s): (u16, &Segment)| {
            s.sealed_at.is_none() && s.file.size.saturating_sub(s.end) * 2 > s.file.size
        };
        let fits = |s: &Segment| s.file.size == self.shared.settings.segment_bytes && !s.stuck;
        // right after the seal its last events are in flight
        let promising = |s: &Segment| {
            s.sealed_at
                .is_some_and(|at| nearly_empty(s) || now.since(at) < PATIENCE)
        };
        index.segments().any(has_room) && index.segments().any(|(_, s)| fits(s) && promising(s))
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
        let (settled, end) = locked(&self.shared.index)
            .segment(victim.slot)
            .map(|s| (s.settled.clone(), s.end))
            .unwrap_or_default();
        let mut items = Vec::new();
        let reach = commits(&victim.file, end, &mut |commit, at| {
            records(commit.body, victim.file.salt, at, &mut |found| {
                items.extend(self.survivor(victim, &settled, &found));
            });
            ControlFlow::Continue(())
        });
        let read = reach.and_then(|reach| match reach {
            Reach::All => Ok(()),
            Reach::Damaged(_) => {
                items.clear();
                let mut bytes = Vec::new();
                read_whole(&*victim.file.file, &mut bytes)?;
                let scanned = scan(&bytes, victim.file.first_seq, false, &mut |found| {
                    items.extend(self.survivor(victim, &settled, &found));
                });
                scanned
                    .map(drop)
                    .map_err(|_| io::ErrorKind::InvalidData.into())
            }
        });
        if let Err(error) = read {
            tracing::error!(error = %error, "a journal segment cannot be read");
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

    /// What is to be written of a record at the head; none of one that has met its end.
    fn survivor(&self, victim: &Victim, settled: &Bits, found: &Found<'_>) -> Option<Item> {
        let record = &found.record;
        let ordinal = (record.seq - victim.file.first_seq) as u32;
        if settled.has(ordinal) {
            return None;
        }
        let key = LaneKey {
            pixel: PixelId::from_u64(record.pixel)?,
            options: Arc::new(RequestOptions::from_stored(record.options)?),
            class: Class::of_json(record.payload),
        };
        let place = Place {
            slot: victim.slot,
            offset: found.offset as u32,
            len: found.len as u32,
        };
        let times = Times {
            received_at: record.received_at,
            expires_at: record.expires_at,
        };
        let tier = Tier::of(&self.shared.settings.weights, record.payload, times);
        let index = locked(&self.shared.index);
        // no lane: it was settled since
        let lane = index.find_lane(&key)?;
        Some(Item {
            lane,
            tier,
            pixel: key.pixel,
            options: index.options(lane),
            changes: extras::changes(record.options),
            payload: bytes::Bytes::copy_from_slice(record.payload),
            times,
            copy_of: Some((record.origin, Source { place, ordinal })),
        })
    }
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

pub(super) fn copy_through_writer(shared: &Shared, items: Vec<Item>) -> Result<(), AppendError> {
    let (job, answer) = copy_job(shared, items);
    shared.enqueue_copies(job)?;
    answer
        .blocking_recv()
        .unwrap_or(Err(AppendError::Full(Limit::Disk)))
}

fn nearly_empty(segment: &Segment) -> bool {
    segment.live_bytes * NEARLY <= segment.file.size
}
