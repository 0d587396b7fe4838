//! What happened to one event, step by step.

use super::super::super::issues;
use super::super::super::search::Kept;
use super::super::words::{Moment, count, counted, time};
use crate::event::FieldChange;
use crate::receipts::{Attempt, Receipt, State};
use crate::time::UnixMs;

/// What is known of one event.
pub(super) struct Trail {
    pub(super) event_name: String,
    pub(super) pixel: String,
    pub(super) state: &'static str,
    pub(super) is_bad: bool,
    pub(super) steps: Vec<Step>,
    /// The event as it is kept, masked.
    pub(super) event: Option<String>,
    /// The id of its dead letter.
    pub(super) letter: Option<String>,
    pub(super) may_have_arrived: bool,
    /// Why it cannot be sent again.
    pub(super) not_again: String,
    pub(super) attempts: Vec<Try>,
    /// Whether these are those of its batch.
    pub(super) has_ended: bool,
    pub(super) changes: Vec<FieldChange>,
    /// When it ended, or was received.
    pub(super) at: Option<Moment>,
}

pub(super) struct Step {
    pub(super) at: Option<Moment>,
    pub(super) what: &'static str,
    pub(super) says: String,
}

/// A request to Graph that carried it.
pub(super) struct Try {
    pub(super) at: Moment,
    pub(super) events: String,
    pub(super) outcome: String,
    pub(super) code: String,
    pub(super) trace_id: String,
    pub(super) took: String,
}

impl Trail {
    pub(super) fn of(receipt: &Receipt, kept: Option<Kept>, now: UnixMs) -> Self {
        let steps = steps(receipt, kept.as_ref(), now);
        let event = kept.as_ref().map(|kept| &kept.event);
        let own = [Some(receipt), kept.as_ref().map(|kept| &kept.receipt)];
        let own = || own.into_iter().flatten();
        let attempts = own().map(|one| &one.attempts).find(|all| !all.is_empty());
        let changes = own().map(|one| &one.changes).find(|all| !all.is_empty());
        let (attempts, changes) = (attempts.cloned(), changes.cloned());
        let at = receipt.at.or(receipt.received_at);
        let is_bad = matches!(receipt.state, State::Dead | State::Held);
        Self {
            event_name: receipt.event_name.clone().unwrap_or_default(),
            pixel: receipt.pixel.to_string(),
            state: word(receipt.state),
            is_bad,
            steps,
            event: event.and_then(|event| serde_json::to_string_pretty(event).ok()),
            may_have_arrived: receipt.reason.as_deref() == Some("unconfirmed"),
            not_again: not_again(receipt.state).to_owned(),
            letter: kept.and_then(|kept| kept.letter),
            has_ended: receipt.at.is_some(),
            attempts: attempts
                .unwrap_or_default()
                .into_iter()
                .map(|attempt| Try::of(attempt, now))
                .collect(),
            changes: changes.unwrap_or_default(),
            at: at.map(|at| Moment::of(UnixMs(at), now)),
        }
    }
}

/// Why there is no button, for an event without a dead letter.
fn not_again(state: State) -> &'static str {
    match state {
        State::Delivered => {
            "Nothing to resend: Meta has confirmed it, and delivered events are not kept."
        }
        State::Dead => {
            "Nothing to resend: its dead letter is gone. It was sent again, purged, or made room."
        }
        State::Filtered => {
            "Nothing to resend: a policy kept it back, so it was never accepted or kept. Its sender has to send it again once the policy lets it pass."
        }
        State::Accepted => "Nothing to resend: what it came to was not noted.",
        State::Waiting | State::InFlight | State::Backoff | State::Held | State::Throttled => {
            "Nothing to resend: it is still on its way, and goes out by itself."
        }
    }
}

pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::InFlight => "in flight",
        State::Backoff => "waiting out a failure",
        State::Held => "held",
        State::Throttled => "throttled",
        State::Delivered => "delivered",
        State::Dead => "dead letter",
        State::Filtered => "kept back",
        State::Accepted => "accepted",
    }
}

/// What happened to an event, in order, as far as it is kept.
fn steps(receipt: &Receipt, kept: Option<&Kept>, now: UnixMs) -> Vec<Step> {
    let at = |at: Option<i64>| at.map(|at| Moment::of(UnixMs(at), now));
    let ended = at(receipt.at);
    let received = (receipt.received_at).or_else(|| kept.and_then(|kept| kept.receipt.received_at));
    if receipt.state == State::Filtered {
        let policy = receipt.reason.as_deref().unwrap_or("a policy");
        let says = format!("The policy {policy} kept it back. It was not accepted and not stored.");
        return vec![Step {
            at: ended,
            what: "Kept back",
            says,
        }];
    }
    let mut steps = vec![Step {
        at: at(received),
        what: "Received",
        says: match received {
            Some(_) => {
                "Checked, its personal data hashed, and safe on disk before the answer.".to_owned()
            }
            None => "The time of its arrival is not kept once an event has ended.".to_owned(),
        },
    }];
    let says = changed(receipt, kept);
    steps.push(Step {
        at: None,
        what: "Changed",
        says,
    });
    if let Some(batch) = receipt.batch {
        let events = receipt.batch_events.unwrap_or_default();
        let says = format!(
            "Batch {batch}, in which {} met their end.",
            counted(events, "event")
        );
        steps.push(Step {
            at: None,
            what: "Batch",
            says,
        });
    }
    steps.push(end(receipt, kept, ended, now));
    steps
}

