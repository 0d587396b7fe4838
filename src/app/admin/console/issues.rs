//! What goes wrong, why, what it costs, and what to do about it.

use askama::Template;
use serde_json::{Value, json};

use super::super::call::Members;
use super::super::dead;
use super::super::issues::{self, Shown, Wanted};
use super::super::work::beside;
use super::choice::Pixels;
use super::shell::Shell;
use super::words::{Moment, count, counted, span};
use super::{Done, View, Visit};
use crate::issues::{Issue, MAX_EVENT_IDS, Place, State};
use crate::time::UnixMs;

/// Where the page is.
const PAGE: &str = "/console/issues";
/// Issues that are shown.
const MAX_SHOWN: usize = 100;
/// Letters that a dry run names.
const MAX_REFUSALS: usize = 10;
/// What an issue may be muted for.
const SPANS: [(&str, &str); 4] = [
    ("1h", "1 hour"),
    ("8h", "8 hours"),
    ("24h", "1 day"),
    ("7d", "7 days"),
];

#[derive(Template)]
#[template(path = "issues.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    pixels: Pixels,
    code: String,
    place: &'static str,
    state: &'static str,
    rows: Vec<Row>,
    more: bool,
    since: Moment,
    max_ids: usize,
    spans: [(&'static str, &'static str); 4],
}

/// One issue in words.
struct Row {
    id: String,
    title: String,
    pixel: String,
    place: &'static str,
    code: String,
    path: String,
    state: &'static str,
    /// Whether a person must act: a policy does what it was told.
    is_bad: bool,
    events: String,
    /// Whether it has ended by itself, and since when.
    over: Option<Moment>,
    /// How many of them came lately.
    lately: String,
    first: Moment,
    last: Moment,
    money: String,
    /// Said where not all events are known to say a value.
    valued: Option<String>,
    cause: String,
    fix: String,
    explain: String,
    /// Each with its receipt's place.
    event_ids: Vec<(String, String)>,
    acknowledged: Option<(Moment, String)>,
    muted: Option<(Moment, String)>,
    /// Where its dead letters are, if it has some, and how many.
    letters: Option<(String, String)>,
    can_redrive: bool,
    /// Whether something can still be saved: it waits, is a dead letter, or was never let in.
    is_left: bool,
}

#[derive(Template)]
#[template(
    path = "issue_redrive.html",
    config = "src/app/admin/console/askama.toml"
)]
struct Dry {
    shell: Shell,
    id: String,
    title: String,
    pixel: String,
    matched: String,
    would: u64,
    /// Those, in words.
    events: String,
    refused: u64,
    refusals: Vec<(String, String, String, String)>,
    unconfirmed: u64,
    stopped: Option<String>,
}

/// `GET /console/issues`.
pub(super) fn show(visit: Visit) -> Done {
    Box::pin(async move {
        let Visit {
            admin,
            shell,
            mut members,
            ..
        } = visit;
        let wanted = Wanted::take(&mut members)?;
        members.end()?;
        let page = beside(move || {
            let page = issues::look(&admin.0, &wanted, MAX_SHOWN);
            let now = admin.0.clock.now();
            Page {
                shell,
                pixels: Pixels::of(&admin.0, wanted.pixel),
                code: wanted.code.unwrap_or_default(),
                place: wanted.place.map_or("", Place::word),
                state: wanted.state.map_or("", State::word),
                rows: page
                    .issues
                    .into_iter()
                    .map(|one| Row::of(one, now))
                    .collect(),
                more: page.more,
                since: Moment::of(UnixMs(page.since), now),
                max_ids: MAX_EVENT_IDS,
                spans: SPANS,
            }
        });
        View::of(&page.await?)
    })
}

/// `POST /console/issues/{id}/acknowledge`.
pub(super) fn acknowledge(visit: Visit) -> Done {
    Box::pin(async move {
        let said = change(visit, issues::acknowledge).await?;
        let known = !said["acknowledged"].is_null();
        Ok(gone(if known {
            "Acknowledged."
        } else {
            "It is open again."
        }))
    })
}

