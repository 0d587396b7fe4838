//! `/issues`: what goes wrong with events, in groups, in plain words, and what somebody said of it.

mod survey;
mod words;

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
use crate::config::units::{Span, UnitError};
use crate::issues::{
    Change, Issue, IssueError, IssueId, IssueIdError, Kind, MAX_MUTE, Place, State,
};
use crate::journal::dead::Number;
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::traffic::Report;

pub(super) use survey::{EVERY, Survey};
pub(super) use words::meta;
use words::{Words, words};

/// What the share of a pixel's traffic is about.
const HOUR: Duration = Duration::from_hours(1);
/// The reason of letters that may have been delivered.
const UNCONFIRMED: &str = "unconfirmed";
/// What a state may be asked for by.
pub(super) const STATES: [State; 4] = [State::Open, State::Acknowledged, State::Muted, State::Over];
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
    /// Since when what is refused or kept back at the door is counted, in Unix milliseconds.
    pub(super) since: i64,
    /// How many are open, of those that are wanted in whatever state.
    pub(super) open: usize,
    pub(super) issues: Vec<Shown>,
    /// Whether there are others that are not shown.
    pub(super) more: bool,
}

/// An issue with what it means.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) issue: Issue,
    /// Its part of what came for the pixel in the last hour, from 0 to 1; none when nothing came, or
    /// when it is not known, since the gateway started meanwhile.
    pub(super) share: Option<f64>,
    /// Since when `last_hour` and `share` are counted, where that is less than an hour: the start of the
    /// gateway.
    pub(super) hour_since: Option<UnixMs>,
    #[serde(flatten)]
    pub(super) words: Words,
    /// The body for `POST /dead/redrive` that tries its dead letters again, those and no others; none
    /// where it has none, or nobody knows whether they arrived.
    pub(super) redrive: Option<Value>,
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
            known.ok_or_else(|| Problem::bad("state", "send open, acknowledged, muted or over"))
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

/// The issues that are wanted, `limit` of them: the open ones first. Blocks.
pub(super) fn look(inner: &Inner, wanted: &Wanted, limit: usize) -> Page {
    survey::now(inner);
    let mut all = inner.issues.list(|kind| wanted.has(kind));
    let open = all
        .iter()
        .filter(|issue| issue.state == State::Open)
        .count();
    all.retain(|issue| wanted.state.is_none_or(|state| state == issue.state));
    let more = all.len() > limit;
    all.truncate(limit);
    let mut came = BTreeMap::new();
    let start = start(inner);
    let shown = |issue: Issue| {
        let pixel = issue.kind.pixel;
        let came = *came.entry(pixel).or_insert_with(|| traffic(inner, pixel));
        shown(issue, came, start)
    };
    Page {
        since: inner.issues.since().0,
        open,
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
        shown(issue, came, start(inner))
    };
    all.into_iter().map(shown).collect()
}

/// One issue. Blocks.
pub(super) fn one(inner: &Inner, id: &str) -> Result<Shown, Problem> {
    survey::now(inner);
    let issue = inner.issues.get(self::id(id)?).ok_or_else(unknown)?;
    let came = traffic(inner, issue.kind.pixel);
    Ok(shown(issue, came, start(inner)))
}

/// `start` is that of the gateway, if it is less than an hour ago.
fn shown(issue: Issue, came: u64, start: Option<UnixMs>) -> Shown {
    // of what waits the journal knows the whole hour, but nobody what came beside it
    let is_older = |start: &UnixMs| issue.waiting > 0 && issue.first_seen < *start;
    let is_known = came > 0 && !start.as_ref().is_some_and(is_older);
    // what has died in this hour may have come before
    let share = (issue.last_hour as f64 / came as f64).min(1.0);
    Shown {
        share: is_known.then_some((share * 10_000.0).round() / 10_000.0),
        hour_since: start.filter(|start| !is_older(start)),
        words: words(&issue.kind),
        redrive: redrive(&issue),
        issue,
    }
}

/// When the gateway started, if that is less than an hour ago.
fn start(inner: &Inner) -> Option<UnixMs> {
    let start = inner.traffic.since();
    (inner.clock.now().since(start) < HOUR).then_some(start)
}

/// What came for a pixel in the last hour.
fn traffic(inner: &Inner, pixel: PixelId) -> u64 {
    came(&inner.traffic.report(pixel, HOUR).unwrap_or_default())
}

fn came(report: &Report) -> u64 {
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
        Ok(shown(issue, came, start(&inner)))
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
        "list them with GET /issues; those that are over make room first, then those that were seen least lately",
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

/// The letters of an issue, and no others, as a filter of dead letters.
pub(super) fn letters(kind: &Kind) -> Value {
    let number = |number: Option<i64>| json!(Number::from(number));
    json!({
        "pixel": kind.pixel,
        "reason": kind.word,
        "code": number(kind.code),
        "subcode": number(kind.subcode),
    })
}

/// What tries the dead letters of an issue again.
fn redrive(issue: &Issue) -> Option<Value> {
    let may = issue.letters > 0 && issue.kind.word != UNCONFIRMED;
    may.then(|| letters(&issue.kind))
}
