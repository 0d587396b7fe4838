//! Cities, states, postal codes and countries.

use std::collections::HashMap;
use std::sync::LazyLock;

use icu_normalizer::DecomposingNormalizer;
use icu_properties::props::GeneralCategoryGroup;

use super::super::digest::{self, Arrived, Sha256Hex};
use super::super::tables;
use super::name::compose;
use super::{Context, Named, filled, is_in, is_space, lower_ascii, retain, settle, trim};

/// The longest name of a place that is looked up; longer ones are in no table.
const LONGEST_NAME: usize = 256;

/// `ct`: lower-case letters, marks and ASCII digits, composed; nothing without a letter.
pub(in crate::event) fn city<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    if text.is_ascii() {
        let kept = lower_ascii(text, |b| b.is_ascii_alphanumeric(), buffer);
        return kept
            .bytes()
            .any(|b| b.is_ascii_alphabetic())
            .then_some(kept);
    }
    let kept = retain(text.to_lowercase().into(), |c| {
        c.is_ascii_digit() || is_letter_or_mark(c)
    });
    lettered(settle(compose(kept), buffer))
}

/// `st`: the two-letter code of a state of the United States or a province of Canada, else the
/// lower-case letters.
pub(in crate::event) fn state<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    let key = table_key(text, buffer);
    let code =
        tables::find(tables::US_STATES, key).or_else(|| tables::find(tables::CA_PROVINCES, key));
    if code.is_some() {
        return code;
    }
    if text.is_ascii() {
        return filled(lower_ascii(text, |b| b.is_ascii_alphabetic(), buffer));
    }
    let kept = compose(retain(text.to_lowercase().into(), is_letter_or_mark));
    lettered(settle(kept, buffer))
}

fn is_letter_or_mark(character: char) -> bool {
    is_in(character, GeneralCategoryGroup::Letter) || is_in(character, GeneralCategoryGroup::Mark)
}

fn lettered(text: &str) -> Option<&str> {
    text.chars()
        .any(|c| is_in(c, GeneralCategoryGroup::Letter))
        .then_some(text)
}

/// `zp`: lower-case, up to the first dash, without white space; at least two characters. Nine
/// digits in the United States keep the first five.
pub(in crate::event) fn postal_code<'t>(
    text: &'t str,
    context: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    let head = if text.is_ascii() {
        text.split('-').next()
    } else {
        text.split(|c| is_in(c, GeneralCategoryGroup::DashPunctuation))
            .next()
    }?;
    let code = if head.is_ascii() {
        lower_ascii(head, |b| !is_space(char::from(b)), buffer)
    } else {
        settle(retain(head.to_lowercase().into(), |c| !is_space(c)), buffer)
    };
    if code.len() == 9 && code.bytes().all(|b| b.is_ascii_digit()) && context.is_in_us() {
        return code.get(..5);
    }
    (code.chars().nth(1).is_some()).then_some(code)
}

/// What a text in the place of a country names; it may be hashed already.
pub(in crate::event) fn named(text: &str, buffer: &mut String) -> Named {
    let text = trim(text);
    if text.is_empty() {
        return Named::Nothing;
    }
    let code = match digest::read(text) {
        Arrived::Digest(digest) => digested(digest.as_str()),
        Arrived::OfNothing | Arrived::Plain => code_of(text, buffer),
    };
    let letters = code.and_then(|code| code.as_bytes().try_into().ok());
    letters.map_or(Named::Elsewhere, Named::Country)
}

/// The country whose code has this digest.
fn digested(digest: &str) -> Option<&'static str> {
    static CODES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
        let codes = tables::COUNTRY_ALPHA2.iter();
        let digests = codes.filter_map(|code| Some((Sha256Hex::of(code)?.to_string(), *code)));
        digests.collect()
    });
    let hex = digest.split('.').next()?.to_ascii_lowercase();
    CODES.get(&hex).copied()
}

/// `country`: ISO 3166-1 alpha-2, lower-case, from a code or a name.
pub(in crate::event) fn country<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    code_of(text, buffer)
}

