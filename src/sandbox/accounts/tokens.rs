//! The book of tokens: those to begin with, and those made since.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::check::WorldError;
use super::span::seconds;
use super::states::{self, TokenState};
use super::trouble::{TokenChange, Trouble};
use super::world::World;
use crate::pixel::PixelId;
use crate::sandbox::settings::SandboxToken;

/// Most tokens made since the start; the oldest of them are forgotten first.
pub const MAX_TOKENS: usize = 10_000;

/// The app of a token that names none: the one Meta makes by itself for a token generated in the
/// Events Manager. Nobody knows its secret.
pub const DATASET_APP: &str = "1900000000000001";

/// The holder of a token that names none, a system user Meta makes by itself.
pub const DATASET_USER: &str = "122100000000000001";

/// What kind of token it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Of a person.
    User,
    /// Of a page.
    Page,
    /// Of a system user. A token of the Events Manager (`dataset`) is one too.
    #[default]
    #[serde(alias = "dataset")]
    SystemUser,
}

/// A token as the control API shows it: never its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// The first 8 hex digits of its SHA-256.
    pub fingerprint: String,
    /// What it is called in the ledgers.
    pub name: String,
    /// Its kind.
    pub kind: TokenKind,
    /// The app it was issued to.
    pub app: String,
    /// Who holds it: a person or a system user.
    pub holder: String,
    /// The page of a page token.
    pub page: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The pixels it can reach; absent for every pixel.
    pub pixels: Option<Vec<PixelId>>,
    /// When it was made, in Unix seconds of the accounts' clock.
    pub issued_at: i64,
    /// When it expires, in Unix seconds; absent for never.
    pub expires_at: Option<i64>,
    /// When its access to data ends, in Unix seconds; absent for never.
    pub data_access_expires_at: Option<i64>,
    /// The word of the state it is in, `valid` if it works.
    pub state: &'static str,
}

/// A token. `Debug` shows its name only.
#[derive(Clone)]
pub(in crate::sandbox) struct Token {
    pub name: String,
    pub value: String,
    pub kind: TokenKind,
    pub app: String,
    pub holder: String,
    pub page: Option<String>,
    pub scopes: Vec<String>,
    pub granular: BTreeMap<String, Vec<String>>,
    /// Absent for every pixel.
    pub pixels: Option<Vec<PixelId>>,
    /// A secret of its own, which makes the proof mandatory.
    pub own_secret: Option<String>,
    pub long_lived: bool,
    pub issued_at: i64,
    pub expires_at: Option<i64>,
    pub data_access_expires_at: Option<i64>,
    pub trouble: Option<Trouble>,
    /// The user token a page token came from.
    pub parent: Option<u64>,
}

/// `Debug` shows how many there are.
#[derive(Default)]
pub(super) struct Book {
    tokens: BTreeMap<u64, Token>,
    by_value: HashMap<String, u64>,
    next: u64,
    /// The number of the last token that was there to begin with.
    last_given: u64,
    given: usize,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Book({} tokens)", self.tokens.len())
    }
}

impl TokenKind {
    /// The word `debug_token` has for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Page => "PAGE",
            Self::SystemUser => "SYSTEM_USER",
        }
    }
}

/// The first 8 hex digits of the SHA-256 of a token.
pub(super) fn fingerprint(value: &str) -> String {
    let mut print = hex::encode(Sha256::digest(value.as_bytes()));
    print.truncate(8);
    print
}

/// A made-up token: `EAA`, and 180 to 220 letters and digits no other token has.
pub(super) fn make_up(prefix: &str) -> String {
    let length = fastrand::usize(180..=220);
    let mut value = prefix.to_owned();
    value.extend(std::iter::repeat_with(fastrand::alphanumeric).take(length));
    value
}

