//! Keeps the gauges of lanes, holds and pace: counted anew when something has moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::circuits::Standing;
use super::snapshot::{HeldBy, Stuck};
use crate::journal::LaneKey;
use crate::telemetry::metrics::LANE_STATES;

/// Changes that come closer together than this are shown together.
const TOGETHER: Duration = Duration::from_millis(50);

/// Runs until the gateway stops.
pub(super) async fn publish(shared: Arc<Shared>) {
    let mut holds = BTreeMap::new();
    loop {
        shared.show_gauges(&mut holds);
        tokio::select! {
            () = shared.circuits.moved.notified() => {}
            () = shared.stop.cancelled() => return,
        }
        tokio::time::sleep(TOGETHER).await;
    }
}

impl Shared {
    fn show_gauges(&self, shown: &mut BTreeMap<(&'static str, &'static str), i64>) {
        let metrics = &self.tools.metrics;
        let lanes: Vec<(LaneKey, Stuck)> = super::lock(&self.lanes)
            .iter()
            .map(|(key, running)| (key.clone(), running.stuck.clone()))
            .collect();
        let mut states: BTreeMap<&str, i64> = LANE_STATES.iter().map(|state| (*state, 0)).collect();
        for count in shown.values_mut() {
            *count = 0;
        }
        for (key, stuck) in &lanes {
            *states.entry(self.state_of(key, stuck)).or_default() += 1;
            if let Some((by, _)) = stuck.get() {
                *shown.entry(("lane", by.code())).or_default() += 1;
            }
        }
        for (state, count) in states {
            metrics.lanes.with_label_values(&[state]).set(count);
        }
        for standing in self.circuits.stopped() {
            let cause = Standing::held_by(&standing).map_or(standing.state.code(), HeldBy::code);
            *shown
                .entry((standing.key.scope().code(), cause))
                .or_default() += 1;
        }
        for ((scope, cause), count) in shown {
            metrics
                .holds
                .with_label_values(&[*scope, *cause])
                .set(*count);
        }
        for (pixel, factor) in self.circuits.factors() {
            metrics
                .pace_factor
                .with_label_values(&[&pixel.to_string()])
                .set(factor);
        }
    }
}
