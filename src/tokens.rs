//! Which access token a pixel's events travel with.
//!
//! For now tokens come from references in the configuration, read at start and at each reload.

pub mod paste;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::pixel::PixelId;
use crate::secret::Secret;

/// What Graph needs to take events for a pixel.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The access token.
    pub token: Secret,
    /// The secret of the app the token belongs to, where the app requires a proof of it.
    pub app_secret: Option<Secret>,
    /// The id of the app the token belongs to, as far as the operator has told it.
    pub app_id: Option<u64>,
}

/// Tells tokens apart without being one: the SHA-256 of the token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey([u8; 32]);

/// Tells apps apart: by id, else by their secret, else by the token, so that of two tokens whose
/// app nobody knows one never waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AppKey {
    /// `app_id` is known.
    Id(u64),
    /// The SHA-256 of its secret is known.
    Secret(TokenKey),
    /// Nothing is known but a token of it.
    Token(TokenKey),
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({self})")
    }
}

/// The fingerprint that [`Secret::fingerprint`] gives, too: 8 hex digits.
impl std::fmt::Display for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .take(4)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TokenKey {
    fn of(secret: &Secret) -> Self {
        Self(secret.digest())
    }
}

impl Credential {
    /// Whether it is the same token, with the same secret and app.
    pub fn is_same(&self, other: &Self) -> bool {
        let secret = |of: &Self| of.app_secret.as_ref().map(TokenKey::of);
        self.token_key() == other.token_key()
            && secret(self) == secret(other)
            && self.app_id == other.app_id
    }

    /// The key of its token.
    pub fn token_key(&self) -> TokenKey {
        TokenKey::of(&self.token)
    }

    /// The key of its app.
    pub fn app_key(&self) -> AppKey {
        match (self.app_id, &self.app_secret) {
            (Some(id), _) => AppKey::Id(id),
            (None, Some(secret)) => AppKey::Secret(TokenKey::of(secret)),
            (None, None) => AppKey::Token(self.token_key()),
        }
    }
}

/// The credentials of all configured pixels. Cheap to clone; clones see each other's changes.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pixels: ArcSwap<HashMap<PixelId, Arc<Credential>>>,
    changed: watch::Sender<u64>,
}

impl Tokens {
    /// Holds `credentials`, one a pixel.
    pub fn new(credentials: HashMap<PixelId, Credential>) -> Self {
        Self(Arc::new(Inner {
            pixels: ArcSwap::from_pointee(shared(credentials)),
            changed: watch::Sender::new(0),
        }))
    }

    /// The credential of `pixel`; none when the pixel is not configured (any more).
    pub fn get(&self, pixel: PixelId) -> Option<Arc<Credential>> {
        self.0.pixels.load().get(&pixel).cloned()
    }

    /// Takes the place of all credentials, and tells [`Tokens::changed`].
    pub fn replace(&self, credentials: HashMap<PixelId, Credential>) {
        self.0.pixels.store(Arc::new(shared(credentials)));
        self.0.changed.send_modify(|generation| *generation += 1);
    }

    /// Changes with every [`Tokens::replace`].
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }
}

fn shared(credentials: HashMap<PixelId, Credential>) -> HashMap<PixelId, Arc<Credential>> {
    credentials
        .into_iter()
        .map(|(pixel, credential)| (pixel, Arc::new(credential)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(token: &str, app_secret: Option<&str>, app_id: Option<u64>) -> Credential {
        Credential {
            token: Secret::new(token.to_owned()),
            app_secret: app_secret.map(|secret| Secret::new(secret.to_owned())),
            app_id,
        }
    }

    #[test]
    fn an_app_is_told_by_its_id_then_its_secret_then_its_token() {
        let same = |one: &Credential, other: &Credential| one.app_key() == other.app_key();
        let by_id = credential("a", Some("s"), Some(1));
        assert!(same(&by_id, &credential("b", Some("t"), Some(1))));
        assert!(!same(&by_id, &credential("a", Some("s"), Some(2))));
        let by_secret = credential("a", Some("s"), None);
        assert!(same(&by_secret, &credential("b", Some("s"), None)));
        assert!(!same(&by_secret, &credential("a", Some("t"), None)));
        let unknown = credential("a", None, None);
        assert!(same(&unknown, &credential("a", None, None)));
        assert!(!same(&unknown, &credential("b", None, None)));
    }

    #[test]
    fn a_key_shows_the_fingerprint_only() {
        let one = credential("token-canary", None, None);
        assert_eq!(one.token_key().to_string(), one.token.fingerprint());
        assert!(!format!("{one:?} {:?}", one.app_key()).contains("canary"));
    }

    #[test]
    fn a_change_is_seen_by_every_clone() {
        let pixel: PixelId = "7".parse().unwrap();
        let tokens = Tokens::new(HashMap::new());
        let (clone, mut changed) = (tokens.clone(), tokens.changed());
        assert!(clone.get(pixel).is_none());
        tokens.replace(HashMap::from([(pixel, credential("a", None, None))]));
        assert!(clone.get(pixel).is_some());
        assert!(changed.has_changed().unwrap());
        changed.mark_unchanged();
    }
}
