//! The token that each pixel's events travel with, and how long it lasts.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::{Need, Rank};
use crate::app::reload::InForce;
use crate::pixel::PixelId;
use crate::text::counted;
use crate::time::UnixMs;
use crate::tokens::{Expiry, Facts, Notes, Slot, State, TokenKey};

/// For how long the notes of the watch over tokens are taken from memory: it writes at most once a
/// minute.
const NOTES_LAST: Duration = Duration::from_secs(10);
/// A token that ends within this time needs a person.
const SOON: Duration = Duration::from_hours(24);
/// One that ends within this time is to be watched.
const NEAR: Duration = Duration::from_hours(7 * 24);

/// What is known of a pixel's token.
#[derive(Clone, Debug, Serialize)]
pub(in crate::app::admin) struct Token {
    /// As of a token; `missing` when there is none.
    pub(in crate::app::admin) state: &'static str,
    /// `at`, `never` or `unknown`.
    pub(in crate::app::admin) expires: &'static str,
    /// In Unix milliseconds.
    pub(in crate::app::admin) expires_at: Option<i64>,
    /// Whole days until then; 0 on the last day, and afterwards.
    pub(in crate::app::admin) days_left: Option<u64>,
    /// Meta's codes, when it does not work.
    pub(in crate::app::admin) cause: Option<String>,
    #[serde(skip)]
    pub(in crate::app::admin) rank: Rank,
}

impl Token {
    fn missing() -> Self {
        Self {
            state: "missing",
            expires: Expiry::Unknown.code(),
            expires_at: None,
            days_left: None,
            cause: None,
            rank: Rank::NeedsPerson,
        }
    }

    fn of(facts: &Facts, now: UnixMs) -> Self {
        let ends = facts.expires.at();
        let is_over = facts.expires.is_over(now) && !facts.state.is_dead();
        Self {
            state: if is_over {
                State::Expired.code()
            } else {
                facts.state.code()
            },
            expires: facts.expires.code(),
            expires_at: ends.map(|at| at.0),
            days_left: ends.map(|at| at.since(now).as_secs() / 86_400),
            cause: facts.cause.clone(),
            rank: rank(facts, now),
        }
    }

    /// What is to be done about it.
    pub(super) fn need(&self) -> Option<Need> {
        let (code, says, next) = match (self.state, self.days_left) {
            _ if self.rank == Rank::Ok => return None,
            ("missing", _) => (
                "no_token",
                "no token".to_owned(),
                "hand one over with `capigate token add --pixel ID`, or on the page of pixels and tokens",
            ),
            ("valid" | "unknown", days) => (
                "token_expires",
                match days {
                    Some(0) | None => "the token ends within a day".to_owned(),
                    Some(days) => format!("the token ends in {}", counted(days, "day")),
                },
                "put a new one in its place with `capigate token rotate`, or where the configuration points to, unless it is refreshed by itself (`capigate token list`)",
            ),
            (state, _) => (
                "token",
                format!("the token is {}", state.replace('_', " ")),
                "look at it with `capigate token inspect`, then put a valid one in its place with `capigate token rotate`, or where the configuration points to",
            ),
        };
        Some(Need {
            code,
            rank: self.rank,
            says,
            next: next.to_owned(),
        })
    }
}

fn rank(facts: &Facts, now: UnixMs) -> Rank {
    if !matches!(facts.state, State::Unknown | State::Valid) {
        return Rank::NeedsPerson;
    }
    match facts.expires.at().map(|at| at.since(now)) {
        Some(left) if left <= SOON => Rank::NeedsPerson,
        Some(left) if left <= NEAR => Rank::Watch,
        _ => Rank::Ok,
    }
}

/// The tokens of all pixels at one moment.
pub(super) struct Tokens<'a> {
    facts: HashMap<PixelId, &'a Facts>,
    now: UnixMs,
}

