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
            Ok(inspection) => return read(&inspection, before, now),
            Err(OauthError::Meta(error)) if is_about_who_asks(&error) => foreign = true,
            Err(error) => return Err(error),
        }
    }
    let seen = match client.inspect(token, Inspector::Itself).await {
        Ok(inspection) => read(&inspection, before, now)?,
        Err(OauthError::Meta(error)) => refused_itself(error, before, now)?,
        Err(error) => return Err(error),
    };
    Ok(Seen { foreign, ..seen })
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

/// What it says of a token that Meta refuses to let it look at itself.
fn refused_itself(
    error: Box<oauth::MetaError>,
    before: &Facts,
    now: UnixMs,
) -> Result<Seen, OauthError> {
    let row = explain(Context::Any, &error);
    if row.exit == oauth::Exit::Network {
        return Err(OauthError::Meta(error));
    }
    // that it may not look at itself says nothing
    let state = state(row.state).filter(|state| state.is_dead() || *state == State::Blocked);
    let verdict = state.is_some();
    let mut facts = before.clone();
    if let Some(state) = state {
        facts.state = state;
        facts.cause = Some(error.to_string());
        facts.checked_at = Some(now);
    }
    Ok(Seen {
        facts,
        row: verdict.then_some(row),
        error: verdict.then_some(*error),
        verdict,
        foreign: false,
    })
}

fn read(said: &Inspection, before: &Facts, now: UnixMs) -> Result<Seen, OauthError> {
    let (row, error) = (said.explain(), said.error.clone());
    let told = row.and_then(|row| state(row.state));
    if let (false, None, Some(row), Some(error)) = (said.is_valid, told, row, &error) {
        // Meta was in the way, or a parameter; whatever it writes beside that is not about the token
        if row.exit == oauth::Exit::Network {
            return Err(OauthError::Meta(Box::new(error.clone())));
        }
        return Ok(Seen {
            facts: before.clone(),
            row: Some(row),
            error: Some(error.clone()),
            verdict: false,
            foreign: false,
        });
    }
    let over = |expiry: oauth::Expiry| matches!(expiry, oauth::Expiry::At(at) if at <= now);
    let state = match told {
        _ if said.is_valid => State::Valid,
        Some(told) => told,
        None if over(said.expires_at) => State::Expired,
        None => State::Invalid,
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
        cause: error.as_ref().map(ToString::to_string),
        checked_at: Some(now),
    };
    Ok(Seen {
        facts,
        row,
        error,
        verdict: true,
        foreign: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn error(code: i64, subcode: Option<i64>, transient: bool) -> oauth::MetaError {
        oauth::MetaError {
            status: 200,
            code,
            subcode,
            kind: None,
            message: None,
            user_title: None,
            user_message: None,
            transient,
            trace_id: None,
            class: None,
            retry_after: None,
        }
    }

    fn inspection(error: Option<oauth::MetaError>) -> Inspection {
        Inspection {
            is_valid: false,
            app_id: None,
            application: None,
            kind: None,
            user_id: None,
            profile_id: None,
            expires_at: oauth::Expiry::Unknown,
            data_access_expires_at: None,
            issued_at: None,
            scopes: Vec::new(),
            granular: Vec::new(),
            error,
        }
    }

    fn before() -> Facts {
        Facts {
            state: State::Valid,
            app_id: Some("42".to_owned()),
            checked_at: Some(UnixMs(NOW.0 - 1)),
            ..Facts::default()
        }
    }

    #[test]
    fn what_says_nothing_about_the_token_is_no_verdict() {
        for (code, transient) in [(1, false), (2, false), (4, false), (190, true)] {
            let said = inspection(Some(error(code, None, transient)));
            let seen = read(&said, &before(), NOW);
            assert!(matches!(seen, Err(OauthError::Meta(_))), "{code}: {seen:?}");
        }
        for code in [100, 368] {
            let seen = read(&inspection(Some(error(code, None, false))), &before(), NOW).unwrap();
            assert!(!seen.verdict, "{code}");
            assert_eq!(seen.facts, before(), "{code}");
        }
    }

    #[test]
    fn a_token_that_may_not_look_at_itself_is_told_from_a_limit() {
        let refused =
            |code, subcode| refused_itself(Box::new(error(code, subcode, false)), &before(), NOW);
        for code in [1, 2, 4, 17, 613] {
            assert!(refused(code, None).is_err(), "{code}");
        }
        let seen = refused(100, None).unwrap();
        assert!(!seen.verdict);
        assert_eq!(seen.facts, before());
        let seen = refused(190, Some(463)).unwrap();
        assert!(seen.verdict);
        assert_eq!(seen.facts.state, State::Expired);
    }

    #[test]
    fn an_invalid_token_is_what_meta_says_of_it() {
        let state = |said: &Inspection| read(said, &before(), NOW).unwrap().facts.state;
        let revoked = inspection(Some(error(190, Some(460), false)));
        assert_eq!(state(&revoked), State::Revoked);
        assert_eq!(state(&inspection(None)), State::Invalid);
        let over = Inspection {
            expires_at: oauth::Expiry::At(NOW),
            ..inspection(None)
        };
        assert_eq!(state(&over), State::Expired);
    }
}
