//! What all connections of a sandbox share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::accounts::{Accounts, WorldError};
use super::ledger::{BatchRecord, Ledger, Outcome};
use super::script::Script;
use super::settings::SandboxSettings;
use super::violations::{Log, Violation};
use crate::pixel::PixelId;
use crate::time::Clock;

#[derive(Debug)]
pub(super) struct Core {
    pub clock: Clock,
    pub latency: Duration,
    pub raw_external_id: bool,
    pub light: bool,
    pub script: Script,
    pub accounts: Accounts,
    ledger: Mutex<Ledger>,
    violations: Mutex<Log>,
    accepted: watch::Sender<u64>,
    traces: AtomicU64,
    run: String,
}

impl Core {
    pub(super) fn new(settings: SandboxSettings, clock: Clock) -> Result<Self, WorldError> {
        let mut run = uuid::Uuid::new_v4().simple().to_string();
        run.truncate(8);
        let accounts = Accounts::new(settings.world, settings.tokens, clock.clone())?;
        let core = Self {
            clock,
            accounts,
            latency: settings.latency,
            raw_external_id: settings.raw_external_id,
            light: settings.light,
            script: Script::default(),
            ledger: Mutex::default(),
            violations: Mutex::default(),
            accepted: watch::Sender::new(0),
            traces: AtomicU64::new(1),
            run,
        };
        for fault in settings.faults {
            core.script.add(fault);
        }
        Ok(core)
    }

    /// A trace id no other answer has.
    pub(super) fn trace(&self) -> String {
        let number = self.traces.fetch_add(1, Ordering::Relaxed);
        format!("SBX{}{number:08}", self.run)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn violations(&self) -> MutexGuard<'_, Log> {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn violate(&self, kind: &'static str, pixel: Option<PixelId>, path: String) {
        let at_ms = self.clock.now().0;
        tracing::warn!(
            violation.kind = kind,
            violation.path = path,
            "sandbox saw a violation"
        );
        self.violations().add(Violation {
            at_ms,
            kind,
            pixel,
            path,
        });
    }

    /// Writes the batch into the ledger, wakes who waits for events, and gives its number.
    pub(super) fn record(
        &self,
        batch: BatchRecord,
        data: Vec<serde_json::Value>,
        clean: bool,
    ) -> u64 {
        if matches!(batch.outcome, Outcome::Accepted { .. }) {
            let now = self.clock.now().secs();
            self.accounts.lock().fired(batch.pixel, now);
        }
        let (number, total) = {
            let mut ledger = self.ledger();
            let number = ledger.record(batch, data, clean);
            (number, ledger.totals().events_accepted)
        };
        self.accepted.send_if_modified(|seen| {
            let newer = total > *seen;
            *seen = total.max(*seen);
            newer
        });
        number
    }

    pub(super) fn clear_ledger(&self) {
        self.ledger().clear();
        self.accepted.send_replace(0);
    }

    pub(super) fn watch_accepted(&self) -> watch::Receiver<u64> {
        self.accepted.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_answers_share_a_trace() {
        let core = Core::new(SandboxSettings::default(), Clock::Real).unwrap();
        let other = Core::new(SandboxSettings::default(), Clock::Real).unwrap();
        assert_ne!(core.trace(), core.trace());
        assert_ne!(core.trace(), other.trace());
    }
}
