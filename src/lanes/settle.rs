//! Where events meet their end: one function for those that are delivered, one for those that
//! become dead letters.

use std::sync::Arc;

use super::{Shared, once};
use crate::attempts::Attempt;
use crate::event::EncodedEvent;
use crate::graph::{Answer, Split};
use crate::journal::dead::{DeadLetter, Refusal};
use crate::journal::{LaneKey, Lease, Settlement, settle_all};
use crate::pixel::PixelId;
use crate::receipts::{self, Ending, MAX_ATTEMPTS, Outcome};
use crate::tail::{Row, Verdict};
use crate::{issues, traffic};

/// What the events are called, for their counts.
fn names(leases: &[Lease]) -> traffic::Ended<'_> {
    traffic::Ended::of(leases.iter().map(|lease| lease.event().head().event_name))
}

/// The last requests that carried any of these.
fn attempts(shared: &Shared, key: &LaneKey, leases: &[Lease]) -> Vec<receipts::Attempt> {
    let seqs = leases.iter().map(Lease::seq).collect();
    let kept = (shared.tools.attempts).of_events(key.pixel, seqs, MAX_ATTEMPTS);
    let attempt = |(one, of_batch): (Attempt, Option<u64>)| receipts::Attempt {
        at: one.at.0,
        outcome: one.outcome.into(),
        events: one.events,
        of_batch,
        code: one.code,
        subcode: one.subcode,
        trace_id: one.trace_id,
        took_ms: one.took_ms,
    };
    kept.into_iter().map(attempt).collect()
}

/// The dead letters could not be written; these are still leased.
#[derive(Debug)]
pub(super) struct NotWritten(pub(super) Vec<Lease>);

/// Why events are given up.
#[derive(Clone, Debug)]
pub(super) struct Death {
    /// The stable word; every one is in [`crate::telemetry::metrics::DEAD_REASONS`].
    pub(super) reason: &'static str,
    /// What Graph said.
    pub(super) refusal: Option<Refusal>,
}

impl Death {
    const UNCONFIRMED: &'static str = "unconfirmed";

    /// Too old to be sent.
    pub(super) fn expired() -> Self {
        Self {
            reason: Split::Expired.code(),
            refusal: None,
        }
    }

    /// Refused by itself.
    pub(super) fn refused(split: Split, answer: &Answer) -> Self {
        Self {
            reason: split.code(),
            refusal: Self::said(answer),
        }
    }

    /// Sent once, and nobody knows whether it arrived.
    pub(super) fn unconfirmed(answer: Option<&Answer>) -> Self {
        Self {
            reason: Self::UNCONFIRMED,
            refusal: answer.and_then(Self::said),
        }
    }

    fn counted(&self) -> traffic::Death {
        let refusal = self.refusal.as_ref();
        traffic::Death {
            reason: self.reason,
            code: refusal.map(|refusal| refusal.code),
            subcode: refusal.and_then(|refusal| refusal.subcode),
        }
    }

    fn seen(&self, pixel: PixelId, event: &EncodedEvent) -> issues::Seen {
        let refusal = self.refusal.as_ref();
        let (code, subcode) = (
            refusal.map(|refusal| refusal.code),
            refusal.and_then(|refusal| refusal.subcode),
        );
        let kind = issues::Kind {
            pixel,
            place: match code {
                Some(_) => issues::Place::Meta,
                None => issues::Place::Lane,
            },
            word: self.reason.into(),
            code,
            subcode,
            path: code
                .map_or("", |code| EncodedEvent::blamed(code, subcode))
                .into(),
        };
        issues::Seen {
            kind,
            events: 1,
            event_id: event.head().event_id.map(Into::into),
            money: event.money(),
        }
    }

    fn said(answer: &Answer) -> Option<Refusal> {
        let error = answer.error.as_ref()?;
        let message = error.message.as_ref().or(error.title.as_ref());
        Some(Refusal {
            code: error.code,
            subcode: error.subcode,
            message: message.map(ToString::to_string),
            trace_id: answer.trace_id.as_ref().map(ToString::to_string),
        })
    }
}

/// Graph has confirmed the events of one request; it says to have `received` so many.
pub(super) async fn delivered(
    shared: &Arc<Shared>,
    key: &LaneKey,
    leases: Vec<Lease>,
    received: u64,
    answer: &Answer,
) {
    let noted = once::noted(shared, key, &leases);
    let attempts = attempts(shared, key, &leases);
    let ended: Vec<EncodedEvent> = leases.iter().map(|lease| lease.event().clone()).collect();
    if shared.tools.duplicates.covers(key.class) {
        // durable before the journal forgets them
        let (duplicates, events) = (shared.tools.duplicates.clone(), ended.clone());
        let lane = key.clone();
        let job = move || duplicates.delivered(&lane, events.iter());
        let _stopping = tokio::task::spawn_blocking(job).await;
    }
    shared.tools.receipts.note(Ending {
        pixel: key.pixel,
        at: shared.tools.clock.now(),
        outcome: Outcome::Delivered {
            trace_id: answer.trace_id.as_ref().map(ToString::to_string),
            received,
        },
        batch_events: ended.len(),
        events: ended.into_iter().map(Into::into).collect(),
        attempts,
    });
    let metrics = &shared.tools.metrics;
    let pixel = key.pixel.to_string();
    let sent = leases.len() as u64;
    let now = shared.tools.clock.now();
    for lease in &leases {
        metrics
            .delivery_seconds
            .observe(now.since(lease.received_at()).as_secs_f64());
    }
    metrics.delivered.with_label_values(&[&pixel]).inc_by(sent);
    let traffic = &shared.tools.traffic;
    traffic.delivered(key.pixel, &names(&leases));
    tell(shared, key, &leases, Verdict::Delivered, None);
    settle_all(leases, Settlement::Delivered);
    once::end(shared, noted);
    if received < sent {
        // nothing says which events are missing, and sending all again would double the others
        metrics
            .graph_short
            .with_label_values(&[&pixel])
            .inc_by(sent - received);
        tracing::warn!(pixel.id = %pixel, batch.events = sent, graph.received = received, "graph counted fewer events than were sent");
    }
}

