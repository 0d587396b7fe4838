//! The members of an event, and of its sections, in one pass.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{Flaw, Key, Member, Members, Scan, same};
use crate::event::MAX_MEMBERS;

/// The members of the event, in order.
pub(in crate::event) type Parts<'a> = SmallVec<[(Cow<'a, str>, Part<'a>); 16]>;

/// A member of the event itself.
pub(in crate::event) enum Part<'a> {
    /// The value as raw JSON text.
    Raw(&'a str),
    /// The members of a section.
    Section(Vec<Member<'a>>),
    /// A section that is null.
    Nothing,
    /// A section that is no object.
    NoObject,
}

/// The members of the event, with the members of its `sections` read in the same pass. A flaw
/// comes with the section it is in; that is empty for the event itself.
pub(in crate::event) fn outline<'a>(
    text: &'a str,
    sections: &'static [&'static str],
) -> Result<Parts<'a>, (&'static str, Flaw)> {
    match scan(text, sections) {
        Some(parts) => Ok(parts),
        None => parse(text, sections),
    }
}

/// Of an event in which nothing is unusual.
fn scan<'a>(text: &'a str, sections: &'static [&'static str]) -> Option<Parts<'a>> {
    let mut parts = Parts::new();
    let mut scan = Scan::new(text);
    scan.object(|scan, key| {
        let is_known = parts.iter().any(|(earlier, _)| same(earlier, key));
        if is_known || parts.len() == MAX_MEMBERS {
            return None;
        }
        let part = if sections.iter().any(|section| same(section, key)) {
            match scan.first_byte()? {
                b'{' => {
                    let mut members = Vec::new();
                    scan.members(&mut members)?;
                    Part::Section(members)
                }
                b'n' => {
                    scan.value()?;
                    Part::Nothing
                }
                _ => {
                    // an empty list
                    scan.list(|_| None)?;
                    Part::Section(Vec::new())
                }
            }
        } else {
            Part::Raw(scan.value()?)
        };
        parts.push((Cow::Borrowed(key), part));
        Some(())
    })?;
    scan.is_at_end().then_some(parts)
}

fn parse<'a>(
    text: &'a str,
    sections: &'static [&'static str],
) -> Result<Parts<'a>, (&'static str, Flaw)> {
    let mut flaw = ("", Flaw::Syntax);
    let mut json = serde_json::Deserializer::from_str(text);
    let visitor = Outline {
        sections,
        flaw: &mut flaw,
    };
    match json.deserialize_map(visitor) {
        Ok(parts) if json.end().is_ok() => Ok(parts),
        _ => Err(flaw),
    }
}

struct Outline<'f> {
    sections: &'static [&'static str],
    flaw: &'f mut (&'static str, Flaw),
}

impl<'de> Visitor<'de> for Outline<'_> {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Parts::new();
        while let Some(Key(key)) = map.next_key()? {
            if parts.len() == MAX_MEMBERS {
                self.flaw.1 = Flaw::TooMany;
                return Err(A::Error::custom(""));
            }
            if parts.iter().any(|(earlier, _)| same(earlier, &key)) {
                self.flaw.1 = Flaw::Repeated(key.into_owned());
                return Err(A::Error::custom(""));
            }
            let section = self.sections.iter().find(|section| same(section, &key));
            let part = if let Some(section) = section {
                self.flaw.0 = section;
                let part = map.next_value_seed(Section(&mut self.flaw.1))?;
                self.flaw.0 = "";
                part
            } else {
                Part::Raw(map.next_value::<&RawValue>()?.get())
            };
            parts.push((key, part));
        }
        Ok(parts)
    }
}

struct Section<'f>(&'f mut Flaw);

impl<'de> DeserializeSeed<'de> for Section<'_> {
    type Value = Part<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Part<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Section<'_> {
    type Value = Part<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part<'de>, A::Error> {
        let mut members = Vec::new();
        let visitor = Members {
            members: &mut members,
            flaw: self.0,
        };
        visitor.visit_map(map)?;
        Ok(Part::Section(members))
    }

    /// An empty list stands for an empty object, because that is how PHP writes one.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part<'de>, A::Error> {
        let mut part = Part::Section(Vec::new());
        while list.next_element::<IgnoredAny>()?.is_some() {
            part = Part::NoObject;
        }
        Ok(part)
    }

    fn visit_unit<E: Error>(self) -> Result<Part<'de>, E> {
        Ok(Part::Nothing)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Part<'de>, E> {
        Ok(Part::NoObject)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Part<'de>, E> {
        Ok(Part::NoObject)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Part<'de>, E> {
        Ok(Part::NoObject)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Part<'de>, E> {
        Ok(Part::NoObject)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Part<'de>, E> {
        Ok(Part::NoObject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_in_the_same_pass() {
        let text = r#"{"a":[1],"s":{"b":1.50},"t":null,"u":[],"v":[1],"w":7,"x":"s"}"#;
        let parts = outline(text, &["s", "t", "u", "v", "w", "x"]).ok().unwrap();
        let mut parts = parts.into_iter().map(|(_, part)| part);
        assert!(matches!(parts.next(), Some(Part::Raw("[1]"))));
        let Some(Part::Section(members)) = parts.next() else {
            panic!("a section");
        };
        assert_eq!(members, [(Cow::from("b"), "1.50")]);
        assert!(matches!(parts.next(), Some(Part::Nothing)));
        assert!(matches!(parts.next(), Some(Part::Section(empty)) if empty.is_empty()));
        assert!(parts.all(|part| matches!(part, Part::NoObject)));
    }

    #[test]
    fn a_flaw_comes_with_its_section() {
        let flaw = |text| outline(text, &["s"]).err();
        let repeated = |key: &str| Flaw::Repeated(key.to_owned());
        assert_eq!(flaw(r#"{"a":1,"a":2}"#), Some(("", repeated("a"))));
        assert_eq!(flaw(r#"{"s":{"a":1,"a":2}}"#), Some(("s", repeated("a"))));
        assert_eq!(flaw(r#"{"s":{},"s":{}}"#), Some(("", repeated("s"))));
        assert_eq!(flaw(r#"{"s":{"a"}}"#), Some(("s", Flaw::Syntax)));
        assert_eq!(flaw("{} x"), Some(("", Flaw::Syntax)));
    }
}
