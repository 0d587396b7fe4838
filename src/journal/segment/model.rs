//! The log against a model of a few lines, whatever the order of calls.
//!
//! [`World`] drives the writer and the keeper without threads and knows what must be in the log.
//! The tests here do this on a sound disk; `lying` does it on one that loses power.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::admit::Admitted;
use super::evacuate::copy_job;
use super::keeper::Keeper;
use super::sim::SimDisk;
use super::writer::{Item, Writer};
use super::{Shared, locked};
use crate::event::EncodedEvent;
use crate::journal::envelope::{Class, Envelope, LaneKey, RequestOptions};
use crate::journal::lease::{Lease, LeaseLimits, Settlement, settle_all};
use crate::journal::{AppendError, Limit, OpenError, Settings, open_parts};
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};

pub(crate) const ALL: LeaseLimits = LeaseLimits {
    max_events: usize::MAX,
    max_bytes: usize::MAX,
};

/// One call, or what a world does to the log.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Appends made before the writer wakes: for each its lane and the sizes of its payloads.
    Append(Vec<(u8, Vec<u16>)>),
    Lease(u8, u8),
    /// Settles some of the leases, from a starting point on.
    Settle(u8, u8, Settlement),
    DropLease,
    Flush,
    Tidy,
    Evacuate,
    Roll,
    Wait(u16),
    Reopen,
    Kill,
}

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) keeper: Keeper,
}

/// What was sent to the log, by its id, which is also the order of sending.
type Events = BTreeMap<u64, (u8, Payload)>;

/// Prints short.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(Vec<u8>);

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) parts: Option<Parts>,
    pub(crate) metrics: Metrics,
    held: Vec<Lease>,
    next_id: u64,
    /// Acknowledged and not settled: must be there.
    kept: Events,
    /// Sent, but never answered with success: may be there.
    unsure: Events,
    /// Settled in this run and not yet noted on disk: may come back after a crash.
    fresh: Events,
    /// Settled, and a crash came before the note was durable: may come back.
    soft: Events,
}

pub(crate) fn lane(n: u8) -> LaneKey {
    let options = RequestOptions {
        test_event_code: (n % 2 == 1).then(|| format!("TEST{n}")),
        ..RequestOptions::default()
    };
    LaneKey {
        pixel: PixelId::from_u64(u64::from(n) / 2 + 1).unwrap(),
        options: Arc::new(options),
        class: Class::Rest,
    }
}

/// How long an event lives: each third in a tier of its own.
fn life(id: u64) -> Duration {
    [
        Duration::from_millis(9),
        Duration::from_hours(48),
        Duration::from_hours(24 * 30),
    ][(id % 3) as usize]
}

/// A payload that nothing else can be mistaken for.
fn payload(id: u64, size: usize) -> Vec<u8> {
    let mut bytes = format!("{id}:").into_bytes();
    while bytes.len() < size {
        bytes.push(b'a' + ((id + bytes.len() as u64) % 26) as u8);
    }
    bytes
}

