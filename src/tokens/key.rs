//! The key of a vault.

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Bytes of a vault key; it is written as twice as many hex digits.
pub const KEY_BYTES: usize = 32;

const KEY_ID_BYTES: usize = 8;

/// Tells keys apart without being one: derived from the key, and written in clear into the file.
pub(super) type KeyId = [u8; KEY_ID_BYTES];

/// What a vault is sealed with: 256 bits.
pub struct VaultKey {
    seal: RandomizedNonceKey,
    id: KeyId,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the key of a vault: 64 hex digits, as `capigate token init` makes them")]
pub struct KeyError;

impl std::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VaultKey({})", hex::encode(self.id))
    }
}

/// So many bytes to derive.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl VaultKey {
    /// Reads a key from its 64 hex digits.
    pub fn read(text: &Secret) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text.expose(), bytes.as_mut_slice()).map_err(|_| KeyError)?;
        let root = Salt::new(HKDF_SHA256, b"capigate vault").extract(bytes.as_slice());
        let mut seal = Zeroizing::new([0; KEY_BYTES]);
        derive(&root, b"seal", seal.as_mut_slice())?;
        let mut id = KeyId::default();
        derive(&root, b"id", &mut id)?;
        Ok(Self {
            seal: RandomizedNonceKey::new(&AES_256_GCM, seal.as_slice()).map_err(|_| KeyError)?,
            id,
        })
    }

    /// A new key as text, from the system's random source.
    pub fn generate() -> Result<Secret, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| KeyError)?;
        Ok(Secret::new(hex::encode(bytes.as_slice())))
    }

    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn cipher(&self) -> &RandomizedNonceKey {
        &self.seal
    }
}

fn derive(root: &Prk, purpose: &[u8], out: &mut [u8]) -> Result<(), KeyError> {
    let info = [purpose];
    let okm = root.expand(&info, Length(out.len()));
    okm.and_then(|okm| okm.fill(out)).map_err(|_| KeyError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hex_digits_and_shows_its_id_only() {
        let text = VaultKey::generate().unwrap();
        assert_eq!(text.expose().len(), 2 * KEY_BYTES);
        let key = VaultKey::read(&text).unwrap();
        assert!(!format!("{key:?}").contains(&text.expose()[..12]));
        assert_eq!(key.id(), VaultKey::read(&text).unwrap().id());
        let other = VaultKey::read(&VaultKey::generate().unwrap()).unwrap();
        assert_ne!(key.id(), other.id());
        let long = "a".repeat(65);
        for bad in ["", "abc", &long, &"g".repeat(64)] {
            assert!(VaultKey::read(&Secret::new(bad.to_owned())).is_err());
        }
    }
}
