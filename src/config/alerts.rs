//! `[alerts]`: whom to tell that something needs a person, and how.

mod secrets;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use lettre::message::Mailbox;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use super::fault::{at_least, within};
use super::graph::BaseUrl;
use super::units::{Span, from_text};
use super::{Fault, SecretRef};
use crate::loopback::is_loopback;

pub use secrets::AlertSecrets;

/// Tokens that expire or were refused and other troubles that need a person are always in the log;
/// with webhook_url they are posted as JSON, with email_to they are mailed, too. Each is told when
/// it begins, once more each `repeat` while it lasts, and when it is over. Try it out with
/// `capigate alert test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// How often what lasts is told again; what is only good to know is told once.
    pub repeat: Span,
    /// Messages in any hour, and at most 30 more that are critical; beyond it one message says how
    /// many were held back, the log has all of them, and what is still raised is sent when there is
    /// room.
    pub max_per_hour: u32,
    /// How long a message is tried on a channel that does not take it.
    pub give_up: Span,
    /// Time for one try, from connecting to the end of the answer.
    pub timeout: Span,
    /// How this gateway is called in messages, at most 64 characters; the name of the machine if
    /// it is not set.
    ///
    /// Example: `"shop-eu"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// PEM file with certificates of authorities that the webhook and the mail server may have
    /// theirs from, beside those that the system trusts.
    ///
    /// Example: `"/etc/capigate/ca.pem"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Where to POST each message: an https address without user and query, or, since to know the
    /// address is often enough to post there, the environment variable or file it is in. The JSON
    /// has key, severity, title, text, detail, next, pixels, token, at (milliseconds since 1970),
    /// resolved and instance; `text` holds all of it in words, as the incoming webhooks of Slack and
    /// Mattermost want it. Redirects are not followed.
    ///
    /// Example: `{ env = "CAPIGATE_WEBHOOK_URL" }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<WebhookUrl>,
    /// Where the secret is that the webhook's body is signed with; the header
    /// x-capigate-signature is then `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
    ///
    /// Example: `{ file = "/run/secrets/webhook_secret" }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<SecretRef>,
    /// Allows a plain http address that is not this machine, for a webhook in your own network.
    pub webhook_allow_http: bool,
    /// Who gets the mails; without anyone none is sent.
    ///
    /// Example: `["ops@example.com"]`
    pub email_to: Vec<MailAddress>,
    /// The sender; needed with email_to.
    ///
    /// Example: `"capigate <capigate@example.com>"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_from: Option<MailAddress>,
    /// The mail server, by name or IP address; needed with email_to.
    ///
    /// Example: `"smtp.example.com"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_host: Option<String>,
    /// Its port; 587 for "starttls", 465 for "tls" and 25 for "none" if it is not set.
    ///
    /// Example: `587`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_port: Option<u32>,
    /// How the connection is encrypted: "starttls", "tls" (from the first byte) or "none", which
    /// is for a mail server on this machine.
    pub email_tls: EmailTls,
    /// The name to log in with, where the server asks for one.
    ///
    /// Example: `"capigate@example.com"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_username: Option<String>,
    /// Where the password for it is.
    ///
    /// Example: `{ file = "/run/secrets/mail_password" }`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_password: Option<SecretRef>,
}

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailTls {
    /// After a word in clear.
    #[default]
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all.
    None,
}

/// Where to POST: an address that is no secret, or where one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookUrl {
    /// The address itself, which has no user, query or fragment.
    Plain(String),
    /// The address is in a variable or a file.
    Secret(SecretRef),
}

/// An e-mail address, with or without a name before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(Mailbox);

/// Why a text is not a [`MailAddress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address, as in \"ops@example.com\" or \"Name <ops@example.com>\"")]
pub struct MailAddressError;

/// Characters of `alerts.instance`.
const MAX_INSTANCE: usize = 64;
/// Recipients of a mail.
const MAX_RECIPIENTS: usize = 50;
/// Bytes of the file of `alerts.ca`.
const MAX_CA: u64 = 4 * 1024 * 1024;

const BAD_URL: &str =
    "an https address without user, query or fragment, or a table that says where one is";

impl Default for Alerts {
    fn default() -> Self {
        Self {
            repeat: Span::from_secs(86_400),
            max_per_hour: 20,
            give_up: Span::from_secs(3600),
            timeout: Span::from_secs(20),
            instance: None,
            ca: None,
            webhook_url: None,
            webhook_secret: None,
            webhook_allow_http: false,
            email_to: Vec::new(),
            email_from: None,
            email_host: None,
            email_port: None,
            email_tls: EmailTls::default(),
            email_username: None,
            email_password: None,
        }
    }
}

