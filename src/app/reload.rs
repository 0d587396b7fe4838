//! Takes a changed configuration over while the gateway runs.
//!
//! **Promises.** All or nothing: the whole is read and checked first, and then put in place in
//! one go that cannot fail. A fault, a missing secret, or another value of a key that needs a
//! restart ([`config::is_live`]) refuses it, and the old one stays. No event is lost or refused
//! for it: a request goes on with what it began with. Reports name keys, never values of secrets.
//! The vault is taken over by itself when the configuration is refused.
//! **Refuses.** Reloads side by side: they wait for each other.
//! **Limits.** The environment of a process cannot change, so a variable stays as it was at the
//! start; and so does a key that a variable sets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::alerts::Alerts;
use crate::config::{self, Config, ConfigErrors, Difference, Layers, Secrets};
use crate::ingest::Ingest;
use crate::lanes::Lanes;
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::test_mode::TestMode;
use crate::text::counted;
use crate::time::Clock;
use crate::tokens::{Candidates, Tokens};
use crate::traffic::Traffic;

use super::logging::LogFilter;
use super::production;
use super::vault::{self, Held};
use super::wiring;

/// What asked for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// SIGHUP.
    Signal,
    /// A watched file has changed.
    Watch,
    /// The admin API.
    Admin,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The new configuration is in force.
    Applied,
    /// It says what the old one says.
    Unchanged,
    /// The old configuration stays.
    Refused,
}

/// A reload that was not refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `applied` or `unchanged`.
    pub result: Outcome,
    /// The generation in force now.
    pub generation: u64,
    /// The keys whose values differ, in their order, such as `pixels.123.token`. An entry that is
    /// new or gone is named without its keys.
    pub changed: Vec<String>,
    /// What the first of them said and say, but for secrets.
    pub differences: Vec<Difference>,
    /// Of each pixel that was taken out while events of it wait: how many, and what to do.
    pub warnings: Vec<String>,
}

/// Why a reload was refused; the old configuration stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ReloadError {
    /// The configuration is wrong, or a secret is missing.
    #[error("the configuration is not usable: {}", .faults.join("; "))]
    BadConfig {
        /// One line for each fault: where it is, its key, and what was expected.
        faults: Vec<String>,
    },
    /// Keys differ that are fixed while the gateway runs.
    #[error("needs a restart, since it changes {}", .keys.join(", "))]
    NeedsRestart {
        /// Those keys.
        keys: Vec<String>,
    },
    /// The gateway was started with a configuration that is in no file.
    #[error("the gateway has no configuration files to read again")]
    NoFiles,
    /// The task that reads the files has died.
    #[error("reading the configuration has failed")]
    Failed,
}

impl ReloadError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadConfig { .. } => "bad_config",
            Self::NeedsRestart { .. } => "needs_restart",
            Self::NoFiles => "no_files",
            Self::Failed => "failed",
        }
    }
}

/// The last reload, as it is shown to people.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: i64,
    /// What asked for it.
    pub trigger: Trigger,
    /// How it ended.
    pub result: Outcome,
    /// The generation in force after it.
    pub generation: u64,
    /// The keys whose values differ; those that needed a restart are in `error`.
    pub changed: Vec<String>,
    /// What the first of them said and say, but for secrets.
    pub differences: Vec<Difference>,
    /// Of each pixel that was taken out while events of it wait: how many, and what to do.
    pub warnings: Vec<String>,
    /// Why it was refused.
    pub error: Option<ReloadError>,
}

/// A configuration with its secrets, in force.
pub(super) struct InForce {
    pub(super) config: Config,
    pub(super) secrets: Secrets,
    pub(super) held: Held,
}

