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
        let label = &filtered.told.label;
        let word = filtered.kept_back.policy.word();
        tally.filtered(&label.event_name, label.event_id.as_deref(), word);
    }
    let of_events = accepted.warnings.iter().map(|(_, warning)| warning);
    for warning in of_events.chain(&accepted.request_warnings) {
        tally.warning(warning.code.word());
    }
    if accepted.unknown_members {
        tally.warning(codes::UNKNOWN_MEMBER.word());
    }
    for fault in &accepted.faults {
        refuse(&mut tally, fault);
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
                refuse(&mut tally, fault);
            }
        }
        Rejection::Limited(Limit::Rate | Limit::Journal(_), _) => {
            tally.refused_whole(rejection.code().word(), events);
        }
        _ => return,
    }
    traffic.taken(pixel, tally);
}

/// An event that could not be read has no name.
fn refuse(tally: &mut Tally, fault: &EventFault) {
    let label = fault.told.as_ref().map(|told| &told.label);
    let name = label.map_or("", |label| label.event_name.as_str());
    let event_id = label.and_then(|label| label.event_id.as_deref());
    tally.refused(name, event_id, fault.error.code().word());
}
