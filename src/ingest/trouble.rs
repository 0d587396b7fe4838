//! What is refused or kept back at the door, for the issues.

use super::answer::{Accepted, EventFault, Limit, Rejection, Told};
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

/// Of a request that was refused though it had a good key; a stranger's is no issue of the pixel's.
pub(super) fn refused(issues: &Issues, pixel: PixelId, rejection: &Rejection) {
    match rejection {
        Rejection::Events(faults) => {
            issues.note(faults.iter().map(|fault| faulty(pixel, fault)));
        }
        Rejection::Limited(limit @ (Limit::Rate | Limit::Journal(_)), _) => {
            let whole = seen(pixel, Place::Door, rejection.code(), limit.name(), None);
            issues.note([whole]);
        }
        _ => {}
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
        event_id: told.and_then(|told| told.label.event_id.clone()),
        money: told.and_then(|told| told.money),
    }
}
