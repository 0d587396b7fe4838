//! Looking for single bytes, many at a time.
//!
//! Most texts of an event are a word or two: too short for the vector code of `memchr` to pay for
//! its call, and too long to go byte by byte.

/// A word with 1 in every byte.
const ONES: u64 = u64::MAX / 255;
/// The highest bit of every byte.
const HIGH: u64 = ONES << 7;

/// Sets the highest bit of the first byte that equals this one, if there is any; otherwise it sets
/// none. Only the lowest of the highest bits counts: those above it may be wrong.
fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * u64::from(byte));
    zero.wrapping_sub(ONES) & !zero & HIGH
}

/// The same for what ends or breaks the plain text of a JSON string: a quote, a backslash, or a
/// control character.
fn special(word: u64) -> u64 {
    // what is below 0x21 with its second bit turned over is below 0x20 or a quote
    let control_or_quote = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    (control_or_quote | backslash) & !word & HIGH
}

/// How many bytes come before the first that ends or breaks the plain text of a JSON string.
#[inline]
pub(super) fn plain_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + plain_bytes_singly(bytes.get(at..).unwrap_or_default())
}

/// The same byte by byte, for the end of a text. Kept apart, so that the way before it stays short.
#[inline(never)]
fn plain_bytes_singly(bytes: &[u8]) -> usize {
    let ends = |b: &u8| matches!(b, b'"' | b'\\' | 0..b' ');
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

/// Whether a text needs escapes within a JSON string.
pub(super) fn needs_escape(bytes: &[u8]) -> bool {
    is_in(bytes, special)
}

/// Whether one of these is among the bytes.
pub(in crate::event) fn any_of<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> bool {
    is_in(bytes, |word| {
        let found = wanted.iter().map(|byte| equal(word, *byte));
        found.fold(0, |all, found| all | found)
    })
}

/// Whether something is found in any of the words that cover the bytes.
fn is_in(bytes: &[u8], found: impl Fn(u64) -> u64) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let before = words
        .iter()
        .fold(0, |all, word| all | found(u64::from_le_bytes(*word)));
    let Some(first) = rest.first() else {
        return before != 0;
    };
    // the last word overlaps the one before it, or is filled with what is there anyway
    let last = bytes.last_chunk().copied().unwrap_or_else(|| {
        let mut word = [*first; 8];
        for (to, from) in word.iter_mut().zip(rest) {
            *to = *from;
        }
        word
    });
    before | found(u64::from_le_bytes(last)) != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            9 => 0..=u8::MAX,
            9 => b'a'..=b'z',
            1 => proptest::sample::select(b"\"\\ \x1f\x7f\x80\xef@%".to_vec()),
        ];
        proptest::collection::vec(byte, 0..40)
    }

    proptest! {
        #[test]
        fn words_find_what_bytes_do(bytes in bytes()) {
            let ends = |b: &u8| matches!(b, b'"' | b'\\' | 0..b' ');
            let plain = bytes.iter().position(ends).unwrap_or(bytes.len());
            prop_assert_eq!(plain_bytes(&bytes), plain);
            prop_assert_eq!(needs_escape(&bytes), plain < bytes.len());
            let wanted = [b'@', b'%', b'\\', 0xef];
            let is_there = bytes.iter().any(|b| wanted.contains(b));
            prop_assert_eq!(any_of(&bytes, wanted), is_there);
        }
    }
}
