//! Words of the gateway that are no codes of its answers to events, and the nearest known word.

use crate::codes;
use crate::graph::oauth::catalogue::rows;

/// The reasons of dead letters, and the problems of the admin API.
const OWN: [(&str, &str); 11] = [
    (
        "refused",
        "why an event is a dead letter: Meta refused it by itself. `capigate dead show ID` has Meta's answer;\nmend the cause, then `capigate dead redrive`.",
    ),
    (
        "expired",
        "why an event is a dead letter: it became too old for Meta before it could be delivered. It cannot be sent\nagain; see why it waited, with `capigate holds` and `capigate lanes`.",
    ),
    (
        "too_large",
        "why an event is a dead letter, or what the gateway answers to a body: it is larger than what is taken.\nSend less at once, or a smaller event.",
    ),
    (
        "unconfirmed",
        "why an event is a dead letter: Meta's answer did not say that it was taken. It may have arrived: send it\nagain only with its event_id (`capigate dead redrive`).",
    ),
    (
        "bad_request",
        "the admin API's answer: a parameter or member is not usable; the message names it.",
    ),
    (
        "bad_json",
        "the admin API's answer: the body is no JSON object.",
    ),
    (
        "not_found",
        "the admin API's answer: there is nothing of this id or name; the message says what.",
    ),
    (
        "view_only",
        "the admin API's answer: the key only reads. Use one of admin.keys.",
    ),
    (
        "busy",
        "the admin API's answer: too much of this runs already. Try again in a moment.",
    ),
    (
        "stopping",
        "the admin API's answer: the gateway is stopping. Try again when it runs.",
    ),
    (
        "method",
        "the admin API's answer: the path does not take this method; the message names those it takes.",
    ),
];
/// Changes of a letter by which a word may be away from a known one.
const MAX_AWAY: usize = 3;

/// What a word of [`OWN`] means.
pub(super) fn find(word: &str) -> Option<&'static str> {
    OWN.iter()
        .find(|(own, _)| *own == word)
        .map(|(_, says)| *says)
}

/// The known word that is like this one, if any is.
pub(super) fn nearest(word: &str) -> Option<&'static str> {
    let own = OWN.iter().map(|(own, _)| *own);
    let all = codes::all().map(codes::Code::word);
    let all = all.chain(rows().map(|row| row.slug)).chain(own);
    all.map(|known| (away(word, known), known))
        .filter(|(away, known)| *away <= MAX_AWAY.min(known.len() / 3))
        .min()
        .map(|(_, known)| known)
}

/// The Levenshtein distance of two words in bytes.
fn away(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.bytes().enumerate() {
        let mut corner = at;
        let mut left = at + 1;
        for (cell, known) in row.iter_mut().skip(1).zip(other.bytes()) {
            let new = (corner + usize::from(byte != known))
                .min(left + 1)
                .min(*cell + 1);
            corner = *cell;
            *cell = new;
            left = new;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
