//! What is passed through is still looked at.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Flaw, Key, Shape, is_finite, same, shape, text};
use crate::event::{MAX_ITEMS, MAX_MEMBERS, firewall};

/// Checks a value that is to be passed through: whole surrogate pairs, finite numbers, no key
/// twice, bounded lists. Says whether the firewall should have a closer look.
pub(in crate::event) fn vet(raw: &str) -> Result<bool, Flaw> {
    match shape(raw) {
        // what has a backslash is suspect in any case
        Shape::Text if !firewall::is_suspect(raw) => return Ok(false),
        Shape::Text => return text(raw).map(|text| firewall::is_suspect(&text)),
        Shape::Bool(_) | Shape::Null => return Ok(false),
        Shape::Number if is_finite(raw) => return Ok(false),
        Shape::Number => return Err(Flaw::Syntax),
        Shape::List | Shape::Object => {}
    }
    let mut walk = Walk {
        keys: Vec::new(),
        suspect: false,
        flaw: Flaw::Syntax,
    };
    let mut json = serde_json::Deserializer::from_str(raw);
    match Step(&mut walk).deserialize(&mut json) {
        Ok(()) if json.end().is_ok() => Ok(walk.suspect),
        _ => Err(walk.flaw),
    }
}

struct Walk<'de> {
    /// The keys of all objects that are open, the innermost last.
    keys: Vec<Cow<'de, str>>,
    suspect: bool,
    flaw: Flaw,
}

struct Step<'w, 'de>(&'w mut Walk<'de>);

impl<'de> DeserializeSeed<'de> for Step<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.is_finite() {
            Ok(())
        } else {
            Err(E::custom(""))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.suspect |= firewall::is_suspect(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut count = 0;
        while list.next_element_seed(Step(&mut *self.0))?.is_some() {
            count += 1;
            if count > MAX_ITEMS {
                self.0.flaw = Flaw::TooMany;
                return Err(A::Error::custom(""));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let first = self.0.keys.len();
        while let Some(Key(key)) = map.next_key()? {
            let siblings = self.0.keys.get(first..).unwrap_or_default();
            if siblings.len() == MAX_MEMBERS {
                self.0.flaw = Flaw::TooMany;
                return Err(A::Error::custom(""));
            }
            if siblings.iter().any(|earlier| same(earlier, &key)) {
                self.0.flaw = Flaw::Repeated(key.into_owned());
                return Err(A::Error::custom(""));
            }
            self.0.suspect |=
                firewall::is_suspect(&key) || firewall::names_a_secret(key.as_bytes());
            self.0.keys.push(key);
            map.next_value_seed(Step(&mut *self.0))?;
        }
        self.0.keys.truncate(first);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_through_is_still_checked() {
        assert_eq!(vet(r#"{"a":[1,2.5,"x",null,true,{"a":1}]}"#), Ok(false));
        assert_eq!(vet(r#"{"a":["jane@example.com"]}"#), Ok(true));
        assert_eq!(vet(r#"{"jane@example.com":1}"#), Ok(true));
        assert_eq!(vet(r#"{"phone":1}"#), Ok(true));
        assert_eq!(
            vet(r#"{"a":{"b":1,"b":2}}"#),
            Err(Flaw::Repeated("b".into()))
        );
        for bad in [r#"["\ud800"]"#, "[1e999]", "1e999", r#""\udc00""#] {
            assert_eq!(vet(bad), Err(Flaw::Syntax), "{bad}");
        }
        let long = format!("[{}1]", "1,".repeat(MAX_ITEMS));
        assert_eq!(vet(&long), Err(Flaw::TooMany));
    }
}
