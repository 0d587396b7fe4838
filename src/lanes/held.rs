//! The lanes that nothing is sent of, with why.

use super::snapshot::{HeldBy, Seen, Stuck};
use super::{Lanes, Shared};
use crate::journal::LaneKey;
use crate::time::UnixMs;

/// A lane that waits until something is mended.
#[derive(Clone, Debug)]
pub struct HeldLane {
    /// Which.
    pub lane: LaneKey,
    /// Why.
    pub by: HeldBy,
    /// What Graph answered.
    pub graph: Option<Seen>,
    /// Since when.
    pub since: UnixMs,
}

impl Lanes {
    /// The lanes that are held since something is wrong. Cheap: no disk.
    pub fn held(&self) -> Vec<HeldLane> {
        let running: Vec<(LaneKey, Stuck)> = super::lock(&self.0.lanes)
            .iter()
            .map(|(lane, running)| (lane.clone(), running.stuck.clone()))
            .collect();
        let held = running.into_iter().filter_map(|(lane, stuck)| {
            let held = self.0.held(lane, &stuck)?;
            is_fault(held.by).then_some(held)
        });
        held.collect()
    }
}

impl Shared {
    fn held(&self, lane: LaneKey, stuck: &Stuck) -> Option<HeldLane> {
        if let Some((by, since)) = stuck.get() {
            return Some(HeldLane {
                lane,
                by,
                graph: None,
                since,
            });
        }
        let standing = self.circuits.gravest(lane.pixel, lane.class)?;
        Some(HeldLane {
            by: standing.held_by()?,
            lane,
            graph: standing.seen,
            since: standing.since,
        })
    }
}

fn is_fault(by: HeldBy) -> bool {
    matches!(
        by,
        HeldBy::Graph(_) | HeldBy::NoToken | HeldBy::DeadLetters | HeldBy::Intents
    )
}