impl<'a> Tokens<'a> {
    /// Of each pixel that of its configuration, else the current one of the vault, in time that grows
    /// with the number of pixels.
    pub(super) fn of(in_force: &'a InForce, notes: &'a Notes, now: UnixMs) -> Self {
        static NOTHING: std::sync::LazyLock<Facts> = std::sync::LazyLock::new(Facts::default);
        let noted: HashMap<&str, &Facts> = (notes.tokens.iter())
            .map(|(key, note)| (key.as_str(), &note.facts))
            .collect();
        let vault = &in_force.held.contents;
        // many pixels may share one
        let mut in_vault: BTreeMap<&str, &Facts> = BTreeMap::new();
        let mut facts = HashMap::with_capacity(in_force.config.pixels.len());
        for id in in_force.config.pixels.keys() {
            let own = in_force.secrets.pixels.get(id);
            let own = own.and_then(|own| own.token.as_ref());
            let found = match own {
                Some(token) => {
                    let key = TokenKey::of(token).to_string();
                    Some(noted.get(key.as_str()).copied().unwrap_or(&NOTHING))
                }
                None => vault.in_slot(*id, Slot::Current).and_then(|name| {
                    if let Some(known) = in_vault.get(name.as_str()) {
                        return Some(*known);
                    }
                    let record = vault.tokens.get(name)?;
                    let key = TokenKey::of(&record.secret).to_string();
                    let known = noted.get(key.as_str()).copied().unwrap_or(&record.facts);
                    in_vault.insert(name.as_str(), known);
                    Some(known)
                }),
            };
            facts.extend(found.map(|found| (*id, found)));
        }
        Self { facts, now }
    }

    pub(super) fn rank(&self, pixel: PixelId) -> Rank {
        let facts = self.facts.get(&pixel);
        facts.map_or(Rank::NeedsPerson, |facts| rank(facts, self.now))
    }

    pub(super) fn of_pixel(&self, pixel: PixelId) -> Token {
        let facts = self.facts.get(&pixel);
        facts.map_or_else(Token::missing, |facts| Token::of(facts, self.now))
    }
}

/// What the watch over tokens has written down, read again now and then.
#[derive(Default)]
pub(in crate::app::admin) struct NotesCache(Mutex<Option<(UnixMs, Arc<Notes>)>>);

impl NotesCache {
    /// Blocks when they are to be read again.
    pub(in crate::app::admin) fn read(&self, journal: &Path, now: UnixMs) -> Arc<Notes> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((at, notes)) if now.0 >= at.0 && now.since(*at) < NOTES_LAST => Arc::clone(notes),
            _ => {
                let notes = Notes::read(&Notes::path(journal)).unwrap_or_default();
                let notes = Arc::new(notes);
                *kept = Some((now, Arc::clone(&notes)));
                notes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(state: State, days: Option<u32>, now: UnixMs) -> Facts {
        let end = days.map(|days| now.plus(Duration::from_hours(24) * days));
        Facts {
            state,
            expires: end.map_or(Expiry::Never, Expiry::At),
            ..Facts::default()
        }
    }

    #[test]
    fn only_what_ends_soon_or_does_not_work_needs_somebody() {
        let now = UnixMs::from_secs(1_800_000_000);
        for (state, days, rank, said) in [
            (State::Valid, None, Rank::Ok, None),
            (State::Unknown, Some(8), Rank::Ok, None),
            (
                State::Valid,
                Some(7),
                Rank::Watch,
                Some("the token ends in 7 days"),
            ),
            (
                State::Valid,
                Some(1),
                Rank::NeedsPerson,
                Some("the token ends in 1 day"),
            ),
            (
                State::Valid,
                Some(0),
                Rank::NeedsPerson,
                Some("the token is expired"),
            ),
            (
                State::NoAccess,
                None,
                Rank::NeedsPerson,
                Some("the token is no access"),
            ),
            (
                State::Revoked,
                Some(0),
                Rank::NeedsPerson,
                Some("the token is revoked"),
            ),
        ] {
            let token = Token::of(&facts(state, days, now), now);
            let need = token.need().map(|need| need.says);
            assert_eq!(
                (token.rank, need.as_deref()),
                (rank, said),
                "{state:?} {days:?}"
            );
        }
        assert_eq!(Token::missing().need().unwrap().code, "no_token");
    }
}
