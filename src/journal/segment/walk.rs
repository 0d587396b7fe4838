//! Reads all that is in the journal, segment by segment, while it is in use.
//!
//! The index is asked, a commit at a time, which records are still wanted; the disk is read
//! without its lock. Evacuation may move a record to a later segment before its own was read, so
//! as long as something was moved during a round, there is another over the segments that have
//! begun since. No record that stays in the journal is missed; one that was moved may come twice.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::commits::{Reach, commits, read_into};
use super::file::SegmentFile;
use super::frame::Record;
use super::scan::{Found, records, scan};
use super::settled::Bits;
use super::{Shared, locked};
use crate::journal::Waiting;
use crate::journal::envelope::{Class, LaneKey, RequestOptions};
use crate::pixel::PixelId;

/// Which records are wanted, by their raw bytes.
pub(crate) type Want<'a> = dyn Fn(&Record<'_>) -> bool + 'a;
/// Who gets them.
pub(crate) type Each<'a> = dyn FnMut(Waiting<'_>) -> ControlFlow<()> + 'a;

/// One segment at the moment its turn comes.
struct Stretch {
    slot: u16,
    file: Arc<SegmentFile>,
    end: u64,
    settled: Bits,
}

struct Walk<'a> {
    shared: &'a Shared,
    want: &'a Want<'a>,
    each: &'a mut Each<'a>,
    /// The last lane's key and the options it was read from.
    lane: Option<(Box<[u8]>, LaneKey)>,
}

/// A wanted record of a commit.
struct Candidate<'a> {
    record: Record<'a>,
    lane: LaneKey,
    leased: bool,
}

impl Shared {
    /// Gives every record that is wanted to `each`, until it breaks.
    pub(crate) fn walk<'a>(&'a self, want: &'a Want<'a>, each: &'a mut Each<'a>) -> io::Result<()> {
        let mut walk = Walk {
            shared: self,
            want,
            each,
            lane: None,
        };
        let mut from = 0;
        loop {
            let (moves, last) = {
                let index = locked(&self.index);
                let firsts = index.segments().map(|(_, s)| s.file.first_seq);
                (index.moves, firsts.max())
            };
            let Some(last) = last else { return Ok(()) };
            while let Some(stretch) = self.next_stretch(from, last) {
                from = stretch.file.first_seq + 1;
                if walk.segment(&stretch)?.is_break() {
                    return Ok(());
                }
            }
            if locked(&self.index).moves == moves {
                return Ok(());
            }
        }
    }

    /// The first segment in which something lives from number `from` up to `last`.
    fn next_stretch(&self, from: u64, last: u64) -> Option<Stretch> {
        let index = locked(&self.index);
        let (slot, segment) = index
            .segments()
            .filter(|(_, s)| s.live > 0 && (from..=last).contains(&s.file.first_seq))
            .min_by_key(|(_, s)| s.file.first_seq)?;
        Some(Stretch {
            slot,
            file: segment.file.clone(),
            end: segment.end,
            settled: segment.settled.clone(),
        })
    }
}

impl Walk<'_> {
    fn segment(&mut self, stretch: &Stretch) -> io::Result<ControlFlow<()>> {
        let file = &stretch.file;
        let mut flow = ControlFlow::Continue(());
        let reach = commits(file, stretch.end, &mut |commit, at| {
            let mut candidates = Vec::new();
            records(commit.body, file.salt, at, &mut |found| {
                self.consider(stretch, found, &mut candidates);
            });
            flow = self.tell(stretch, &mut candidates);
            flow
        })?;
        match reach {
            Reach::All => Ok(flow),
            Reach::Damaged(from) => self.damaged(stretch, from),
        }
    }

    /// What can be read of a segment from number `from` on, of which some cannot.
    fn damaged(&mut self, stretch: &Stretch, from: u64) -> io::Result<ControlFlow<()>> {
        let mut buf = Vec::new();
        read_into(&mut buf, &stretch.file, 0, stretch.end)?;
        let mut flow = ControlFlow::Continue(());
        let scanned = scan(&buf, stretch.file.first_seq, false, &mut |found| {
            if flow.is_continue() && found.record.seq >= from {
                let mut one = Vec::new();
                self.consider(stretch, found, &mut one);
                flow = self.tell(stretch, &mut one);
            }
        });
        // the journal would not have opened such a file
        scanned.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(flow)
    }

    fn consider<'r>(&mut self, stretch: &Stretch, found: Found<'r>, into: &mut Vec<Candidate<'r>>) {
        let record = found.record;
        let ordinal = (record.seq - stretch.file.first_seq) as u32;
        if stretch.settled.has(ordinal) || !(self.want)(&record) {
            return;
        }
        if let Some(lane) = self.lane_of(&record) {
            into.push(Candidate {
                record,
                lane,
                leased: false,
            });
        }
    }

    fn lane_of(&mut self, record: &Record<'_>) -> Option<LaneKey> {
        let pixel = PixelId::from_u64(record.pixel)?;
        let class = Class::of_json(record.payload);
        let known = self.lane.as_ref().filter(|(options, key)| {
            **options == *record.options && key.pixel == pixel && key.class == class
        });
        if let Some((_, key)) = known {
            return Some(key.clone());
        }
        let key = LaneKey {
            pixel,
            options: Arc::new(RequestOptions::from_stored(record.options)?),
            class,
        };
        self.lane = Some((record.options.into(), key.clone()));
        Some(key)
    }

    /// Tells of those that are still here.
    fn tell(&mut self, stretch: &Stretch, candidates: &mut Vec<Candidate<'_>>) -> ControlFlow<()> {
        if candidates.is_empty() {
            return ControlFlow::Continue(());
        }
        let index = locked(&self.shared.index);
        let first_seq = stretch.file.first_seq;
        candidates.retain_mut(|one| {
            one.leased = index.is_leased(&one.lane, one.record.origin);
            // the file is held, so the slot is still its own
            let segment = index.segment(stretch.slot);
            segment.is_some_and(|s| !s.settled.has((one.record.seq - first_seq) as u32))
        });
        drop(index);
        for one in candidates {
            (self.each)(Waiting {
                lane: &one.lane,
                event: one.record.payload,
                extras: one.record.options,
                seq: one.record.origin,
                received_at: one.record.received_at,
                expires_at: one.record.expires_at,
                leased: one.leased,
            })?;
        }
        ControlFlow::Continue(())
    }
}