impl Token {
    /// The token that is asked for; a value is made up if it has none.
    pub(super) fn of(spec: SandboxToken, world: &World, now: i64) -> Result<Self, WorldError> {
        let known = |id: &Option<String>, there: &dyn Fn(&str) -> bool, place: &str| match id {
            Some(id) if !there(id) => Err(WorldError::Unknown(place.to_owned())),
            _ => Ok(()),
        };
        known(&spec.app, &|id| world.app(id).is_some(), "app")?;
        let holds = |id: &str| world.person(id).is_some() || world.system_user(id).is_some();
        known(&spec.holder, &holds, "holder")?;
        known(&spec.page, &|id| world.page(id).is_some(), "page")?;
        let later = |span: Option<Duration>| span.map(|span| now + seconds(span));
        let pixels = match (&spec.holder, spec.kind) {
            _ if !spec.pixels.is_empty() => Some(spec.pixels),
            (_, TokenKind::Page) => Some(Vec::new()),
            (Some(holder), _) => Some(reach(world, holder)),
            (None, _) => None,
        };
        Ok(Self {
            name: spec.name,
            value: if spec.value.is_empty() {
                make_up("EAA")
            } else {
                spec.value
            },
            kind: spec.kind,
            app: spec.app.unwrap_or_else(|| DATASET_APP.to_owned()),
            holder: spec.holder.unwrap_or_else(|| DATASET_USER.to_owned()),
            page: spec.page,
            scopes: spec.scopes,
            granular: spec.granular,
            pixels,
            own_secret: spec.app_secret,
            long_lived: spec.expires_in.is_none_or(|span| span > SHORT),
            issued_at: now,
            expires_at: later(spec.expires_in),
            data_access_expires_at: later(spec.data_access_expires_in),
            trouble: TokenChange::from(spec.state).trouble(),
            parent: None,
        })
    }

    /// Whether it has one of these scopes; none is needed when there are none.
    pub(super) fn has_one_of(&self, scopes: &[String]) -> bool {
        scopes.is_empty() || scopes.iter().any(|scope| self.scopes.contains(scope))
    }
}

/// Longest life of what Meta calls a short-lived token.
const SHORT: Duration = Duration::from_hours(2);

/// The pixels a person or system user can reach.
pub(super) fn reach(world: &World, holder: &str) -> Vec<PixelId> {
    let of_person = world.person(holder).map(|person| &person.pixels);
    let of_user = world.system_user(holder).map(|user| &user.pixels);
    of_person.or(of_user).cloned().unwrap_or_default()
}

impl Book {
    /// Adds a token to begin with; it is never forgotten.
    pub(super) fn begin_with(&mut self, token: Token) -> Result<(), WorldError> {
        if self.by_value.contains_key(&token.value) {
            return Err(WorldError::Token(token.name));
        }
        self.put(token);
        self.last_given = self.next;
        self.given = self.tokens.len();
        Ok(())
    }

    /// Adds a token whose value someone chose, and gives it.
    pub(super) fn make(&mut self, token: Token) -> Result<String, WorldError> {
        if self.by_value.contains_key(&token.value) {
            return Err(WorldError::Token(token.name));
        }
        Ok(self.enter(token))
    }

    /// Adds a token whose value is made up, and gives it.
    pub(super) fn enter(&mut self, mut token: Token) -> String {
        while self.by_value.contains_key(&token.value) {
            token.value = make_up("EAA");
        }
        let value = token.value.clone();
        self.put(token);
        if self.tokens.len() > self.given + MAX_TOKENS {
            let oldest = self.tokens.range(self.last_given + 1..).next();
            let oldest = oldest.map(|(number, _)| *number);
            if let Some(token) = oldest.and_then(|number| self.tokens.remove(&number)) {
                self.by_value.remove(&token.value);
            }
        }
        value
    }

    /// Puts it in; one without a name gets one.
    fn put(&mut self, mut token: Token) {
        self.next += 1;
        if token.name.is_empty() {
            let kind = token.kind.word().to_ascii_lowercase();
            token.name = format!("{kind}-{}", self.next);
        }
        self.by_value.insert(token.value.clone(), self.next);
        self.tokens.insert(self.next, token);
    }

