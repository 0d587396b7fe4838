//! One lane for each pixel and set of request options: wakes, batches, sends, settles.
//!
//! **Promises.** An event leaves its lane only when Graph has confirmed it or when it is a dead
//! letter on disk. Failures of the far end hold back the lane they belong to and no other: lanes
//! share nothing but the fair pool of sends in flight and the pace of the whole gateway.
//! **Refuses.** It never sends an event that has expired, never sends a held lane more than a
//! probe, and never has more than the configured number of batches in flight.
//! **Limits.** At most `max_events` events and about `max_bytes` bytes a batch; a single event
//! larger than that travels alone.

pub mod backoff;
mod batch;
mod lane;
pub mod pace;
mod send;
pub mod snapshot;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::Quota;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::graph::GraphClient;
use crate::journal::dead::DeadLetters;
use crate::journal::{Journal, LaneKey};
use crate::telemetry::metrics::Metrics;
use crate::time::Clock;
use crate::tokens::Tokens;

use pace::Pace;
use snapshot::{LaneSnapshot, Shown};

/// How long a lane that has panicked rests.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// How lanes batch, pace and wait.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long the first event of a batch waits for company.
    pub linger: Duration,
    /// Events in a batch, 1 to 1,000 (Meta's limit).
    pub max_events: usize,
    /// Payload bytes of a batch; soft, since one event always goes.
    pub max_bytes: u64,
    /// Batches in flight, all pixels together.
    pub max_in_flight_batches: usize,
    /// Batches in flight for one pixel.
    pub max_in_flight_batches_per_pixel: usize,
    /// Batches a second, all pixels together.
    pub rate: Quota,
    /// Batches a second for one pixel.
    pub rate_per_pixel: Quota,
    /// Upper bound of the first wait after a failure.
    pub backoff_min: Duration,
    /// Upper bound of every wait after a failure.
    pub backoff_max: Duration,
    /// How often a held lane tries one event.
    pub probe_interval: Duration,
    /// After how long without work a lane's task ends.
    pub idle: Duration,
}

/// The rooms and tools a lane works with.
#[derive(Clone)]
pub struct Tools {
    /// Where events wait.
    pub journal: Journal,
    /// Where events go that can never be delivered.
    pub dead: Arc<DeadLetters>,
    /// The way out.
    pub graph: GraphClient,
    /// Whose token.
    pub tokens: Tokens,
    /// What time it is.
    pub clock: Clock,
    /// What to count.
    pub metrics: Metrics,
}

/// All lanes of the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Lanes(Arc<Shared>);

struct Shared {
    settings: Settings,
    tools: Tools,
    pace: Pace,
    in_flight: Arc<Semaphore>,
    lanes: Mutex<BTreeMap<LaneKey, Running>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Running {
    wake: Arc<Notify>,
    shown: Shown,
}

impl Lanes {
    /// Starts the dispatcher, and with it a lane for everything the journal already holds.
    pub fn start(settings: Settings, tools: Tools) -> Self {
        let shared = Arc::new(Shared {
            pace: Pace::new(&settings),
            in_flight: Arc::new(Semaphore::new(settings.max_in_flight_batches)),
            lanes: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            settings,
            tools,
        });
        shared.tasks.spawn(dispatch(Arc::clone(&shared)));
        Self(shared)
    }

    /// What each lane does now, in the order of pixel and options.
    pub fn snapshot(&self) -> Vec<LaneSnapshot> {
        let now = self.0.tools.clock.now();
        let lanes = lock(&self.0.lanes);
        lanes
            .iter()
            .map(|(key, running)| running.shown.snapshot(key, now))
            .collect()
    }

    /// The same, each with its key.
    pub fn states(&self) -> Vec<(LaneKey, LaneSnapshot)> {
        let now = self.0.tools.clock.now();
        let lanes = lock(&self.0.lanes);
        let state =
            |(key, running): (&LaneKey, &Running)| (key.clone(), running.shown.snapshot(key, now));
        lanes.iter().map(state).collect()
    }

    /// Batches in flight now, all pixels together.
    pub fn in_flight(&self) -> usize {
        let max = self.0.settings.max_in_flight_batches;
        max.saturating_sub(self.0.in_flight.available_permits())
    }

    /// Stops leasing, and waits for nothing.
    pub fn stop_leasing(&self) {
        self.0.stop.cancel();
    }

    /// Stops leasing and waits for the sends in flight to be settled, for as long as `budget`.
    /// What is not sent by then stays in the journal. True when nothing was cut short.
    pub async fn stop(&self, budget: Duration) -> bool {
        self.stop_leasing();
        self.0.tasks.close();
        tokio::time::timeout(budget, self.0.tasks.wait())
            .await
            .is_ok()
    }
}

/// Hands each lane its wake-up, starting lanes that do not run.
async fn dispatch(shared: Arc<Shared>) {
    let mut changed = shared.tools.journal.changed();
    loop {
        for key in shared.tools.journal.woken() {
            shared.wake(key);
        }
        tokio::select! {
            result = changed.changed() => if result.is_err() { return },
            () = shared.stop.cancelled() => return,
        }
    }
}

impl Shared {
    fn wake(self: &Arc<Self>, key: LaneKey) {
        let mut lanes = lock(&self.lanes);
        match lanes.entry(key) {
            Entry::Occupied(running) => running.get().wake.notify_one(),
            Entry::Vacant(slot) => {
                let wake = Arc::new(Notify::new());
                let shown = Shown::new(self.tools.clock.now(), &self.tools.metrics);
                let lane = lane::Lane::new(
                    Arc::clone(self),
                    slot.key().clone(),
                    Arc::clone(&wake),
                    shown.clone(),
                );
                let key = slot.key().clone();
                slot.insert(Running { wake, shown });
                let task = self.tasks.spawn(lane.run());
                self.tasks.spawn(Arc::clone(self).watch(key, task));
            }
        }
    }

    /// Starts a lane again that has panicked: its events must not wait for a restart.
    async fn watch(self: Arc<Self>, key: LaneKey, task: JoinHandle<()>) {
        if task.await.is_ok() {
            return;
        }
        tracing::error!(pixel.id = %key.pixel, "a lane has panicked; it is started again");
        lock(&self.lanes).remove(&key);
        tokio::select! {
            () = tokio::time::sleep(AFTER_PANIC) => self.wake(key),
            () = self.stop.cancelled() => {}
        }
    }

    /// Ends a lane that has nothing to do. Under the lock that [`Shared::wake`] takes, so that
    /// an event arriving now either keeps this lane or starts a new one.
    fn retire(&self, key: &LaneKey) -> bool {
        let mut lanes = lock(&self.lanes);
        let idle = self.tools.journal.waiting(key).records == 0;
        if idle {
            lanes.remove(key);
        }
        idle
    }
}

/// A panic elsewhere does not make the map of lanes wrong: its entries are whole values.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
