//! The account edges: logging in, tokens, and what they can reach.
//!
//! One [`Registry`] holds the world, its tokens and codes; each edge is a file with its part of
//! the registry. A call goes through [`exchange`], which applies the script and writes the ledger.

mod call;
mod calls;
mod check;
mod codes;
mod consents;
pub(super) mod control;
mod dataset_quality;
mod debug;
mod dialog;
pub(super) mod exchange;
mod fields;
mod oauth;
mod pages;
mod paging;
mod people;
mod pixel;
pub(super) mod proof;
mod quirks;
mod reading;
mod refusal;
pub(super) mod registry;
mod revoke;
pub(super) mod route;
mod screens;
pub(super) mod span;
pub(super) mod states;
mod system_users;
#[cfg(test)]
mod tests;
mod tokens;
mod trouble;
mod world;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use call::{MAX_PARAMS, Place};
pub use calls::{AccountCall, CallOutcome, CallParam, MAX_ACCOUNT_CALLS};
pub use check::WorldError;
pub use codes::MAX_CODES;
pub use proof::PROOF_LIFETIME_SECS;
pub use quirks::Quirks;
pub use refusal::ACCOUNT_REFUSALS;
pub use route::Edge;
pub use span::parse_span;
pub use states::{STATES, StateRow, TokenState};
pub use tokens::{DATASET_APP, DATASET_USER, MAX_TOKENS, TokenInfo, TokenKind};
pub use trouble::TokenChange;
pub use world::{
    App, AppMode, Business, DialogMood, DialogOutcome, LoginConfig, Needs, Page, PageRole, Person,
    Pixel, SystemUser, World,
};

use registry::Registry;

use super::settings::SandboxToken;
use crate::time::{Clock, UnixMs};

/// The registry, and the clock of the accounts: that of the sandbox, moved ahead by script.
#[derive(Debug)]
pub(super) struct Accounts {
    registry: Mutex<Registry>,
    ahead_ms: AtomicI64,
    clock: Clock,
}

impl Accounts {
    pub(super) fn new(
        world: World,
        tokens: Vec<SandboxToken>,
        clock: Clock,
    ) -> Result<Self, WorldError> {
        let registry = Registry::new(world, tokens, clock.now().secs())?;
        Ok(Self {
            registry: Mutex::new(registry),
            ahead_ms: AtomicI64::new(0),
            clock,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present moment of tokens, codes and proofs.
    pub(super) fn now(&self) -> UnixMs {
        let ahead = self.ahead_ms.load(Ordering::SeqCst);
        UnixMs(self.clock.now().0.saturating_add(ahead))
    }

    /// Moves the clock of the accounts ahead.
    pub(super) fn advance(&self, span: Duration) {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let add = |ahead: i64| Some(ahead.saturating_add(ms));
        // the closure always says yes
        let _ = self
            .ahead_ms
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    }
}
