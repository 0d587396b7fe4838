//! E-mail addresses and phone numbers.

use super::plans::Plan;
use super::{Context, filled, lower};

/// `em`: lower-case, and only if all of it is one address.
pub(in crate::event) fn email<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    let address = lower(text, buffer);
    is_address(address).then_some(address)
}

/// Whether the whole text is an e-mail address: atoms joined by single dots, `@`, and two or more
/// labels of letters, digits and inner hyphens.
pub(in crate::event) fn is_address(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(at) = bytes.iter().position(|b| *b == b'@') else {
        return false;
    };
    let (local, domain) = bytes.split_at(at);
    let domain = domain.get(1..).unwrap_or_default();
    let is_atom = |atom: &[u8]| !atom.is_empty() && atom.iter().all(|b| is_atom_byte(*b));
    let is_label = |label: &[u8]| {
        !label.is_empty()
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
            && label
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let is_dot = |b: &u8| *b == b'.';
    local.split(is_dot).all(is_atom)
        && domain.iter().any(is_dot)
        && domain.split(is_dot).all(is_label)
}

pub(in crate::event) fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_!#$%&'*+/=?^`{|}~-".contains(&byte)
}

/// `ph`: the digits, without leading zeros.
///
/// With the person's country known, a number as it is written there gets the calling code where
/// that is certain. A bracketed trunk zero behind an international prefix (`+44 (0)20 …`) is not
/// part of the number, except in Italy's.
pub(in crate::event) fn phone<'t>(
    text: &'t str,
    context: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    number(text, context, buffer).0
}

/// As [`phone`], and whether its calling code is not known for sure. Where no country is known,
/// only a leading zero shows that it is missing.
pub(in crate::event) fn number<'t>(
    text: &str,
    context: &Context,
    buffer: &'t mut String,
) -> (Option<&'t str>, bool) {
    let mut lacks_code = false;
    if !read(text, buffer) {
        let country = context.country();
        let whole = country.and_then(Plan::of).and_then(|plan| {
            let (code, national) = plan.complete(buffer)?;
            Some((code, buffer.len() - national.len()))
        });
        match whole {
            Some((code, cut)) => buffer.replace_range(..cut, code),
            None => lacks_code = country.is_some() || buffer.starts_with('0'),
        }
    }
    (filled(buffer.trim_start_matches('0')), lacks_code)
}

/// Puts the digits of a telephone number into the buffer; says whether it was written behind `+` or
/// `00`, and so with its calling code.
fn read(text: &str, buffer: &mut String) -> bool {
    let starts = |c: char| c.is_ascii_digit() || matches!(c, '+' | '\u{ff0b}');
    let rest = text.trim_start_matches(|c| !starts(c));
    digits(text, buffer);
    if !rest.starts_with(['+', '\u{ff0b}']) && !rest.starts_with("00") {
        return false;
    }
    let is_italian = buffer.trim_start_matches('0').starts_with("39");
    if !is_italian && text.contains("(0)") {
        digits(&text.replacen("(0)", "", 1), buffer);
    }
    true
}

fn digits(text: &str, buffer: &mut String) {
    buffer.clear();
    buffer.extend(text.bytes().filter(u8::is_ascii_digit).map(char::from));
}

#[cfg(test)]
mod tests {
    use super::super::Named;
    use super::super::testing::{check, context};
    use super::*;

    fn phone_of(text: &str, context: &Context) -> String {
        let mut buffer = String::new();
        number(text, context, &mut buffer)
            .0
            .unwrap_or_default()
            .to_owned()
    }

    fn lacks_code(text: &str, context: &Context) -> bool {
        number(text, context, &mut String::new()).1
    }

    #[test]
    fn email_addresses() {
        check(
            email,
            &[
                (" John_Smith@Gmail.com", "john_smith@gmail.com"),
                (
                    "a.b+tag@xn--bcher-kva.example",
                    "a.b+tag@xn--bcher-kva.example",
                ),
                (
                    "!#$%&'*+/=?^`{|}~-@example.com",
                    "!#$%&'*+/=?^`{|}~-@example.com",
                ),
                ("a@b", ""),
                ("a@b@example.com", ""),
                ("a@example..com", ""),
                ("a@example.com.", ""),
                ("a b@example.com", ""),
                ("a@example.com, b@example.com", ""),
                ("jörg@example.de", ""),
                ("a@exam_ple.com", ""),
            ],
        );
    }

    #[test]
    fn phone_numbers() {
        check(
            phone,
            &[
                ("+1 (650) 555-1212", "16505551212"),
                ("0041 79 123 45 67", "41791234567"),
                ("+44 (0)20 7946 0958", "442079460958"),
                ("(0)20 7946 0958", "2079460958"),
                ("650-555-1212 x123", "6505551212123"),
                ("１６５０", ""),
                ("000", ""),
            ],
        );
    }

    #[test]
    fn international_numbers_are_known_by_their_prefix() {
        check(
            phone,
            &[
                ("tel:+49 (0)151 123", "49151123"),
                ("(+44) (0)20 7946 0958", "442079460958"),
                ("0044 (0)20 7946 0958", "442079460958"),
                ("+39 (0)6 1234 5678", "390612345678"),
                ("\u{ff0b}1 650 555 1212", "16505551212"),
            ],
        );
        let mut context = context();
        context.default_country = Some(*b"de");
        for text in ["+1 650 555 1212", "001 650 555 1212"] {
            assert_eq!(phone_of(text, &context), "16505551212");
            assert!(!lacks_code(text, &context));
        }
    }

    #[test]
    fn a_known_country_completes_its_numbers() {
        let mut context = context();
        assert!(!lacks_code("650", &context));
        context.default_country = Some(*b"us");
        assert_eq!(phone_of("(650)555-1212", &context), "16505551212");
        assert_eq!(phone_of("16505551212", &context), "16505551212");
        assert_eq!(phone_of("555-1212", &context), "5551212");
        assert!(lacks_code("555-1212", &context));
        context.named = Named::Elsewhere;
        assert_eq!(phone_of("(650)555-1212", &context), "6505551212");
        context.named = Named::Country(*b"gb");
        assert_eq!(phone_of("(020) 7946 0958", &context), "442079460958");
        context.named = Named::Nothing;
        context.default_country = Some(*b"de");
        assert_eq!(phone_of("(650)555-1212", &context), "6505551212");
        assert!(lacks_code("(650)555-1212", &context));
        assert_eq!(phone_of("0151 / 123 456 78", &context), "4915112345678");
        // no plan is known
        context.default_country = Some(*b"ar");
        assert_eq!(phone_of("011 4123-4567", &context), "1141234567");
        assert!(lacks_code("011 4123-4567", &context));
    }
}