/// What a new configuration is put into.
pub(super) struct Rooms {
    pub(super) ingest: Ingest,
    pub(super) tokens: Tokens,
    pub(super) alerts: Alerts,
    pub(super) test_mode: TestMode,
    pub(super) traffic: Traffic,
    pub(super) log: Option<LogFilter>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

/// Reloads the configuration of a running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Reloader(Arc<Inner>);

struct Inner {
    layers: Option<Layers>,
    rooms: Rooms,
    lanes: OnceLock<Lanes>,
    now: ArcSwap<InForce>,
    last: Mutex<Option<Attempt>>,
    /// The last one that has changed something.
    applied: Mutex<Option<Attempt>>,
    /// Held for the length of a reload.
    turn: tokio::sync::Mutex<()>,
}

impl Reloader {
    pub(super) fn new(now: InForce, layers: Option<Layers>, rooms: Rooms) -> Self {
        rooms.metrics.config_generation.set(1);
        for result in [Outcome::Applied, Outcome::Unchanged, Outcome::Refused] {
            let reloads = &rooms.metrics.config_reloads;
            reloads.with_label_values(&[result.code()]).inc_by(0);
        }
        Self(Arc::new(Inner {
            layers,
            rooms,
            lanes: OnceLock::new(),
            now: ArcSwap::from_pointee(now),
            last: Mutex::default(),
            applied: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Reads the configuration and its secrets again and, if it is right and nothing fixed has
    /// changed, puts it in force. Takes as long as reading the files does. When this future is
    /// dropped, it is either in force as a whole or not at all.
    pub async fn reload(&self, trigger: Trigger) -> Result<Report, ReloadError> {
        let _turn = self.0.turn.lock().await;
        let result = match self.read().await {
            Ok(next) => self.replace(next),
            Err(error) => Err(error),
        };
        if result.is_err() {
            // a token must not wait until somebody has mended the configuration
            self.take_vault_over().await;
        }
        let refused = &self.0.rooms.metrics.config_refused;
        refused.set(i64::from(result.is_err()));
        let found_nothing = matches!(&result, Ok(report) if report.result == Outcome::Unchanged);
        if trigger != Trigger::Watch || !found_nothing {
            self.note(trigger, &result);
        }
        result
    }

    /// How many configurations have been in force since the start, this one included.
    pub fn generation(&self) -> u64 {
        self.0.rooms.metrics.config_generation.get().unsigned_abs()
    }

    /// The last reload; none if nothing was reloaded yet.
    pub fn last(&self) -> Option<Attempt> {
        let last = self.0.last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last reload that has changed something; none if none has.
    pub fn applied(&self) -> Option<Attempt> {
        let applied = self.0.applied.lock();
        applied.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is in force.
    pub(super) fn now(&self) -> Arc<InForce> {
        self.0.now.load_full()
    }

    /// Where the configuration comes from, if it is in files.
    pub(super) fn layers(&self) -> Option<&Layers> {
        self.0.layers.as_ref()
    }

    /// Lanes run from now on, and take changes over.
    pub(super) fn steer(&self, lanes: Lanes) {
        // set once, at start
        let _ = self.0.lanes.set(lanes);
    }

    async fn read(&self) -> Result<InForce, ReloadError> {
        let layers = self.0.layers.clone().ok_or(ReloadError::NoFiles)?;
        let before = self.now();
        let read = move || {
            let loaded = layers.load();
            let (loaded, secrets) = loaded.map_err(|ConfigErrors { faults }| {
                faults.iter().map(ToString::to_string).collect::<Vec<_>>()
            })?;
            let held = Held::read_again(&loaded.config, &secrets, &before.held);
            let held = held.map_err(|error| vec![error.to_string()])?;
            Ok(InForce {
                config: loaded.config,
                secrets,
                held,
            })
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(next)) => Ok(next),
            Ok(Err(faults)) => Err(ReloadError::BadConfig { faults }),
            Err(_) => Err(ReloadError::Failed),
        }
    }

    fn replace(&self, next: InForce) -> Result<Report, ReloadError> {
        if self.0.rooms.test_mode.is_production() {
            let faults = production::configured(&next.config);
            if !faults.is_empty() {
                return Err(ReloadError::BadConfig { faults });
            }
        }
        let now = self.now();
        let mut changed =
            config::changed_keys((&now.config, &now.secrets), (&next.config, &next.secrets));
        let fixed = changed.iter().filter(|key| !config::is_live(key));
        let fixed: Vec<String> = fixed.cloned().collect();
        if !fixed.is_empty() {
            return Err(ReloadError::NeedsRestart { keys: fixed });
        }
        changed.extend(vault::changes(&now.held.contents, &next.held.contents));
        let differences = config::differences(&now.config, &next.config, &changed);
        let warnings = self.stranded(&now.config, &next.config);
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let result = if changed.is_empty() {
            // what is known about tokens may be newer
            self.0.now.store(Arc::new(next));
            Outcome::Unchanged
        } else {
            self.apply(&now, next);
            self.0.rooms.metrics.config_generation.inc();
            Outcome::Applied
        };
        Ok(Report {
            result,
            generation: self.generation(),
            changed: changed.into_iter().collect(),
            differences,
            warnings,
        })
    }

    /// Pixels that are taken out while events of them wait, in words.
    fn stranded(&self, now: &Config, next: &Config) -> Vec<String> {
        let is_gone = |id: &PixelId| !next.pixels.contains_key(id);
        if !now.pixels.keys().any(is_gone) {
            return Vec::new();
        }
        let mut waiting: BTreeMap<PixelId, u64> = BTreeMap::new();
        for lane in (self.0.lanes.get().map(Lanes::snapshot)).unwrap_or_default() {
            if lane.waiting > 0 && is_gone(&lane.pixel) && now.pixels.contains_key(&lane.pixel) {
                *waiting.entry(lane.pixel).or_default() += lane.waiting;
            }
        }
        let told = waiting.into_iter().map(|(pixel, events)| {
            let wait = if events == 1 { "waits" } else { "wait" };
            let events = counted(events, "event");
            format!("pixels.{pixel} is gone, and {events} of it {wait} on disk: put pixels.{pixel} back, or they expire")
        });
        told.collect()
    }

    /// Takes the vault over, and nothing else.
    pub(super) async fn reload_vault(&self) {
        let _turn = self.0.turn.lock().await;
        self.take_vault_over().await;
    }

    async fn take_vault_over(&self) {
        let now = self.now();
        let before = Arc::clone(&now);
        let read = move || Held::read_again(&before.config, &before.secrets, &before.held);
        let held = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => {
                tracing::error!(code = error.code(), %error, "the vault cannot be read, the tokens stay as they were");
                return;
            }
            Err(_) => return,
        };
        let changed = vault::changes(&now.held.contents, &held.contents);
        let next = InForce {
            config: now.config.clone(),
            secrets: now.secrets.clone(),
            held,
        };
        if changed.is_empty() {
            // what is known about tokens may be newer
            self.0.now.store(Arc::new(next));
            return;
        }
        self.apply(&now, next);
        let keys: Vec<String> = changed.into_iter().collect();
        tracing::info!(config.changed = %keys.join(", "), "the vault is taken over");
    }

    /// The way out first and the way in last, so that nothing is taken before it can go on.
    fn apply(&self, now: &InForce, next: InForce) {
        let rooms = &self.0.rooms;
        let (config, secrets) = (&next.config, &next.secrets);
        let credentials = wiring::credentials(config, secrets, &next.held.contents);
        // lanes that wait for a better token try again at every change
        if is_other(
            &wiring::credentials(&now.config, &now.secrets, &now.held.contents),
            &credentials,
        ) {
            rooms.tokens.replace(credentials);
        }
        // what is held or throttled decides anew
        if config.lanes != now.config.lanes
            && let Some(lanes) = self.0.lanes.get()
        {
            lanes.apply(wiring::lanes(&config.lanes));
        }
        let pixels = config.pixels.keys().map(ToString::to_string);
        rooms.metrics.expect_pixels(pixels);
        rooms.traffic.expect(config.pixels.keys().copied());
        rooms.ingest.apply(
            &wiring::ingest(&config.ingest),
            &wiring::sources(config, secrets),
        );
        if rooms.test_mode.apply(wiring::test_mode(config)) {
            // it is a note of what was stopped before; nothing waits for it
            let test_mode = rooms.test_mode.clone();
            drop(tokio::task::spawn_blocking(move || test_mode.save()));
        }
        let alerts = wiring::alerts(&config.alerts, &secrets.alerts);
        rooms.alerts.apply(alerts);
        if let Some(log) = &rooms.log
            && config.telemetry.log_level != now.config.telemetry.log_level
        {
            log.set(&config.telemetry.log_level);
        }
        let together = vault::warnings(config, &next.held.contents);
        for warning in config.warnings(rooms.clock.now()).iter().chain(&together) {
            tracing::warn!("{warning}");
        }
        self.0.now.store(Arc::new(next));
    }

    fn note(&self, trigger: Trigger, result: &Result<Report, ReloadError>) {
        let generation = self.generation();
        let (report, error) = match result {
            Ok(report) => (report.clone(), None),
            Err(error) => (Report::refused(generation), Some(error.clone())),
        };
        let Report {
            result,
            changed,
            differences,
            warnings,
            ..
        } = report;
        let keys = changed.join(", ");
        let trigger_code = trigger.code();
        match &error {
            Some(error) => {
                tracing::error!(trigger = trigger_code, config.generation = generation, code = error.code(), %error, "configuration refused, the old one stays");
            }
            None => {
                tracing::info!(trigger = trigger_code, config.generation = generation, config.changed = %keys, "configuration {}", result.code());
            }
        }
        let reloads = &self.0.rooms.metrics.config_reloads;
        reloads.with_label_values(&[result.code()]).inc();
        let attempt = Attempt {
            at_ms: self.0.rooms.clock.now().0,
            trigger,
            result,
            generation,
            changed,
            differences,
            warnings,
            error,
        };
        if result == Outcome::Applied {
            let applied = self.0.applied.lock();
            *applied.unwrap_or_else(PoisonError::into_inner) = Some(attempt.clone());
        }
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(attempt);
    }
}

impl Report {
    /// Nothing was taken over.
    fn refused(generation: u64) -> Self {
        Self {
            result: Outcome::Refused,
            generation,
            changed: Vec::new(),
            differences: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Outcome {
    /// The stable word, also the value of the metric label `result`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

impl Trigger {
    /// The stable word for logs and the admin API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Watch => "watch",
            Self::Admin => "admin",
        }
    }
}

fn is_other(one: &HashMap<PixelId, Candidates>, other: &HashMap<PixelId, Candidates>) -> bool {
    let same = |id: &PixelId, own: &Candidates| {
        let found = other.get(id).filter(|found| found.len() == own.len());
        found.is_some_and(|found| found.iter().zip(own).all(|(one, other)| one.is_same(other)))
    };
    one.len() != other.len() || !one.iter().all(|(id, own)| same(id, own))
}
