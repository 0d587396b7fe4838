//! Reads records of a lane back from their segments.

use std::sync::Arc;

use bytes::Bytes;

use super::file::SegmentFile;
use super::frame::{RECORD_BYTES, Record};
use super::queue::Times;
use super::records::Taken;
use super::{Shared, locked};
use crate::event::EncodedEvent;
use crate::journal::LeaseLimits;
use crate::journal::envelope::LaneKey;
use crate::journal::extras;
use crate::journal::lease::Lease;
use crate::time::UnixMs;

/// Neighbours this close are read in one call.
const GAP: u64 = 4096;
/// Bytes read in one call.
const READ_TARGET: u64 = 256 << 10;

/// A record as it was read.
struct Content<'a> {
    payload: &'a [u8],
    options: &'a [u8],
    ordinal: u32,
    times: Times,
}

impl Shared {
    /// Hands out the most urgent records of a lane.
    pub(crate) fn lease(self: &Arc<Self>, key: &LaneKey, limits: LeaseLimits) -> Vec<Lease> {
        let now = self.clock.now();
        let mut index = locked(&self.index);
        let Some(lane) = index.find_lane(key) else {
            return Vec::new();
        };
        let (taken, files) = index.take(lane, limits, now);
        drop(index);
        let mut leases = Vec::with_capacity(taken.len());
        let mut rest = taken.as_slice();
        while let Some(first) = rest.first() {
            let (run, others) = rest.split_at(run_len(rest));
            rest = others;
            let Some(file) = files.get(&first.place.slot) else {
                self.lose(lane, run);
                continue;
            };
            let start = u64::from(first.place.offset);
            let end = run.last().map_or(start, end_of);
            let mut buf = vec![0; (end - start) as usize];
            let read = file.file.read_at(&mut buf, start);
            buf.truncate(read.unwrap_or(0));
            let bytes = Bytes::from(buf);
            // the events of a run share what was read, unless others take most of it
            let wanted: u64 = run.iter().map(|one| u64::from(one.place.len)).sum();
            let event = |payload: &[u8]| {
                if wanted * 2 >= end - start {
                    bytes.slice_ref(payload)
                } else {
                    Bytes::copy_from_slice(payload)
                }
            };
            for one in run {
                let at = (u64::from(one.place.offset) - start) as usize;
                let decoded = bytes.get(at..).and_then(|rest| decode(rest, one, file));
                match decoded {
                    Some(content) => leases.push(Lease::new(
                        self.clone(),
                        lane,
                        one.origin,
                        content.ordinal,
                        EncodedEvent::from_record(event(content.payload))
                            .with_changes(extras::changes(content.options)),
                        content.times,
                    )),
                    None => self.lose(lane, std::slice::from_ref(one)),
                }
            }
        }
        leases
    }

    /// When the first of the records expires that are next in the tiers of a lane. A record that
    /// cannot be read, or has left meanwhile, does not count.
    pub(crate) fn next_expiry(&self, key: &LaneKey) -> Option<UnixMs> {
        let index = locked(&self.index);
        let (heads, files) = index.heads(index.find_lane(key)?);
        drop(index);
        let mut buf = Vec::new();
        let expiry = |one: &Taken| {
            let file = files.get(&one.place.slot)?;
            buf.resize(one.place.len as usize, 0);
            let read = file.file.read_at(&mut buf, u64::from(one.place.offset));
            let content = decode(buf.get(..read.ok()?)?, one, file)?;
            Some(content.times.expires_at)
        };
        heads.iter().filter_map(expiry).min()
    }

    /// Records that cannot be read stay on disk, to be looked at, and out of the lane.
    fn lose(&self, lane: u32, records: &[Taken]) {
        for one in records {
            let mut index = locked(&self.index);
            index.lose(lane, one.origin);
            self.show_counts(&index);
            drop(index);
            self.metrics.journal_corrupt.inc();
            tracing::error!(
                record.seq = one.origin,
                record.offset = one.place.offset,
                "a journal record cannot be read; it is left where it is"
            );
        }
    }
}

fn end_of(one: &Taken) -> u64 {
    u64::from(one.place.offset) + u64::from(one.place.len)
}

/// How many of `taken` lie close enough to be read at once.
fn run_len(taken: &[Taken]) -> usize {
    let Some(first) = taken.first() else { return 0 };
    let start = u64::from(first.place.offset);
    let joins = taken.windows(2).take_while(|pair| match pair {
        [a, b] => {
            let from = u64::from(b.place.offset);
            b.place.slot == a.place.slot
                && from >= end_of(a)
                && from - end_of(a) <= GAP
                && end_of(b) - start <= READ_TARGET
        }
        _ => false,
    });
    1 + joins.count()
}

fn decode<'a>(bytes: &'a [u8], one: &Taken, file: &SegmentFile) -> Option<Content<'a>> {
    let (record, len) = Record::decode(bytes, file.salt)?;
    debug_assert!(len >= RECORD_BYTES, "a record has its fixed fields");
    if record.origin != one.origin || len != one.place.len as usize {
        return None;
    }
    Some(Content {
        payload: record.payload,
        options: record.options,
        ordinal: u32::try_from(record.seq.checked_sub(file.first_seq)?).ok()?,
        times: Times {
            received_at: record.received_at,
            expires_at: record.expires_at,
        },
    })
}

/// Reads a whole file.
pub(crate) fn read_whole(
    file: &dyn super::disk::DiskFile,
    buf: &mut Vec<u8>,
) -> std::io::Result<()> {
    buf.resize(file.size()? as usize, 0);
    let read = file.read_at(buf, 0)?;
    buf.truncate(read);
    Ok(())
}
