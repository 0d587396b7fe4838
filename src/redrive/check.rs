//! Checks a dead letter as if it came in today.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::RefusedLetter;
use crate::codes;
use crate::event::{EventError, EventIdPolicy, ExternalId, MAX_RAW_BYTES, RawEvent, Rules};
use crate::journal::dead::{Kept, LetterId};
use crate::journal::{Class, Envelope, LaneKey};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// A letter that may go again.
pub(super) struct Passed {
    pub(super) id: LetterId,
    pub(super) envelope: Envelope,
    /// Whether Meta counts it once if it comes twice.
    pub(super) folds: bool,
    /// Whether the window of duplicates may hold it for itself.
    pub(super) holds_itself: bool,
}

/// The envelope of a letter, or why it stays.
pub(super) fn check(
    letter: Kept,
    pixels: &HashSet<PixelId>,
    now: UnixMs,
) -> Result<Passed, RefusedLetter> {
    let id = letter.id;
    if !pixels.contains(&letter.pixel) {
        return Err(RefusedLetter {
            id,
            code: codes::UNKNOWN_PIXEL,
            path: String::new(),
            rule: "the pixel must be configured",
        });
    }
    let refused = |error: EventError| RefusedLetter {
        id,
        code: error.code(),
        path: error.path().to_owned(),
        rule: error.rule(),
    };
    let hashed = RawEvent::parse(&letter.event)
        .and_then(|raw| raw.hash(letter.pixel, &rules(&letter.event), now))
        .map_err(refused)?;
    let event = hashed.encode().map_err(refused)?;
    // those of its first arrival, when its values were not hashed yet
    let event = event.with_changes(letter.changes);
    let lane = LaneKey::of(letter.pixel, Arc::new(letter.options), &event);
    Ok(Passed {
        id,
        holds_itself: false,
        folds: hashed.event_id().is_some() && lane.class != Class::BusinessMessaging,
        envelope: Envelope {
            lane,
            event,
            received_at: letter.received_at,
            expires_at: hashed.expires_at(),
        },
    })
}

/// Rules that change nothing about a stored event, whatever the rules of its source were: those
/// have been applied, and the source may be gone.
pub(super) fn rules(event: &str) -> Rules {
    Rules {
        // one that has no id was to have none
        event_id: EventIdPolicy::Leave,
        // what is personal was redacted when it came in, unless its source wants it kept; redacting
        // it now could change its event_id, which the browser sends as well
        pii_firewall: false,
        // what its source allowed, and nothing else, is there
        allow_user_data: keys(event),
        default_country: None,
        // what is in clear is to be so; what is not arrives hashed
        external_id: ExternalId::Raw,
        // a click id has its fbc already
        subdomain_index: Rules::default().subdomain_index,
        // it was small enough when it came in
        max_event_bytes: MAX_RAW_BYTES,
    }
}

#[derive(Deserialize)]
struct UserData<'a> {
    #[serde(borrow)]
    user_data: BTreeMap<String, &'a RawValue>,
}

/// The keys of `user_data`; if it is not as it should be, the check will say so.
fn keys(event: &str) -> Vec<String> {
    let event = serde_json::from_str::<UserData<'_>>(event);
    event.map_or_else(
        |_| Vec::new(),
        |event| event.user_data.into_keys().collect(),
    )
}
