//! What all connections of a sandbox share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use tokio::sync::watch;

use super::ledger::{BatchRecord, Ledger};
use super::refusal::{self as no, Refusal};
use super::request::{Incoming, Token};
use super::script::Script;
use super::settings::{SandboxSettings, SandboxToken, TokenState};
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
    tokens: Vec<SandboxToken>,
    ledger: Mutex<Ledger>,
    violations: Mutex<Log>,
    accepted: watch::Sender<u64>,
    traces: AtomicU64,
    run: String,
}

impl Core {
    pub(super) fn new(settings: SandboxSettings, clock: Clock) -> Self {
        let mut run = uuid::Uuid::new_v4().simple().to_string();
        run.truncate(8);
        let core = Self {
            clock,
            latency: settings.latency,
            raw_external_id: settings.raw_external_id,
            light: settings.light,
            script: Script::default(),
            tokens: settings.tokens,
            ledger: Mutex::default(),
            violations: Mutex::default(),
            accepted: watch::Sender::new(0),
            traces: AtomicU64::new(1),
            run,
        };
        for fault in settings.faults {
            core.script.add(fault);
        }
        core
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

    /// The configured token of this value. They are made up, so how long comparing takes may show.
    pub(super) fn token(&self, given: Option<&Token>) -> Option<&SandboxToken> {
        let given = given?;
        self.tokens.iter().find(|token| token.value == given.value)
    }

    /// Whether the request may post to the pixel.
    pub(super) fn admit(
        &self,
        incoming: &Incoming,
        pixel: PixelId,
    ) -> Result<(), &'static Refusal> {
        let Some(given) = &incoming.token else {
            return Err(&no::TOKEN_MISSING);
        };
        let token = self.token(Some(given)).ok_or(&no::TOKEN_UNKNOWN)?;
        match token.state {
            TokenState::Valid => {}
            TokenState::Expired => return Err(&no::TOKEN_EXPIRED),
            TokenState::Revoked => return Err(&no::TOKEN_REVOKED),
        }
        if let Some(secret) = &token.app_secret {
            let proof = incoming.proof.as_deref().ok_or(&no::PROOF_MISSING)?;
            if proof != appsecret_proof(secret, &given.value) {
                return Err(&no::PROOF_WRONG);
            }
        }
        if token.pixels.is_empty() || token.pixels.contains(&pixel) {
            Ok(())
        } else {
            Err(&no::PIXEL_UNREACHABLE)
        }
    }
}

/// Lower-case hex of HMAC-SHA256, keyed with the app secret, over the token.
fn appsecret_proof(secret: &str, token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_known_one() {
        assert_eq!(
            appsecret_proof("app-secret-example", "access-token-example"),
            "a07d8938fd56e73319dae7552f1e35da10c36d6d2f326529ab50393f6943e8c7"
        );
    }

    #[test]
    fn no_two_answers_share_a_trace() {
        let core = Core::new(SandboxSettings::default(), Clock::Real);
        let other = Core::new(SandboxSettings::default(), Clock::Real);
        assert_ne!(core.trace(), core.trace());
        assert_ne!(core.trace(), other.trace());
    }
}
