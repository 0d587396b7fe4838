//! Every metric of the program, with its meaning.
//!
//! The registry belongs to the [`Metrics`] value, never to the process, so that several gateways
//! can run side by side in one test. Sizes are bytes, times are seconds. The books must balance
//! at any quiet moment:
//!
//! `accepted + recovered = delivered + dead + in journal`
//!
//! where *recovered* is what the journal held when the process started. Duplicates are outside
//! these books: they are answered as received, and never accepted. So are events that a policy has
//! kept back. A copy for another pixel is accepted there.

mod rows;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

pub use rows::Rows;

/// A code of Graph and its subcode.
type CodePair = (i64, Option<i64>);

/// All metrics of one gateway.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,

    /// 1, with the program's `version`.
    pub build_info: IntGaugeVec,
    /// 1 while the gateway should get no traffic, by `reason` (one of [`UNREADY`]); set when the
    /// page is asked for.
    pub unready: IntGaugeVec,
    /// Bounds, by `limit` (the config key), in its own unit; those whose use is counted. Set when
    /// the page is asked for.
    pub limits: Rows<1>,
    /// How much of each is in use. Set with them.
    pub limits_used: Rows<1>,

    /// Which configuration is in force: 1 from the start, one more with each that was applied.
    pub config_generation: IntGauge,
    /// Reloads of the configuration, by `result` (`applied`, `unchanged`, `refused`).
    pub config_reloads: IntCounterVec,
    /// 1 while the last reload was refused, so that an older configuration is in force.
    pub config_refused: IntGauge,

    /// Ingest connections open now.
    pub connections: IntGauge,
    /// Ingest requests answered, by the stable `code` of the answer (`ok` or that of the refusal).
    pub requests: IntCounterVec,
    /// Seconds from the request's head to its answer.
    pub request_seconds: Histogram,
    /// Bytes of request bodies held in memory now.
    pub in_flight_bytes: IntGauge,
    /// Requests turned away because a bound was reached, by `limit` (its config key).
    pub limited: IntCounterVec,
    /// Events made durable, by `pixel`.
    pub accepted: IntCounterVec,
    /// Events refused at the door, by the stable `code` of the fault.
    pub rejected: IntCounterVec,
    /// Events that a policy kept back, by `pixel` and `policy` (one of [`FILTER_POLICIES`]): neither
    /// accepted nor rejected, so outside the books.
    pub filtered: IntCounterVec,
    /// Accepted events that a policy has changed or made, by `pixel` and `policy` (one of
    /// [`POLICIES_APPLIED`]).
    pub policy_applied: IntCounterVec,
    /// Warnings given about accepted events, by `code`.
    pub warnings: IntCounterVec,
    /// Events answered as received but not accepted, since their twin was, by `pixel`. They are
    /// outside the books.
    pub duplicates: IntCounterVec,
    /// Events the window of duplicates remembers.
    pub duplicates_entries: IntGauge,
    /// Events it forgot early, since `duplicates.max_entries` was reached.
    pub duplicates_forgotten: IntCounter,

    /// 1 while the server holds a test code for events of a `pixel`.
    pub test_mode_active: IntGaugeVec,
    /// Events accepted with a test code, copies included, by `pixel`.
    pub test_events: IntCounterVec,

    /// Events Graph confirmed, by `pixel`.
    pub delivered: IntCounterVec,
    /// Events that became dead letters, by `pixel` and `reason`.
    pub dead: IntCounterVec,
    /// Dead letters that are kept.
    pub dead_letters: IntGauge,
    /// Bytes of their files.
    pub dead_letters_bytes: IntGauge,
    /// Seconds since the oldest of them died.
    pub dead_letters_oldest: IntGauge,
    /// How near their bounds they are, in per cent: the larger of bytes to `dead_max_bytes` and
    /// oldest to `dead_max_age`. At 100 the oldest are purged.
    pub dead_letters_fill: IntGauge,
    /// Dead letters purged, by `bound` (`dead_max_bytes`, `dead_max_age`, `operator`).
    pub dead_purged: IntCounterVec,
    /// Lines among the dead letters that are none, torn or damaged.
    pub dead_damaged: IntCounter,
    /// Dead letters that were put back into the journal, by `pixel`; they count as accepted again.
    pub redriven: IntCounterVec,
    /// Batches sent, by `pixel` and `outcome` (`delivered`, `transient`, `throttled`, `held`,
    /// `split`).
    pub batches: IntCounterVec,
    /// Events in a batch.
    pub batch_events: Histogram,
    /// Seconds Graph took to answer, by `outcome`.
    pub graph_seconds: HistogramVec,
    /// Error answers of Graph, by `code` and `subcode` (`none` where it gave none); see
    /// [`Metrics::graph_error`].
    graph_errors: IntCounterVec,
    /// The pairs that have a series.
    graph_error_pairs: Arc<Mutex<BTreeSet<CodePair>>>,
    /// Events Graph left out of `events_received` in an answer of success, by `pixel`.
    pub graph_short: IntCounterVec,
    /// Seconds from receipt to Graph's confirmation.
    pub delivery_seconds: Histogram,
    /// Lanes by `state` (one of [`LANE_STATES`]).
    pub lanes: IntGaugeVec,
    /// What is held or throttled, by `scope` (`app`, `token`, `pixel`, `lane`) and `cause`.
    pub holds: IntGaugeVec,
    /// 1 while a person holds a `pixel`.
    pub held_by_hand: IntGaugeVec,
    /// Searches for bad events in a refused batch, by `pixel`.
    pub bisections: IntCounterVec,
    /// Requests of those searches, by `pixel`; the one that was refused first is not among them.
    pub bisection_requests: IntCounterVec,
    /// The share of its configured pace that a `pixel` goes at, up to 1.
    pub pace_factor: GaugeVec,

    /// Alerts, by `channel` (`log`, `webhook`, `email`) and `outcome` (`sent`, `failed`: given up,
    /// `held_back`: over `alerts.max_per_hour`). In the log are all of them.
    pub alerts: IntCounterVec,
    /// Alerts that are raised now.
    pub alerts_raised: IntGauge,

    /// Seconds until a token expires, by `pixel`, `token` (its fingerprint) and `slot` (`current`,
    /// `next`, `retiring`); negative when it has. No row for one that never does, or of which that
    /// is not known.
    pub token_expires: Rows<3>,
    /// The same until Meta's access to a person's data ends.
    pub token_data_access_expires: Rows<3>,
    /// 1 for a token that Meta calls valid, 0 for one that it does not; no row while it is not
    /// known. Labels as before.
    pub token_valid: Rows<3>,
    /// Unix seconds at which Graph last took events with a token. Labels as before.
    pub token_last_used: Rows<3>,
    /// Refreshes of 60-day tokens, by `outcome` (`done`, `failed`).
    pub token_refreshes: IntCounterVec,
    /// 1 while the vault cannot be read.
    pub vault_unreadable: IntGauge,

    /// Entries by which the receipts of events are found: one for each id, order id and address.
    pub receipts: IntGauge,
    /// Bytes of the receipts' files.
    pub receipts_bytes: IntGauge,
    /// Endings of events that no receipt was kept of, since the queue was full or the disk failed.
    pub receipts_lost: IntCounter,
    /// 1 while receipts cannot be written.
    pub receipts_failed: IntGauge,

    /// Events that have not met their end, those on their way included, by `pixel`. Set when the
    /// page is asked for, for all configured pixels and those that have any.
    pub waiting: Rows<1>,
    /// Seconds since the oldest event that waits, and is not on its way, was received; 0 where none
    /// does. Rows as before.
    pub waiting_oldest: Rows<1>,
    /// Groups of what goes wrong, by `state` (`open`, `acknowledged`, `muted`, `over`); set when the page
    /// is asked for, as of a few seconds before.
    pub issues: Rows<1>,

    /// Events in the journal that have not met their end.
    pub journal_records: IntGauge,
    /// Payload bytes of those events.
    pub journal_bytes: IntGauge,
    /// Bytes of all journal files, spare segments included.
    pub journal_disk_bytes: IntGauge,
    /// Segment files that hold records.
    pub journal_segments: IntGauge,
    /// Events found in the journal at start.
    pub journal_recovered: IntGauge,
    /// Group commits made durable.
    pub journal_commits: IntCounter,
    /// Seconds a group commit took, write and sync.
    pub journal_commit_seconds: Histogram,
    /// Records moved to the head of the log so that their old segment could be recycled.
    pub journal_evacuated: IntCounter,
    /// Damaged places found in the journal's files.
    pub journal_corrupt: IntCounter,
    /// Leases dropped without being settled: a defect, 0 in a sound program.
    pub journal_leases_dropped: IntCounter,
    /// 1 after a failed write or sync: the journal takes nothing more until a restart.
    pub journal_poisoned: IntGauge,
}

