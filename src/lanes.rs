//! One lane for each pixel, set of request options and class of events: wakes, batches, sends,
//! settles.
//!
//! **Promises.** An event leaves its lane only when Graph has confirmed it or when it is a dead
//! letter on disk, which it becomes when it has expired or was refused by itself. What goes wrong
//! holds back who it concerns and no other: one class of a pixel's events, a pixel, the pixels of a token, the tokens of an app
//! (`circuits`). A bad event is searched for (`bisect`), and its neighbours are delivered.
//! **Refuses.** It never sends an event that has expired, never sends what is held more than one
//! event now and then, sends nothing where a limit is reached, and never has more than the
//! configured number of batches in flight.
//! **Limits.** At most `max_events` events and about `max_bytes` bytes a batch; a single event
//! larger than that travels alone.
//!
//! ```text
//! lane ──work──> gate ──circuits, places, pace──> lease ──> send ──┬─> settle
//!   ^                                                              ├─> search ─> settle
//!   └──────────────────────── returned <───────────────────────────┘
//! ```

pub mod backoff;
mod bisect;
pub mod by_hand;
mod circuit;
mod circuits;
mod gate;
pub mod held;
mod lane;
mod lease;
mod once;
mod pace;
mod places;
mod publish;
mod search;
mod send;
mod settings;
mod settle;
pub mod snapshot;
mod ticket;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::Attempts;
use crate::duplicates::Duplicates;
use crate::graph::GraphClient;
use crate::issues::Issues;
use crate::journal::dead::DeadLetters;
use crate::journal::intents::Intents;
use crate::journal::{Journal, LaneKey};
use crate::pixel::PixelId;
use crate::receipts::Receipts;
use crate::tail::Tail;
use crate::telemetry::metrics::Metrics;
use crate::time::Clock;
use crate::tokens::Tokens;
use crate::traffic::Traffic;

use by_hand::{ByHand, ByHandError, HandHold};
use circuits::Circuits;
use pace::Pace;
pub use settings::Settings;
use snapshot::Stuck;

/// How long a lane that has panicked rests.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// The rooms and tools a lane works with.
#[derive(Clone)]
pub struct Tools {
    /// Where events wait.
    pub journal: Journal,
    /// Where events go that can never be delivered.
    pub dead: Arc<DeadLetters>,
    /// Where the ends of events are noted.
    pub receipts: Receipts,
    /// Where events are told that must not come again, or may.
    pub duplicates: Duplicates,
    /// Which events are being sent at most once.
    pub intents: Arc<Intents>,
    /// Which pixels a person has stopped.
    pub by_hand: ByHand,
    /// What came of events, in numbers.
    pub traffic: Traffic,
    /// What goes wrong, in groups.
    pub issues: Issues,
    /// What happens, for whoever looks.
    pub tail: Tail,
    /// The last requests to Graph.
    pub attempts: Attempts,
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
    settings: Arc<ArcSwap<Settings>>,
    tools: Tools,
    pace: Pace,
    circuits: Arc<Circuits>,
    lanes: Mutex<BTreeMap<LaneKey, Running>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Running {
    wake: Arc<Notify>,
    stuck: Stuck,
}

impl Lanes {
    /// Starts the dispatcher, and with it a lane for everything the journal already holds.
    pub fn start(settings: Settings, tools: Tools) -> Self {
        let pace = Pace::new(&settings);
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let circuits = Circuits::new(
            tools.tokens.clone(),
            tools.by_hand.clone(),
            tools.clock.clone(),
            Arc::clone(&settings),
        );
        let shared = Arc::new(Shared {
            pace,
            circuits: Arc::new(circuits),
            lanes: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            settings,
            tools,
        });
        shared.tasks.spawn(dispatch(Arc::clone(&shared)));
        shared.tasks.spawn(follow_tokens(Arc::clone(&shared)));
        shared.tasks.spawn(publish::publish(Arc::clone(&shared)));
        Self(shared)
    }

