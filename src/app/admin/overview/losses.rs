//! What is lost: events refused at the door, and those that became dead letters.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::{Need, Rank};
use crate::app::admin::Inner;
use crate::app::admin::issues::EVERY;
use crate::issues::{Brief, Place, State};
use crate::pixel::PixelId;
use crate::text::counted;
use crate::traffic::Totals;

/// Per cent of what came in an hour that may be refused at the door without a word: as of the rule
/// `CapigateRequestsRefused`. Some of what the internet sends is always refused.
const DOOR_PERCENT: u64 = 5;
/// Per cent of what ended in an hour that may die where no issue says why. There are issues of 2000
/// groups only, and a fault that all pixels share makes more.
const DEAD_PERCENT: u64 = 1;
/// Events that must have been refused before it takes a person that nothing else came: a try or two by
/// hand do not.
const FEW: u64 = 5;
/// What died since the last look at the dead letters is kept for sure; twice that, since a look may
/// be late.
const LOOKED: Duration = EVERY.saturating_mul(2);

/// What to do about dead letters that nobody knows of.
const DEAD_NEXT: &str = "see in Issues why, mend the cause, then send them again or purge them; or acknowledge the issue";

/// The issues of a pixel that are not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::app::admin) struct Issues {
    /// Of which nobody has said anything.
    pub(in crate::app::admin) open: u64,
    /// That somebody has acknowledged or muted.
    pub(in crate::app::admin) known: u64,
}

/// What a pixel has lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    pub(super) issues: Issues,
    /// Dead letters that are kept, of issues that are open.
    letters: u64,
    /// The same of those that somebody knows of.
    known_letters: u64,
    /// Whether any issue is about something that was accepted.
    has_cause: bool,
    /// Events refused in the last hour of which somebody knows.
    known_refused: u64,
    hour: Totals,
}

/// What all pixels have lost, asked once for all of them.
pub(super) struct Losses(HashMap<PixelId, Loss>);

impl Losses {
    pub(super) fn of(inner: &Inner) -> Self {
        let mut all: HashMap<PixelId, Loss> = HashMap::new();
        for (pixel, hour) in inner.traffic.hour() {
            let loss = Loss {
                hour,
                ..Loss::default()
            };
            all.insert(pixel, loss);
        }
        for brief in inner.issues.briefs(LOOKED) {
            all.entry(brief.pixel).or_default().add(&brief);
        }
        Self(all)
    }

    pub(super) fn of_pixel(&self, pixel: PixelId) -> Loss {
        self.0.get(&pixel).copied().unwrap_or_default()
    }
}

impl Loss {
    fn add(&mut self, issue: &Brief) {
        let is_open = issue.state == State::Open;
        let (issues, letters) = if is_open {
            (&mut self.issues.open, &mut self.letters)
        } else {
            (&mut self.issues.known, &mut self.known_letters)
        };
        *issues += 1;
        *letters += issue.letters;
        match issue.place {
            Place::Meta | Place::Lane => self.has_cause = true,
            Place::Door if !is_open => self.known_refused += issue.last_hour,
            Place::Door | Place::Policy => {}
        }
    }

    /// How grave it is.
    pub(super) fn rank(&self) -> Rank {
        let ranks = self.needs().map(|need| need.rank);
        ranks.min().unwrap_or(Rank::Ok)
    }

    /// What is to be done about it, or known.
    pub(super) fn needs(&self) -> impl Iterator<Item = Need> {
        self.dead().into_iter().chain(self.door())
    }

    fn dead(&self) -> Option<Need> {
        let Totals {
            dead, delivered, ..
        } = self.hour;
        let mut next = DEAD_NEXT;
        let (rank, says) = if self.letters > 0 {
            let letters = counted(self.letters, "dead letter");
            let none = match (dead, delivered) {
                (1.., 0) => ", and Meta has taken nothing in the last hour",
                _ => "",
            };
            (Rank::NeedsPerson, format!("{letters} to look at{none}"))
        } else if !self.has_cause && is_over(DEAD_PERCENT, dead, dead + delivered) {
            let died = counted(dead, "event");
            (
                Rank::NeedsPerson,
                format!("{died} became dead letters in the last hour"),
            )
        } else if self.known_letters > 0 {
            next =
                "they are kept in Dead letters, and stay there until they are sent again or purged";
            let letters = counted(self.known_letters, "dead letter");
            (Rank::Watch, format!("{letters}, which somebody knows of"))
        } else {
            return None;
        };
        Some(Need {
            code: "dead",
            rank,
            says,
            next: next.to_owned(),
        })
    }

