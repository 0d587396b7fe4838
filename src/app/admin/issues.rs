//! `/issues`: what goes wrong with events, in groups, in plain words, and what somebody said of it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::Inner;
use super::call::{Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use crate::codes;
use crate::config::units::{Span, UnitError};
use crate::graph::verdict::explain::{self, Subcodes};
use crate::issues::{
    Change, Issue, IssueError, IssueId, IssueIdError, Kind, MAX_MUTE, Place, State,
};
use crate::pixel::PixelId;

/// What the share of a pixel's traffic is about.
const HOUR: Duration = Duration::from_hours(1);
/// What a state may be asked for by.
const STATES: [State; 3] = [State::Open, State::Acknowledged, State::Muted];
/// The same of places.
const PLACES: [Place; 4] = [Place::Door, Place::Policy, Place::Meta, Place::Lane];

/// Which issues are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) pixel: Option<PixelId>,
    /// Our word, Meta's code, or that with its subcode, such as `100/2804009`.
    pub(super) code: Option<String>,
    pub(super) place: Option<Place>,
    pub(super) state: Option<State>,
}

/// Some of the issues.
#[derive(Serialize)]
pub(super) struct Page {
    /// Since when they are counted, in Unix milliseconds.
    pub(super) since: i64,
    pub(super) issues: Vec<Shown>,
    /// Whether there are others that are not shown.
    pub(super) more: bool,
}

/// An issue with what it means.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) issue: Issue,
    /// Its part of what came for the pixel in the last hour, from 0 to 1; none when nothing came.
    pub(super) share: Option<f64>,
    #[serde(flatten)]
    pub(super) words: Words,
    /// The body for `POST /dead/redrive` that tries its dead letters again; none where it has none.
    pub(super) redrive: Option<Value>,
}

/// What an issue means to a person.
#[derive(Serialize)]
pub(super) struct Words {
    pub(super) title: String,
    pub(super) cause: String,
    pub(super) fix: String,
    /// The command that says more.
    pub(super) explain: String,
}

impl Wanted {
    /// Takes the conditions out of a query.
    pub(super) fn take(members: &mut Members) -> Result<Self, Problem> {
        let pixel = "send the id of a pixel, such as \"1234567890123456\"";
        let (place, state) = (members.text("where")?, members.text("state")?);
        let place = place.map(|word| {
            let known = PLACES.into_iter().find(|one| one.word() == word);
            known.ok_or_else(|| Problem::bad("where", "send door, policy, meta or lane"))
        });
        let state = state.map(|word| {
            let known = STATES.into_iter().find(|one| one.word() == word);
            known.ok_or_else(|| Problem::bad("state", "send open, acknowledged or muted"))
        });
        Ok(Self {
            pixel: members.parsed("pixel", pixel)?,
            code: members.text("code")?,
            place: place.transpose()?,
            state: state.transpose()?,
        })
    }

    fn has(&self, kind: &Kind) -> bool {
        self.pixel.is_none_or(|pixel| pixel == kind.pixel)
            && self.place.is_none_or(|place| place == kind.place)
            && self.code.as_ref().is_none_or(|code| kind.is_of(code))
    }
}

/// The issues that are wanted, `limit` of them: the open ones first.
pub(super) fn look(inner: &Inner, wanted: &Wanted, limit: usize) -> Page {
    let mut all = inner.issues.list(|kind| wanted.has(kind));
    all.retain(|issue| wanted.state.is_none_or(|state| state == issue.state));
    let more = all.len() > limit;
    all.truncate(limit);
    let mut came = BTreeMap::new();
    let shown = |issue: Issue| {
        let pixel = issue.kind.pixel;
        let came = *came.entry(pixel).or_insert_with(|| traffic(inner, pixel));
        shown(issue, came)
    };
    Page {
        since: inner.issues.since().0,
        issues: all.into_iter().map(shown).collect(),
        more,
    }
}

/// The issues that an event with this id was last seen in, as far as they keep it.
pub(super) fn of_event(inner: &Inner, event_id: &str) -> Vec<Shown> {
    let mut all = inner.issues.list(|_| true);
    all.retain(|issue| issue.event_ids.iter().any(|id| id == event_id));
    let shown = |issue: Issue| {
        let came = traffic(inner, issue.kind.pixel);
        shown(issue, came)
    };
    all.into_iter().map(shown).collect()
}

/// One issue.
pub(super) fn one(inner: &Inner, id: &str) -> Result<Shown, Problem> {
    let issue = inner.issues.get(self::id(id)?).ok_or_else(unknown)?;
    let came = traffic(inner, issue.kind.pixel);
    Ok(shown(issue, came))
}

fn shown(issue: Issue, came: u64) -> Shown {
    // what has died in this hour may have come before
    let share = (issue.last_hour as f64 / came as f64).min(1.0);
    Shown {
        share: (came > 0).then_some((share * 10_000.0).round() / 10_000.0),
        words: words(&issue.kind),
        redrive: redrive(&issue.kind),
        issue,
    }
}

/// What came for a pixel in the last hour.
fn traffic(inner: &Inner, pixel: PixelId) -> u64 {
    let report = inner.traffic.report(pixel, HOUR).unwrap_or_default();
    let refused: u64 = report.refused.values().sum();
    let filtered: u64 = report.filtered.values().sum();
    report.events + refused + filtered
}

