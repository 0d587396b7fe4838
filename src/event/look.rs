//! What a person may see of `user_data` before it is hashed.

use std::borrow::Cow;
use std::fmt;

/// One member of `user_data`: how it was understood, and what becomes of its values.
///
/// It holds no value: of one that is hashed the digest's beginning, its length, and of an e-mail
/// address at most the first letter and the top-level domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Where the client put it, such as `user_data.email`.
    pub path: Cow<'static, str>,
    /// Meta's name of the field; none for one that Meta does not have.
    pub field: Option<&'static str>,
    /// What becomes of each of its values.
    pub values: Vec<Becomes>,
}

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It is normalised and hashed.
    Hashed {
        /// The normal form, masked.
        masked: String,
        /// The beginning of its digest.
        digest: String,
    },
    /// It arrived hashed and stays as it is; the beginning of its digest.
    Digest(String),
    /// It is sent in clear; how many characters it has in its normal form.
    Clear(usize),
    /// It is left out, for this reason.
    Dropped(&'static str),
}

/// Characters of a digest that are shown.
const DIGEST_SHOWN: usize = 12;

impl Becomes {
    pub(in crate::event) fn hashed(field: &str, normal: &str, digest: &str) -> Self {
        Self::Hashed {
            masked: masked(field, normal),
            digest: beginning(digest),
        }
    }

    pub(in crate::event) fn digest(digest: &str) -> Self {
        Self::Digest(beginning(digest))
    }
}

fn beginning(digest: &str) -> String {
    digest.chars().take(DIGEST_SHOWN).collect()
}

/// How many characters, and of an address at most a first letter and the top-level domain: a
/// letter that is one of a few tells nobody.
fn masked(field: &str, normal: &str) -> String {
    let length = normal.chars().count();
    let address = normal.split_once('@').filter(|_| field == "em");
    let parts = address.and_then(|(local, domain)| {
        let (_, top) = domain.rsplit_once('.')?;
        let first = local.chars().next().filter(|_| local.chars().count() > 2)?;
        let is_plain = top.bytes().all(|b| b.is_ascii_lowercase()) && top.len() <= 8;
        (first.is_ascii_lowercase() && is_plain).then_some((first, top))
    });
    match parts {
        Some((first, top)) => format!("{first}***@***.{top}, {length} characters"),
        None => format!("{length} characters"),
    }
}

impl fmt::Display for Becomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashed { masked, digest } => {
                write!(f, "normalised to {masked}; sent as SHA-256 {digest}…")
            }
            Self::Digest(digest) => write!(f, "arrived as SHA-256 {digest}…; sent as it is"),
            Self::Clear(1) => f.write_str("sent in clear, 1 character"),
            Self::Clear(length) => write!(f, "sent in clear, {length} characters"),
            Self::Dropped(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_shown_of_an_address_and_nothing_of_anything_else() {
        for (field, normal, want) in [
            ("em", "jane.doe@example.com", "j***@***.com, 20 characters"),
            ("em", "jo@example.com", "14 characters"),
            ("em", "jane@localhost", "14 characters"),
            ("em", "jane@example.verylongone", "24 characters"),
            ("em", "7ane@example.com", "16 characters"),
            ("ph", "49301234567", "11 characters"),
            ("fn", "jane@x.io", "9 characters"),
            ("ge", "f", "1 characters"),
        ] {
            assert_eq!(masked(field, normal), want, "{normal}");
        }
        let shown = Becomes::hashed("ph", "49301234567", &"ab".repeat(32)).to_string();
        assert_eq!(
            shown,
            "normalised to 11 characters; sent as SHA-256 abababababab…"
        );
        assert_eq!(Becomes::Clear(3).to_string(), "sent in clear, 3 characters");
    }
}
