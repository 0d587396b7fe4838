//! Whose turn it is in a lane: what expires first, and what weighs more.
//!
//! The waiting records of a lane are kept in *tiers*: records of one weight that had about as
//! much time left when they were received. Within a tier the oldest goes first, the returned ones
//! before the fresh ones, so a tier is a plain queue. The tiers take turns by the time their
//! first record has left, divided by the weight. A lane with one kind of events has one tier.
//!
//! The time left is known for each block of 128 fresh records, as that of the one of them that
//! expires first, and a turn is 128 records long; so the order holds but for about as many.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::queue::{CHUNK, Entry, Place, Queue, Times};
use crate::event::EncodedEvent;
use crate::journal::weights::Weights;
use crate::time::UnixMs;

const HOUR_MS: i64 = 3_600_000;
/// The times left on arrival that part the tiers. More than the last is for what Meta takes
/// longer than seven days.
const LIVES_MS: [i64; 4] = [6 * HOUR_MS, 24 * HOUR_MS, 72 * HOUR_MS, 168 * HOUR_MS];

/// What the records of a tier share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tier {
    weight: u16,
    /// How many of `LIVES_MS` the records outlive.
    life: u8,
}

/// A record that was leased and waits again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned {
    pub(crate) place: Place,
    pub(crate) times: Times,
}

/// The records of one tier.
#[derive(Debug)]
struct Line {
    tier: Tier,
    fresh: Queue,
    returned: BTreeMap<u64, Returned>,
}

/// The waiting records of one lane.
#[derive(Debug, Default)]
pub(crate) struct Tiers(Vec<Line>);

/// What orders tiers; the smallest goes first. Of those that are out of time, the weightier.
type Urgency = (u64, Reverse<u16>, UnixMs);

impl Tier {
    /// The tier of an event. It depends on nothing but the record and the weights, so it is the
    /// same after a restart and for a copy.
    pub(crate) fn of(weights: &Weights, json: &[u8], times: Times) -> Self {
        let life = times.expires_at.0.saturating_sub(times.received_at.0);
        Self {
            weight: weights.of(&EncodedEvent::head_of(json).event_name),
            life: LIVES_MS.partition_point(|end| *end <= life) as u8,
        }
    }
}

impl Line {
    fn new(tier: Tier) -> Self {
        Self {
            tier,
            fresh: Queue::default(),
            returned: BTreeMap::new(),
        }
    }

    fn len(&self) -> usize {
        self.fresh.len() + self.returned.len()
    }

    fn first(&self) -> Option<Entry> {
        match self.returned.first_key_value() {
            Some((origin, returned)) => Some(Entry {
                origin: *origin,
                place: returned.place,
            }),
            None => self.fresh.front(),
        }
    }

    fn times(&self) -> Option<Times> {
        let returned = self.returned.first_key_value().map(|(_, r)| r.times);
        returned.or_else(|| self.fresh.times())
    }

    fn pop(&mut self) {
        if self.returned.pop_first().is_none() {
            self.fresh.pop_front();
        }
    }

    fn urgency(&self, now: UnixMs) -> Urgency {
        let expires_at = self.times().map_or(UnixMs(i64::MAX), |t| t.expires_at);
        let left = u64::try_from(expires_at.0.saturating_sub(now.0)).unwrap_or(0);
        let weight = self.tier.weight.max(1);
        (left / u64::from(weight), Reverse(weight), expires_at)
    }
}

impl Tiers {
    fn find(&mut self, tier: Tier) -> Option<&mut Line> {
        self.0.iter_mut().find(|line| line.tier == tier)
    }

    fn with(&mut self, tier: Tier, add: impl FnOnce(&mut Line)) {
        if let Some(line) = self.find(tier) {
            add(line);
        } else {
            let mut line = Line::new(tier);
            add(&mut line);
            self.0.push(line);
        }
    }

