//! From raw slices to envelopes: each event on its own, faults collected by index.

use std::borrow::Cow;
use std::sync::Arc;

use super::answer::EventFault;
use super::auth::Source;
use crate::event::{EventError, RawEvent, Visit, Warning};
use crate::journal::{Class, Envelope, LaneKey, RequestOptions};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::traffic::Tally;

/// What the events of one request have in common.
pub struct Job<'a> {
    /// The pixel of the request's path.
    pub pixel: PixelId,
    /// What goes to Graph beside the events.
    pub options: Arc<RequestOptions>,
    /// What goes beside a copy of each, where there is to be one.
    pub mirror: Option<Arc<RequestOptions>>,
    /// Whose events they are.
    pub source: &'a Source,
    /// When they arrived.
    pub now: UnixMs,
    /// What the browser's request tells, if they come from one.
    pub visit: Option<Visit>,
}

/// An event on its way into the journal, perhaps with a copy of it.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The event.
    pub envelope: Envelope,
    /// The options its copy travels with. The copy is accepted when the event is, and never alone.
    pub mirror: Option<Arc<RequestOptions>>,
}

impl Posted {
    /// Without a copy for an event of which Meta would count the copy, too.
    fn of(envelope: Envelope, mirror: Option<&Arc<RequestOptions>>) -> Self {
        let counts_twice = envelope.lane.class == Class::BusinessMessaging;
        Self {
            mirror: mirror.filter(|_| !counts_twice).cloned(),
            envelope,
        }
    }

    /// The event, and its copy.
    pub fn into_envelopes(self) -> impl Iterator<Item = Envelope> {
        let copy = self.mirror.map(|options| Envelope {
            lane: LaneKey {
                options,
                ..self.envelope.lane.clone()
            },
            ..self.envelope.clone()
        });
        std::iter::once(self.envelope).chain(copy)
    }
}

/// The events of one request after the checks.
#[derive(Debug, Default)]
pub struct Checked {
    /// The good ones, hashed and ready to store; one event may have several, which go to
    /// different pixels or with different options.
    pub envelopes: Vec<Posted>,
    /// Of each envelope, the place of its event in `data`; in rising order.
    pub places: Vec<usize>,
    /// What was changed or is missing in them.
    pub warnings: Vec<(usize, Warning)>,
    /// The bad ones.
    pub faults: Vec<EventFault>,
    /// Whether the body had members that Graph does not know.
    pub unknown_members: bool,
    /// What is to be known about the request as a whole.
    pub request_warnings: Vec<Warning>,
    /// The good ones in numbers.
    pub tally: Tally,
}

impl Checked {
    /// How many events have an envelope.
    pub fn events(&self) -> usize {
        self.places.chunk_by(|a, b| a == b).count()
    }

    fn add(&mut self, index: usize, envelope: Envelope, mirror: Option<&Arc<RequestOptions>>) {
        self.envelopes.push(Posted::of(envelope, mirror));
        self.places.push(index);
    }
}

/// Checks and hashes every event; a bad one hides none of its neighbours.
pub fn check(events: &[Cow<'_, str>], job: &Job<'_>) -> Checked {
    let mut checked = Checked {
        envelopes: Vec::with_capacity(events.len()),
        places: Vec::with_capacity(events.len()),
        ..Checked::default()
    };
    for (index, text) in events.iter().enumerate() {
        if let Err(error) = one(index, text, job, &mut checked) {
            checked.faults.push(EventFault { index, error });
        }
    }
    checked
}

fn one(index: usize, text: &str, job: &Job<'_>, checked: &mut Checked) -> Result<(), EventError> {
    let raw = RawEvent::parse(text)?;
    let (rules, now) = (&job.source.rules, job.now);
    let hashed = match &job.visit {
        Some(visit) => raw.hash_visit(job.pixel, rules, now, visit),
        None => raw.hash(job.pixel, rules, now),
    }?;
    let event = hashed.encode()?;
    let (name, keys) = (hashed.event_name(), hashed.match_keys().names());
    checked.tally.event(name, hashed.brought_id(), keys);
    let warnings = hashed.warnings().iter();
    checked
        .warnings
        .extend(warnings.map(|warning| (index, warning.clone())));
    let envelope = Envelope {
        lane: LaneKey::of(job.pixel, Arc::clone(&job.options), &event),
        event,
        received_at: job.now,
        expires_at: hashed.expires_at(),
    };
    checked.add(index, envelope, job.mirror.as_ref());
    Ok(())
}
