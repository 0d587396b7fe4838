//! The front door: accepts, checks, hashes, makes durable, answers.
//!
//! **Promises.** An answer of success means that every event it counts is on disk. A bad event
//! costs its good neighbours nothing (unless its source is `strict`), and every refusal names the
//! field, the rule and a valid example, never the value. The caller's key is compared as a digest
//! in constant time and then forgotten. An event whose twin was accepted counts as received,
//! with the warning `duplicate`, and is not accepted again ([`crate::duplicates`]). An event that
//! a policy keeps back ([`crate::event::policy`]) is neither accepted nor bad: the answer names it
//! as `filtered`, and its receipt says why.
//! Of a request that is refused as a whole every event counts as refused, if its sender is known.
//! Pages, which can keep no secret, are known by their origin, and their events get what they lack
//! of what the browser's request tells.
//! **Refuses.** Callers without a key or an allowed origin, pixels the key has no right to, bodies over the bounds.
//! **Limits.** Each has one name, which is its config key, the `limit` of the answer and the
//! label of `capigate_limited_total`: see [`answer::Limit`].

pub mod address;
pub mod admission;
pub mod answer;
pub mod auth;
mod batch;
mod body;
mod caller;
pub mod coded;
mod cors;
pub mod encoding;
pub mod events;
mod feed;
pub mod listener;
mod live;
mod once;
pub mod pages;
mod policies;
mod refused;
pub mod request;
pub mod router;
mod take;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::codes;
use crate::duplicates::Duplicates;
use crate::issues::Issues;
use crate::journal::Journal;
use crate::receipts::Receipts;
use crate::tail::Tail;
use crate::telemetry::metrics::Metrics;
use crate::test_mode::TestMode;
use crate::time::Clock;
use crate::traffic::Traffic;

pub use auth::{Pixel, Source, Sources};
pub use pages::Pages;

/// The bounds of the front door.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time for the whole body to arrive.
    pub body_timeout: Duration,
    /// Bytes of a body, also after decompression.
    pub max_body: usize,
    /// Bytes of all bodies held at once.
    pub max_in_flight: usize,
    /// Events in a request.
    pub max_events: usize,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// The rooms and tools the front door works with.
#[derive(Clone)]
pub struct Tools {
    /// Where events are made durable.
    pub journal: Journal,
    /// Which events were accepted before.
    pub duplicates: Duplicates,
    /// Where what policies did is told.
    pub receipts: Receipts,
    /// Which events get a test code.
    pub test_mode: TestMode,
    /// What came, in numbers.
    pub traffic: Traffic,
    /// What goes wrong, in groups.
    pub issues: Issues,
    /// What happens, for whoever looks.
    pub tail: Tail,
    /// What time it is.
    pub clock: Clock,
    /// What to count.
    pub metrics: Metrics,
}

/// What the handlers share. Cheap to clone; clones see each other's [`Ingest::apply`].
#[derive(Clone)]
pub struct Ingest(Arc<ArcSwap<Shared>>);

/// What one request works with from its first byte to its answer, whatever is applied meanwhile.
#[derive(Clone)]
pub(in crate::ingest) struct Shared {
    pub(in crate::ingest) settings: Settings,
    pub(in crate::ingest) sources: Sources,
    pub(in crate::ingest) admission: admission::Admission,
    /// Turns to unpack a body.
    pub(in crate::ingest) unpackers: Arc<Semaphore>,
    pub(in crate::ingest) journal: Journal,
    pub(in crate::ingest) duplicates: Duplicates,
    /// What policies have kept back or changed is told here.
    pub(in crate::ingest) receipts: Receipts,
    pub(in crate::ingest) test_mode: TestMode,
    pub(in crate::ingest) traffic: Traffic,
    pub(in crate::ingest) issues: Issues,
    pub(in crate::ingest) tail: Tail,
    /// Appends that go on when their client is gone. Nobody waits for them: an append ends with the
    /// journal.
    pub(in crate::ingest) tasks: TaskTracker,
    pub(in crate::ingest) clock: Clock,
    pub(in crate::ingest) metrics: Metrics,
}

impl Ingest {
    /// The front door for `sources`.
    pub fn new(settings: Settings, sources: Sources, tools: Tools) -> Self {
        let Tools {
            journal,
            duplicates,
            receipts,
            test_mode,
            traffic,
            issues,
            tail,
            clock,
            metrics,
        } = tools;
        // a rise from nothing would be no rise
        for code in [codes::OVERLOADED, codes::STOPPING, codes::UNAVAILABLE] {
            metrics.requests.with_label_values(&[code.word()]).inc_by(0);
        }
        metrics.requests.with_label_values(&["ok"]).inc_by(0);
        for limit in answer::Limit::all() {
            metrics.limited.with_label_values(&[limit.name()]).inc_by(0);
        }
        let admission = admission::Admission::new(
            settings.max_in_flight,
            settings.max_body,
            metrics.in_flight_bytes.clone(),
        );
        Self(Arc::new(ArcSwap::from_pointee(Shared {
            settings,
            sources,
            admission,
            unpackers: Arc::new(Semaphore::new(body::UNPACKERS)),
            journal,
            duplicates,
            receipts,
            test_mode,
            traffic,
            issues,
            tail,
            tasks: TaskTracker::new(),
            clock,
            metrics,
        })))
    }

    /// Takes the place of all bounds and sources, for the requests that begin from now on. A
    /// source whose rate is as before goes on where it was: it gets no new burst.
    pub fn apply(&self, settings: &Settings, sources: &Sources) {
        self.0.rcu(|shared| {
            let mut next = Shared::clone(shared);
            next.sources = sources.following(&shared.sources);
            next.admission = shared
                .admission
                .resized(settings.max_in_flight, settings.max_body);
            next.settings = settings.clone();
            next
        });
    }

    /// What a request that begins now works with.
    pub(in crate::ingest) fn shared(&self) -> Arc<Shared> {
        self.0.load_full()
    }
}