impl Metrics {
    /// Makes and registers every metric.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let r = &registry;
        let metrics = Self {
            build_info: {
                let opts = opts("build_info", "1, with the program's version");
                keep(r, IntGaugeVec::new(opts, &["version"])?)?
            },
            unready: {
                let opts = opts(
                    "unready",
                    "1 while the gateway should get no traffic, by reason",
                );
                keep(r, IntGaugeVec::new(opts, &["reason"])?)?
            },
            limits: Rows::new(
                r,
                "limit",
                "a bound, by its config key, in its own unit",
                ["limit"],
            )?,
            limits_used: Rows::new(r, "limit_used", "how much of a bound is in use", ["limit"])?,
            config_generation: gauge(
                r,
                "config_generation",
                "which configuration is in force, counted from 1",
            )?,
            config_reloads: counters(
                r,
                "config_reloads_total",
                "reloads of the configuration, by result",
                &["result"],
            )?,
            config_refused: gauge(
                r,
                "config_refused",
                "1 while the last reload was refused and an older configuration is in force",
            )?,
            connections: gauge(r, "connections", "ingest connections open now")?,
            requests: counters(
                r,
                "requests_total",
                "ingest requests answered, by code of the answer",
                &["code"],
            )?,
            request_seconds: histogram(
                r,
                "request_seconds",
                "seconds from a request's head to its answer",
                LATENCY,
            )?,
            in_flight_bytes: gauge(
                r,
                "in_flight_bytes",
                "bytes of request bodies held in memory now",
            )?,
            limited: counters(
                r,
                "limited_total",
                "requests turned away because a bound was reached, by limit",
                &["limit"],
            )?,
            accepted: counters(r, "accepted_total", "events made durable", &["pixel"])?,
            rejected: counters(
                r,
                "rejected_total",
                "events refused at the door, by code of the fault",
                &["code"],
            )?,
            filtered: counters(
                r,
                "filtered_total",
                "events that a policy kept back, neither accepted nor rejected",
                &["pixel", "policy"],
            )?,
            policy_applied: counters(
                r,
                "policy_applied_total",
                "accepted events that a policy has changed or made",
                &["pixel", "policy"],
            )?,
            warnings: counters(
                r,
                "warnings_total",
                "warnings given about accepted events",
                &["code"],
            )?,
            duplicates: counters(
                r,
                "duplicates_total",
                "events answered as received but not accepted, since their twin was",
                &["pixel"],
            )?,
            duplicates_entries: gauge(
                r,
                "duplicates_entries",
                "events the window of duplicates remembers",
            )?,
            duplicates_forgotten: counter(
                r,
                "duplicates_forgotten_total",
                "events the window of duplicates forgot early",
            )?,
            test_mode_active: {
                let opts = opts(
                    "test_mode_active",
                    "1 while the server holds a test code for events of the pixel",
                );
                keep(r, IntGaugeVec::new(opts, &["pixel"])?)?
            },
            test_events: counters(
                r,
                "test_events_total",
                "events accepted with a test code, copies included",
                &["pixel"],
            )?,
            delivered: counters(r, "delivered_total", "events Graph confirmed", &["pixel"])?,
            dead: counters(
                r,
                "dead_total",
                "events that became dead letters",
                &["pixel", "reason"],
            )?,
            dead_letters: gauge(r, "dead_letters", "dead letters that are kept")?,
            dead_letters_bytes: gauge(r, "dead_letters_bytes", "bytes of their files")?,
            dead_letters_oldest: gauge(
                r,
                "dead_letters_oldest_seconds",
                "seconds since the oldest dead letter died",
            )?,
            dead_letters_fill: gauge(
                r,
                "dead_letters_fill_percent",
                "how near the dead letters are to dead_max_bytes or dead_max_age; at 100 the oldest are purged",
            )?,
            dead_purged: counters(
                r,
                "dead_purged_total",
                "dead letters purged, by the bound that was reached, or by the operator",
                &["bound"],
            )?,
            dead_damaged: counter(
                r,
                "dead_damaged_total",
                "lines among the dead letters that are torn or damaged",
            )?,
            redriven: counters(
                r,
                "redriven_total",
                "dead letters put back into the journal; accepted again",
                &["pixel"],
            )?,
            batches: counters(
                r,
                "batches_total",
                "batches sent, by outcome",
                &["pixel", "outcome"],
            )?,
            batch_events: histogram(r, "batch_events", "events in a batch", BATCH)?,
            graph_seconds: histograms(
                r,
                "graph_seconds",
                "seconds Graph took to answer",
                &["outcome"],
            )?,
            graph_errors: counters(
                r,
                "graph_errors_total",
                "error answers of Graph",
                &["code", "subcode"],
            )?,
            graph_error_pairs: Arc::default(),
            graph_short: counters(
                r,
                "graph_short_total",
                "events missing from events_received in an answer of success",
                &["pixel"],
            )?,
            delivery_seconds: histogram(
                r,
                "delivery_seconds",
                "seconds from receipt to Graph's confirmation",
                AGE,
            )?,
            lanes: {
                let vec = IntGaugeVec::new(opts("lanes", "lanes by state"), &["state"])?;
                keep(r, vec)?
            },
            holds: {
                let opts = opts("holds", "what is held or throttled");
                keep(r, IntGaugeVec::new(opts, &["scope", "cause"])?)?
            },
            held_by_hand: {
                let opts = opts("held_by_hand", "1 while a person holds the pixel");
                keep(r, IntGaugeVec::new(opts, &["pixel"])?)?
            },
            bisections: counters(
                r,
                "bisections_total",
                "searches for bad events in a refused batch",
                &["pixel"],
            )?,
            bisection_requests: counters(
                r,
                "bisection_requests_total",
                "requests of searches for bad events",
                &["pixel"],
            )?,
            pace_factor: {
                let opts = opts(
                    "pace_factor",
                    "share of the configured pace a pixel goes at",
                );
                keep(r, GaugeVec::new(opts, &["pixel"])?)?
            },
            alerts: counters(
                r,
                "alerts_total",
                "alerts by channel, and whether they were sent, given up or held back",
                &["channel", "outcome"],
            )?,
            alerts_raised: gauge(r, "alerts_raised", "alerts that are raised now")?,
            token_expires: Rows::new(
                r,
                "token_expires_seconds",
                "seconds until a token expires, negative when it has",
                TOKEN,
            )?,
            token_data_access_expires: Rows::new(
                r,
                "token_data_access_expires_seconds",
                "seconds until the access to a person's data ends",
                TOKEN,
            )?,
            token_valid: Rows::new(r, "token_valid", "1 when Meta calls the token valid", TOKEN)?,
            token_last_used: Rows::new(
                r,
                "token_last_used_timestamp_seconds",
                "when Graph last took events with the token",
                TOKEN,
            )?,
            token_refreshes: counters(
                r,
                "token_refreshes_total",
                "refreshes of 60-day tokens, by outcome",
                &["outcome"],
            )?,
            vault_unreadable: gauge(r, "vault_unreadable", "1 while the vault cannot be read")?,
            receipts: gauge(
                r,
                "receipts",
                "entries by which the receipts of events are found",
            )?,
            receipts_bytes: gauge(r, "receipts_bytes", "bytes of the receipts' files")?,
            receipts_lost: counter(
                r,
                "receipts_lost_total",
                "endings of events that no receipt was kept of",
            )?,
            receipts_failed: gauge(r, "receipts_failed", "1 while receipts cannot be written")?,
            waiting: Rows::new(
                r,
                "waiting",
                "events that have not met their end, those on their way included",
                ["pixel"],
            )?,
            waiting_oldest: Rows::new(
                r,
                "waiting_oldest_seconds",
                "seconds since the oldest waiting event was received, 0 where none waits",
                ["pixel"],
            )?,
            issues: Rows::new(r, "issues", "groups of what goes wrong", ["state"])?,
            journal_records: gauge(
                r,
                "journal_records",
                "events in the journal that have not met their end",
            )?,
            journal_bytes: gauge(
                r,
                "journal_bytes",
                "payload bytes of the events in the journal",
            )?,
            journal_disk_bytes: gauge(
                r,
                "journal_disk_bytes",
                "bytes of all journal files, spare segments included",
            )?,
            journal_segments: gauge(r, "journal_segments", "segment files that hold records")?,
            journal_recovered: gauge(
                r,
                "journal_recovered",
                "events found in the journal at start",
            )?,
            journal_commits: counter(r, "journal_commits_total", "group commits made durable")?,
            journal_commit_seconds: histogram(
                r,
                "journal_commit_seconds",
                "seconds a group commit took, write and sync",
                LATENCY,
            )?,
            journal_evacuated: counter(
                r,
                "journal_evacuated_total",
                "records moved to the head of the log",
            )?,
            journal_corrupt: counter(
                r,
                "journal_corrupt_total",
                "damaged places found in the journal's files",
            )?,
            journal_leases_dropped: counter(
                r,
                "journal_leases_dropped_total",
                "leases dropped without being settled; a defect",
            )?,
            journal_poisoned: gauge(r, "journal_poisoned", "1 after a failed write or sync")?,
            registry,
        };
        let version = [env!("CARGO_PKG_VERSION")];
        metrics.build_info.with_label_values(&version).set(1);
        for reason in UNREADY {
            metrics.unready.with_label_values(&[*reason]).set(0);
        }
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(metrics)
    }

    /// Shows the counters of each pixel, and the gauge of each lane state, from the start at 0: a
    /// sum over a series that is not there yet would be nothing.
    pub fn expect_pixels(&self, pixels: impl Iterator<Item = String>) {
        for pixel in pixels {
            let pixel = pixel.as_str();
            for counter in [
                &self.accepted,
                &self.delivered,
                &self.graph_short,
                &self.bisections,
                &self.bisection_requests,
                &self.duplicates,
                &self.redriven,
                &self.test_events,
            ] {
                counter.with_label_values(&[pixel]).inc_by(0);
            }
            for reason in DEAD_REASONS {
                self.dead.with_label_values(&[pixel, *reason]).inc_by(0);
            }
            for policy in FILTER_POLICIES {
                self.filtered.with_label_values(&[pixel, *policy]).inc_by(0);
            }
            for policy in POLICIES_APPLIED {
                let applied = self.policy_applied.with_label_values(&[pixel, *policy]);
                applied.inc_by(0);
            }
            self.held_by_hand.with_label_values(&[pixel]).add(0);
            let factor = self.pace_factor.with_label_values(&[pixel]);
            // never 0 once it was set: a reload must not hide that a pixel is slow
            if factor.get() <= 0.0 {
                factor.set(1.0);
            }
        }
        for outcome in ["done", "failed"] {
            self.token_refreshes.with_label_values(&[outcome]).inc_by(0);
        }
        for state in LANE_STATES {
            self.lanes.with_label_values(&[*state]).add(0);
        }
        for bound in ["dead_max_bytes", "dead_max_age", "operator"] {
            self.dead_purged.with_label_values(&[bound]).inc_by(0);
        }
    }

    /// Counts an error answer of Graph. The first [`MAX_GRAPH_ERRORS`] pairs of code and subcode
    /// have series of their own and all others share one, so that whatever answers in Graph's
    /// place cannot make the page grow.
    pub fn graph_error(&self, code: i64, subcode: Option<i64>) {
        let mut pairs = self
            .graph_error_pairs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_named = pairs.contains(&(code, subcode))
            || (pairs.len() < MAX_GRAPH_ERRORS && pairs.insert((code, subcode)));
        drop(pairs);
        let (code, subcode) = if is_named {
            let subcode = subcode.map_or_else(|| "none".to_owned(), |subcode| subcode.to_string());
            (code.to_string(), subcode)
        } else {
            ("other".to_owned(), "other".to_owned())
        };
        self.graph_errors.with_label_values(&[code, subcode]).inc();
    }

    /// The page of `/metrics` in Prometheus' text format.
    pub fn page(&self) -> Result<String, prometheus::Error> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        String::from_utf8(page)
            .map_err(|_| prometheus::Error::Msg("a label is not UTF-8".to_owned()))
    }
}

