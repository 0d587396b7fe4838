//! Test mode: which events go out with a test code of Meta's Events Manager.
//!
//! Meta drops no event that carries a code: it shows up under Test Events and counts as a real one
//! all the same. A code is request-wide, so it is part of the lane's key, and events with and
//! without one never share a request.
//!
//! **Which code an event gets**, first found: the one its request brings, if its source may bring
//! one (`sources.NAME.allow_test_event_code`); the one started for its pixel at run time; that of
//! its source; that of its pixel. A code that has ended or was stopped is none. What an event got
//! when it was accepted it keeps, however long it waits in the journal then: it was posted as a test,
//! and its lane is written down with it.
//!
//! **Mirror.** The event goes out without the code, and a copy with it, in a request of its own. Meta
//! knows the copy by its name and id and counts one of the two; of events of
//! `business_messaging` it drops no duplicates, so these get no copy, and go out without the code.
//!
//! **Promises.** What was started at run time ends by itself at its time, also across a restart. What
//! was stopped stays so until its value in the configuration changes. A gateway that runs for
//! production holds no code.
//! **Refuses.** To be worth an outage: a file that cannot be read is an error in the log, and means
//! that nothing was started or stopped.
//! **Limits.** One code at run time for each pixel of the configuration, for [`MAX_SPAN`] at most.

mod banner;
mod state;
mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::pixel::{PixelId, TEST_CODE_RULE, is_test_code};
use crate::private_file::FileError;
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};

use state::State;
use store::{Kept, Store};

/// The longest time a code may be started for.
pub const MAX_SPAN: Duration = Duration::from_hours(30 * 24);
/// The file, below `journal.dir`, of what was started and stopped at run time.
pub const FILE: &str = "test_mode.json";

/// A test code that the server holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The code, which is no secret.
    pub code: String,
    /// When it ends; none when it does not end by itself.
    pub until: Option<UnixMs>,
    /// Whether events go out without it, and a copy of each with it.
    pub mirror: bool,
}

/// What the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// Every pixel there is, with its code.
    pub pixels: BTreeMap<PixelId, Option<Code>>,
    /// Every source, by name.
    pub sources: BTreeMap<String, SourceRule>,
}

/// What the configuration says about a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRule {
    /// The pixels it may post for.
    pub pixels: BTreeSet<PixelId>,
    /// Its code.
    pub code: Option<Code>,
    /// Whether its requests may bring a code.
    pub takes_clients: bool,
}

/// Which codes the events of one request get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The code they go out with.
    pub code: Option<String>,
    /// The code that a copy of each goes out with.
    pub mirror: Option<String>,
    /// The request brought a code that its source may not bring.
    pub left_out: bool,
}

/// A code as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Whose events it is for.
    pub pixel: PixelId,
    /// The source whose events only it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The code.
    pub code: String,
    /// When it ends, in milliseconds since 1970; none when it does not end by itself.
    pub until: Option<i64>,
    /// Whether events go out without it, and a copy of each with it.
    pub mirror: bool,
    /// The key of the configuration it stands in; none for one that was started at run time.
    pub key: Option<String>,
    /// Whether events get it.
    pub state: Standing,
}

/// Whether events get a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// They do, unless one that goes before it is active, too.
    Active,
    /// Its time is over.
    Ended,
    /// It was stopped at run time.
    Stopped,
}

/// What a stop came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// For which pixel.
    pub pixel: PixelId,
    /// What was active until now.
    pub stopped: Vec<Entry>,
    /// The keys of the configuration in which a code for the pixel still stands. It is out of force;
    /// a person takes it out.
    pub keys: Vec<String>,
}

/// Why test mode was not changed.
#[derive(Debug, thiserror::Error)]
pub enum TestModeError {
    /// The gateway runs for production.
    #[error("the gateway runs for production (--profile production), which takes no test code")]
    Production,
    /// No such pixel.
    #[error("the pixel is not configured")]
    UnknownPixel,
    /// Not a test code.
    #[error("a test code is {TEST_CODE_RULE}")]
    BadCode,
    /// It could not be written down, and nothing was changed.
    #[error("{FILE} {0}")]
    File(#[from] FileError),
}

impl TestModeError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::UnknownPixel => "unknown_pixel",
            Self::BadCode => "bad_test_code",
            Self::File(_) => "test_mode_file",
        }
    }
}

