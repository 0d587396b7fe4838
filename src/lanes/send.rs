//! Sends one batch, settles it or starts a search in it, and says what the lane should know.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::field::{Empty, display};

use super::circuits::Heard;
use super::gate::{Gate, Passage};
use super::once;
use super::places::Place;
use super::search::Search;
use super::settle::{self, Death, NotWritten};
use super::snapshot::{HeldBy, Seen};
use super::{Shared, Tools};
use crate::attempts::{Attempt, Carried};
use crate::graph::verdict::UNKNOWN_TRIES;
use crate::graph::{Answer, Cause, Hold, Scope, Transient, Verdict};
use crate::journal::{LaneKey, Lease};
use crate::telemetry::SPANS;
use crate::tokens::{LastError, Refused, TokenKey};

/// One to a thousand events of one lane, and the right to send them.
pub(super) struct Batch {
    pub(super) leases: Vec<Lease>,
    pub(super) passage: Passage,
    /// The right to search in it, if that was waited for.
    pub(super) search: Option<Place>,
    /// How often in a row Graph did not know what was wrong with a batch of these events.
    pub(super) tries: HashMap<u64, u32>,
}

/// What a batch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Every event has met its end.
    Done,
    /// Events went back to the journal.
    Again(Again),
    /// Something stops this lane and no other; what it is about is back in the journal.
    Stuck(HeldBy),
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// A circuit got in the way.
    Circuit,
    /// It could not be noted that the events are about to be sent.
    Intents,
}

/// What to know about a batch when it is sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Again {
    /// As [`Batch::tries`]: by event, since the next batch may be made of others.
    pub(super) tries: HashMap<u64, u32>,
    /// It was refused, while the pixel's other searches were not done.
    pub(super) needs_search: bool,
}

/// What sending takes, beside the batch.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) key: LaneKey,
    pub(super) gate: Gate,
}

impl Sender {
    pub(super) async fn send(self, batch: Batch) -> Sent {
        let Batch {
            leases,
            passage,
            search,
            tries,
        } = batch;
        let give_back = |leases, again| {
            settle::give_back(leases);
            Sent::Again(again)
        };
        let worst = tries.values().max().copied().unwrap_or_default();
        let patient = worst + 1 < UNKNOWN_TRIES;
        let events: Vec<&Lease> = leases.iter().collect();
        let answer = match self.exchange(&events, passage, patient).await {
            Ok(answer) => answer,
            Err(Unsent::Circuit) => return give_back(leases, Again::default()),
            Err(Unsent::Intents) => {
                settle::give_back(leases);
                return Sent::Stuck(HeldBy::Intents);
            }
        };
        let once_more = |lease: &Lease| {
            let before = tries.get(&lease.seq()).copied().unwrap_or_default();
            (lease.seq(), before.saturating_add(1))
        };
        match answer.verdict {
            Verdict::Delivered { received } => {
                settle::delivered(&self.shared, &self.key, leases, received, &answer).await;
                Sent::Done
            }
            Verdict::Transient(Transient::Unknown, _) if patient || leases.len() == 1 => {
                if !patient {
                    // with nothing to compare it to, it may as well be downtime
                    self.shared.circuits.fail(self.key.pixel);
                }
                let again = Again {
                    tries: leases.iter().map(once_more).collect(),
                    needs_search: false,
                };
                give_back(leases, again)
            }
            Verdict::Transient(cause, _) if self.must_not_repeat(cause) => {
                self.bury_unconfirmed(leases, &answer).await
            }
            Verdict::Split(split) if leases.len() == 1 => {
                let death = Death::refused(split, &answer);
                match settle::bury_aside(&self.shared, &self.key, leases, death).await {
                    Ok(()) => Sent::Done,
                    Err(NotWritten(leases)) => {
                        settle::give_back(leases);
                        Sent::Stuck(HeldBy::DeadLetters)
                    }
                }
            }
            Verdict::Split(_) | Verdict::Transient(Transient::Unknown, _) => {
                let Some(place) = search.or_else(|| self.gate.pace.searches.try_take()) else {
                    let again = Again {
                        tries,
                        needs_search: true,
                    };
                    return give_back(leases, again);
                };
                Search::new(self, leases, place).run(answer).await
            }
            Verdict::Transient(..) | Verdict::Throttled(_) | Verdict::Hold(_) => {
                give_back(leases, Again::default())
            }
        }
    }

    /// One request and its answer.
    /// `patient`: that Graph does not know what is wrong is taken for its own trouble.
    pub(super) async fn exchange(
        &self,
        events: &[&Lease],
        passage: Passage,
        patient: bool,
    ) -> Result<Answer, Unsent> {
        let Passage { ticket, places } = passage;
        if !ticket.is_current() {
            return Err(Unsent::Circuit);
        }
        let Some(noted) = once::begin(&self.shared, &self.key, events).await else {
            // the ticket goes back unused: another lane may be the one that probes
            return Err(Unsent::Intents);
        };
        let tools = &self.shared.tools;
        let started = Instant::now();
        let span = tracing::info_span!(
            target: SPANS,
            "batch",
            otel.kind = "client",
            pixel.id = %self.key.pixel,
            batch.events = events.len(),
            outcome = Empty,
            graph.trace_id = Empty,
        );
        let credential = Arc::clone(ticket.credential());
        let answer = tools
            .graph
            .send(
                self.key.pixel,
                &credential.token,
                credential.app_secret.as_ref(),
                events.iter().map(|lease| lease.event()),
                &self.key.options.to_stored(),
            )
            .await;
        drop(places);
        span.record("outcome", answer.verdict.outcome());
        if let Some(trace) = &answer.trace_id {
            span.record("graph.trace_id", display(trace));
        }
        drop(span);
        self.count(&answer, events, started.elapsed());
        ticket.report(&heard(&answer, patient), &answer.usage);
        self.judge_token(credential.token_key(), &answer, events.len());
        once::heard(&self.shared, noted, &answer.verdict).await;
        Ok(answer)
    }

