//! `GET /limits`: every bound by its config key, its value, and how near it is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Inner;
use super::call::Call;
use super::reply::Reply;
use super::routes::Done;
use crate::config::sources::SourceKind;
use crate::config::units::Bytes;
use crate::pixel::PixelId;

#[derive(Serialize)]
struct Limits {
    limits: Vec<Limit>,
}

#[derive(Serialize)]
pub(super) struct Limit {
    /// The config key.
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) value: u64,
    /// Present use; none where it is not counted, as for a single request, batch or event.
    pub(super) used: Option<u64>,
    /// `used` in hundredths of `value`, rounded down.
    pub(super) percent: Option<u64>,
    /// Requests it has turned away since the start.
    pub(super) turned_away: u64,
}

pub(super) fn show(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let limits = limits(&call.admin.0);
        Ok(Reply::ok(&Limits { limits }))
    })
}

/// All of them, sorted by name. Cheap: no disk.
pub(super) fn limits(inner: &Inner) -> Vec<Limit> {
    let in_force = inner.in_force();
    let config = &in_force.config;
    let (ingest, journal, lanes) = (&config.ingest, &config.journal, &config.lanes);
    let metrics = &inner.metrics;
    let depth = inner.journal.depth();
    let gauge = |gauge: &prometheus::IntGauge| Some(gauge.get().max(0).unsigned_abs());
    let batches = inner.lanes.get().map(|lanes| lanes.in_flight() as u64);
    let each = None;

    let mut rows = Vec::new();
    let mut bytes = |name: &str, value: Bytes, used: Option<u64>| {
        rows.push((name.to_owned(), "bytes", value.get(), used));
    };
    let in_flight = gauge(&metrics.in_flight_bytes);
    bytes("ingest.max_in_flight", ingest.max_in_flight, in_flight);
    bytes("ingest.max_body", ingest.max_body, each);
    bytes("ingest.max_event_bytes", ingest.max_event_bytes, each);
    let (disk, pending) = (Some(depth.disk_bytes), Some(inner.journal.pending()));
    bytes("journal.max_bytes", journal.max_bytes, disk);
    bytes("journal.max_pending", journal.max_pending, pending);
    // not from the dead letters themselves, whose lock may be held across a sync
    let dead = gauge(&metrics.dead_letters_bytes);
    bytes("journal.dead_max_bytes", journal.dead_max_bytes, dead);
    let receipts = gauge(&metrics.receipts_bytes);
    bytes("receipts.max_bytes", config.receipts.max_bytes, receipts);
    bytes("lanes.max_bytes", lanes.max_bytes, each);

    let mut count = |name: &str, unit: &'static str, value: u32, used: Option<u64>| {
        rows.push((name.to_owned(), unit, u64::from(value), used));
    };
    let max = config.admin.max_connections;
    count("admin.max_connections", "connections", max, each);
    let connections = gauge(&metrics.connections);
    let max = ingest.max_connections;
    count("ingest.max_connections", "connections", max, connections);
    count("ingest.max_events", "events", ingest.max_events, each);
    let (max, used) = (journal.max_lanes, Some(depth.lanes));
    count("journal.max_lanes", "lanes", max, used);
    let (max, used) = (journal.max_lanes_per_pixel, lanes_of_one_pixel(inner));
    count("journal.max_lanes_per_pixel", "lanes", max, used);
    let max = lanes.max_in_flight_batches;
    count("lanes.max_in_flight_batches", "batches", max, batches);
    let max = lanes.max_in_flight_batches_per_pixel;
    count(
        "lanes.max_in_flight_batches_per_pixel",
        "batches",
        max,
        each,
    );
    count("lanes.max_events", "events", lanes.max_events, each);
    let remembered = gauge(&metrics.duplicates_entries);
    let max = config.duplicates.max_entries;
    count("duplicates.max_entries", "events", max, remembered);
    for (name, source) in &config.sources {
        let burst = source.burst(ingest.max_events);
        count(&format!("sources.{name}.burst"), "events", burst, each);
        if source.kind == SourceKind::Browser {
            let most = source.rate_per_address.count().get();
            let name = format!("sources.{name}.rate_per_address");
            count(&name, "events", most, each);
        }
    }
    let age = journal.dead_max_age.get().as_secs();
    let oldest = gauge(&metrics.dead_letters_oldest);
    let name = "journal.dead_max_age".to_owned();
    rows.push((name, "seconds", age, oldest));
    rows.sort_by(|one, other| one.0.cmp(&other.0));

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
fn lanes_of_one_pixel(inner: &Inner) -> Option<u64> {
    let mut by_pixel: BTreeMap<PixelId, u64> = BTreeMap::new();
    for (key, _) in inner.journal.lanes() {
        *by_pixel.entry(key.pixel).or_default() += 1;
    }
    by_pixel.into_values().max().or(Some(0))
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
