//! The bytes of a vault file.
//!
//! ```text
//! magic "capivault"  9 bytes
//! version            2 bytes, little-endian
//! key id             8 bytes, derived from the key
//! nonce             12 bytes, new with each write
//! sealed JSON and tag: AES-256-GCM, with magic, version and key id as associated data
//! ```

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{Aad, Nonce};
use serde::{Deserialize, Deserializer, Serialize, de};
use zeroize::Zeroizing;

use super::contents::{AppRecord, Contents, Name, Obtained, Slots, TokenRecord};
use super::facts::Facts;
use super::key::VaultKey;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;

const MAGIC: &[u8; 9] = b"capivault";
const VERSION: u16 = 1;
const HEAD: usize = 9 + 2 + 8;
const NONCE: usize = 12;

/// Why the bytes of a file are no vault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Another kind of file.
    #[error("is no vault of capigate: expected a file that `capigate token` wrote")]
    NotAVault,
    /// Written by a newer program.
    #[error("is of version {0}, this program reads version {VERSION}: use the newer capigate")]
    Version(u16),
    /// Sealed with another key.
    #[error("is sealed with another key: set tokens.vault_key to the key it was made with")]
    WrongKey,
    /// Changed or cut since it was written.
    #[error("is damaged: put it back from a backup")]
    Damaged,
}

/// Why contents cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vault could not be sealed")]
pub struct SealError;

/// Mirrors [`Contents`], with secrets that can be written.
#[derive(Serialize)]
struct Out<'a> {
    generation: u64,
    apps: BTreeMap<&'a str, OutApp<'a>>,
    tokens: BTreeMap<&'a Name, OutToken<'a>>,
    pixels: &'a BTreeMap<PixelId, Slots>,
}

#[derive(Serialize)]
struct OutApp<'a> {
    secret: &'a str,
    added_at: UnixMs,
}

#[derive(Serialize)]
struct OutToken<'a> {
    token: &'a str,
    obtained: Obtained,
    added_at: UnixMs,
    facts: &'a Facts,
}

#[derive(Deserialize)]
struct In {
    generation: u64,
    apps: BTreeMap<String, InApp>,
    tokens: BTreeMap<Name, InToken>,
    pixels: BTreeMap<PixelId, Slots>,
}

#[derive(Deserialize)]
struct InApp {
    #[serde(deserialize_with = "wrapped")]
    secret: Secret,
    added_at: UnixMs,
}

#[derive(Deserialize)]
struct InToken {
    #[serde(deserialize_with = "wrapped")]
    token: Secret,
    obtained: Obtained,
    added_at: UnixMs,
    facts: Facts,
}

fn head(key: &VaultKey) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..9].copy_from_slice(MAGIC);
    head[9..11].copy_from_slice(&VERSION.to_le_bytes());
    head[11..].copy_from_slice(&key.id());
    head
}

/// The bytes of a file with these contents.
pub(super) fn seal(contents: &Contents, key: &VaultKey) -> Result<Vec<u8>, SealError> {
    let out = Out {
        generation: contents.generation,
        apps: (contents.apps.iter())
            .map(|(id, app)| {
                let (secret, added_at) = (app.secret.expose(), app.added_at);
                (id.as_str(), OutApp { secret, added_at })
            })
            .collect(),
        tokens: (contents.tokens.iter())
            .map(|(name, record)| {
                let token = OutToken {
                    token: record.secret.expose(),
                    obtained: record.obtained,
                    added_at: record.added_at,
                    facts: &record.facts,
                };
                (name, token)
            })
            .collect(),
        pixels: &contents.pixels,
    };
    // with room to spare, since a buffer that grows leaves its old self behind
    let mut size = Counter(0);
    serde_json::to_writer(&mut size, &out).map_err(|_| SealError)?;
    let mut body = Zeroizing::new(Vec::with_capacity(size.0 + 64));
    serde_json::to_writer(&mut *body, &out).map_err(|_| SealError)?;
    let head = head(key);
    let nonce = key
        .cipher()
        .seal_in_place_append_tag(Aad::from(&head), &mut *body)
        .map_err(|_| SealError)?;
    let mut bytes = head.to_vec();
    bytes.extend_from_slice(nonce.as_ref());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The contents of a file.
pub(super) fn unseal(bytes: &[u8], key: &VaultKey) -> Result<Contents, UnsealError> {
    let (found, rest) = bytes
        .split_at_checked(HEAD)
        .filter(|(head, _)| head.starts_with(MAGIC))
        .ok_or(UnsealError::NotAVault)?;
    let version = u16::from_le_bytes([found[9], found[10]]);
    if version != VERSION {
        return Err(UnsealError::Version(version));
    }
    if found != head(key) {
        return Err(UnsealError::WrongKey);
    }
    let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or(UnsealError::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| UnsealError::Damaged)?;
    let mut body = Zeroizing::new(sealed.to_vec());
    let clear = key
        .cipher()
        .open_in_place(nonce, Aad::from(found), &mut body)
        .map_err(|_| UnsealError::Damaged)?;
    // its error would quote what it stumbled over
    let read: In = serde_json::from_slice(clear).map_err(|_| UnsealError::Damaged)?;
    Ok(read.into())
}

impl From<In> for Contents {
    fn from(read: In) -> Self {
        let app = |(id, app): (String, InApp)| {
            let record = AppRecord {
                secret: app.secret,
                added_at: app.added_at,
            };
            (id, record)
        };
        let token = |(name, token): (Name, InToken)| {
            let record = TokenRecord {
                secret: token.token,
                obtained: token.obtained,
                added_at: token.added_at,
                facts: token.facts,
            };
            (name, record)
        };
        Self {
            generation: read.generation,
            apps: read.apps.into_iter().map(app).collect(),
            tokens: read.tokens.into_iter().map(token).collect(),
            pixels: read.pixels,
        }
    }
}

/// A secret is wrapped as soon as it is read, so that it is wiped also when the rest cannot be.
fn wrapped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    struct Wrap;
    impl de::Visitor<'_> for Wrap {
        type Value = Secret;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a secret")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
            Ok(Secret::new(text.to_owned()))
        }
    }
    deserializer.deserialize_str(Wrap)
}

