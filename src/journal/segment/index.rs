//! What is waiting, what is leased and which segment holds what: all in memory, under one lock.
//!
//! Nothing in here touches a disk, so the lock is held for moments only. Here are the lanes;
//! `records` takes records in and out, `table` knows the segments.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use super::lane::Lane;
use super::table::Segment;
use crate::journal::envelope::LaneKey;
use crate::journal::{Depth, LaneDepth, Limit};
use crate::pixel::PixelId;

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

#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(super) lanes: Vec<Option<Lane>>,
    free_lanes: Vec<u32>,
    by_key: HashMap<LaneKey, u32>,
    lanes_of_pixel: HashMap<PixelId, usize>,
    pub(super) segments: Vec<Option<Segment>>,
    woken: Vec<u32>,
    pub(super) waiting: u64,
    pub(super) leased: u64,
    /// Payload bytes waiting or leased.
    pub(super) bytes: u64,
    pub(super) lost: u64,
    /// Records that evacuation has moved since the start.
    pub(super) moves: u64,
}

/// Lanes: who is here.
impl Index {
    pub(super) fn lane(&self, id: u32) -> Option<&Lane> {
        self.lanes.get(id as usize)?.as_ref()
    }

    pub(super) fn lane_mut(&mut self, id: u32) -> Option<&mut Lane> {
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
        let lane = Lane::new(key.clone());
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
    pub(crate) fn close_if_empty(&mut self, id: u32) {
        let Some(place) = self.lanes.get_mut(id as usize) else {
            return;
        };
        if place.as_ref().is_some_and(Lane::is_empty)
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

    /// Notes that a lane has something; true when it is the first to wake.
    pub(crate) fn wake(&mut self, id: u32) -> bool {
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