    /// Counts for the token, and passes on what Graph says against or for it: a pixel whose token is
    /// refused goes on with its next one, if it has one.
    fn judge_token(&self, token: TokenKey, answer: &Answer, events: usize) {
        let Tools { tokens, clock, .. } = &self.shared.tools;
        let pixel = self.key.pixel;
        if let Some(error) = &answer.error {
            let error = LastError {
                at: clock.now(),
                code: error.code,
                subcode: error.subcode,
            };
            tokens.failed(token, error);
        }
        if let Verdict::Delivered { .. } = answer.verdict {
            tokens.sent(token, pixel, events as u64, clock.now());
            return tokens.accept(pixel, token);
        }
        // a proxy's word is no verdict on a token, nor is trouble that passes
        if answer.error.as_ref().is_none_or(|error| error.transient) {
            return;
        }
        let refused = match &answer.verdict {
            Verdict::Hold(Hold {
                scope: Scope::Token,
                ..
            }) => Refused { token, pixel: None },
            Verdict::Hold(Hold {
                cause: Cause::Permission,
                ..
            }) => Refused {
                token,
                pixel: Some(pixel),
            },
            _ => return,
        };
        if tokens.refuse(refused) {
            let now = tokens.get(pixel).map(|other| other.token_key().to_string());
            tracing::warn!(pixel.id = %pixel, token.refused = %token, token.now = now, "graph refuses the token, its pixels go on with their next one");
        }
    }

    /// Whether an answer that leaves open if the batch was taken must not lead to a second try.
    pub(super) fn must_not_repeat(&self, cause: Transient) -> bool {
        cause.is_ambiguous() && once::applies(&self.shared, &self.key)
    }

    /// Gives up events that may have arrived. They must not be sent again, so they are not given
    /// back before they are written, unless the gateway stops.
    pub(super) async fn bury_unconfirmed(&self, mut leases: Vec<Lease>, answer: &Answer) -> Sent {
        let seqs: Vec<u64> = leases.iter().map(Lease::seq).collect();
        loop {
            let death = Death::unconfirmed(Some(answer));
            match settle::bury_aside(&self.shared, &self.key, leases, death).await {
                Ok(()) => {
                    once::end(&self.shared, seqs);
                    return Sent::Done;
                }
                Err(NotWritten(kept)) => leases = kept,
            }
            tokio::select! {
                () = sleep(self.shared.settings().probe_interval) => {}
                () = self.shared.stop.cancelled() => {
                    settle::give_back(leases);
                    return Sent::Stuck(HeldBy::DeadLetters);
                }
            }
        }
    }

    fn count(&self, answer: &Answer, leases: &[&Lease], took: Duration) {
        let events = leases.len();
        let metrics = &self.shared.tools.metrics;
        let pixel = self.key.pixel.to_string();
        let outcome = answer.verdict.outcome();
        metrics.batches.with_label_values(&[&*pixel, outcome]).inc();
        metrics.batch_events.observe(events as f64);
        metrics
            .graph_seconds
            .with_label_values(&[outcome])
            .observe(took.as_secs_f64());
        let code = answer.error.as_ref().map(ToString::to_string);
        if let Some(error) = &answer.error {
            metrics.graph_error(error.code, error.subcode);
        }
        let trace = answer.trace_id.as_ref().map(ToString::to_string);
        let attempt = Attempt {
            at: self.shared.tools.clock.now(),
            events: events as u64,
            outcome,
            code: answer.error.as_ref().map(|error| error.code),
            subcode: answer.error.as_ref().and_then(|error| error.subcode),
            trace_id: trace.clone(),
            took_ms: took.as_millis() as u64,
            carried: Carried::of(leases.iter().map(|lease| lease.seq())),
        };
        let is_delivered = matches!(answer.verdict, Verdict::Delivered { .. });
        (self.shared.tools.attempts).note(self.key.pixel, attempt, is_delivered);
        let duration_ms = took.as_millis() as u64;
        let (code, trace) = (code.as_deref(), trace.as_deref());
        let (cause, message) = match &answer.verdict {
            Verdict::Delivered { .. } => {
                tracing::info!(pixel.id = %pixel, batch.events = events, graph.trace_id = trace, duration_ms, "batch delivered");
                return;
            }
            Verdict::Transient(cause, _) => (cause.code(), "batch failed, it will be sent again"),
            Verdict::Throttled(throttle) => (throttle.scope.code(), "graph asks for a slower pace"),
            Verdict::Hold(hold) => (hold.cause.code(), "batch refused, it will wait"),
            Verdict::Split(split) => (split.code(), "batch refused, it will be searched"),
        };
        tracing::warn!(pixel.id = %pixel, batch.events = events, graph.code = code, graph.trace_id = trace, cause, duration_ms, message);
    }
}

/// What an answer says to the circuits.
fn heard(answer: &Answer, patient: bool) -> Heard {
    match &answer.verdict {
        Verdict::Delivered { .. } => Heard::Delivered,
        // but for a size, only Graph's own error refuses events
        Verdict::Split(_) => Heard::Refused,
        Verdict::Transient(Transient::Unknown, _) if !patient => Heard::Nothing,
        Verdict::Transient(_, wait) => Heard::Transient(*wait),
        Verdict::Throttled(throttle) => Heard::Throttled(*throttle, Seen::of(answer)),
        Verdict::Hold(hold) => Heard::Hold(*hold, Seen::of(answer)),
    }
}
