//! Sends one batch, settles it, and says what the lane should do next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::graph::{Answer, Verdict};
use crate::journal::{LaneKey, Lease, Settlement, settle_all};

use super::Shared;
use super::snapshot::HeldBy;

/// A place among the batches in flight, of the pixel and of the gateway.
pub(super) struct Permits {
    pub(super) _pixel: OwnedSemaphorePermit,
    pub(super) _all: OwnedSemaphorePermit,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Delivered,
    Backoff(Option<Duration>),
    Held(HeldBy),
}

pub(super) async fn send(
    shared: Arc<Shared>,
    key: LaneKey,
    leases: Vec<Lease>,
    permits: Permits,
) -> Sent {
    let pixel = key.pixel.to_string();
    let Some(credential) = shared.tools.tokens.get(key.pixel) else {
        settle_all(leases, Settlement::Returned);
        return Sent::Held(HeldBy::NoToken);
    };
    let options = key.options.to_stored();
    let events = leases.iter().map(Lease::event);
    let started = Instant::now();
    let answer = shared
        .tools
        .graph
        .send(
            key.pixel,
            &credential.token,
            credential.app_secret.as_ref(),
            events,
            &options,
        )
        .await;
    drop(permits);
    count(&shared, &pixel, &answer, leases.len(), started.elapsed());

    match answer.verdict {
        Verdict::Delivered { received } => {
            delivered(&shared, &pixel, leases, received);
            Sent::Delivered
        }
        Verdict::Transient(_, wait) => {
            settle_all(leases, Settlement::Returned);
            Sent::Backoff(wait)
        }
        Verdict::Throttled(throttle) => {
            settle_all(leases, Settlement::Returned);
            Sent::Backoff(throttle.wait)
        }
        Verdict::Hold(hold) => {
            settle_all(leases, Settlement::Returned);
            Sent::Held(HeldBy::Graph(hold.cause))
        }
        Verdict::Split(_) => {
            settle_all(leases, Settlement::Returned);
            Sent::Held(HeldBy::Refused)
        }
    }
}

fn delivered(shared: &Shared, pixel: &str, leases: Vec<Lease>, received: u64) {
    let metrics = &shared.tools.metrics;
    let sent = leases.len() as u64;
    let now = shared.tools.clock.now();
    for lease in &leases {
        metrics
            .delivery_seconds
            .observe(now.since(lease.received_at()).as_secs_f64());
    }
    metrics.delivered.with_label_values(&[pixel]).inc_by(sent);
    settle_all(leases, Settlement::Delivered);
    if received < sent {
        // nothing says which events are missing, and sending all again would double the others
        metrics
            .graph_short
            .with_label_values(&[pixel])
            .inc_by(sent - received);
        tracing::warn!(pixel.id = %pixel, batch.events = sent, graph.received = received, "graph counted fewer events than were sent");
    }
}

fn count(shared: &Shared, pixel: &str, answer: &Answer, events: usize, took: Duration) {
    let metrics = &shared.tools.metrics;
    let outcome = answer.verdict.outcome();
    metrics.batches.with_label_values(&[pixel, outcome]).inc();
    metrics.batch_events.observe(events as f64);
    metrics
        .graph_seconds
        .with_label_values(&[outcome])
        .observe(took.as_secs_f64());
    let code = answer.error.as_ref().map(ToString::to_string);
    if let Some(error) = &answer.error {
        let subcode = error
            .subcode
            .map_or_else(|| "none".to_owned(), |subcode| subcode.to_string());
        metrics
            .graph_errors
            .with_label_values(&[error.code.to_string().as_str(), subcode.as_str()])
            .inc();
    }
    let trace = answer.trace_id.as_ref().map(ToString::to_string);
    let duration_ms = took.as_millis() as u64;
    let (code, trace) = (code.as_deref(), trace.as_deref());
    match &answer.verdict {
        Verdict::Delivered { .. } => {
            tracing::info!(pixel.id = %pixel, batch.events = events, graph.trace_id = trace, duration_ms, "batch delivered");
        }
        Verdict::Transient(cause, _) => {
            tracing::warn!(pixel.id = %pixel, batch.events = events, graph.code = code, graph.trace_id = trace, cause = cause.code(), duration_ms, "batch failed, it will be sent again");
        }
        Verdict::Throttled(_) => {
            tracing::warn!(pixel.id = %pixel, batch.events = events, graph.code = code, graph.trace_id = trace, duration_ms, "graph asks for a slower pace");
        }
        Verdict::Hold(hold) => {
            let advice = HeldBy::Graph(hold.cause).advice();
            tracing::error!(pixel.id = %pixel, batch.events = events, graph.code = code, graph.trace_id = trace, cause = hold.cause.code(), advice, duration_ms, "batch refused, its lane is held");
        }
        Verdict::Split(split) => {
            let advice = HeldBy::Refused.advice();
            tracing::error!(pixel.id = %pixel, batch.events = events, graph.code = code, graph.trace_id = trace, cause = split.code(), advice, duration_ms, "batch refused, its lane is held");
        }
    }
}
