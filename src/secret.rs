//! Secrets that do not print.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A secret the gateway holds: an access token for Graph, or an app secret.
///
/// Its memory is wiped when dropped. `Debug` shows a fingerprint (the first 8 hex digits of its
/// SHA-256); there is no `Display`, no `Serialize` and no `Deref`:
///
/// ```compile_fail
/// let token = capigate::secret::Secret::new("s".to_owned());
/// println!("{token}");
/// ```
/// ```compile_fail
/// let token = capigate::secret::Secret::new("s".to_owned());
/// serde_json::to_string(&token).unwrap();
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

/// Characters that a mask shows at each end.
const MASK_SHOWS: usize = 4;
/// What is shorter shows none.
const MASK_FROM: usize = 20;

/// A caller's key, as far as we keep it: its SHA-256, for as long as the request lasts.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of what the caller showed.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Whether it is the digest of a known key; takes as long for a near guess as for a far one.
    pub fn is(&self, known: &[u8; 32]) -> bool {
        verify_slices_are_equal(known, &self.0).is_ok()
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest")
    }
}

impl Secret {
    /// Wraps a secret value.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// The first 8 hex digits of the SHA-256 of the value: enough to tell two tokens apart in a
    /// log, not enough to get one back.
    pub fn fingerprint(&self) -> String {
        let mut print = hex::encode(self.digest());
        print.truncate(8);
        print
    }

    /// How a person sees it: the first and last four characters with the fingerprint and the
    /// length, or for what is shorter than 20 characters the fingerprint alone.
    pub fn masked(&self) -> String {
        let (value, print) = (self.expose(), self.fingerprint());
        let count = value.chars().count();
        if count < MASK_FROM {
            return format!("(sha256:{print})");
        }
        let first: String = value.chars().take(MASK_SHOWS).collect();
        let last: String = value.chars().skip(count - MASK_SHOWS).collect();
        format!("{first}…{last} (sha256:{print}, {count} chars)")
    }

    /// The SHA-256 of the value: tells two secrets apart, and stays in memory.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.expose().as_bytes()).into()
    }

    /// The clear value. Only `graph` may call this, to put it into a request and to make the proof;
    /// `tokens`, to seal it; `alerts`, to show itself to a mail server or webhook; and `cli`, for
    /// its own key and where a person asks to see a token.
    pub(crate) fn expose(&self) -> &str {
        #[expect(clippy::disallowed_methods, reason = "the one door out of the wrapper")]
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_four_characters_at_each_end() {
        let masked = |text: &str| Secret::new(text.to_owned()).masked();
        assert_eq!(
            masked("EAAtestTokenForVectorsOnly"),
            "EAAt…Only (sha256:9817945f, 26 chars)"
        );
        assert_eq!(masked("EAAshort").len(), "(sha256:9817945f)".len());
        assert!(!masked("EAAshort").contains("EAA"));
    }

    #[test]
    fn debug_shows_a_fingerprint_only() {
        let secret = Secret::new("token-canary-value".to_owned());
        let shown = format!("{secret:?}");
        assert!(!shown.contains("canary"));
        assert_eq!(shown.len(), "Secret()".len() + 8);
        assert_ne!(shown, format!("{:?}", Secret::new("other".to_owned())));
    }
}
