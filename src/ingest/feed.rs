//! What came for a pixel, in numbers, for whoever wants to go live with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{Accepted, EventFault, Limit, Rejection};
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
            let source = Arc::clone(tally.source());
            let copied = copied.entry(filtered.pixel);
            copied.or_insert_with(|| Tally::of(source))
        };
        let name = &filtered.told.label.event_name;
        tally.filtered(name, filtered.kept_back.policy.word());
    }
    let of_events = accepted.warnings.iter().map(|(_, warning)| warning);
    for warning in of_events.chain(&accepted.request_warnings) {
        tally.warning(warning.code.word());
    }
    if accepted.unknown_members {
        tally.warning(codes::UNKNOWN_MEMBER.word());
    }
    for fault in &accepted.faults {
        tally.refused(name(fault), fault.error.code().word());
    }
    traffic.taken(pixel, tally);
    for (pixel, tally) in copied {
        traffic.taken(pixel, tally);
    }
}

/// Counts a request of so many events from a source that was refused though it had a good key; a
/// stranger's is not counted.
pub(super) fn refused(
    traffic: &Traffic,
    (pixel, source, events): (PixelId, &Arc<str>, usize),
    rejection: &Rejection,
) {
    let mut tally = Tally::of(Arc::clone(source));
    match rejection {
        Rejection::Events(faults) => {
            for fault in faults {
                tally.refused(name(fault), fault.error.code().word());
            }
        }
        Rejection::Limited(Limit::Rate | Limit::Journal(_), _) => {
            tally.refused_whole(rejection.code().word(), events);
        }
        _ => return,
    }
    traffic.taken(pixel, tally);
}

/// What the event is called; nothing when it could not be read.
fn name(fault: &EventFault) -> &str {
    let told = fault.told.as_ref();
    told.map_or("", |told| told.label.event_name.as_str())
}
