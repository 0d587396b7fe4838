//! What is waiting, what is leased and which segment holds what: all in memory, under one lock.
//!
//! Nothing in here touches a disk, so the lock is held for moments only.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::file::SegmentFile;
use super::queue::{Entry, Place, Queue};
use super::table::Segment;
use crate::journal::envelope::LaneKey;
use crate::journal::lease::Settlement;
use crate::journal::{Depth, LaneDepth, LeaseLimits, Limit};
use crate::pixel::PixelId;
use crate::time::UnixMs;

use super::frame::record_len;

/// How many lanes there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneBounds {
    /// In all.
    pub(crate) all: usize,
    /// Of one pixel.
    pub(crate) of_pixel: usize,
}

impl LaneBounds {
    /// For recovery: what is on disk has its lanes.
    pub(crate) const NONE: Self = Self {
        all: usize::MAX,
        of_pixel: usize::MAX,
    };
}

/// A record that a commit has made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) lane: u32,
    pub(crate) origin: u64,
    pub(crate) ordinal: u32,
    pub(crate) place: Place,
    pub(crate) received_at: UnixMs,
    /// For a copy: where it was copied from.
    pub(crate) from: Option<Source>,
}

/// Where a record was before evacuation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) place: Place,
    pub(crate) ordinal: u32,
}

#[derive(Debug)]
struct Leased {
    place: Place,
    /// Its ordinal in the segment it was moved to while leased.
    moved: Option<u32>,
}

#[derive(Debug)]
struct Returned {
    place: Place,
    received_at: UnixMs,
}

#[derive(Debug)]
struct Lane {
    key: LaneKey,
    options: Arc<[u8]>,
    fresh: Queue,
    returned: BTreeMap<u64, Returned>,
    leased: HashMap<u64, Leased>,
    /// Records on their way to a commit.
    pending: usize,
    /// Payload bytes waiting.
    bytes: u64,
    woken: bool,
}

/// A record handed out; still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) origin: u64,
    pub(crate) place: Place,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    lanes: Vec<Option<Lane>>,
    free_lanes: Vec<u32>,
    by_key: HashMap<LaneKey, u32>,
    lanes_of_pixel: HashMap<PixelId, usize>,
    pub(super) segments: Vec<Option<Segment>>,
    woken: Vec<u32>,
    waiting: u64,
    leased: u64,
    /// Payload bytes waiting or leased.
    bytes: u64,
    lost: u64,
}

impl Lane {
    fn payload_len(&self, place: Place) -> u64 {
        u64::from(place.len).saturating_sub(record_len(self.options.len(), 0) as u64)
    }

    fn waiting(&self) -> usize {
        self.fresh.len() + self.returned.len()
    }

    fn depth(&self) -> LaneDepth {
        let fresh = self.fresh.oldest();
        let returned = self.returned.first_key_value().map(|(_, r)| r.received_at);
        LaneDepth {
            records: self.waiting() as u64,
            bytes: self.bytes,
            leased: self.leased.len() as u64,
            oldest_received_at: returned.or(fresh),
        }
    }

    /// The next record to hand out.
    fn next(&self) -> Option<Entry> {
        match self.returned.first_key_value() {
            Some((origin, returned)) => Some(Entry {
                origin: *origin,
                place: returned.place,
            }),
            None => self.fresh.front(),
        }
    }

    fn pop(&mut self) {
        if self.returned.pop_first().is_none() {
            self.fresh.pop_front();
        }
    }
}

/// Lanes: who is here.
impl Index {
    fn lane(&self, id: u32) -> Option<&Lane> {
        self.lanes.get(id as usize)?.as_ref()
    }

    fn lane_mut(&mut self, id: u32) -> Option<&mut Lane> {
        self.lanes.get_mut(id as usize)?.as_mut()
    }

    /// The number of the lane `key`, made if need be and if neither all pixels together nor its
    /// own have too many.
    pub(crate) fn open_lane(&mut self, key: &LaneKey, bounds: LaneBounds) -> Result<u32, Limit> {
        if let Some(id) = self.by_key.get(key) {
            return Ok(*id);
        }
        if self.by_key.len() >= bounds.all {
            return Err(Limit::MaxLanes);
        }
        let of_pixel = self.lanes_of_pixel.entry(key.pixel).or_default();
        if *of_pixel >= bounds.of_pixel {
            return Err(Limit::MaxLanesPerPixel);
        }
        *of_pixel += 1;
        let lane = Lane {
            key: key.clone(),
            options: key.options.to_stored().into(),
            fresh: Queue::default(),
            returned: BTreeMap::new(),
            leased: HashMap::new(),
            pending: 0,
            bytes: 0,
            woken: false,
        };
        let id = if let Some(id) = self.free_lanes.pop() {
            id
        } else {
            self.lanes.push(None);
            (self.lanes.len() - 1) as u32
        };
        if let Some(place) = self.lanes.get_mut(id as usize) {
            *place = Some(lane);
        }
        self.by_key.insert(key.clone(), id);
        Ok(id)
    }

