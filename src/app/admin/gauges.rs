//! Gauges that are set when the metrics page is asked for: of what other rooms know at any moment.

use std::collections::BTreeMap;

use super::issues::STATES;
use super::{Admin, Inner, limits};
use crate::issues::State;
use crate::pixel::PixelId;
use crate::telemetry::metrics::UNREADY;

/// Sets them. Cheap: a few locks, and never the disk, since a page that waits for a broken disk
/// could not tell of it.
pub(super) fn show(admin: &Admin) {
    let inner = &admin.0;
    inner.test_mode.show();
    let reasons: Vec<&str> = admin.unready().collect();
    for reason in UNREADY {
        let is_one = i64::from(reasons.contains(reason));
        let unready = &inner.metrics.unready;
        unready.with_label_values(&[*reason]).set(is_one);
    }
    waiting(inner);
    bounds(inner);
    issues(inner);
}

/// What goes wrong, by whether somebody has to look.
fn issues(inner: &Inner) {
    let states = inner.issues.states();
    let row = |state: State| {
        let count = states.get(&state).copied().unwrap_or_default();
        ([state.word().to_owned()], count as f64)
    };
    inner.metrics.issues.set_all(STATES.map(row).into());
}

/// What waits, by pixel.
fn waiting(inner: &Inner) {
    let now = inner.clock.now();
    let in_force = inner.in_force();
    let configured = in_force.config.pixels.keys();
    let mut by_pixel: BTreeMap<PixelId, (u64, f64)> =
        configured.map(|pixel| (*pixel, (0, 0.0))).collect();
    for (key, depth) in inner.journal.lanes() {
        let (events, oldest) = by_pixel.entry(key.pixel).or_default();
        *events += depth.records + depth.leased;
        if let Some(received) = depth.oldest_received_at {
            *oldest = oldest.max(now.since(received).as_secs_f64());
        }
    }
    let row = |pixel: &PixelId, value| ([pixel.to_string()], value);
    let rows = by_pixel.iter();
    let events = rows.clone().map(|(pixel, of)| row(pixel, of.0 as f64));
    inner.metrics.waiting.set_all(events.collect());
    let oldest = rows.map(|(pixel, of)| row(pixel, of.1));
    inner.metrics.waiting_oldest.set_all(oldest.collect());
}

/// The bounds whose use is counted.
fn bounds(inner: &Inner) {
    let (mut values, mut used) = (Vec::new(), Vec::new());
    for limit in limits::limits(inner) {
        if let Some(now) = limit.used {
            values.push(([limit.name.clone()], limit.value as f64));
            used.push(([limit.name], now as f64));
        }
    }
    inner.metrics.limits.set_all(values);
    inner.metrics.limits_used.set_all(used);
}
