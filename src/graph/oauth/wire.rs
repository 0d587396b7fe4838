//! One request to Meta and its answer: what travels where, within which bounds.

use std::error::Error;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::answer::{Answer, Node};
use super::error::{MetaError, OauthError, Unreachable};
use super::{App, OauthClient};
use crate::graph::client::MAX_ANSWER;
use crate::graph::payload;
use crate::secret::Secret;

/// Answers that one list is read from, with 100 entries each if Meta keeps to what it is asked for.
pub const MAX_LIST_ANSWERS: usize = 50;

/// Entries of a list that one answer is asked for.
const LIST_ENTRIES: &str = "100";

/// Bytes that most answers fit into.
const USUAL_ANSWER: usize = 16 << 10;

/// Characters of the cursor to the next page of a list.
const MAX_CURSOR: usize = 1024;

/// A request to be sent once. With `GET` and `DELETE` its fields travel in the query, with `POST`
/// in a form.
pub(super) struct Call<'a> {
    method: Method,
    path: String,
    bearer: Option<Secret>,
    fields: Vec<(&'static str, Field<'a>)>,
    json: Option<Zeroizing<Vec<u8>>>,
    secrets: Vec<Secret>,
    changes: bool,
}

enum Field<'a> {
    Open(&'a str),
    Hidden(Secret),
}

impl Field<'_> {
    fn value(&self) -> &str {
        match self {
            Self::Open(value) => value,
            Self::Hidden(secret) => secret.expose(),
        }
    }
}

impl<'a> Call<'a> {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            bearer: None,
            fields: Vec::new(),
            json: None,
            secrets: Vec::new(),
            changes: false,
        }
    }

    /// A read.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    /// A form.
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    /// A removal.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into())
    }

    /// Doing it twice is not the same as once: without an answer it may have been done.
    pub(super) fn changes(mut self) -> Self {
        self.changes = true;
        self
    }

    /// A field anyone may see.
    pub(super) fn open(mut self, name: &'static str, value: &'a str) -> Self {
        self.fields.push((name, Field::Open(value)));
        self
    }

    /// A field nobody may see.
    pub(super) fn hidden(mut self, name: &'static str, secret: &Secret) -> Self {
        self.secrets.push(secret.clone());
        self.fields.push((name, Field::Hidden(secret.clone())));
        self
    }

    /// The token in the header.
    pub(super) fn bearer(mut self, token: &Secret) -> Self {
        self.secrets.push(token.clone());
        self.bearer = Some(token.clone());
        self
    }

    /// The app's own token in the header. Its id is no secret, and may be read in an answer.
    pub(super) fn bearer_of(mut self, app: &App) -> Self {
        self.secrets.push(app.secret.clone());
        self.bearer = Some(app.token());
        self
    }

    /// The proof that we know the secret of the token's app, where we do.
    pub(super) fn proven(mut self, token: &Secret, app_secret: Option<&Secret>) -> Self {
        let Some(app_secret) = app_secret else {
            return self;
        };
        self.secrets.push(app_secret.clone());
        let proof = Secret::new(payload::proof(app_secret, token));
        self.hidden("appsecret_proof", &proof)
    }

    /// A JSON body in place of a form; `secret` is in it, if any.
    pub(super) fn json(mut self, body: Zeroizing<Vec<u8>>, secrets: &[&Secret]) -> Self {
        self.secrets.extend(secrets.iter().copied().cloned());
        self.json = Some(body);
        self
    }
}