fn id_of(payload: &[u8]) -> u64 {
    let text = payload.split(|b| *b == b':').next().unwrap();
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// Makes copies durable through `writer`, as the threads would.
pub(crate) fn copy_with(
    writer: &mut Writer,
) -> impl FnMut(&Shared, Vec<Item>) -> Result<(), AppendError> {
    |shared, items| {
        let (job, mut answer) = copy_job(shared, items);
        writer.commit_all(&mut VecDeque::from([job]));
        answer.try_recv().unwrap()
    }
}

impl World {
    pub(crate) fn new(disk: SimDisk, settings: Settings, first_id: u64, metrics: Metrics) -> Self {
        Self {
            disk,
            settings,
            clock: Clock::manual(UnixMs(0)),
            parts: None,
            metrics,
            held: Vec::new(),
            next_id: first_id,
            kept: Events::new(),
            unsure: Events::new(),
            fresh: Events::new(),
            soft: Events::new(),
        }
    }

    /// Opens the log; what it recovered is held against the model.
    pub(crate) fn open(&mut self) -> Result<(), OpenError> {
        assert!(self.parts.is_none());
        let damage = self.metrics.journal_corrupt.get();
        let (shared, writer, keeper) = open_parts(
            self.settings.clone(),
            Arc::new(self.disk.clone()),
            self.clock.clone(),
            &self.metrics,
        )?;
        if self.disk.is_off() {
            return Err(OpenError::io("power")(std::io::ErrorKind::Other.into()));
        }
        self.parts = Some(Parts {
            shared,
            writer,
            keeper,
        });
        let found = self.look();
        for id in self.kept.keys() {
            assert!(found.contains_key(id), "acknowledged event {id} is lost");
        }
        for (id, event) in &found {
            let known = [&self.kept, &self.unsure, &self.soft]
                .iter()
                .find_map(|events| events.get(id));
            assert_eq!(known, Some(event), "event {id} is invented");
        }
        // what a recovery has found is durable from then on, and what it has not is gone
        self.soft.clear();
        self.kept = found;
        self.unsure.clear();
        let damage_now = self.metrics.journal_corrupt.get();
        assert_eq!(damage_now, damage, "nothing is damaged");
        Ok(())
    }

    /// All that waits, without changing it; every lane in order, every event once.
    pub(crate) fn look(&self) -> Events {
        let shared = &self.parts.as_ref().unwrap().shared;
        let mut found = Events::new();
        for n in 0..8 {
            let leases = shared.lease(&lane(n), ALL);
            let mut last = None;
            for lease in &leases {
                let bytes = lease.event().as_bytes().to_vec();
                let id = id_of(&bytes);
                assert!(last < Some(id), "lane {n} is out of order at event {id}");
                last = Some(id);
                assert_eq!(lease.received_at(), UnixMs(id as i64));
                assert_eq!(lease.expires_at(), lease.received_at().plus(life(id)));
                assert_eq!(
                    found.insert(id, (n, Payload(bytes))),
                    None,
                    "event {id} twice"
                );
            }
            settle_all(leases, Settlement::Returned);
        }
        found
    }

    /// What is there, and what is leased, is exactly what the model holds.
    pub(crate) fn check(&self) {
        let mut found = self.look();
        for lease in &self.held {
            let bytes = lease.event().as_bytes().to_vec();
            let id = id_of(&bytes);
            let lane = self.kept[&id].0;
            assert_eq!(
                found.insert(id, (lane, Payload(bytes))),
                None,
                "event {id} twice"
            );
        }
        assert_eq!(found, self.kept);
        let shared = &self.parts.as_ref().unwrap().shared;
        let depth = locked(&shared.index).depth();
        assert_eq!(depth.records, self.kept.len() as u64);
        assert_eq!(depth.leased, self.held.len() as u64);
        assert_eq!(self.metrics.journal_records.get(), depth.records as i64);
        assert_eq!(self.metrics.journal_bytes.get(), depth.bytes as i64);
        let bytes: usize = self.kept.values().map(|(_, payload)| payload.0.len()).sum();
        assert_eq!(depth.bytes, bytes as u64);
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Append(calls) => self.append(calls),
            Op::Lease(n, count) => self.lease(*n, *count),
            Op::Settle(from, count, settlement) => self.settle(*from, *count, *settlement),
            Op::DropLease => {
                self.held.pop();
            }
            Op::Flush => self.flush(),
            Op::Tidy => self.with(|parts| parts.keeper.tidy()),
            Op::Evacuate => self.with(|parts| {
                let Parts { writer, keeper, .. } = parts;
                keeper.evacuate(&mut copy_with(writer));
            }),
            Op::Roll => self.with(|parts| {
                let _full_or_poisoned = parts.writer.roll();
            }),
            Op::Wait(ms) => {
                let now = self.clock.now().plus(Duration::from_millis(u64::from(*ms)));
                self.clock.set(now);
            }
            Op::Reopen => {
                self.flush();
                self.stop();
                self.disk.kill();
                self.open().unwrap();
            }
            Op::Kill => {
                self.stop();
                self.disk.kill();
                self.open().unwrap();
            }
        }
    }

    fn with(&mut self, f: impl FnOnce(&mut Parts)) {
        f(self.parts.as_mut().unwrap());
    }

    pub(crate) fn poisoned(&self) -> bool {
        self.parts.as_ref().is_some_and(|p| p.shared.is_poisoned())
    }

    /// Appends one record; what the log answers.
    pub(crate) fn append_one(&mut self, n: u8, size: u16) -> Result<(), AppendError> {
        let before = self.kept.len();
        let parts = self.parts.as_ref().unwrap();
        let full = parts.shared.full().map(AppendError::Full);
        self.append(&[(n, vec![size])]);
        if self.kept.len() > before {
            Ok(())
        } else if self.poisoned() {
            Err(AppendError::Poisoned)
        } else {
            let parts = self.parts.as_ref().unwrap();
            let now = parts.shared.full().map(AppendError::Full);
            Err(full.or(now).unwrap_or(AppendError::Stopping))
        }
    }

    /// Records the model holds.
    pub(crate) fn count(&self) -> usize {
        self.kept.len()
    }

    /// The process ends, in whatever way; what it held in memory is gone.
    pub(crate) fn stop(&mut self) {
        self.held.clear();
        self.parts = None;
        self.soft.append(&mut self.fresh);
    }

    pub(crate) fn append(&mut self, calls: &[(u8, Vec<u16>)]) {
        let parts = self.parts.as_mut().unwrap();
        let mut waiting = Vec::new();
        for (n, sizes) in calls {
            let mut sent = Events::new();
            let mut envelopes = Vec::new();
            for size in sizes {
                let id = self.next_id;
                self.next_id += 1;
                let bytes = payload(id, usize::from(*size));
                sent.insert(id, (*n, Payload(bytes.clone())));
                envelopes.push(Envelope {
                    lane: lane(*n),
                    event: EncodedEvent::from_record(bytes.into()),
                    received_at: UnixMs(id as i64),
                    expires_at: UnixMs(id as i64).plus(life(id)),
                });
            }
            if let Ok(Some(Admitted { answer, .. })) = parts.shared.admit(envelopes) {
                waiting.push((sent, answer));
            }
        }
        let mut jobs = VecDeque::new();
        if !waiting.is_empty() && parts.shared.next_jobs(&mut jobs) {
            parts.writer.commit_all(&mut jobs);
        }
        for (mut sent, mut answer) in waiting {
            match answer.try_recv().expect("every call is answered") {
                Ok(()) => self.kept.append(&mut sent),
                // a bound refuses a call as a whole
                Err(AppendError::Full(Limit::MaxBytes)) if !self.disk.is_off() => {
                    let found = self.look();
                    assert!(sent.keys().all(|id| !found.contains_key(id)));
                }
                // a call of which a part may be durable; without a crash we must know which
                Err(AppendError::Full(_)) if !self.disk.is_off() => {
                    let found = self.look();
                    sent.retain(|id, _| found.contains_key(id));
                    self.kept.append(&mut sent);
                }
                Err(_) => self.unsure.append(&mut sent),
            }
        }
    }

    pub(crate) fn lease(&mut self, n: u8, count: u8) {
        let parts = self.parts.as_ref().unwrap();
        let limits = LeaseLimits {
            max_events: usize::from(count),
            ..ALL
        };
        let leases = parts.shared.lease(&lane(n), limits);
        assert!(leases.is_sorted_by_key(Lease::seq));
        let mut taken: BTreeSet<u64> = BTreeSet::new();
        for lease in &leases {
            let bytes = lease.event().as_bytes().to_vec();
            taken.insert(id_of(&bytes));
            assert_eq!(self.kept.get(&id_of(&bytes)), Some(&(n, Payload(bytes))));
        }
        let held = self.held.iter().map(|l| id_of(l.event().as_bytes()));
        let held: BTreeSet<u64> = held.chain(taken.iter().copied()).collect();
        let of_lane = self.kept.iter().filter(|(_, (lane, _))| *lane == n);
        let left: BTreeSet<u64> = of_lane
            .filter(|(id, _)| !held.contains(id))
            .map(|(id, _)| id % 3)
            .collect();
        let parted: BTreeSet<u64> = taken.iter().map(|id| id % 3).collect();
        let parted = parted.intersection(&left).count();
        assert!(parted <= 1, "only one tier may be taken in part");
        self.held.extend(leases);
        let held: BTreeSet<u64> = self.held.iter().map(Lease::seq).collect();
        assert_eq!(held.len(), self.held.len(), "an event is leased twice");
    }

    pub(crate) fn settle(&mut self, from: u8, count: u8, settlement: Settlement) {
        let from = usize::from(from).min(self.held.len());
        let to = (from + usize::from(count)).min(self.held.len());
        let leases: Vec<Lease> = self.held.drain(from..to).collect();
        if settlement != Settlement::Returned {
            for lease in &leases {
                let id = id_of(lease.event().as_bytes());
                let event = self.kept.remove(&id).unwrap();
                self.fresh.insert(id, event);
            }
        }
        settle_all(leases, settlement);
    }

    fn flush(&mut self) {
        self.with(|parts| parts.keeper.flush_settled());
        let parts = self.parts.as_ref().unwrap();
        let saved = locked(&parts.shared.index)
            .segments()
            .all(|(_, segment)| segment.unsaved.is_empty());
        if saved && !parts.shared.is_poisoned() {
            // noted for good: these never come back
            self.fresh.clear();
        }
    }
}

