//! `GET /tokens`: every token by fingerprint, with what is known about it. No token is in it.

use serde::Serialize;

use super::call::{Call, page};
use super::reply::Reply;
use super::routes::Done;
use crate::app::roster;
use crate::custody::{Kept, Source};
use crate::pixel::PixelId;
use crate::tokens::{Note, Notes, Usage};

#[derive(Serialize)]
struct Page {
    tokens: Vec<Shown>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    /// The fingerprint, as in the ids of holds.
    id: String,
    name: String,
    masked: String,
    source: &'static str,
    pixels: Vec<Serves>,
    kind: String,
    state: &'static str,
    /// Meta's codes, when it does not work.
    cause: Option<String>,
    app_id: Option<String>,
    expires: &'static str,
    expires_at: Option<i64>,
    data_access_expires_at: Option<i64>,
    scopes: Vec<String>,
    checked_at: Option<i64>,
    usage: Usage,
}

#[derive(Serialize)]
struct Serves {
    pixel: PixelId,
    slot: &'static str,
}

pub(super) fn list(mut call: Call) -> Done {
    Box::pin(async move {
        let (limit, after) = (call.members.limit()?, call.members.text("after")?);
        call.members.end()?;
        let now = call.admin.0.in_force();
        // it reads a file
        let look = move || {
            let notes = Notes::read(&Notes::path(&now.config.journal.dir)).unwrap_or_default();
            let kept = roster::of(&now.config, &now.secrets, &now.held.contents);
            let all = kept.iter().map(|kept| shown(kept, &notes));
            all.collect::<Vec<Shown>>()
        };
        let mut all = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        all.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        // one may be in the vault and in the configuration
        all.dedup_by(|one, other| one.id == other.id);
        let (tokens, next) = page(all, after.as_deref(), limit, |token| &token.id);
        Ok(Reply::ok(&Page { tokens, next }))
    })
}

fn shown(kept: &Kept, notes: &Notes) -> Shown {
    let id = kept.key.to_string();
    let noted = notes.tokens.get(&id).cloned();
    let note = noted.unwrap_or_else(|| Note {
        facts: kept.noted.clone(),
        ..Note::default()
    });
    let facts = note.facts;
    Shown {
        id,
        name: kept.label.clone(),
        masked: kept.secret.masked(),
        source: match kept.source {
            Source::Vault(_) => "vault",
            Source::Config => "config",
        },
        pixels: (kept.pixels.iter())
            .map(|(pixel, slot)| Serves {
                pixel: *pixel,
                slot: slot.code(),
            })
            .collect(),
        kind: facts.kind.to_string(),
        state: facts.state.code(),
        cause: facts.cause,
        app_id: facts.app_id,
        expires: facts.expires.code(),
        expires_at: facts.expires.at().map(|at| at.0),
        data_access_expires_at: facts.data_access.at().map(|at| at.0),
        scopes: facts.scopes,
        checked_at: facts.checked_at.map(|at| at.0),
        usage: note.usage,
    }
}
