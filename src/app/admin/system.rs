//! `GET /system`: what the process does now: rates, latencies of each stage, the journal's room.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use serde::Serialize;

use super::call::Call;
use super::reply::Reply;
use super::routes::Done;
use super::{Admin, Inner};
use crate::app::reload::{Attempt, Reloader};
use crate::time::UnixMs;

/// How often the counters are noted.
const BEAT: Duration = Duration::from_secs(10);
/// Notes that are kept: those of an hour.
const KEPT: usize = 360;
/// Notes that a present rate is taken from: those of a minute.
const PRESENT: usize = 6;
/// A journal that would be full later than this is not filling.
const HORIZON: u64 = 366 * 24 * 3600;

/// The counters of the last hour.
#[derive(Default)]
pub(super) struct Pulse(Mutex<VecDeque<Beat>>);

#[derive(Clone, Copy)]
struct Beat {
    at: UnixMs,
    accepted: u64,
    delivered: u64,
    disk_bytes: u64,
}

/// What the process does now.
#[derive(Serialize)]
pub(super) struct System {
    pub(super) version: &'static str,
    pub(super) graph_version: String,
    pub(super) graph_url: String,
    pub(super) config_generation: i64,
    /// The last reload.
    pub(super) last_reload: Option<Attempt>,
    /// The last one that has changed something, with what.
    pub(super) last_change: Option<Attempt>,
    /// Events a second, over the last minute; none in the first seconds.
    pub(super) accepted_per_second: Option<f64>,
    pub(super) delivered_per_second: Option<f64>,
    pub(super) stages: Vec<Stage>,
    pub(super) journal: Room,
}

/// The time that one stage takes, since the start of the process.
#[derive(Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the label of the metric is called so"
)]
pub(super) struct Stage {
    pub(super) stage: &'static str,
    pub(super) count: u64,
    /// Seconds, from the buckets of the metric, so not exact; none while there is nothing.
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
}

/// How much room the journal has.
#[derive(Serialize)]
pub(super) struct Room {
    pub(super) events: u64,
    pub(super) disk_bytes: u64,
    pub(super) max_bytes: u64,
    /// Until it is full, if it goes on as in the last hour; none when it does not grow.
    pub(super) full_in_seconds: Option<u64>,
}

/// `GET /system`.
pub(super) fn show(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        Ok(Reply::ok(&system(&call.admin.0)))
    })
}

impl Admin {
    /// Notes the counters, again and again.
    pub(in crate::app) async fn beat(self) {
        let mut beats = tokio::time::interval(BEAT);
        loop {
            beats.tick().await;
            self.0.pulse.note(Beat::of(&self.0));
        }
    }
}

impl Beat {
    fn of(inner: &Inner) -> Self {
        let depth = inner.journal.depth();
        Self {
            at: inner.clock.now(),
            accepted: sum(&inner.metrics.accepted),
            delivered: sum(&inner.metrics.delivered),
            disk_bytes: depth.disk_bytes,
        }
    }
}

impl Pulse {
    fn note(&self, beat: Beat) {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if beats.len() >= KEPT {
            beats.pop_front();
        }
        beats.push_back(beat);
    }

    /// The latest note, the one of a minute before, and the first.
    fn ends(&self) -> Option<(Beat, Beat, Beat)> {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = *beats.back()?;
        let before = beats.iter().rev().nth(PRESENT).or(beats.front())?;
        Some((last, *before, *beats.front()?))
    }
}

pub(super) fn system(inner: &Inner) -> System {
    let in_force = inner.in_force();
    let config = &in_force.config;
    let depth = inner.journal.depth();
    let max_bytes = config.journal.max_bytes.get();
    let ends = inner.pulse.ends();
    let rate = |of: fn(&Beat) -> u64| {
        let (last, before, _) = ends?;
        let seconds = last.at.since(before.at).as_secs_f64();
        (seconds >= 1.0).then(|| of(&last).saturating_sub(of(&before)) as f64 / seconds)
    };
    let metrics = &inner.metrics;
    System {
        version: env!("CARGO_PKG_VERSION"),
        graph_version: config.graph.version.to_string(),
        graph_url: config.graph.url.to_string(),
        config_generation: metrics.config_generation.get(),
        last_reload: inner.reloader().and_then(Reloader::last),
        last_change: inner.reloader().and_then(Reloader::applied),
        accepted_per_second: rate(|beat| beat.accepted),
        delivered_per_second: rate(|beat| beat.delivered),
        stages: vec![
            stage("answer to the caller", &metrics.request_seconds),
            stage("commit to disk", &metrics.journal_commit_seconds),
            stage("answer of Graph", &metrics.graph_seconds),
            stage("receipt to confirmation", &metrics.delivery_seconds),
        ],
        journal: Room {
            events: depth.records,
            disk_bytes: depth.disk_bytes,
            max_bytes,
            full_in_seconds: ends.and_then(|(last, _, first)| full_in(&first, &last, max_bytes)),
        },
    }
}

