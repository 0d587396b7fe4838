//! What came for a pixel, in numbers, for whoever wants to go live with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{Accepted, EventFault, Rejection, Told};
use super::refused::Refused;
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

/// Counts a request that was refused as a whole: each event by its own word, or with all others.
pub(super) fn refused(traffic: &Traffic, refused: Refused<'_>) {
    let mut tally = Tally::of(Arc::clone(refused.source));
    let word = refused.rejection.code().word();
    match refused.rejection {
        Rejection::Events { faults, others } => {
            for fault in faults {
                refuse(&mut tally, fault);
            }
            for Told { label, .. } in others {
                tally.refused(&label.event_name, label.event_id.as_deref(), word);
            }
        }
        _ => tally.refused_whole(word, refused.events),
    }
    traffic.taken(refused.pixel, tally);
}

/// An event that could not be read has no name.
fn refuse(tally: &mut Tally, fault: &EventFault) {
    let label = fault.told.as_ref().map(|told| &told.label);
    let name = label.map_or("", |label| label.event_name.as_str());
    let event_id = label.and_then(|label| label.event_id.as_deref());
    tally.refused(name, event_id, fault.error.code().word());
}
