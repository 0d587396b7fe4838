//! What issues mean, in plain words.

use serde::Serialize;

use crate::codes;
use crate::graph::Cause;
use crate::graph::verdict::explain::{self, Subcodes};
use crate::issues::{Kind, Place};
use crate::lanes::snapshot::HeldBy;

/// What an issue means to a person.
#[derive(Serialize)]
pub(in crate::app::admin) struct Words {
    pub(in crate::app::admin) title: String,
    pub(in crate::app::admin) cause: String,
    pub(in crate::app::admin) fix: String,
    /// The command that says more.
    pub(in crate::app::admin) explain: String,
}

/// Reasons of dead letters where Meta has said nothing: title, cause and fix.
const REASONS: [(&str, [&str; 3]); 4] = [
    (
        "expired",
        [
            "Too old before it could be delivered",
            "The events waited for so long that Meta would refuse them for their age.",
            "See why they waited: what is held or throttled stands in the overview, and with `capigate holds`. What Meta still takes can be redriven; the dry run says how many.",
        ],
    ),
    (
        "too_large",
        [
            "An event alone is larger than Meta takes",
            "The events were sent alone, and still refused for their size.",
            "Send less in one event: long lists of contents are the usual cause.",
        ],
    ),
    (
        "unconfirmed",
        [
            "Sent once, and nobody knows whether it arrived",
            "The answer to these messages was lost, and Meta would count a second one twice (lanes.messaging).",
            "Look in the Events Manager whether they arrived. What did not can be redriven by its id, in Dead letters.",
        ],
    ),
    (
        "refused",
        [
            "Refused by Meta",
            "Meta has refused the events by themselves, with a code that no list has.",
            "Look at one of them in Dead letters: Meta's own words stand there.",
        ],
    ),
];

/// Why events are held, where Meta's code says no more: title and cause. What to do is
/// [`HeldBy::advice`].
const HELD: [(HeldBy, [&str; 2]); 9] = [
    (
        HeldBy::Graph(Cause::Token),
        [
            "Held: the token is refused",
            "Meta does not take the access token, so the pixel's events wait on disk.",
        ],
    ),
    (
        HeldBy::Graph(Cause::App),
        [
            "Held: the app is refused",
            "Meta does not take the app or its proof, so the pixel's events wait on disk.",
        ],
    ),
    (
        HeldBy::Graph(Cause::Permission),
        [
            "Held: the token has no right to the pixel",
            "Meta says that the token may not post to this pixel, or that there is no such pixel, so its events wait on disk.",
        ],
    ),
    (
        HeldBy::Graph(Cause::Blocked),
        [
            "Held: the account is blocked",
            "Meta has blocked the account for a while, so the pixel's events wait on disk.",
        ],
    ),
    (
        HeldBy::Graph(Cause::Account),
        [
            "Held: the account has something to settle",
            "Meta wants something settled first, so the pixel's events wait on disk.",
        ],
    ),
    (
        HeldBy::Graph(Cause::Configuration),
        [
            "Held: configuration",
            "Meta, or something on the way there such as a proxy, does not take what is sent for this pixel, so its events wait on disk.",
        ],
    ),
    (
        HeldBy::NoToken,
        [
            "Held: the pixel has no token",
            "Nothing can be sent without an access token, nor for a pixel that is not in the configuration any more, so the pixel's events wait on disk.",
        ],
    ),
    (
        HeldBy::DeadLetters,
        [
            "Held: dead letters cannot be written",
            "An event is refused and cannot be put aside, so the pixel's events wait on disk.",
        ],
    ),
    (
        HeldBy::Intents,
        [
            "Held: sends cannot be noted",
            "What must go out at most once is noted on disk first, and that fails, so the pixel's events wait.",
        ],
    ),
];

/// Whether its events wait since nothing is sent; else they are dead letters, or never came in.
pub(super) fn is_hold(kind: &Kind) -> bool {
    matches!(kind.place, Place::Meta | Place::Lane) && held(kind).is_some()
}

fn held(kind: &Kind) -> Option<&'static (HeldBy, [&'static str; 2])> {
    HELD.iter().find(|(by, _)| by.code() == kind.word)
}

/// Cause and fix of a word of a later version.
const UNKNOWN: [&str; 2] = [
    "This version of the gateway does not know the word.",
    "look at the events in Dead letters, and at what is held with `capigate holds list`",
];