    pub(super) fn number(&self, value: &str) -> Option<u64> {
        self.by_value.get(value).copied()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Token> {
        self.tokens.get(&number)
    }

    pub(super) fn find(&self, value: &str) -> Option<&Token> {
        self.get(self.number(value)?)
    }

    pub(super) fn find_mut(&mut self, value: &str) -> Option<&mut Token> {
        let number = self.number(value)?;
        self.tokens.get_mut(&number)
    }

    /// By fingerprint, name or value.
    pub(super) fn by_handle(&mut self, handle: &str) -> Option<&mut Token> {
        let is_meant =
            |t: &Token| t.name == handle || t.value == handle || fingerprint(&t.value) == handle;
        self.tokens.values_mut().find(|token| is_meant(token))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Token> {
        self.tokens.values_mut()
    }

    /// What is wrong with the token now: what it was put in, its time, or the token it came from.
    pub(super) fn trouble(&self, token: &Token, now: i64) -> Option<Trouble> {
        let expired = || {
            let over = token.expires_at.is_some_and(|at| at <= now);
            over.then_some(TokenState::Expired)
                .and_then(TokenState::refusal)
                .map(Trouble::of)
        };
        let inherited = || {
            // a page token outlives the time of the user token, but nothing else that befalls it
            let parent = self.get(token.parent?)?.trouble.clone()?;
            let expired = parent.subcode == Some(463);
            (states::spoils_token(parent.code) && !expired).then_some(parent)
        };
        token.trouble.clone().or_else(expired).or_else(inherited)
    }

    /// The token as it may be shown.
    pub(super) fn info(&self, token: &Token, now: i64) -> TokenInfo {
        TokenInfo {
            fingerprint: fingerprint(&token.value),
            name: token.name.clone(),
            kind: token.kind,
            app: token.app.clone(),
            holder: token.holder.clone(),
            page: token.page.clone(),
            scopes: token.scopes.clone(),
            pixels: token.pixels.clone(),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            data_access_expires_at: token.data_access_expires_at,
            state: self.trouble(token, now).map_or("valid", |t| t.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, value: &str) -> Token {
        let spec = SandboxToken::new(name, value);
        Token::of(spec, &World::default(), 0).unwrap()
    }

    #[test]
    fn made_up_tokens_look_like_tokens_and_differ() {
        let (one, other) = (make_up("EAA"), make_up("EAA"));
        assert!(one.starts_with("EAA") && one.len() >= 180);
        assert_ne!(one, other);
        assert_eq!(fingerprint("EAAtestTokenForVectorsOnly"), "9817945f");
    }

    #[test]
    fn the_oldest_made_token_goes_and_the_given_stay() {
        let mut book = Book::default();
        book.begin_with(token("given", "given")).unwrap();
        let first = book.make(token("", "")).unwrap();
        for _ in 0..MAX_TOKENS {
            book.make(token("", "")).unwrap();
        }
        assert!(book.find("given").is_some());
        assert!(book.find(&first).is_none());
        assert_eq!(book.all().count(), MAX_TOKENS + 1);
        assert_eq!(
            book.make(token("again", "given")),
            Err(WorldError::Token("again".into()))
        );
    }

    #[test]
    fn a_token_is_found_by_each_of_its_handles() {
        let mut book = Book::default();
        book.begin_with(token("shop", "value-of-shop")).unwrap();
        let print = fingerprint("value-of-shop");
        for handle in ["shop", "value-of-shop", print.as_str()] {
            assert!(book.by_handle(handle).is_some(), "{handle}");
        }
        assert!(book.by_handle("value").is_none());
        let shown = format!("{book:?}");
        // the index by value must not be shown either
        assert!(!shown.contains("value-of-shop"), "{shown}");
    }
}
