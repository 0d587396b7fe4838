//! The waiting records of one tier of a lane, at about 15 bytes a record.
//!
//! A ring that doubles would at times hold half of its room empty, and an entry with full-width
//! numbers takes 24 bytes; so entries are packed and kept in chunks whose head holds what
//! neighbours share.

use std::collections::VecDeque;

use crate::time::UnixMs;

/// Entries of a full chunk.
pub(super) const CHUNK: usize = 128;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The segment's number in the table of segments.
    pub(crate) slot: u16,
    /// Bytes from the start of the file.
    pub(crate) offset: u32,
    /// Bytes of the record.
    pub(crate) len: u32,
}

/// When a record came, and when it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// When the gateway received it.
    pub(crate) received_at: UnixMs,
    /// From when on Meta would refuse it.
    pub(crate) expires_at: UnixMs,
}

/// A waiting record: its identity, which orders the queue, and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) origin: u64,
    pub(crate) place: Place,
}

/// 14 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(2))]
struct Packed {
    offset: u32,
    len: u32,
    /// `origin`, from the chunk's first.
    delta: u32,
    slot: u16,
}

#[derive(Debug)]
struct Chunk {
    first_origin: u64,
    /// When the first was received, and when the first of them expires.
    times: Times,
    /// Entries already taken.
    taken: u32,
    entries: Vec<Packed>,
}

/// Records in the order of their `origin`.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    chunks: VecDeque<Chunk>,
    len: usize,
}

impl Chunk {
    fn unpack(&self, packed: Packed) -> Entry {
        Entry {
            origin: self.first_origin + u64::from(packed.delta),
            place: Place {
                slot: packed.slot,
                offset: packed.offset,
                len: packed.len,
            },
        }
    }
}

impl Queue {
    /// Records in the queue.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a record behind all others; its `origin` must be above theirs.
    pub(crate) fn push_back(&mut self, entry: Entry, times: Times) {
        let fits = self.chunks.back().filter(|c| c.entries.len() < CHUNK);
        let delta =
            fits.and_then(|c| u32::try_from(entry.origin.checked_sub(c.first_origin)?).ok());
        let packed = |delta| Packed {
            offset: entry.place.offset,
            len: entry.place.len,
            delta,
            slot: entry.place.slot,
        };
        if let (Some(chunk), Some(delta)) = (self.chunks.back_mut(), delta) {
            if chunk.entries.len() == chunk.entries.capacity() {
                let more = chunk.entries.len().min(CHUNK - chunk.entries.len());
                chunk.entries.reserve_exact(more);
            }
            chunk.entries.push(packed(delta));
            let soonest = &mut chunk.times.expires_at;
            *soonest = (*soonest).min(times.expires_at);
        } else {
            // a lane with little to say stays small; a busy one goes straight to full chunks
            let room = if self.chunks.is_empty() { 4 } else { CHUNK };
            let mut entries = Vec::with_capacity(room);
            entries.push(packed(0));
            self.chunks.push_back(Chunk {
                first_origin: entry.origin,
                times,
                taken: 0,
                entries,
            });
        }
        self.len += 1;
    }

    /// The oldest record.
    pub(crate) fn front(&self) -> Option<Entry> {
        let chunk = self.chunks.front()?;
        let packed = chunk.entries.get(chunk.taken as usize)?;
        Some(chunk.unpack(*packed))
    }