    fn door(&self) -> Option<Need> {
        let Totals {
            received,
            refused,
            filtered,
            ..
        } = self.hour;
        if !is_over(DOOR_PERCENT, refused, received) {
            return None;
        }
        let unknown = refused.saturating_sub(self.known_refused);
        let is_known = !is_over(DOOR_PERCENT, unknown, received);
        let nothing_came = refused + filtered == received && refused >= FEW;
        let of = format!("{refused} of {}", counted(received, "event"));
        let known = if is_known {
            ", which somebody knows of"
        } else {
            ""
        };
        Some(Need {
            code: "refused",
            rank: if nothing_came && !is_known {
                Rank::NeedsPerson
            } else {
                Rank::Watch
            },
            says: format!("{of} of the last hour refused at the door{known}"),
            next: if is_known {
                "see in Issues what it is, and mend what sends them"
            } else {
                "see in Issues why, and mend what sends them; or acknowledge the issue"
            }
            .to_owned(),
        })
    }
}

/// Whether a part is more than so many per cent of the whole.
fn is_over(percent: u64, part: u64, whole: u64) -> bool {
    part.saturating_mul(100) > whole.saturating_mul(percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issues::Kind;

    fn loss(hour: Totals, issues: &[(Place, State, u64)]) -> Loss {
        let mut loss = Loss {
            hour,
            ..Loss::default()
        };
        for (place, state, events) in issues {
            let kind = Kind {
                pixel: PixelId::from_u64(7).unwrap(),
                place: *place,
                word: "refused".into(),
                code: None,
                subcode: None,
                path: "".into(),
            };
            loss.add(&Brief {
                id: kind.id(),
                pixel: kind.pixel,
                place: *place,
                state: *state,
                letters: if *place == Place::Meta { *events } else { 0 },
                last_hour: *events,
            });
        }
        loss
    }

    fn told(loss: &Loss) -> Vec<(&'static str, Rank, String)> {
        let needs = loss.needs();
        needs
            .map(|need| (need.code, need.rank, need.says))
            .collect()
    }

    fn came(received: u64, refused: u64) -> Totals {
        Totals {
            received,
            refused,
            accepted: received - refused,
            ..Totals::default()
        }
    }

    #[test]
    fn dead_letters_need_somebody_until_somebody_knows() {
        let hour = Totals {
            dead: 50,
            ..came(50, 0)
        };
        let (code, rank, says) = told(&loss(hour, &[(Place::Meta, State::Open, 50)])).remove(0);
        assert_eq!((code, rank), ("dead", Rank::NeedsPerson));
        assert_eq!(
            says,
            "50 dead letters to look at, and Meta has taken nothing in the last hour"
        );
        // one of many is one that nobody sends again by itself
        let hour = Totals {
            dead: 1,
            delivered: 5_000,
            ..came(5_001, 0)
        };
        let (_, rank, says) = told(&loss(hour, &[(Place::Meta, State::Open, 1)])).remove(0);
        assert_eq!(
            (rank, says.as_str()),
            (Rank::NeedsPerson, "1 dead letter to look at")
        );
        for state in [State::Acknowledged, State::Muted] {
            let (_, rank, says) = told(&loss(hour, &[(Place::Meta, state, 1)])).remove(0);
            assert_eq!(
                (rank, says.as_str()),
                (Rank::Watch, "1 dead letter, which somebody knows of")
            );
        }
        // redriven: the issue is there for a while, its letters are not
        assert!(told(&loss(hour, &[(Place::Meta, State::Open, 0)])).is_empty());
        // an issue that had to make room
        assert!(told(&loss(hour, &[])).is_empty());
        let hour = Totals {
            dead: 60,
            delivered: 5_000,
            ..came(5_060, 0)
        };
        assert_eq!(told(&loss(hour, &[]))[0].1, Rank::NeedsPerson);
    }

    #[test]
    fn what_is_refused_needs_somebody_when_nothing_else_comes() {
        for (hour, known, rank) in [
            (came(0, 0), 0, None),
            (came(100, 5), 0, None),
            (came(100, 6), 0, Some(Rank::Watch)),
            (came(60, 59), 0, Some(Rank::Watch)),
            (came(60, 60), 0, Some(Rank::NeedsPerson)),
            (came(60, 60), 56, Some(Rank::NeedsPerson)),
            (came(60, 60), 57, Some(Rank::Watch)),
            (came(60, 60), 60, Some(Rank::Watch)),
            (came(4, 4), 0, Some(Rank::Watch)),
        ] {
            let issues = [
                (Place::Door, State::Acknowledged, known),
                (Place::Door, State::Open, hour.refused - known),
            ];
            let told = told(&loss(hour, &issues));
            let found = told.first().map(|(_, rank, _)| *rank);
            // of 60, under four are no more than five per cent
            assert_eq!(found, rank, "{hour:?} {known}");
        }
        let said = told(&loss(came(60, 60), &[])).remove(0).2;
        assert_eq!(said, "60 of 60 events of the last hour refused at the door");
    }
}