/// Makes dead letters of events: durable first, settled then. Blocks on the disk.
pub(super) fn bury(
    shared: &Shared,
    key: &LaneKey,
    leases: Vec<Lease>,
    death: &Death,
) -> Result<(), NotWritten> {
    if leases.is_empty() {
        return Ok(());
    }
    let (pixel, reason, count) = (key.pixel.to_string(), death.reason, leases.len());
    let dead_at = shared.tools.clock.now();
    let letters: Vec<DeadLetter> = leases
        .iter()
        .map(|lease| DeadLetter {
            lane: key.clone(),
            event: lease.event().clone(),
            seq: lease.seq(),
            received_at: lease.received_at(),
            expires_at: lease.expires_at(),
            dead_at,
            reason,
            refusal: death.refusal.clone(),
        })
        .collect();
    if let Err(error) = shared.tools.dead.append(&letters) {
        tracing::error!(pixel.id = %pixel, batch.events = count, reason, error = %error, "dead letters cannot be written");
        return Err(NotWritten(leases));
    }
    tracing::warn!(pixel.id = %pixel, batch.events = count, reason, "events became dead letters");
    shared
        .tools
        .metrics
        .dead
        .with_label_values(&[pixel.as_str(), reason])
        .inc_by(count as u64);
    shared
        .tools
        .traffic
        .dead(key.pixel, death.counted(), &names(&leases));
    let issue = |lease: &Lease| death.seen(key.pixel, lease.event());
    (shared.tools.issues).note_at(leases.iter().map(issue), dead_at);
    tell(shared, key, &leases, Verdict::Dead, Some(reason));
    let events = leases.iter().map(Lease::event);
    if death.reason == Death::UNCONFIRMED {
        // Graph may have taken them
        shared.tools.duplicates.delivered(key, events);
    } else {
        shared.tools.duplicates.forget(key, events);
    }
    shared.tools.receipts.note(Ending {
        pixel: key.pixel,
        at: dead_at,
        outcome: Outcome::Dead {
            reason,
            code: death.refusal.as_ref().map(|refusal| refusal.code),
            subcode: death.refusal.as_ref().and_then(|refusal| refusal.subcode),
            trace_id: death
                .refusal
                .as_ref()
                .and_then(|refusal| refusal.trace_id.clone()),
        },
        batch_events: count,
        events: (leases.iter())
            .map(|lease| lease.event().clone().into())
            .collect(),
        attempts: attempts(shared, key, &leases),
    });
    settle_all(leases, Settlement::Dead);
    Ok(())
}

/// Gives back those that are no dead letters yet. A crash came between writing the letters of the
/// others and noting that they are dead.
pub(super) fn without_buried(shared: &Shared, key: &LaneKey, leases: Vec<Lease>) -> Vec<Lease> {
    let tools = &shared.tools;
    let (mut buried, mut rest) = (Vec::new(), Vec::with_capacity(leases.len()));
    for lease in leases {
        let Some(reason) = tools.dead.buried(lease.seq(), lease.received_at()) else {
            rest.push(lease);
            continue;
        };
        let pixel = key.pixel.to_string();
        tools
            .metrics
            .dead
            .with_label_values(&[&*pixel, reason])
            .inc();
        if reason != Death::UNCONFIRMED {
            let event = std::iter::once(lease.event());
            tools.duplicates.forget(key, event);
        }
        buried.push(lease);
    }
    settle_all(buried, Settlement::Dead);
    rest
}

/// The same, where blocking is not allowed.
pub(super) async fn bury_aside(
    shared: &Arc<Shared>,
    key: &LaneKey,
    leases: Vec<Lease>,
    death: Death,
) -> Result<(), NotWritten> {
    let (shared, key) = (Arc::clone(shared), key.clone());
    let job = move || bury(&shared, &key, leases, &death);
    match tokio::task::spawn_blocking(job).await {
        Ok(result) => result,
        // the job does not panic; if it ever did, its leases went back to the journal
        Err(_) => Err(NotWritten(Vec::new())),
    }
}

/// Says it to whoever looks at what happens.
fn tell(
    shared: &Shared,
    key: &LaneKey,
    leases: &[Lease],
    verdict: Verdict,
    reason: Option<&'static str>,
) {
    let tools = &shared.tools;
    if !tools.tail.is_watched() {
        return;
    }
    let now = tools.clock.now();
    for lease in leases {
        let (event, head) = (lease.event(), lease.event().head());
        tools.tail.tell(Row {
            at: now,
            pixel: key.pixel,
            event_name: head.event_name.into_owned(),
            event_id: head.event_id.map(Into::into),
            source: None,
            keys: event.keys(),
            verdict,
            reason,
            latency_ms: now.since(lease.received_at()).as_millis() as u64,
        });
    }
}

/// Nothing was decided.
pub(super) fn give_back(leases: Vec<Lease>) {
    settle_all(leases, Settlement::Returned);
}
