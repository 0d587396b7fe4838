//! What a login is called with, and what that means for its dialog.

use std::time::Duration;

use clap::Args;
use url::Url;

use super::attempt::{LIFETIME, state};
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::cli::token::desk::{Common, Desk};
use crate::cli::token::obtained::Keep;
use crate::config::AppId;
use crate::config::units::Span;
use crate::custody::alarms::NEEDED_SCOPE;
use crate::graph::oauth::{App, Ask, Dialog, check_redirect_uri};
use crate::pixel::PixelId;
use crate::tokens::{Contents, Facts, Name, Slot};

/// Most characters of a permission's name.
const MAX_SCOPE: usize = 100;

/// Log in through the browser and keep the token that comes of it.
///
/// The app's secret has to be in the vault: `capigate token app add`. The redirect URI has to be
/// one that the app takes: http://localhost with any port while the app is in Development mode,
/// else an https address that is listed under Facebook Login, Settings, Valid OAuth redirect URIs.
#[derive(Args, Debug)]
pub(in crate::cli::token) struct LoginArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The app; needed when the vault has several
    #[arg(long, value_name = "ID")]
    pub(super) app_id: Option<AppId>,
    /// The port on this machine that the browser is led back to
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "redirect_uri")]
    pub(super) port: u16,
    /// Where the browser is led instead of http://localhost:PORT/; what it ends on is pasted here
    /// unless that is a plain localhost address
    #[arg(long, value_name = "URI")]
    pub(super) redirect_uri: Option<String>,
    /// A permission to ask for; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scope, default_value = NEEDED_SCOPE, conflicts_with = "config_id")]
    pub(super) scopes: Vec<String>,
    /// The configuration of Facebook Login for Business that says what to ask for
    #[arg(long, value_name = "ID", value_parser = digits)]
    pub(super) config_id: Option<String>,
    /// Ask again for permissions that were refused before
    #[arg(long)]
    pub(super) rerequest: bool,
    /// Open no browser: print the address, and take what it ends on from standard input as well
    #[arg(long)]
    pub(super) no_browser: bool,
    /// How long to wait for the login, up to 10m
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = timeout)]
    pub(super) timeout: Duration,
    /// What to call the token in the vault
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<Name>,
    /// The pixel that is to send with it. What it sends with now becomes its retiring token
    #[arg(long, value_name = "ID")]
    pub(super) pixel: Option<PixelId>,
    /// Only print the address of the dialog. Its code can be exchanged with `capigate token
    /// exchange`; nobody checks its state then
    #[arg(long, conflicts_with_all = ["no_browser", "name", "pixel"])]
    pub(super) url_only: bool,
}

impl LoginArgs {
    pub(super) fn redirect_uri(&self) -> anyhow::Result<String> {
        let uri = match &self.redirect_uri {
            Some(uri) => uri.clone(),
            None => format!("http://localhost:{}/", self.port),
        };
        let checked = check_redirect_uri(&uri);
        checked.map_err(|error| {
            failure(USAGE, format!("--redirect-uri: {error} ({})", error.code()))
        })?;
        Ok(uri)
    }

    pub(super) fn ask(&self) -> Ask<'_> {
        match &self.config_id {
            Some(id) => Ask::Config(id),
            None => Ask::Scopes(&self.scopes),
        }
    }

    fn app_id(&self) -> Option<String> {
        self.app_id.map(|id| id.get().to_string())
    }

    /// The app that is named, else that of the pixel, else the only one there is.
    pub(super) fn app(&self, desk: &Desk, contents: &Contents) -> anyhow::Result<App> {
        let own = || desk.app_of(contents, &Facts::default(), self.pixel);
        match (self.app_id(), own()) {
            (None, Some(own)) => Ok(own),
            (id, _) => desk.named_app(contents, id.as_deref()),
        }
    }

    /// The address of a dialog that nobody waits for.
    pub(super) fn address(
        &self,
        desk: &Desk,
        contents: &Contents,
        redirect_uri: &str,
    ) -> anyhow::Result<Url> {
        let client_id = match self.app_id() {
            Some(id) => id,
            None => self.app(desk, contents)?.id,
        };
        Ok(desk.client.dialog_url(&Dialog {
            client_id: &client_id,
            redirect_uri,
            state: &state()?,
            ask: self.ask(),
            rerequest: self.rerequest,
        }))
    }

    pub(super) fn keep(&self, contents: &Contents, app: &App) -> Keep {
        let current = |pixel| contents.in_slot(pixel, Slot::Current);
        Keep {
            name: self.name.clone(),
            bind: self.pixel.map(|pixel| (pixel, Slot::Current)),
            replaces: self.pixel.and_then(current).cloned(),
            app: Some(app.clone()),
            ..Keep::default()
        }
    }
}

fn digits(text: &str) -> Result<String, &'static str> {
    let is_id = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_id
        .then(|| text.to_owned())
        .ok_or("an id has 1 to 32 digits, such as 1234567890123456")
}

fn scope(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.';
    let is_scope = (1..=MAX_SCOPE).contains(&text.len()) && text.bytes().all(plain);
    is_scope
        .then(|| text.to_owned())
        .ok_or("a permission is written in small letters, digits and _, such as ads_management")
}

fn timeout(text: &str) -> Result<Duration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "expected a time such as 5m".to_owned())?;
    let span = span.get();
    if (Duration::from_secs(1)..=LIFETIME).contains(&span) {
        Ok(span)
    } else {
        Err("expected a time from 1s to 10m, such as 5m".to_owned())
    }
}
