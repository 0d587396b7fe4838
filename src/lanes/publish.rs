//! Keeps the gauges of lanes, holds and pace: counted anew when something has moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::circuits::Standing;
use super::snapshot::{HeldBy, Stuck};
use crate::journal::LaneKey;
use crate::pixel::PixelId;
use crate::telemetry::metrics::LANE_STATES;

/// Changes that come closer together than this are shown together.
const TOGETHER: Duration = Duration::from_millis(50);

/// Runs until the gateway stops.
pub(super) async fn publish(shared: Arc<Shared>) {
    let (mut holds, mut by_hand) = (BTreeMap::new(), BTreeSet::new());
    loop {
        shared.show_gauges(&mut holds);
        shared.show_held_by_hand(&mut by_hand);
        let ends = shared.tools.by_hand.next_end();
        tokio::select! {
            () = shared.circuits.moved.notified() => {}
            () = ended(ends) => {}
            () = shared.stop.cancelled() => return,
        }
        tokio::time::sleep(TOGETHER).await;
    }
}

/// One hold may end by itself.
async fn ended(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}

impl Shared {
    fn show_held_by_hand(&self, shown: &mut BTreeSet<PixelId>) {
        for (pixel, by) in self.tools.by_hand.newly_ended() {
            tracing::info!(pixel.id = %pixel, admin.key = by, "a hold by hand has ended at its time: what waits is sent");
        }
        let gauge = &self.tools.metrics.held_by_hand;
        let now: BTreeSet<PixelId> = self.tools.by_hand.list().into_keys().collect();
        for pixel in &now {
            gauge.with_label_values(&[&pixel.to_string()]).set(1);
        }
        for pixel in shown.difference(&now) {
            gauge.with_label_values(&[&pixel.to_string()]).set(0);
        }
        *shown = now;
    }

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
        let by_hand = self.tools.by_hand.standings().into_iter();
        let by_hand = by_hand.map(|(standing, _)| standing);
        for standing in self.circuits.stopped().into_iter().chain(by_hand) {
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