/// What came back, before anyone has read it.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl OauthClient {
    /// Sends `call` once and gives Meta's answer, or its error, or why there is neither.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, OauthError> {
        let changes = call.changes;
        let secrets = call.secrets.clone();
        let got = self.send(call).await?;
        let unreadable = || {
            // a refusal has changed nothing
            if changes && !(400..500).contains(&got.status) {
                OauthError::UnknownOutcome
            } else {
                OauthError::Unreadable { status: got.status }
            }
        };
        let answer = Answer::read(&got.body, secrets).ok_or_else(unreadable)?;
        if let Some(error) = MetaError::read(&got, answer.root(), self.clock.now()) {
            return Err(OauthError::Meta(Box::new(error)));
        }
        if !(200..300).contains(&got.status) {
            return Err(unreadable());
        }
        Ok(answer)
    }

    /// Sends `call` once, and reads what comes back within the bounds.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Got, OauthError> {
        let changes = call.changes;
        let failed = |error: &reqwest::Error| why(error, changes);
        let request = self.request(call)?;
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Zeroizing::new(Vec::with_capacity(USUAL_ANSWER));
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                body.clear();
                break;
            }
            append(&mut body, &chunk);
        }
        Ok(Got {
            status,
            headers,
            body,
        })
    }

    fn request(&self, call: Call<'_>) -> Result<reqwest::RequestBuilder, OauthError> {
        let mut url = self.address(&self.settings.graph_url, &call.path);
        let mut headers = HeaderMap::new();
        if let Some(token) = &call.bearer {
            let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
            let mut bearer =
                HeaderValue::from_str(&bearer).map_err(|_| OauthError::UnsendableToken)?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let mut body = None;
        if let Some(json) = call.json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body = Some(Bytes::from_owner(json));
        } else if call.method == Method::POST {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form);
            body = Some(form_of(&call.fields));
        } else if !call.fields.is_empty() {
            put_in_query(&mut url, &call.fields);
        }
        let request = self.http.request(call.method, url).headers(headers);
        Ok(match body {
            Some(body) => request.body(body),
            None => request,
        })
    }

    /// All entries of the list at `path`, page by page, each read by `read`, which leaves out what
    /// it cannot read. The address of the next page that Meta gives has the token in it, and is
    /// not used.
    pub(super) async fn list<T>(
        &self,
        path: String,
        fields: &str,
        token: &Secret,
        app_secret: Option<&Secret>,
        read: fn(Node<'_>) -> Option<T>,
    ) -> Result<Vec<T>, OauthError> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_LIST_ANSWERS {
            let mut call = Call::get(path.clone())
                .open("fields", fields)
                .open("limit", LIST_ENTRIES)
                .bearer(token)
                .proven(token, app_secret);
            if let Some(after) = &after {
                call = call.open("after", after);
            }
            let answer = self.call(call).await?;
            let entries = answer.root().list("data");
            all.extend(entries.ok_or(OauthError::Missing("data"))?.filter_map(read));
            let paging = answer.root().get("paging");
            let Some(paging) = paging.filter(|paging| paging.get("next").is_some()) else {
                return Ok(all);
            };
            let cursor = paging
                .get("cursors")
                .and_then(|cursors| cursors.echo("after", MAX_CURSOR));
            let cursor = cursor.ok_or(OauthError::Missing("paging.cursors.after"))?;
            after = Some(cursor.to_owned());
        }
        Err(OauthError::TooMuch)
    }
}

/// Adds to what has come. A buffer that is too small is wiped, not only freed.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let length = body.len() + chunk.len();
    if length > body.capacity() {
        let larger = Vec::with_capacity(length.max(2 * body.capacity()));
        let small = std::mem::replace(body, Zeroizing::new(larger));
        body.extend_from_slice(&small);
    }
    body.extend_from_slice(chunk);
}

/// THE ONE PLACE where a secret comes into an address: `input_token`, the parameters of
/// `oauth/revoke`, and the proof on reads. Meta takes them there and documents no other way.
fn put_in_query(url: &mut Url, fields: &[(&'static str, Field<'_>)]) {
    let mut query = url.query_pairs_mut();
    for (name, field) in fields {
        query.append_pair(name, field.value());
    }
}

fn form_of(fields: &[(&'static str, Field<'_>)]) -> Bytes {
    let longest =
        |(name, field): &(&'static str, Field<'_>)| name.len() + 2 + 3 * field.value().len();
    // long enough at once, so that no half of it is left behind
    let form = String::with_capacity(fields.iter().map(longest).sum());
    let mut form = form_urlencoded::Serializer::new(form);
    for (name, field) in fields {
        form.append_pair(name, field.value());
    }
    Bytes::from_owner(Zeroizing::new(form.finish().into_bytes()))
}

/// Keeps the kind of a failure and drops its text, which names the address.
fn why(error: &reqwest::Error, changes: bool) -> OauthError {
    if error.is_connect() {
        OauthError::Unreachable(if is_tls(error) {
            Unreachable::Tls
        } else if error.is_timeout() {
            Unreachable::Timeout
        } else {
            Unreachable::Connect
        })
    } else if changes {
        OauthError::UnknownOutcome
    } else if error.is_timeout() {
        OauthError::Unreachable(Unreachable::Timeout)
    } else {
        OauthError::Unreachable(Unreachable::Broken)
    }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // what an io::Error wraps is not among its sources
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(wrapped) = wrapped
            && is_tls(wrapped)
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// An id that may stand in a path: 1 to 32 decimal digits.
pub(super) fn id<'a>(name: &'static str, id: &'a str) -> Result<&'a str, OauthError> {
    let plain = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
    plain.then_some(id).ok_or(OauthError::BadValue {
        name,
        want: "1 to 32 decimal digits, such as 1234567890123456",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_pieces_is_whole() {
        let whole: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let mut body = Zeroizing::new(Vec::with_capacity(16));
        for piece in whole.chunks(999) {
            append(&mut body, piece);
        }
        assert_eq!(*body, whole);
    }
}
