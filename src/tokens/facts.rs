//! What is known about a token, all of it harmless: as Meta's `debug_token` has told it last.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::UnixMs;

/// What is known about a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Whose token it is.
    pub kind: Kind,
    /// The id of the app it was made by.
    pub app_id: Option<String>,
    /// The name of that app.
    pub app_name: Option<String>,
    /// The id of the person or system user.
    pub user_id: Option<String>,
    /// The id of the page, for a page token.
    pub page_id: Option<String>,
    /// When it ends.
    pub expires: Expiry,
    /// When Meta stops giving out the person's data, though the token is valid: a clock of its
    /// own, which starts with the person's consent.
    pub data_access: Expiry,
    /// When it was made, if Meta says so.
    pub issued_at: Option<UnixMs>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Scopes that hold for some objects only.
    pub targets: Vec<Target>,
    /// Whether it works.
    pub state: State,
    /// Meta's code and subcode, such as `190/463`, when it does not.
    pub cause: Option<String>,
    /// When Meta was asked last; none when it never was, or never could say.
    pub checked_at: Option<UnixMs>,
}

/// A scope that holds for some objects only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The scope.
    pub scope: String,
    /// Ids of businesses, ad accounts, pages or datasets.
    pub ids: Vec<String>,
}

/// Whose token it is; Meta's `type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A person's.
    User,
    /// A page's.
    Page,
    /// An app's own.
    App,
    /// A system user's; also what the Events Manager makes for a dataset.
    SystemUser,
    /// A type this program does not know, as Meta writes it.
    Other(String),
    /// Nobody has asked Meta, or it does not say.
    #[default]
    Unknown,
}

/// When something ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Nobody knows.
    #[default]
    Unknown,
    /// Never; Meta's 0.
    Never,
    /// At this moment.
    At(UnixMs),
}

/// Whether a token works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Meta has not been asked, or could not say.
    #[default]
    Unknown,
    /// It works.
    Valid,
    /// Its time is over.
    Expired,
    /// A person, an app or Meta has taken it back.
    Revoked,
    /// It is no token, or not of this app.
    Invalid,
    /// A person has to do something at Facebook first.
    Blocked,
    /// It does not reach the object.
    NoAccess,
    /// It may not do what was asked.
    NoPermission,
    /// App id, app secret or proof are wrong; nothing is said about the token.
    Config,
}

impl Kind {
    /// Meta's word in lower case, such as `system_user`; `unknown` for none.
    pub fn as_str(&self) -> &str {
        match self {
            Self::User => "user",
            Self::Page => "page",
            Self::App => "app",
            Self::SystemUser => "system_user",
            Self::Other(word) => word,
            Self::Unknown => "unknown",
        }
    }
}

/// Reads Meta's word, in either case.
impl From<&str> for Kind {
    fn from(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "user" => Self::User,
            "page" => Self::Page,
            "app" => Self::App,
            "system_user" => Self::SystemUser,
            "unknown" | "" => Self::Unknown,
            _ => Self::Other(word.to_owned()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::from(word.as_str()))
    }
}

impl Expiry {
    /// The moment, if there is one.
    pub fn at(self) -> Option<UnixMs> {
        match self {
            Self::At(at) => Some(at),
            Self::Unknown | Self::Never => None,
        }
    }

    /// The stable word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Never => "never",
            Self::At(_) => "at",
        }
    }

    /// Whether it has ended.
    pub fn is_over(self, now: UnixMs) -> bool {
        self.at().is_some_and(|at| at <= now)
    }
}

impl State {
    /// The stable word for listings and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Invalid => "invalid",
            Self::Blocked => "blocked",
            Self::NoAccess => "no_access",
            Self::NoPermission => "no_permission",
            Self::Config => "config",
        }
    }

    /// Whether the token is of no use any more, whatever is done at Meta.
    pub fn is_dead(self) -> bool {
        matches!(self, Self::Expired | Self::Revoked | Self::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_not_before_now_and_unknown_is_not_never() {
        let now = UnixMs::from_secs(1_000);
        assert!(!Expiry::Never.is_over(now));
        assert!(!Expiry::Unknown.is_over(now));
        assert!(Expiry::At(now).is_over(now));
        assert!(!Expiry::At(UnixMs(now.0 + 1)).is_over(now));
        assert_ne!(Expiry::Never, Expiry::Unknown);
    }

    #[test]
    fn facts_are_read_as_they_are_written_and_kinds_are_kept() {
        let facts = Facts {
            kind: Kind::from("BUSINESS_BOT"),
            expires: Expiry::At(UnixMs(7)),
            data_access: Expiry::Never,
            state: State::NoAccess,
            targets: vec![Target {
                scope: "ads_management".to_owned(),
                ids: vec!["1".to_owned()],
            }],
            ..Facts::default()
        };
        let text = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
        assert_eq!(Kind::from("SYSTEM_USER"), Kind::SystemUser);
        assert!(text.contains("BUSINESS_BOT"));
        assert_eq!(
            serde_json::from_str::<Facts>("{}").unwrap(),
            Facts::default()
        );
    }
}
