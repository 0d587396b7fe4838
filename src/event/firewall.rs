//! Keeps e-mail addresses and phone numbers out of the parts of an event that are not hashed.
//!
//! Looked through: every string and key of `custom_data`, `app_data`, `original_event_data`,
//! `attribution_data` and unknown members; `event_name`, `event_id`; `event_source_url` and
//! `referrer_url` as a whole. An address is found as a string or within one, with its `@` plain,
//! percent-encoded (also twice), full-width or as `\u0040` in JSON text inside a string. A phone
//! number is found only under a name that says so (`phone`, `tel`, …). A member called
//! `access_token` goes the same way.
//!
//! Not covered: the pass fields of `user_data` (their rule is to pass; an address there is
//! warned about), names of people, addresses in base64, with spaces around the `@` or spelled
//! "(at)", domains without a dot, and phone numbers in free text.

pub(super) mod url;

use super::digest::Sha256Hex;
use super::json::{self, Shape};
use super::normalise::contact::is_address;
use super::normalise::trim;

/// What stands before an address when its mark is made, so that the digest is another than that of the
/// address alone.
const DOMAIN: &str = "capigate redacted id\0";

/// What stands where an address was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// `[redacted]`, in free text.
    Bracketed,
    /// `redacted`, where brackets would break the syntax.
    Plain,
    /// `redacted-` and the start of a digest that is for nothing else, in identifiers: two events that
    /// differed still differ, and the same one is still the same, also when it is sent again later.
    /// It is no part of what `em` holds, so it cannot be looked up in a list of hashed addresses. It
    /// is no secret either: who guesses the address can check the guess.
    Digest,
}

impl Mark {
    fn instead_of(self, address: &str) -> String {
        match self {
            Self::Bracketed => "[redacted]".to_owned(),
            Self::Plain => "redacted".to_owned(),
            Self::Digest => {
                let digest = Sha256Hex::of(&format!("{DOMAIN}{}", address.to_lowercase()));
                let start = digest.as_ref().and_then(|d| d.as_str().get(..16));
                format!("redacted-{}", start.unwrap_or("nothing"))
            }
        }
    }
}

/// Whether a text could hold an address at all; cheap, and right for nearly every string.
pub(super) fn is_suspect(text: &str) -> bool {
    json::any_of(text.as_bytes(), [b'@', b'%', b'\\', 0xef])
}

/// Whether a key says that its value is a phone number or an access token.
pub(super) fn names_a_secret(key: &[u8]) -> bool {
    names_a_phone(key) || key.eq_ignore_ascii_case(b"access_token")
}

/// What a key says of its value, where the firewall goes by that, or people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Token,
    Phone,
    Mail,
}

/// What a key says that its value is; none where it is nothing personal.
pub(super) fn says(key: &str) -> Option<Says> {
    let lower = key.to_ascii_lowercase();
    if lower == "access_token" {
        Some(Says::Token)
    } else if names_a_phone(key.as_bytes()) {
        Some(Says::Phone)
    } else {
        (lower == "em" || lower.contains("mail")).then_some(Says::Mail)
    }
}

fn names_a_phone(key: &[u8]) -> bool {
    const WHOLE: [&str; 8] = [
        "ph", "tel", "cell", "msisdn", "whatsapp", "fax", "handy", "gsm",
    ];
    const PART: [&str; 3] = ["phone", "mobile", "telefon"];
    let is_whole = |whole: &&str| whole.as_bytes().eq_ignore_ascii_case(key);
    let starts_with = |text: &[u8], part: &str| {
        let start = text.get(..part.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(part.as_bytes()))
    };
    let is_part_at = |(at, byte): (usize, &u8)| {
        let part = match byte.to_ascii_lowercase() {
            b'p' => PART[0],
            b'm' => PART[1],
            b't' => PART[2],
            _ => return false,
        };
        starts_with(key.get(at..).unwrap_or_default(), part)
    };
    // there is an o in each part
    let may_have_part = key.len() >= PART[0].len() && json::any_of(key, [b'o', b'O']);
    (key.len() <= 8 && WHOLE.iter().any(is_whole))
        || may_have_part && key.iter().enumerate().any(is_part_at)
}