/// Who has changed it; what, is in a table of its own.
fn changed(receipt: &Receipt, kept: Option<&Kept>) -> String {
    let by_policies = if receipt.policies.is_empty() {
        "No policy has changed it.".to_owned()
    } else {
        format!("By these policies: {}.", receipt.policies.join(", "))
    };
    let is_known = |receipt: &Receipt| !receipt.changes.is_empty();
    let by_rules = if is_known(receipt) || kept.is_some_and(|kept| is_known(&kept.receipt)) {
        "What its fields came to is below."
    } else {
        "Nothing is known of what normalising changed: nothing had to be, or the event is older than that is kept."
    };
    format!("{by_policies} {by_rules}")
}

fn end(receipt: &Receipt, kept: Option<&Kept>, ended: Option<Moment>, now: UnixMs) -> Step {
    let trace = receipt.trace_id.as_deref();
    let trace = trace.map_or_else(String::new, |trace| format!(" Trace id: {trace}."));
    let reason = receipt.reason.as_deref().unwrap_or_default();
    let says = match receipt.state {
        State::Delivered => {
            let received = receipt.batch_received.unwrap_or_default();
            format!(
                "Meta confirmed the batch, and counted {}.{trace}",
                counted(received, "event")
            )
        }
        State::Dead => {
            let code = receipt.code.map(|code| match receipt.subcode {
                Some(subcode) => format!(" Meta’s code: {code}/{subcode}."),
                None => format!(" Meta’s code: {code}."),
            });
            let known = receipt
                .code
                .and_then(|code| issues::meta(code, receipt.subcode));
            let known = known.map(|words| format!(" {} What to do: {}", words.cause, words.fix));
            let words = kept.and_then(|kept| kept.message.as_deref());
            let words = words.map(|words| format!(" Meta’s words: “{words}”"));
            let more = [code, words, known]
                .into_iter()
                .flatten()
                .collect::<String>();
            format!("Given up: {reason}.{more}{trace}")
        }
        State::Accepted => "Accepted; what it came to was not noted.".to_owned(),
        State::Held => format!(
            "Its lane is held: {reason}. It waits on disk, and goes out once that is mended."
        ),
        State::Waiting | State::InFlight | State::Backoff | State::Throttled | State::Filtered => {
            let until = receipt
                .expires_at
                .map(|at| Moment::of(UnixMs(at), now).words);
            let until = until.map_or_else(String::new, |words| {
                format!(" It would be too old for Meta {words}.")
            });
            format!(
                "Not sent yet, or not confirmed: {}.{until}",
                word(receipt.state)
            )
        }
    };
    let what = match receipt.state {
        State::Delivered | State::Dead
            if receipt.code.is_some() || receipt.batch_received.is_some() =>
        {
            "Meta’s answer"
        }
        State::Dead => "Given up",
        _ => "Now",
    };
    Step {
        at: ended,
        what,
        says,
    }
}

impl Try {
    fn of(attempt: Attempt, now: UnixMs) -> Self {
        let events = count(attempt.events);
        Self {
            at: Moment::of(UnixMs(attempt.at), now),
            events: match attempt.of_batch {
                Some(of_batch) if of_batch != attempt.events => {
                    format!("{events}, {} of them of this batch", count(of_batch))
                }
                _ => events,
            },
            outcome: attempt.outcome.into_owned(),
            code: match (attempt.code, attempt.subcode) {
                (Some(code), Some(subcode)) => format!("{code}/{subcode}"),
                (Some(code), None) => code.to_string(),
                _ => String::new(),
            },
            trace_id: attempt.trace_id.unwrap_or_default(),
            took: time(attempt.took_ms as f64 / 1000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_steps_and_words() {
        for state in [
            State::Waiting,
            State::InFlight,
            State::Backoff,
            State::Held,
            State::Throttled,
            State::Delivered,
            State::Dead,
            State::Filtered,
            State::Accepted,
        ] {
            let receipt = Receipt::new("7".parse().unwrap(), state);
            assert!(!steps(&receipt, None, UnixMs(0)).is_empty());
            assert!(!word(state).is_empty() && !not_again(state).is_empty());
        }
    }
}
