//! What came for a pixel, in numbers, for whoever wants to go live with it.

use std::collections::BTreeMap;

use super::answer::{Accepted, Limit, Rejection};
use crate::codes;
use crate::pixel::PixelId;
use crate::traffic::{Tally, Traffic};

/// Counts a request that was taken; `tally` has its good events, `copied` their copies.
pub(super) fn accepted(
    traffic: &Traffic,
    mut tally: Tally,
    mut copied: BTreeMap<PixelId, Tally>,
    accepted: &Accepted,
) {
    let pixel = accepted.pixel;
    for filtered in &accepted.filtered {
        let tally = if filtered.pixel == pixel {
            &mut tally
        } else {
            copied.entry(filtered.pixel).or_default()
        };
        tally.filtered(filtered.kept_back.policy.word());
    }
    let of_events = accepted.warnings.iter().map(|(_, warning)| warning);
    for warning in of_events.chain(&accepted.request_warnings) {
        tally.warning(warning.code.word());
    }
    if accepted.unknown_members {
        tally.warning(codes::UNKNOWN_MEMBER.word());
    }
    for fault in &accepted.faults {
        tally.refused(fault.error.code().word());
    }
    traffic.taken(pixel, tally);
    for (pixel, tally) in copied {
        traffic.taken(pixel, tally);
    }
}

/// Counts a request that was refused though it had a good key; a stranger's is not counted.
pub(super) fn refused(traffic: &Traffic, pixel: PixelId, rejection: &Rejection) {
    let mut tally = Tally::default();
    match rejection {
        Rejection::Events(faults) => {
            for fault in faults {
                tally.refused(fault.error.code().word());
            }
        }
        Rejection::Limited(Limit::Rate | Limit::Journal(_), _) => {
            tally.refused(rejection.code().word());
        }
        _ => return,
    }
    traffic.taken(pixel, tally);
}