/// The test codes of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct TestMode(Arc<Inner>);

struct Inner {
    store: Store,
    production: bool,
    clock: Clock,
    metrics: Metrics,
    now: ArcSwap<State>,
    /// Held for a change and its way to the file.
    turn: Mutex<()>,
    changed: Notify,
}

impl TestMode {
    /// Reads what was started and stopped below `dir`. Blocks; never fails. The journal's lock keeps
    /// other processes from writing it. `production` refuses every code.
    pub fn open(
        dir: &Path,
        configured: Configured,
        production: bool,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let store = Store::new(path(dir));
        let mut kept = store.read().unwrap_or_else(|error| {
            tracing::error!(path = %store.path().display(), %error, "test codes that were started or stopped at run time cannot be read: none of them is in force, and those of the configuration are");
            Kept::default()
        });
        if production {
            kept.started.clear();
        }
        let mode = Self(Arc::new(Inner {
            store,
            production,
            now: ArcSwap::from_pointee(State::new(configured, kept)),
            clock,
            metrics,
            turn: Mutex::default(),
            changed: Notify::new(),
        }));
        mode.show();
        mode
    }

    /// Takes a changed configuration over. True when [`TestMode::save`] should be called, since what
    /// was stopped has another value now.
    pub fn apply(&self, configured: Configured) -> bool {
        let _turn = self.turn();
        let before = self.0.now.load_full();
        let (next, forgets) = before.with(configured);
        for gone in before.pixels().filter(|pixel| !next.knows(*pixel)) {
            let gauge = &self.0.metrics.test_mode_active;
            // it may have no row
            let _ = gauge.remove_label_values(&[gone.to_string().as_str()]);
        }
        self.0.now.store(Arc::new(next));
        self.0.changed.notify_one();
        forgets
    }

    /// Writes down what was started and stopped. Blocks; a failure is in the log.
    pub fn save(&self) {
        let _turn = self.turn();
        let kept = self.0.now.load().kept(self.0.clock.now());
        if let Err(error) = self.0.store.write(&kept) {
            tracing::error!(path = %self.0.store.path().display(), %error, "what was started and stopped of test codes cannot be written down");
        }
    }

    /// The codes that events of `source` for `pixel` get at the moment `now`, when their request
    /// brings the code `client`.
    pub fn choose(
        &self,
        pixel: PixelId,
        source: &str,
        client: Option<String>,
        now: UnixMs,
    ) -> Choice {
        let state = self.0.now.load();
        let left_out = client.is_some() && !state.takes_clients(source);
        if client.is_some() && !left_out {
            return Choice {
                code: client,
                ..Choice::default()
            };
        }
        let Some(held) = state.held(pixel, source, now) else {
            return Choice {
                left_out,
                ..Choice::default()
            };
        };
        let code = Some(held.code.clone());
        let (code, mirror) = if held.mirror {
            (None, code)
        } else {
            (code, None)
        };
        Choice {
            code,
            mirror,
            left_out,
        }
    }

    /// Counts events that were accepted with a code.
    pub fn count(&self, pixel: PixelId, events: u64) {
        let pixel = pixel.to_string();
        let counter = &self.0.metrics.test_events;
        counter.with_label_values(&[pixel.as_str()]).inc_by(events);
    }

    /// Every code that the server holds, active or not.
    pub fn list(&self) -> Vec<Entry> {
        self.0.now.load().entries(self.0.clock.now())
    }

    /// Those that events get now.
    pub fn active(&self) -> Vec<Entry> {
        let mut all = self.list();
        all.retain(|entry| entry.state == Standing::Active);
        all
    }

