//! Who calls, as far as the head of a request tells.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, COOKIE, HeaderName, USER_AGENT};
use axum::http::request::Parts;
use ipnet::IpNet;

use super::address::{self, Origin};
use super::cors;
use super::listener::Peer;
use crate::event::Visit;
use crate::secret::KeyDigest;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The caller of one request.
pub(super) struct Caller<'h> {
    /// The digest of the key from the header or the query, where it can be seen before the body is
    /// read.
    pub(super) key: Option<KeyDigest>,
    head: &'h Parts,
}

impl<'h> Caller<'h> {
    pub(super) fn of(head: &'h Parts) -> Self {
        Self {
            key: key(head),
            head,
        }
    }

    /// The origin of the page that calls, if it is one.
    pub(super) fn page(&self) -> Option<&'h str> {
        cors::origin(&self.head.headers)
    }

    /// Where the request comes from.
    pub(super) fn address(&self, trusted: &[IpNet]) -> Origin {
        let peer = self.head.extensions.get::<Peer>();
        // a connection whose other end is not known has gone already
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let values: Vec<&str> = (self.head.headers.get_all(X_FORWARDED_FOR).iter())
            // what is no text is no address
            .map(|value| value.to_str().unwrap_or("?"))
            .collect();
        address::find(peer, values.into_iter(), trusted)
    }

    /// What the request of a browser tells about the person at it.
    pub(super) fn visit(&self, address: IpAddr) -> Visit {
        let headers = &self.head.headers;
        let agent = headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        let cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        Visit::read(Some(address), agent, cookies)
    }
}

fn key(head: &Parts) -> Option<KeyDigest> {
    let header = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some((scheme, key)) = header.and_then(|value| value.split_once(' '))
        // Graph takes both
        && ["bearer", "oauth"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Some(KeyDigest::of(key.trim()));
    }
    let query = head.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "access_token")
        .map(|(_, key)| KeyDigest::of(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_a_key_with_graphs_schemes() {
        let found = |header: &str| {
            let request = axum::http::Request::get("/").header(AUTHORIZATION, header);
            key(&request.body(()).unwrap().into_parts().0).is_some()
        };
        for header in ["Bearer k", "bearer k", "OAuth k"] {
            assert!(found(header), "{header}");
        }
        assert!(!found("Basic azp2") && !found("k"));
    }
}
