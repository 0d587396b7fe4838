//! `POST /search`: events by what somebody knows of them, whether they are kept in full or have a
//! receipt.
//!
//! What is asked for comes in the body, never in an address that a log or a browser's history would
//! keep. An e-mail address is hashed first thing; it is not kept, logged or answered.

use axum::body::Body;
use serde::Serialize;
use serde_json::Value;

use super::Inner;
use super::call::{Call, Members};
use super::events;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use crate::attempts::Attempts;
use crate::event::{EmailError, EncodedEvent, Wanted};
use crate::journal::dead::{Shown, masked};
use crate::receipts::{Receipt, State};
use crate::text::counted;

/// Events that are shown, of the journal, of the dead letters and of the receipts each.
pub(super) const MAX_SHOWN: usize = 50;
/// Bytes of what is looked for.
const MAX_TEXT: usize = 1024;

/// What was found.
#[derive(Default, Serialize)]
pub(super) struct Matches {
    /// What was searched, in a sentence.
    pub(super) searched: String,
    /// In the journal.
    pub(super) waiting: Vec<Kept>,
    /// Dead letters, the newest first.
    pub(super) dead: Vec<Kept>,
    /// Those that have ended and are not among the dead letters any more, the newest first.
    pub(super) ended: Vec<Receipt>,
    /// Whether there are others that are not shown.
    pub(super) more: bool,
}

/// An event that is kept in full.
#[derive(Serialize)]
pub(super) struct Kept {
    /// Where it stands, and what is known of its end.
    #[serde(flatten)]
    pub(super) receipt: Receipt,
    /// The id of its dead letter.
    pub(super) letter: Option<String>,
    /// What Graph said of it.
    pub(super) message: Option<String>,
    /// The event; of `user_data` no more than the beginnings of digests.
    pub(super) event: Value,
}

/// `POST /search`.
pub(super) fn search(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let mut members = Members::of_body(Body::from(call.body)).await?;
        let wanted = wanted(&mut members)?;
        members.end()?;
        let place = call.admin.0.places.take()?;
        let admin = call.admin;
        let found = beside(move || {
            let _place = place;
            look(&admin.0, &wanted)
        });
        Ok(Reply::ok(&found.await??))
    })
}

fn wanted(members: &mut Members) -> Result<Wanted, Problem> {
    let one_of = "send one of event_id, order_id and email";
    let given = [
        members.text("event_id")?,
        members.text("order_id")?,
        members.text("email")?,
    ];
    if given.iter().flatten().any(|text| text.len() > MAX_TEXT) {
        return Err(Problem::bad(
            "the body",
            format!("send at most {MAX_TEXT} bytes"),
        ));
    }
    match given {
        [Some(id), None, None] => Ok(Wanted::event_id(&id)),
        [None, Some(id), None] => Ok(Wanted::order_id(&id)),
        [None, None, Some(address)] => by_email(&address),
        _ => Err(Problem::bad("the body", one_of)),
    }
}

/// By an address, which is not told again.
pub(super) fn by_email(address: &str) -> Result<Wanted, Problem> {
    Wanted::email(address).map_err(|error: EmailError| Problem::bad("email", error.to_string()))
}

/// Searches what is kept in full, and the receipts. Blocks.
pub(super) fn look(inner: &Inner, wanted: &Wanted) -> Result<Matches, Problem> {
    let needle = wanted.needle();
    let has = |json: &[u8]| wanted.has(json);
    let most = MAX_SHOWN + 1;
    // the journal first: an event that dies meanwhile is then found twice, not never
    let waiting = inner.journal.search(needle.as_bytes(), &has, most);
    let waiting = waiting.map_err(|error| events::failed("journal_io", &error))?;
    let dead = inner.dead.search(needle.as_bytes(), &has, most);
    let dead = dead.map_err(|error| events::failed(error.code(), &error))?;
    let ended = inner.receipts.find_wanted(wanted, most);
    let mut ended = ended.map_err(|error| events::failed(error.code(), &error))?;
    let more = [waiting.len(), dead.len(), ended.len()]
        .iter()
        .any(|count| *count > MAX_SHOWN);
    ended.truncate(MAX_SHOWN);
    let is_letter = |ended: &Receipt| {
        let of = |one: &Shown| (one.letter.pixel, Some(one.letter.dead_at.0));
        ended.state == State::Dead && dead.iter().any(|one| of(one) == (ended.pixel, ended.at))
    };
    if wanted.as_event_id().is_none() {
        ended.retain(|one| !is_letter(one));
    }
    let states = events::states(inner);
    let searched = format!(
        "the {} in the journal, the {}, and {}",
        counted(inner.journal.depth().records, "event"),
        counted(inner.dead.count(), "dead letter"),
        receipts_searched(inner, wanted),
    );
    let waiting = waiting.into_iter().take(MAX_SHOWN).map(|found| {
        let event = found.event.clone();
        let receipt = events::standing(found, &states, &inner.attempts);
        Kept::waiting(receipt, &event)
    });
    Ok(Matches {
        searched,
        waiting: waiting.collect(),
        dead: dead
            .into_iter()
            .take(MAX_SHOWN)
            .map(|one| Kept::dead(one, &inner.attempts))
            .collect(),
        ended,
        more,
    })
}

/// Which receipts a search can find.
fn receipts_searched(inner: &Inner, wanted: &Wanted) -> String {
    let config = &inner.in_force().config;
    let receipts = &config.receipts;
    if !receipts.enabled {
        return "no receipts, since they are off (receipts.enabled)".to_owned();
    }
    if wanted.as_event_id().is_none() && !receipts.by_keys {
        return "no receipts, since they know the event_id only (receipts.by_keys)".to_owned();
    }
    format!("the receipts of the last {}", receipts.keep)
}

impl Kept {
    fn waiting(receipt: Receipt, event: &EncodedEvent) -> Self {
        Self {
            receipt,
            letter: None,
            message: None,
            event: value(&masked(event)),
        }
    }

    fn dead(shown: Shown, attempts: &Attempts) -> Self {
        let letter = shown.letter;
        let tried = shown
            .seq
            .map(|seq| events::tried(attempts, letter.pixel, seq));
        let receipt = Receipt {
            event_id: letter.event_id,
            event_name: Some(letter.event_name),
            at: Some(letter.dead_at.0),
            trace_id: letter.trace_id,
            reason: Some(letter.reason),
            code: letter.code,
            subcode: letter.subcode,
            received_at: Some(letter.received_at.0),
            expires_at: Some(letter.expires_at.0),
            changes: shown.changes,
            attempts: tried.unwrap_or_default(),
            ..Receipt::new(letter.pixel, State::Dead)
        };
        Self {
            receipt,
            letter: Some(letter.id.to_string()),
            message: letter.message,
            event: value(shown.event.get()),
        }
    }
}

/// A masked event.
fn value(masked: &str) -> Value {
    serde_json::from_str(masked).unwrap_or_default()
}
