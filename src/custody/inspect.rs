//! Asks Meta about a token, in the way that is open.

use super::Kept;
use crate::graph::oauth::{
    self, App, Context, Inspection, Inspector, OauthClient, OauthError, Row, TokenKind, explain,
};
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::{Expiry, Facts, Kind, State, Target};

/// What came of asking.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What is known now.
    pub facts: Facts,
    /// What is wrong with the token, if anything is: what it means and what to do.
    pub row: Option<&'static Row>,
    /// Meta's error, if it gave one about the token.
    pub error: Option<oauth::MetaError>,
    /// Whether Meta gave a verdict. Without one the facts are those from before.
    pub verdict: bool,
    /// The app asked with is not the token's own.
    pub foreign: bool,
}

/// Asks about a token: in the name of its app where the secret of that is known, else in its own
/// name, which Meta answers often but does not promise to. What nobody answers is no verdict.
///
/// # Errors
///
/// Meta cannot be reached, or has no time now: nothing was said about the token.
pub async fn inspect(
    client: &OauthClient,
    token: &Secret,
    app: Option<&App>,
    before: &Facts,
    now: UnixMs,
) -> Result<Seen, OauthError> {
    let mut foreign = false;
    if let Some(app) = app {
        match client.inspect(token, Inspector::App(app)).await {
            Ok(inspection) => return Ok(read(&inspection, now)),
            Err(OauthError::Meta(error)) if is_about_who_asks(&error) => foreign = true,
            Err(error) => return Err(error),
        }
    }
    match client.inspect(token, Inspector::Itself).await {
        Ok(inspection) => Ok(Seen {
            foreign,
            ..read(&inspection, now)
        }),
        Err(OauthError::Meta(error)) => {
            let row = explain(Context::Any, &error);
            let state = state(row.state);
            // that it may not look at itself says nothing
            let verdict = state.is_some_and(|state| state.is_dead() || state == State::Blocked);
            if !verdict && error.transient {
                return Err(OauthError::Meta(error));
            }
            let mut facts = before.clone();
            if let Some(state) = state.filter(|_| verdict) {
                facts.state = state;
                facts.cause = Some(error.to_string());
                facts.checked_at = Some(now);
            }
            Ok(Seen {
                facts,
                row: verdict.then_some(row),
                error: verdict.then_some(*error),
                verdict,
                foreign,
            })
        }
        Err(error) => Err(error),
    }
}

/// Asks about a token that is kept somewhere.
///
/// # Errors
///
/// As [`inspect`].
pub async fn inspect_kept(
    client: &OauthClient,
    kept: &Kept,
    before: &Facts,
    now: UnixMs,
) -> Result<Seen, OauthError> {
    inspect(client, &kept.secret, kept.app.as_ref(), before, now).await
}

/// Whether the error is about the app that asks, or that it is not the token's.
fn is_about_who_asks(error: &oauth::MetaError) -> bool {
    let row = explain(Context::Debug, error);
    !error.transient && row.exit == oauth::Exit::App
}

/// The word that lists of tokens use for what an error says; none when it says nothing.
pub fn state(said: oauth::State) -> Option<State> {
    Some(match said {
        oauth::State::Revoked => State::Revoked,
        oauth::State::Expired => State::Expired,
        oauth::State::Blocked => State::Blocked,
        oauth::State::Invalid => State::Invalid,
        oauth::State::NoAccess => State::NoAccess,
        oauth::State::NoPermission => State::NoPermission,
        oauth::State::Config => State::Config,
        oauth::State::Unchanged => return None,
    })
}

fn read(said: &Inspection, now: UnixMs) -> Seen {
    let row = said.explain();
    let state = if said.is_valid {
        State::Valid
    } else {
        let told = row.and_then(|row| state(row.state));
        let over = |expiry: oauth::Expiry| matches!(expiry, oauth::Expiry::At(at) if at <= now);
        told.unwrap_or(if over(said.expires_at) {
            State::Expired
        } else {
            State::Invalid
        })
    };
    let facts = Facts {
        kind: match &said.kind {
            Some(TokenKind::User) => Kind::User,
            Some(TokenKind::Page) => Kind::Page,
            Some(TokenKind::App) => Kind::App,
            Some(TokenKind::SystemUser) => Kind::SystemUser,
            Some(TokenKind::Other(word)) => Kind::Other(word.clone()),
            None => Kind::Unknown,
        },
        app_id: said.app_id.clone(),
        app_name: said.application.as_ref().map(ToString::to_string),
        user_id: said.user_id.clone(),
        page_id: said.profile_id.clone(),
        expires: match said.expires_at {
            oauth::Expiry::Unknown => Expiry::Unknown,
            oauth::Expiry::Never => Expiry::Never,
            oauth::Expiry::At(at) => Expiry::At(at),
        },
        data_access: said
            .data_access_expires_at
            .map_or(Expiry::Never, Expiry::At),
        issued_at: said.issued_at,
        scopes: said.scopes.clone(),
        targets: (said.granular.iter())
            .filter_map(|granular| {
                Some(Target {
                    scope: granular.scope.clone(),
                    ids: granular.targets.clone()?,
                })
            })
            .collect(),
        state,
        cause: said.error.as_ref().map(ToString::to_string),
        checked_at: Some(now),
    };
    Seen {
        facts,
        row,
        error: said.error.clone(),
        verdict: true,
        foreign: false,
    }
}
