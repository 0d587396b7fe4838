//! The table of `user_data` fields: hashed or passed, under which rule, and which other names
//! clients use for them.

use super::json;
use super::normalise::{Rule, contact, date, identifier, name, place};

/// What becomes of a field's value once it is in its normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treat {
    /// SHA-256, sent as a list; one value or a list is taken.
    Hash,
    /// Sent in clear as a string; one value is taken.
    Pass,
    /// Sent in clear as an integer; one value is taken.
    PassInteger,
}

/// One field of `user_data`.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) treat: Treat,
    pub(super) normalise: Rule,
    /// Which of Meta's four too broad combinations of match keys the field is part of, a bit
    /// each: place, gender and browser; birthday and browser; first name and gender; last name
    /// and gender. An event whose fields all share one of them identifies nobody.
    pub(super) too_broad: u8,
}

/// All four combinations: what an event without any field is part of.
pub(super) const EVERY_BROAD: u8 = 0b1111;
const PLACE: u8 = 0b0001;
const BIRTH: u8 = 0b0010;
const FIRST: u8 = 0b0100;
const LAST: u8 = 0b1000;

const fn hashed(key: &'static str, normalise: Rule, too_broad: u8) -> Field {
    Field {
        key,
        treat: Treat::Hash,
        normalise,
        too_broad,
    }
}

const fn passed(key: &'static str, normalise: Rule) -> Field {
    Field {
        key,
        treat: Treat::Pass,
        normalise,
        too_broad: 0,
    }
}

const fn integer(key: &'static str) -> Field {
    Field {
        key,
        treat: Treat::PassInteger,
        normalise: identifier::digits,
        too_broad: 0,
    }
}

/// The commonest first, because the table is searched from the top.
static FIELDS: [Field; FIELD_COUNT] = [
    hashed("em", contact::email, 0),
    hashed("ph", contact::phone, 0),
    hashed("fn", name::name, FIRST),
    hashed("ln", name::name, LAST),
    hashed("ct", place::city, PLACE),
    hashed("st", place::state, PLACE),
    hashed("zp", place::postal_code, PLACE),
    hashed("country", place::country, PLACE),
    hashed("external_id", identifier::external, 0),
    passed("client_ip_address", identifier::address),
    Field {
        key: "client_user_agent",
        treat: Treat::Pass,
        normalise: identifier::plain,
        too_broad: PLACE | BIRTH,
    },
    passed("fbc", identifier::click),
    passed("fbp", identifier::click),
    hashed("ge", name::gender, PLACE | FIRST | LAST),
    hashed("db", date::birth, BIRTH),
    passed("madid", identifier::mobile),
    passed("anon_id", identifier::plain),
    integer("lead_id"),
    integer("fb_login_id"),
    passed("subscription_id", identifier::plain),
    passed("ctwa_clid", identifier::plain),
    passed("page_id", identifier::plain),
    passed("page_scoped_user_id", identifier::plain),
    passed("whatsapp_business_account_id", identifier::plain),
    passed("instagram_business_account_id", identifier::plain),
    passed("ig_account_id", identifier::plain),
    passed("ig_sid", identifier::plain),
    hashed("f5first", name::first_five, 0),
    hashed("f5last", name::first_five, 0),
    hashed("fi", name::initial, 0),
    hashed("dobd", date::birth_day, 0),
    hashed("dobm", date::birth_month, 0),
    hashed("doby", date::birth_year, 0),
    passed("app_user_id", identifier::plain),
    passed("partner_id", identifier::plain),
    passed("partner_name", identifier::plain),
];

/// How many fields there are; a set of them fits a `u64`.
pub(super) const FIELD_COUNT: usize = 36;

/// Other names of fields that clients send.
static ALIASES: &[(&str, &str)] = &[
    ("birth_date", "db"),
    ("birthdate", "db"),
    ("birthday", "db"),
    ("city", "ct"),
    ("client_ip", "client_ip_address"),
    ("country_code", "country"),
    ("date_of_birth", "db"),
    ("dob", "db"),
    ("email", "em"),
    ("email_address", "em"),
    ("emails", "em"),
    ("external_ids", "external_id"),
    ("first_name", "fn"),
    ("firstname", "fn"),
    ("gen", "ge"),
    ("gender", "ge"),
    ("ip_address", "client_ip_address"),
    ("last_name", "ln"),
    ("lastname", "ln"),
    ("phone", "ph"),
    ("phone_number", "ph"),
    ("phones", "ph"),
    ("postal_code", "zp"),
    ("postcode", "zp"),
    ("province", "st"),
    ("state", "st"),
    ("surname", "ln"),
    ("user_agent", "client_user_agent"),
    ("zip", "zp"),
    ("zip_code", "zp"),
    ("zipcode", "zp"),
];

impl Field {
    /// Whether the value is hashed, and so may be a list.
    pub(super) fn is_hashed(&self) -> bool {
        self.treat == Treat::Hash
    }
}

/// Every field, in the order of the table.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter()
}

/// The field at a place of the table.
pub(super) fn at(index: usize) -> Option<&'static Field> {
    FIELDS.get(index)
}

/// The place of a key in the table.
pub(super) fn index_of(key: &str) -> Option<usize> {
    FIELDS.iter().position(|field| json::same(field.key, key))
}

/// The place of the field that a key is read as: its own name, or another in any case.
pub(super) fn read(key: &str) -> Option<usize> {
    index_of(key).or_else(|| index_of_alias(key))
}

/// The place of the field that `key` is another name for; case does not count.
pub(super) fn index_of_alias(key: &str) -> Option<usize> {
    let lower = key.to_ascii_lowercase();
    let at = ALIASES
        .binary_search_by(|(alias, _)| (*alias).cmp(&lower))
        .ok();
    match at.and_then(|at| ALIASES.get(at)) {
        Some((_, field)) => index_of(field),
        None => index_of(&lower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_sorted_and_lead_to_a_field() {
        assert!(ALIASES.is_sorted());
        for (alias, field) in ALIASES {
            assert!(index_of(alias).is_none(), "{alias} is a field itself");
            assert_eq!(index_of_alias(alias), index_of(field));
            assert!(index_of(field).is_some(), "{field}");
        }
        assert_eq!(index_of_alias("Email"), index_of("em"));
        assert_eq!(index_of_alias("EM"), index_of("em"));
        assert_eq!(index_of_alias("shoe_size"), None);
    }

    #[test]
    fn keys_are_unique_and_fit_a_set() {
        for (index, field) in FIELDS.iter().enumerate() {
            assert_eq!(index_of(field.key), Some(index));
        }
        assert!(FIELDS.len() <= 64);
    }
}
