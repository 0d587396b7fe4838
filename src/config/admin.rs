//! `[admin]`: the keys of the admin API.

use serde::{Deserialize, Serialize};

use super::fault::within;
use super::{Fault, KeyRef};

/// Who may ask and command the gateway on the admin address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Keys that may read and change: list and redrive dead letters, release holds, reload. Each
    /// is the SHA-256 of the key, or the environment variable or file the key is in. Without any
    /// key the admin API answers 403; health and metrics need none.
    ///
    /// Example: `[{ env = "CAPIGATE_ADMIN_KEY" }]`
    pub keys: Vec<KeyRef>,
    /// Keys that may read and change nothing, such as that of a dashboard.
    ///
    /// Example: `[{ file = "/run/secrets/capigate_view_key" }]`
    pub view_keys: Vec<KeyRef>,
    /// Connections to the admin address open at once; beyond it new ones, health checks too, wait
    /// to be accepted. One that has sent no whole head 5 seconds after it was opened, or none 10
    /// seconds after its last request, is closed. 1 to 1000000.
    pub max_connections: u32,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            view_keys: Vec::new(),
            max_connections: 1024,
        }
    }
}

/// What the owner of an admin key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    View,
    /// Read and change.
    Admin,
}

/// A key of the admin API, as far as it is kept.
#[derive(Clone, Debug)]
pub struct AdminKey {
    /// Its place in the configuration, such as `admin.keys[0]`.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its SHA-256.
    pub digest: [u8; 32],
}

impl Role {
    /// The stable word.
    pub fn code(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Admin => "admin",
        }
    }
}

impl AdminKey {
    /// Tells keys apart in a log: the first 8 hex digits of the digest.
    pub fn fingerprint(&self) -> String {
        hex::encode(&self.digest[..4])
    }
}

impl Admin {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        within(
            faults,
            "admin.max_connections",
            self.max_connections,
            1..=1_000_000,
        );
    }

    /// Every key with its place and role.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, Role, &KeyRef)> {
        let keys = self.keys.iter().enumerate();
        let view = self.view_keys.iter().enumerate();
        keys.map(|(at, key)| (format!("admin.keys[{at}]"), Role::Admin, key))
            .chain(view.map(|(at, key)| (format!("admin.view_keys[{at}]"), Role::View, key)))
    }
}
