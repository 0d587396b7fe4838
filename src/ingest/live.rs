//! What happens at the door, for whoever looks at the live tail.

use super::Shared;
use super::answer::{Accepted, EventFault, Rejection, Told};
use super::events::{Filtered, Posted};
use super::refused::Refused;
use crate::event::EncodedEvent;
use crate::pixel::PixelId;
use crate::tail::{Row, Verdict};
use crate::time::UnixMs;

/// The events of a request that are about to become durable, and where they came from.
pub(super) struct Watched {
    source: Option<String>,
    events: Vec<(PixelId, EncodedEvent, UnixMs)>,
}

impl Watched {
    /// None while nobody looks.
    pub(super) fn of(shared: &Shared, posted: &[Posted], source: Option<&String>) -> Option<Self> {
        let one = |posted: &Posted| {
            let envelope = &posted.envelope;
            (
                envelope.lane.pixel,
                envelope.event.clone(),
                envelope.received_at,
            )
        };
        shared.tail.is_watched().then(|| Self {
            source: source.cloned(),
            events: posted.iter().map(one).collect(),
        })
    }

    /// They are durable, but for the duplicates, whose places are in rising order.
    pub(super) fn durable(self, shared: &Shared, duplicates: &[usize], accepted: &Accepted) {
        let now = shared.clock.now();
        for (at, (pixel, event, received_at)) in self.events.into_iter().enumerate() {
            let verdict = match duplicates.binary_search(&at) {
                Ok(_) => Verdict::Duplicate,
                Err(_) => Verdict::Accepted,
            };
            let head = event.head();
            shared.tail.tell(Row {
                at: now,
                pixel,
                event_name: head.event_name.into_owned(),
                event_id: head.event_id.map(Into::into),
                source: self.source.clone(),
                keys: event.keys(),
                verdict,
                reason: None,
                latency_ms: now.since(received_at).as_millis() as u64,
            });
        }
        let teller = Teller {
            shared,
            source: self.source.as_deref(),
            now,
        };
        teller.faults(accepted.pixel, &accepted.faults);
        for Filtered {
            pixel,
            kept_back,
            told,
            ..
        } in &accepted.filtered
        {
            let word = kept_back.policy.word();
            teller.tell(*pixel, Verdict::Filtered, word, Some(told));
        }
    }
}

/// A request was refused as a whole.
pub(super) fn refused(shared: &Shared, refused: Refused<'_>) {
    if !shared.tail.is_watched() {
        return;
    }
    let teller = Teller {
        shared,
        source: Some(refused.source),
        now: shared.clock.now(),
    };
    let (pixel, word) = (refused.pixel, refused.rejection.code().word());
    match refused.rejection {
        Rejection::Events { faults, others } => {
            teller.faults(pixel, faults);
            for told in others {
                teller.tell(pixel, Verdict::Refused, word, Some(told));
            }
        }
        _ => teller.tell(pixel, Verdict::Refused, word, None),
    }
}

struct Teller<'a> {
    shared: &'a Shared,
    source: Option<&'a str>,
    now: UnixMs,
}

impl Teller<'_> {
    fn faults(&self, pixel: PixelId, faults: &[EventFault]) {
        for fault in faults {
            let word = fault.error.code().word();
            self.tell(pixel, Verdict::Refused, word, fault.told.as_ref());
        }
    }

    fn tell(&self, pixel: PixelId, verdict: Verdict, reason: &'static str, told: Option<&Told>) {
        let label = told.map(|told| &told.label);
        self.shared.tail.tell(Row {
            at: self.now,
            pixel,
            event_name: label.map_or_else(String::new, |label| label.event_name.clone()),
            event_id: label.and_then(|label| label.event_id.clone()),
            source: self.source.map(str::to_owned),
            keys: told.map(|told| told.keys).unwrap_or_default(),
            verdict,
            reason: Some(reason),
            latency_ms: 0,
        });
    }
}
