//! One POST of JSON: no redirects, deadlines, and no address in any error.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::hmac;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use url::Url;

use super::Channel;
use super::error::{ChannelError, tls_fault};
use super::message::Message;
use super::retry::MAX_SERVER_WAIT;
use super::words::words;
use crate::loopback::is_loopback;
use crate::secret::Secret;
use crate::time::UnixMs;

/// The header with the signature: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
pub const SIGNATURE: &str = "x-capigate-signature";

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 4096;

/// Where to POST.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address. A secret, since with chat services knowing it is enough to post.
    pub url: Secret,
    /// What the body is signed with.
    pub secret: Option<Secret>,
}

pub(super) async fn send(
    common: &super::Settings,
    settings: &Settings,
    message: &Message,
    now: UnixMs,
) -> Result<(), ChannelError> {
    let url = Url::parse(settings.url.expose()).map_err(|_| ChannelError::Address)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ChannelError::Address);
    }
    let body = message.json(&common.instance).to_string();
    let http = client(common, &url)?;
    let mut request = http
        .post(url)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(secret) = &settings.secret {
        request = request.header(SIGNATURE, signature(secret, now, &body));
    }
    let mut response = request
        .body(body)
        .send()
        .await
        .map_err(|error| fault(&error))?;
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(());
    }
    let asked = response.headers().get(RETRY_AFTER);
    let wait = asked.and_then(|value| retry_after(value.to_str().ok()?, now));
    let mut said = Vec::new();
    // what it says is an extra; the status is the answer
    while said.len() < MAX_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        said.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - said.len())]);
    }
    let secrets: Vec<&Secret> = [&settings.url]
        .into_iter()
        .chain(&settings.secret)
        .collect();
    Err(ChannelError::Status {
        status,
        words: words(&String::from_utf8_lossy(&said), &secrets),
        wait,
    })
}

/// A client for one message: they are rare, and authorities that were installed meanwhile count.
fn client(common: &super::Settings, url: &Url) -> Result<Client, ChannelError> {
    let mut builder = Client::builder();
    if is_loopback(url) {
        // a proxy of the environment would carry it off this machine
        builder = builder.no_proxy();
    }
    if url.scheme() == "http" {
        // no certificate will be looked at, so the machine need not have any
        builder = builder.tls_certs_only([]);
    } else {
        let roots = common.roots.iter();
        let roots: Result<Vec<_>, _> = roots.map(|root| Certificate::from_der(root)).collect();
        builder = builder.tls_certs_merge(roots.map_err(|_| ChannelError::Setup)?);
    }
    builder
        .redirect(Policy::none())
        .connect_timeout(common.timeout)
        .timeout(common.timeout)
        .user_agent(concat!("capigate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| ChannelError::Setup)
}

/// The kind of a failure; its text names the address and is dropped.
fn fault(error: &reqwest::Error) -> ChannelError {
    let channel = Channel::Webhook;
    if let Some(fault) = tls_fault(channel, error) {
        fault
    } else if error.is_timeout() {
        ChannelError::Timeout(channel)
    } else if error.is_connect() {
        ChannelError::Connect(channel)
    } else {
        ChannelError::Broken(channel)
    }
}

fn signature(secret: &Secret, now: UnixMs, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let at = now.secs();
    let signed = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(signed.as_ref()))
}

/// Whole seconds or an HTTP date, at most [`MAX_SERVER_WAIT`].
fn retry_after(value: &str, now: UnixMs) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // too many digits for a number are a very long wait, too
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        let since = date.duration_since(UNIX_EPOCH).ok()?;
        UnixMs(0).plus(since).since(now)
    };
    Some(wait.min(MAX_SERVER_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_time_and_body() {
        let secret = Secret::new("whsec-canary".to_owned());
        let now = UnixMs::from_secs(1_795_305_600);
        // printf %s '1795305600.{"a":1}' | openssl dgst -sha256 -hmac whsec-canary
        assert_eq!(
            signature(&secret, now, "{\"a\":1}"),
            "t=1795305600,v1=5a80babaaf771416f2b296ddf5ee359a24f8e0f5ed47b50a4316d243f32f6a53"
        );
    }

    #[test]
    fn what_the_server_asks_for_is_bounded() {
        let secs = |n| Some(Duration::from_secs(n));
        // 1994-11-06T08:49:37Z is the date of RFC 9110
        let now = UnixMs::from_secs(784_111_777 - 90);
        for (value, want) in [
            (" 30 ", secs(30)),
            ("99999999999999999999999", secs(900)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", secs(90)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", secs(0)),
            ("", None),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(value, now), want, "{value:?}");
        }
    }
}