/// Counts what would be written.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::contents::Slot;
    use proptest::prelude::*;

    fn key(byte: u8) -> VaultKey {
        VaultKey::read(&Secret::new(hex::encode([byte; 32]))).unwrap()
    }

    fn contents() -> Contents {
        let mut contents = Contents::default();
        contents.apps.insert(
            "42".to_owned(),
            AppRecord {
                secret: Secret::new("app-secret-canary".to_owned()),
                added_at: UnixMs(3),
            },
        );
        let name: Name = "shop".parse().unwrap();
        let record = TokenRecord {
            secret: Secret::new("EAAtoken-canary".to_owned()),
            obtained: Obtained::Login,
            added_at: UnixMs(4),
            facts: Facts {
                scopes: vec!["ads_management".to_owned()],
                ..Facts::default()
            },
        };
        contents.add(name.clone(), record).unwrap();
        let pixel = PixelId::from_u64(1_234_567_890_123_456).unwrap();
        contents
            .bind(pixel, Slot::Current, &name, UnixMs(5))
            .unwrap();
        contents.generation = 9;
        contents
    }

    #[test]
    fn what_is_sealed_is_unsealed() {
        let bytes = seal(&contents(), &key(1)).unwrap();
        let read = unseal(&bytes, &key(1)).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", contents()));
        let token = &read.tokens[&"shop".parse().unwrap()];
        assert_eq!(token.secret.expose(), "EAAtoken-canary");
        assert_eq!(read.apps["42"].secret.expose(), "app-secret-canary");
    }

    #[test]
    fn the_file_shows_nothing_and_no_two_are_alike() {
        let one = seal(&contents(), &key(1)).unwrap();
        let other = seal(&contents(), &key(1)).unwrap();
        assert_ne!(one[HEAD..HEAD + NONCE], other[HEAD..HEAD + NONCE]);
        for part in ["canary", "ads_management", "shop", "1234567890123456"] {
            assert!(!one.windows(part.len()).any(|seen| seen == part.as_bytes()));
        }
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let bytes = seal(&contents(), &key(1)).unwrap();
        let refused = |bytes: &[u8], key: &VaultKey| unseal(bytes, key).unwrap_err();
        assert_eq!(refused(&bytes, &key(2)), UnsealError::WrongKey);
        assert_eq!(refused(b"EAAplain", &key(1)), UnsealError::NotAVault);
        assert_eq!(refused(b"", &key(1)), UnsealError::NotAVault);
        let mut newer = bytes.clone();
        newer[9] = 2;
        assert_eq!(refused(&newer, &key(1)), UnsealError::Version(2));
        for cut in HEAD..bytes.len() {
            assert_eq!(refused(&bytes[..cut], &key(1)), UnsealError::Damaged);
        }
    }

    proptest! {
        #[test]
        fn no_changed_byte_goes_unnoticed(at in 0..10_000_usize, flip in 1..=255_u8) {
            let mut bytes = seal(&contents(), &key(1)).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(unseal(&bytes, &key(1)).is_err());
        }
    }
}
