//! The table for people: each row with what it means, what is done about it, and what to do.

use super::table::{Action, Floor, Row, Subcode, TABLE};
use super::{Cause, Scope, Split, Transient, UNKNOWN_TRIES, advice};
use crate::graph::reply::Literal;

/// What is known about one kind of Graph's errors, as an answer to events.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The first and the last of its codes.
    pub codes: (i64, i64),
    /// Its subcodes, as ranges.
    pub subcodes: Subcodes,
    /// What the message names, for a row that needs that.
    pub names: Option<&'static str>,
    /// A few words.
    pub title: &'static str,
    /// What it means.
    pub says: &'static str,
    /// What to do next.
    pub next: &'static str,
    /// The stable word for what the gateway does: `transient`, `throttled`, `held` or `split`.
    pub outcome: &'static str,
    /// Why it does so: the stable word of a [`Transient`], [`Cause`] or [`Split`]; `limit` for a
    /// throttle.
    pub cause: &'static str,
    /// What is stopped by it, if anything.
    pub scope: Option<&'static str>,
    /// What the gateway does, in a sentence.
    pub does: String,
    /// The stable word for how well it is known: `documented`, `reported`, `told` or `unconfirmed`.
    pub grade: &'static str,
}

/// The subcodes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subcodes {
    /// Any that no other row has, and none.
    Any,
    /// Only without a subcode.
    Absent,
    /// These, each range with its ends.
    Only(Vec<(i64, i64)>),
}

/// Every row, in the order in which they are tried.
pub fn rows() -> impl Iterator<Item = Explained> {
    TABLE.iter().map(explained)
}

/// All rows that an error may be of which a person knows the code and perhaps the subcode. A
/// subcode that has no row of its own gets those for any.
pub fn by_code(code: i64, subcode: Option<i64>) -> Vec<Explained> {
    let of_code = || rows().filter(move |row| (row.codes.0..=row.codes.1).contains(&code));
    let Some(subcode) = subcode else {
        return of_code().collect();
    };
    let has = |row: &Explained| match &row.subcodes {
        Subcodes::Only(ranges) => ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&subcode)),
        Subcodes::Any | Subcodes::Absent => false,
    };
    // the first that fits decides, as it does for an answer
    match of_code().find(has) {
        Some(own) => vec![own],
        None => of_code()
            .filter(|row| row.subcodes == Subcodes::Any)
            .collect(),
    }
}

fn explained(row: &'static Row) -> Explained {
    let (outcome, cause, scope) = match row.action {
        Action::Retry(cause) => ("transient", cause.code(), None),
        Action::Throttle(scope, _) => ("throttled", "limit", Some(scope.code())),
        Action::Hold(scope, cause) => ("held", cause.code(), Some(scope.code())),
        Action::Split(split) => ("split", split.code(), None),
    };
    let advice = advice::of(row);
    Explained {
        codes: (*row.codes.start(), *row.codes.end()),
        subcodes: match &row.subcode {
            Subcode::Any => Subcodes::Any,
            Subcode::None => Subcodes::Absent,
            Subcode::OneOf(list) => Subcodes::Only(list.iter().map(|one| (*one, *one)).collect()),
            Subcode::Within(range) => Subcodes::Only(vec![(*range.start(), *range.end())]),
        },
        names: row.literal.map(Literal::text),
        title: row.note,
        // a test holds that every row has its own
        says: advice.map_or(row.note, |advice| advice.says),
        next: advice.map_or("", |advice| advice.next),
        outcome,
        cause,
        scope,
        does: does(row.action),
        grade: row.grade.code(),
    }
}

fn does(action: Action) -> String {
    match action {
        Action::Retry(Transient::Unknown) => format!(
            "the same batch goes out again after a growing wait; after {UNKNOWN_TRIES} times in a row it is searched for events that are refused by themselves"
        ),
        Action::Retry(_) => "the same batch goes out again, with the same event ids, after a growing wait, until its events expire".to_owned(),
        Action::Throttle(scope, floor) => {
            let least = match floor {
                Floor::Times(1) => "lanes.throttle_min".to_owned(),
                Floor::Times(times) => format!("{times} times lanes.throttle_min"),
                Floor::ByTier => "lanes.throttle_min, or 5 times that in Meta's limited access tier".to_owned(),
            };
            format!(
                "{} stops for as long as Meta says, at least {least}; then its pace is halved, and climbs back",
                whose(scope)
            )
        }
        Action::Hold(scope, Cause::Token) => format!(
            "{} is not used any more: its pixels go on with their next one, and without one their events wait on disk",
            whose(scope)
        ),
        Action::Hold(scope, Cause::Blocked) => format!(
            "{} is held: events wait on disk, and one is tried after an hour, then ever later, up to a day",
            whose(scope)
        ),
        Action::Hold(scope, _) => format!(
            "{} is held: events wait on disk, and one is tried every lanes.probe_interval",
            whose(scope)
        ),
        Action::Split(split) => {
            let reason = split.code();
            let first = match split {
                Split::TooLarge => "the batch is halved by bytes",
                Split::Refused | Split::Expired => "the batch is searched for the events at fault, and the others are delivered",
            };
            format!("{first}; an event that is refused by itself becomes a dead letter ({reason})")
        }
    }
}

fn whose(scope: Scope) -> &'static str {
    match scope {
        Scope::App => "the app, with all pixels that share it,",
        Scope::Token => "the token",
        Scope::Pixel => "the pixel",
        Scope::Lane => "what the pixel has of this kind, such as its messages,",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_a_text_of_its_own() {
        let mut says = BTreeSet::new();
        for row in rows() {
            let at = format!("{:?} {:?}", row.codes, row.subcodes);
            assert!(row.says.len() > 40 && row.says != row.title, "{at}");
            assert!(row.next.len() > 7, "{at}");
            assert!(says.insert(row.says), "{at} says what another says");
            assert!(row.says.ends_with('.') && row.next.ends_with('.'), "{at}");
            assert!(!row.does.is_empty());
        }
        assert_eq!(says.len(), TABLE.len());
        assert_eq!(advice::ADVICE.len(), TABLE.len(), "a text without a row");
    }

    #[test]
    fn a_code_gives_the_rows_that_would_decide() {
        let of = |code, subcode| by_code(code, subcode);
        let only = of(100, Some(2_804_009));
        assert_eq!((only.len(), only[0].outcome), (1, "split"));
        assert_eq!(only[0].grade, "reported");
        assert_eq!(
            of(100, Some(2_804_555))[0].title,
            "an invalid payload of this edge, not seen before"
        );
        let other = of(100, Some(7));
        assert_eq!((other.len(), other[0].cause), (1, "refused"));
        assert!(of(100, None).len() > 10);
        assert_eq!(of(250, None)[0].scope, Some("pixel"));
        assert_eq!(of(80_011, None).len(), 1);
        assert!(of(987_654, None).is_empty());
        let does = |code| of(code, None)[0].does.clone();
        assert!(does(341).contains("the app"));
        assert!(of(613, Some(1_996))[0].does.contains("15 times"));
        assert!(does(368).contains("after an hour"));
    }
}
