//! Asks Meta about a token in the name of the right app, and shows what is known.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::custody::Kept;
use crate::custody::inspect::{Seen, inspect};
use crate::custody::ladder::when;
use crate::graph::oauth::{App, OauthError};
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::{Contents, Expiry, Facts, Note, Notes};

/// Apps of the vault that are asked in turn when nobody knows whose token it is.
const MAX_APPS: usize = 8;

/// What Meta says of a token, and the app it belongs to where the secret of that is known.
pub(in crate::cli) struct Looked {
    pub(in crate::cli) seen: Seen,
    pub(in crate::cli) app: Option<App>,
}

/// Asks Meta about a token: in the name of the app that it is said to belong to, else of each app
/// in the vault, else in its own.
pub(in crate::cli) async fn look(
    desk: &Desk,
    contents: &Contents,
    token: &Secret,
    told: Option<App>,
    pixel: Option<PixelId>,
    before: &Facts,
) -> Result<Looked, OauthError> {
    let now = desk.clock.now();
    let mut apps: Vec<App> = (told.into_iter())
        .chain(desk.app_of(contents, before, pixel))
        .collect();
    let is_guess = apps.is_empty() && before.app_id.is_none();
    if is_guess {
        let all = contents.apps.iter().take(MAX_APPS);
        apps.extend(all.map(|(id, app)| App {
            id: id.clone(),
            secret: app.secret.clone(),
        }));
    }
    let mut last = None;
    for app in apps {
        let seen = inspect(&desk.client, token, Some(&app), before, now).await?;
        if !seen.foreign {
            let app = Some(app);
            return Ok(Looked { seen, app });
        }
        let own = desk.app_of(contents, &seen.facts, pixel);
        let is_known = seen.verdict && seen.facts.app_id.is_some();
        if let Some(own) = own.filter(|own| is_known && own.id != app.id) {
            let seen = inspect(&desk.client, token, Some(&own), before, now).await?;
            let app = (!seen.foreign).then_some(own);
            return Ok(Looked { seen, app });
        }
        let is_told = seen.verdict;
        // nobody has said that it was of this app: that it is of another one is no fault
        let is_others = seen.facts.app_id.as_ref().is_some_and(|id| *id != app.id);
        let foreign = seen.foreign && !(is_guess && is_told && is_others);
        last = Some(Seen { foreign, ..seen });
        if is_told {
            break;
        }
    }
    let seen = match last {
        Some(seen) => seen,
        None => inspect(&desk.client, token, None, before, now).await?,
    };
    Ok(Looked { seen, app: None })
}

/// What is known about a token, by the gateway or by the vault, whichever asked later, and what
/// came of sending with it.
pub(in crate::cli) fn known(kept: &Kept, notes: &Notes) -> Note {
    let noted = notes.tokens.get(&kept.key.to_string());
    let mut note = noted.cloned().unwrap_or_default();
    if kept.noted.checked_at >= note.facts.checked_at {
        note.facts = kept.noted.clone();
    }
    note
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
