//! How the commands reach the admin API: over HTTP, or in this process when no gateway runs.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use clap::Args;
use http_body_util::BodyExt;
use serde_json::Value;
use tower_service::Service;
use url::Url;

use super::config::ConfigFiles;
use super::{FAILED, USAGE, WRONG};
use crate::config::{Config, KeyRef, SecretRef};
use crate::secret::Secret;

/// The variable the admin key is looked for when no other place is named.
const KEY_VARIABLE: &str = "CAPIGATE_ADMIN_KEY";
/// How long a gateway may be silent.
const SILENCE: Duration = Duration::from_mins(2);

/// Where the running gateway is, and the key for its admin API. The key never stands in an
/// argument, where other users of the machine could read it.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Reach {
    #[command(flatten)]
    pub(super) config: ConfigFiles,

    /// Admin address of the gateway, such as http://127.0.0.1:9090; else that of the configuration
    #[arg(long, value_name = "URL")]
    admin: Option<Url>,

    /// Environment variable with the admin key; else CAPIGATE_ADMIN_KEY, else what the configuration names
    #[arg(long, value_name = "NAME", conflicts_with = "key_file")]
    key_env: Option<String>,

    /// File with the admin key
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
}

/// A way to the admin API.
pub(super) struct Client {
    way: Way,
    base: Url,
    key: Secret,
}

enum Way {
    Http(reqwest::Client),
    /// No gateway runs; its routes are called as functions.
    Here(Router),
}

/// A command that did not do what was asked, and its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    pub(super) exit: u8,
    message: String,
    /// The gateway knows nothing of that name.
    is_missing: bool,
}

/// The error of a command, with its exit code.
pub(super) fn failure(exit: u8, message: impl Into<String>) -> anyhow::Error {
    let message = message.into();
    anyhow::Error::new(Failure {
        exit,
        message,
        is_missing: false,
    })
}

/// The error of an answer.
#[derive(serde::Deserialize)]
struct Refusal {
    error: Told,
}

#[derive(serde::Deserialize)]
struct Told {
    code: String,
    message: String,
    next: String,
    #[serde(default)]
    details: Vec<String>,
}

impl Reach {
    /// Finds address and key; connects to nothing yet.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let config = self.load()?;
        let base = match &self.admin {
            Some(url) => url.clone(),
            None => address(&config)?,
        };
        if !matches!(base.scheme(), "http" | "https") {
            return Err(failure(
                USAGE,
                "--admin is an http or https address, such as http://127.0.0.1:9090",
            ));
        }
        let mut builder = reqwest::Client::builder()
            // a proxy has no business with the key
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(SILENCE);
        if base.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .build()
            .context("the HTTP client cannot be set up")?;
        let key = self.key(&config)?;
        Ok(Client {
            way: Way::Http(http),
            base,
            key,
        })
    }

    /// The configuration, its secrets not read.
    pub(super) fn load(&self) -> anyhow::Result<Config> {
        let loaded = Config::load(&self.config.files, super::environment());
        loaded.map_err(|faults| failure(USAGE, format!("the configuration has faults:\n{faults}")))
    }

    fn key(&self, config: &Config) -> anyhow::Result<Secret> {
        let env = |name: &str| std::env::var(name).ok();
        let named = match (&self.key_env, &self.key_file) {
            (Some(name), _) => Some(SecretRef::Env(name.clone())),
            (None, Some(path)) => Some(SecretRef::File(path.clone())),
            (None, None) => None,
        };
        if let Some(place) = named {
            let read = place.read_with(&env);
            return read.map_err(|error| failure(USAGE, error.to_string()));
        }
        let usual = SecretRef::Env(KEY_VARIABLE.to_owned());
        let keys = config.admin.keys.iter().chain(&config.admin.view_keys);
        let configured = keys.filter_map(|key| match key {
            KeyRef::Secret(place) => Some(place),
            KeyRef::Sha256(_) => None,
        });
        let mut places = std::iter::once(&usual).chain(configured);
        places.find_map(|place| place.read_with(&env).ok()).ok_or_else(|| {
            failure(
                USAGE,
                format!("no admin key is at hand: set {KEY_VARIABLE}, or name another variable with --key-env or a file with --key-file (the gateway's keys are admin.keys of its configuration)"),
            )
        })
    }
}

/// Where a gateway with this configuration can be reached from its own machine.
fn address(config: &Config) -> anyhow::Result<Url> {
    reached_at(config.listen.admin, false, "listen.admin", "--admin")
}