/// `GET /issues`.
pub(super) fn list(mut call: Call) -> Done {
    Box::pin(async move {
        let (limit, wanted) = (call.members.limit()?, Wanted::take(&mut call.members)?);
        call.members.end()?;
        let inner = call.admin.0;
        let page = beside(move || look(&inner, &wanted, limit));
        Ok(Reply::ok(&page.await?))
    })
}

/// `POST /issues/{id}/acknowledge`.
pub(super) fn acknowledge(mut call: Call) -> Done {
    Box::pin(async move {
        let undo = call.members.flag("undo")?;
        let change = if undo {
            Change::Reopen
        } else {
            Change::Acknowledge
        };
        apply(call, change).await
    })
}

/// `POST /issues/{id}/mute`.
pub(super) fn mute(mut call: Call) -> Done {
    Box::pin(async move {
        if call.members.flag("undo")? {
            return apply(call, Change::Unmute).await;
        }
        let expected = || format!("{}, such as \"8h\"; at most 30d", UnitError::Span);
        let span = call.members.parsed::<Span>("for", &expected())?;
        let span = span.map(Span::get);
        let span = span.filter(|span| !span.is_zero() && *span <= MAX_MUTE);
        let span = span.ok_or_else(|| Problem::bad("for", expected()))?;
        apply(call, Change::Mute(span)).await
    })
}

async fn apply(call: Call, change: Change) -> Result<Reply, Problem> {
    call.members.end()?;
    let (id, inner, by) = (id(&call.id)?, call.admin.0, call.by);
    let changed = beside(move || {
        let issue = inner.issues.change(id, change, &by)?;
        let came = traffic(&inner, issue.kind.pixel);
        Ok(shown(issue, came))
    });
    let changed = changed.await?.map_err(|error| refused(&error))?;
    Ok(Reply::ok(&changed).changed(1))
}

fn id(text: &str) -> Result<IssueId, Problem> {
    let id: Result<IssueId, IssueIdError> = text.parse();
    id.map_err(|error| Problem::bad("the id", error.to_string()))
}

fn unknown() -> Problem {
    Problem::not_found(
        IssueError::Unknown.to_string(),
        "list them with GET /issues; they are counted anew after a restart, and the oldest make room",
    )
}

fn refused(error: &IssueError) -> Problem {
    match error {
        IssueError::Unknown => unknown(),
        IssueError::File(file) => {
            tracing::error!(error = %file, "what is acknowledged and muted of issues cannot be written down");
            let next = "nothing was changed: see the log, and mend the disk or the rights below journal.dir";
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                error.code(),
                error.to_string(),
                next,
            )
        }
    }
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

/// Cause and fix of what is held without a code of Meta's.
const HELD: [&str; 2] = [
    "Something between here and Meta does not take what is sent for this pixel, so its events wait on disk.",
    "See what is held and why, with `capigate holds list`; a proxy or a wrong graph.url is the usual cause.",
];

/// What an issue means, in plain words.
fn words(kind: &Kind) -> Words {
    let known = match (kind.place, kind.code) {
        (Place::Door | Place::Policy, _) => own(kind),
        (Place::Meta | Place::Lane, Some(code)) => meta(code, kind.subcode),
        (Place::Meta | Place::Lane, None) => None,
    };
    known.unwrap_or_else(|| {
        let row = REASONS.iter().find(|(word, _)| *word == kind.word);
        let Some((_, [title, cause, fix])) = row else {
            return Words {
                title: format!("Held: {}", kind.word),
                cause: HELD[0].to_owned(),
                fix: HELD[1].to_owned(),
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
    let row = codes::find(kind.word)?.row();
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
pub(super) fn meta(code: i64, subcode: Option<i64>) -> Option<Words> {
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

/// What tries the dead letters of an issue again.
fn redrive(kind: &Kind) -> Option<Value> {
    let is_reason = REASONS.iter().any(|(word, _)| *word == kind.word);
    let is_sent = matches!(kind.place, Place::Meta | Place::Lane);
    let has_letters = is_sent && is_reason && kind.word != "unconfirmed";
    has_letters.then(|| {
        let mut filter = json!({"pixel": kind.pixel, "reason": kind.word});
        for (key, number) in [("code", kind.code), ("subcode", kind.subcode)] {
            if let Some(number) = number {
                filter[key] = number.into();
            }
        }
        filter
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(place: Place, word: &'static str, code: Option<i64>, subcode: Option<i64>) -> Kind {
        Kind {
            pixel: "7".parse().unwrap(),
            place,
            word,
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

    #[test]
    fn only_dead_letters_can_be_redriven() {
        let filter = |kind: Kind| redrive(&kind);
        assert_eq!(filter(kind(Place::Door, "too_old", None, None)), None);
        assert_eq!(filter(kind(Place::Lane, "unconfirmed", None, None)), None);
        assert_eq!(filter(kind(Place::Meta, "token", Some(190), None)), None);
        assert_eq!(
            filter(kind(Place::Meta, "refused", Some(100), Some(7))),
            Some(json!({"pixel": "7", "reason": "refused", "code": 100, "subcode": 7}))
        );
    }
}
