//! The firewall for `event_source_url` and `referrer_url`.
//!
//! Only what is replaced changes; the rest of the address stays byte for byte, and the click id
//! (`fbclid`) is never touched, except when there is an e-mail address in it, which is in no click id.

use super::{
    Mark, addresses, has_address, is_phone, is_suspect, names_a_phone, names_a_secret, redact,
};
use crate::event::click_id;
use crate::event::normalise::contact::is_address;
use crate::event::normalise::trim;

/// The URL without personal values; `None` when there are none.
pub(in crate::event) fn clean(url: &str) -> Option<String> {
    let (rest, fragment) = split_before(url, b'#');
    let (page, query) = split_before(rest, b'?');
    if !is_suspect(url) && !has_secret(query) && !has_secret(fragment) {
        return None;
    }
    if !page.contains(['@', '%', '\u{ff20}']) && query.len() < 2 && fragment.len() < 2 {
        return None;
    }
    let mut out = String::with_capacity(url.len());
    let mut changed = push(&mut out, without_user(page).as_deref(), page);
    if let Some(redacted) = redact_text(&out) {
        out = redacted;
        changed = true;
    }
    changed |= push_query(&mut out, query);
    changed |= push_query(&mut out, fragment);
    changed.then_some(out)
}

/// Whether a query or a fragment has a pair under a name that says that its value is personal. It
/// must have no encoded characters.
fn has_secret(query: &str) -> bool {
    let pairs = query.as_bytes().get(1..).unwrap_or_default();
    pairs.split(|b| *b == b'&').any(|pair| {
        let mut parts = pair.splitn(2, |b| *b == b'=');
        let name = parts.next().unwrap_or_default();
        parts.next().is_some() && names_a_secret(name)
    })
}

/// Splits before the first `mark`, which stays with the second half.
fn split_before(text: &str, mark: u8) -> (&str, &str) {
    let at = memchr::memchr(mark, text.as_bytes());
    text.split_at(at.unwrap_or(text.len()))
}

fn push(out: &mut String, changed: Option<&str>, otherwise: &str) -> bool {
    out.push_str(changed.unwrap_or(otherwise));
    changed.is_some()
}

fn redact_text(text: &str) -> Option<String> {
    // not the rule for whole strings: `a/b@example.com` is a path and an address
    (is_suspect(text) && !addresses(text).is_empty())
        .then(|| redact(text, Mark::Plain))
        .flatten()
}

/// The page's address without a user name and password in front of its host.
fn without_user(page: &str) -> Option<String> {
    let start = page.find("//")? + 2;
    let (scheme, rest) = page.split_at(start);
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let (_, host) = authority.rsplit_once('@')?;
    Some(format!("{scheme}{host}{path}"))
}

/// Writes a query or a fragment with the personal values of its pairs replaced.
fn push_query(out: &mut String, query: &str) -> bool {
    let Some(mark) = query.chars().next() else {
        return false;
    };
    out.push(mark);
    let mut changed = false;
    let pairs = query.get(mark.len_utf8()..).unwrap_or_default();
    for (index, pair) in pairs.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        changed |= push(out, clean_pair(pair).as_deref(), pair);
    }
    changed
}

fn clean_pair(pair: &str) -> Option<String> {
    let Some((name, value)) = pair.split_once('=') else {
        return redact_text(pair);
    };
    if click_id::is_name(name) {
        let whole = click_id::decode(value).unwrap_or_default();
        let is_no_click_id = has_address(value) || is_address(trim(&whole));
        return is_no_click_id.then(|| format!("{name}=redacted"));
    }
    let plain = click_id::decode(name).unwrap_or_default();
    let decoded = || click_id::decode(value).unwrap_or_default();
    if plain.eq_ignore_ascii_case("access_token") && !value.is_empty()
        || names_a_phone(plain.as_bytes()) && is_phone(trim(&decoded()))
    {
        return Some(format!("{name}=redacted"));
    }
    if is_address(trim(&decoded())) {
        return Some(format!("{name}=redacted"));
    }
    redact_text(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_personal_values_change() {
        for (url, want) in [
            (
                "https://shop.example/a?x=1&email=jane%40example.com&y=%7B2%7D#top",
                "https://shop.example/a?x=1&email=redacted&y=%7B2%7D#top",
            ),
            (
                "https://shop.example/?e=jane@example.com&fbclid=IwAR_x-1",
                "https://shop.example/?e=redacted&fbclid=IwAR_x-1",
            ),
            (
                "https://shop.example/?e=a%2Fb%40example.com",
                "https://shop.example/?e=redacted",
            ),
            (
                "https://shop.example/?next=%2Flogin%3Fe%3Djane%2540example.com%26b%3D1",
                "https://shop.example/?next=%2Flogin%3Fe%3Dredacted%26b%3D1",
            ),
            (
                "https://shop.example/?phone=%2B1%20650-555-1212&tel=+16505551212&p=16505551212",
                "https://shop.example/?phone=redacted&tel=redacted&p=16505551212",
            ),
            (
                "https://jane%40example.com:pw@shop.example/u/bob@example.org/",
                "https://shop.example/u/redacted/",
            ),
            ("https://jane:pw@shop.example", "https://shop.example"),
            (
                "https://shop.example/#/reset?e=jane@example.com",
                "https://shop.example/#/reset?e=redacted",
            ),
            (
                "https://shop.example/?access_token=EAAB",
                "https://shop.example/?access_token=redacted",
            ),
            (
                "https://shop.example/?jane@example.com",
                "https://shop.example/?redacted",
            ),
            (
                "https://shop.example/?fbclid=jane%40example.com",
                "https://shop.example/?fbclid=redacted",
            ),
        ] {
            assert_eq!(clean(url).as_deref(), Some(want), "{url}");
        }
    }

    #[test]
    fn an_ordinary_address_is_left_alone() {
        for url in [
            "",
            "https://shop.example/checkout?order=100234&fbclid=Iw%2540AR",
            "https://tiktok.example/@jane.doe/video/1?x=a%20b",
            "https://shop.example/?q=10%25&phone=yes&tel=",
            "shop.example/icon@2x.png",
            "not a url %%%",
            "?",
            "#",
        ] {
            assert_eq!(clean(url), None, "{url}");
        }
    }
}
