//! `[receipts]`: what became of an event, for a while.

use serde::{Deserialize, Serialize};

use super::fault::{Fault, at_least};
use super::units::{Bytes, Span};

/// The end of each event can be asked for by its event_id. A receipt takes 16 bytes an event and
/// some 220 a batch; of the event it holds its name, which of its fields were changed and how, and
/// parts of digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Receipts {
    /// Whether receipts are kept.
    pub enabled: bool,
    /// How long after its end an event can be asked for.
    pub keep: Span,
    /// Disk space of the receipts; beyond it the oldest go first.
    pub max_bytes: Bytes,
    /// Whether an event that has ended is also found by its order_id and by an e-mail address:
    /// parts of digests of these are kept, from which neither can be read, but which somebody who
    /// knows an address can look for. Each takes another 16 bytes; a purchase with both took 1.1 µs
    /// more, beside the path of the event.
    pub by_keys: bool,
}

impl Default for Receipts {
    fn default() -> Self {
        Self {
            enabled: true,
            keep: Span::from_secs(7 * 86_400),
            max_bytes: Bytes::gib(1),
            by_keys: true,
        }
    }
}

impl Receipts {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        at_least(faults, "receipts.keep", self.keep, Span::from_secs(60));
        if self.keep > Span::from_secs(366 * 86_400) {
            faults.push(Fault::cross("receipts.keep", "at most 366d"));
        }
        let least = Bytes::mib(8);
        at_least(faults, "receipts.max_bytes", self.max_bytes, least);
        if self.max_bytes > Bytes::gib(16) {
            faults.push(Fault::cross("receipts.max_bytes", "at most 16GiB"));
        }
    }
}