/// Whether all of a text is a phone number: 7 to 20 digits and the usual signs between them.
fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (7..=20).contains(&digits)
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b" +()-./\t".contains(&b))
}

/// Whether a text holds an e-mail address, or all of it is a phone number.
pub(super) fn is_personal(text: &str) -> bool {
    is_phone(text) || redact(text, Mark::Plain).is_some()
}

/// Whether a text holds an e-mail address, however it is encoded.
pub(super) fn has_address(text: &str) -> bool {
    redact(text, Mark::Plain).is_some()
}

/// The text without the addresses in it; `None` when there are none.
pub(super) fn redact(text: &str, mark: Mark) -> Option<String> {
    if !is_suspect(text) {
        return None;
    }
    let whole = trim(text);
    let domain = whole.split_once('@').map_or("", |(_, domain)| domain);
    if is_address(whole) && domain_length(domain.as_bytes()) > 0 {
        return Some(mark.instead_of(whole));
    }
    let found = addresses(text);
    if found.is_empty() {
        return None;
    }
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in found {
        clean.push_str(text.get(done..start).unwrap_or_default());
        clean.push_str(&mark.instead_of(text.get(start..end).unwrap_or_default()));
        done = end;
    }
    clean.push_str(text.get(done..).unwrap_or_default());
    Some(clean)
}

/// One byte of a text after decoding, and where it stands in the text.
struct Unit {
    byte: u8,
    start: usize,
    end: usize,
}

/// The byte that starts at `at`, with percent-encoding (nested up to four times) and `\u00xx`
/// undone, and the end of its spelling.
fn unit(bytes: &[u8], at: usize) -> Unit {
    let hex = |from: usize| {
        let digit = |i: usize| char::from(*bytes.get(i)?).to_digit(16);
        Some((digit(from)? * 16 + digit(from + 1)?) as u8)
    };
    let plain = bytes.get(at).copied().unwrap_or_default();
    let rest = bytes.get(at..).unwrap_or_default();
    let (mut byte, mut end) = (plain, at + 1);
    if plain == b'%' {
        if let Some(first) = hex(at + 1) {
            (byte, end) = (first, at + 3);
            for _ in 0..3 {
                match hex(end) {
                    Some(next) if byte == b'%' => (byte, end) = (next, end + 2),
                    _ => break,
                }
            }
        }
    } else if rest.starts_with(b"\\u00") {
        if let Some(ascii) = hex(at + 4) {
            (byte, end) = (ascii, at + 6);
        }
    } else if rest.starts_with("\u{ff20}".as_bytes()) {
        (byte, end) = (b'@', at + 3);
    }
    Unit {
        byte,
        start: at,
        end,
    }
}

/// Where addresses stand in a text: start and end, in order, not overlapping.
fn addresses(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut units = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let next = unit(bytes, at);
        at = next.end;
        units.push(next);
    }
    let byte = |i: usize| units.get(i).map(|u| u.byte);
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut free = 0;
    for here in (0..units.len()).filter(|i| byte(*i) == Some(b'@')) {
        let mut first = here;
        while first > free && byte(first - 1).is_some_and(is_local_byte) {
            first -= 1;
        }
        if first == here && first > free && byte(here - 1) == Some(b'"') {
            // "quoted local part"@example.com
            first = (free..here - 1)
                .rev()
                .find(|i| byte(*i) == Some(b'"'))
                .unwrap_or(here);
        }
        let domain: Vec<u8> = (here + 1..units.len())
            .map_while(byte)
            .take_while(|b| is_domain_byte(*b))
            .take(MAX_DOMAIN)
            .collect();
        let length = match byte(here + 1) {
            Some(b'[') => (here + 2..units.len())
                .take(MAX_DOMAIN)
                .find(|i| byte(*i) == Some(b']'))
                .map_or(0, |i| i - here),
            _ => domain_length(&domain),
        };
        if first < here && length > 0 {
            free = here + 1 + length;
            if let (Some(start), Some(end)) = (units.get(first), units.get(free - 1)) {
                found.push((start.start, end.end));
            }
        }
    }
    found
}

/// More than a domain name can have.
const MAX_DOMAIN: usize = 256;

