//! `[duplicates]`: events that were accepted a short while ago are not accepted again.

use serde::{Deserialize, Serialize};

use super::fault::{Fault, at_least, within};
use super::units::Span;

/// An event with the pixel, event_name and event_id of one that was accepted a short while ago is
/// answered as received and not sent again. Always on for business_messaging, where Meta drops no
/// duplicates itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Duplicates {
    /// How long an event is remembered after it was accepted, and again after it was delivered.
    pub window: Span,
    /// Which events are held to it: "messaging" (business_messaging only) or "all".
    pub events: Covers,
    /// Most events remembered, at 19 to 39 bytes of memory each; beyond it the oldest are forgotten
    /// early. 1000 to 100000000.
    pub max_entries: u32,
}

/// Which events are held to the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Covers {
    /// Those of `business_messaging`.
    #[default]
    Messaging,
    /// All.
    All,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self {
            window: Span::from_secs(48 * 3600),
            events: Covers::Messaging,
            max_entries: 1_000_000,
        }
    }
}

impl Duplicates {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        at_least(
            faults,
            "duplicates.window",
            self.window,
            Span::from_secs(60),
        );
        if self.window > Span::from_secs(62 * 86_400) {
            faults.push(Fault::cross("duplicates.window", "at most 62d"));
        }
        within(
            faults,
            "duplicates.max_entries",
            self.max_entries,
            1000..=100_000_000,
        );
    }
}
