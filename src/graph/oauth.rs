//! The client of Meta's login and token endpoints: from the dialog to a token, and what can be
//! asked about a token, and, since it is asked in the same way, about the quality of a dataset.
//!
//! A token travels in `Authorization: Bearer` or in a form body. Meta reads some edges with `GET`
//! only: `debug_token` (the token asked about), `oauth/revoke` (all of it), and the proof on reads;
//! their addresses are made in one place, and no error, log line or `Debug` has an address in it.
//! What Meta says leaves as [`Text`](super::Text), without a part of any secret of its request.
//! Nothing is sent twice. An answer over [`client::MAX_ANSWER`] is not
//! read, nor more than [`MAX_LIST_ANSWERS`] of them for a list, and redirects are refused.
//! [`catalogue`] says what each of Meta's errors means here and what to do next.

mod answer;
pub mod catalogue;
mod dataset_quality;
mod dialog;
mod error;
mod grant;
mod inspect;
mod person;
mod pixel;
mod reach;
mod redirect;
mod system_user;
mod wire;

use std::fmt;
use std::time::Duration;

use url::Url;

use super::client::{self, ClientError};
use crate::secret::Secret;
use crate::time::Clock;

pub use catalogue::{Context, Exit, Row, State, by_code, by_slug, explain};
pub use dataset_quality::{
    Coverage, DatasetQuality, DedupKey, Diagnostic, EventQuality, Figure, Freshness, MAX_ENTRIES,
    MAX_EVENT_NAMES, MatchKey, lacking_scopes,
};
pub use dialog::{Ask, Dialog, RedirectUriError, check_redirect_uri};
pub use error::{MetaError, OauthError, Unreachable};
pub use grant::Granted;
pub use inspect::{Expiry, Granular, Inspection, Inspector, TokenKind};
pub use person::{Identity, Page, Permission, PermissionStatus};
pub use pixel::{Named, PixelDetails, PixelInfo, TestSent};
pub use reach::Reached;
pub use redirect::{Caught, Redirect, RedirectError, parse_redirect};
pub use system_user::SystemUser;
pub use wire::MAX_LIST_ANSWERS;

/// How to reach Meta's login and token endpoints.
#[derive(Clone, Debug)]
pub struct OauthSettings {
    /// Scheme, host and port of the Graph API, such as `https://graph.facebook.com`; a path is
    /// kept before the version.
    pub graph_url: Url,
    /// The same of the login dialog, such as `https://www.facebook.com`.
    pub dialog_url: Url,
    /// The API version, such as `v26.0`.
    pub version: String,
    /// From the start of a request to the end of its answer.
    pub timeout: Duration,
    /// For connecting alone.
    pub connect_timeout: Duration,
}

/// A pooled client of Meta's login and token endpoints. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OauthClient {
    http: reqwest::Client,
    settings: OauthSettings,
    clock: Clock,
}

/// An app of Meta's, as its dashboard shows it under App settings, Basic.
#[derive(Clone)]
pub struct App {
    /// The app id: decimal digits.
    pub id: String,
    /// The app secret.
    pub secret: Secret,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl App {
    /// `{id}|{secret}`: the app's own token, which Meta takes to inspect the app's tokens.
    fn token(&self) -> Secret {
        let secret = self.secret.expose();
        // as long as needed at once, so that no half of it is left behind
        let mut token = String::with_capacity(self.id.len() + 1 + secret.len());
        token.push_str(&self.id);
        token.push('|');
        token.push_str(secret);
        Secret::new(token)
    }
}

impl OauthClient {
    /// Sets up TLS and the connection pool; connects to nothing yet. The clock tells how far away
    /// a date in `Retry-After` is, and how far Meta's clock is from ours.
    pub fn new(settings: OauthSettings, clock: Clock) -> Result<Self, ClientError> {
        for (key, url) in [
            ("graph.url", &settings.graph_url),
            ("graph.dialog_url", &settings.dialog_url),
        ] {
            if url.cannot_be_a_base() {
                return Err(ClientError::Url(key));
            }
        }
        let http = client::https(
            &settings.graph_url,
            settings.timeout,
            settings.connect_timeout,
        )?;
        Ok(Self {
            http,
            settings,
            clock,
        })
    }

    /// `{base}/{version}/{path}`.
    fn address(&self, base: &Url, path: &str) -> Url {
        let mut url = base.clone();
        let before = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{before}/{}/{path}", self.settings.version));
        url
    }
}

#[cfg(test)]
mod tests;
