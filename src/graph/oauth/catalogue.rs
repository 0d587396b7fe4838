//! What Meta's errors mean where tokens are concerned, and what to do next: one table, read from
//! the top.
//!
//! The same code means different things on different edges, so a row holds for requests of certain
//! kinds; and where Meta sends no subcode, or one code for many cases, the message decides. A row
//! that holds for more comes after those that hold for less. Sources: Meta's pages on error handling
//! and on each edge, and recorded answers; what neither confirms says so.

mod access;
mod login;
mod token;

use super::error::MetaError;
use crate::graph::scrub::Text;

/// What kind of request an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The login dialog's redirect.
    Dialog,
    /// The exchange of a code.
    Code,
    /// The exchange of a token for one that lives longer.
    Extend,
    /// The app's own token.
    App,
    /// Installing an app for a system user, making a token for it, listing them.
    SystemUser,
    /// `oauth/revoke`, and taking permissions back.
    Revoke,
    /// `debug_token` in the name of the app or of another token: the error is about who asks.
    Debug,
    /// A Page's token, and the list of Pages.
    Page,
    /// Reading a pixel.
    Pixel,
    /// Reading what Meta says of the quality of a dataset's events.
    DatasetQuality,
    /// Sending events.
    Send,
    /// Everything else; also the error inside an inspection, and of a token that inspects itself.
    Any,
}

/// What is known of a token after an error, in the words that lists of tokens use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was taken back.
    Revoked,
    /// It has ended.
    Expired,
    /// Its person or its app is stopped until somebody acts at Meta.
    Blocked,
    /// It never was a token, or is one of another app.
    Invalid,
    /// The object is not there for it.
    NoAccess,
    /// It lacks a permission.
    NoPermission,
    /// What stands beside it is wrong: app id, app secret, proof.
    Config,
    /// Nothing: the error says nothing about the token.
    Unchanged,
}

/// The exit code of a command that ends with such an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 2: the command was called wrongly.
    Usage,
    /// 3: the token is invalid or has expired.
    Token,
    /// 4: a permission or an asset is missing.
    Permission,
    /// 5: the app's credentials or settings are wrong.
    App,
    /// 6: the network, or Meta for a while.
    Network,
    /// 7: cancelled, or nobody came in time.
    Cancelled,
}

/// One case: when it is met, what it means, what to do.
#[derive(Debug)]
pub struct Row {
    /// The stable word for it.
    pub slug: &'static str,
    /// The kinds of requests it holds for; empty for all.
    pub contexts: &'static [Context],
    /// Its codes, as ranges; empty where Meta gives none.
    pub codes: &'static [(i64, i64)],
    /// Its subcode.
    pub subcode: Subcode,
    /// What the message says; with [`Subcode::Is`], where Meta leaves the subcode out.
    pub message: Message,
    /// What becomes of the token.
    pub state: State,
    /// What a command ends with.
    pub exit: Exit,
    /// A few words.
    pub title: &'static str,
    /// What it means.
    pub says: &'static str,
    /// What to do next.
    pub next: &'static str,
}

/// Which subcodes a row holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subcode {
    /// Any, and none.
    Any,
    /// None.
    Absent,
    /// This one.
    Is(i64),
}

/// Which messages a row holds for, in upper or lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Any, and none.
    Any,
    /// One that begins with one of these.
    Starts(&'static [&'static str]),
    /// One with one of these in it.
    Has(&'static [&'static str]),
}

impl State {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Blocked => "blocked",
            Self::Invalid => "invalid",
            Self::NoAccess => "no_access",
            Self::NoPermission => "no_permission",
            Self::Config => "config",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Token => 3,
            Self::Permission => 4,
            Self::App => 5,
            Self::Network => 6,
            Self::Cancelled => 7,
        }
    }
}

impl Message {
    fn fits(self, message: &str) -> bool {
        // Meta's English words are ASCII
        let message = message.to_ascii_lowercase();
        match self {
            Self::Any => true,
            Self::Starts(texts) => {
                (texts.iter()).any(|text| message.starts_with(&text.to_ascii_lowercase()))
            }
            Self::Has(texts) => {
                (texts.iter()).any(|text| message.contains(&text.to_ascii_lowercase()))
            }
        }
    }
}

