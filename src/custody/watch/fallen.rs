//! Pixels that do not send with the token that was meant for them, since Graph refuses it for them:
//! that Meta calls such a token valid does not tell anybody.

use std::time::Duration;

use super::{Roster, Watch};
use crate::alerts::{Alert, Severity};
use crate::custody::Kept;
use crate::custody::alarms::is_bad;
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::{Refused, Slot, TokenKey};

/// For how long it is told that a token has given way, unless somebody has seen to it before.
const TOLD_FOR: Duration = Duration::from_hours(24 * 7);

impl Watch {
    /// Forgets which tokens have given way where that is mended, or old.
    pub(super) fn forget_fallen(&mut self, roster: &Roster, now: UnixMs) {
        for kept in &roster.kept {
            let Some(note) = self.notes.tokens.get_mut(&kept.key.to_string()) else {
                continue;
            };
            let is_current = |pixel| kept.pixels.contains(&(pixel, Slot::Current));
            note.gave_way
                .retain(|pixel, at| now.since(*at) < TOLD_FOR && !is_current(*pixel));
        }
    }

    /// What is to be told about pixels whose current token is refused, or was until another one took
    /// its place.
    pub(super) fn fallen(&self, roster: &Roster, now: UnixMs) -> Vec<Alert> {
        let mut all: Vec<Alert> = Vec::new();
        let (refused, candidates) = (self.tools.tokens.refused(), self.tools.tokens.all());
        for pixel in &roster.pixels {
            let keys = candidates.get(pixel).into_iter().flatten();
            let keys: Vec<TokenKey> = keys.map(|one| one.token_key()).collect();
            all.extend(self.falls_back(roster, *pixel, &keys, &refused, now));
        }
        for kept in &roster.kept {
            let note = self.note(kept);
            // of one that a pixel has, the end is told with the token
            if is_bad(note.facts.state) && !kept.pixels.is_empty() {
                continue;
            }
            for pixel in note.gave_way.keys() {
                let there = all.iter().any(|alert| alert.pixels == [*pixel]);
                let current = (roster.kept.iter())
                    .find(|other| other.pixels.contains(&(*pixel, Slot::Current)));
                if let (false, Some(current)) = (there, current) {
                    all.push(self.fallback(*pixel, kept, &current.label, now));
                }
            }
        }
        all
    }

    /// A pixel whose first choice is refused now.
    fn falls_back(
        &self,
        roster: &Roster,
        pixel: PixelId,
        candidates: &[TokenKey],
        refused: &[Refused],
        now: UnixMs,
    ) -> Option<Alert> {
        let is_refused = |key: &TokenKey| {
            let mut against = refused.iter().filter(|one| one.token == *key);
            against.any(|one| one.pixel.is_none_or(|only| only == pixel))
        };
        let find = |key: &TokenKey| roster.kept.iter().find(|kept| kept.key == *key);
        let first = find(candidates.first().filter(|key| is_refused(key))?)?;
        let good = candidates.iter().find(|key| !is_refused(key));
        // the end of a token is told with it
        let is_told = is_bad(self.note(first).facts.state);
        match good {
            Some(good) if !is_told => Some(self.fallback(pixel, first, &find(good)?.label, now)),
            // a pixel with one token is held, and that is told
            None if candidates.len() > 1 => {
                let labels: Vec<&str> = (candidates.iter())
                    .filter_map(|key| Some(find(key)?.label.as_str()))
                    .collect();
                Some(Alert {
                    key: format!("pixel:{pixel}:refused"),
                    severity: Severity::Critical,
                    title: format!("Graph refuses every token of pixel {pixel}"),
                    text: format!(
                        "It refuses {} for the pixel, whatever Meta says of them. Its events are taken and wait.",
                        labels.join(", ")
                    ),
                    next: format!(
                        "see why: `capigate token verify --pixel {pixel}`; then give their holder the pixel in the Business settings, or run `capigate token rotate --pixel {pixel}`"
                    ),
                    pixels: vec![pixel],
                    token: None,
                    at: now,
                })
            }
            _ => None,
        }
    }

    fn fallback(&self, pixel: PixelId, old: &Kept, new: &str, now: UnixMs) -> Alert {
        let (label, usage) = (&old.label, self.note(old).usage);
        let said = usage.last_error.map_or_else(String::new, |error| {
            let subcode = error
                .subcode
                .map_or_else(String::new, |sub| format!("/{sub}"));
            format!(" The last error with it was {}{subcode}.", error.code)
        });
        Alert {
            key: format!("pixel:{pixel}:fallback"),
            severity: Severity::Warning,
            title: format!("Pixel {pixel} has fallen back from token {label} to {new}"),
            text: format!(
                "Graph refuses {label} for the pixel, so its events travel with {new}.{said} When {new} is refused as well, they may have to wait."
            ),
            next: format!(
                "see why: `capigate token verify {label} --pixel {pixel}`; if {label} is not to come back, end it: `capigate token revoke {label}`, and put another next token there: `capigate token add --pixel {pixel} --slot next`"
            ),
            pixels: vec![pixel],
            token: Some(old.key.to_string()),
            at: now,
        }
    }
}
