//! E-mail addresses and phone numbers.

use std::borrow::Cow;

use super::{Context, filled, lower};

/// `em`: lower-case, and only if all of it is one address.
pub(in crate::event) fn email<'t>(text: &'t str, _: &Context) -> Option<Cow<'t, str>> {
    let address = lower(text);
    is_address(&address).then_some(address)
}

/// Whether the whole text is an e-mail address: atoms joined by single dots, `@`, and two or more
/// labels of letters, digits and inner hyphens.
pub(in crate::event) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atom_byte);
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    local.split('.').all(is_atom) && domain.contains('.') && domain.split('.').all(is_label)
}

pub(in crate::event) fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_!#$%&'*+/=?^`{|}~-".contains(&byte)
}

/// `ph`: the digits, without leading zeros.
///
/// Ten digits get the prefix `1` when the source's country is set to the United States and the
/// event names no other. A
/// bracketed trunk zero behind an international prefix (`+44 (0)20 …`) is not part of the number.
pub(in crate::event) fn phone<'t>(text: &'t str, context: &Context) -> Option<Cow<'t, str>> {
    let mut number = Cow::Borrowed(text);
    if (text.starts_with('+') || text.starts_with("00")) && text.contains("(0)") {
        number = Cow::Owned(text.replacen("(0)", "", 1));
    }
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        let mut digits = number.into_owned();
        digits.retain(|c| c.is_ascii_digit());
        number = Cow::Owned(digits);
    }
    if number.starts_with('0') {
        number = Cow::Owned(number.trim_start_matches('0').to_owned());
    }
    if number.len() == 10 && context.is_us_by_default() {
        number = Cow::Owned(format!("1{number}"));
    }
    filled(number)
}

#[cfg(test)]
mod tests {
    use super::super::Named;
    use super::super::testing::{check, context};
    use super::*;

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
    fn a_source_in_the_united_states_completes_ten_digits() {
        let mut context = context();
        context.default_country = Some(*b"us");
        assert_eq!(phone("(650)555-1212", &context).unwrap(), "16505551212");
        assert_eq!(phone("16505551212", &context).unwrap(), "16505551212");
        assert_eq!(phone("555-1212", &context).unwrap(), "5551212");
        context.named = Named::Elsewhere;
        assert_eq!(phone("(650)555-1212", &context).unwrap(), "6505551212");
        context.named = Named::Nothing;
        context.default_country = Some(*b"de");
        assert_eq!(phone("(650)555-1212", &context).unwrap(), "6505551212");
    }
}
