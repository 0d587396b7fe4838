//! Why a channel did not take an alert, and what to do about it.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use super::Channel;

/// Why a message was not sent. Holds no secret and no address of a webhook; what the server said
/// is shortened, and our secrets are taken out of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// No connection.
    #[error("no connection to the {}: check {}, the name's DNS entry and the firewall", server(*.0), place(*.0))]
    Connect(Channel),
    /// No answer in time.
    #[error("the {} did not answer within alerts.timeout: check {} and whether it is up", server(*.0), place(*.0))]
    Timeout(Channel),
    /// Its certificate is refused.
    #[error("the certificate of the {} is refused, since {reason}: mend it there, or name its authority in alerts.ca", server(*.channel))]
    Certificate {
        /// The channel.
        channel: Channel,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No TLS, for another reason.
    #[error("no TLS connection to the {}: check that {} and the port are those of a server that speaks TLS there", server(*.0), place(*.0))]
    Tls(Channel),
    /// The connection broke off, or what came is no answer.
    #[error("the {} broke off the connection or does not speak the protocol: check {}", server(*.0), place(*.0))]
    Broken(Channel),
    /// TLS cannot be set up at all.
    #[error(
        "TLS cannot be set up; are the system's CA certificates installed (on Debian: apt-get install ca-certificates)?"
    )]
    Setup,
    /// An HTTP status that is no success.
    #[error("the webhook answered {status}{words}; {}", advice(*.status))]
    Status {
        /// The status.
        status: u16,
        /// What it said, after a colon; may be empty.
        words: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// The secret at `alerts.webhook_url` is no address.
    #[error(
        "alerts.webhook_url is not an http or https address; expected one such as https://hooks.example.com/path"
    )]
    Address,
    /// The server offers no encryption.
    #[error(
        "the mail server offers no STARTTLS: set alerts.email_tls = \"tls\" and the port for it (often 465), or ask its operator"
    )]
    NoStartTls,
    /// It offers no way to log in that we know, or none before TLS.
    #[error(
        "the mail server offers no login with a password (AUTH PLAIN or LOGIN): check alerts.email_port and alerts.email_tls, or leave alerts.email_username out"
    )]
    NoLogin,
    /// It refused name and password. Its words are not kept: they may repeat what was sent.
    #[error(
        "the mail server refused the login ({code}): check alerts.email_username and alerts.email_password; some want a password made for this program"
    )]
    Login {
        /// The SMTP reply code.
        code: u16,
    },
    /// It refused the mail.
    #[error(
        "the mail server refused the mail ({code}{words}): check alerts.email_from and alerts.email_to, and whether it lets this host send"
    )]
    Reply {
        /// The SMTP reply code.
        code: u16,
        /// What it said, after a colon; may be empty.
        words: String,
    },
    /// The addresses make no mail.
    #[error(
        "no mail can be made of alerts.email_from and alerts.email_to: check the addresses; those beyond ASCII need a server that takes them"
    )]
    Mail,
}

fn server(channel: Channel) -> &'static str {
    match channel {
        Channel::Webhook => "webhook",
        Channel::Email => "mail server",
    }
}

fn place(channel: Channel) -> &'static str {
    match channel {
        Channel::Webhook => "alerts.webhook_url",
        Channel::Email => "alerts.email_host, alerts.email_port and alerts.email_tls",
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        300..=399 => "it wants to send us elsewhere: put the final address into alerts.webhook_url",
        401 | 403 => "check the key in alerts.webhook_url, or alerts.webhook_secret",
        404 | 410 => "check alerts.webhook_url: there is no such webhook, or no longer",
        408 | 429 | 500.. => {
            "its server has trouble of its own: a running gateway tries again later"
        }
        _ => "check that alerts.webhook_url takes a POST of JSON",
    }
}

impl ChannelError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Timeout(_) => "timeout",
            Self::Certificate { .. } => "certificate",
            Self::Tls(_) => "tls",
            Self::Broken(_) => "broken",
            Self::Setup => "setup",
            Self::Status { .. } => "status",
            Self::Address => "address",
            Self::NoStartTls => "no_starttls",
            Self::NoLogin => "no_login",
            Self::Login { .. } => "login",
            Self::Reply { .. } => "reply",
            Self::Mail => "mail",
        }
    }

    /// Whether trying again cannot help.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                (300..500).contains(status) && !matches!(status, 408 | 429)
            }
            Self::Login { code } | Self::Reply { code, .. } => *code >= 500,
            Self::Address | Self::NoStartTls | Self::NoLogin | Self::Mail => true,
            Self::Connect(_)
            | Self::Timeout(_)
            | Self::Certificate { .. }
            | Self::Tls(_)
            | Self::Broken(_)
            | Self::Setup => false,
        }
    }

    /// How long the server asks to wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Status { wait, .. } => *wait,
            _ => None,
        }
    }
}

/// The fault of TLS, if that is the cause of an error.
pub(super) fn tls_fault(channel: Channel, error: &(dyn Error + 'static)) -> Option<ChannelError> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let wrapped = cause.downcast_ref::<io::Error>();
        let inner = wrapped.and_then(|io| io.get_ref());
        let tls = cause
            .downcast_ref::<rustls::Error>()
            .or_else(|| inner?.downcast_ref());
        if let Some(tls) = tls {
            return Some(match tls {
                rustls::Error::InvalidCertificate(why) => ChannelError::Certificate {
                    channel,
                    reason: reason(why),
                },
                _ => ChannelError::Tls(channel),
            });
        }
        // an io::Error passes over what it wraps
        next = match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

fn reason(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::UnknownIssuer => "no authority that is trusted has issued it",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet, or this machine's clock is wrong"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it was issued for another name"
        }
        CertificateError::Revoked => "it was revoked",
        _ => "it is not valid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_faults_are_tried_again_and_each_says_what_to_do() {
        let status = |status| ChannelError::Status {
            status,
            words: String::new(),
            wait: None,
        };
        let reply = |code| ChannelError::Reply {
            code,
            words: ": no".to_owned(),
        };
        let mail = Channel::Email;
        for (error, is_final, says) in [
            (status(301), true, "final address"),
            (status(400), true, "POST of JSON"),
            (status(401), true, "webhook_secret"),
            (status(404), true, "no such webhook"),
            (status(408), false, "later"),
            (status(429), false, "later"),
            (status(500), false, "later"),
            (status(599), false, "later"),
            (reply(450), false, "(450: no)"),
            (reply(550), true, "(550: no)"),
            (ChannelError::Login { code: 454 }, false, "email_password"),
            (ChannelError::Login { code: 535 }, true, "email_password"),
            (ChannelError::Address, true, "webhook_url"),
            (ChannelError::NoStartTls, true, "email_tls"),
            (ChannelError::NoLogin, true, "email_username"),
            (ChannelError::Mail, true, "email_to"),
            (ChannelError::Connect(mail), false, "email_host"),
            (ChannelError::Timeout(mail), false, "alerts.timeout"),
            (ChannelError::Tls(mail), false, "email_port"),
            (ChannelError::Broken(mail), false, "email_tls"),
            (ChannelError::Setup, false, "ca-certificates"),
            (
                ChannelError::Certificate {
                    channel: mail,
                    reason: "it has expired",
                },
                false,
                "alerts.ca",
            ),
        ] {
            assert_eq!(error.is_final(), is_final, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
