//! Looks after tokens, for the commands and for a running gateway alike: asks Meta about them,
//! verifies, refreshes and rotates them, and says in time what a person has to do.
//!
//! **Promises.** A verdict on a token comes from Meta, never from the lack of an answer: what could
//! not be asked stays as it was. No token is taken out of use before another one has proved itself.
//! What is told is told before it hurts ([`alarms`]), with the command that mends it.
//! **Refuses.** To send a test event, to revoke or to delete anything unless it is told to.

pub mod alarms;
pub mod fitness;
pub mod inspect;
pub mod ladder;
pub mod refresh;
pub mod watch;

use std::time::Duration;

use crate::graph::oauth::App;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::{Facts, Name, Obtained, Slot, TokenKey};

/// One token, wherever it is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What people call it: its name in the vault, or the key of the configuration that points to
    /// it.
    pub label: String,
    /// Tells it apart.
    pub key: TokenKey,
    /// The token.
    pub secret: Secret,
    /// Where it is.
    pub source: Source,
    /// The app it belongs to, if the secret of that is known.
    pub app: Option<App>,
    /// The pixels that have it, and in which slot.
    pub pixels: Vec<(PixelId, Slot)>,
    /// When it came here.
    pub added_at: Option<UnixMs>,
    /// How it came into the vault.
    pub obtained: Option<Obtained>,
    /// What was noted about it when it came here.
    pub noted: Facts,
}

/// Where a token is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the vault, under this name.
    Vault(Name),
    /// Where the configuration points to.
    Config,
}

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Time between two checks of a token; zero for none.
    pub check_interval: Duration,
    /// A token is refreshed when it has less than this left.
    pub refresh_before: Duration,
    /// The same, once it is this old.
    pub refresh_after: Duration,
    /// The age from which on it should be rotated.
    pub rotate_after: Duration,
    /// The age at which it should have been.
    pub rotate_by: Duration,
    /// How long a replaced token is kept as the retiring one.
    pub overlap: Duration,
    /// Whether one token may serve several pixels.
    pub allow_shared: bool,
}

/// The defaults of the configuration.
impl Default for Policy {
    fn default() -> Self {
        let days = |count: u32| alarms::DAY * count;
        Self {
            check_interval: days(1),
            refresh_before: days(20),
            refresh_after: days(30),
            rotate_after: days(180),
            rotate_by: days(365),
            overlap: days(1),
            allow_shared: false,
        }
    }
}
