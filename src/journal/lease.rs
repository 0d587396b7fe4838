//! A record in the hands of a lane, and the ways this ends.

use std::fmt;
use std::sync::Arc;

use super::segment::queue::Times;
use super::segment::{Shared, locked};
use crate::event::EncodedEvent;
use crate::time::UnixMs;

/// How a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Graph has confirmed the event: it leaves the journal.
    Delivered,
    /// The event is a dead letter, durably written: it leaves the journal.
    Dead,
    /// Nothing was decided: the event waits again, at its old turn.
    Returned,
}

/// How much one call of [`super::Journal::lease`] hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLimits {
    /// Records, at most.
    pub max_events: usize,
    /// Payload bytes, at most; a first record that is larger comes alone.
    pub max_bytes: usize,
}

/// One event, handed out until it is settled.
///
/// It can be settled once, because settling takes it by value. One that is dropped instead is
/// returned to its lane, which is woken, and counted as a defect. One that is held when the
/// process dies is leased again by the next.
#[must_use = "a lease must be settled"]
pub struct Lease {
    shared: Arc<Shared>,
    lane: u32,
    seq: u64,
    ordinal: u32,
    event: EncodedEvent,
    times: Times,
    settled: bool,
}

impl Lease {
    pub(crate) fn new(
        shared: Arc<Shared>,
        lane: u32,
        seq: u64,
        ordinal: u32,
        event: EncodedEvent,
        times: Times,
    ) -> Self {
        Self {
            shared,
            lane,
            seq,
            ordinal,
            event,
            times,
            settled: false,
        }
    }

    /// The event.
    pub fn event(&self) -> &EncodedEvent {
        &self.event
    }

    /// When the gateway received it.
    pub fn received_at(&self) -> UnixMs {
        self.times.received_at
    }

    /// From when on Meta would refuse it for its age.
    pub fn expires_at(&self) -> UnixMs {
        self.times.expires_at
    }

    /// The number of the event: unique, rising in the order of arrival, and kept for life, also
    /// when the record is moved and across restarts.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Ends the lease. Does not touch the disk: what leaves the journal is noted within
    /// `settle_sync`, and is delivered once more if the machine stops before that.
    pub fn settle(self, settlement: Settlement) {
        settle_all(vec![self], settlement);
    }
}

/// Ends many leases in the same way, at the price of one.
pub fn settle_all(mut leases: Vec<Lease>, settlement: Settlement) {
    let Some(shared) = leases.first().map(|lease| lease.shared.clone()) else {
        return;
    };
    let mut call = false;
    let mut index = locked(&shared.index);
    for lease in &mut leases {
        debug_assert!(Arc::ptr_eq(&shared, &lease.shared), "one journal");
        lease.settled = true;
        call |= index.settle(
            lease.lane,
            lease.seq,
            lease.ordinal,
            lease.times,
            settlement,
        );
    }
    shared.show_counts(&index);
    drop(index);
    if call {
        shared.kick();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.shared.metrics.journal_leases_dropped.inc();
        let mut index = locked(&self.shared.index);
        index.settle(
            self.lane,
            self.seq,
            self.ordinal,
            self.times,
            Settlement::Returned,
        );
        let rang = index.wake(self.lane);
        drop(index);
        if rang {
            self.shared.ring();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("seq", &self.seq)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
