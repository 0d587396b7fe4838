//! Records in memory: they arrive, move, are handed out and settled.

use std::collections::HashMap;
use std::sync::Arc;

use super::file::SegmentFile;
use super::index::Index;
use super::lane::{Leased, payload_len};
use super::queue::{Entry, Place, Times};
use super::tiers::{Returned, Tier};
use crate::journal::LeaseLimits;
use crate::journal::envelope::LaneKey;
use crate::journal::lease::Settlement;
use crate::time::UnixMs;

/// A record that a commit has made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) lane: u32,
    pub(crate) tier: Tier,
    pub(crate) origin: u64,
    pub(crate) ordinal: u32,
    pub(crate) place: Place,
    pub(crate) times: Times,
    /// For a copy: where it was copied from.
    pub(crate) from: Option<Source>,
}

/// Where a record was before evacuation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) place: Place,
    pub(crate) ordinal: u32,
}

/// A record handed out; still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) origin: u64,
    pub(crate) place: Place,
}

/// The files that records are to be read from, by their segment's number in the table. A file
/// that is here is not used for anything else.
pub(crate) type Files = HashMap<u16, Arc<SegmentFile>>;

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
        lane.tiers.push_back(one.tier, entry, one.times);
        lane.pending = lane.pending.saturating_sub(1);
        let bytes = lane.payload_len(one.place);
        lane.bytes += bytes;
        self.bytes += bytes;
        self.waiting += 1;
        self.wake(one.lane)
    }

    fn moved(&mut self, one: &Written, from: Source) {
        self.moves += 1;
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
                } else {
                    let tiers = &mut lane.tiers;
                    found = tiers.relocate(one.tier, one.origin, from.place, one.place);
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

    /// Hands out the most urgent records of a lane, in the order of their arrival, and pins
    /// their files.
    pub(crate) fn take(
        &mut self,
        id: u32,
        limits: LeaseLimits,
        now: UnixMs,
    ) -> (Vec<Taken>, Files) {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let Some(lane) = self.lanes.get_mut(id as usize).and_then(Option::as_mut) else {
            return (taken, Files::new());
        };
        let (options, leased) = (&lane.options, &mut lane.leased);
        lane.tiers.take(now, &mut |tier, Entry { origin, place }| {
            let payload = payload_len(options, place);
            let fits = taken.is_empty() || bytes + payload <= limits.max_bytes as u64;
            if taken.len() >= limits.max_events || !fits {
                return false;
            }
            bytes += payload;
            leased.insert(
                origin,
                Leased {
                    place,
                    tier,
                    moved: None,
                },
            );
            taken.push(Taken { origin, place });
            true
        });
        lane.bytes = lane.bytes.saturating_sub(bytes);
        self.waiting -= taken.len() as u64;
        self.leased += taken.len() as u64;
        // neighbours in the log are neighbours again, to be read at once
        taken.sort_by_key(|one| one.origin);
        let files = self.pin(&taken);
        (taken, files)
    }

    /// The first record of each tier of a lane, and their files.
    pub(crate) fn heads(&self, id: u32) -> (Vec<Taken>, Files) {
        let heads = self.lane(id).map(|lane| {
            let heads = lane.tiers.heads();
            heads.map(|Entry { origin, place }| Taken { origin, place })
        });
        let heads: Vec<Taken> = heads.into_iter().flatten().collect();
        let files = self.pin(&heads);
        (heads, files)
    }

    /// Whether a record of a lane is in somebody's hands.
    pub(crate) fn is_leased(&self, key: &LaneKey, origin: u64) -> bool {
        let lane = self.find_lane(key).and_then(|id| self.lane(id));
        lane.is_some_and(|lane| lane.leased.contains_key(&origin))
    }

    fn pin(&self, records: &[Taken]) -> Files {
        let mut files = Files::new();
        for Taken { place, .. } in records {
            if let Some(segment) = self.segment(place.slot) {
                files
                    .entry(place.slot)
                    .or_insert_with(|| segment.file.clone());
            }
        }
        files
    }

    /// Ends a lease. `ordinal` is where the record was when it was read. True when the keeper has
    /// something to do: a segment to use again, or a first note to write down.
    pub(crate) fn settle(
        &mut self,
        id: u32,
        origin: u64,
        ordinal: u32,
        times: Times,
        settlement: Settlement,
    ) -> bool {
        let Some(lane) = self.lanes.get_mut(id as usize).and_then(Option::as_mut) else {
            return false;
        };
        let Some(Leased { place, tier, moved }) = lane.leased.remove(&origin) else {
            return false;
        };
        let payload = lane.payload_len(place);
        self.leased -= 1;
        if settlement == Settlement::Returned {
            lane.bytes += payload;
            lane.tiers.put_back(tier, origin, Returned { place, times });
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

    /// Puts back what recovery found out of order: fills an emptied tier with `entries`, which
    /// must be in order. The lane may be without records afterwards, but stays.
    pub(crate) fn rebuild(&mut self, id: u32, tier: Tier, entries: &[(Entry, Times)]) {
        let Some(lane) = self.lane_mut(id) else {
            return;
        };
        let mut bytes = 0;
        for (entry, times) in entries {
            lane.tiers.push_back(tier, *entry, *times);
            bytes += lane.payload_len(entry.place);
        }
        lane.bytes += bytes;
        self.waiting += entries.len() as u64;
        self.bytes += bytes;
        if !entries.is_empty() {
            self.wake(id);
        }
    }

    /// Empties a tier, for [`Index::rebuild`].
    pub(crate) fn unbuild(&mut self, id: u32, tier: Tier) -> Vec<(Entry, Times)> {
        let Some(lane) = self.lane_mut(id) else {
            return Vec::new();
        };
        let all = lane.tiers.drain(tier);
        let lens = all.iter().map(|(entry, _)| lane.payload_len(entry.place));
        let bytes: u64 = lens.sum();
        lane.bytes = lane.bytes.saturating_sub(bytes);
        self.waiting -= all.len() as u64;
        self.bytes = self.bytes.saturating_sub(bytes);
        all
    }
}
