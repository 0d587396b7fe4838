//! Looking at what waits, without taking it.

use std::io;
use std::ops::ControlFlow;

use super::Journal;
use super::envelope::LaneKey;
use super::extras;
use crate::event::EncodedEvent;
use crate::time::UnixMs;

/// A record that is in the journal, as [`Journal::walk`] shows it.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// Where it belongs.
    pub lane: &'a LaneKey,
    /// The JSON of the event.
    pub event: &'a [u8],
    /// What is kept beside it, as it is stored.
    pub(crate) extras: &'a [u8],
    /// The number of the event, as [`Lease::seq`](crate::journal::Lease::seq).
    pub seq: u64,
    /// When the gateway received it.
    pub received_at: UnixMs,
    /// From when on Meta would refuse it for its age.
    pub expires_at: UnixMs,
    /// Whether it is leased at this moment.
    pub leased: bool,
}

/// An event that [`Journal::find`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it belongs.
    pub lane: LaneKey,
    /// Its name.
    pub event_name: String,
    /// The number of the event, as [`Lease::seq`](crate::journal::Lease::seq).
    pub seq: u64,
    /// When the gateway received it.
    pub received_at: UnixMs,
    /// From when on Meta would refuse it for its age.
    pub expires_at: UnixMs,
    /// Whether it was leased at that moment.
    pub leased: bool,
    /// The event.
    pub event: EncodedEvent,
}

impl Journal {
    /// Shows every record of the lanes for which `wanted` says so, waiting or leased, to `each`,
    /// until that breaks.
    ///
    /// A record that is settled or appended during the walk may be shown or not; one that is
    /// moved meanwhile may be shown twice, under one `seq`. Reads every segment, one after the
    /// other, and holds about 1 MiB of it. No lock is held while `each` runs. Blocks; the error
    /// is that of a read, with what comes after it unseen.
    pub fn walk(
        &self,
        wanted: &dyn Fn(&LaneKey) -> bool,
        each: &mut dyn FnMut(Waiting<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        if !self.lanes().iter().any(|(lane, _)| wanted(lane)) {
            return Ok(());
        }
        let shared = self.shared();
        shared.walk(&|_| true, &mut |one| {
            if wanted(one.lane) {
                each(one)
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    /// The first `limit` events in the journal whose `event_id` is this one. Walks through the
    /// whole journal, so it takes as long as reading that does.
    pub fn find(&self, event_id: &str, limit: usize) -> io::Result<Vec<Found>> {
        let key = serde_json::to_string(event_id).map_err(io::Error::from)?;
        let key = format!("\"event_id\":{key}");
        let is_it = |json: &[u8]| EncodedEvent::head_of(json).event_id.as_deref() == Some(event_id);
        self.search(key.as_bytes(), &is_it, limit)
    }

    /// The first `limit` events in the journal whose JSON has `needle` in it and is wanted. Walks
    /// through the whole journal, so it takes as long as reading that does.
    pub fn search(
        &self,
        needle: &[u8],
        wanted: &dyn Fn(&[u8]) -> bool,
        limit: usize,
    ) -> io::Result<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        let finder = memchr::memmem::Finder::new(needle);
        if limit == 0 {
            return Ok(found);
        }
        let shared = self.shared();
        // most records are not looked at any further
        let likely = |payload: &[u8]| finder.find(payload).is_some();
        shared.walk(&|record| likely(record.payload), &mut |one| {
            if wanted(one.event) && found.iter().all(|known| known.seq != one.seq) {
                let event = EncodedEvent::from_record(one.event.to_vec().into());
                let event = event.with_changes(extras::changes(one.extras));
                found.push(Found {
                    lane: one.lane.clone(),
                    event_name: event.head().event_name.into_owned(),
                    seq: one.seq,
                    received_at: one.received_at,
                    expires_at: one.expires_at,
                    leased: one.leased,
                    event,
                });
            }
            if found.len() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(found)
    }

    /// When the next of a lane's waiting records expire: the earliest expiry among those that are
    /// the first of their tier, leased ones left out. Events that were received later, with less
    /// time left than others of their tier, may expire before. Reads one record a tier; blocks.
    pub fn next_expiry(&self, lane: &LaneKey) -> Option<UnixMs> {
        self.shared().next_expiry(lane)
    }
}