/// What an issue means, in plain words.
pub(super) fn words(kind: &Kind) -> Words {
    let known = match (kind.place, kind.code) {
        (Place::Door | Place::Policy, _) => own(kind),
        (Place::Meta | Place::Lane, Some(code)) => meta(code, kind.subcode),
        (Place::Meta | Place::Lane, None) => None,
    };
    known.unwrap_or_else(|| {
        let row = REASONS.iter().find(|(word, _)| *word == kind.word);
        let Some((_, [title, cause, fix])) = row else {
            let row = held(kind);
            let title = row.map(|(_, [title, _])| (*title).to_owned());
            return Words {
                title: title.unwrap_or_else(|| format!("Held: {}", kind.word)),
                cause: row.map_or(UNKNOWN[0], |(_, [_, cause])| cause).to_owned(),
                fix: sentence(row.map_or(UNKNOWN[1], |(by, _)| by.advice())),
                explain: "capigate holds list".to_owned(),
            };
        };
        Words {
            title: (*title).to_owned(),
            cause: (*cause).to_owned(),
            fix: (*fix).to_owned(),
            explain: format!("capigate explain {}", kind.word),
        }
    })
}

fn own(kind: &Kind) -> Option<Words> {
    let row = codes::find(&kind.word)?.row();
    let title = match kind.place {
        Place::Policy => format!("Kept back by a policy: {}", row.word),
        _ if kind.path.is_empty() => format!("Refused at the door: {}", row.word),
        _ => format!("Refused at the door: {} ({})", row.word, kind.path),
    };
    let example = row
        .example
        .map(|example| format!(" For example: {example}"));
    Some(Words {
        title,
        cause: match kind.place {
            Place::Policy => format!(
                "A policy of the configuration lets only this pass: {}.",
                plain(row.rule)
            ),
            _ => format!("It breaks this rule: {}.", plain(row.rule)),
        },
        fix: sentence(row.next) + example.as_deref().unwrap_or_default(),
        explain: format!("capigate explain {}", row.word),
    })
}

/// What a code of Meta's means, if it is known.
pub(in crate::app::admin) fn meta(code: i64, subcode: Option<i64>) -> Option<Words> {
    let mut rows = explain::by_code(code, subcode);
    if subcode.is_none() {
        // without one, only the rows for none or for any can be meant
        rows.retain(|row| !matches!(row.subcodes, Subcodes::Only(_)) && row.names.is_none());
    }
    let row = rows.into_iter().next()?;
    let shown = match subcode {
        Some(subcode) => format!("{code}/{subcode}"),
        None => code.to_string(),
    };
    Some(Words {
        title: capital(plain(row.title)),
        cause: row.says.to_owned(),
        fix: row.next.to_owned(),
        explain: format!("capigate explain {shown}"),
    })
}

/// Without a full stop at its end.
fn plain(text: &str) -> &str {
    text.trim_end_matches('.')
}

/// With a large letter at its start.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// With a large letter at its start and a full stop at its end.
fn sentence(text: &str) -> String {
    let end = if text.ends_with(['.', '?', '!']) {
        ""
    } else {
        "."
    };
    capital(text) + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(place: Place, word: &'static str, code: Option<i64>, subcode: Option<i64>) -> Kind {
        Kind {
            pixel: "7".parse().unwrap(),
            place,
            word: word.into(),
            code,
            subcode,
            path: "".into(),
        }
    }

    #[test]
    fn every_group_has_words() {
        let door = words(&kind(Place::Door, "without_value", None, None));
        assert!(door.title.contains("without_value"), "{}", door.title);
        assert!(door.fix.contains("For example"), "{}", door.fix);
        let meta = words(&kind(Place::Meta, "refused", Some(100), Some(2_804_009)));
        assert_eq!(meta.explain, "capigate explain 100/2804009");
        let bare = words(&kind(Place::Meta, "refused", Some(100), None));
        assert_ne!(bare.cause, meta.cause);
        let unknown = words(&kind(Place::Meta, "refused", Some(987_654), None));
        assert_eq!(unknown.title, "Refused by Meta");
        let held = words(&kind(Place::Meta, "configuration", None, None));
        assert_eq!(held.title, "Held: configuration");
        for (by, [title, _]) in HELD {
            let place = match by {
                HeldBy::Graph(_) => Place::Meta,
                _ => Place::Lane,
            };
            let one = kind(place, by.code(), None, None);
            assert!(is_hold(&one), "{title}");
            assert_eq!(words(&one).title, title);
            assert!(words(&one).fix.ends_with('.'), "{title}");
        }
        assert!(!is_hold(&kind(Place::Meta, "refused", Some(100), None)));
        let lane = words(&kind(Place::Lane, "expired", None, None));
        assert!(lane.title.starts_with("Too old"));
        for one in [door, meta, bare, unknown, lane] {
            assert!(
                !one.cause.is_empty() && !one.fix.is_empty(),
                "{}",
                one.title
            );
        }
        for reason in crate::telemetry::metrics::DEAD_REASONS {
            assert!(REASONS.iter().any(|(word, _)| word == reason), "{reason}");
        }
    }
}
