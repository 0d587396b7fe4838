//! What is refused or kept back at the door, for the issues.

use super::answer::{Accepted, EventFault, Limit, Rejection, Told};
use super::refused::Refused;
use crate::codes::Code;
use crate::issues::{Issues, Kind, Place, Seen};
use crate::pixel::PixelId;

/// Of a request that was taken: the events that were not.
pub(super) fn accepted(issues: &Issues, accepted: &Accepted) {
    let pixel = accepted.pixel;
    let faults = accepted.faults.iter().map(|fault| faulty(pixel, fault));
    let filtered = accepted.filtered.iter().map(|one| {
        let policy = one.kept_back.policy;
        seen(one.pixel, Place::Policy, policy, "", Some(&one.told))
    });
    issues.note(faults.chain(filtered));
}

/// Of a request that was refused as a whole: each event in its own group, or all in one.
pub(super) fn refused(issues: &Issues, refused: Refused<'_>) {
    let Refused {
        pixel,
        events,
        rejection,
        ..
    } = refused;
    let code = rejection.code();
    if let Rejection::Events { faults, others } = rejection {
        let faults = faults.iter().map(|fault| faulty(pixel, fault));
        let others = others
            .iter()
            .map(|told| seen(pixel, Place::Door, code, "", Some(told)));
        issues.note(faults.chain(others));
    } else {
        let path = rejection.limit().map_or(rejection.path(), Limit::name);
        let whole = Seen {
            events: events as u64,
            ..seen(pixel, Place::Door, code, path, None)
        };
        issues.note([whole]);
    }
}

fn faulty(pixel: PixelId, fault: &EventFault) -> Seen {
    let (code, path) = (fault.error.code(), fault.error.path());
    seen(pixel, Place::Door, code, path, fault.told.as_ref())
}

fn seen(pixel: PixelId, place: Place, code: Code, path: &str, told: Option<&Told>) -> Seen {
    Seen {
        kind: Kind {
            pixel,
            place,
            word: code.word().into(),
            code: None,
            subcode: None,
            path: path.to_owned().into(),
        },
        events: 1,
        event_id: told.and_then(|told| told.label.event_id.clone()),
        money: told.and_then(|told| told.money),
    }
}
