//! A call to an account edge, taken apart: its parameters, and where each of them travelled.

use hyper::Method;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;

use super::proof::Proof;
use super::route::{Asked, Edge};

/// Most parameters of one account call that are read; further ones are not looked at.
pub const MAX_PARAMS: usize = 64;

/// Where a parameter travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the body.
    Body,
    /// In the query of the URL.
    Query,
    /// In a header.
    Header,
}

/// A call. It has no `Debug`: it holds secrets.
pub(super) struct Call {
    pub asked: Asked,
    pub method: Method,
    pub wants_html: bool,
    /// `scheme://host` as the caller wrote it.
    pub origin: String,
    /// The path and the query, as they came.
    pub target: String,
    params: Vec<(String, String, Place)>,
}

impl Call {
    pub(super) fn read(head: &Parts, body: &[u8], asked: Asked) -> Self {
        let text = |name| head.headers.get(name).and_then(|v| v.to_str().ok());
        let mut params = Vec::new();
        for (name, value) in members(text(CONTENT_TYPE).unwrap_or_default(), body) {
            params.push((name, value, Place::Body));
        }
        let bearer = text(AUTHORIZATION).and_then(|value| value.split_once(' '));
        if let Some((scheme, token)) = bearer
            && scheme.eq_ignore_ascii_case("bearer")
        {
            let token = token.trim().to_owned();
            params.push(("access_token".to_owned(), token, Place::Header));
        }
        let query = head.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            params.push((name.into_owned(), value.into_owned(), Place::Query));
        }
        params.truncate(MAX_PARAMS);
        let host = text(hyper::header::HOST)
            .map(str::to_owned)
            .or_else(|| head.uri.authority().map(ToString::to_string));
        Self {
            asked,
            method: head.method.clone(),
            wants_html: text(ACCEPT).is_some_and(|kinds| kinds.contains("text/html")),
            origin: format!("http://{}", host.unwrap_or_default()),
            target: head
                .uri
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
            params,
        }
    }

    /// The first value of a parameter: the body counts before the header, and that before the
    /// query. An empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(key, _, _)| key == name);
        found
            .map(|(_, value, _)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// What it says to prove that it knows the app secret.
    pub(super) fn proof(&self) -> Proof<'_> {
        Proof {
            value: self.get("appsecret_proof"),
            time: self.get("appsecret_time"),
        }
    }

    /// Whether a switch is on.
    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    /// A list, by commas or blanks.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.get(name).unwrap_or_default();
        text.split([',', ' '])
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The names of the parameters and where they travelled. A name that is not a plain word may
    /// be a value in the wrong place and is shown as `?`.
    pub(super) fn names(&self) -> Vec<(String, Place)> {
        let plain = |name: &str| {
            (1..=40).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
        };
        self.params
            .iter()
            .map(|(name, _, place)| {
                let shown = if plain(name) { name.as_str() } else { "?" };
                (shown.to_owned(), *place)
            })
            .collect()
    }

    /// The violations of how it travelled: the kind, and the place.
    pub(super) fn findings(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (name, _, place) in &self.params {
            if *place == Place::Query
                && let Some(kind) = in_url(self.asked.edge, name)
            {
                found.push((kind, name.clone()));
            }
        }
        if self.asked.edge == Edge::Dialog {
            if self
                .get("state")
                .is_none_or(|state| state.len() < MIN_STATE)
            {
                found.push(("dialog_state", "state".to_owned()));
            }
            if self
                .get("response_type")
                .is_some_and(|kind| !kind.split(',').any(|k| k == "code"))
            {
                found.push(("dialog_response_type", "response_type".to_owned()));
            }
        }
        found
    }
}

/// Shortest `state` that can hold 128 bits: base64 without padding.
const MIN_STATE: usize = 22;

/// What is wrong with a parameter in the query of an edge. Meta wants the token that is inspected
/// or revoked there, and for revoking, the secret and the caller's token as well.
fn in_url(edge: Edge, name: &str) -> Option<&'static str> {
    match (edge, name) {
        (Edge::Revoke, "access_token" | "revoke_token" | "client_secret")
        | (Edge::DebugToken, "input_token") => None,
        (_, "access_token" | "input_token" | "revoke_token" | "fb_exchange_token") => {
            Some("token_in_url")
        }
        (_, "client_secret") | (Edge::Oauth, "code") => Some("secret_in_url"),
        _ => None,
    }
}

/// The members of a form or JSON body; what cannot be read has none.
fn members(kind: &str, body: &[u8]) -> Vec<(String, String)> {
    // curl labels whatever it sends with -d as a form, so a leading brace decides
    if kind
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded")
        && !body.trim_ascii_start().starts_with(b"{")
    {
        return form_urlencoded::parse(body).into_owned().collect();
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Array(many) => {
            let words: Vec<_> = many.iter().filter_map(Value::as_str).collect();
            words.join(",")
        }
        other => other.to_string(),
    };
    members
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn read(edge: Edge, uri: &str, kind: &str, body: &str) -> Call {
        let asked = Asked {
            edge,
            version: None,
            subject: String::new(),
            permission: None,
        };
        let request = Request::post(uri)
            .header("content-type", kind)
            .header("host", "here");
        let (head, ()) = request.body(()).unwrap().into_parts();
        Call::read(&head, body.as_bytes(), asked)
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn parameters_come_by_form_json_and_query() {
        let form = read(
            Edge::Oauth,
            "/oauth/access_token?client_id=2&b=3",
            FORM,
            "client_id=1&a=x+y",
        );
        assert_eq!(form.get("client_id"), Some("1"));
        assert_eq!(form.get("a"), Some("x y"));
        assert_eq!(form.get("b"), Some("3"));
        assert_eq!(form.get("c"), None);
        let json = read(
            Edge::Oauth,
            "/",
            "application/json",
            r#"{"t":5,"on":true,"s":["a","b"]}"#,
        );
        assert_eq!(json.get("t"), Some("5"));
        assert!(json.is_set("on"));
        assert_eq!(json.list("s"), ["a", "b"]);
        assert_eq!(read(Edge::Oauth, "/", "text/plain", "no").get("no"), None);
        let names = read(Edge::Oauth, "/?EAAtoken&a=1", FORM, "b=2").names();
        let expected = [
            ("b".to_owned(), Place::Body),
            ("?".to_owned(), Place::Query),
            ("a".to_owned(), Place::Query),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_may_stand_in_a_url() {
        let cases = [
            (Edge::Oauth, "client_secret", Some("secret_in_url")),
            (Edge::Oauth, "code", Some("secret_in_url")),
            (Edge::Oauth, "fb_exchange_token", Some("token_in_url")),
            (Edge::Oauth, "client_id", None),
            (Edge::Revoke, "client_secret", None),
            (Edge::Revoke, "revoke_token", None),
            (Edge::Revoke, "access_token", None),
            (Edge::DebugToken, "input_token", None),
            (Edge::DebugToken, "access_token", Some("token_in_url")),
            (Edge::Me, "access_token", Some("token_in_url")),
            (Edge::Me, "appsecret_proof", None),
            (Edge::Dialog, "client_secret", Some("secret_in_url")),
        ];
        for (edge, name, kind) in cases {
            assert_eq!(in_url(edge, name), kind, "{edge:?} {name}");
            let call = read(edge, &format!("/?{name}=x"), FORM, "");
            assert_eq!(
                call.findings().iter().any(|(k, _)| Some(*k) == kind),
                kind.is_some()
            );
        }
    }
}
