//! `POST /tokens/{id}/verify`: asks Meta what a token is and may do, and whether it sees its pixels.
//! Sends no event and changes nothing.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Inner;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use crate::app::reload::InForce;
use crate::app::roster;
use crate::custody::Kept;
use crate::custody::ladder::{Finding, Mark, verdict, verify};
use crate::graph::oauth::OauthClient;
use crate::pixel::PixelId;
use crate::tokens::Facts;

/// What came of asking about a token.
#[derive(Serialize)]
struct Verified {
    /// The fingerprint.
    id: String,
    name: String,
    masked: String,
    pixels: BTreeSet<PixelId>,
    /// The gravest mark.
    verdict: Mark,
    findings: Vec<Finding>,
}

/// `POST /tokens/{id}/verify`.
pub(super) fn ask(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let inner = &call.admin.0;
        let kept = find(inner, &call.id)?;
        let findings = findings(inner, &kept).await?;
        Ok(Reply::ok(&Verified {
            id: kept.key.to_string(),
            name: kept.label.clone(),
            masked: kept.secret.masked(),
            pixels: served(&kept),
            verdict: verdict(&findings).0,
            findings,
        })
        .changed(0))
    })
}

/// The token that is meant, by its fingerprint.
pub(super) fn find(inner: &Inner, id: &str) -> Result<Kept, Problem> {
    let in_force = inner.in_force();
    let all = roster::of(&in_force.config, &in_force.secrets, &in_force.held.contents);
    let mut all = all.into_iter();
    all.find(|kept| kept.key.to_string() == id).ok_or_else(|| {
        let next = "list the tokens with GET /tokens; it may have been replaced meanwhile";
        Problem::not_found("there is no token with this fingerprint", next)
    })
}

/// The pixels that have it.
pub(super) fn served(kept: &Kept) -> BTreeSet<PixelId> {
    kept.pixels.iter().map(|(pixel, _)| *pixel).collect()
}

/// The way to Meta of a configuration.
pub(super) fn client(inner: &Inner, in_force: &InForce) -> Result<OauthClient, Problem> {
    let failed = || Problem::failed("oauth", "see graph.url of the configuration");
    let settings = roster::oauth(&in_force.config).map_err(|_| failed())?;
    OauthClient::new(settings, inner.clock.clone()).map_err(|_| failed())
}

/// What Meta says of a token, for each of its pixels.
pub(super) async fn findings(inner: &Inner, kept: &Kept) -> Result<Vec<Finding>, Problem> {
    let client = client(inner, &inner.in_force())?;
    let mut pixels: Vec<Option<PixelId>> = served(kept).into_iter().map(Some).collect();
    if pixels.is_empty() {
        pixels.push(None);
    }
    let mut all = Vec::new();
    for pixel in pixels {
        let (now, before) = (inner.clock.now(), Facts::default());
        let app = kept.app.as_ref();
        let (found, _) = verify(&client, &kept.secret, app, pixel, &before, now).await;
        all.extend(found.into_iter().map(|finding| Finding {
            subject: pixel.map(|pixel| format!("pixel {pixel}")),
            ..finding
        }));
    }
    Ok(all)
}
