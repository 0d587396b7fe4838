//! `[reload]`: how a running gateway finds out that its configuration has changed.

use serde::{Deserialize, Serialize};

use super::Fault;
use super::units::Span;

/// How a running gateway takes over a changed configuration. It also does so at SIGHUP. The files
/// and the secrets in files are read again; environment variables stay as they were at the start.
/// A configuration with a fault, or with another value of a key that needs a restart, is refused
/// whole, and the old one stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reload {
    /// Watches the files of the configuration and of the secrets, and takes over what changes.
    pub watch: bool,
    /// How long these files must be quiet first, so that none is read half written. Replace files
    /// by renaming all the same.
    pub debounce: Span,
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            watch: true,
            debounce: Span::from_millis(500),
        }
    }
}

impl Reload {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        let range = Span::from_millis(10)..=Span::from_secs(60);
        if !range.contains(&self.debounce) {
            faults.push(Fault::cross("reload.debounce", "from 10ms to 1m"));
        }
    }
}
