//! Whether it works, in five seconds.

use askama::Template;

use super::super::Inner;
use super::super::overview::{self, Overview, Rank, Wanted};
use super::super::work::beside;
use super::shell::Shell;
use super::spark::spark;
use super::stream::{self, Kind};
use super::words::{Moment, count, counted, share, span};
use super::{Done, View, Visit, go};
use crate::time::UnixMs;
use crate::traffic::Totals;

/// What leads from nothing to the first pixel.
const FIRST: &str = "/console/first";

#[derive(Template)]
#[template(path = "overview.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    search: String,
    /// Of the page, for its stream.
    query: String,
    /// How many it is too much to look through.
    is_long: bool,
    now: Now,
}

#[derive(Template)]
#[template(
    path = "overview_now.html",
    config = "src/app/admin/console/askama.toml"
)]
struct Now {
    says: String,
    state: State,
    since: Moment,
    pixels: String,
    page: u64,
    pages: u64,
    /// Links to the pages around this one.
    before: Option<String>,
    after: Option<String>,
    graph_version: String,
    /// Whether something is to be done, or to be watched, on this page.
    has_needs: bool,
    rows: Vec<Row>,
}

/// How grave something is, in a class of the style and in a word.
struct State {
    class: &'static str,
    word: &'static str,
}

struct Row {
    pixel: String,
    name: Option<String>,
    state: State,
    needs: Vec<(State, String, String)>,
    lane: String,
    minutes: Counts,
    day: Counts,
    /// Where the counts lead; nowhere for a pixel that is not configured.
    configured: bool,
    issues: u64,
    /// Issues that somebody has acknowledged or muted.
    known: u64,
    waits: String,
    oldest: Option<String>,
    token: String,
    token_class: &'static str,
    test_mode: Option<String>,
    spark: String,
}

/// Accepted and delivered, with their shares, and what did not get so far.
struct Counts {
    accepted: String,
    of_received: String,
    delivered: String,
    /// Of what was delivered or died.
    of_ended: String,
    refused: String,
    has_refused: bool,
    dead: String,
    has_dead: bool,
}

/// `GET /console`.
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
        let all = admin.0.in_force().config.pixels.len();
        if all == 0 {
            return Ok(View::Own(go(FIRST)));
        }
        let search = wanted.search.clone().unwrap_or_default();
        let query = query(&search, wanted.page);
        let now = beside(move || now(&admin.0, &wanted)).await?;
        View::of(&Page {
            shell,
            search,
            query,
            is_long: all > overview::PAGE,
            now,
        })
    })
}

/// `GET /console/overview/stream`: the same, every few seconds.
pub(super) fn stream(mut visit: Visit) -> Done {
    Box::pin(async move {
        let wanted = Wanted::take(&mut visit.members)?;
        let render = move |inner: &Inner| now(inner, &wanted).render().ok();
        stream::again(visit, Kind::Page, render)
    })
}

fn query(search: &str, page: u64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if !search.is_empty() {
        query.append_pair("search", search);
    }
    query.append_pair("page", &page.to_string());
    query.finish()
}

fn now(inner: &Inner, wanted: &Wanted) -> Now {
    let overview = overview::look(inner, wanted);
    let at = inner.clock.now();
    let search = wanted.search.as_deref().unwrap_or_default();
    let page = overview.page;
    let link = |page: u64| format!("{}?{}", super::HOME, query(search, page));
    Now {
        since: Moment::of(UnixMs(overview.since), at),
        pixels: counted(overview.pixels as u64, "pixel"),
        page,
        pages: overview.pages,
        before: (page > 1).then(|| link(page - 1)),
        after: (page < overview.pages).then(|| link(page + 1)),
        state: State::of(overview.rank),
        says: overview.says.clone(),
        graph_version: overview.graph_version.clone(),
        has_needs: overview.rows.iter().any(|row| !row.needs.is_empty()),
        rows: rows(overview, at),
    }
}

fn rows(overview: Overview, now: UnixMs) -> Vec<Row> {
    let row = |row: overview::Row| {
        let token = match (row.token.expires, row.token.days_left) {
            ("at", Some(days)) => match days {
                0 => format!("{}, under a day left", word(row.token.state)),
                _ => format!("{}, {} left", word(row.token.state), counted(days, "day")),
            },
            ("never", _) => format!("{}, no end", word(row.token.state)),
            _ => word(row.token.state),
        };
        let needs = row.needs.into_iter();
        let lane = match row.lane.reason {
            Some("by_hand") => word(row.lane.state),
            Some(reason) if reason != row.lane.state => {
                format!("{}: {}", row.lane.state, word(reason))
            }
            _ => row.lane.state.to_owned(),
        };
        let for_long = !["open", "idle"].contains(&row.lane.state);
        Row {
            pixel: row.pixel.to_string(),
            name: row.name,
            state: State::of(row.rank),
            needs: needs
                .map(|need| (State::of(need.rank), need.says, need.next))
                .collect(),
            lane: if for_long {
                format!("{lane} ({})", span(row.lane.seconds))
            } else {
                lane
            },
            minutes: Counts::of(&row.last_5_minutes),
            day: Counts::of(&row.last_24_hours),
            configured: row.configured,
            issues: row.issues.open,
            known: row.issues.known,
            waits: count(row.waiting),
            oldest: row.oldest_seconds.filter(|_| row.waiting > 0).map(span),
            token,
            token_class: match row.token.rank {
                Rank::NeedsPerson => "bad",
                Rank::Watch => "warn",
                Rank::Ok => "",
            },
            test_mode: row.test_mode.map(|test| {
                let until = test.until.map(|until| Moment::of(UnixMs(until), now).words);
                let until =
                    until.map_or_else(|| "no end".to_owned(), |until| format!("ends {until}"));
                let mirror = if test.mirror { ", mirror" } else { "" };
                format!("{}, {until}{mirror}", test.code)
            }),
            spark: spark(&row.accepted_by_quarter),
        }
    };
    overview.rows.into_iter().map(row).collect()
}

/// A stable word, as people write it.
fn word(code: &str) -> String {
    code.replace('_', " ")
}

impl State {
    fn of(rank: Rank) -> Self {
        let (class, word) = match rank {
            Rank::NeedsPerson => ("bad", "needs you"),
            Rank::Watch => ("warn", "watch"),
            Rank::Ok => ("good", "ok"),
        };
        Self { class, word }
    }
}

impl Counts {
    fn of(totals: &Totals) -> Self {
        Self {
            accepted: count(totals.accepted),
            of_received: share(totals.accepted, totals.received),
            delivered: count(totals.delivered),
            of_ended: share(totals.delivered, totals.delivered + totals.dead),
            refused: count(totals.refused),
            has_refused: totals.refused > 0,
            dead: count(totals.dead),
            has_dead: totals.dead > 0,
        }
    }
}
