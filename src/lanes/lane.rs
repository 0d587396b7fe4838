//! The loop of one lane: waits for work, passes the gate, leases, sends, several at a time.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::Shared;
use super::gate::{Gate, Passage};
use super::lease::DeadLettersFailed;
use super::places::Place;
use super::send::{Batch, Sender, Sent};
use super::snapshot::{HeldBy, Stuck};
use crate::journal::{LaneKey, Lease};

/// How many events are remembered that Graph did not know what was wrong with: those of some full
/// batches. What is forgotten gets its tries anew.
const MAX_REMEMBERED: usize = 10_000;

/// The longest rest of a lane that cannot write down what it must: a disk may have room again at
/// any time.
const DISK_REST: Duration = Duration::from_secs(10);

/// How long a lane rests after a send that panicked.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// One lane's task.
pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) key: LaneKey,
    pub(super) wake: Arc<Notify>,
    stuck: Stuck,
    gate: Gate,
    /// Events came back: they have lingered long enough.
    due: AtomicBool,
}

/// What the next batch has to wait for beside its turn.
#[derive(Clone, Copy, Default)]
struct Mind {
    rest_until: Option<Instant>,
    search: bool,
}

enum Next {
    Batch(Passage, Option<Place>),
    Idle,
    /// What was there to send is gone.
    Nothing,
    DeadLetters,
    End,
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, key: LaneKey, wake: Arc<Notify>, stuck: Stuck) -> Self {
        Self {
            gate: Gate::new(Arc::clone(&shared), &key),
            shared,
            key,
            wake,
            stuck,
            due: AtomicBool::new(false),
        }
    }

    /// Runs until the gateway stops or the lane has been idle for a while.
    pub(super) async fn run(self) {
        let lane = &self;
        let mut sends: JoinSet<Sent> = JoinSet::new();
        let mut tries: HashMap<u64, u32> = HashMap::new();
        let mut mind = Mind::default();
        let mut next = Box::pin(lane.next(mind));
        loop {
            tokio::select! {
                Some(sent) = sends.join_next() => {
                    if lane.learn(&sent, &mut mind, &mut tries) {
                        next.set(lane.next(mind));
                    }
                }
                found = &mut next => {
                    mind = Mind::default();
                    match found {
                        Next::Batch(passage, search) => {
                            match lane.batch(passage, search, &mut tries).await {
                                Ok(Some(batch)) => { sends.spawn(lane.sender().send(batch)); }
                                Ok(None) => {}
                                Err(DeadLettersFailed) => lane.rest(HeldBy::DeadLetters, &mut mind),
                            }
                        }
                        Next::Idle if sends.is_empty() && lane.shared.retire(&lane.key) => return,
                        Next::Idle | Next::Nothing => {}
                        Next::DeadLetters => lane.rest(HeldBy::DeadLetters, &mut mind),
                        Next::End => break,
                    }
                    next.set(lane.next(mind));
                }
                () = lane.shared.stop.cancelled() => break,
            }
        }
        drop(next);
        // each batch in flight is settled by its task
        while sends.join_next().await.is_some() {}
    }

    /// Takes in what a batch came to; true when the next one has something to mind.
    fn learn(
        &self,
        sent: &Result<Sent, JoinError>,
        mind: &mut Mind,
        tries: &mut HashMap<u64, u32>,
    ) -> bool {
        match sent {
            Ok(Sent::Done) => {
                self.stuck.ends(HeldBy::Intents);
                return false;
            }
            Ok(Sent::Again(again)) => {
                self.stuck.ends(HeldBy::Intents);
                if tries.len() + again.tries.len() > MAX_REMEMBERED {
                    tries.clear();
                }
                tries.extend(&again.tries);
                mind.search |= again.needs_search;
                self.call();
                return again.needs_search;
            }
            Ok(Sent::Stuck(by)) => self.rest(*by, mind),
            // its leases went back to the journal, and were counted as a defect
            Err(_) => mind.rest_until = Some(Instant::now() + AFTER_PANIC),
        }
        self.call();
        true
    }

    /// There is work that came back.
    fn call(&self) {
        self.due.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    fn rest(&self, by: HeldBy, mind: &mut Mind) {
        self.stuck.set(by, self.shared.tools.clock.now());
        self.shared.circuits.moved.notify_one();
        let rest = self.shared.settings().probe_interval.min(DISK_REST);
        mind.rest_until = Some(Instant::now() + rest);
    }

    /// Waits until a batch is due and may be sent.
    async fn next(&self, mind: Mind) -> Next {
        if let Some(until) = mind.rest_until {
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.stuck.freed() => {}
            }
        }
        if !self.work().await {
            return Next::Idle;
        }
        let mut search = None;
        if mind.search {
            match self.gate.pace.searches.take().await {
                Ok(place) => search = Some(place),
                Err(_) => return Next::End,
            }
        }
        let mut pass = pin!(self.gate.pass());
        loop {
            let screen_in = self.shared.settings().probe_interval;
            tokio::select! {
                passage = &mut pass => return match passage {
                    Ok(passage) => Next::Batch(passage, search),
                    Err(_) => Next::End,
                },
                () = sleep(screen_in) => {}
            }
            if self.screen().await.is_err() {
                return Next::DeadLetters;
            }
            if self.shared.tools.journal.waiting(&self.key).records == 0 {
                return Next::Nothing;
            }
        }
    }

    /// Waits until a batch is due; false when there was nothing for a while.
    async fn work(&self) -> bool {
        let journal = &self.shared.tools.journal;
        let mut linger_until = None;
        loop {
            let settings = self.shared.settings();
            let waiting = journal.waiting(&self.key);
            if waiting.records == 0 {
                self.due.store(false, Ordering::Relaxed);
                self.stuck.clear();
                linger_until = None;
                if timeout(settings.idle, self.wake.notified()).await.is_err() {
                    return false;
                }
                continue;
            }
            if self.due.load(Ordering::Relaxed)
                || waiting.records as usize >= settings.max_events
                || waiting.bytes >= settings.max_bytes
            {
                return true;
            }
            let until = *linger_until.get_or_insert_with(|| Instant::now() + settings.linger);
            if timeout_at(until, self.wake.notified()).await.is_err() {
                return true;
            }
        }
    }

    /// Leases a batch; none when everything that was due has expired.
    async fn batch(
        &self,
        passage: Passage,
        search: Option<Place>,
        tries: &mut HashMap<u64, u32>,
    ) -> Result<Option<Batch>, DeadLettersFailed> {
        let most = if passage.ticket.is_for_one() {
            1
        } else {
            usize::MAX
        };
        self.due.store(false, Ordering::Relaxed);
        let leases = self.lease(most).await?;
        self.stuck.ends(HeldBy::DeadLetters);
        if leases.is_empty() {
            return Ok(None);
        }
        let known = |lease: &Lease| Some((lease.seq(), tries.remove(&lease.seq())?));
        Ok(Some(Batch {
            tries: leases.iter().filter_map(known).collect(),
            leases,
            passage,
            search,
        }))
    }

    fn sender(&self) -> Sender {
        Sender {
            shared: Arc::clone(&self.shared),
            key: self.key.clone(),
            gate: self.gate.clone(),
        }
    }
}
