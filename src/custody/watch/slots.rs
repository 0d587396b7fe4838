//! Moves the slots of the vault after what has happened: a fall-back becomes a promotion, and what
//! is retiring goes when its successor has proved itself.

use std::collections::BTreeMap;

use super::{Roster, Watch};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::{Contents, Name, Refused, Slot, TokenKey, VaultError};

/// One move that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The current token is refused: its pixel goes with the next one.
    Promote(PixelId),
    /// The current token is refused, and there is no next one: back to the one before.
    RollBack(PixelId),
    /// The successor has proved itself.
    Finish(PixelId),
}

/// What is due. `used` tells when Graph last took something of a pixel with a token: that it takes
/// another pixel's proves nothing.
pub(super) fn due(
    contents: &Contents,
    refused: &[Refused],
    used: &dyn Fn(TokenKey, PixelId) -> Option<UnixMs>,
    overlap: std::time::Duration,
    now: UnixMs,
) -> Vec<Move> {
    let mut moves = Vec::new();
    for (pixel, slots) in &contents.pixels {
        let keys: BTreeMap<Slot, TokenKey> = (contents.candidates(*pixel))
            .map(|(slot, _, record)| (slot, TokenKey::of(&record.secret)))
            .collect();
        let is_refused = |slot: Slot| {
            let key = keys.get(&slot);
            key.is_some_and(|key| {
                let mut against = refused.iter().filter(|one| one.token == *key);
                against.any(|one| one.pixel.is_none_or(|only| only == *pixel))
            })
        };
        let is_good = |slot: Slot| keys.contains_key(&slot) && !is_refused(slot);
        if is_refused(Slot::Current) && is_good(Slot::Next) {
            moves.push(Move::Promote(*pixel));
        } else if is_refused(Slot::Current) && is_good(Slot::Retiring) {
            moves.push(Move::RollBack(*pixel));
        } else if let Some(retiring) = &slots.retiring {
            let is_over = now.since(retiring.since) >= overlap;
            let current = keys.get(&Slot::Current);
            let proved = current.and_then(|key| used(*key, *pixel));
            if is_over && proved.is_some_and(|at| at > retiring.since) {
                moves.push(Move::Finish(*pixel));
            }
        }
    }
    moves
}

/// Makes a move; names the token that is in no slot any more.
fn make(contents: &mut Contents, step: &Move, now: UnixMs) -> Result<Option<Name>, VaultError> {
    Ok(match step {
        Move::Promote(pixel) => {
            contents.promote(*pixel, now)?;
            None
        }
        Move::RollBack(pixel) => {
            let failed = contents
                .pixels
                .get(pixel)
                .and_then(|slots| slots.current.clone());
            contents.roll_back(*pixel)?;
            failed.filter(|name| contents.users(name).next().is_none())
        }
        Move::Finish(pixel) => contents.finish(*pixel)?,
    })
}