/// Bytes that belong to the left of an address. `/ = ? &` may stand in an address too, but in
/// text they are what separates it from its surroundings.
fn is_local_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"._!#$%'*+^`{|}~-".contains(&byte)
}

fn is_domain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b'-')
}

/// How much of `domain` is a domain name with a dot in it; 0 when it is none. What follows a name in a
/// text may look like more of it, as in `jane@example.com.A new`.
fn domain_length(domain: &[u8]) -> usize {
    let end = domain.windows(2).position(|pair| pair == b"..");
    let mut name = domain
        .get(..end.unwrap_or(domain.len()))
        .unwrap_or_default();
    let mut is_whole = true;
    loop {
        while let [rest @ .., b'.' | b'-'] = name {
            name = rest;
        }
        let mut labels = name.rsplit(|b| *b == b'.');
        let top = labels.next().unwrap_or_default();
        let rest: Vec<&[u8]> = labels.collect();
        if rest.is_empty()
            || rest.iter().any(|label| label.is_empty())
            || is_image_scale(&rest, top)
        {
            return 0;
        }
        let is_number = top.iter().all(u8::is_ascii_digit);
        // four numbers are an address of the internet, others are a version
        if top.len() >= 2 && !is_number || is_whole && is_number && rest.len() == 3 {
            return name.len();
        }
        name = name.get(..name.len() - top.len()).unwrap_or_default();
        is_whole = false;
    }
}

/// `icon@2x.png` is a file.
fn is_image_scale(rest: &[&[u8]], top: &[u8]) -> bool {
    let is_image = [
        &b"png"[..],
        b"jpg",
        b"jpeg",
        b"webp",
        b"gif",
        b"svg",
        b"avif",
    ]
    .contains(&top);
    is_image && matches!(rest, [[digit, b'x']] if digit.is_ascii_digit())
}

/// Writes raw JSON to `out` without the addresses, phone numbers and tokens in it; says whether
/// anything was replaced. What is not replaced is written byte for byte.
///
/// `key` is the key under which the value stands.
pub(super) fn rewrite(key: &str, raw: &str, out: &mut Vec<u8>) -> bool {
    if key.eq_ignore_ascii_case("access_token") {
        out.extend_from_slice(b"\"[redacted]\"");
        return true;
    }
    match json::shape(raw) {
        Shape::Text | Shape::Number => {
            let text = json::scalar(raw).ok().flatten().unwrap_or_default();
            let clean = if names_a_phone(key.as_bytes()) && is_phone(trim(&text)) {
                Some(Mark::Bracketed.instead_of(&text))
            } else {
                redact(&text, mark_under(key))
            };
            let replaced = clean.is_some();
            match clean {
                Some(clean) => json::write_text(out, &clean),
                None => out.extend_from_slice(raw.as_bytes()),
            }
            replaced
        }
        Shape::List => {
            let elements = json::elements(raw, usize::MAX).unwrap_or_default();
            let mut replaced = false;
            out.push(b'[');
            for (index, element) in elements.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                replaced |= rewrite(key, element, out);
            }
            out.push(b']');
            replaced
        }
        Shape::Object => {
            let mut replaced = false;
            out.push(b'{');
            for (key, value) in json::members(raw).unwrap_or_default() {
                let clean = redact(&key, Mark::Digest);
                replaced |= clean.is_some();
                json::write_key(out, clean.as_deref().unwrap_or(&key));
                replaced |= rewrite(&key, value, out);
            }
            out.push(b'}');
            replaced
        }
        Shape::Bool(_) | Shape::Null => {
            out.extend_from_slice(raw.as_bytes());
            false
        }
    }
}