/// At the pace of the time between two notes.
fn full_in(first: &Beat, last: &Beat, max_bytes: u64) -> Option<u64> {
    let grown = last.disk_bytes.checked_sub(first.disk_bytes)?;
    let millis = last.at.since(first.at).as_millis() as u64;
    // files grow by whole segments, which says nothing while there are few
    if grown == 0 || millis < 60_000 || last.disk_bytes < max_bytes / 10 {
        return None;
    }
    let left = max_bytes.saturating_sub(last.disk_bytes);
    let seconds = u128::from(left) * u128::from(millis) / u128::from(grown) / 1000;
    u64::try_from(seconds).ok().filter(|left| *left <= HORIZON)
}

fn sum(counters: &prometheus::IntCounterVec) -> u64 {
    let families = counters.collect();
    let all = families.iter().flat_map(MetricFamily::get_metric);
    all.map(|metric| metric.get_counter().get_value() as u64)
        .sum()
}

/// All series of a histogram together.
fn stage(stage: &'static str, histogram: &impl Collector) -> Stage {
    let families = histogram.collect();
    let mut buckets: Vec<(f64, u64)> = Vec::new();
    let mut count = 0;
    for metric in families.iter().flat_map(MetricFamily::get_metric) {
        let histogram = metric.get_histogram();
        count += histogram.get_sample_count();
        for (at, bucket) in histogram.get_bucket().iter().enumerate() {
            match buckets.get_mut(at) {
                Some((_, events)) => *events += bucket.cumulative_count(),
                None => buckets.push((bucket.upper_bound(), bucket.cumulative_count())),
            }
        }
    }
    Stage {
        stage,
        count,
        p50: quantile(&buckets, count, 0.5),
        p99: quantile(&buckets, count, 0.99),
    }
}

/// As `histogram_quantile` of Prometheus: linear within a bucket, and the last bound at most.
fn quantile(buckets: &[(f64, u64)], count: u64, share: f64) -> Option<f64> {
    if count == 0 {
        return None;
    }
    let rank = share * count as f64;
    let (mut from, mut below) = (0.0, 0);
    for (bound, events) in buckets {
        if *events as f64 >= rank {
            let within = (rank - below as f64) / ((*events - below).max(1) as f64);
            return Some(from + (bound - from) * within);
        }
        (from, below) = (*bound, *events);
    }
    Some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_buckets() {
        let buckets = [(0.1, 10), (0.2, 90), (0.4, 100)];
        let of = |share| quantile(&buckets, 100, share).unwrap();
        assert!((of(0.05) - 0.05).abs() < 1e-9);
        assert!((of(0.5) - 0.15).abs() < 1e-9);
        assert!((of(0.99) - 0.38).abs() < 1e-9);
        assert_eq!(quantile(&buckets, 0, 0.5), None);
        assert_eq!(quantile(&buckets, 200, 0.99), Some(0.4));
    }

    #[test]
    fn a_journal_that_grows_is_full_some_day() {
        let beat = |seconds, disk_bytes| Beat {
            at: UnixMs::from_secs(seconds),
            accepted: 0,
            delivered: 0,
            disk_bytes,
        };
        let full = |first: Beat, last: Beat| full_in(&first, &last, 10_000);
        assert_eq!(full(beat(0, 1000), beat(100, 2000)), Some(800));
        assert_eq!(full(beat(0, 100), beat(100, 900)), None, "nearly empty");
        assert_eq!(full(beat(0, 1000), beat(100, 1000)), None);
        assert_eq!(full(beat(0, 2000), beat(100, 1000)), None);
        assert_eq!(
            full(beat(0, 1000), beat(30, 2000)),
            None,
            "too early to say"
        );
        assert_eq!(full(beat(0, 1000), beat(100, 20_000)), Some(0));
    }

    #[test]
    fn an_hour_of_notes_is_kept() {
        let pulse = Pulse::default();
        assert!(pulse.ends().is_none());
        for n in 0..2 * KEPT as i64 {
            pulse.note(Beat {
                at: UnixMs::from_secs(10 * n),
                accepted: n as u64,
                delivered: 0,
                disk_bytes: 0,
            });
        }
        let (last, before, first) = pulse.ends().unwrap();
        assert_eq!(last.accepted - before.accepted, PRESENT as u64);
        assert_eq!(last.accepted - first.accepted, KEPT as u64 - 1);
    }
}
