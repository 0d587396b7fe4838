//! Who calls, as far as the head of a request tells.

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::secret::KeyDigest;

/// The caller of one request.
pub(super) struct Caller {
    /// The digest of the key from the header or the query, where it can be seen before the body is
    /// read.
    pub(super) key: Option<KeyDigest>,
}

impl Caller {
    pub(super) fn of(head: &Parts) -> Self {
        Self { key: key(head) }
    }
}

fn key(head: &Parts) -> Option<KeyDigest> {
    let header = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some((scheme, key)) = header.and_then(|value| value.split_once(' '))
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(KeyDigest::of(key.trim()));
    }
    let query = head.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "access_token")
        .map(|(_, key)| KeyDigest::of(&key))
}
