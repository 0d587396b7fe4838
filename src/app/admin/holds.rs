//! `/holds`: what is held or throttled, holding a pixel by hand, and letting go.

use serde::Serialize;

use axum::http::StatusCode;

use super::Inner;
use super::call::{Call, page};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use crate::config::units::{Span, UnitError};
use crate::lanes::Lanes;
use crate::lanes::by_hand::{self, ByHandError, HandHold, MAX_REASON, MAX_SPAN};
use crate::lanes::snapshot::HoldSnapshot;
use crate::pixel::PixelId;

#[derive(Serialize)]
struct Page {
    holds: Vec<HoldSnapshot>,
    next: Option<String>,
}

/// A pixel that is held from now on.
#[derive(Serialize)]
struct Held {
    id: String,
    pixel: PixelId,
    #[serde(flatten)]
    hold: HandHold,
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

/// `POST /holds`: nothing of a pixel is sent until it is released. What holds it already is not
/// replaced unasked.
pub(super) fn hold(mut call: Call) -> Done {
    Box::pin(async move {
        let expected = "send the id of a pixel, such as \"1234567890123456\"";
        let pixel = call.members.parsed::<PixelId>("pixel", expected)?;
        let pixel = pixel.ok_or_else(|| Problem::bad("pixel", expected))?;
        let expected = format!("{}, such as \"2h\"; at most 30d", UnitError::Span);
        let span = call
            .members
            .parsed::<Span>("for", &expected)?
            .map(Span::get);
        if span.is_some_and(|span| span.is_zero() || span > MAX_SPAN) {
            return Err(Problem::bad("for", expected));
        }
        let reason = call.members.text("reason")?;
        if reason
            .as_ref()
            .is_some_and(|text| !by_hand::is_reason(text))
        {
            let expected = format!("send a line of at most {MAX_REASON} characters");
            return Err(Problem::bad("reason", expected));
        }
        let replace = call.members.flag("replace")?;
        call.members.end()?;
        let inner = &call.admin.0;
        if !inner.in_force().config.pixels.contains_key(&pixel) {
            let next = "name a pixel of the configuration, or add it under pixels.<id>";
            let message = "the pixel is not configured";
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                "unknown_pixel",
                message,
                next,
            ));
        }
        let lanes = inner.lanes.get().cloned().ok_or_else(no_lanes)?;
        let by = call.by;
        let held = beside(move || lanes.hold(pixel, span, reason, &by, replace)).await?;
        let hold = held.map_err(|error| refused(&error))?;
        let id = by_hand::id(pixel);
        Ok(Reply::ok(&Held { id, pixel, hold }).changed(1))
    })
}

fn no_lanes() -> Problem {
    Problem::not_found("no gateway runs here", "start one with `capigate serve`")
}

fn refused(error: &ByHandError) -> Problem {
    match error {
        ByHandError::Already(_) => {
            let next = "leave it so, release it, or send \"replace\": true (`capigate holds add --replace`) to put this end and reason in the place of those";
            Problem::new(
                StatusCode::CONFLICT,
                "already_held",
                error.to_string(),
                next,
            )
        }
        ByHandError::TooMany => {
            let next = "release some, or take pixels that are not wanted out of the configuration";
            Problem::new(
                StatusCode::CONFLICT,
                "too_many_holds",
                error.to_string(),
                next,
            )
        }
        ByHandError::File(file) => {
            tracing::error!(error = %file, "what is held by hand cannot be written down");
            let next = "nothing was changed: see the log, and mend the disk or the rights below journal.dir";
            Problem::failed("holds_file", next)
        }
    }
}

/// `POST /holds/{id}/release`.
pub(super) fn release(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let id = call.id;
        let lanes = call.admin.0.lanes.get();
        if let (Some(pixel), Some(lanes)) = (by_hand::pixel(&id), lanes.cloned()) {
            let released = beside(move || lanes.let_go(pixel)).await?;
            if released.map_err(|error| refused(&error))?.is_some() {
                return Ok(Reply::ok(&Released { released: &id }).changed(1));
            }
        } else if lanes.is_some_and(|lanes| lanes.release(&id)) {
            return Ok(Reply::ok(&Released { released: &id }).changed(1));
        }
        Err(Problem::not_found(
            "nothing with this id is held or throttled",
            "list the holds with GET /holds; it may have ended by itself",
        ))
    })
}
