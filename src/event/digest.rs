//! A SHA-256 digest as it goes on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::block_api::compress256;
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
        if let Some(hex) = text.first_chunk_mut() {
            *hex = hex_of(normalised);
        }
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

/// The state before the first block, of FIPS 180-4, section 5.3.3.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A message that is so short, with the mark of its end and its length, fits one block.
const ONE_BLOCK: usize = 64 - 1 - 8;

/// SHA-256. Nearly every value is short, and its block is put together here at a third of what the
/// general way costs, which keeps room for messages that come in parts.
fn sha256(message: &[u8]) -> [u8; 32] {
    if message.len() > ONE_BLOCK {
        return Sha256::digest(message).into();
    }
    let mut block = [0; 64];
    if let Some((text, [end, ..])) = block.split_at_mut_checked(message.len()) {
        text.copy_from_slice(message);
        *end = 0x80;
    }
    if let Some(length) = block.last_chunk_mut() {
        *length = (message.len() as u64 * 8).to_be_bytes();
    }
    let mut state = INITIAL;
    compress256(&mut state, &[block]);
    let mut digest = [0; 32];
    for (to, word) in digest.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// The digest of a text, as lower-case hex.
pub(in crate::event) fn hex_of(text: &str) -> [u8; 64] {
    hex(&sha256(text.as_bytes()))
}

/// Lower-case hex. Without a table, so that the compiler can turn it into vector code.
fn hex(digest: &[u8; 32]) -> [u8; 64] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut hex = [0; 64];
    for (byte, pair) in digest.iter().zip(hex.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    hex
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

    #[test]
    fn every_length_is_hashed_as_the_library_does_it() {
        let message: Vec<u8> = (0..200).map(|n| (n * 7 % 251) as u8).collect();
        for length in 0..message.len() {
            let message = &message[..length];
            let digest = Sha256::digest(message);
            assert_eq!(sha256(message), *digest, "{length} bytes");
            assert_eq!(hex(&sha256(message)), *::hex::encode(digest).as_bytes());
        }
    }

    fn write_of_nothing() -> String {
        String::from_utf8(hex_of("").to_vec()).unwrap()
    }
}
