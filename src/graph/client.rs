//! One POST to Graph: deadlines, no redirects, no token in any URL or error.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use url::{Host, Url};

use super::payload::{self, Members};
use super::reply::{self, GraphError, Reply, TraceId};
use super::verdict::{self, Transient, Verdict};
use crate::event::EncodedEvent;
use crate::pixel::PixelId;
use crate::secret::Secret;

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
}

/// What came of sending one batch.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What to do next.
    pub verdict: Verdict,
    /// Graph's error codes, when it gave any.
    pub error: Option<GraphError>,
    /// Graph's trace id, when it gave one.
    pub trace_id: Option<TraceId>,
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
    #[error("graph.url cannot carry a path; expected something like https://graph.facebook.com")]
    Url,
}

impl GraphClient {
    /// Sets up TLS and the connection pool; connects to nothing yet.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        if settings.url.cannot_be_a_base() {
            return Err(ClientError::Url);
        }
        let mut builder = reqwest::Client::builder();
        if is_loopback(&settings.url) {
            // a proxy of the environment would carry it off this machine
            builder = builder.no_proxy();
        }
        if settings.url.scheme() == "http" {
            // no certificate will be looked at, so the machine need not have any
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .redirect(Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .user_agent(concat!("capigate/", env!("CARGO_PKG_VERSION")))
            // an idle connection that the far end has dropped would cost a failed batch
            .pool_idle_timeout(Duration::from_secs(50))
            .tcp_nodelay(true)
            .build()
            .map_err(ClientError::Http)?;
        Ok(Self { http, settings })
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
        let body = payload::body(events, members);

        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !in_body {
            // a token with control characters cannot be a header; Graph would not know it either
            let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            else {
                return Answer {
                    verdict: Verdict::Hold(verdict::Hold {
                        scope: verdict::Scope::Token,
                        cause: verdict::Cause::Token,
                    }),
                    error: None,
                    trace_id: None,
                };
            };
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let request = self
            .http
            .post(self.endpoint(pixel))
            .headers(headers)
            .body(body);
        match exchange(request).await {
            Ok(got) => {
                let (reply, trace_id) = reply::read(&got.body);
                let trace_id = trace_id.filter(|trace| !trace.repeats(token.expose()));
                let verdict = verdict::judge(got.status, &reply, got.retry_after);
                let error = match reply {
                    Reply::Error(error) => Some(error),
                    _ => None,
                };
                Answer {
                    verdict,
                    error,
                    trace_id,
                }
            }
            Err(cause) => Answer {
                verdict: Verdict::Transient(cause, None),
                error: None,
                trace_id: None,
            },
        }
    }

    fn endpoint(&self, pixel: PixelId) -> Url {
        let mut url = self.settings.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}/{pixel}/events", self.settings.version));
        url
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

struct Got {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Got, Transient> {
    let mut response = request.send().await.map_err(|error| cause(&error))?;
    let status = response.status().as_u16();
    // a date is not read here: Graph does not document the header at all
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Got {
        status,
        retry_after,
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
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_base_is_kept() {
        for (base, want) in [
            (
                "https://graph.facebook.com",
                "https://graph.facebook.com/v26.0/7/events",
            ),
            (
                "https://relay.example/meta/",
                "https://relay.example/meta/v26.0/7/events",
            ),
        ] {
            let client = GraphClient::new(Settings {
                url: base.parse().unwrap(),
                version: "v26.0".to_owned(),
                timeout: Duration::from_secs(1),
                connect_timeout: Duration::from_secs(1),
                token_in: TokenIn::Header,
            });
            let endpoint = client.unwrap().endpoint("7".parse().unwrap());
            assert_eq!(endpoint.as_str(), want);
        }
    }
}