    /// Takes the oldest record.
    pub(crate) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.front()?;
        let chunk = self.chunks.front_mut()?;
        chunk.taken += 1;
        if chunk.taken as usize == chunk.entries.len() {
            self.chunks.pop_front();
            if self.chunks.is_empty() {
                self.chunks.shrink_to(4);
            }
        }
        self.len -= 1;
        Some(entry)
    }

    /// When the oldest record was received, or a time before it by at most the span of a chunk;
    /// and when the first of its chunk expires, or has expired.
    pub(crate) fn times(&self) -> Option<Times> {
        Some(self.chunks.front()?.times)
    }

    /// Notes that the record `origin` has moved from `from` to `to`; false if it is not here.
    pub(crate) fn relocate(&mut self, origin: u64, from: Place, to: Place) -> bool {
        let after = self.chunks.partition_point(|c| c.first_origin <= origin);
        let Some(chunk) = after.checked_sub(1).and_then(|i| self.chunks.get_mut(i)) else {
            return false;
        };
        let Ok(delta) = u32::try_from(origin - chunk.first_origin) else {
            return false;
        };
        let Ok(at) = chunk.entries.binary_search_by_key(&delta, |p| p.delta) else {
            return false;
        };
        let taken = chunk.taken as usize;
        match chunk.entries.get_mut(at) {
            Some(packed)
                if at >= taken && packed.slot == from.slot && packed.offset == from.offset =>
            {
                packed.slot = to.slot;
                packed.offset = to.offset;
                packed.len = to.len;
                true
            }
            _ => false,
        }
    }

    /// Empties the queue into a list, each record with the times its chunk knows.
    pub(crate) fn drain(&mut self) -> Vec<(Entry, Times)> {
        let mut all = Vec::with_capacity(self.len);
        while let Some(times) = self.times() {
            let Some(entry) = self.pop_front() else { break };
            all.push((entry, times));
        }
        all
    }

    /// Heap bytes the queue holds on to.
    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        let chunks = self.chunks.capacity() * size_of::<Chunk>();
        let entries: usize = self.chunks.iter().map(|c| c.entries.capacity()).sum();
        chunks + entries * size_of::<Packed>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(origin: u64) -> Entry {
        Entry {
            origin,
            place: Place {
                slot: 1,
                offset: origin as u32,
                len: 600,
            },
        }
    }

    fn at(ms: i64) -> Times {
        Times {
            received_at: UnixMs(ms),
            expires_at: UnixMs(ms + 50),
        }
    }

    #[test]
    fn a_waiting_record_takes_at_most_sixteen_bytes() {
        for (count, step) in [(1_000_000u64, 1), (100_000, 5000), (3000, 1)] {
            let mut queue = Queue::default();
            for i in 0..count {
                queue.push_back(entry(i * step), at(0));
            }
            // the allocator's own 16 bytes a chunk are counted too
            let bytes = queue.heap_bytes() + queue.chunks.len() * 16;
            let each = bytes as f64 / count as f64;
            assert!(each <= 16.0, "{each} bytes for each of {count}");
        }
    }

    #[test]
    fn first_in_first_out_across_chunks_and_wide_gaps() {
        let mut queue = Queue::default();
        let origins: Vec<u64> = (0..1000u64).map(|i| i * i * 20_000).collect();
        for origin in &origins {
            queue.push_back(entry(*origin), at(*origin as i64));
        }
        assert_eq!(queue.len(), 1000);
        for origin in &origins {
            let times = queue.times().unwrap();
            assert!(times.received_at.0 <= *origin as i64);
            assert!(times.expires_at.0 <= *origin as i64 + 50);
            assert_eq!(queue.pop_front().unwrap().origin, *origin);
        }
        assert_eq!((queue.len(), queue.pop_front()), (0, None));
        queue.push_back(entry(7), at(99));
        assert_eq!(queue.times(), Some(at(99)));
        queue.push_back(entry(8), at(9));
        let times = queue.times().unwrap();
        assert_eq!(
            (times.received_at, times.expires_at),
            (UnixMs(99), UnixMs(59))
        );
    }

    #[test]
    fn a_record_moves_without_losing_its_turn() {
        let mut queue = Queue::default();
        for i in 0..500 {
            queue.push_back(entry(i * 3), at(0));
        }
        queue.pop_front();
        let to = Place {
            slot: 9,
            offset: 77,
            len: 600,
        };
        assert!(queue.relocate(300, entry(300).place, to));
        assert!(
            !queue.relocate(300, entry(300).place, to),
            "no longer there"
        );
        assert!(!queue.relocate(301, entry(301).place, to), "never there");
        assert!(!queue.relocate(0, entry(0).place, to), "already taken");
        let all = queue.drain();
        assert_eq!(all.len(), 499);
        assert!(all.is_sorted_by_key(|(entry, _)| entry.origin));
        assert_eq!(
            all[99].0,
            Entry {
                origin: 300,
                place: to
            }
        );
    }
}