/// Identifiers stay distinct; everything else is blotted out.
pub(super) fn mark_under(key: &str) -> Mark {
    if key == "id" || key.ends_with("_id") || key.ends_with("_ids") {
        Mark::Digest
    } else {
        Mark::Bracketed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        redact(text, Mark::Bracketed).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn addresses_go_wherever_they_stand() {
        for (text, want) in [
            ("jane@example.com", "[redacted]"),
            (" JANE@EXAMPLE.COM ", "[redacted]"),
            ("a/b=c?d&e@example.com", "[redacted]"),
            (
                "mail jane.doe+x@mail.example.co.uk, now",
                "mail [redacted], now",
            ),
            (
                "Jane <jane@example.com>;bob@example.org.",
                "Jane <[redacted]>;[redacted].",
            ),
            ("jane%40example.com", "[redacted]"),
            ("x=jane%2540example%252Ecom&y=1", "x=[redacted]&y=1"),
            (r#"{"e":"jane\u0040example.com"}"#, r#"{"e":"[redacted]"}"#),
            ("jane＠example.com", "[redacted]"),
            ("jörg@exämple.de!", "[redacted]!"),
            (r#""jane doe"@example.com"#, "[redacted]"),
            ("jane@[192.168.0.1] x", "[redacted] x"),
            ("jane@192.168.0.1", "[redacted]"),
            // a name is found though what follows looks like more of it
            ("to jane@example.com.A new one", "to [redacted].A new one"),
            ("jane@example.comIII.C\0I", "[redacted].C\0I"),
            ("jane@example.com.2 of 3", "[redacted].2 of 3"),
            ("jane@example.com..bob", "[redacted]..bob"),
            (
                "mailto:jane@example.com?subject=x",
                "mailto:[redacted]?subject=x",
            ),
        ] {
            assert_eq!(clean(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_stays() {
        for text in [
            "@jane",
            "https://example.com/@jane.doe/1",
            "icon@2x.png",
            "left-pad@1.3.0",
            "left-pad@1.3.0.4.5",
            "icon@2x.png.C",
            "10% off 40",
            "a @ b.com",
            "jane@localhost",
            "jane@example.",
            "C:\\users\\x",
            "ｆullwidth",
        ] {
            assert_eq!(redact(text, Mark::Bracketed), None, "{text}");
        }
    }

    #[test]
    fn identifiers_stay_distinct() {
        let one = redact("order-jane@example.com", Mark::Digest).unwrap();
        let two = redact("order-bob@example.com", Mark::Digest).unwrap();
        assert_ne!(one, two);
        assert!(one.starts_with("redacted-"), "{one}");
        assert_eq!(redact("order-jane@example.com", Mark::Digest).unwrap(), one);
        assert_eq!(redact("order-Jane@Example.com", Mark::Digest).unwrap(), one);
    }

    #[test]
    fn an_identifier_holds_no_part_of_the_digest_that_em_has() {
        let address = "jane@example.com";
        let id = redact(address, Mark::Digest).unwrap();
        // the same in every release: sha256("capigate redacted id\0jane@example.com")
        assert_eq!(id, "redacted-ffc2a1390d85cd74");
        let em = Sha256Hex::of(address).unwrap();
        let mark = id.strip_prefix("redacted-").unwrap();
        assert_eq!(mark.len(), 16);
        for start in 0..=mark.len() - 8 {
            assert!(!em.as_str().contains(&mark[start..start + 8]), "{id}");
        }
    }

    #[test]
    fn json_is_rewritten_only_where_needed() {
        let rewritten = |raw: &str| {
            let mut out = Vec::new();
            let changed = rewrite("x", raw, &mut out);
            (changed, String::from_utf8(out).unwrap())
        };
        assert_eq!(
            rewritten(r#"{"a" : [1.50, "b\u00e9"], "c":"jane\u0040example.com"}"#),
            (
                true,
                r#"{"a":[1.50,"b\u00e9"],"c":"[redacted]"}"#.to_owned()
            )
        );
        assert_eq!(
            rewritten(
                r#"{"phone":"+1 650 555 1212","phones":[16505551212],"phone_model":"Pixel 9"}"#
            ),
            (
                true,
                r#"{"phone":"[redacted]","phones":["[redacted]"],"phone_model":"Pixel 9"}"#
                    .to_owned()
            )
        );
        assert_eq!(
            rewritten(r#"{"access_token":{"a":1}}"#),
            (true, r#"{"access_token":"[redacted]"}"#.to_owned())
        );
        let (changed, text) = rewritten(r#"{"jane@example.com":1,"bob@example.com":2}"#);
        assert!(
            changed && json::members(&text).unwrap().len() == 2,
            "{text}"
        );
        assert!(!rewritten("[ 1 ]").0);
    }
}
