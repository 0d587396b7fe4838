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
    /// did. A code that the client gives without options stays, where the pair can be completed.
    pub(super) fn apply<'a>(&'a self, event: &mut RawEvent<'a>) -> bool {
        let Self::At(place) = self else {
            return false;
        };
        let options = event.data_processing_options;
        if options.is_some_and(|raw| json::shape(raw) != Shape::Null) {
            return false;
        }
        event.data_processing_options = Some("[\"LDU\"]");
        let country = &mut event.data_processing_options_country;
        let state = &mut event.data_processing_options_state;
        match (given(*country), given(*state)) {
            (None, None) => {
                (*country, *state) = (Some(place.country.as_str()), Some(place.state.as_str()));
            }
            (Some(own), None) => {
                let is_same = own == place.country;
                *state = Some(if is_same { &place.state } else { "0" });
            }
            // a state counts only in country 1
            (None, Some(own)) if own == "0" || place.country == "1" => {
                *country = Some(&place.country);
            }
            (None, Some(own)) if is_state(&own) => {
                (*country, *state) = (Some(place.country.as_str()), Some(place.state.as_str()));
            }
            // both are there, or there is something to refuse
            (_, Some(_)) => {}
        }
        true
    }
}

/// A code of the client's, as text; none where it says nothing.
fn given(raw: Option<&str>) -> Option<String> {
    let raw = raw?;
    if json::shape(raw) == Shape::Null {
        return None;
    }
    // what is no scalar is refused later, and so stays
    let text = json::scalar(raw).ok().flatten();
    let text = text.map_or_else(|| raw.to_owned(), |text| text.trim().to_owned());
    (!text.is_empty()).then_some(text)
}

fn is_state(text: &str) -> bool {
    text.parse()
        .is_ok_and(|code: u32| (1000..1100).contains(&code))
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
                (true, "[\"LDU\"] 0 0"),
            ),
            (
                r#"{"data_processing_options_country":"1","data_processing_options_state":""}"#,
                (true, "[\"LDU\"] \"1\" 1000"),
            ),
            (
                r#"{"data_processing_options_state":1013}"#,
                (true, "[\"LDU\"] 1 1013"),
            ),
            (
                r#"{"data_processing_options_country":0,"data_processing_options_state":0}"#,
                (true, "[\"LDU\"] 0 0"),
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
        for (event, want) in [
            ("{}", "[\"LDU\"] 0 0"),
            (r#"{"data_processing_options_country":1}"#, "[\"LDU\"] 1 0"),
            (r#"{"data_processing_options_state":1000}"#, "[\"LDU\"] 0 0"),
            (r#"{"data_processing_options_state":7}"#, "[\"LDU\"] - 7"),
        ] {
            assert_eq!(run(&anywhere, event), (true, want.to_owned()), "{event}");
        }
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
