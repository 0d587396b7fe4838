//! System users of a business, and tokens for them.

use super::OauthClient;
use super::answer::Node;
use super::error::OauthError;
use super::grant::{access_token, done};
use super::wire::{Call, id};
use crate::graph::scrub::Text;
use crate::secret::Secret;

/// A system user of a business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemUser {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<Text>,
    /// Its role, such as `ADMIN` or `EMPLOYEE`.
    pub role: Option<String>,
}

impl SystemUser {
    fn read(entry: Node<'_>) -> Option<Self> {
        Some(Self {
            id: entry.word("id")?,
            name: entry.text("name"),
            role: entry.word("role"),
        })
    }
}

/// Source of all of these: Meta's "System users", "Install apps, generate, refresh and revoke
/// tokens".
impl OauthClient {
    /// The system users of a business.
    pub async fn system_users(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
        business_id: &str,
    ) -> Result<Vec<SystemUser>, OauthError> {
        let path = format!("{}/system_users", id("the business id", business_id)?);
        let fields = "id,name,role";
        self.list(path, fields, token, app_secret, SystemUser::read)
            .await
    }

    /// Installs the app for a system user: what a token for it needs first. `token` is an
    /// admin's, or another system user's. Once more does no harm.
    pub async fn install_app(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
        system_user_id: &str,
        app_id: &str,
    ) -> Result<(), OauthError> {
        let user = id("the system user id", system_user_id)?;
        let call = Call::post(format!("{user}/applications"))
            .open("business_app", id("the app id", app_id)?)
            .hidden("access_token", token)
            .proven(token, app_secret);
        done(self.call(call).await?.root())
    }

    /// Makes a token for a system user, with what the user may use at this moment. Some businesses
    /// must take one that ends after 60 days. Meta does not say here when it ends;
    /// [`OauthClient::inspect`] does. Never tried again: each call makes another token.
    pub async fn create_system_user_token(
        &self,
        token: &Secret,
        app_secret: &Secret,
        system_user_id: &str,
        app_id: &str,
        scopes: &[String],
        sixty_days: bool,
    ) -> Result<Secret, OauthError> {
        let user = id("the system user id", system_user_id)?;
        let scopes = scopes.join(",");
        let mut call = Call::post(format!("{user}/access_tokens"))
            .changes()
            .open("business_app", id("the app id", app_id)?)
            .open("scope", &scopes)
            .hidden("access_token", token)
            .proven(token, Some(app_secret));
        if sixty_days {
            call = call.open("set_token_expires_in_60_days", "true");
        }
        access_token(self.call(call).await?.root())
    }
}