    /// The pixel of a lane.
    pub(crate) fn pixel(&self, id: u32) -> Option<PixelId> {
        self.lane(id).map(|lane| lane.key.pixel)
    }

    /// The number of a lane that is here.
    pub(crate) fn find_lane(&self, key: &LaneKey) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// The stored form of a lane's options.
    pub(crate) fn options(&self, id: u32) -> Arc<[u8]> {
        self.lane(id)
            .map_or_else(|| [].into(), |l| l.options.clone())
    }

    /// `count` records of the lane are on their way to a commit.
    pub(crate) fn announce(&mut self, id: u32, count: usize) {
        if let Some(lane) = self.lane_mut(id) {
            lane.pending += count;
        }
    }

    /// `count` announced records will not come.
    pub(crate) fn renounce(&mut self, id: u32, count: usize) {
        if let Some(lane) = self.lane_mut(id) {
            lane.pending = lane.pending.saturating_sub(count);
        }
        self.close_if_empty(id);
    }

    /// Forgets a lane nothing belongs to any more.
    fn close_if_empty(&mut self, id: u32) {
        let empty =
            |lane: &Lane| lane.waiting() == 0 && lane.leased.is_empty() && lane.pending == 0;
        let Some(place) = self.lanes.get_mut(id as usize) else {
            return;
        };
        if place.as_ref().is_some_and(empty)
            && let Some(lane) = place.take()
        {
            self.by_key.remove(&lane.key);
            if let Slot::Occupied(mut count) = self.lanes_of_pixel.entry(lane.key.pixel) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            self.woken.retain(|woken| *woken != id);
            self.free_lanes.push(id);
        }
    }

    fn wake(&mut self, id: u32) -> bool {
        let Some(lane) = self.lane_mut(id) else {
            return false;
        };
        let new = !std::mem::replace(&mut lane.woken, true);
        if new {
            self.woken.push(id);
        }
        new && self.woken.len() == 1
    }

    /// The lanes woken since the last call.
    pub(crate) fn take_woken(&mut self) -> Vec<LaneKey> {
        let ids = std::mem::take(&mut self.woken);
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(lane) = self.lane_mut(id) {
                lane.woken = false;
                keys.push(lane.key.clone());
            }
        }
        keys
    }

    /// What waits in one lane.
    pub(crate) fn lane_depth(&self, key: &LaneKey) -> LaneDepth {
        let lane = self.find_lane(key).and_then(|id| self.lane(id));
        lane.map(Lane::depth).unwrap_or_default()
    }

    /// What waits in each lane.
    pub(crate) fn lane_depths(&self) -> Vec<(LaneKey, LaneDepth)> {
        let lanes = self.lanes.iter().flatten();
        lanes.map(|lane| (lane.key.clone(), lane.depth())).collect()
    }

    /// Records and payload bytes that have not met their end.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.waiting + self.leased, self.bytes)
    }

    /// The whole journal's counts, but for the spare segments.
    pub(crate) fn depth(&self) -> Depth {
        Depth {
            records: self.waiting + self.leased,
            leased: self.leased,
            bytes: self.bytes,
            lost: self.lost,
            disk_bytes: self.disk_bytes(),
            segments: self.segments.iter().flatten().count() as u64,
            lanes: self.by_key.len() as u64,
        }
    }
}

/// Records: in, out and settled.
impl Index {
    /// Takes in the records of a durable commit that ends at `end`; true when the first lane woke.
    pub(crate) fn committed(&mut self, slot: u16, end: u64, written: &[Written]) -> bool {
        let mut rang = false;
        if let Some(segment) = self.segment_mut(slot) {
            segment.end = end;
            for one in written {
                segment.records = segment.records.max(one.ordinal + 1);
                segment.live += 1;
                segment.live_bytes += u64::from(one.place.len);
            }
        }
        for one in written {
            match one.from {
                None => rang |= self.arrived(one),
                Some(from) => self.moved(one, from),
            }
        }
        rang
    }

    fn arrived(&mut self, one: &Written) -> bool {
        let Some(lane) = self.lane_mut(one.lane) else {
            return false;
        };
        let entry = Entry {
            origin: one.origin,
            place: one.place,
        };
        lane.fresh.push_back(entry, one.received_at);
        lane.pending = lane.pending.saturating_sub(1);
        let bytes = lane.payload_len(one.place);
        lane.bytes += bytes;
        self.bytes += bytes;
        self.waiting += 1;
        self.wake(one.lane)
    }

    fn moved(&mut self, one: &Written, from: Source) {
        let still_wanted = !self
            .segment(from.place.slot)
            .is_some_and(|s| s.settled.has(from.ordinal));
        let mut found = false;
        if let Some(lane) = self.lane_mut(one.lane) {
            lane.pending = lane.pending.saturating_sub(1);
            if still_wanted {
                if let Some(leased) = lane.leased.get_mut(&one.origin) {
                    leased.place = one.place;
                    leased.moved = Some(one.ordinal);
                    found = true;
                } else if let Some(returned) = lane.returned.get_mut(&one.origin) {
                    returned.place = one.place;
                    found = true;
                } else {
                    found = lane.fresh.relocate(one.origin, from.place, one.place);
                }
            }
        }
        // settled while it was being copied: the copy is done with as well
        let (slot, ordinal) = if found {
            (from.place.slot, from.ordinal)
        } else {
            (one.place.slot, one.ordinal)
        };
        if let Some(segment) = self.segment_mut(slot) {
            segment.retire(ordinal, one.place.len);
        }
        self.close_if_empty(one.lane);
    }

