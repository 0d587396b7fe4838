//! A SHA-256 digest as it goes on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The digest of no bytes at all: the sign of a bug upstream, which would merge strangers.
const OF_NOTHING: [u8; 64] = *b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The two-letter appendices that Meta's Parameter Builder has used.
const SHORT_APPENDICES: [&[u8]; 6] = [b"AQ", b"Ag", b"Aw", b"BA", b"BQ", b"Bg"];

/// A SHA-256 digest: 64 hex digits, and the appendix that Meta's Parameter Builder may have put
/// behind it (`.AQ`, `.ABcDEFGh`).
///
/// Made by hashing a normalised value, or read from a value that arrived hashed. It is never the
/// digest of the empty string. A bare digest is lower-case; one with an appendix is kept as
/// received, because the two were made together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Hex {
    text: [u8; 73],
    length: u8,
}

/// Why a text is not a [`Sha256Hex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hex digits, not those of the empty string")]
pub struct DigestError;

impl Sha256Hex {
    /// The digest of a normalised value; `None` for the empty string.
    pub(in crate::event) fn of(normalised: &str) -> Option<Self> {
        if normalised.is_empty() {
            return None;
        }
        let mut text = [0; 73];
        write_hex(&Sha256::digest(normalised.as_bytes()), &mut text);
        Some(Self { text, length: 64 })
    }

    /// The text as it goes on the wire.
    pub fn as_str(&self) -> &str {
        // both makers put ASCII only
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(in crate::event) fn as_bytes(&self) -> &[u8] {
        self.text
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

fn write_hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]);
    }
}

impl FromStr for Sha256Hex {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match read(text) {
            Arrived::Digest(digest) => Ok(digest),
            Arrived::OfNothing | Arrived::Plain => Err(DigestError),
        }
    }
}

/// How a value arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::event) enum Arrived {
    Digest(Sha256Hex),
    /// As the digest of the empty string.
    OfNothing,
    /// Not hashed.
    Plain,
}

/// Reads a value that may have arrived hashed.
pub(in crate::event) fn read(text: &str) -> Arrived {
    let bytes = text.as_bytes();
    let Some((hex, rest)) = bytes.split_at_checked(64) else {
        return Arrived::Plain;
    };
    if !hex.iter().all(u8::is_ascii_hexdigit) {
        return Arrived::Plain;
    }
    let bare = match rest {
        [] => true,
        [b'.', appendix @ ..] if is_appendix(appendix) => false,
        _ => return Arrived::Plain,
    };
    if hex.eq_ignore_ascii_case(&OF_NOTHING) {
        return Arrived::OfNothing;
    }
    let mut kept = [0; 73];
    for (slot, byte) in kept.iter_mut().zip(bytes) {
        *slot = if bare {
            byte.to_ascii_lowercase()
        } else {
            *byte
        };
    }
    Arrived::Digest(Sha256Hex {
        text: kept,
        length: bytes.len() as u8,
    })
}

/// Whether these bytes are an appendix of Meta's Parameter Builder.
pub(in crate::event) fn is_appendix(bytes: &[u8]) -> bool {
    SHORT_APPENDICES.contains(&bytes)
        || (bytes.len() == 8
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')))
}

/// Whether a text is an MD5 digest: 32 hex digits.
pub(in crate::event) fn is_md5(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Serialize for Sha256Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Hex({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARY: &str = "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec";

    #[test]
    fn hashing_gives_lower_case_hex() {
        assert_eq!(Sha256Hex::of("mary").unwrap().as_str(), MARY);
        assert_eq!(Sha256Hex::of(""), None);
    }

    #[test]
    fn a_digest_is_passed_and_only_a_bare_one_is_lowered() {
        let upper = MARY.to_uppercase();
        assert_eq!(upper.parse::<Sha256Hex>().unwrap().as_str(), MARY);
        for appendix in ["AQ", "Bg", "ABcDEFGh", "_-345678"] {
            let built = format!("{upper}.{appendix}");
            assert_eq!(built.parse::<Sha256Hex>().unwrap().as_str(), built);
        }
        for other in [".ZZ", ".ABC", ".ABcDEFG!", "a", ".", " "] {
            assert_eq!(read(&format!("{MARY}{other}")), Arrived::Plain, "{other}");
        }
        assert_eq!(read(&MARY[1..]), Arrived::Plain);
    }

    #[test]
    fn the_digest_of_nothing_never_passes() {
        let nothing = String::from_utf8(OF_NOTHING.to_vec()).unwrap();
        assert_eq!(write_of_nothing(), nothing);
        for text in [
            nothing.clone(),
            nothing.to_uppercase(),
            format!("{nothing}.AQ"),
        ] {
            assert_eq!(read(&text), Arrived::OfNothing);
            assert_eq!(text.parse::<Sha256Hex>(), Err(DigestError));
        }
    }

    fn write_of_nothing() -> String {
        let mut text = [0; 64];
        write_hex(&Sha256::digest(b""), &mut text);
        String::from_utf8(text.to_vec()).unwrap()
    }
}
