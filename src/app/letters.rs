//! Reads which dead letters an operator means, as it is written in a query, in JSON or on a
//! command line.

use std::time::Duration;

use serde_json::Value;

use crate::config::units::{Span, UnitError};
use crate::journal::dead::{Filter, LetterIdError, Number};
use crate::pixel::PixelIdError;
use crate::telemetry::metrics::DEAD_REASONS;

/// The conditions there are.
pub const KEYS: &[&str] = &[
    "pixel",
    "reason",
    "event_name",
    "code",
    "subcode",
    "older_than",
    "newer_than",
    "ids",
];

/// What the log says of a redrive or purge: the conditions and what else was chosen.
pub const CHANGE: &[&str] = &[
    "pixel",
    "reason",
    "event_name",
    "code",
    "subcode",
    "older_than",
    "newer_than",
    "ids",
    "all",
    "include_unconfirmed",
    "dry_run",
];

/// Why a text is not a filter. It does not repeat what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// There is no such condition.
    #[error(
        "unknown condition; there are pixel, reason, event_name, code, subcode, older_than, newer_than and ids"
    )]
    Unknown,
    /// Not a pixel.
    #[error("pixel: {0}")]
    Pixel(#[from] PixelIdError),
    /// No reason that an event is given up for.
    #[error("reason: expected one of {}", DEAD_REASONS.join(", "))]
    Reason,
    /// Not a number.
    #[error("{0}: expected a whole number, such as 100, or none for letters without")]
    Number(&'static str),
    /// Not an age.
    #[error("{0}: expected {1}, such as 2h or 7d")]
    Age(&'static str, UnitError),
    /// Not an id.
    #[error("ids: {0}; several stand with commas between them")]
    Id(#[from] LetterIdError),
    /// A list of ids without one: it would mean every letter.
    #[error("ids: the list is empty")]
    NoIds,
    /// JSON that is no object of texts, numbers and lists of them.
    #[error("a filter is a JSON object, its values texts, numbers, or a list of ids")]
    Shape,
}

impl FilterError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        "bad_filter"
    }

    /// The condition that it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Unknown | Self::Shape => "the filter",
            Self::Pixel(_) => "pixel",
            Self::Reason => "reason",
            Self::Number(name) | Self::Age(name, _) => name,
            Self::Id(_) | Self::NoIds => "ids",
        }
    }
}

/// The filter that `pairs` of key and value make. Blanks around a value do not count, an empty
/// value is no condition, and `ids` may stand several times, each with several ids between commas.
///
/// Who removes letters by a filter should ask again when it [is empty](Filter::is_empty).
pub fn filter<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    for (key, value) in pairs {
        set(&mut filter, key, value.trim())?;
    }
    Ok(filter)
}

/// The same from a JSON object: `{"pixel":"1","older_than":"2h","code":100,"ids":["1-0"]}`. A
/// `null` is no condition.
pub fn filter_of_json(value: &Value) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    for (key, value) in value.as_object().ok_or(FilterError::Shape)? {
        match value {
            Value::Array(list) if list.is_empty() => return Err(FilterError::NoIds),
            Value::Array(list) => {
                for one in list {
                    set(&mut filter, key, text(one)?.trim())?;
                }
            }
            one => set(&mut filter, key, text(one)?.trim())?,
        }
    }
    Ok(filter)
}

fn text(value: &Value) -> Result<String, FilterError> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(FilterError::Shape),
    }
}

fn set(filter: &mut Filter, key: &str, value: &str) -> Result<(), FilterError> {
    let Some(key) = KEYS.iter().find(|known| **known == key) else {
        return Err(FilterError::Unknown);
    };
    if value.is_empty() && *key != "ids" {
        return Ok(());
    }
    match *key {
        "pixel" => filter.pixel = Some(value.parse()?),
        "reason" => {
            let word = value.to_ascii_lowercase();
            if !DEAD_REASONS.contains(&word.as_str()) {
                return Err(FilterError::Reason);
            }
            filter.reason = Some(word);
        }
        "event_name" => filter.event_name = Some(value.to_owned()),
        "code" => filter.code = Some(number("code", value)?),
        "subcode" => filter.subcode = Some(number("subcode", value)?),
        "older_than" => filter.older_than = Some(age("older_than", value)?),
        "newer_than" => filter.newer_than = Some(age("newer_than", value)?),
        _ => {
            let before = filter.ids.len();
            for id in value.split([',', ' ']).filter(|id| !id.is_empty()) {
                filter.ids.push(id.parse()?);
            }
            if filter.ids.len() == before {
                return Err(FilterError::NoIds);
            }
        }
    }
    Ok(())
}

fn number(key: &'static str, value: &str) -> Result<Number, FilterError> {
    value.parse().map_err(|_| FilterError::Number(key))
}

fn age(key: &'static str, value: &str) -> Result<Duration, FilterError> {
    let span: Result<Span, UnitError> = value.parse();
    span.map(Span::get)
        .map_err(|error| FilterError::Age(key, error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_and_json_say_the_same() {
        let pairs = [
            ("pixel", " 12 "),
            ("reason", "Refused"),
            ("event_name", "Buy it"),
            ("code", "100"),
            ("subcode", ""),
            ("older_than", "2h"),
            ("newer_than", "7d"),
            ("ids", "1-0, 1-20"),
            ("ids", "2-5"),
        ];
        let from_pairs = filter(pairs).unwrap();
        let expected = Filter {
            pixel: Some("12".parse().unwrap()),
            reason: Some("refused".to_owned()),
            event_name: Some("Buy it".to_owned()),
            code: Some(Number::Is(100)),
            subcode: None,
            older_than: Some(Duration::from_hours(2)),
            newer_than: Some(Duration::from_hours(7 * 24)),
            ids: ["1-0", "1-20", "2-5"]
                .map(|id| id.parse().unwrap())
                .to_vec(),
        };
        assert_eq!(from_pairs, expected);
        let from_json = filter_of_json(&json!({
            "pixel": 12, "reason": "refused", "event_name": "Buy it", "code": 100,
            "subcode": null, "older_than": "2h", "newer_than": "7d", "ids": ["1-0", "1-20,2-5"],
        }));
        assert_eq!(from_json, Ok(expected));
        assert!(filter([]).unwrap().is_empty());
        assert!(filter([("pixel", " ")]).unwrap().is_empty());
        let bare = filter([("code", "100"), ("subcode", "None")]).unwrap();
        assert_eq!(bare.subcode, Some(Number::None));
        assert_eq!(
            filter_of_json(&json!({"code": 100, "subcode": "none"})),
            Ok(bare)
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        for (key, value, says) in [
            ("pxl", "secret", "unknown condition"),
            ("pixel", "secret", "pixel: a pixel id is"),
            ("reason", "secret", "reason: expected one of expired, "),
            ("code", "secret", "code: expected a whole number"),
            ("older_than", "secret", "older_than: expected a duration"),
            (
                "newer_than",
                "2 weeks secret",
                "newer_than: expected a duration",
            ),
            ("ids", "1-0,secret", "ids: the id of a dead letter is"),
        ] {
            let error = filter([(key, value)]).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(says), "{text}");
            assert!(!text.contains("secret"), "{text}");
            assert_eq!(error.code(), "bad_filter");
            let field = if key == "pxl" { "the filter" } else { key };
            assert_eq!(error.field(), field);
        }
        for wrong in [
            json!([]),
            json!("x"),
            json!({"pixel": {}}),
            json!({"ids": [[]]}),
        ] {
            assert_eq!(filter_of_json(&wrong), Err(FilterError::Shape), "{wrong}");
        }
    }
}