/// Why a gateway should get no traffic.
pub const UNREADY: &[&str] = &["starting", "stopping", "journal_full", "journal_poisoned"];

/// The labels of a row about a token: its fingerprint, and where it is.
const TOKEN: [&str; 3] = ["pixel", "token", "slot"];

/// The states a lane can be in.
pub const LANE_STATES: &[&str] = &[
    "open",
    "backoff",
    "throttled",
    "probation",
    "held_by_hand",
    "held",
];

/// Why events become dead letters.
pub const DEAD_REASONS: &[&str] = &["expired", "refused", "too_large", "unconfirmed"];

/// The policies that keep events back.
pub const FILTER_POLICIES: &[&str] = &[
    "allow_events",
    "allow_hosts",
    "block_events",
    "block_hosts",
    "consent",
    "crawlers",
    "sample",
];

/// The policies that change or make events.
pub const POLICIES_APPLIED: &[&str] = &["edits", "fan_out", "limited_data_use", "rename_events"];

/// Pairs of code and subcode that are counted apart.
pub const MAX_GRAPH_ERRORS: usize = 200;

const LATENCY: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const AGE: &[f64] = &[
    0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3600.0, 7200.0, 86_400.0, 604_800.0,
];
const BATCH: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 750.0, 1000.0,
];

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("capigate")
}