    /// Records in all tiers.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Line::len).sum()
    }

    /// Adds a record behind the others of its tier.
    pub(crate) fn push_back(&mut self, tier: Tier, entry: Entry, times: Times) {
        self.with(tier, |line| line.fresh.push_back(entry, times));
    }

    /// Gives a record its old turn again.
    pub(crate) fn put_back(&mut self, tier: Tier, origin: u64, returned: Returned) {
        self.with(tier, |line| {
            line.returned.insert(origin, returned);
        });
    }

    /// Notes that a record has moved; false if it is not here.
    pub(crate) fn relocate(&mut self, tier: Tier, origin: u64, from: Place, to: Place) -> bool {
        let Some(line) = self.find(tier) else {
            return false;
        };
        match line.returned.get_mut(&origin) {
            Some(returned) => {
                returned.place = to;
                true
            }
            None => line.fresh.relocate(origin, from, to),
        }
    }

    /// When the oldest record was received, or a time before it by at most the span of a block.
    pub(crate) fn oldest(&self) -> Option<UnixMs> {
        let times = self.0.iter().filter_map(Line::times);
        times.map(|times| times.received_at).min()
    }

    /// The first record of each tier.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Entry> {
        self.0.iter().filter_map(Line::first)
    }

    /// Takes records out as long as `wanted` says so: a turn of the most urgent tier, then of
    /// that which is the most urgent by then.
    pub(crate) fn take(&mut self, now: UnixMs, wanted: &mut dyn FnMut(Tier, Entry) -> bool) {
        let mut more = true;
        while more && let Some(line) = self.0.iter_mut().min_by_key(|line| line.urgency(now)) {
            for _ in 0..CHUNK {
                let Some(entry) = line.first() else { break };
                more = wanted(line.tier, entry);
                if !more {
                    break;
                }
                line.pop();
            }
            self.0.retain(|line| line.len() > 0);
        }
    }

    /// Empties one tier into a list; only for recovery, when nothing has been returned yet.
    pub(crate) fn drain(&mut self, tier: Tier) -> Vec<(Entry, Times)> {
        let Some(at) = self.0.iter().position(|line| line.tier == tier) else {
            return Vec::new();
        };
        self.0.swap_remove(at).fresh.drain()
    }

    /// Heap bytes that the tiers hold on to.
    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        let queues: usize = self.0.iter().map(|line| line.fresh.heap_bytes()).sum();
        self.0.capacity() * size_of::<Line>() + queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        [("Purchase", 10), ("Lead", 3)].into_iter().collect()
    }

    fn tier(name: &str, hours: i64) -> Tier {
        let json = format!("{{\"event_name\":\"{name}\",\"event_time\":1}}");
        let times = Times {
            received_at: UnixMs(5),
            expires_at: UnixMs(5 + hours * HOUR_MS),
        };
        Tier::of(&weights(), json.as_bytes(), times)
    }

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

    #[test]
    fn a_tier_is_a_weight_and_a_life() {
        let tier_of = |name, hours| {
            let tier = tier(name, hours);
            (tier.weight, tier.life)
        };
        assert_eq!(tier_of("Purchase", 167), (10, 3));
        assert_eq!(tier_of("purchase", 167), (1, 3));
        assert_eq!(tier_of("PageView", 168), (1, 4));
        assert_eq!(tier_of("Lead", 71), (3, 2));
        assert_eq!(tier_of("Lead", 23), (3, 1));
        assert_eq!(tier_of("Lead", 5), (3, 0));
        assert_eq!(tier_of("Lead", -5), (3, 0));
        let none = Times {
            received_at: UnixMs(i64::MAX),
            expires_at: UnixMs(i64::MIN),
        };
        assert_eq!(Tier::of(&weights(), b"\xff{", none).weight, 1);
    }

    #[test]
    fn a_tier_that_is_no_longer_urgent_gives_way() {
        let mut tiers = Tiers::default();
        let (slow, fast) = (tier("PageView", 160), tier("Purchase", 160));
        for origin in 0..1000 {
            // the first of them lapses in an hour, all others have six days
            let hours = if origin == 5 { 1 } else { 144 };
            let times = Times {
                received_at: UnixMs(0),
                expires_at: UnixMs(hours * HOUR_MS),
            };
            tiers.push_back(slow, entry(origin), times);
            let times = Times {
                expires_at: UnixMs(150 * HOUR_MS),
                ..times
            };
            tiers.push_back(fast, entry(origin), times);
        }
        let mut taken = Vec::new();
        tiers.take(UnixMs(0), &mut |tier, _| {
            let wanted = taken.len() < 1500;
            taken.extend(wanted.then_some(tier.weight));
            wanted
        });
        let turns: Vec<(u16, usize)> = taken
            .chunk_by(|a, b| a == b)
            .map(|turn| (turn[0], turn.len()))
            .collect();
        assert_eq!(turns, [(1, 128), (10, 1000), (1, 372)]);
        assert_eq!(tiers.len(), 500);
    }

    /// Fills tiers with one record each, in the order given, and takes all at the hour `now`.
    fn order(records: &[(&str, i64)], now: i64) -> Vec<u64> {
        let mut tiers = Tiers::default();
        for (origin, (name, hours)) in (0..).zip(records) {
            let times = Times {
                received_at: UnixMs(0),
                expires_at: UnixMs(hours * HOUR_MS),
            };
            tiers.push_back(tier(name, *hours), entry(origin), times);
        }
        let mut taken = Vec::new();
        tiers.take(UnixMs(now * HOUR_MS), &mut |_, entry| {
            taken.push(entry.origin);
            true
        });
        assert_eq!((tiers.len(), tiers.0.len()), (0, 0));
        taken
    }

    #[test]
    fn the_time_left_divided_by_the_weight_decides() {
        let records = [("PageView", 6 * 24), ("Purchase", 5 * 24), ("PageView", 2)];
        assert_eq!(order(&records, 0), [2, 1, 0]);
        // a tenth of 144 hours against 14
        let records = [("Purchase", 6 * 24), ("PageView", 14)];
        assert_eq!(order(&records, 0), [1, 0]);
        let records = [("Purchase", 5 * 24), ("PageView", 14)];
        assert_eq!(order(&records, 0), [0, 1]);
        // two hours later it is 11.8 against 12
        assert_eq!(order(&records, 2), [0, 1]);
        // but at last what has no time goes before what has some
        assert_eq!(order(&records, 13), [1, 0]);
        // and of what has none, what weighs more
        assert_eq!(order(&records, 200), [0, 1]);
        let records = [("Lead", 24 * 62), ("Purchase", 24 * 62), ("PageView", 160)];
        assert_eq!(order(&records, 0), [1, 2, 0]);
    }

    #[test]
    fn a_returned_record_is_first_in_its_tier_and_only_there() {
        let mut tiers = Tiers::default();
        let times = |hours| Times {
            received_at: UnixMs(0),
            expires_at: UnixMs(hours * HOUR_MS),
        };
        let (slow, fast) = (tier("PageView", 100), tier("Purchase", 100));
        tiers.push_back(slow, entry(2), times(100));
        tiers.push_back(fast, entry(3), times(100));
        let returned = |origin| Returned {
            place: entry(origin).place,
            times: times(100),
        };
        tiers.put_back(slow, 0, returned(0));
        tiers.put_back(fast, 1, returned(1));
        let to = Place {
            slot: 9,
            ..entry(1).place
        };
        assert!(tiers.relocate(fast, 1, entry(1).place, to));
        assert!(tiers.relocate(fast, 3, entry(3).place, to));
        assert!(!tiers.relocate(slow, 3, entry(3).place, to));
        assert_eq!(tiers.heads().count(), 2);
        let mut taken = Vec::new();
        tiers.take(UnixMs(0), &mut |_, entry| {
            taken.push((entry.origin, entry.place.slot));
            taken.len() < 4
        });
        assert_eq!(taken, [(1, 9), (3, 9), (0, 1), (2, 1)]);
        // the last one was seen and not wanted
        assert_eq!(tiers.len(), 1);
    }

    #[test]
    fn a_waiting_record_takes_at_most_sixteen_bytes_in_many_tiers_too() {
        const COUNT: u64 = 1_000_000;
        let names = ["Purchase", "Lead", "PageView"];
        let all = [1, 12, 48, 100, 1000].map(|hours| names.map(|name| (name, hours)));
        let mut tiers = Tiers::default();
        for (origin, (name, hours)) in (0..COUNT).zip(all.iter().flatten().cycle()) {
            let times = Times {
                received_at: UnixMs(origin as i64),
                expires_at: UnixMs(origin as i64 + hours * HOUR_MS),
            };
            tiers.push_back(tier(name, *hours), entry(origin), times);
        }
        assert_eq!(tiers.0.len(), 15);
        // with the allocator's own 16 bytes a chunk
        let bytes = tiers.heap_bytes() + 16 * COUNT as usize / 128;
        let each = bytes as f64 / COUNT as f64;
        assert!(each <= 16.0, "{each} bytes for each");
    }
}
