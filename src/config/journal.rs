//! `[journal]`: where events wait, and how much of the disk they may take.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, at_least, within};
use super::units::{Bytes, Span};

/// The durable queue on the local disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// Directory of the journal, made if it is not there; for one process only. A relative path is
    /// taken from the working directory.
    pub dir: PathBuf,
    /// Size of one segment file. Whole segments are given back when all their events are done.
    pub segment_bytes: Bytes,
    /// Bytes that may wait for the next sync; beyond it requests are answered 503.
    pub max_pending: Bytes,
    /// Disk space of all segments; beyond it requests are answered 503 until a tenth is free. At
    /// least four segments.
    pub max_bytes: Bytes,
    /// Lanes that may have events waiting at once: one for each pixel and set of request options.
    /// 1 to 1000000.
    pub max_lanes: u32,
    /// The same for one pixel, so that one caller's options cannot take the lanes of all others.
    /// At most `journal.max_lanes`.
    pub max_lanes_per_pixel: u32,
    /// Longest time before the record of a delivery is synced. After a crash the deliveries of
    /// this time are sent again, and Meta drops them by their event id.
    pub settle_sync: Span,
    /// Longest time a start waits until another process has released the journal, as when a new
    /// process takes over from one that is finishing. At most 10m.
    pub lock_wait: Span,
    /// Disk space of the dead letters; beyond it the oldest are purged, an eighth of it or 8MiB at
    /// a time. A warning comes at four fifths.
    pub dead_max_bytes: Bytes,
    /// How long a dead letter is kept: it is purged when it has been dead for this long, or up to
    /// an eighth longer. A warning comes at four fifths. At least 1h.
    pub dead_max_age: Span,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("data/journal"),
            segment_bytes: Bytes::mib(64),
            max_pending: Bytes::mib(32),
            max_bytes: Bytes::gib(16),
            max_lanes: 10_000,
            max_lanes_per_pixel: 100,
            settle_sync: Span::from_millis(200),
            lock_wait: Span::from_secs(0),
            dead_max_bytes: Bytes::gib(1),
            dead_max_age: Span::from_secs(90 * 86_400),
        }
    }
}

impl Journal {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        if self.dir.as_os_str().is_empty() {
            faults.push(Fault::cross("journal.dir", "a directory"));
        }
        let one = Bytes::mib(1);
        at_least(faults, "journal.segment_bytes", self.segment_bytes, one);
        if self.segment_bytes > Bytes::gib(1) {
            faults.push(Fault::cross("journal.segment_bytes", "at most 1GiB"));
        }
        at_least(faults, "journal.max_pending", self.max_pending, one);
        at_least(faults, "journal.dead_max_bytes", self.dead_max_bytes, one);
        if self.dead_max_age < Span::from_secs(3600) {
            faults.push(Fault::cross("journal.dead_max_age", "at least 1h"));
        }
        within(faults, "journal.max_lanes", self.max_lanes, 1..=1_000_000);
        if self.max_lanes_per_pixel == 0 || self.max_lanes_per_pixel > self.max_lanes {
            faults.push(Fault::cross(
                "journal.max_lanes_per_pixel",
                format!("from 1 to journal.max_lanes ({})", self.max_lanes),
            ));
        }
        if self.settle_sync > Span::from_secs(60) {
            faults.push(Fault::cross("journal.settle_sync", "at most 1m"));
        }
        if self.lock_wait > Span::from_secs(600) {
            faults.push(Fault::cross("journal.lock_wait", "at most 10m"));
        }
        if self.max_bytes.get() / 4 < self.segment_bytes.get() {
            faults.push(Fault::cross(
                "journal.max_bytes",
                format!(
                    "at least 4 times journal.segment_bytes ({})",
                    self.segment_bytes
                ),
            ));
        }
    }
}
