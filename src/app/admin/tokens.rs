//! `GET /tokens`: every token by fingerprint, with what is known about it. No token is in it.

use serde::Serialize;

use super::Inner;
use super::call::{Call, page};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use crate::app::roster;
use crate::custody::{Kept, Source};
use crate::pixel::PixelId;
use crate::tokens::{Note, Notes, Usage};

#[derive(Serialize)]
struct Page {
    tokens: Vec<Shown>,
    next: Option<String>,
}

/// One token, without the token.
#[derive(Clone, Serialize)]
pub(super) struct Shown {
    /// The fingerprint, as in the ids of holds.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) masked: String,
    pub(super) source: &'static str,
    pub(super) pixels: Vec<Serves>,
    pub(super) kind: String,
    pub(super) state: &'static str,
    /// Meta's codes, when it does not work.
    pub(super) cause: Option<String>,
    pub(super) app_id: Option<String>,
    pub(super) expires: &'static str,
    pub(super) expires_at: Option<i64>,
    pub(super) data_access_expires_at: Option<i64>,
    pub(super) scopes: Vec<String>,
    pub(super) checked_at: Option<i64>,
    pub(super) usage: Usage,
}

/// A pixel that has a token, and where.
#[derive(Clone, Serialize)]
pub(super) struct Serves {
    pub(super) pixel: PixelId,
    pub(super) slot: &'static str,
}

pub(super) fn list(mut call: Call) -> Done {
    Box::pin(async move {
        let (limit, after) = (call.members.limit()?, call.members.text("after")?);
        call.members.end()?;
        let mut all = all(&call.admin.0).await?;
        all.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        // one may be in the vault and in the configuration
        all.dedup_by(|one, other| one.id == other.id);
        let (tokens, next) = page(all, after.as_deref(), limit, |token| &token.id);
        Ok(Reply::ok(&Page { tokens, next }))
    })
}

/// Every token, in no order; one that is in the vault and in the configuration is there twice.
pub(super) async fn all(inner: &Inner) -> Result<Vec<Shown>, Problem> {
    let now = inner.in_force();
    // it reads a file
    beside(move || {
        let notes = Notes::read(&Notes::path(&now.config.journal.dir)).unwrap_or_default();
        let kept = roster::of(&now.config, &now.secrets, &now.held.contents);
        kept.iter().map(|kept| shown(kept, &notes)).collect()
    })
    .await
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
