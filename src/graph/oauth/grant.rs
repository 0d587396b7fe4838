//! `oauth/access_token` and `oauth/revoke`: tokens made, extended and taken back.

use super::answer::Node;
use super::error::OauthError;
use super::wire::Call;
use super::{App, OauthClient};
use crate::secret::Secret;

/// Where tokens are made.
const ACCESS_TOKEN: &str = "oauth/access_token";

/// A token, and how long it is good for.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The token.
    pub token: Secret,
    /// Seconds from now, from `expires_in` or its older name `expires`. None if Meta does not say
    /// or says 0, which is neither never nor now: [`OauthClient::inspect`] tells.
    pub expires_in: Option<u64>,
}

impl Granted {
    fn read(answer: Node<'_>) -> Result<Self, OauthError> {
        let seconds = answer
            .integer("expires_in")
            .or_else(|| answer.integer("expires"));
        Ok(Self {
            token: access_token(answer)?,
            expires_in: seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0),
        })
    }
}

/// The token of an answer that has to have one.
pub(super) fn access_token(answer: Node<'_>) -> Result<Secret, OauthError> {
    answer
        .secret("access_token")
        .ok_or(OauthError::Missing("access_token"))
}

/// A yes of Meta's: `true` itself, or `success` as a boolean, a number or a text.
pub(super) fn done(answer: Node<'_>) -> Result<(), OauthError> {
    match answer.own_flag().or_else(|| answer.flag("success")) {
        Some(true) => Ok(()),
        Some(false) => Err(OauthError::NotDone),
        None => Err(OauthError::Missing("success")),
    }
}

impl OauthClient {
    /// Exchanges the code of a login for a token. `redirect_uri` is byte for byte the dialog's. A
    /// code is good once: never try again with the same one, whatever came of it. Source: Meta's
    /// "Manually build a login flow".
    pub async fn exchange_code(
        &self,
        app: &App,
        redirect_uri: &str,
        code: &Secret,
    ) -> Result<Granted, OauthError> {
        let call = Call::post(ACCESS_TOKEN)
            .changes()
            .open("client_id", &app.id)
            .hidden("client_secret", &app.secret)
            .open("redirect_uri", redirect_uri)
            .hidden("code", code);
        Granted::read(self.call(call).await?.root())
    }

    /// Exchanges a token that is good now for one that is good for about 60 days; the old one
    /// stays good until its own end. `sixty_days` is for system users' tokens that expire, which
    /// are renewed by it. Source: Meta's "Get long-lived tokens" and "System users".
    pub async fn extend(
        &self,
        app: &App,
        token: &Secret,
        sixty_days: bool,
    ) -> Result<Granted, OauthError> {
        let mut call = Call::post(ACCESS_TOKEN)
            .open("grant_type", "fb_exchange_token")
            .open("client_id", &app.id)
            .hidden("client_secret", &app.secret)
            .hidden("fb_exchange_token", token);
        if sixty_days {
            call = call.open("set_token_expires_in_60_days", "true");
        }
        Granted::read(self.call(call).await?.root())
    }

    /// The app's own token: getting one proves that id and secret belong together.
    pub async fn app_token(&self, app: &App) -> Result<Secret, OauthError> {
        let call = Call::post(ACCESS_TOKEN)
            .open("grant_type", "client_credentials")
            .open("client_id", &app.id)
            .hidden("client_secret", &app.secret);
        access_token(self.call(call).await?.root())
    }

    /// Takes back `revoke` at once and for good, in the name of `with`, a token of the same app;
    /// both may be the same token. Source: Meta's "System users".
    pub async fn revoke(
        &self,
        app: &App,
        revoke: &Secret,
        with: &Secret,
    ) -> Result<(), OauthError> {
        let call = Call::get("oauth/revoke")
            .changes()
            .open("client_id", &app.id)
            .hidden("client_secret", &app.secret)
            .hidden("revoke_token", revoke)
            .hidden("access_token", with);
        done(self.call(call).await?.root())
    }
}
