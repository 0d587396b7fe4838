//! What came, in numbers, for whoever wants to go live.

use super::answer::{Accepted, Limit, Rejection};
use crate::codes;
use crate::pixel::PixelId;
use crate::traffic::{Tally, Traffic};

/// Counts a request for its pixel. A stranger's is not counted: only what is refused after its key
/// was found good.
pub(super) fn feed(traffic: &Traffic, pixel: PixelId, result: &mut Result<Accepted, Rejection>) {
    let mut tally = Tally::default();
    let faults = match result {
        Ok(accepted) => {
            tally = std::mem::take(&mut accepted.tally);
            let of_events = accepted.warnings.iter().map(|(_, warning)| warning);
            for warning in of_events.chain(&accepted.request_warnings) {
                tally.warning(warning.code.word());
            }
            if accepted.unknown_members {
                tally.warning(codes::UNKNOWN_MEMBER.word());
            }
            accepted.faults.as_slice()
        }
        Err(Rejection::Events(faults)) => faults.as_slice(),
        Err(rejection @ Rejection::Limited(Limit::Rate | Limit::Journal(_), _)) => {
            tally.refused(rejection.code().word());
            &[]
        }
        Err(_) => return,
    };
    for fault in faults {
        tally.refused(fault.error.code().word());
    }
    traffic.taken(pixel, tally);
}
