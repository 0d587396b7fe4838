//! What an append goes through before it stands in line: its lanes, its tiers, its bounds.

use tokio::sync::oneshot;

use super::index::LaneBounds;
use super::queue::Times;
use super::tiers::Tier;
use super::writer::{Item, max_record};
use super::{Bell, Job, Shared, locked};
use crate::journal::envelope::{Envelope, LaneKey};
use crate::journal::{AppendError, Limit};

/// An append that stands in line.
#[derive(Debug)]
pub(crate) struct Admitted<'s> {
    /// What becomes of it.
    pub(crate) answer: oneshot::Receiver<Result<(), AppendError>>,
    /// It is the first in line.
    pub(crate) bell: Option<Bell<'s>>,
}

impl Shared {
    /// Puts an append in line; none if there is nothing to do.
    pub(crate) fn admit(
        &self,
        envelopes: Vec<Envelope>,
    ) -> Result<Option<Admitted<'_>>, AppendError> {
        if envelopes.is_empty() {
            return Ok(None);
        }
        let (items, bytes) = self.itemise(envelopes).map_err(AppendError::Full)?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            items,
            bytes,
            reply,
        };
        match self.enqueue(job) {
            Ok(bell) => Ok(Some(Admitted { answer, bell })),
            Err((job, error)) => {
                self.renounce(&job.items);
                Err(error)
            }
        }
    }

    fn renounce(&self, items: &[Item]) {
        let mut index = locked(&self.index);
        for item in items {
            index.renounce(item.lane, 1);
        }
    }

    /// Finds the lane of every envelope.
    fn itemise(&self, envelopes: Vec<Envelope>) -> Result<(Vec<Item>, u64), Limit> {
        let mut items: Vec<Item> = Vec::with_capacity(envelopes.len());
        let mut last: Option<LaneKey> = None;
        let largest = max_record(self.settings.segment_bytes);
        let mut bytes = 0;
        let tier = |envelope: &Envelope| {
            let times = times_of(envelope);
            Tier::of(&self.settings.weights, envelope.event.as_bytes(), times)
        };
        // before the lock is taken
        let tiers: Vec<Tier> = envelopes.iter().map(tier).collect();
        let bounds = LaneBounds {
            all: self.settings.max_lanes,
            of_pixel: self.settings.max_lanes_per_pixel,
        };
        let mut index = locked(&self.index);
        for (envelope, tier) in envelopes.into_iter().zip(tiers) {
            let same = items
                .last()
                .filter(|_| last.as_ref() == Some(&envelope.lane));
            let known = match same {
                Some(item) => Ok((item.lane, item.options.clone())),
                None => index
                    .open_lane(&envelope.lane, bounds)
                    .map(|lane| (lane, index.options(lane))),
            };
            let item = known.map(|(lane, options)| Item {
                lane,
                tier,
                pixel: envelope.lane.pixel,
                options,
                changes: envelope.event.changes().clone(),
                payload: envelope.event.as_bytes().clone(),
                times: times_of(&envelope),
                copy_of: None,
            });
            let refused = match item {
                Ok(item) => {
                    index.announce(item.lane, 1);
                    let len = item.len();
                    bytes += len as u64;
                    items.push(item);
                    (len > largest).then_some(Limit::MaxPending)
                }
                Err(limit) => Some(limit),
            };
            if let Some(limit) = refused {
                drop(index);
                self.renounce(&items);
                return Err(limit);
            }
            last = Some(envelope.lane);
        }
        Ok((items, bytes))
    }
}

fn times_of(envelope: &Envelope) -> Times {
    Times {
        received_at: envelope.received_at,
        expires_at: envelope.expires_at,
    }
}
