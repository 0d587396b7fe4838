//! What must be found nowhere, in every form it might take.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_lc_rs::hmac;

/// So many characters of a secret that stand together give it away.
const PIECE: usize = 12;

/// Letters and digits that no word of ours is made of.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZbcdfghjkmnpqrstvwxz0123456789";

/// What secrets are made of beside letters and digits, in any form.
const SIGNS: &[u8] = b"+/~=.-_%";

/// Every piece of every secret, and which secret it is of.
#[derive(Default)]
pub(super) struct Canaries {
    names: Vec<String>,
    pieces: HashMap<[u8; PIECE], usize>,
}

impl Canaries {
    /// From now on this is looked for: plain, percent-encoded, in hex and in base64.
    pub(super) fn add(&mut self, name: &str, secret: &str) {
        self.add_plain(name, secret);
        let (bytes, number) = (secret.as_bytes(), self.names.len() - 1);
        let mut forms = vec![percent(bytes), hex::encode(bytes), hex::encode_upper(bytes)];
        // wherever in a longer text it stands
        forms.extend((0..3).map(|skip| base64(&bytes[skip..])));
        for form in forms {
            self.cut(number, &form);
        }
    }

    /// From now on this is looked for as it is.
    pub(super) fn add_plain(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 20, "{name} is too short to be told apart");
        let is_made_of = |byte: u8| byte.is_ascii_alphanumeric() || SIGNS.contains(&byte);
        assert!(secret.bytes().all(is_made_of), "{name} would not be found");
        self.names.push(name.to_owned());
        self.cut(self.names.len() - 1, secret);
    }

    fn cut(&mut self, number: usize, form: &str) {
        for piece in form.as_bytes().windows(PIECE) {
            let piece: [u8; PIECE] = piece.try_into().unwrap();
            self.pieces.entry(piece).or_insert(number);
        }
    }

    /// The secret of which there is a piece in these bytes, and what stands before it.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<String> {
        // only where so many characters that secrets are made of stand together
        let mut run = 0;
        let found = bytes.iter().enumerate().find_map(|(at, byte)| {
            let is_one = byte.is_ascii_alphanumeric() || SIGNS.contains(byte);
            run = if is_one { run + 1 } else { 0 };
            let from = (run >= PIECE).then(|| at + 1 - PIECE)?;
            Some((from, *self.pieces.get(&bytes[from..=at])?))
        });
        let (at, number) = found?;
        let before = &bytes[at.saturating_sub(120)..at];
        let before = String::from_utf8_lossy(before);
        Some(format!("{} behind {before:?}", self.names[number]))
    }
}

/// A made-up secret with this beginning: always the same one for the same seed.
pub(super) fn secret(beginning: &str, seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letters = (0..length).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(state >> 33) as usize % LETTERS.len()])
    });
    beginning.chars().chain(letters).collect()
}

/// `appsecret_proof` of a token, plain or of a moment in Unix seconds.
pub(super) fn proof(app_secret: &str, token: &str, at: Option<i64>) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.as_bytes());
    let message = match at {
        None => token.to_owned(),
        Some(at) => format!("{token}|{at}"),
    };
    hex::encode(hmac::sign(&key, message.as_bytes()))
}

/// Everything but letters and digits percent-encoded.
pub(super) fn percent(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
    }
    text
}

/// Whole groups of three bytes; what is left over at the end depends on what follows.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).flat_map(|group| {
        let number = group
            .iter()
            .fold(0_usize, |all, byte| all << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[number >> shift & 63]))
    });
    groups.collect()
}

#[test]
fn a_canary_is_found_in_each_form_and_by_a_piece() {
    let mut canaries = Canaries::default();
    let token = secret("EAA", 1, 40) + "+/=" + &secret("", 2, 20);
    canaries.add("the token", &token);
    let whole = token.as_bytes();
    for hidden in [
        token.clone(),
        format!("x{}y", &token[5..5 + PIECE]),
        percent(whole),
        hex::encode(&whole[3..12]),
        base64(&[b"ab", whole].concat()),
        base64(&[b"a", whole].concat()),
        base64(whole),
    ] {
        let found = canaries.find(format!("before {hidden} after").as_bytes());
        assert!(found.unwrap().starts_with("the token"), "{hidden}");
    }
    let mask = format!("{}…{}", &token[..4], &token[token.len() - 4..]);
    for harmless in ["", "nothing", &token[..PIECE - 1], &mask] {
        assert_eq!(canaries.find(harmless.as_bytes()), None);
    }
    // as in RFC 4648
    assert_eq!(base64(b"foobar"), "Zm9vYmFy");
}
