//! What an event gets that says nothing about Limited Data Use.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::event::RawEvent;
use crate::event::json::{self, Shape};

/// The place that Limited Data Use is asked for, or that the event passes as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LimitedDataUse {
    /// Nothing is added.
    #[default]
    Pass,
    /// `["LDU"]` is added, with this place.
    At(Place),
}

/// Where Limited Data Use is asked for, in Meta's codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    country: String,
    state: String,
}

/// Why a value is not a [`LimitedDataUse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"pass\", or a table of Meta's codes: {{ country = 0, state = 0 }} lets Meta find the place, {{ country = 1, state = 1000 }} is California (1000 to 1099, or 0)"
)]
pub struct LimitedDataUseError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Codes {
    country: u32,
    state: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Word(String),
    Place(Codes),
}

impl LimitedDataUse {
    /// Limited Data Use by default in a place: 0 and 0 lets Meta find it.
    pub fn at(country: u32, state: u32) -> Result<Self, LimitedDataUseError> {
        let is_state = state == 0 || (country == 1 && (1000..1100).contains(&state));
        if country > 1 || !is_state {
            return Err(LimitedDataUseError);
        }
        Ok(Self::At(Place {
            country: country.to_string(),
            state: state.to_string(),
        }))
    }

    /// Adds the default to an event that says nothing of its own, not even `[]`; says whether it
    /// did. A place without options says nothing, but it stays.
    pub(super) fn apply<'a>(&'a self, event: &mut RawEvent<'a>) -> bool {
        let Self::At(place) = self else {
            return false;
        };
        let is_absent = |raw: Option<&str>| raw.is_none_or(|raw| json::shape(raw) == Shape::Null);
        if !is_absent(event.data_processing_options) {
            return false;
        }
        event.data_processing_options = Some("[\"LDU\"]");
        if is_absent(event.data_processing_options_country)
            && is_absent(event.data_processing_options_state)
        {
            event.data_processing_options_country = Some(&place.country);
            event.data_processing_options_state = Some(&place.state);
        }
        true
    }
}

impl Serialize for LimitedDataUse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pass => serializer.serialize_str("pass"),
            Self::At(place) => {
                let code = |digits: &str| digits.parse().map_err(serde::ser::Error::custom);
                let (country, state) = (code(&place.country)?, code(&place.state)?);
                Codes { country, state }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for LimitedDataUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |_| de::Error::custom(LimitedDataUseError);
        match Written::deserialize(deserializer).map_err(wrong)? {
            Written::Word(word) if word == "pass" => Ok(Self::Pass),
            Written::Place(codes) => {
                Self::at(codes.country, codes.state).map_err(de::Error::custom)
            }
            Written::Word(_) => Err(de::Error::custom(LimitedDataUseError)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_nothing_gets_the_default() {
        let california = LimitedDataUse::at(1, 1000).unwrap();
        let run = |policy: &LimitedDataUse, event: &str| {
            let mut raw = RawEvent::parse(event).unwrap();
            // its own lifetime, since the event borrows the policy
            let changed = policy.apply(&mut raw);
            let all = [
                raw.data_processing_options,
                raw.data_processing_options_country,
                raw.data_processing_options_state,
            ];
            let all = all.map(|raw| raw.unwrap_or("-").to_owned());
            (changed, all.join(" "))
        };
        for (event, want) in [
            ("{}", (true, "[\"LDU\"] 1 1000")),
            (
                r#"{"data_processing_options":null}"#,
                (true, "[\"LDU\"] 1 1000"),
            ),
            (r#"{"data_processing_options":[]}"#, (false, "[] - -")),
            (
                r#"{"data_processing_options":["LDU"]}"#,
                (false, "[\"LDU\"] - -"),
            ),
            (
                r#"{"data_processing_options":["LDU"],"data_processing_options_country":0,"data_processing_options_state":0}"#,
                (false, "[\"LDU\"] 0 0"),
            ),
            (
                r#"{"data_processing_options_country":0}"#,
                (true, "[\"LDU\"] 0 -"),
            ),
        ] {
            let (changed, text) = run(&california, event);
            assert_eq!((changed, text.as_str()), want, "{event}");
        }
        assert_eq!(
            run(&LimitedDataUse::Pass, "{}"),
            (false, "- - -".to_owned())
        );
        let anywhere = LimitedDataUse::at(0, 0).unwrap();
        assert_eq!(run(&anywhere, "{}"), (true, "[\"LDU\"] 0 0".to_owned()));
    }

    #[test]
    fn what_is_written_reads_back() {
        for good in [
            "\"pass\"",
            r#"{"country":1,"state":1013}"#,
            r#"{"country":0,"state":0}"#,
            r#"{"country":1,"state":0}"#,
        ] {
            let value: LimitedDataUse = serde_json::from_str(good).unwrap();
            assert_eq!(serde_json::to_string(&value).unwrap(), good);
        }
        for bad in [
            "\"off\"",
            "true",
            r#"{"country":1}"#,
            r#"{"country":2,"state":0}"#,
            r#"{"country":0,"state":1000}"#,
            r#"{"country":1,"state":999}"#,
            r#"{"country":1,"state":1000,"zip":1}"#,
            r#"{"country":"1","state":"1000"}"#,
        ] {
            let error = serde_json::from_str::<LimitedDataUse>(bad).unwrap_err();
            assert!(error.to_string().contains("\"pass\", or a table"), "{bad}");
        }
    }
}
