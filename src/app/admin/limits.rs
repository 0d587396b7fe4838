//! `GET /limits`: every bound by its config key, its value, and how near it is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Inner;
use super::call::Call;
use super::reply::Reply;
use super::routes::Done;
use crate::config::Config;
use crate::lanes::Lanes;
use crate::pixel::PixelId;

#[derive(Serialize)]
struct Limits {
    limits: Vec<Limit>,
}

#[derive(Serialize)]
struct Limit {
    /// The config key.
    name: String,
    unit: &'static str,
    value: u64,
    /// Present use; none for bounds of a single request, batch or event.
    used: Option<u64>,
    /// `used` in hundredths of `value`, rounded down.
    percent: Option<u64>,
    /// Requests it has turned away since the start.
    turned_away: u64,
}

pub(super) fn show(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let inner = call.admin.0;
        // the dead letters' lock may be held across a sync
        let shown = tokio::task::spawn_blocking(move || limits(&inner)).await;
        let limits = shown.map_err(|_| super::Problem::failed("limits_failed", "see the log"))?;
        Ok(Reply::ok(&Limits { limits }))
    })
}

fn limits(inner: &Inner) -> Vec<Limit> {
    let in_force = inner.in_force();
    let Config {
        ingest,
        journal,
        lanes,
        ..
    } = &in_force.config;
    let depth = inner.journal.depth();
    let gauge = |gauge: &prometheus::IntGauge| Some(gauge.get().max(0).unsigned_abs());
    let running = inner.lanes.get();
    let batches = running.map_or(0, Lanes::in_flight) as u64;
    let each = None;
    let mut rows: Vec<(String, &'static str, u64, Option<u64>)> = [
        (
            "ingest.max_connections",
            "connections",
            u64::from(ingest.max_connections),
            gauge(&inner.metrics.connections),
        ),
        (
            "ingest.max_in_flight",
            "bytes",
            ingest.max_in_flight.get(),
            gauge(&inner.metrics.in_flight_bytes),
        ),
        ("ingest.max_body", "bytes", ingest.max_body.get(), each),
        (
            "ingest.max_events",
            "events",
            u64::from(ingest.max_events),
            each,
        ),
        (
            "ingest.max_event_bytes",
            "bytes",
            ingest.max_event_bytes.get(),
            each,
        ),
        (
            "journal.max_bytes",
            "bytes",
            journal.max_bytes.get(),
            Some(depth.disk_bytes),
        ),
        (
            "journal.max_pending",
            "bytes",
            journal.max_pending.get(),
            Some(inner.journal.pending()),
        ),
        (
            "journal.max_lanes",
            "lanes",
            u64::from(journal.max_lanes),
            Some(depth.lanes),
        ),
        (
            "journal.max_lanes_per_pixel",
            "lanes",
            u64::from(journal.max_lanes_per_pixel),
            Some(lanes_of_one_pixel(inner)),
        ),
        (
            "journal.dead_max_bytes",
            "bytes",
            journal.dead_max_bytes.get(),
            Some(inner.dead.bytes()),
        ),
        (
            "lanes.max_in_flight_batches",
            "batches",
            u64::from(lanes.max_in_flight_batches),
            Some(batches),
        ),
        (
            "lanes.max_in_flight_batches_per_pixel",
            "batches",
            u64::from(lanes.max_in_flight_batches_per_pixel),
            each,
        ),
        (
            "lanes.max_events",
            "events",
            u64::from(lanes.max_events),
            each,
        ),
        ("lanes.max_bytes", "bytes", lanes.max_bytes.get(), each),
    ]
    .map(|(name, unit, value, used)| (name.to_owned(), unit, value, used))
    .into();
    for (name, source) in &in_force.config.sources {
        let burst = source.burst(ingest.max_events);
        rows.push((
            format!("sources.{name}.burst"),
            "events",
            u64::from(burst),
            each,
        ));
    }
    let turned_away = turned_away(inner);
    rows.into_iter()
        .map(|(name, unit, value, used)| Limit {
            turned_away: turned_away.get(&name).copied().unwrap_or(0),
            percent: used.map(|used| used.saturating_mul(100) / value.max(1)),
            name,
            unit,
            value,
            used,
        })
        .collect()
}

/// The lanes of the pixel that has the most.
fn lanes_of_one_pixel(inner: &Inner) -> u64 {
    let mut by_pixel: BTreeMap<PixelId, u64> = BTreeMap::new();
    for (key, _) in inner.journal.lanes() {
        *by_pixel.entry(key.pixel).or_default() += 1;
    }
    by_pixel.into_values().max().unwrap_or(0)
}

/// What the counter of refused requests says, by the bound's name; asked as a whole, since asking
/// for one label would make it.
fn turned_away(inner: &Inner) -> BTreeMap<String, u64> {
    use prometheus::core::Collector;
    let families = inner.metrics.limited.collect();
    let all = families
        .iter()
        .flat_map(prometheus::proto::MetricFamily::get_metric);
    all.filter_map(|one| {
        let label = one.get_label().first()?;
        Some((
            label.value().to_owned(),
            one.get_counter().get_value() as u64,
        ))
    })
    .collect()
}