fn code_of(text: &str, buffer: &mut String) -> Option<&'static str> {
    let key = table_key(text, buffer);
    if key.len() == 2 {
        let code = tables::find(tables::COUNTRY_ALIASES, key).unwrap_or(key);
        return tables::find_in(tables::COUNTRY_ALPHA2, code);
    }
    let alpha3 = (key.len() == 3)
        .then(|| tables::find(tables::COUNTRY_ALPHA3, key))
        .flatten();
    let name = |key: &str| tables::find(tables::COUNTRY_NAMES, key);
    alpha3
        .or_else(|| name(key))
        .or_else(|| key.strip_prefix("the").and_then(name))
}

/// The form in which places are looked up: `&` written out, lower-case, decomposed, only `a`-`z`.
fn table_key<'t>(text: &'t str, buffer: &'t mut String) -> &'t str {
    if text.len() > LONGEST_NAME {
        return "";
    }
    if text.is_ascii() && !text.contains('&') {
        return lower_ascii(text, |b| b.is_ascii_alphabetic(), buffer);
    }
    let spelled = text.replace('&', "and").to_lowercase();
    let mut key = DecomposingNormalizer::new_nfd()
        .normalize(&spelled)
        .into_owned();
    key.retain(|c| c.is_ascii_lowercase());
    *buffer = key;
    buffer
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, context, normal};
    use super::*;

    fn named(text: &str) -> Named {
        super::named(text, &mut String::new())
    }

    #[test]
    fn cities() {
        check(
            city,
            &[
                ("São Paulo", "sãopaulo"),
                ("Sa\u{303}o Paulo", "sãopaulo"),
                ("29 Palms", "29palms"),
                ("東京", "東京"),
                ("St. Louis", "stlouis"),
                ("Kraków 2", "kraków2"),
                ("123", ""),
                ("١٢٣ €", ""),
            ],
        );
    }

    #[test]
    fn states() {
        check(
            state,
            &[
                ("California", "ca"),
                ("Québec", "qc"),
                ("Newfoundland & Labrador", "nl"),
                ("District of Columbia", "dc"),
                ("West Virginia", "wv"),
                ("Virginia Beach", "virginiabeach"),
                ("Île-de-France", "îledefrance"),
                ("Tennessee 37211", "tn"),
                ("Bosnia & Herzegovina", "bosniaherzegovina"),
                ("東京", "東京"),
                ("12-3", ""),
            ],
        );
    }

    #[test]
    fn postal_codes() {
        check(
            postal_code,
            &[
                ("94035-1234", "94035"),
                ("M1 1AE", "m11ae"),
                ("01310\u{2013}100", "01310"),
                ("940351234", "940351234"),
                ("1", ""),
                ("-94035", ""),
                ("é1", "é1"),
            ],
        );
        let in_us = Context {
            named: named("USA"),
            default_country: Some(*b"de"),
            ..context()
        };
        let cut = Some("94035".to_owned());
        assert_eq!(normal(postal_code, "940351234", &in_us), cut);
        let by_default = Context {
            default_country: Some(*b"us"),
            ..context()
        };
        assert_eq!(normal(postal_code, "940351234", &by_default), cut);
    }

    #[test]
    fn a_country_is_known_in_any_form() {
        let digest = Sha256Hex::of("de").unwrap().to_string();
        for text in ["Germany", "DEU", "de ", &digest, &digest.to_uppercase()] {
            assert_eq!(named(text), Named::Country(*b"de"), "{text}");
        }
        assert_eq!(named(&format!("{digest}.AQ")), Named::Country(*b"de"));
        assert_eq!(named(" "), Named::Nothing);
        assert_eq!(named("EU"), Named::Elsewhere);
        assert_eq!(
            named(&digest.replace(char::is_alphabetic, "0")),
            Named::Elsewhere
        );
    }

    #[test]
    fn countries() {
        check(
            country,
            &[
                ("US", "us"),
                ("UK", "gb"),
                ("USA", "us"),
                ("U.S.A.", "us"),
                ("The Netherlands", "nl"),
                ("Trinidad & Tobago", "tt"),
                ("Türkiye", "tr"),
                ("EU", ""),
                ("en-US", ""),
                ("Unitedstatesish", ""),
                ("840", ""),
                ("日本", ""),
            ],
        );
        assert_eq!(code_of(&"a".repeat(100_000), &mut String::new()), None);
    }
}