    /// The sources that may post for `pixel` and bring a code of their own.
    pub fn open_sources(&self, pixel: PixelId) -> Vec<String> {
        self.0.now.load().open_sources(pixel)
    }

    /// Whether the gateway runs for production.
    pub fn is_production(&self) -> bool {
        self.0.production
    }

    /// Starts a code for the events of `pixel` from now on, in the place of one that was started
    /// before. Blocks until it is written down. `span` is cut to [`MAX_SPAN`].
    pub fn start(
        &self,
        pixel: PixelId,
        code: String,
        span: Duration,
        mirror: bool,
    ) -> Result<Entry, TestModeError> {
        if self.0.production {
            return Err(TestModeError::Production);
        }
        if !is_test_code(&code) {
            return Err(TestModeError::BadCode);
        }
        let until = Some(self.0.clock.now().plus(span.min(MAX_SPAN)));
        let code = Code {
            code,
            until,
            mirror,
        };
        let entry = Entry {
            pixel,
            source: None,
            code: code.code.clone(),
            until: until.map(|until| until.0),
            mirror,
            key: None,
            state: Standing::Active,
        };
        self.change(pixel, |state, _| state.start(pixel, code))?;
        Ok(entry)
    }

    /// Puts every code for the events of `pixel` out of force, also those of the configuration, until
    /// they have another value there. Blocks until it is written down.
    pub fn stop(&self, pixel: PixelId) -> Result<Stopped, TestModeError> {
        self.change(pixel, |state, now| state.stop(pixel, now))
    }

    /// Sets the gauge of each pixel.
    pub fn show(&self) {
        let state = self.0.now.load();
        let now = self.0.clock.now();
        let active: BTreeSet<PixelId> = (state.entries(now).into_iter())
            .filter(|entry| entry.state == Standing::Active)
            .map(|entry| entry.pixel)
            .collect();
        for pixel in state.pixels() {
            let gauge = &self.0.metrics.test_mode_active;
            let value = i64::from(active.contains(&pixel));
            let label = pixel.to_string();
            gauge.with_label_values(&[label.as_str()]).set(value);
        }
    }

    fn change<T>(
        &self,
        pixel: PixelId,
        change: impl FnOnce(&mut State, UnixMs) -> T,
    ) -> Result<T, TestModeError> {
        let _turn = self.turn();
        let now = self.0.clock.now();
        let mut next = State::clone(&self.0.now.load());
        if !next.knows(pixel) {
            return Err(TestModeError::UnknownPixel);
        }
        let done = change(&mut next, now);
        // first on disk: what is in force must be so after a restart, too
        self.0.store.write(&next.kept(now))?;
        self.0.now.store(Arc::new(next));
        self.0.changed.notify_one();
        Ok(done)
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        // it guards no value that a panic could leave half changed
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the file of a gateway with this `journal.dir` is.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// The codes started at run time that the file below `dir` holds and that have not ended, for a
/// look at it from beside the gateway. Blocks.
pub fn started(dir: &Path, now: UnixMs) -> Result<BTreeMap<PixelId, Code>, FileError> {
    let mut started = Store::new(path(dir)).read()?.started;
    started.retain(|_, code| code.is_in_force(now));
    Ok(started)
}

impl Code {
    /// Whether it has not ended.
    pub fn is_in_force(&self, now: UnixMs) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Configured {
    /// The keys in which a code stands, over or not.
    pub fn keys(&self) -> Vec<String> {
        let pixels = self.pixels.iter().filter(|(_, code)| code.is_some());
        let pixels = pixels.map(|(pixel, _)| key_of(*pixel, None));
        let sources = self.sources.iter().filter(|(_, rule)| rule.code.is_some());
        let sources = sources.map(|(name, _)| source_key(name));
        pixels.chain(sources).collect()
    }
}

fn key_of(pixel: PixelId, source: Option<&str>) -> String {
    source.map_or_else(|| format!("pixels.{pixel}.test_event_code"), source_key)
}

fn source_key(name: &str) -> String {
    format!("sources.{name}.test_event_code")
}
