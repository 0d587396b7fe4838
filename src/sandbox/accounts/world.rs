//! The world: who and what there is on the made-up Facebook.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::quirks::Quirks;
use super::span::{optional_span, span};
use crate::pixel::PixelId;
use crate::sandbox::settings::SandboxToken;

/// What there is beside tokens; as TOML or JSON the keys are the names of the fields.
///
/// All ids are text of decimal digits, each used once. [`super::super::Sandbox::start`] refuses a
/// world that names what is not in it, see [`WorldError`](super::WorldError).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct World {
    /// Apps, as one makes them on developers.facebook.com.
    pub apps: Vec<App>,
    /// People who can log in. The dialog takes the first one unless it is told another.
    pub people: Vec<Person>,
    /// Pages.
    pub pages: Vec<Page>,
    /// Businesses.
    pub businesses: Vec<Business>,
    /// System users of businesses.
    pub system_users: Vec<SystemUser>,
    /// Pixels. When there is none, every pixel exists; otherwise only these do.
    pub pixels: Vec<Pixel>,
    /// Tokens to begin with. Those of [`SandboxSettings`](super::super::SandboxSettings) join them.
    pub tokens: Vec<SandboxToken>,
    /// How long an authorization code can be exchanged: text such as `"10m"`. Meta names no time;
    /// ten minutes when absent.
    #[serde(deserialize_with = "span")]
    pub code_lifetime: Duration,
    /// How the dialog behaves to begin with.
    pub dialog: DialogMood,
    /// The scopes that reading and sending take.
    pub needs: Needs,
    /// Where answers differ from case to case, the one to give.
    pub quirks: Quirks,
}

/// An app. `Debug` does not show its secret.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its id.
    pub id: String,
    /// Its secret: made up, 32 hex digits as Meta's are.
    pub secret: String,
    /// Its name.
    pub name: String,
    /// The business it belongs to.
    #[serde(default)]
    pub business: Option<String>,
    /// Development or live.
    #[serde(default)]
    pub mode: AppMode,
    /// Its list of *Valid OAuth redirect URIs*. In development mode `http://localhost`, any port,
    /// is taken besides.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// *Require App Secret*: every call needs an `appsecret_proof`.
    #[serde(default)]
    pub require_proof: bool,
    /// People and system users who may inspect the tokens of this app with a token of their own.
    #[serde(default)]
    pub developers: Vec<String>,
    /// Consent is all or nothing: one declined permission, and none is granted.
    #[serde(default)]
    pub all_or_nothing: bool,
    /// How long a user token got for a code lives: `"1h"` when absent.
    #[serde(default = "an_hour", deserialize_with = "span")]
    pub user_token_lifetime: Duration,
    /// Configurations of Facebook Login for Business.
    #[serde(default)]
    pub configs: Vec<LoginConfig>,
    /// Whether the dialog says that the app is not active.
    #[serde(default)]
    pub inactive: bool,
}

/// Whether an app is for its developers or for everyone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppMode {
    /// Being built.
    #[default]
    Development,
    /// In use.
    Live,
}

/// A configuration of Facebook Login for Business, which takes the place of `scope`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// Its id.
    pub id: String,
    /// What it asks for.
    pub scopes: Vec<String>,
    /// The code is exchanged for the token of this system user; for one of the person when absent.
    #[serde(default)]
    pub system_user: Option<String>,
    /// How long a token of the system user lives; for ever when absent.
    #[serde(default, deserialize_with = "optional_span")]
    pub expires_in: Option<Duration>,
}

/// Someone who can log in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Permissions granted to every app already.
    #[serde(default)]
    pub granted: Vec<String>,
    /// Permissions declined already: the dialog does not ask for them again unless it is told to
    /// (`auth_type=rerequest`).
    #[serde(default)]
    pub declined: Vec<String>,
    /// Pages this person has a role on.
    #[serde(default)]
    pub pages: Vec<PageRole>,
    /// Pixels this person can reach.
    #[serde(default)]
    pub pixels: Vec<PixelId>,
    /// Businesses this person administers.
    #[serde(default)]
    pub businesses: Vec<String>,
}

