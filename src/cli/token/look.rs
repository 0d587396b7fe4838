//! Asks Meta about a token in the name of the right app, and shows what is known.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::custody::fitness::{self, Asker};
pub(in crate::cli) use crate::custody::fitness::{Looked, known};
use crate::custody::ladder::when;
use crate::graph::oauth::{App, OauthError};
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::{Contents, Expiry, Facts};

/// Asks Meta about a token, in the name of the right app.
pub(in crate::cli) async fn look(
    desk: &Desk,
    contents: &Contents,
    token: &Secret,
    told: Option<App>,
    pixel: Option<PixelId>,
    before: &Facts,
) -> Result<Looked, OauthError> {
    let asker = Asker {
        client: &desk.client,
        contents,
        app_of: &|facts| desk.app_of(contents, facts, pixel),
        now: desk.clock.now(),
    };
    fitness::look(&asker, token, told, before).await
}

/// When something ends, for people.
pub(in crate::cli) fn ends(expires: Expiry, now: UnixMs) -> String {
    match expires {
        Expiry::Never => "never".to_owned(),
        Expiry::Unknown => "unknown".to_owned(),
        Expiry::At(at) => when(at, now),
    }
}

/// When something ends, for programs: `never`, null when nobody knows, or the moment.
pub(in crate::cli) fn ending(expires: Expiry) -> Value {
    match expires {
        Expiry::Never => "never".into(),
        Expiry::Unknown => Value::Null,
        Expiry::At(at) => moment(at),
    }
}

/// A moment for programs, as RFC 3339.
pub(in crate::cli) fn moment(at: UnixMs) -> Value {
    let stamp = jiff::Timestamp::from_second(at.secs());
    stamp.map_or(Value::Null, |at| at.to_string().into())
}

/// Everything known about a token, for programs; the token itself is masked.
pub(in crate::cli) fn shown(label: &str, token: &Secret, facts: &Facts, now: UnixMs) -> Value {
    let days = facts
        .expires
        .at()
        .map(|at| at.since(now).as_secs() / 86_400);
    json!({
        "name": label,
        "token": token.masked(),
        "fingerprint": token.fingerprint(),
        "kind": facts.kind,
        "state": facts.state,
        "cause": facts.cause,
        "app_id": facts.app_id,
        "app_name": facts.app_name,
        "user_id": facts.user_id,
        "page_id": facts.page_id,
        "expires": ending(facts.expires),
        "expires_in_days": days,
        "data_access": ending(facts.data_access),
        "issued_at": facts.issued_at.map(moment),
        "scopes": facts.scopes,
        "targets": facts.targets,
        "checked_at": facts.checked_at.map(moment),
    })
}
