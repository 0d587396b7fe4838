//! The table of segments: what each still holds.
//!
//! A segment has a number in the table, its *slot*, which is what the index keeps for a record.
//! The slot is free again when nothing lives in the segment.

use std::sync::Arc;

use super::file::SegmentFile;
use super::index::Index;
use super::settled::Bits;
use crate::time::UnixMs;

/// Segments the table has numbers for.
const MAX_SLOTS: usize = u16::MAX as usize;

/// A segment that holds records, or is about to.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: Arc<SegmentFile>,
    /// Records written, settled or not.
    pub(crate) records: u32,
    /// Records that are not settled and can be read.
    pub(crate) live: u32,
    /// Bytes those records take in the file.
    pub(crate) live_bytes: u64,
    /// Bytes used from the start of the file.
    pub(crate) end: u64,
    /// When it was sealed; none for the active one.
    pub(crate) sealed_at: Option<UnixMs>,
    /// Some of it cannot be read: it is set aside in the end, not used again.
    pub(crate) damaged: bool,
    /// What lives in it cannot be copied.
    pub(crate) stuck: bool,
    pub(crate) settled: Bits,
    /// Settled, but not yet in the `.done` file.
    pub(crate) unsaved: Vec<u32>,
    /// Bytes of the `.done` file; 0 when there is none yet.
    pub(crate) done_end: u64,
}

impl Segment {
    pub(crate) fn new(file: Arc<SegmentFile>, end: u64) -> Self {
        Self {
            file,
            records: 0,
            live: 0,
            live_bytes: 0,
            end,
            sealed_at: None,
            damaged: false,
            stuck: false,
            settled: Bits::default(),
            unsaved: Vec::new(),
            done_end: 0,
        }
    }

    /// Marks a record as done with; false if it was.
    pub(crate) fn retire(&mut self, ordinal: u32, len: u32) -> bool {
        let new = self.settled.set(ordinal);
        if new {
            self.unsaved.push(ordinal);
            self.live = self.live.saturating_sub(1);
            self.live_bytes = self.live_bytes.saturating_sub(u64::from(len));
        }
        new
    }
}

impl Index {
    /// Adds a segment; none when the table is full.
    pub(crate) fn add_segment(&mut self, segment: Segment) -> Option<u16> {
        let free = self.segments.iter().position(Option::is_none);
        let at = free.unwrap_or(self.segments.len());
        if at >= MAX_SLOTS {
            return None;
        }
        if at == self.segments.len() {
            self.segments.push(None);
        }
        *self.segments.get_mut(at)? = Some(segment);
        Some(at as u16)
    }

    /// Segments that can still be added.
    pub(crate) fn free_slots(&self) -> u64 {
        MAX_SLOTS.saturating_sub(self.segments.iter().flatten().count()) as u64
    }

    pub(crate) fn segment(&self, slot: u16) -> Option<&Segment> {
        self.segments.get(slot as usize)?.as_ref()
    }

    pub(crate) fn segment_mut(&mut self, slot: u16) -> Option<&mut Segment> {
        self.segments.get_mut(slot as usize)?.as_mut()
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = (u16, &Segment)> {
        let numbered = self.segments.iter().zip(0u16..);
        numbered.filter_map(|(segment, slot)| segment.as_ref().map(|s| (slot, s)))
    }

    pub(crate) fn segments_mut(&mut self) -> impl Iterator<Item = (u16, &mut Segment)> {
        let numbered = self.segments.iter_mut().zip(0u16..);
        numbered.filter_map(|(segment, slot)| segment.as_mut().map(|s| (slot, s)))
    }

    /// Forgets a segment in which nothing lives.
    pub(crate) fn remove_segment(&mut self, slot: u16) {
        if let Some(place) = self.segments.get_mut(slot as usize) {
            *place = None;
        }
    }

    /// Bytes of the files that hold records.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.segments.iter().flatten().map(|s| s.file.size).sum()
    }

    /// Bytes of the records that are not settled.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.segments.iter().flatten().map(|s| s.live_bytes).sum()
    }
}