fn keep<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    keep(registry, IntCounter::with_opts(opts(name, help))?)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    keep(registry, IntCounterVec::new(opts(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    keep(registry, IntGauge::with_opts(opts(name, help))?)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
) -> Result<Histogram, prometheus::Error> {
    let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
    keep(registry, Histogram::with_opts(opts)?)
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<HistogramVec, prometheus::Error> {
    let opts = HistogramOpts::from(opts(name, help)).buckets(LATENCY.to_vec());
    keep(registry, HistogramVec::new(opts, labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_does_not_hide_that_a_pixel_is_slow() {
        let metrics = Metrics::new().unwrap();
        let expect = || metrics.expect_pixels(["7".to_owned()].into_iter());
        let factor = metrics.pace_factor.with_label_values(&["7"]);
        expect();
        assert!((factor.get() - 1.0).abs() < f64::EPSILON);
        factor.set(0.25);
        expect();
        assert!((factor.get() - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn errors_of_a_hostile_graph_have_a_bounded_number_of_series() {
        let metrics = Metrics::new().unwrap();
        for code in 0..1000 {
            metrics.graph_error(code, None);
        }
        metrics.graph_error(7, None);
        let page = metrics.page().unwrap();
        let series = page
            .lines()
            .filter(|line| line.starts_with("capigate_graph_errors_total{"));
        assert_eq!(series.count(), MAX_GRAPH_ERRORS + 1);
        assert!(page.contains(r#"capigate_graph_errors_total{code="7",subcode="none"} 2"#));
        assert!(page.contains(r#"capigate_graph_errors_total{code="other",subcode="other"} 800"#));
    }

    #[test]
    fn two_gateways_count_apart() {
        let (one, two) = (Metrics::new().unwrap(), Metrics::new().unwrap());
        one.accepted.with_label_values(&["1"]).inc_by(3);
        two.accepted.with_label_values(&["1"]).inc();
        assert!(
            one.page()
                .unwrap()
                .contains("capigate_accepted_total{pixel=\"1\"} 3")
        );
        assert!(
            two.page()
                .unwrap()
                .contains("capigate_accepted_total{pixel=\"1\"} 1")
        );
    }
}