    /// Hands out records of a lane, oldest first, and pins their files.
    pub(crate) fn take(
        &mut self,
        id: u32,
        limits: LeaseLimits,
    ) -> (Vec<Taken>, HashMap<u16, Arc<SegmentFile>>) {
        let mut taken = Vec::new();
        let mut files = HashMap::new();
        let mut bytes = 0;
        let Some(lane) = self.lanes.get_mut(id as usize).and_then(Option::as_mut) else {
            return (taken, files);
        };
        while taken.len() < limits.max_events
            && let Some(Entry { origin, place }) = lane.next()
        {
            let payload = lane.payload_len(place);
            if !taken.is_empty() && bytes + payload > limits.max_bytes as u64 {
                break;
            }
            bytes += payload;
            lane.pop();
            lane.bytes = lane.bytes.saturating_sub(payload);
            lane.leased.insert(origin, Leased { place, moved: None });
            taken.push(Taken { origin, place });
            if let Some(Some(segment)) = self.segments.get(place.slot as usize) {
                files
                    .entry(place.slot)
                    .or_insert_with(|| segment.file.clone());
            }
        }
        self.waiting -= taken.len() as u64;
        self.leased += taken.len() as u64;
        (taken, files)
    }

    /// Ends a lease. `ordinal` is where the record was when it was read. True when the keeper has
    /// something to do: a segment to use again, or a first note to write down.
    pub(crate) fn settle(
        &mut self,
        id: u32,
        origin: u64,
        ordinal: u32,
        received_at: UnixMs,
        settlement: Settlement,
    ) -> bool {
        let Some(lane) = self.lanes.get_mut(id as usize).and_then(Option::as_mut) else {
            return false;
        };
        let Some(Leased { place, moved }) = lane.leased.remove(&origin) else {
            return false;
        };
        let payload = lane.payload_len(place);
        self.leased -= 1;
        if settlement == Settlement::Returned {
            lane.bytes += payload;
            lane.returned
                .insert(origin, Returned { place, received_at });
            self.waiting += 1;
            return false;
        }
        self.bytes = self.bytes.saturating_sub(payload);
        let mut call_keeper = false;
        if let Some(segment) = self.segment_mut(place.slot) {
            segment.retire(moved.unwrap_or(ordinal), place.len);
            let emptied = segment.live == 0 && segment.sealed_at.is_some();
            call_keeper = emptied || segment.unsaved.len() == 1;
        }
        self.close_if_empty(id);
        call_keeper
    }

    /// Wakes the lane of a lease that was dropped; true when it is the first to wake.
    pub(crate) fn dropped(&mut self, id: u32) -> bool {
        self.wake(id)
    }

    /// A leased record turned out to be unreadable.
    pub(crate) fn lose(&mut self, id: u32, origin: u64) {
        let Some(lane) = self.lanes.get_mut(id as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(Leased { place, .. }) = lane.leased.remove(&origin) else {
            return;
        };
        let payload = lane.payload_len(place);
        self.leased -= 1;
        self.lost += 1;
        self.bytes = self.bytes.saturating_sub(payload);
        // its bit stays clear: on disk it is not settled, it is lost
        if let Some(segment) = self.segment_mut(place.slot) {
            segment.damaged = true;
            segment.live = segment.live.saturating_sub(1);
            segment.live_bytes = segment.live_bytes.saturating_sub(u64::from(place.len));
        }
        self.close_if_empty(id);
    }

    /// Puts back what recovery found out of order: fills a lane's emptied queue with `entries`.
    pub(crate) fn rebuild(&mut self, id: u32, entries: &[(Entry, UnixMs)]) {
        let Some(lane) = self.lanes.get_mut(id as usize).and_then(Option::as_mut) else {
            return;
        };
        for (entry, received_at) in entries {
            lane.fresh.push_back(*entry, *received_at);
            lane.bytes += lane.payload_len(entry.place);
        }
        self.waiting += lane.fresh.len() as u64;
        self.bytes += lane.bytes;
        if entries.is_empty() {
            self.close_if_empty(id);
        } else {
            self.wake(id);
        }
    }

    /// Empties a lane's queue, for [`Index::rebuild`].
    pub(crate) fn unbuild(&mut self, id: u32) -> Vec<(Entry, UnixMs)> {
        let Some(lane) = self.lanes.get_mut(id as usize).and_then(Option::as_mut) else {
            return Vec::new();
        };
        let all = lane.fresh.drain();
        self.waiting -= all.len() as u64;
        self.bytes = self.bytes.saturating_sub(lane.bytes);
        lane.bytes = 0;
        all
    }
}
