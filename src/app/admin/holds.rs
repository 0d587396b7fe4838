//! `/holds`: what is held or throttled, and letting the next batch decide anew.

use serde::Serialize;

use super::Inner;
use super::call::{Call, page};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use crate::lanes::Lanes;
use crate::lanes::snapshot::HoldSnapshot;

#[derive(Serialize)]
struct Page {
    holds: Vec<HoldSnapshot>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Released<'a> {
    released: &'a str,
}

/// `GET /holds`.
pub(super) fn list(mut call: Call) -> Done {
    Box::pin(async move {
        let (limit, after) = (call.members.limit()?, call.members.text("after")?);
        call.members.end()?;
        let mut all = all(&call.admin.0).await?;
        all.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let (holds, next) = page(all, after.as_deref(), limit, |hold| &hold.id);
        Ok(Reply::ok(&Page { holds, next }))
    })
}

/// Everything that is held or throttled: apps first, then tokens, pixels and lanes.
pub(super) async fn all(inner: &Inner) -> Result<Vec<HoldSnapshot>, Problem> {
    let lanes: Option<Lanes> = inner.lanes.get().cloned();
    // it reads when the first events expire
    beside(move || lanes.map(|lanes| lanes.holds()).unwrap_or_default()).await
}

/// `POST /holds/{id}/release`.
pub(super) fn release(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let id = call.id;
        let lanes = call.admin.0.lanes.get();
        if lanes.is_some_and(|lanes| lanes.release(&id)) {
            return Ok(Reply::ok(&Released { released: &id }).changed(1));
        }
        Err(Problem::not_found(
            "nothing with this id is held or throttled",
            "list the holds with GET /holds; it may have ended by itself",
        ))
    })
}
