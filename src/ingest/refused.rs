//! A request that is refused as a whole, of a sender that is known: every event of it counts as
//! refused, in the numbers, in the issues and in the live tail alike.

use std::sync::Arc;

use super::answer::Rejection;
use super::auth::Source;
use super::{Shared, feed, live, trouble};
use crate::pixel::PixelId;

/// A request that is refused.
#[derive(Clone, Copy)]
pub(super) struct Refused<'a> {
    /// The pixel it was for.
    pub(super) pixel: PixelId,
    /// The name of the source it came from.
    pub(super) source: &'a Arc<str>,
    /// How many events it had; one where nobody can know.
    pub(super) events: usize,
    /// Why.
    pub(super) rejection: &'a Rejection,
}

/// Counts it. One for a pixel that is not configured is nowhere counted: anybody can make those up.
pub(super) fn note(shared: &Shared, mut refused: Refused<'_>) {
    if !shared.sources.knows(refused.pixel) {
        return;
    }
    if let Rejection::TooManyEvents(found) = refused.rejection {
        refused.events = *found;
    }
    feed::refused(&shared.traffic, refused);
    trouble::refused(&shared.issues, refused);
    live::refused(shared, refused);
}

/// Counts a request that is refused before its events were seen.
pub(super) fn unread(shared: &Shared, pixel: PixelId, source: &Source, rejection: &Rejection) {
    let refused = Refused {
        pixel,
        source: &source.name,
        events: 1,
        rejection,
    };
    note(shared, refused);
}
