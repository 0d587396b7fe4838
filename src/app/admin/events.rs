//! `GET /events/{event_id}`: where an event stands, from its receipts and from the journal.

use std::collections::BTreeMap;

use serde::Serialize;

use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use super::{Admin, Inner};
use crate::attempts::Attempts;
use crate::journal::{Found, LaneKey};
use crate::lanes::Lanes;
use crate::lanes::snapshot::{BY_HAND, HELD, LaneSnapshot};
use crate::pixel::PixelId;
use crate::receipts::{self, MAX_ATTEMPTS, Receipt, State, gathered};

/// Bytes of an id that is looked for.
const MAX_ID: usize = 1024;
/// Events of one id that are shown, of the journal and of the receipts each.
const MAX_SHOWN: usize = 100;
/// What to think of an id that nothing is known of, without and with receipts.
const UNKNOWN: [&str; 2] = [
    "receipts are off (receipts.enabled), so only events that wait in the journal are known",
    "it was never accepted here (then the answer to its request says why), or its end is longer ago than receipts.keep",
];

/// What is known of the events with one id.
#[derive(Serialize)]
pub(super) struct Answer {
    pub(super) event_id: String,
    /// Those still in the journal first, then by the time of their end, newest first.
    pub(super) events: Vec<Receipt>,
    /// Whether there are others that are not shown.
    pub(super) more: bool,
}

/// `GET /events/{event_id}`.
pub(super) fn find(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let event_id = call.id;
        if event_id.is_empty() || event_id.len() > MAX_ID {
            let next = format!("send 1 to {MAX_ID} bytes, percent-encoded where need be");
            return Err(Problem::bad("the event id", next));
        }
        Ok(Reply::ok(&known(&call.admin, event_id).await?))
    })
}

/// What is known of the events with this id, from the journal and the receipts.
pub(super) async fn known(admin: &Admin, event_id: String) -> Result<Answer, Problem> {
    let place = admin.0.places.take()?;
    let next = UNKNOWN[usize::from(admin.0.in_force().config.receipts.enabled)];
    let admin = admin.clone();
    let found = beside(move || {
        let _place = place;
        let inner = &admin.0;
        // the journal first: an event that ends meanwhile is then found twice, not never
        let waiting = inner.journal.find(&event_id, MAX_SHOWN + 1);
        let ended = inner.receipts.find(&event_id, MAX_SHOWN + 1);
        (
            event_id,
            waiting,
            ended,
            states(inner),
            inner.attempts.clone(),
        )
    });
    let (event_id, waiting, ended, states, attempts) = found.await?;
    let waiting = waiting.map_err(|error| failed("journal_io", &error))?;
    let ended = ended.map_err(|error| failed(error.code(), &error))?;
    let more = waiting.len().max(ended.len()) > MAX_SHOWN;
    let mut events: Vec<Receipt> = waiting
        .into_iter()
        .take(MAX_SHOWN)
        .map(|found| standing(found, &states, &attempts))
        .collect();
    events.extend(ended.into_iter().take(MAX_SHOWN));
    let events = gathered(events);
    if events.is_empty() {
        return Err(Problem::not_found("no event with this id is known", next));
    }
    Ok(Answer {
        event_id,
        events,
        more,
    })
}

/// What each lane does now.
pub(super) fn states(inner: &Inner) -> BTreeMap<LaneKey, LaneSnapshot> {
    let states = inner.lanes.get().map(Lanes::states).unwrap_or_default();
    BTreeMap::from_iter(states)
}

/// An event of the journal, by the state of its lane.
pub(super) fn standing(
    found: Found,
    lanes: &BTreeMap<LaneKey, LaneSnapshot>,
    attempts: &Attempts,
) -> Receipt {
    let lane = lanes.get(&found.lane);
    let state = match lane.map(|lane| lane.state) {
        _ if found.leased => State::InFlight,
        Some(HELD | BY_HAND) => State::Held,
        Some("backoff" | "probation") => State::Backoff,
        Some("throttled") => State::Throttled,
        _ => State::Waiting,
    };
    let reason = lane
        .and_then(|lane| lane.reason)
        .filter(|_| state == State::Held);
    Receipt {
        event_id: found.event.head().event_id.map(Into::into),
        event_name: Some(found.event_name),
        received_at: Some(found.received_at.0),
        expires_at: Some(found.expires_at.0),
        reason: reason.map(ToString::to_string),
        changes: found.event.changes().fields(),
        attempts: tried(attempts, found.lane.pixel, found.seq),
        ..Receipt::new(found.lane.pixel, state)
    }
}

/// The last requests that carried an event of the journal, as far as they are known.
pub(super) fn tried(attempts: &Attempts, pixel: PixelId, seq: u64) -> Vec<receipts::Attempt> {
    let all = attempts.of_event(pixel, seq).into_iter();
    all.take(MAX_ATTEMPTS)
        .map(|one| receipts::Attempt {
            at: one.at.0,
            outcome: one.outcome.into(),
            events: one.events,
            of_batch: None,
            code: one.code,
            subcode: one.subcode,
            trace_id: one.trace_id,
            took_ms: one.took_ms,
        })
        .collect()
}

pub(super) fn failed(code: &'static str, error: &dyn std::error::Error) -> Problem {
    tracing::error!(code, error = %error, "an event could not be looked up");
    Problem::failed(code, "check the disk of journal.dir; the log says more")
}
