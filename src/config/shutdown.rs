//! `[shutdown]`: how long each stage of stopping may take.

use serde::{Deserialize, Serialize};

use super::Fault;
use super::units::Span;

/// How long each stage of stopping may take. What is not sent by then stays in the journal and
/// goes out after the next start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Time between saying "not ready" and closing the door, for the load balancer to notice.
    pub grace: Span,
    /// Time for requests under way to be answered.
    pub requests: Span,
    /// Time for batches under way to be answered by Meta.
    pub sends: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            grace: Span::from_secs(5),
            requests: Span::from_secs(10),
            sends: Span::from_secs(30),
        }
    }
}

impl Shutdown {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        for (key, span) in [
            ("shutdown.grace", self.grace),
            ("shutdown.requests", self.requests),
            ("shutdown.sends", self.sends),
        ] {
            if span > Span::from_secs(3600) {
                faults.push(Fault::cross(key, "at most 1h"));
            }
        }
    }
}
