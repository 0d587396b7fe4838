//! The click id (`fbclid`) in the addresses of a page, from which `fbc` is made.

use std::borrow::Cow;

use crate::time::UnixMs;

use super::firewall::has_address;
use super::normalise::contact::is_address;
use super::normalise::trim;

const NAME: &str = "fbclid";

/// The `fbc` of an event that has none: made from the click id in the query of the page's URL, else
/// of its referrer; else the browser's cookie.
///
/// A click id that is in the cookie already stays as the cookie has it. A new one becomes
/// `fb.<index>.<arrival>.<click id>`; it is percent-decoded once and otherwise taken as it is.
pub(super) fn fbc<'c>(
    page: Option<&str>,
    referrer: Option<&str>,
    cookie: Option<&'c str>,
    index: u8,
    now: UnixMs,
) -> Option<Cow<'c, str>> {
    let id = page
        .and_then(|url| find(url, false))
        .or_else(|| referrer.and_then(|url| find(url, true)));
    let Some(id) = id else {
        return cookie.map(Cow::Borrowed);
    };
    // the part behind the third dot: one more may follow
    let same = cookie.filter(|cookie| cookie.split('.').nth(3) == Some(id.as_ref()));
    Some(match same {
        Some(cookie) => Cow::Borrowed(cookie),
        None => Cow::Owned(format!("fb.{index}.{}.{id}", now.0)),
    })
}

/// The click id of a URL; `None` when there is none or the URL cannot be parsed.
fn find(url: &str, scheme_may_lack: bool) -> Option<Cow<'_, str>> {
    let (before_fragment, _) = url.split_once('#').unwrap_or((url, ""));
    let (_, query) = before_fragment.split_once('?')?;
    let value = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(name, _)| is_name(name))
        .map(|(_, value)| value)?;
    let is_personal = |id: &str| is_address(trim(id)) || has_address(id);
    let id = decode(value).filter(|id| !id.is_empty() && !is_personal(id))?;
    is_url(trim(url), scheme_may_lack).then_some(id)
}

fn is_url(url: &str, scheme_may_lack: bool) -> bool {
    if scheme_may_lack && !has_scheme(url) {
        let with_scheme = format!("https://{}", url.trim_start_matches('/'));
        return url::Url::parse(&with_scheme).is_ok();
    }
    url::Url::parse(url).is_ok()
}

fn has_scheme(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

/// Whether the name of a query parameter is that of the click id; case counts.
pub(super) fn is_name(name: &str) -> bool {
    name == NAME || (name.contains('%') && decode(name).as_deref() == Some(NAME))
}

/// Undoes percent-encoding once; `None` when the outcome is not UTF-8. A stray `%` stays.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        if let (b'%', (Some(high), Some(low))) = (byte, digits) {
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(page: &str, referrer: &str) -> Option<String> {
        let now = UnixMs(1_700_000_000_000);
        fbc(Some(page), Some(referrer), None, 1, now).map(Cow::into_owned)
    }

    #[test]
    fn the_click_id_of_the_query_is_taken_as_it_is() {
        for (page, id) in [
            ("https://a.example/?x=1&fbclid=AbC_-9", "AbC_-9"),
            ("https://a.example/?fbclid=a%252Fb", "a%2Fb"),
            ("https://a.example/?fbclid=a+b", "a+b"),
            ("https://a.example/?fbclid=first&fbclid=second", "first"),
            ("https://a.example/?fbclid=x#fbclid=y", "x"),
            ("https://a.example/?fbclid=a=b", "a=b"),
        ] {
            assert_eq!(
                made(page, ""),
                Some(format!("fb.1.1700000000000.{id}")),
                "{page}"
            );
        }
    }

    #[test]
    fn other_places_names_and_broken_urls_have_none() {
        for page in [
            "https://a.example/fbclid=x",
            "https://a.example/#?fbclid=x",
            "https://a.example/?FBCLID=x",
            "https://a.example/?fbclidx=x",
            "https://a.example/?fbclid=",
            "https://a.example/?fbclid",
            "https://a.example/?fbclid=&fbclid=x",
            "https://a.example/?fbclid=%ff",
            "https://a.example/?fbclid=jane%40example.com",
            "https://a.example/?fbclid=%3Cjane%40example.com%3E",
            "https://a.example/?fbclid=jane%2540example.com",
            "a.example/?fbclid=x",
            "https://[/?fbclid=x",
            "",
        ] {
            assert_eq!(made(page, ""), None, "{page}");
        }
    }

    #[test]
    fn the_referrer_is_second_and_may_lack_its_scheme() {
        let second = Some("fb.1.1700000000000.R".to_owned());
        assert_eq!(
            made("https://a.example/?fbclid=", "https://b.example/?fbclid=R"),
            second
        );
        assert_eq!(made("::", "b.example/?fbclid=R"), second);
        assert_eq!(made("::", "b.example:8080/x?fbclid=R"), second);
        assert_eq!(made("::", "//b.example/?fbclid=R"), second);
        assert_eq!(
            made("::", "b.example/?u=https://c.example/&fbclid=R"),
            second
        );
        assert_eq!(made("::", "http://[/?fbclid=R"), None);
    }

    #[test]
    fn a_cookie_with_the_same_click_id_stays_as_it_is() {
        let made = |page, cookie| {
            let made = fbc(Some(page), None, Some(cookie), 2, UnixMs(1_700_000_000_000));
            made.map(Cow::into_owned).unwrap_or_default()
        };
        let page = "https://a.example/?fbclid=AbC";
        for (page, cookie, want) in [
            (page, "fb.1.5.AbC", "fb.1.5.AbC"),
            (page, "fb.1.5.AbC.AQ", "fb.1.5.AbC.AQ"),
            (page, "fb.1.5.abc", "fb.2.1700000000000.AbC"),
            ("https://a.example/", "fb.1.5.old.AQ", "fb.1.5.old.AQ"),
        ] {
            assert_eq!(made(page, cookie), want);
        }
    }
}