impl Watch {
    /// Makes the moves that are due; true when the vault has changed.
    pub(super) async fn move_slots(&mut self, roster: &Roster, now: UnixMs) -> bool {
        let Some(vault) = roster.vault.clone() else {
            self.vault_trouble = None;
            return false;
        };
        let refused = self.tools.tokens.refused();
        let used: BTreeMap<TokenKey, BTreeMap<PixelId, UnixMs>> = (roster.kept.iter())
            .map(|kept| (kept.key, self.note(kept).usage.used_by))
            .collect();
        let overlap = roster.policy.overlap;
        let work = move || {
            let moves = |contents: &Contents| {
                due(
                    contents,
                    &refused,
                    &|key, pixel| used.get(&key)?.get(&pixel).copied(),
                    overlap,
                    now,
                )
            };
            // most of the time nothing is due, and nothing is locked for that
            if moves(&vault.read()?).is_empty() {
                return Ok(Vec::new());
            }
            vault.update(|contents| -> Result<_, VaultError> {
                let moves = moves(contents);
                let made = moves.into_iter();
                made.map(|step| Ok((make(contents, &step, now)?, step)))
                    .collect()
            })
        };
        let Ok(made) = tokio::task::spawn_blocking(work).await else {
            return false;
        };
        let unreadable = &self.tools.metrics.vault_unreadable;
        match made {
            Ok(made) => {
                unreadable.set(0);
                self.vault_trouble = None;
                for (loose, step) in &made {
                    let loose = loose.as_ref().map(Name::as_str);
                    match step {
                        Move::Promote(pixel) => {
                            tracing::warn!(pixel.id = %pixel, "the next token is current now, since graph refuses the one before");
                        }
                        Move::RollBack(pixel) => {
                            tracing::warn!(pixel.id = %pixel, token.name = loose, "the retiring token is current again, since graph refuses the new one");
                        }
                        Move::Finish(pixel) => {
                            tracing::info!(pixel.id = %pixel, token.name = loose, "a rotation is over; the token that was replaced is in no slot: revoke it with `capigate token revoke`");
                        }
                    }
                }
                !made.is_empty()
            }
            Err(error) => {
                unreadable.set(1);
                tracing::error!(code = error.code(), %error, "the vault cannot be looked after");
                self.vault_trouble = Some(error.to_string());
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::Secret;
    use crate::tokens::{Facts, Obtained, TokenRecord};

    const NOW: UnixMs = UnixMs(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn pixel() -> PixelId {
        PixelId::from_u64(1).unwrap()
    }

    fn key(token: &str) -> TokenKey {
        TokenKey::of(&Secret::new(token.to_owned()))
    }

    fn contents(slots: &[(Slot, &str)]) -> Contents {
        let mut contents = Contents::default();
        for (slot, token) in slots {
            let name: Name = token.parse().unwrap();
            let record = TokenRecord {
                secret: Secret::new((*token).to_owned()),
                obtained: Obtained::Pasted,
                added_at: NOW,
                facts: Facts::default(),
            };
            contents.add(name.clone(), record).unwrap();
            contents.bind(pixel(), *slot, &name, NOW).unwrap();
        }
        contents
    }

    fn moves(
        contents: &Contents,
        refused: &[&str],
        used: Option<UnixMs>,
        now: UnixMs,
    ) -> Vec<Move> {
        let refused: Vec<Refused> = refused
            .iter()
            .map(|token| Refused {
                token: key(token),
                pixel: None,
            })
            .collect();
        due(contents, &refused, &|_, _| used, HOUR, now)
    }

    #[test]
    fn a_refused_token_gives_its_slot_to_the_next_or_the_one_before() {
        let three = contents(&[
            (Slot::Retiring, "a"),
            (Slot::Current, "b"),
            (Slot::Next, "c"),
        ]);
        assert_eq!(moves(&three, &[], None, NOW), []);
        assert_eq!(moves(&three, &["a"], None, NOW), []);
        assert_eq!(moves(&three, &["b"], None, NOW), [Move::Promote(pixel())]);
        assert_eq!(
            moves(&three, &["b", "c"], None, NOW),
            [Move::RollBack(pixel())]
        );
        assert_eq!(moves(&three, &["a", "b", "c"], None, NOW), []);
        let alone = contents(&[(Slot::Current, "b")]);
        assert_eq!(moves(&alone, &["b"], None, NOW), []);
    }

    #[test]
    fn what_is_refused_for_another_pixel_is_no_matter_here() {
        let two = contents(&[(Slot::Current, "b"), (Slot::Next, "c")]);
        let refused = |pixel| Refused {
            token: key("b"),
            pixel: Some(pixel),
        };
        let other = PixelId::from_u64(2).unwrap();
        let due = |refused| due(&two, &[refused], &|_, _| None, HOUR, NOW);
        assert_eq!(due(refused(other)), []);
        assert_eq!(due(refused(pixel())), [Move::Promote(pixel())]);
    }

    #[test]
    fn a_rotation_ends_after_the_overlap_and_a_batch_on_the_new_token() {
        let two = contents(&[(Slot::Retiring, "a"), (Slot::Current, "b")]);
        let later = NOW.plus(HOUR);
        let used = Some(UnixMs(NOW.0 + 1));
        assert_eq!(moves(&two, &[], used, UnixMs(later.0 - 1)), []);
        assert_eq!(
            moves(&two, &[], None, later),
            [],
            "nothing was sent with it"
        );
        assert_eq!(moves(&two, &[], Some(NOW), later), [], "nothing since");
        assert_eq!(moves(&two, &[], used, later), [Move::Finish(pixel())]);
    }

    #[test]
    fn a_batch_of_another_pixel_with_the_same_token_ends_no_rotation() {
        let mut two = contents(&[(Slot::Retiring, "a"), (Slot::Current, "b")]);
        let other = PixelId::from_u64(2).unwrap();
        let name = |token: &str| token.parse::<Name>().unwrap();
        two.bind(other, Slot::Retiring, &name("a"), NOW).unwrap();
        two.bind(other, Slot::Current, &name("b"), NOW).unwrap();
        let later = NOW.plus(HOUR);
        let used = |_, one| (one == other).then_some(UnixMs(NOW.0 + 1));
        let moves = due(&two, &[], &used, HOUR, later);
        assert_eq!(moves, [Move::Finish(other)]);
    }

    #[test]
    fn the_moves_are_made() {
        let now = NOW.plus(HOUR);
        let mut contents = contents(&[(Slot::Current, "b"), (Slot::Next, "c")]);
        assert_eq!(
            make(&mut contents, &Move::Promote(pixel()), now).unwrap(),
            None
        );
        let loose = make(&mut contents, &Move::RollBack(pixel()), now).unwrap();
        assert_eq!(loose.unwrap().as_str(), "c");
        assert!(make(&mut contents, &Move::Finish(pixel()), now).is_err());
    }
}
