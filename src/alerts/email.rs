//! One mail by SMTP: encrypted unless it stays on this machine, and no password in any error.

mod bounded;
mod tls;

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::Channel;
use super::error::{ChannelError, tls_fault};
use super::message::Message;
use super::words::words;
use crate::secret::Secret;
use crate::time::UnixMs;

use bounded::Bounded;

/// How long a goodbye may take; the mail is sent by then.
const GOODBYE: Duration = Duration::from_secs(1);

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// After a word in clear; a server that does not offer it is refused.
    StartTls,
    /// From the first byte.
    Wrapped,
    /// Not at all.
    None,
}

/// Where to mail.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Name and password, where it asks for them.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: Mailbox,
    /// The recipients.
    pub to: Vec<Mailbox>,
    /// How this machine calls itself in the greeting: its name in the DNS, if it has one.
    pub hello: Option<String>,
}

pub(super) async fn send(
    common: &super::Settings,
    settings: &Settings,
    message: &Message,
    now: UnixMs,
) -> Result<(), ChannelError> {
    let mail = mail(&common.instance, settings, message, now)?;
    let taken = tokio::time::timeout(common.timeout, hand_over(common, settings, &mail)).await;
    let mut connection = taken.unwrap_or(Err(ChannelError::Timeout(Channel::Email)))?;
    // the server has taken the mail, whatever becomes of the goodbye
    let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
    Ok(())
}

/// The connection on which the server has taken the mail.
async fn hand_over(
    common: &super::Settings,
    settings: &Settings,
    mail: &Mail,
) -> Result<AsyncSmtpConnection, ChannelError> {
    let mut connection = connect(common, settings).await?;
    if let Some((name, password)) = &settings.login {
        log_in(&mut connection, name, password).await?;
    }
    let password = settings.login.iter().map(|(_, password)| password);
    let secrets: Vec<&Secret> = password.collect();
    let sent = connection.send(mail.envelope(), &mail.formatted()).await;
    sent.map_err(|error| refused(&error, &secrets))?;
    Ok(connection)
}

fn mail(
    instance: &str,
    settings: &Settings,
    message: &Message,
    now: UnixMs,
) -> Result<Mail, ChannelError> {
    let domain = settings.from.email.domain();
    let since = Duration::from_millis(now.0.unsigned_abs());
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let mut mail = Mail::builder()
        .from(settings.from.clone())
        .subject(message.subject(instance))
        .date(UNIX_EPOCH + since)
        .message_id(Some(format!("<{}@{domain}>", Uuid::new_v4())))
        // no holiday note is to come back
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    for to in &settings.to {
        mail = mail.to(to.clone());
    }
    mail.body(message.body(instance))
        .map_err(|_| ChannelError::Mail)
}

async fn connect(
    common: &super::Settings,
    settings: &Settings,
) -> Result<AsyncSmtpConnection, ChannelError> {
    let channel = Channel::Email;
    let hello = match &settings.hello {
        Some(name) => ClientId::Domain(name.clone()),
        None => ClientId::default(),
    };
    let stream = TcpStream::connect((settings.host.as_str(), settings.port)).await;
    let stream = stream.map_err(|_| ChannelError::Connect(channel))?;
    let stream: Box<dyn lettre::transport::smtp::client::AsyncTokioStream> = match settings.tls {
        Tls::Wrapped => {
            let stream = tls::wrap(&settings.host, &common.roots, stream).await?;
            Box::new(Bounded::new(stream))
        }
        Tls::StartTls | Tls::None => Box::new(Bounded::new(stream)),
    };
    let connection = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
    let mut connection = connection.map_err(|error| refused(&error, &[]))?;
    if settings.tls == Tls::StartTls {
        if !connection.can_starttls() {
            return Err(ChannelError::NoStartTls);
        }
        let parameters = tls::parameters(&settings.host, &common.roots)?;
        let started = connection.starttls(parameters, &hello).await;
        started.map_err(|error| refused(&error, &[]))?;
    }
    Ok(connection)
}

async fn log_in(
    connection: &mut AsyncSmtpConnection,
    name: &str,
    password: &Secret,
) -> Result<(), ChannelError> {
    const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
    if connection
        .server_info()
        .get_auth_mechanism(&MECHANISMS)
        .is_none()
    {
        return Err(ChannelError::NoLogin);
    }
    let credentials = Credentials::new(name.to_owned(), password.expose().to_owned());
    let answer = connection.auth(&MECHANISMS, &credentials).await;
    answer.map(drop).map_err(|error| match error.status() {
        Some(code) => ChannelError::Login { code: code.into() },
        None => ChannelError::Broken(Channel::Email),
    })
}

/// The kind of a failure, and what the server said.
fn refused(error: &lettre::transport::smtp::Error, secrets: &[&Secret]) -> ChannelError {
    let channel = Channel::Email;
    if let Some(code) = error.status() {
        let said = std::error::Error::source(error).map(ToString::to_string);
        ChannelError::Reply {
            code: code.into(),
            words: words(&said.unwrap_or_default(), secrets),
        }
    } else if let Some(fault) = tls_fault(channel, error) {
        fault
    } else if error.is_client() {
        // it would have to be told in letters that the server does not take
        ChannelError::Mail
    } else {
        ChannelError::Broken(channel)
    }
}
