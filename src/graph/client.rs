//! One POST to Graph: deadlines, no redirects, no token in any URL or error.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use url::Url;

use super::payload::{self, Members};
use super::reply::{self, GraphError, Literal, Reply, TraceId};
use super::scrub::Scrubber;
use super::usage::Usage;
use super::verdict::{self, Cause, Hold, Scope, Transient, Verdict};
use super::wait;
use crate::event::EncodedEvent;
use crate::loopback::is_loopback;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::Clock;

/// Bytes of an answer that are read; what is longer is not Graph's answer to a batch.
pub const MAX_ANSWER: usize = 1 << 20;

/// Where the access token travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenIn {
    /// `Authorization: Bearer …`.
    Header,
    /// The member `access_token` of the JSON body.
    Body,
}

/// How to reach Graph.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Scheme, host and port, such as `https://graph.facebook.com`; a path is kept before the
    /// version.
    pub url: Url,
    /// The API version, such as `v26.0`.
    pub version: String,
    /// From the start of a request to the end of its answer.
    pub timeout: Duration,
    /// For connecting alone.
    pub connect_timeout: Duration,
    /// Where the token travels.
    pub token_in: TokenIn,
}

/// A pooled client of one Graph host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GraphClient {
    http: reqwest::Client,
    settings: Settings,
    clock: Clock,
}

/// What came of sending one batch.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What to do next.
    pub verdict: Verdict,
    /// Graph's error, when it gave one.
    pub error: Option<GraphError>,
    /// Graph's trace id, when it gave one.
    pub trace_id: Option<TraceId>,
    /// How much of Graph's limits is used up; empty when its headers do not say.
    pub usage: Usage,
}

/// The client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS or the resolver could not be set up.
    #[error(
        "the HTTPS client cannot be set up; are the system's CA certificates installed (on Debian: apt-get install ca-certificates)?"
    )]
    Http(#[source] reqwest::Error),
    /// The base URL cannot carry a path.
    #[error("{0} cannot carry a path; expected something like https://graph.facebook.com")]
    Url(&'static str),
}

impl GraphClient {
    /// Sets up TLS and the connection pool; connects to nothing yet. The clock tells how far away
    /// a date in `Retry-After` is.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, ClientError> {
        if settings.url.cannot_be_a_base() {
            return Err(ClientError::Url("graph.url"));
        }
        let http = https(&settings.url, settings.timeout, settings.connect_timeout)?;
        Ok(Self {
            http,
            settings,
            clock,
        })
    }

    /// Sends one batch and judges what comes back. `options` is a JSON object or empty.
    pub async fn send<'a>(
        &self,
        pixel: PixelId,
        token: &Secret,
        app_secret: Option<&Secret>,
        events: impl Iterator<Item = &'a EncodedEvent> + Clone,
        options: &[u8],
    ) -> Answer {
        let proof = app_secret.map(|secret| payload::proof(secret, token));
        let in_body = self.settings.token_in == TokenIn::Body;
        let members = Members {
            options,
            token: in_body.then_some(token),
            proof: proof.as_deref(),
        };
        let body = payload::body(events.clone(), members);

        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !in_body {
            // a token with control characters cannot be a header; Graph would not know it either
            let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            else {
                return Answer::unread(Verdict::Hold(Hold {
                    scope: Scope::Token,
                    cause: Cause::Token,
                }));
            };
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let request = self
            .http
            .post(self.settings.endpoint(pixel))
            .headers(headers)
            .body(body);
        let got = match exchange(request).await {
            Ok(got) => got,
            Err(cause) => return Answer::unread(Verdict::Transient(cause, None)),
        };
        let scrubber = Scrubber::new([
            token.expose(),
            app_secret.map_or("", Secret::expose),
            proof.as_deref().unwrap_or_default(),
        ]);
        let (mut reply, trace_id) = reply::read(&got.body, &scrubber);
        if let Reply::Error(error) = &mut reply {
            distrust_echoes(error, events);
        }
        // a date, or a number of seconds, which Graph does not document
        let asked = got.headers.get(RETRY_AFTER);
        let asked =
            asked.and_then(|value| wait::retry_after(value.to_str().ok()?, self.clock.now()));
        let usage = Usage::read(&got.headers);
        Answer {
            verdict: verdict::judge(got.status, &reply, asked, &usage),
            error: match reply {
                Reply::Error(error) => Some(error),
                _ => None,
            },
            trace_id,
            usage,
        }
    }
}

impl Settings {
    /// Where the events of a pixel go.
    pub fn endpoint(&self, pixel: PixelId) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}/{pixel}/events", self.version));
        url
    }
}

impl Answer {
    /// Nothing of Graph's was read.
    fn unread(verdict: Verdict) -> Self {
        Self {
            verdict,
            error: None,
            trace_id: None,
            usage: Usage::default(),
        }
    }
}

/// Forgets what the error says about a batch that the batch itself may have put there.
fn distrust_echoes<'a>(
    error: &mut GraphError,
    events: impl Iterator<Item = &'a EncodedEvent> + Clone,
) {
    let sent = events.clone().count();
    error.index = error.index.filter(|index| *index < sent);
    // an event that names the proof must not hold the token: Graph may only be repeating it
    if error.literal == Some(Literal::AppsecretProof) && events.into_iter().any(names_the_proof) {
        error.literal = None;
    }
}

fn names_the_proof(event: &EncodedEvent) -> bool {
    // read and written again, because the stored bytes may escape its letters
    serde_json::from_slice::<serde_json::Value>(event.as_bytes())
        .map_or(true, |event| event.to_string().contains(Literal::PROOF))
}

/// What every client of Meta is: no redirects, deadlines, and only the proxy it may have.
pub(super) fn https(
    url: &Url,
    timeout: Duration,
    connect_timeout: Duration,
) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder();
    if is_loopback(url) {
        // a proxy of the environment would carry it off this machine
        builder = builder.no_proxy();
    }
    if url.scheme() == "http" {
        // no certificate will be looked at, so the machine need not have any
        builder = builder.tls_certs_only([]);
    }
    builder
        .redirect(Policy::none())
        .connect_timeout(connect_timeout)
        .timeout(timeout)
        .user_agent(concat!("capigate/", env!("CARGO_PKG_VERSION")))
        // an idle connection that the far end has dropped would cost a failed batch
        .pool_idle_timeout(Duration::from_secs(50))
        .tcp_nodelay(true)
        .build()
        .map_err(ClientError::Http)
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Got, Transient> {
    let mut response = request.send().await.map_err(|error| cause(&error))?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Got {
        status,
        headers,
        body,
    })
}

/// Keeps the kind of a failure and drops its text, which names the URL.
fn cause(error: &reqwest::Error) -> Transient {
    if error.is_connect() {
        Transient::Connect
    } else if error.is_timeout() {
        Transient::Timeout
    } else {
        Transient::Broken
    }
}

#[cfg(test)]
mod tests;
