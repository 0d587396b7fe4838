//! Which edge of Graph a path means.

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::check::is_id;

/// An edge of Graph, or a page of Facebook, that the sandbox plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// `POST /{version}/{pixel}/events`.
    #[default]
    Events,
    /// `GET /{version}/dialog/oauth`.
    Dialog,
    /// `GET` or `POST` `/{version}/oauth/access_token`; the version may be absent.
    Oauth,
    /// `GET /{version}/oauth/revoke`; the version may be absent.
    Revoke,
    /// `GET /{version}/debug_token`; the version may be absent.
    DebugToken,
    /// `GET /{version}/me`, or the id of a person or system user.
    Me,
    /// `GET /{version}/me/permissions`, `DELETE /{version}/{user}/permissions/{permission}`.
    Permissions,
    /// `GET /{version}/me/accounts`.
    Accounts,
    /// `GET /{version}/{page}`.
    Page,
    /// `GET /{version}/{pixel}`.
    Pixel,
    /// `GET /{version}/dataset_quality`; which dataset, the parameter `dataset_id` says.
    DatasetQuality,
    /// `GET /{version}/{business}/system_users`.
    SystemUsers,
    /// `POST /{version}/{system_user}/applications`.
    Applications,
    /// `POST /{version}/{system_user}/access_tokens`.
    AccessTokens,
}

/// A path, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Asked {
    /// What is asked for; [`Edge::Pixel`] for any id alone.
    pub edge: Edge,
    pub version: Option<String>,
    /// Whom it is about: an id, or `me`.
    pub subject: String,
    /// The permission that is to be taken back.
    pub permission: Option<String>,
}

impl Edge {
    /// Whether the edge knows the method.
    pub(in crate::sandbox) fn takes(self, method: &Method) -> bool {
        let methods: &[Method] = match self {
            Self::Events | Self::Applications | Self::AccessTokens => &[Method::POST],
            Self::Oauth => &[Method::GET, Method::POST],
            Self::Permissions => &[Method::GET, Method::DELETE],
            _ => &[Method::GET],
        };
        methods.contains(method)
    }

    /// Whether it stands at the root of the host, below no id.
    fn is_top(self) -> bool {
        matches!(
            self,
            Self::Dialog | Self::Oauth | Self::Revoke | Self::DebugToken | Self::DatasetQuality
        )
    }

    /// Whether it belongs to the login and token endpoints.
    pub(super) fn is_login(self) -> bool {
        matches!(self, Self::Dialog | Self::Oauth | Self::Revoke)
    }
}

/// What the segments of a path ask for, or the kind of violation they are. `is_version` says
/// whether a segment is a version.
pub(in crate::sandbox) fn of(
    segments: &[&str],
    is_version: impl Fn(&str) -> bool,
) -> Result<Asked, &'static str> {
    let (version, rest) = match segments {
        [first, rest @ ..] if is_version(first) => (Some((*first).to_owned()), rest),
        all => (None, all),
    };
    let Some((edge, subject, permission)) = meaning(rest) else {
        let behind = segments
            .split_first()
            .and_then(|(_, behind)| meaning(behind));
        let spoiled = version.is_none() && behind.is_some_and(|(edge, _, _)| edge.is_top());
        return Err(if spoiled {
            "bad_version"
        } else {
            "unknown_route"
        });
    };
    let unversioned = matches!(edge, Edge::Oauth | Edge::Revoke | Edge::DebugToken);
    if version.is_none() && !unversioned {
        return Err("unknown_route");
    }
    Ok(Asked {
        edge,
        version,
        subject: subject.to_owned(),
        permission: permission.map(str::to_owned),
    })
}

/// What a path without its version means: the edge, whom it is about, and the permission.
fn meaning<'a>(segments: &[&'a str]) -> Option<(Edge, &'a str, Option<&'a str>)> {
    let who = |segment: &str| segment == "me" || is_id(segment);
    Some(match *segments {
        ["oauth", "access_token"] => (Edge::Oauth, "", None),
        ["oauth", "revoke"] => (Edge::Revoke, "", None),
        ["debug_token"] => (Edge::DebugToken, "", None),
        ["dialog", "oauth"] => (Edge::Dialog, "", None),
        ["dataset_quality"] => (Edge::DatasetQuality, "", None),
        ["me"] => (Edge::Me, "me", None),
        [id, "permissions"] if who(id) => (Edge::Permissions, id, None),
        [id, "permissions", one] if who(id) => (Edge::Permissions, id, Some(one)),
        [id, "accounts"] if who(id) => (Edge::Accounts, id, None),
        [id, "system_users"] if is_id(id) => (Edge::SystemUsers, id, None),
        [id, "applications"] if is_id(id) => (Edge::Applications, id, None),
        [id, "access_tokens"] if is_id(id) => (Edge::AccessTokens, id, None),
        [id] if is_id(id) => (Edge::Pixel, id, None),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let cases = [
            ("v26.0/dialog/oauth", Ok(Edge::Dialog)),
            ("v26.0/oauth/access_token", Ok(Edge::Oauth)),
            ("oauth/access_token", Ok(Edge::Oauth)),
            ("oauth/revoke", Ok(Edge::Revoke)),
            ("debug_token", Ok(Edge::DebugToken)),
            ("v26.0/me", Ok(Edge::Me)),
            ("v26.0/me/permissions", Ok(Edge::Permissions)),
            ("v26.0/7/permissions/ads_read", Ok(Edge::Permissions)),
            ("v26.0/me/accounts", Ok(Edge::Accounts)),
            ("v26.0/7/system_users", Ok(Edge::SystemUsers)),
            ("v26.0/7/applications", Ok(Edge::Applications)),
            ("v26.0/7/access_tokens", Ok(Edge::AccessTokens)),
            ("v26.0/7", Ok(Edge::Pixel)),
            ("v26.0/dataset_quality", Ok(Edge::DatasetQuality)),
            ("v26.0/7/dataset_quality", Err("unknown_route")),
            ("dataset_quality", Err("unknown_route")),
            ("dialog/oauth", Err("unknown_route")),
            ("me", Err("unknown_route")),
            ("v26.0/x/accounts", Err("unknown_route")),
            ("v26.0/7/other", Err("unknown_route")),
            ("v26.0/debug_token/", Err("unknown_route")),
            ("v26/debug_token", Err("bad_version")),
            ("26.0/oauth/access_token", Err("bad_version")),
        ];
        for (path, expected) in cases {
            let segments: Vec<&str> = path.split('/').collect();
            let seen = of(&segments, |text| text == "v26.0").map(|asked| asked.edge);
            assert_eq!(seen, expected, "{path}");
        }
    }
}
