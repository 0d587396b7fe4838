//! Pixels that are not in the configuration, and whose events wait.

use std::collections::BTreeMap;

use super::{Need, Rank, Waiting};
use crate::custody::ladder::when;
use crate::journal::{Journal, LaneKey};
use crate::pixel::PixelId;
use crate::text::counted;
use crate::time::UnixMs;

/// Their lanes.
pub(super) type Strays = BTreeMap<PixelId, Vec<LaneKey>>;

/// What is to be done about one.
pub(super) fn need(pixel: PixelId, waiting: Waiting, expiry: Option<UnixMs>, now: UnixMs) -> Need {
    let wait = if waiting.events == 1 { "waits" } else { "wait" };
    let says = format!(
        "not in the configuration, and {} {wait}",
        counted(waiting.events, "event")
    );
    let expire = expiry.map_or_else(
        || "they expire".to_owned(),
        |at| format!("the first of them expires at {}", when(at, now)),
    );
    Need {
        code: "not_configured",
        rank: Rank::NeedsPerson,
        says,
        next: format!("put pixels.{pixel} back into the configuration, or {expire}"),
    }
}

/// When the first of a pixel's events expires. Blocks on a few reads.
pub(super) fn expiry(journal: &Journal, lanes: &[LaneKey]) -> Option<UnixMs> {
    lanes
        .iter()
        .filter_map(|lane| journal.next_expiry(lane))
        .min()
}
