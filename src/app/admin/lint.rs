//! `POST /lint`: what would become of events. It changes nothing, and nothing of it is kept.

use axum::http::StatusCode;
use serde::Serialize;

use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use crate::app::linting;
use crate::ingest::encoding;
use crate::ingest::request::Kind;
use crate::lint::{Body, Case, Finding, Linted, Totals};
use crate::pixel::PixelId;

/// What would become of the events of a body.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) pixel: PixelId,
    pub(super) source: String,
    pub(super) totals: Totals,
    /// Of the body as a whole.
    pub(super) findings: Vec<Finding>,
    pub(super) events: Vec<Linted>,
}

/// `POST /lint`.
pub(super) fn look(call: Call) -> Done {
    Box::pin(async move { Ok(Reply::ok(&shown(call).await?)) })
}

/// Looks at the events of the call's body.
pub(super) async fn shown(mut call: Call) -> Result<Shown, Problem> {
    let members = &mut call.members;
    let asked = members.parsed::<PixelId>("pixel", "send a pixel id: 1 to 20 digits")?;
    let named = members.text("source")?;
    call.members.end()?;
    let in_force = call.admin.0.in_force();
    let config = in_force.config.clone();
    let pixel = match (asked, config.pixels.keys().next()) {
        (Some(pixel), _) => pixel,
        (None, Some(only)) if config.pixels.len() == 1 => *only,
        _ => return Err(Problem::bad("pixel", "say which pixel the events are for")),
    };
    if !config.pixels.contains_key(&pixel) {
        return Err(Problem::not_found(
            "this pixel is not configured",
            "send the id of one under pixels",
        ));
    }
    if named
        .as_ref()
        .is_some_and(|name| !config.sources.contains_key(name))
    {
        return Err(Problem::not_found(
            "this source is not configured",
            "send the name of one under sources",
        ));
    }
    let source = linting::source_of(&config, pixel, named.as_deref());
    let secrets = in_force.secrets.pixels.get(&pixel);
    let has_proof = secrets.is_some_and(|secrets| secrets.app_secret.is_some());
    let (kind, body) = (Kind::of(call.content_type.as_ref()), call.body);
    let encodings = call.encodings;
    let max_body = config.ingest.max_body.get() as usize;
    let now = call.admin.0.clock.now();
    let place = call.admin.0.places.take()?;
    beside(move || {
        let _place = place;
        let refused = |rejection: crate::ingest::answer::Rejection| {
            let row = rejection.code().row();
            let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::BAD_REQUEST);
            Problem::new(status, row.word, rejection.message(), row.next)
        };
        let failed = |_| Problem::failed("lint", "see whether the configuration is in order");
        let desk = linting::desk(config, pixel).map_err(failed)?;
        let kind = kind.map_err(refused)?;
        let layers = encodings.map_err(refused)?;
        // the places bound how many bodies there are at once
        let body = encoding::unpack(&body, &layers, max_body, &mut |_| Ok(()));
        let Body {
            events,
            options,
            findings,
        } = desk.read(&kind, &body.map_err(refused)?).map_err(refused)?;
        let case = Case {
            pixel,
            source,
            options,
            now,
            has_proof,
        };
        desk.admit(&case).map_err(refused)?;
        let mut totals = Totals::default();
        totals.add_findings(&findings);
        let mut looked = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            let linted = desk
                .look(index, event, &case)
                .map_err(|error| Problem::bad("source", error.to_string()))?;
            totals.add(&linted);
            looked.push(linted);
        }
        Ok(Shown {
            pixel,
            source: case.source,
            totals,
            findings,
            events: looked,
        })
    })
    .await?
}
