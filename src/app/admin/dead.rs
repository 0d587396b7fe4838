//! `/dead`: look at dead letters, take them out, try them again.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::Inner;
use super::call::{Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::stream;
use super::work::beside;
use crate::app::letters;
use crate::journal::dead::{DeadError, Filter, Group, LetterId, Page, Shown, View};
use crate::redrive::Request;

/// Ids of one request.
const MAX_IDS: usize = 10_000;

/// All dead letters, in numbers.
#[derive(Serialize)]
pub(super) struct Summary {
    pub(super) letters: u64,
    pub(super) bytes: u64,
    /// When the oldest died, in Unix milliseconds.
    pub(super) oldest_at: Option<i64>,
    pub(super) groups: Vec<Group>,
}

#[derive(Serialize)]
struct Purged {
    dry_run: bool,
    letters: u64,
}

/// `GET /dead`.
pub(super) fn list(mut call: Call) -> Done {
    Box::pin(async move {
        let (limit, after) = (call.members.limit()?, id(&mut call.members, "after")?);
        let filter = filter(&mut call.members)?;
        call.members.end()?;
        Ok(Reply::ok(
            &found(&call.admin.0, filter, after, limit).await?,
        ))
    })
}

/// The letters that are meant, from the one after `after` on.
pub(super) async fn found(
    inner: &Inner,
    filter: Filter,
    after: Option<LetterId>,
    limit: usize,
) -> Result<Page, Problem> {
    let place = inner.places.take()?;
    let dead = Arc::clone(&inner.dead);
    let page = beside(move || {
        let _place = place;
        dead.list(&filter, after, limit)
    });
    page.await?.map_err(failed)
}

/// `GET /dead/summary`.
pub(super) fn summary(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        Ok(Reply::ok(&summed(&call.admin.0).await?))
    })
}

/// All of them, in numbers.
pub(super) async fn summed(inner: &Inner) -> Result<Summary, Problem> {
    let dead = Arc::clone(&inner.dead);
    let summary = beside(move || Summary {
        letters: dead.count(),
        bytes: dead.bytes(),
        oldest_at: dead.oldest().map(|at| at.0),
        groups: dead.summary(),
    });
    summary.await
}

/// `GET /dead/{id}`.
pub(super) fn show(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        Ok(Reply::ok(&one(&call.admin.0, &call.id).await?))
    })
}

/// One letter with its event, masked.
pub(super) async fn one(inner: &Inner, id: &str) -> Result<Shown, Problem> {
    let id: LetterId = id.parse().map_err(|_| Problem::bad("the id", ID))?;
    let dead = Arc::clone(&inner.dead);
    let shown = beside(move || dead.show(id, View::Masked)).await?;
    shown.map_err(failed)?.ok_or_else(|| {
        Problem::not_found(
            "there is no dead letter with this id",
            "list them with GET /dead (`capigate dead list`); it may have been redriven or purged",
        )
    })
}

/// `GET /dead/export`.
pub(super) fn export(mut call: Call) -> Done {
    Box::pin(async move {
        let filter = filter(&mut call.members)?;
        call.members.end()?;
        let place = call.admin.0.exports.take()?;
        let dead = Arc::clone(&call.admin.0.dead);
        let body = stream::written(move |out| {
            let _place = place;
            match dead.export(&filter, out) {
                Ok(_) => true,
                Err(error) => {
                    tracing::warn!(code = error.code(), error = %error, "an export of dead letters was cut short");
                    false
                }
            }
        });
        Ok(Reply::new(StatusCode::OK, "application/x-ndjson", body))
    })
}

/// `POST /dead/purge`.
pub(super) fn purge(mut call: Call) -> Done {
    Box::pin(async move {
        let filter = filter(&mut call.members)?;
        let (dry_run, all) = (call.members.flag("dry_run")?, call.members.flag("all")?);
        call.members.end()?;
        if filter.is_empty() && !all {
            return Err(Problem::bad(
                "a purge of everything",
                "choose by pixel, reason, event_name, code, subcode, older_than, newer_than or ids, or say \"all\": true",
            ));
        }
        let place = call.admin.0.places.take()?;
        let dead = Arc::clone(&call.admin.0.dead);
        let purged = beside(move || {
            let _place = place;
            dead.purge(&filter, dry_run)
        });
        let letters = purged.await?.map_err(failed)?;
        let changed = if dry_run { 0 } else { letters };
        Ok(Reply::ok(&Purged { dry_run, letters }).changed(changed))
    })
}

/// `POST /dead/redrive`.
pub(super) fn redrive(mut call: Call) -> Done {
    Box::pin(async move {
        let request = Request {
            filter: filter(&mut call.members)?,
            include_unconfirmed: call.members.flag("include_unconfirmed")?,
            dry_run: call.members.flag("dry_run")?,
        };
        call.members.end()?;
        let _place = call.admin.0.places.take()?;
        let inner = &call.admin.0;
        let pixels = inner.in_force().config.pixels.keys().copied().collect();
        let report = inner.redrive.run(request, pixels).await;
        let redriven = report.redriven;
        Ok(Reply::ok(&report).changed(redriven))
    })
}

const ID: &str =
    "send the id of a dead letter: two whole numbers with a hyphen between, such as 12-34567";

/// Takes the conditions out of a query or a body.
fn filter(members: &mut Members) -> Result<Filter, Problem> {
    filter_of(&members.take(letters::KEYS))
}

/// The same of an object.
pub(super) fn filter_of(conditions: &Value) -> Result<Filter, Problem> {
    let count = conditions["ids"].as_array().map_or(0, Vec::len);
    if count > MAX_IDS {
        return Err(Problem::bad(
            "ids",
            format!("send at most {MAX_IDS} of them"),
        ));
    }
    let filter = letters::filter_of_json(conditions);
    filter.map_err(|error| Problem::bad(error.field(), error.to_string()))
}

pub(super) fn id(members: &mut Members, name: &'static str) -> Result<Option<LetterId>, Problem> {
    members.parsed(name, ID)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: DeadError) -> Problem {
    tracing::error!(code = error.code(), error = %error, "dead letters cannot be read or changed");
    Problem::failed(
        error.code(),
        "check the disk of journal.dir; the log says more",
    )
}