/// `POST /console/issues/{id}/mute`.
pub(super) fn mute(visit: Visit) -> Done {
    Box::pin(async move {
        let said = change(visit, issues::mute).await?;
        let muted = said["muted"]["until"].as_i64();
        Ok(gone(&muted.map_or_else(
            || "It is muted no more.".to_owned(),
            |until| format!("Muted until {}.", UnixMs(until).to_rfc3339()),
        )))
    })
}

async fn change(
    mut visit: Visit,
    run: fn(super::Call) -> super::super::routes::Done,
) -> Result<Value, super::Problem> {
    let members = visit.taken();
    let call = visit.call(&visit.id, members);
    Ok(visit.done(run(call).await?).await)
}

fn gone(said: &str) -> View {
    View::Go(PAGE.to_owned(), said.to_owned())
}

/// `POST /console/issues/{id}/redrive`: the dry run on a page of its own, and from there the redrive.
pub(super) fn redrive(mut visit: Visit) -> Done {
    Box::pin(async move {
        let dry_run = visit.members.flag("dry_run")?;
        let (admin, id) = (visit.admin.clone(), visit.id.clone());
        let issue = beside(move || issues::one(&admin.0, &id)).await??;
        let filter = issue.redrive.clone().ok_or_else(no_letters)?;
        let keys = ["pixel", "reason", "code", "subcode"];
        let conditions = keys
            .into_iter()
            .filter_map(|key| Some((key, filter.get(key)?.clone())));
        let members = Members::of(conditions.chain([("dry_run", json!(dry_run))]));
        let call = visit.call("", members);
        visit.taken().end()?;
        let report = visit.done(dead::redrive(call).await?).await;
        if dry_run {
            return View::of(&Dry::of(visit.shell, issue, &report));
        }
        let number = |name: &str| report[name].as_u64().unwrap_or_default();
        let (redriven, refused) = (number("redriven"), number("refused"));
        let stopped = report["stopped"].as_str();
        let stopped = stopped.map_or_else(String::new, |why| format!(" It stopped early: {why}."));
        Ok(gone(&format!(
            "On their way again: {}. Still dead letters: {}.{stopped}",
            count(redriven),
            count(refused)
        )))
    })
}

fn no_letters() -> super::Problem {
    super::Problem::new(
        axum::http::StatusCode::CONFLICT,
        "no_letters",
        "events of this issue cannot be sent again from here",
        "what was refused at the door has to be sent anew by its sender; for dead letters of which nobody knows whether they arrived see Dead letters",
    )
}

impl Row {
    fn of(shown: Shown, now: UnixMs) -> Self {
        let Shown {
            issue,
            share,
            hour_since,
            words,
            redrive,
        } = shown;
        let moment = |at| Moment::of(at, now);
        let money = issue.money.iter();
        let money = money.map(|(currency, sum)| format!("{sum:.2} {currency}"));
        let link = |id: String| {
            let query: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
            (format!("/console/receipt?event_id={query}"), id)
        };
        Self {
            id: issue.id.to_string(),
            title: words.title,
            pixel: issue.kind.pixel.to_string(),
            place: issue.kind.place.word(),
            letters: (issue.letters > 0)
                .then(|| (list(&issues::letters(&issue.kind)), count(issue.letters))),
            is_left: issue.over_since.is_none() && is_left(&issue),
            can_redrive: redrive.is_some(),
            over: issue.over_since.map(moment),
            valued: valued(&issue),
            events: events(&issue),
            code: match (issue.kind.code, issue.kind.subcode) {
                (Some(code), Some(subcode)) => format!("{} {code}/{subcode}", issue.kind.word),
                (Some(code), None) => format!("{} {code}", issue.kind.word),
                _ => issue.kind.word.into_owned(),
            },
            path: issue.kind.path.into_owned(),
            state: issue.state.word(),
            is_bad: issue.state == State::Open && issue.kind.place != Place::Policy,
            lately: lately(issue.last_hour, share, hour_since, now),
            first: moment(issue.first_seen),
            last: moment(issue.last_seen),
            money: money.collect::<Vec<_>>().join(" + "),
            cause: words.cause,
            fix: words.fix,
            explain: words.explain,
            event_ids: issue.event_ids.into_iter().map(link).collect(),
            acknowledged: issue.acknowledged.map(|one| (moment(one.at), one.by)),
            muted: issue.muted.map(|one| (moment(one.until), one.by)),
        }
    }
}

