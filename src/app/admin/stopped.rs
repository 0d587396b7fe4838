//! `GET /stopped`: the last events that stopped at the door: the list behind the funnel's numbers.

use std::collections::BTreeSet;

use serde::Serialize;

use super::call::{Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::sift::Sift;
use super::work::beside;
use super::{Admin, Inner};
use crate::codes;
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::traffic::{self, MAX_STOPPED_OF_PIXEL, Stage};

/// Which of them are wanted.
pub(super) struct Wanted {
    pub(super) sift: Sift,
    pub(super) stage: Option<Stage>,
    /// The stable word.
    pub(super) cause: Option<&'static str>,
}

/// Events that stopped.
#[derive(Serialize)]
pub(super) struct Stopped {
    /// The time that they are of, in Unix milliseconds.
    pub(super) since: i64,
    pub(super) until: i64,
    /// Events that were counted, whether they are kept or not.
    pub(super) counted: u64,
    /// Of those, events that are kept: the last ones.
    pub(super) kept: u64,
    /// How many are kept of a pixel, at most.
    pub(super) kept_of_pixel: usize,
    /// The newest first.
    pub(super) rows: Vec<Row>,
    /// Whether there are others that are kept and not in `rows`.
    pub(super) more: bool,
    /// What may be chosen.
    pub(super) causes: BTreeSet<&'static str>,
    pub(super) sources: Vec<String>,
    pub(super) event_names: Vec<String>,
}

/// One of them.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) at: UnixMs,
    pub(super) pixel: PixelId,
    pub(super) source: String,
    pub(super) event_name: String,
    pub(super) event_id: Option<String>,
    pub(super) stage: Stage,
    pub(super) cause: &'static str,
    /// More than one where a request was refused as a whole.
    pub(super) events: u32,
}

impl Wanted {
    pub(super) fn take(admin: &Admin, members: &mut Members) -> Result<Self, Problem> {
        let stage = members.text("stage")?.map(|word| {
            let known = Stage::ALL.into_iter().find(|stage| stage.word() == word);
            known.ok_or_else(|| Problem::bad("stage", "send refused, filtered or duplicate"))
        });
        let cause = members.text("cause")?.map(|word| {
            let known = codes::find(&word).map(codes::Code::word);
            let expected = "send a word that GET /funnel counts, such as too_old or consent";
            known.ok_or_else(|| Problem::bad("cause", expected))
        });
        Ok(Self {
            sift: Sift::take(admin, members)?,
            stage: stage.transpose()?,
            cause: cause.transpose()?,
        })
    }

    fn has(&self, stopped: &traffic::Stopped) -> bool {
        let sift = &self.sift;
        let is = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == text)
        };
        is(&sift.source, &stopped.source)
            && is(&sift.event_name, &stopped.event_name)
            && self.is_of(stopped.stage, stopped.cause)
    }

    fn is_of(&self, stage: Stage, cause: &str) -> bool {
        self.stage.is_none_or(|wanted| wanted == stage)
            && self.cause.is_none_or(|wanted| wanted == cause)
    }
}

/// `GET /stopped`.
pub(super) fn list(mut call: Call) -> Done {
    Box::pin(async move {
        let limit = call.members.limit()?;
        let wanted = Wanted::take(&call.admin, &mut call.members)?;
        call.members.end()?;
        let found = beside(move || look(&call.admin.0, &wanted, limit));
        Ok(Reply::ok(&found.await?))
    })
}

/// Those that are wanted, `limit` of them.
pub(super) fn look(inner: &Inner, wanted: &Wanted, limit: usize) -> Stopped {
    let found = wanted.sift.sift(inner);
    let (mut counted, mut causes) = (0, BTreeSet::new());
    for cell in &found.cells {
        let duplicates = [(codes::DUPLICATE.word(), cell.duplicates)].into();
        for (stage, counts) in [
            (Stage::Refused, &cell.refused),
            (Stage::Filtered, &cell.filtered),
            (Stage::Duplicate, &duplicates),
        ] {
            for (cause, count) in counts.iter().filter(|(_, count)| **count > 0) {
                causes.insert(*cause);
                counted += if wanted.is_of(stage, cause) {
                    *count
                } else {
                    0
                };
            }
        }
    }
    let (mut rows, mut kept) = (Vec::new(), 0);
    (inner.traffic).stopped(wanted.sift.pixel, &found.stretch, &mut |pixel, stopped| {
        if wanted.has(stopped) {
            kept += u64::from(stopped.events);
            rows.push(Row {
                at: stopped.at,
                pixel,
                source: stopped.source.to_string(),
                event_name: stopped.event_name.clone(),
                event_id: stopped.event_id.clone(),
                stage: stopped.stage,
                cause: stopped.cause,
                events: stopped.events,
            });
        }
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    let more = rows.len() > limit;
    rows.truncate(limit);
    Stopped {
        since: found.stretch.since.0,
        until: found.stretch.until.0,
        counted,
        kept,
        kept_of_pixel: MAX_STOPPED_OF_PIXEL,
        rows,
        more,
        causes,
        sources: found.sources.into_iter().collect(),
        event_names: found.event_names.into_iter().collect(),
    }
}