    /// Goes on with other settings, from the next batch of each lane. What is held decides anew
    /// with its next batch, but for what Meta has blocked; what is throttled does if rates or
    /// throttles were changed.
    pub fn apply(&self, settings: Settings) {
        let before = self.0.settings.swap(Arc::new(settings));
        let settings = self.0.settings();
        self.0.pace.apply(&settings);
        self.0
            .circuits
            .configured(settings.throttles_differ(&before));
        self.0.free_stuck(None);
    }

    /// Lets the next batch decide about the hold or throttle of this id, which is a
    /// [`HoldSnapshot::id`](snapshot::HoldSnapshot::id). False when there is none.
    pub fn release(&self, id: &str) -> bool {
        // both may be of one name
        let freed = self.0.free_stuck(Some(id));
        self.0.circuits.release(id) || freed
    }

    /// Sends nothing of a pixel, in the word of `by`, until it is released or `span`, which is cut to
    /// [`by_hand::MAX_SPAN`], is over. `replace` puts that in the place of a hold by hand that there
    /// is. Blocks until that is written down.
    ///
    /// # Errors
    ///
    /// The pixel is held by hand already and `replace` is false, too many pixels are held, or it cannot be written down: nothing is changed then.
    pub fn hold(
        &self,
        pixel: PixelId,
        span: Option<Duration>,
        reason: Option<String>,
        by: &str,
        replace: bool,
    ) -> Result<HandHold, ByHandError> {
        let by_hand = &self.0.tools.by_hand;
        let hold = by_hand.hold(pixel, span, reason, by, replace)?;
        self.0.circuits.moved.notify_one();
        Ok(hold)
    }

    /// Lets a pixel go that a person holds; gives that hold, if there was one. Blocks until it is
    /// written down.
    ///
    /// # Errors
    ///
    /// It cannot be written down: the pixel stays held.
    pub fn let_go(&self, pixel: PixelId) -> Result<Option<HandHold>, ByHandError> {
        let released = self.0.tools.by_hand.release(pixel)?;
        self.0.circuits.moved.notify_one();
        Ok(released)
    }

    /// The pixels that a person holds.
    pub fn by_hand(&self) -> BTreeMap<PixelId, HandHold> {
        self.0.tools.by_hand.list()
    }

    /// Batches in flight now, all pixels together.
    pub fn in_flight(&self) -> usize {
        self.0.pace.in_flight.taken()
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

/// Looks at what is held again when tokens change.
async fn follow_tokens(shared: Arc<Shared>) {
    let mut changed = shared.tools.tokens.changed();
    loop {
        tokio::select! {
            result = changed.changed() => if result.is_err() { return },
            () = shared.stop.cancelled() => return,
        }
        shared.circuits.tokens_changed();
        shared.free_stuck(None);
    }
}

impl Shared {
    fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    fn wake(self: &Arc<Self>, key: LaneKey) {
        let mut lanes = lock(&self.lanes);
        match lanes.entry(key) {
            Entry::Occupied(running) => running.get().wake.notify_one(),
            Entry::Vacant(slot) => {
                let wake = Arc::new(Notify::new());
                let stuck = Stuck::default();
                let lane = lane::Lane::new(
                    Arc::clone(self),
                    slot.key().clone(),
                    Arc::clone(&wake),
                    stuck.clone(),
                );
                let key = slot.key().clone();
                slot.insert(Running { wake, stuck });
                self.circuits.moved.notify_one();
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
        let depth = self.tools.journal.waiting(key);
        // what is leased may come back, and then it is this lane that is woken
        let idle = depth.records == 0 && depth.leased == 0;
        if idle {
            lanes.remove(key);
            if !lanes.keys().any(|other| other.pixel == key.pixel) {
                self.circuits.idle(key.pixel);
            }
            self.circuits.moved.notify_one();
        }
        idle
    }
}

/// A panic elsewhere does not make the map of lanes wrong: its entries are whole values.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