pub(crate) fn tiny(max_segments: u64) -> Settings {
    Settings {
        segment_bytes: 4096,
        max_bytes: 4096 * max_segments,
        max_pending: 1 << 20,
        ..Settings::new("journal")
    }
}

fn op() -> impl Strategy<Value = Op> {
    let settlement = prop_oneof![
        3 => Just(Settlement::Delivered),
        1 => Just(Settlement::Dead),
        1 => Just(Settlement::Returned),
    ];
    let sizes = proptest::collection::vec(0u16..700, 1..6);
    let many = proptest::collection::vec(0u16..700, 6..60);
    prop_oneof![
        8 => proptest::collection::vec((0u8..8, sizes), 1..4).prop_map(Op::Append),
        1 => (0u8..8, many).prop_map(|call| Op::Append(vec![call])),
        5 => (0u8..8, 1u8..20).prop_map(|(n, count)| Op::Lease(n, count)),
        6 => (0u8..8, 1u8..20, settlement).prop_map(|(at, n, s)| Op::Settle(at, n, s)),
        1 => Just(Op::DropLease),
        2 => Just(Op::Flush),
        3 => Just(Op::Tidy),
        3 => Just(Op::Evacuate),
        1 => Just(Op::Roll),
        2 => (0u16..3000).prop_map(Op::Wait),
        1 => Just(Op::Reopen),
        1 => Just(Op::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_log_holds_what_the_model_holds(
        ops in proptest::collection::vec(op(), 1..80),
        max_segments in 4u64..40,
    ) {
        let mut world = World::new(
            SimDisk::new(1),
            tiny(max_segments),
            0,
            Metrics::new().unwrap(),
        );
        world.open().unwrap();
        for op in &ops {
            world.apply(op);
            prop_assert!(!world.poisoned());
            world.check();
            let used = locked(&world.parts.as_ref().unwrap().shared.index).disk_bytes();
            prop_assert!(used <= world.settings.max_bytes + 4096);
        }
    }
}