fn is_left(issue: &Issue) -> bool {
    matches!(issue.kind.place, Place::Door | Place::Policy) || issue.waiting + issue.letters > 0
}

/// How many events, and what they do.
fn events(issue: &Issue) -> String {
    let (few, many) = match (issue.waiting, issue.letters) {
        (0, 0) => ("1 event", "events"),
        (0, _) => ("1 dead letter", "dead letters"),
        _ => ("1 event waits", "events wait"),
    };
    match issue.events {
        1 => few.to_owned(),
        events => format!("{} {many}", count(events)),
    }
}

/// How many came in the last hour, or since the start of the gateway, and which part of all that is.
fn lately(events: u64, share: Option<f64>, since: Option<UnixMs>, now: UnixMs) -> String {
    let (time, then) = match since {
        None => ("in the last hour".to_owned(), "hour"),
        Some(since) => {
            let time = span(now.since(since).as_secs());
            (
                format!("in the last {time}, since the gateway started"),
                "time",
            )
        }
    };
    let share = share.map_or_else(String::new, |share| {
        format!(
            " ({:.2} % of the pixel’s traffic in that {then})",
            share * 100.0
        )
    });
    format!("{} {time}{share}", count(events))
}

/// Of how many events the sum is, where it is not of all.
fn valued(issue: &Issue) -> Option<String> {
    let says = || {
        format!(
            "{} of {} say what they are worth",
            count(issue.valued),
            count(issue.events)
        )
    };
    (issue.valued > 0 && issue.valued < issue.events).then(says)
}

/// The list of the dead letters that a redrive would take.
fn list(filter: &Value) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in filter.as_object().into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        query.append_pair(key, &text);
    }
    format!("/console/dead?{}", query.finish())
}

impl Dry {
    fn of(shell: Shell, issue: Shown, report: &Value) -> Self {
        let number = |name: &str| report[name].as_u64().unwrap_or_default();
        let refusals = report["refusals"].as_array();
        let text = |of: &Value, name: &str| match &of[name] {
            Value::String(text) => text.clone(),
            _ => String::new(),
        };
        Self {
            shell,
            id: issue.issue.id.to_string(),
            title: issue.words.title,
            pixel: issue.issue.kind.pixel.to_string(),
            matched: count(number("matched")),
            would: number("would_redrive"),
            events: counted(number("would_redrive"), "event"),
            refused: number("refused"),
            refusals: refusals
                .into_iter()
                .flatten()
                .take(MAX_REFUSALS)
                .map(|one| {
                    let [id, code, path, rule] =
                        ["id", "code", "path", "rule"].map(|name| text(one, name));
                    (id, code, path, rule)
                })
                .collect(),
            unconfirmed: number("unconfirmed"),
            stopped: report["stopped"].as_str().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_lately_says_of_which_time_it_is() {
        let now = UnixMs::from_secs(10_000);
        let start = UnixMs::from_secs(10_000 - 360);
        let hour = lately(3, Some(0.125), None, now);
        let part = "(12.50 % of the pixel’s traffic in that hour)";
        assert_eq!(hour, format!("3 in the last hour {part}"));
        let young = lately(1, Some(1.0), Some(start), now);
        let part = "(100.00 % of the pixel’s traffic in that time)";
        let says = format!("1 in the last 6 min, since the gateway started {part}");
        assert_eq!(young, says);
        let none = lately(0, None, Some(start), now);
        assert_eq!(none, "0 in the last 6 min, since the gateway started");
    }
}
