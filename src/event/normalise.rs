//! How a value is brought to the one form that is hashed or forwarded: one function a rule.
//!
//! Every function takes text without white space at its ends and gives the normal form, or `None`
//! when there is nothing usable. Each is idempotent: a normal form is its own normal form. What
//! differs from the text is written into a buffer of the caller's, one for all values of an event.
//!
//! "White space" is the Unicode property White_Space and U+FEFF; "lower-case" is Unicode
//! lower-casing of the whole string, so a Greek final sigma depends on its place.

pub(super) mod contact;
pub(super) mod date;
pub(super) mod identifier;
pub(super) mod name;
pub(super) mod place;
mod plans;

use std::borrow::Cow;

use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};

use super::ExternalId;
use crate::time::UnixMs;

/// A rule: from trimmed text to its normal form, which is a part of the text or stands in the
/// buffer; what was in the buffer before is lost.
pub(super) type Rule = for<'t> fn(&'t str, &Context, &'t mut String) -> Option<&'t str>;

/// What a rule may know beside the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The moment of arrival; it bounds years of birth.
    pub(super) now: UnixMs,
    /// The country of the source, lower-case alpha-2.
    pub(super) default_country: Option<[u8; 2]>,
    /// The country the event itself names.
    pub(super) named: Named,
    /// The form of external ids.
    pub(super) external_id: ExternalId,
}

/// The country an event names, as far as rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// None.
    Nothing,
    /// This one, lower-case alpha-2; it may have been named in any form, also hashed.
    Country([u8; 2]),
    /// Something that is no country.
    Elsewhere,
}

impl Context {
    /// The country of the person: the one that the event names, else that of its source.
    pub(super) fn country(&self) -> Option<[u8; 2]> {
        match self.named {
            Named::Country(country) => Some(country),
            Named::Nothing => self.default_country,
            Named::Elsewhere => None,
        }
    }

    /// Whether the person is in the United States.
    pub(super) fn is_in_us(&self) -> bool {
        self.country() == Some(*b"us")
    }
}

static CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();

/// Whether a character is of one of these general categories.
fn is_in(character: char, group: GeneralCategoryGroup) -> bool {
    group.contains(CATEGORY.get(character))
}

pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

/// The text without white space at its ends.
pub(super) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [one] if one.is_ascii_graphic() => text,
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim_matches(is_space),
    }
}

fn lower<'t>(text: &'t str, buffer: &'t mut String) -> &'t str {
    if text.is_ascii() {
        lower_ascii(text, |_| true, buffer)
    } else {
        *buffer = text.to_lowercase();
        buffer
    }
}

/// Lower-cases ASCII text, keeping only the bytes that `keep` takes, whatever their case.
fn lower_ascii<'t>(text: &'t str, keep: impl Fn(u8) -> bool, buffer: &'t mut String) -> &'t str {
    let (mut all_kept, mut any_upper) = (true, false);
    for byte in text.bytes() {
        all_kept &= keep(byte);
        any_upper |= byte.is_ascii_uppercase();
    }
    if all_kept && !any_upper {
        return text;
    }
    buffer.clear();
    buffer.push_str(text);
    buffer.make_ascii_lowercase();
    if !all_kept {
        buffer.retain(|c| u8::try_from(c).is_ok_and(&keep));
    }
    buffer
}

/// The text as a rule gives it.
fn settle<'t>(text: Cow<'t, str>, buffer: &'t mut String) -> &'t str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => {
            *buffer = text;
            buffer
        }
    }
}

/// Drops the characters that `keep` does not take.
fn retain(text: Cow<'_, str>, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&keep) {
        text
    } else {
        Cow::Owned(text.chars().filter(|c| keep(*c)).collect())
    }
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A context at 2026-11-22 with no country known.
    pub(in crate::event) fn context() -> Context {
        Context {
            now: UnixMs::from_secs(1_795_341_600),
            default_country: None,
            named: Named::Nothing,
            external_id: ExternalId::Hash,
        }
    }

    /// What a rule makes of a text, with something else in the buffer before.
    pub(in crate::event) fn normal(rule: Rule, text: &str, context: &Context) -> Option<String> {
        let mut buffer = "Of another value".to_owned();
        rule(text, context, &mut buffer).map(str::to_owned)
    }

    /// What a rule makes of each input; the empty string stands for nothing.
    pub(in crate::event) fn check(rule: Rule, cases: &[(&str, &str)]) {
        for (raw, want) in cases {
            let got = normal(rule, trim(raw), &context()).unwrap_or_default();
            assert_eq!(got, *want, "{raw:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::field;
    use super::testing::{context, normal};
    use super::*;

    #[test]
    fn trimming_takes_every_kind_of_white_space() {
        assert_eq!(trim("\u{feff}\u{a0} a b\u{3000}\n"), "a b");
        assert_eq!(trim("\u{2028}"), "");
        assert_eq!(trim("é "), "é");
        assert_eq!(trim("x"), "x");
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_normal_form(text in any_text()) {
            for known in field::all() {
                let context = context();
                let Some(once) = normal(known.normalise, trim(&text), &context) else { continue };
                let twice = normal(known.normalise, &once, &context);
                prop_assert_eq!(twice.as_deref(), Some(&*once), "{}", known.key);
                prop_assert!(!once.is_empty(), "{}", known.key);
            }
        }

        #[test]
        fn case_and_outer_space_do_not_change_a_hash(text in "[A-Za-z0-9 .@'-]{0,24}") {
            for known in field::all().filter(|known| known.is_hashed()) {
                let context = context();
                let upper = format!(" \u{a0}{}\t", text.to_uppercase());
                prop_assert_eq!(
                    normal(known.normalise, trim(&text), &context),
                    normal(known.normalise, trim(&upper), &context),
                    "{}", known.key
                );
            }
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "\\PC{0,20}",
            "[a-zA-Z0-9@. _-]{0,30}",
            "[0-9]{1,4}[-/. ][0-9]{1,4}[-/. ][0-9]{1,4}",
            "[ΑΣσςaİıÅ\u{301}\u{308}'’&-]{0,10}",
        ]
    }
}