/// A role on a page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRole {
    /// The page.
    pub id: String,
    /// The tasks, such as `ADVERTISE`; `MANAGE` when absent.
    #[serde(default = "manage")]
    pub tasks: Vec<String>,
    /// Answers about the page lack its `access_token`.
    #[serde(default)]
    pub withhold_token: bool,
}

/// A page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The category; `Shopping & retail` when absent.
    #[serde(default = "retail")]
    pub category: String,
}

/// A business.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Business {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Its system users get tokens that expire after 60 days only.
    #[serde(default)]
    pub must_expire: bool,
}

/// A system user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemUser {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// `ADMIN` or `EMPLOYEE`; the latter when absent.
    #[serde(default = "employee")]
    pub role: String,
    /// The business it belongs to.
    pub business: String,
    /// Apps that are installed for it.
    #[serde(default)]
    pub apps: Vec<String>,
    /// Pixels assigned to it. A token can reach what was assigned when it was made.
    #[serde(default)]
    pub pixels: Vec<PixelId>,
}

/// A pixel, which is a dataset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixel {
    /// The id.
    pub id: PixelId,
    /// The name.
    pub name: String,
    /// The business that owns it.
    #[serde(default)]
    pub business: Option<String>,
    /// It exists and cannot be used.
    #[serde(default)]
    pub unavailable: bool,
    /// When it last had an event, such as `2026-11-22T10:00:00+0000`. Accepted events move it.
    #[serde(default)]
    pub last_fired_time: Option<String>,
    /// When it was made, in the same form.
    #[serde(default)]
    pub creation_time: Option<String>,
}

/// How the dialog behaves; the parameters `sandbox`, `sandbox_person` and `sandbox_decline` of its
/// URL come before this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DialogMood {
    /// What comes of it.
    pub outcome: DialogOutcome,
    /// Who is logged in; the first person of the world when absent.
    pub person: Option<String>,
    /// Permissions the person takes out of what is asked for.
    pub decline: Vec<String>,
}

/// What comes of the dialog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialogOutcome {
    /// A browser (`Accept: text/html`) is shown a page with buttons, anything else is sent back
    /// at once as if the person had allowed it.
    #[default]
    Ask,
    /// Always the page with the buttons.
    Page,
    /// Sent back with a code.
    Allow,
    /// Sent back with `error=access_denied`.
    Deny,
    /// Sent back with `error_code` and `error_message`, and without `error`.
    Error,
    /// A page: the redirect URI is not in the list.
    Blocked,
    /// A page: the app is not active.
    Inactive,
    /// A page: there is no such app.
    BadApp,
}

/// Scopes of which a token needs one; none is needed when the list is empty. Meta does not say
/// what the least is, so the lists are empty unless the world fills them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Needs {
    /// To post events; 200 without.
    pub events: Vec<String>,
    /// To read a pixel; 10 without.
    pub pixel: Vec<String>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            apps: Vec::new(),
            people: Vec::new(),
            pages: Vec::new(),
            businesses: Vec::new(),
            system_users: Vec::new(),
            pixels: Vec::new(),
            tokens: Vec::new(),
            code_lifetime: Duration::from_mins(10),
            dialog: DialogMood::default(),
            needs: Needs::default(),
            quirks: Quirks::default(),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl World {
    pub(super) fn app(&self, id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.id == id)
    }

    pub(super) fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    pub(super) fn page(&self, id: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.id == id)
    }

    pub(super) fn business(&self, id: &str) -> Option<&Business> {
        self.businesses.iter().find(|business| business.id == id)
    }

    pub(super) fn system_user(&self, id: &str) -> Option<&SystemUser> {
        self.system_users.iter().find(|user| user.id == id)
    }

    pub(super) fn pixel(&self, id: PixelId) -> Option<&Pixel> {
        self.pixels.iter().find(|pixel| pixel.id == id)
    }

    /// Whether there is such a pixel.
    pub(super) fn has_pixel(&self, id: PixelId) -> bool {
        self.pixels.is_empty() || self.pixel(id).is_some()
    }
}

fn an_hour() -> Duration {
    Duration::from_hours(1)
}

fn manage() -> Vec<String> {
    vec!["MANAGE".to_owned()]
}

fn retail() -> String {
    "Shopping & retail".to_owned()
}

fn employee() -> String {
    "EMPLOYEE".to_owned()
}
