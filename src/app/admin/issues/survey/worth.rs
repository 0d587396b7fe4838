//! What the events of held lanes say to be worth: read from the journal, now and then, within a bound.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::event::EncodedEvent;
use crate::issues::{MAX_EVENT_ID, MAX_EVENT_IDS};
use crate::journal::{Journal, LaneKey, Waiting};
use crate::time::UnixMs;

/// Events of held lanes that are read in one go, of all pixels; what waits behind them is counted, and
/// not summed.
pub(super) const MAX_READ: usize = 20_000;
/// Events of all lanes that are passed over or read.
const MAX_SEEN: u64 = 100_000;
/// What counts as of late.
const HOUR: Duration = Duration::from_hours(1);

/// What was read last.
#[derive(Default)]
pub(super) struct Worth {
    at: Option<UnixMs>,
    lanes: BTreeSet<LaneKey>,
    known: BTreeMap<LaneKey, Known>,
}

/// What is known of the events of a lane.
#[derive(Default)]
pub(super) struct Known {
    pub(super) valued: u64,
    pub(super) last_hour: u64,
    pub(super) money: BTreeMap<String, f64>,
    /// The newest last.
    pub(super) event_ids: VecDeque<String>,
}

impl Worth {
    pub(super) fn of(&self, lane: &LaneKey) -> Option<&Known> {
        self.known.get(lane)
    }

    /// Reads again when these are other lanes than last time, or when it is longer ago than `age`. Reads
    /// nothing where no lane is held.
    pub(super) fn renew(
        &mut self,
        journal: &Journal,
        lanes: BTreeSet<LaneKey>,
        now: UnixMs,
        age: Duration,
    ) {
        let is_fresh = self.at.is_some_and(|at| now.since(at) < age && at <= now);
        if lanes == self.lanes && (is_fresh || lanes.is_empty()) {
            return;
        }
        (self.at, self.lanes) = (Some(now), lanes);
        self.known.clear();
        let (mut seen, mut read) = (0_u64, HashSet::new());
        let (lanes, known) = (&self.lanes, &mut self.known);
        let wanted = |lane: &LaneKey| lanes.contains(lane);
        if !journal.lanes().iter().any(|(lane, _)| wanted(lane)) {
            return;
        }
        let walked = journal.walk(&|_| true, &mut |one| {
            seen += 1;
            if wanted(one.lane) && read.insert(one.seq) {
                match known.get_mut(one.lane) {
                    Some(known) => known.add(&one, now),
                    None => known.entry(one.lane.clone()).or_default().add(&one, now),
                }
            }
            if seen < MAX_SEEN && read.len() < MAX_READ {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        if let Err(error) = walked {
            tracing::warn!(error = %error, "the journal cannot be read through: what held events are worth is not known of all");
        }
    }
}

impl Known {
    fn add(&mut self, one: &Waiting<'_>, now: UnixMs) {
        if now.since(one.received_at) < HOUR {
            self.last_hour += 1;
        }
        if let Some(money) = EncodedEvent::money_of(one.event) {
            self.valued += 1;
            let currency = money.currency().to_owned();
            *self.money.entry(currency).or_default() += money.value();
        }
        let head = EncodedEvent::head_of(one.event);
        if let Some(id) = head.event_id.filter(|id| id.len() <= MAX_EVENT_ID) {
            if self.event_ids.len() >= MAX_EVENT_IDS {
                self.event_ids.pop_front();
            }
            self.event_ids.push_back(id.into_owned());
        }
    }
}