impl Row {
    fn has_code(&self, code: i64) -> bool {
        (self.codes.iter()).any(|(first, last)| (*first..=*last).contains(&code))
    }

    fn fits(&self, context: Context, code: i64, subcode: Option<i64>, message: &str) -> bool {
        let here = self.contexts.is_empty() || self.contexts.contains(&context);
        let which = match (self.subcode, subcode) {
            (Subcode::Is(one), Some(other)) => one == other,
            (Subcode::Is(_), None) => self.message != Message::Any && self.message.fits(message),
            (Subcode::Absent, Some(_)) => false,
            (Subcode::Absent, None) | (Subcode::Any, _) => self.message.fits(message),
        };
        here && which && self.has_code(code)
    }

    /// A row for one case; the methods below narrow or widen it.
    const fn new(slug: &'static str, state: State, exit: Exit) -> Self {
        Self {
            slug,
            contexts: &[],
            codes: &[],
            subcode: Subcode::Any,
            message: Message::Any,
            state,
            exit,
            title: "",
            says: "",
            next: "",
        }
    }

    const fn on(self, contexts: &'static [Context]) -> Self {
        Self { contexts, ..self }
    }

    const fn codes(self, codes: &'static [(i64, i64)]) -> Self {
        Self { codes, ..self }
    }

    const fn sub(self, subcode: i64) -> Self {
        let subcode = Subcode::Is(subcode);
        Self { subcode, ..self }
    }

    /// Without a subcode only.
    const fn bare(self) -> Self {
        let subcode = Subcode::Absent;
        Self { subcode, ..self }
    }

    const fn message(self, message: Message) -> Self {
        Self { message, ..self }
    }

    const fn text(self, title: &'static str, says: &'static str, next: &'static str) -> Self {
        Self {
            title,
            says,
            next,
            ..self
        }
    }
}

/// All rows, in the order in which they are tried.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    login::ROWS.iter().chain(access::ROWS).chain(token::ROWS)
}

/// The row for an error of Meta's from a request of this kind. `is_transient` outweighs what a row
/// says against the token; what fits no row falls to the class of its header, then to its status.
pub fn explain(context: Context, error: &MetaError) -> &'static Row {
    let message = error.message.as_ref().map_or("", Text::as_str);
    let row = first(context, error.code, error.subcode, message);
    if error.transient && row.is_none_or(|row| row.state != State::Unchanged) {
        return known("meta-trouble");
    }
    row.unwrap_or_else(|| {
        known(match (error.class.as_deref(), error.status) {
            (Some("invalid_code"), _) => "code-refused",
            (Some("invalid_request"), _) => "request-refused",
            (Some("invalid_token"), _) => "token-refused",
            (_, 429) => "rate-limit",
            (_, 500..) => "meta-trouble",
            _ => "unexplained",
        })
    })
}

/// The first row that fits.
pub(super) fn first(
    context: Context,
    code: i64,
    subcode: Option<i64>,
    message: &str,
) -> Option<&'static Row> {
    rows().find(|row| row.fits(context, code, subcode, message))
}

/// All rows a person may mean by a code and, if given, a subcode. A subcode that is in no row of
/// its own gets the rows that hold for any.
pub fn by_code(code: i64, subcode: Option<i64>) -> Vec<&'static Row> {
    let all = || rows().filter(move |row| row.has_code(code));
    let Some(subcode) = subcode else {
        return all().collect();
    };
    let own: Vec<_> = all()
        .filter(|row| row.subcode == Subcode::Is(subcode))
        .collect();
    if own.is_empty() {
        all().filter(|row| row.subcode == Subcode::Any).collect()
    } else {
        own
    }
}

/// The row with that slug.
pub fn by_slug(slug: &str) -> Option<&'static Row> {
    rows().find(|row| row.slug == slug)
}

/// The row with a slug of ours; a test holds that each is there.
pub(super) fn known(slug: &'static str) -> &'static Row {
    by_slug(slug).unwrap_or(&token::UNEXPLAINED)
}

#[cfg(test)]
mod tests;
