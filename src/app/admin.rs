//! The admin listener: pages for machines that need no key, and the keyed API of the operator.
//!
//! **Promises.** Nothing but health, readiness and metrics is open without a key, also when none
//! is configured. Keys are compared as digests in constant time. Every change leaves one line in
//! the log that names the key by its place and fingerprint, and what came of it. What the disk has
//! to do with runs beside the workers that deliver.
//! **Refuses.** Unknown members and parameters, by name; keys that may only view, for changes.
//! **Limits.** Bodies of 1 MiB, pages of 1,000, ten wrong keys a minute from one address, a few
//! long requests at once; beyond them 413, 400 or 429.

mod auth;
mod call;
mod dead;
mod lanes;
mod limits;
mod openapi;
mod pages;
mod problem;
mod reply;
mod routes;
mod stream;
mod work;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use axum::Router;

use crate::config::{AdminKey, Config};
use crate::journal::Journal;
use crate::journal::dead::DeadLetters;
use crate::lanes::Lanes;
use crate::receipts::Receipts;
use crate::redrive::Redrive;
use crate::telemetry::metrics::Metrics;
use crate::time::Clock;

pub use auth::MAX_GUESSES;
pub use call::{MAX_BODY, MAX_PAGE};
pub use openapi::DOCUMENT;
pub use pages::OPEN;
pub use routes::routes;
pub use work::MAX_LONG;

use problem::Problem;

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

/// The rooms the admin API shows.
pub struct Rooms {
    /// The configuration in force.
    pub config: Config,
    /// What is counted.
    pub metrics: Metrics,
    /// Where events wait.
    pub journal: Journal,
    /// The events that were given up.
    pub dead: Arc<DeadLetters>,
    /// The way back into the journal.
    pub redrive: Redrive,
    /// What became of events.
    pub receipts: Receipts,
    /// What time it is.
    pub clock: Clock,
}

/// What the admin pages show. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    config: ArcSwap<Config>,
    metrics: Metrics,
    journal: Journal,
    dead: Arc<DeadLetters>,
    redrive: Redrive,
    receipts: Receipts,
    places: work::Places,
    clock: Clock,
    guard: auth::Guard,
    lanes: OnceLock<Lanes>,
    stage: AtomicU8,
}

impl Admin {
    /// The pages of a gateway that is starting, for the owners of `keys`.
    pub fn new(rooms: Rooms, keys: Vec<AdminKey>) -> Self {
        Self(Arc::new(Inner {
            config: ArcSwap::from_pointee(rooms.config),
            metrics: rooms.metrics,
            journal: rooms.journal,
            dead: rooms.dead,
            redrive: rooms.redrive,
            receipts: rooms.receipts,
            places: work::Places::new(),
            clock: rooms.clock,
            guard: auth::Guard::new(keys),
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

    /// The routes of the admin listener.
    pub fn router(&self) -> Router {
        pages::router(self).merge(routes::router(self))
    }
}

impl Inner {
    /// The configuration in force.
    fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }
}