/// The address under which one that is listened on can be reached from its own machine. `key` is
/// where it is configured, `option` names another.
pub(super) fn reached_at(
    mut addr: SocketAddr,
    is_tls: bool,
    key: &'static str,
    option: &str,
) -> anyhow::Result<Url> {
    if addr.port() == 0 {
        return Err(failure(
            USAGE,
            format!("{key} takes any free port: name the gateway's address with {option}"),
        ));
    }
    if addr.ip().is_unspecified() {
        let loopback = if addr.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        addr.set_ip(loopback);
    }
    let scheme = if is_tls { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{addr}")).context(key)
}

impl Client {
    /// The routes of an admin API in this process.
    pub(super) fn here(router: Router, key: Secret) -> anyhow::Result<Self> {
        let base = Url::parse("http://localhost")?;
        Ok(Self {
            way: Way::Here(router),
            base,
            key,
        })
    }

    /// Reads one page. `path` is in segments, not encoded.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> anyhow::Result<Value> {
        self.json(Method::GET, path, query, None).await
    }

    /// Whether a page is there.
    pub(super) async fn has(&self, path: &[&str]) -> anyhow::Result<bool> {
        let gone = |error: &anyhow::Error| {
            let failure = error.downcast_ref::<Failure>();
            failure.is_some_and(|failure| failure.is_missing)
        };
        match self.get(path, &[]).await {
            Ok(_) => Ok(true),
            Err(error) if gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Every entry of a list, page after page; `name` is the member the entries are in.
    pub(super) async fn all(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        name: &str,
    ) -> anyhow::Result<Vec<Value>> {
        let mut query = query.to_vec();
        query.push(("limit", "1000".to_owned()));
        let mut all = Vec::new();
        loop {
            let mut page = self.get(path, &query).await?;
            match page[name].take() {
                Value::Array(some) => all.extend(some),
                _ => return Err(self.stranger()),
            }
            let Some(next) = page["next"].as_str() else {
                return Ok(all);
            };
            query.retain(|(name, _)| *name != "after");
            query.push(("after", next.to_owned()));
        }
    }

    /// Asks for a change.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.json(Method::POST, path, &[], Some(body)).await
    }

    /// Copies a page to `out` as it comes.
    pub(super) async fn copy(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let mut body = self.send(Method::GET, path, query, None).await?.into_body();
        while let Some(frame) = body.frame().await {
            let cut = || {
                failure(
                    WRONG,
                    "the gateway ended the answer before it was whole; its log may say why",
                )
            };
            if let Ok(data) = frame.map_err(|_| cut())?.into_data() {
                out.write_all(&data)?;
            }
        }
        Ok(())
    }

    async fn json(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let response = self.send(method, path, query, body).await?;
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|_| self.silent())?;
        serde_json::from_slice(&bytes.to_bytes()).map_err(|_| self.stranger())
    }

    /// Sends one request; an answer that is no success is an error.
    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Response<Body>> {
        let mut url = self.base.clone();
        let mut to = url.path().trim_end_matches('/').to_owned();
        for segment in path {
            to.push('/');
            encode(segment, &mut to);
        }
        url.set_path(&to);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.key.expose()))?;
        bearer.set_sensitive(true);
        let body = body.map_or(Ok(Vec::new()), serde_json::to_vec)?;
        let request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(AUTHORIZATION, bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(body)?;
        let response = match &self.way {
            Way::Http(http) => {
                let request = reqwest::Request::try_from(request)?;
                let sent = http
                    .execute(request)
                    .await
                    .map_err(|error| self.unreachable(&error))?;
                Response::<reqwest::Body>::from(sent).map(Body::new)
            }
            Way::Here(router) => router.clone().call(request.map(Body::from)).await?,
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|_| self.silent())?;
        let told = serde_json::from_slice::<Refusal>(&bytes.to_bytes());
        let Ok(Refusal { error }) = told else {
            return Err(self.stranger());
        };
        let exit = match status {
            StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => WRONG,
            status if status.is_client_error() => USAGE,
            _ => FAILED,
        };
        let Told {
            code,
            message,
            next,
            details,
        } = error;
        let mut text = format!("{message}: {next} ({code})");
        for line in details {
            text.push_str("\n  ");
            text.push_str(&super::table::plain(&line));
        }
        Err(anyhow::Error::new(Failure {
            exit,
            message: text,
            is_missing: status == StatusCode::NOT_FOUND,
        }))
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        if !error.is_connect() {
            return self.silent();
        }
        let base = &self.base;
        failure(
            WRONG,
            format!(
                "no gateway answers at {base}: start it with `capigate serve`, or name its admin address with --admin"
            ),
        )
    }

    fn silent(&self) -> anyhow::Error {
        let base = &self.base;
        failure(
            WRONG,
            format!("the gateway at {base} did not answer in time, or broke off; see its log"),
        )
    }

    fn stranger(&self) -> anyhow::Error {
        let base = &self.base;
        failure(
            WRONG,
            format!(
                "what answers at {base} is no admin API of capigate: name the gateway's admin address with --admin"
            ),
        )
    }
}

/// All but what is unreserved is percent-encoded: a URL's own parser drops tabs and line breaks.
fn encode(segment: &str, to: &mut String) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push('%');
            to.push_str(&hex::encode_upper([byte]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_one_segment_of_a_path() {
        let mut url = Url::parse("http://a/").unwrap();
        let mut to = "/events/".to_owned();
        encode("a\tb/ä?%~\n", &mut to);
        url.set_path(&to);
        assert_eq!(url.path(), "/events/a%09b%2F%C3%A4%3F%25~%0A");
    }

    #[test]
    fn an_address_for_everyone_is_reached_on_loopback() {
        for (listen, reach) in [
            ("0.0.0.0:9090", "http://127.0.0.1:9090/"),
            ("[::]:9090", "http://[::1]:9090/"),
            ("10.0.0.7:1", "http://10.0.0.7:1/"),
        ] {
            let mut config = Config::default();
            config.listen.admin = listen.parse().unwrap();
            assert_eq!(address(&config).unwrap().as_str(), reach);
        }
        let mut config = Config::default();
        config.listen.admin = "0.0.0.0:0".parse().unwrap();
        assert!(address(&config).is_err());
    }
}
