//! From raw slices to envelopes: each event on its own, faults collected by index.

use std::borrow::Cow;
use std::sync::Arc;

use super::answer::EventFault;
use crate::event::{EventError, RawEvent, Rules, Warning};
use crate::journal::{Envelope, LaneKey, RequestOptions};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// The events of one request after the checks.
#[derive(Debug, Default)]
pub struct Checked {
    /// The good ones, hashed and ready to store.
    pub envelopes: Vec<Envelope>,
    /// What was changed or is missing in them.
    pub warnings: Vec<(usize, Warning)>,
    /// The bad ones.
    pub faults: Vec<EventFault>,
    /// Whether the body had members that Graph does not know.
    pub unknown_members: bool,
}

/// Checks and hashes every event; a bad one hides none of its neighbours.
pub fn check(
    events: &[Cow<'_, str>],
    pixel: PixelId,
    options: RequestOptions,
    rules: &Rules,
    now: UnixMs,
) -> Checked {
    let options = Arc::new(options);
    let mut checked = Checked {
        envelopes: Vec::with_capacity(events.len()),
        ..Checked::default()
    };
    for (index, text) in events.iter().enumerate() {
        let mut one = || -> Result<Envelope, EventError> {
            let hashed = RawEvent::parse(text)?.hash(pixel, rules, now)?;
            let event = hashed.encode()?;
            checked.warnings.extend(
                hashed
                    .warnings()
                    .iter()
                    .map(|warning| (index, warning.clone())),
            );
            Ok(Envelope {
                lane: LaneKey::of(pixel, Arc::clone(&options), &event),
                event,
                received_at: now,
                expires_at: hashed.expires_at(),
            })
        };
        match one() {
            Ok(envelope) => checked.envelopes.push(envelope),
            Err(error) => checked.faults.push(EventFault { index, error }),
        }
    }
    checked
}
