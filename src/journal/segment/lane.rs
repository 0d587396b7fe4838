//! One lane in memory: what waits, what is leased, what is on its way.

use std::collections::HashMap;
use std::sync::Arc;

use super::frame::record_len;
use super::queue::Place;
use super::tiers::{Tier, Tiers};
use crate::journal::LaneDepth;
use crate::journal::envelope::LaneKey;

/// A record in the hands of a lane.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) place: Place,
    /// Where it waits again if it is returned.
    pub(super) tier: Tier,
    /// Its ordinal in the segment it was moved to while leased.
    pub(super) moved: Option<u32>,
}

/// A lane that has records, or is about to.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) key: LaneKey,
    /// The stored form of the key's options.
    pub(super) options: Arc<[u8]>,
    pub(super) tiers: Tiers,
    pub(super) leased: HashMap<u64, Leased>,
    /// Records on their way to a commit.
    pub(super) pending: usize,
    /// Payload bytes waiting.
    pub(super) bytes: u64,
    pub(super) woken: bool,
}

impl Lane {
    pub(super) fn new(key: LaneKey) -> Self {
        Self {
            options: key.options.to_stored().into(),
            key,
            tiers: Tiers::default(),
            leased: HashMap::new(),
            pending: 0,
            bytes: 0,
            woken: false,
        }
    }

    /// Bytes of the payload of a record at `place`.
    pub(super) fn payload_len(&self, place: Place) -> u64 {
        payload_len(&self.options, place)
    }

    pub(super) fn depth(&self) -> LaneDepth {
        LaneDepth {
            records: self.tiers.len() as u64,
            bytes: self.bytes,
            leased: self.leased.len() as u64,
            oldest_received_at: self.tiers.oldest(),
        }
    }

    /// Whether nothing belongs to it.
    pub(super) fn is_empty(&self) -> bool {
        self.tiers.len() == 0 && self.leased.is_empty() && self.pending == 0
    }
}

/// Bytes of the payload of a record at `place` with these options.
pub(super) fn payload_len(options: &[u8], place: Place) -> u64 {
    u64::from(place.len).saturating_sub(record_len(options.len(), 0) as u64)
}
