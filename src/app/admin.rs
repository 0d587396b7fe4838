//! The admin listener: pages for machines that need no key, and the keyed API of the operator.
//!
//! **Promises.** Nothing but health, readiness and metrics is open without a key, also when none
//! is configured. Keys are compared as digests in constant time. Every change leaves one line in
//! the log that names the key by its place and fingerprint, what it is about, and what came of it. What the disk has
//! to do with runs beside the workers that deliver.
//! **Refuses.** Unknown members and parameters, by name; keys that may only view, for changes.
//! **Limits.** Bodies of 1 MiB, pages of 1,000, ten wrong keys a minute from one address, a few
//! long requests and fewer exports at once; beyond them 413, 400 or 429. An export that nobody
//! reads for 10 seconds is cut.

mod attempts;
mod auth;
mod call;
mod config;
mod console;
mod dataset_quality;
mod dead;
mod events;
mod funnel;
mod gauges;
mod go_live;
mod holds;
mod issues;
mod lanes;
mod limits;
mod lint;
mod openapi;
mod overview;
mod pages;
mod problem;
mod quality;
mod reply;
mod rotate;
mod routes;
mod search;
mod sift;
mod stopped;
mod stream;
mod subject;
mod system;
mod table;
mod tail;
mod test_mode;
mod tokens;
mod verify;
mod work;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use tokio_util::task::TaskTracker;

use super::reload::{InForce, Reloader};
use crate::attempts::Attempts;
use crate::ingest::Ingest;
use crate::issues::Issues;
use crate::journal::Journal;
use crate::journal::dead::DeadLetters;
use crate::lanes::Lanes;
use crate::receipts::Receipts;
use crate::redrive::Redrive;
use crate::tail::Tail;
use crate::telemetry::metrics::Metrics;
use crate::test_mode::TestMode;
use crate::time::Clock;
use crate::traffic::Traffic;

pub use auth::MAX_GUESSES;
pub use call::{MAX_BODY, MAX_PAGE};
pub use openapi::DOCUMENT;
pub use pages::OPEN;
pub use routes::routes;
pub use work::{MAX_EXPORTS, MAX_LONG};

pub(in crate::app) use dataset_quality::Meta;

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

/// The rooms the admin API shows.
pub(in crate::app) struct Rooms {
    /// The configuration in force.
    pub(in crate::app) settings: Settings,
    /// What is counted.
    pub(in crate::app) metrics: Metrics,
    /// Where events wait.
    pub(in crate::app) journal: Journal,
    /// The events that were given up.
    pub(in crate::app) dead: Arc<DeadLetters>,
    /// The way back into the journal.
    pub(in crate::app) redrive: Redrive,
    /// What became of events.
    pub(in crate::app) receipts: Receipts,
    /// Which events get a test code.
    pub(in crate::app) test_mode: TestMode,
    /// What came of late, in numbers.
    pub(in crate::app) traffic: Traffic,
    /// The front door; none where no gateway runs.
    pub(in crate::app) ingest: Option<Ingest>,
    /// What goes wrong, in groups.
    pub(in crate::app) issues: Issues,
    /// What happens, for whoever looks.
    pub(in crate::app) tail: Tail,
    /// The last requests to Graph.
    pub(in crate::app) attempts: Attempts,
    /// What Meta is asked with about the quality of datasets; none where no gateway runs.
    pub(in crate::app) meta: Option<Meta>,
    /// What time it is.
    pub(in crate::app) clock: Clock,
}

/// Where the configuration comes from.
pub(in crate::app) enum Settings {
    /// From a gateway that runs.
    Live(Reloader),
    /// It stays as it is.
    Fixed(Arc<InForce>),
}

/// What the admin pages show. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    settings: Settings,
    metrics: Metrics,
    journal: Journal,
    dead: Arc<DeadLetters>,
    redrive: Redrive,
    receipts: Receipts,
    test_mode: TestMode,
    traffic: Traffic,
    ingest: Option<Ingest>,
    issues: Issues,
    tail: Tail,
    attempts: Attempts,
    /// What Meta says of datasets.
    reader: dataset_quality::Reader,
    places: work::Places,
    exports: work::Places,
    clock: Clock,
    guard: auth::Guard,
    /// What the overview says of tokens.
    notes: overview::NotesCache,
    sessions: console::Sessions,
    streams: console::Streams,
    pulse: system::Pulse,
    /// Tokens that wait for a yes.
    pending: rotate::Pending,
    /// What is known of held events.
    survey: issues::Survey,
    /// Changes that are under way.
    tasks: TaskTracker,
    lanes: OnceLock<Lanes>,
    stage: AtomicU8,
}

impl Admin {
    /// The pages of a gateway that is starting.
    pub(in crate::app) fn new(rooms: Rooms) -> Self {
        Self(Arc::new(Inner {
            settings: rooms.settings,
            metrics: rooms.metrics,
            journal: rooms.journal,
            dead: rooms.dead,
            redrive: rooms.redrive,
            receipts: rooms.receipts,
            test_mode: rooms.test_mode,
            traffic: rooms.traffic,
            ingest: rooms.ingest,
            issues: rooms.issues,
            tail: rooms.tail,
            attempts: rooms.attempts,
            reader: dataset_quality::Reader::new(rooms.meta),
            places: work::Places::new(MAX_LONG),
            exports: work::Places::new(MAX_EXPORTS),
            clock: rooms.clock,
            guard: auth::Guard::default(),
            notes: overview::NotesCache::default(),
            sessions: console::Sessions::default(),
            streams: console::Streams::default(),
            pulse: system::Pulse::default(),
            pending: rotate::Pending::default(),
            survey: issues::Survey::default(),
            tasks: TaskTracker::new(),
            lanes: OnceLock::new(),
            stage: AtomicU8::new(STARTING),
        }))
    }

    /// Lanes run from now on.
    pub fn show_lanes(&self, lanes: Lanes) {
        // set once, at start
        let _ = self.0.lanes.set(lanes);
    }

    /// The front door is open.
    pub fn ready(&self) {
        self.0.stage.store(READY, Ordering::Release);
    }

    /// The front door is about to close.
    pub fn stopping(&self) {
        self.0.stage.store(STOPPING, Ordering::Release);
    }

    /// Takes no changes any more, and waits for those under way; writes down what issues there are.
    pub async fn end_changes(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        let issues = self.0.issues.clone();
        // it does not panic
        let _kept = tokio::task::spawn_blocking(move || issues.keep(true)).await;
    }

    /// The routes of the admin listener.
    pub fn router(&self) -> Router {
        pages::router(self)
            .merge(console::router(self))
            .merge(routes::router(self))
    }
}

impl Inner {
    /// The configuration in force.
    fn in_force(&self) -> Arc<InForce> {
        match &self.settings {
            Settings::Live(reloader) => reloader.now(),
            Settings::Fixed(now) => Arc::clone(now),
        }
    }

    /// Whether Graph is played by a sandbox, as far as its address says.
    fn is_simulated(&self) -> bool {
        let url = self.in_force().config.graph.url.to_string();
        !url.contains("facebook.com")
    }

    /// None where no gateway runs.
    fn reloader(&self) -> Option<&Reloader> {
        match &self.settings {
            Settings::Live(reloader) => Some(reloader),
            Settings::Fixed(_) => None,
        }
    }
}
