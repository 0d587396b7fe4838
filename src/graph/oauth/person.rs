//! The person or system user behind a token: who, what they allowed, which Pages they have.

use super::OauthClient;
use super::answer::Node;
use super::error::OauthError;
use super::grant::done;
use super::wire::{Call, id};
use crate::graph::scrub::Text;
use crate::secret::Secret;

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The id; of a person, one that only this app sees.
    pub id: String,
    /// The name.
    pub name: Option<Text>,
}

/// A permission that the app has asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Its name, such as `ads_management`.
    pub name: String,
    /// What the person said.
    pub status: PermissionStatus,
}

/// What a person said to a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermissionStatus {
    /// Yes.
    Granted,
    /// No.
    Declined,
    /// Yes, too long ago. Unconfirmed.
    Expired,
    /// A word that is not known here.
    Other(String),
}

/// A Page of a person.
#[derive(Clone, Debug)]
pub struct Page {
    /// The Page id.
    pub id: String,
    /// Its name.
    pub name: Option<Text>,
    /// What the person may do there, such as `ADVERTISE`.
    pub tasks: Vec<String>,
    /// The token of the Page, if the person may have it.
    pub token: Option<Secret>,
}

impl Permission {
    fn read(entry: Node<'_>) -> Option<Self> {
        let status = entry.word("status")?;
        Some(Self {
            name: entry.word("permission")?,
            status: match status.as_str() {
                "granted" => PermissionStatus::Granted,
                "declined" => PermissionStatus::Declined,
                "expired" => PermissionStatus::Expired,
                _ => PermissionStatus::Other(status),
            },
        })
    }
}

impl Page {
    fn read(entry: Node<'_>) -> Option<Self> {
        Some(Self {
            id: entry.word("id")?,
            name: entry.text("name"),
            tasks: entry.words("tasks"),
            token: entry.secret("access_token"),
        })
    }
}

impl OauthClient {
    /// Who the token belongs to.
    pub async fn me(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
    ) -> Result<Identity, OauthError> {
        let call = Call::get("me")
            .open("fields", "id,name")
            .bearer(token)
            .proven(token, app_secret);
        let answer = self.call(call).await?;
        Ok(Identity {
            id: answer.root().word("id").ok_or(OauthError::Missing("id"))?,
            name: answer.root().text("name"),
        })
    }

    /// What the person allowed and declined.
    pub async fn permissions(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
    ) -> Result<Vec<Permission>, OauthError> {
        let path = "me/permissions".to_owned();
        let fields = "permission,status";
        self.list(path, fields, token, app_secret, Permission::read)
            .await
    }

    /// The Pages of the person, with their tokens. Needs `pages_show_list`.
    pub async fn pages(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
    ) -> Result<Vec<Page>, OauthError> {
        let path = "me/accounts".to_owned();
        let fields = "id,name,tasks,access_token";
        self.list(path, fields, token, app_secret, Page::read).await
    }

    /// The token of one Page; made with a long-lived token of a person it does not expire. Where
    /// the person may not have it, Meta leaves it out: [`OauthError::NoPageToken`].
    pub async fn page_token(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
        page_id: &str,
    ) -> Result<Secret, OauthError> {
        let page_id = id("the Page id", page_id)?;
        let call = Call::get(page_id)
            .open("fields", "access_token")
            .bearer(token)
            .proven(token, app_secret);
        let answer = self.call(call).await?;
        if answer.root().word("id").as_deref() != Some(page_id) {
            return Err(OauthError::OtherObject);
        }
        let token = answer.root().secret("access_token");
        token.ok_or(OauthError::NoPageToken)
    }

    /// Takes one permission from the app in the name of the person, or with none all of them,
    /// which removes the app from the person's account and ends the token.
    pub async fn deauthorise(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
        user_id: &str,
        permission: Option<&str>,
    ) -> Result<(), OauthError> {
        let mut path = format!("{}/permissions", id("the user id", user_id)?);
        if let Some(permission) = permission {
            let plain = (1..=100).contains(&permission.len())
                && permission
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !plain {
                return Err(OauthError::BadValue {
                    name: "the permission",
                    want: "lower-case letters, digits and `_`, such as ads_management",
                });
            }
            path = format!("{path}/{permission}");
        }
        let call = Call::delete(path)
            .changes()
            .bearer(token)
            .proven(token, app_secret);
        done(self.call(call).await?.root())
    }
}
