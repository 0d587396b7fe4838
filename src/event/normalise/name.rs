//! Names of people, gender, and the short forms of names.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizer;
use icu_properties::props::GeneralCategoryGroup;

use super::super::tables;
use super::{Context, filled, is_in, is_space, lower, lower_ascii, retain, settle};

/// `fn`, `ln`: lower-case without white space and punctuation, composed.
pub(in crate::event) fn name<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    if text.is_ascii() {
        let keep = |b: u8| !b.is_ascii_punctuation() && !is_space(char::from(b));
        return filled(lower_ascii(text, keep, buffer));
    }
    let keep = |c| !is_space(c) && !is_punctuation(c);
    // again after composing, which turns a few marks into ASCII ones
    let composed = compose(retain(text.to_lowercase().into(), keep));
    filled(settle(retain(composed, keep), buffer))
}

/// Unicode punctuation, and the ASCII symbols that are punctuation to everyone else.
fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation() || is_in(character, GeneralCategoryGroup::Punctuation)
}

/// Canonical composition (NFC).
pub(super) fn compose(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() {
        return text;
    }
    let normalizer = ComposingNormalizer::new_nfc();
    match normalizer.normalize(&text) {
        Cow::Borrowed(whole) if whole.len() == text.len() => text,
        other => Cow::Owned(other.into_owned()),
    }
}

/// `ge`: the initial of a known word.
pub(in crate::event) fn gender<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    tables::find(tables::GENDERS, lower(text, buffer))
}

/// `f5first`, `f5last`: the first five characters, lower-case.
pub(in crate::event) fn first_five<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    filled(cut(lower(text, buffer), 5))
}

/// `fi`: the first character, lower-case.
pub(in crate::event) fn initial<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    filled(cut(lower(text, buffer), 1))
}

fn cut(text: &str, characters: usize) -> &str {
    let end = text.char_indices().nth(characters);
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;

    #[test]
    fn names_lose_space_case_and_punctuation() {
        check(
            name,
            &[
                ("Mary Ann", "maryann"),
                ("O\u{2019}Brien", "obrien"),
                ("Jean\u{2013}Luc", "jeanluc"),
                ("Mu\u{308}ller", "müller"),
                ("«Marie»", "marie"),
                ("a$+<=>^`|~b", "ab"),
                ("é$+<=>^`|~b", "éb"),
                ("€uro", "€uro"),
                ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
                ("정", "정"),
                ("张 伟", "张伟"),
                ("_-.", ""),
                ("\u{201c}\u{201d}", ""),
            ],
        );
    }

    #[test]
    fn gender_is_a_known_word_or_nothing() {
        check(
            gender,
            &[("Female", "f"), ("MR", "m"), ("F.", ""), ("x", "")],
        );
    }

    #[test]
    fn short_forms_count_characters() {
        check(first_five, &[("Valéry", "valér"), ("LEE", "lee")]);
        check(initial, &[("Élodie", "é"), ("山田", "山")]);
    }
}
