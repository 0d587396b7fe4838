//! The last events that stopped at the door: the list behind the funnel's numbers.

use askama::Template;

use super::super::stopped::{self, Wanted};
use super::super::work::beside;
use super::choice::Choice;
use super::shell::Shell;
use super::words::{Moment, count, counted, receipt};
use super::{Done, View, Visit};
use crate::codes;
use crate::traffic::{OTHER, Stage};

/// Rows that are shown.
const MAX_SHOWN: usize = 300;
/// What each stage is called.
const STAGES: [(Stage, &str); Stage::ALL.len()] = [
    (Stage::Refused, "refused at the door"),
    (Stage::Filtered, "filtered by a policy"),
    (Stage::Duplicate, "duplicate"),
];

#[derive(Template)]
#[template(path = "stopped.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    choice: Choice,
    /// Word and name of each stage.
    stages: [(&'static str, &'static str); Stage::ALL.len()],
    stage: &'static str,
    causes: Vec<&'static str>,
    cause: &'static str,
    /// What the chosen cause means, and what to do.
    says: &'static str,
    /// How many of how many are listed.
    kept: String,
    of: String,
    is_all: bool,
    /// How many are kept of a pixel.
    most: String,
    /// Whether names that are counted together are asked for.
    is_other: bool,
    rows: Vec<Row>,
    more: bool,
    /// The funnel with the same choice.
    back: String,
}

struct Row {
    at: Moment,
    event_name: String,
    events: String,
    stage: &'static str,
    cause: &'static str,
    source: String,
    pixel: String,
    /// The id and where its receipt is.
    receipt: Option<(String, String)>,
}

/// `GET /console/stopped`.
pub(super) fn show(mut visit: Visit) -> Done {
    Box::pin(async move {
        let wanted = Wanted::take(&visit.admin, &mut visit.members)?;
        visit.members.end()?;
        let (inner, shell) = (visit.admin.0, visit.shell);
        let page = beside(move || {
            let found = stopped::look(&inner, &wanted, MAX_SHOWN);
            let now = inner.clock.now();
            let choice = Choice::of(&inner, &wanted.sift).with(
                &found.sources,
                &found.event_names,
                (found.since, found.until),
                now,
            );
            let mut causes = found.causes;
            causes.extend(wanted.cause);
            Page {
                choice,
                stages: STAGES.map(|(stage, name)| (stage.word(), name)),
                stage: wanted.stage.map_or("", Stage::word),
                causes: causes.into_iter().collect(),
                cause: wanted.cause.unwrap_or_default(),
                says: wanted.cause.map_or("", next),
                is_all: found.kept >= found.counted,
                kept: count(found.kept),
                of: counted(found.counted, "event"),
                most: count(found.kept_of_pixel as u64),
                is_other: wanted.sift.event_name.as_deref() == Some(OTHER),
                rows: (found.rows.into_iter())
                    .map(|row| Row::of(row, now))
                    .collect(),
                more: found.more,
                back: format!("/console/funnel?{}", wanted.sift.query().finish()),
                shell,
            }
        });
        View::of(&page.await?)
    })
}

/// What to do about a cause.
pub(super) fn next(word: &str) -> &'static str {
    codes::find(word).map_or("", |code| code.row().next)
}

impl Row {
    fn of(row: stopped::Row, now: crate::time::UnixMs) -> Self {
        let stage = STAGES.iter().find(|(stage, _)| *stage == row.stage);
        Self {
            at: Moment::of(row.at, now),
            event_name: row.event_name,
            events: count(u64::from(row.events)),
            stage: stage.map_or("", |(_, name)| name),
            cause: row.cause,
            source: row.source,
            pixel: row.pixel.to_string(),
            receipt: row.event_id.map(|id| {
                let to = receipt(&id);
                (id, to)
            }),
        }
    }
}
