//! `debug_token`: what Meta says of a token.

use super::answer::Node;
use super::catalogue::{self, Context, Row};
use super::error::{MetaError, OauthError};
use super::wire::Call;
use super::{App, OauthClient};
use crate::graph::scrub::Text;
use crate::secret::Secret;
use crate::time::UnixMs;

/// Who asks about a token.
#[derive(Clone, Copy, Debug)]
pub enum Inspector<'a> {
    /// The app of the token: the sure way.
    App(&'a App),
    /// The token of a developer of that app.
    Token(&'a Secret),
    /// The token itself, where the app secret is not known. Meta does not promise that it works,
    /// and a refusal says nothing about the token unless it is one of 190.
    Itself,
}

/// What Meta says of a token. Whatever it leaves out is none or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The verdict.
    pub is_valid: bool,
    /// The app that issued it.
    pub app_id: Option<String>,
    /// The name of that app.
    pub application: Option<Text>,
    /// Which kind of token it is.
    pub kind: Option<TokenKind>,
    /// The person or system user behind it.
    pub user_id: Option<String>,
    /// The Page of a Page's token.
    pub profile_id: Option<String>,
    /// When it ends.
    pub expires_at: Expiry,
    /// When the app's access to the person's data ends, which may be before the token does; none
    /// if it does not.
    pub data_access_expires_at: Option<UnixMs>,
    /// When it was issued; only of long-lived and system users' tokens.
    pub issued_at: Option<UnixMs>,
    /// The permissions in it.
    pub scopes: Vec<String>,
    /// The permissions again, with what each is restricted to.
    pub granular: Vec<Granular>,
    /// Why it is not valid.
    pub error: Option<MetaError>,
}

/// The kinds of tokens that Meta names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `USER`: a person's.
    User,
    /// `PAGE`: a Page's.
    Page,
    /// `APP`: an app's own.
    App,
    /// `SYSTEM_USER`: a business's.
    SystemUser,
    /// A word that is not known here.
    Other(String),
}

/// When a token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Meta does not say.
    Unknown,
    /// Meta says 0.
    Never,
    /// At that moment.
    At(UnixMs),
}

/// A permission, and the objects it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granular {
    /// The permission.
    pub scope: String,
    /// The ids of the objects; none means all that the holder has.
    pub targets: Option<Vec<String>>,
}

impl TokenKind {
    /// The word as Meta writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::User => "USER",
            Self::Page => "PAGE",
            Self::App => "APP",
            Self::SystemUser => "SYSTEM_USER",
            Self::Other(word) => word,
        }
    }

    fn read(word: String) -> Self {
        match word.as_str() {
            "USER" => Self::User,
            "PAGE" => Self::Page,
            "APP" => Self::App,
            "SYSTEM_USER" => Self::SystemUser,
            _ => Self::Other(word),
        }
    }
}

impl Inspection {
    fn read(data: Node<'_>) -> Result<Self, OauthError> {
        let error = data
            .get("error")
            .and_then(|error| MetaError::of(200, error));
        let is_valid = match (data.flag("is_valid"), &error) {
            (Some(is_valid), _) => is_valid,
            (None, Some(_)) => false,
            // nobody may take that for an invalid token
            (None, None) => return Err(OauthError::Missing("is_valid")),
        };
        let granular = data.list("granular_scopes").into_iter().flatten();
        Ok(Self {
            is_valid,
            app_id: data.word("app_id"),
            application: data.text("application"),
            kind: data.word("type").map(TokenKind::read),
            user_id: data.word("user_id"),
            profile_id: data.word("profile_id"),
            expires_at: match data.integer("expires_at") {
                Some(0) => Expiry::Never,
                Some(seconds) if seconds > 0 => Expiry::At(UnixMs::from_secs(seconds)),
                _ => Expiry::Unknown,
            },
            data_access_expires_at: data.moment("data_access_expires_at"),
            issued_at: data.moment("issued_at"),
            scopes: data.words("scopes"),
            granular: granular.filter_map(Granular::read).collect(),
            error,
        })
    }

    /// What the error of the token means and what to do next; none if it has none.
    pub fn explain(&self) -> Option<&'static Row> {
        let error = self.error.as_ref()?;
        Some(catalogue::explain(Context::Any, error))
    }
}

impl Granular {
    fn read(entry: Node<'_>) -> Option<Self> {
        Some(Self {
            scope: entry.word("scope")?,
            targets: entry
                .list("target_ids")
                .map(|ids| ids.filter_map(Node::own_word).collect()),
        })
    }
}

impl OauthClient {
    /// Asks Meta about `token`. Of an invalid token that is a good answer too, with
    /// [`Inspection::error`]; an `Err` is no verdict on it. Source: Meta's "Debug and error
    /// handling".
    pub async fn inspect(
        &self,
        token: &Secret,
        by: Inspector<'_>,
    ) -> Result<Inspection, OauthError> {
        let call = Call::get("debug_token").hidden("input_token", token);
        let call = match by {
            Inspector::App(app) => call.bearer_of(app),
            Inspector::Token(other) => call.bearer(other),
            Inspector::Itself => call.bearer(token),
        };
        let answer = self.call(call).await?;
        let data = answer.root().get("data");
        Inspection::read(data.ok_or(OauthError::Missing("data"))?)
    }
}