impl Alerts {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        let minute = Span::from_secs(60);
        at_least(faults, "alerts.repeat", self.repeat, minute);
        within(faults, "alerts.max_per_hour", self.max_per_hour, 1..=1000);
        at_least(faults, "alerts.give_up", self.give_up, minute);
        if self.give_up > Span::from_secs(7 * 86_400) {
            faults.push(Fault::cross("alerts.give_up", "at most 7d"));
        }
        at_least(faults, "alerts.timeout", self.timeout, Span::from_secs(1));
        if self.timeout > Span::from_secs(300) {
            faults.push(Fault::cross("alerts.timeout", "at most 5m"));
        }
        let is_name = |name: &String| {
            (1..=MAX_INSTANCE).contains(&name.chars().count()) && !name.contains(char::is_control)
        };
        if !self.instance.as_ref().is_none_or(is_name) {
            faults.push(Fault::cross(
                "alerts.instance",
                "1 to 64 characters on one line, such as \"shop-eu\"",
            ));
        }
        if let Some(WebhookUrl::Plain(url)) = &self.webhook_url
            && !self.may_post_to(url)
        {
            faults.push(Fault::cross(
                "alerts.webhook_url",
                format!("an https address; {HTTPS_ONLY}"),
            ));
        }
        self.validate_email(faults);
    }

    /// Whether it is an address that a message may go to.
    fn may_post_to(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| match url.scheme() {
            "https" => url.has_host(),
            "http" => is_loopback(&url) || (self.webhook_allow_http && url.has_host()),
            _ => false,
        })
    }

    fn validate_email(&self, faults: &mut Vec<Fault>) {
        let mut fault = |key: &str, expected: &str| {
            faults.push(Fault::cross(format!("alerts.{key}"), expected));
        };
        if self.email_to.len() > MAX_RECIPIENTS {
            fault(
                "email_to",
                "at most 50 addresses; use a list of the mail server's",
            );
        }
        let is_wanted = !self.email_to.is_empty();
        if is_wanted && self.email_from.is_none() {
            fault(
                "email_from",
                "the sender of the mails to alerts.email_to, such as \"capigate <capigate@example.com>\"",
            );
        }
        match &self.email_host {
            None if is_wanted => fault(
                "email_host",
                "the server that takes the mails to alerts.email_to, such as \"smtp.example.com\"",
            ),
            Some(host) if !is_host(host) => fault(
                "email_host",
                "the name or IP address of a mail server, without port, such as \"smtp.example.com\"",
            ),
            Some(host) if self.email_tls == EmailTls::None && !is_this_machine(host) => fault(
                "email_tls",
                "\"starttls\" or \"tls\"; \"none\" is for a mail server on this machine (localhost)",
            ),
            _ => {}
        }
        if self
            .email_port
            .is_some_and(|port| !(1..=65_535).contains(&port))
        {
            fault("email_port", "a port from 1 to 65535, such as 587");
        }
        let is_name =
            |name: &String| (1..=320).contains(&name.len()) && !name.contains(char::is_control);
        if !self.email_username.as_ref().is_none_or(is_name) {
            fault("email_username", "1 to 320 characters on one line");
        }
        match (&self.email_username, &self.email_password) {
            (Some(_), None) => fault(
                "email_password",
                "where the password for alerts.email_username is, such as { file = \"/run/secrets/mail_password\" }",
            ),
            (None, Some(_)) => fault(
                "email_username",
                "the name that alerts.email_password is for, such as \"capigate@example.com\"",
            ),
            _ => {}
        }
    }

    /// What the operator should know about settings that are allowed.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.email_to.is_empty() && (self.email_host.is_some() || self.email_from.is_some()) {
            warnings.push("alerts.email_to is empty, so no alert is mailed".to_owned());
        }
        if self.webhook_url.is_none() && self.webhook_secret.is_some() {
            warnings.push("alerts.webhook_url is not set, so no alert is posted".to_owned());
        }
        warnings
    }

    /// The port of the mail server.
    pub fn port(&self) -> u16 {
        let usual = match self.email_tls {
            EmailTls::StartTls => 587,
            EmailTls::Tls => 465,
            EmailTls::None => 25,
        };
        let set = self.email_port.and_then(|port| u16::try_from(port).ok());
        set.unwrap_or(usual)
    }

    /// The certificates of `alerts.ca`.
    fn roots(&self) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let Some(path) = &self.ca else {
            return Ok(Vec::new());
        };
        let is_sane = path
            .metadata()
            .is_ok_and(|found| found.is_file() && found.len() <= MAX_CA);
        let roots = is_sane
            .then(|| {
                CertificateDer::pem_file_iter(path)
                    .ok()?
                    .collect::<Result<Vec<_>, _>>()
                    .ok()
            })
            .flatten()
            .filter(|roots| !roots.is_empty());
        let mut store = rustls::RootCertStore::empty();
        let (_, unfit) = store.add_parsable_certificates(roots.iter().flatten().cloned());
        roots.filter(|_| unfit == 0).ok_or_else(|| {
            Fault::cross(
                "alerts.ca",
                format!(
                    "a PEM file with certificates; {} is not one, or cannot be read",
                    path.display()
                ),
            )
        })
    }
}

/// When an address may be posted to in clear.
const HTTPS_ONLY: &str =
    "plain http goes to this machine only, unless alerts.webhook_allow_http = true";

/// The name or address of a host, as the resolver takes it.
fn is_host(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_name = (1..=253).contains(&host.len()) && host.bytes().all(plain);
    is_name || host.parse::<std::net::IpAddr>().is_ok()
}

fn is_this_machine(host: &str) -> bool {
    let ip = host.parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

impl MailAddress {
    /// As a mail has it.
    pub fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

impl FromStr for MailAddress {
    type Err = MailAddressError;

    fn from_str(text: &str) -> Result<Self, MailAddressError> {
        let fits = text.len() <= 320 && !text.contains(char::is_control);
        let mailbox = fits.then(|| text.parse().ok()).flatten();
        mailbox.map(Self).ok_or(MailAddressError)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for MailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(url) => url.serialize(serializer),
            Self::Secret(place) => place.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UrlOrPlace;
        impl<'de> de::Visitor<'de> for UrlOrPlace {
            type Value = WebhookUrl;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(BAD_URL)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<WebhookUrl, E> {
                // what is refused may be a secret, and is not shown
                text.parse::<BaseUrl>().map_err(|_| E::custom(BAD_URL))?;
                Ok(WebhookUrl::Plain(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<WebhookUrl, A::Error> {
                SecretRef::deserialize(MapAccessDeserializer::new(map)).map(WebhookUrl::Secret)
            }
        }
        deserializer.deserialize_any(UrlOrPlace)
    }
}

#[cfg(test)]
mod tests;
