//! What Graph's usage headers say: how much of a limit is used up, and when it is free again.
//!
//! Meta does not say which of these headers the events edge sends, so all are read, leniently:
//! a number may be a string, and what cannot be read is left out. At most [`MAX_BYTES`] of header
//! and [`MAX_OBJECTS`] objects are looked at. Source: Meta's "Rate limiting" pages.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::verdict::Scope;
use super::wait::MAX_WAIT;

/// Bytes of usage headers that are read in one answer; a header that exceeds the rest is left out.
pub const MAX_BYTES: usize = 16 << 10;

/// Business objects that are read in one answer; Meta names 32 as the most it sends.
pub const MAX_OBJECTS: usize = 32;

/// No reading is above this, whatever the header says.
pub const MAX_PERCENT: f64 = 1000.0;

/// What one answer says about limits. Empty when it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// At most one for each scope: the worst.
    pub readings: Vec<Reading>,
    /// Whether Meta counts the app in its limited access tier (`development_access`), which has
    /// to wait longer after a throttle.
    pub limited_tier: bool,
}

/// How much of one limit is used up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Whose limit.
    pub scope: Scope,
    /// Percent of the limit, 0 to [`MAX_PERCENT`]; at 100 Graph throttles.
    pub percent: f64,
    /// When the limit is free again, if the header says so: a tenth longer than it says, at most
    /// [`MAX_WAIT`]. Some headers carry it long before 100 percent; it asks for nothing there.
    pub regain: Option<Duration>,
}

impl Usage {
    /// Reads all usage headers of an answer; never fails.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut usage = Self::default();
        let mut bytes = MAX_BYTES;
        let mut objects = MAX_OBJECTS;
        for (name, read) in READERS {
            for value in headers.get_all(*name) {
                let Some(left) = bytes.checked_sub(value.len()) else {
                    continue;
                };
                bytes = left;
                if let Ok(value) = serde_json::from_slice(value.as_bytes()) {
                    read(&mut usage, &value, &mut objects);
                }
            }
        }
        usage
    }

    /// The worst reading of a scope.
    pub fn worst(&self, scope: Scope) -> Option<Reading> {
        let mut readings = self.readings.iter();
        readings.find(|reading| reading.scope == scope).copied()
    }

    fn note(&mut self, scope: Scope, percents: &[Option<f64>], regain: Option<Duration>) {
        let percent = percents.iter().copied().flatten().reduce(f64::max);
        if percent.is_none() && regain.is_none() {
            return;
        }
        let reading = Reading {
            scope,
            percent: percent.unwrap_or(0.0).clamp(0.0, MAX_PERCENT),
            regain,
        };
        match self.readings.iter_mut().find(|old| old.scope == scope) {
            None => self.readings.push(reading),
            Some(old) if (old.percent, old.regain) < (reading.percent, regain) => *old = reading,
            Some(_) => {}
        }
    }

    fn note_tier(&mut self, object: &Value) {
        let tier = object.get("ads_api_access_tier").and_then(Value::as_str);
        self.limited_tier |= tier.is_some_and(|tier| tier == "development_access");
    }
}

type Read = fn(&mut Usage, &Value, &mut usize);

const READERS: &[(&str, Read)] = &[
    ("x-app-usage", app),
    ("x-ad-account-usage", ad_account),
    ("x-business-use-case-usage", business),
    // Meta's pages also write its name like this
    ("x-business-use-case", business),
    ("x-fb-ads-insights-throttle", insights),
];

fn app(usage: &mut Usage, value: &Value, _: &mut usize) {
    usage.note(Scope::App, &calls(value), None);
}

fn ad_account(usage: &mut Usage, value: &Value, _: &mut usize) {
    let regain = wait(value, "reset_time_duration", 1.0);
    usage.note(Scope::Pixel, &[number(value, "acc_id_util_pct")], regain);
    usage.note_tier(value);
}

fn insights(usage: &mut Usage, value: &Value, _: &mut usize) {
    usage.note(Scope::App, &[number(value, "app_id_util_pct")], None);
    usage.note(Scope::Pixel, &[number(value, "acc_id_util_pct")], None);
    usage.note_tier(value);
}

/// `{"<id of a business object>": [{"type": …, …}, …], …}`
fn business(usage: &mut Usage, value: &Value, objects: &mut usize) {
    let Some(by_id) = value.as_object() else {
        return;
    };
    for list in by_id.values() {
        let list = list
            .as_array()
            .map_or(std::slice::from_ref(list), Vec::as_slice);
        for object in list {
            let Some(left) = objects.checked_sub(1) else {
                return;
            };
            *objects = left;
            let scope = match object.get("type").and_then(Value::as_str) {
                Some("ads_management" | "custom_audience" | "ads_insights") => Scope::Pixel,
                // of a Page or a Business, and so of all that one token may do there
                _ => Scope::Token,
            };
            let regain = wait(object, "estimated_time_to_regain_access", 60.0);
            usage.note(scope, &calls(object), regain);
            usage.note_tier(object);
        }
    }
}

fn calls(value: &Value) -> [Option<f64>; 3] {
    ["call_count", "total_cputime", "total_time"].map(|key| number(value, key))
}

/// A number, also one that is written as a string; NaN and the infinities are none.
fn number(object: &Value, key: &str) -> Option<f64> {
    let number = match object.get(key)? {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    number.is_finite().then_some(number)
}

/// A wait in units of `unit` seconds, and a tenth more; none when there is nothing to wait for.
fn wait(object: &Value, key: &str, unit: f64) -> Option<Duration> {
    let seconds = number(object, key)? * unit * 1.1;
    let seconds = seconds.clamp(0.0, MAX_WAIT.as_secs_f64());
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn read(headers: &[(&str, &str)]) -> Usage {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, value.parse().unwrap());
        }
        Usage::read(&map)
    }

    fn reading(scope: Scope, percent: f64, regain: Option<f64>) -> Reading {
        Reading {
            scope,
            percent,
            regain: regain.map(Duration::from_secs_f64),
        }
    }

    #[test]
    fn each_header_is_read() {
        use Scope::{App, Pixel, Token};
        let business = |kind: &str| {
            format!(
                r#"{{"123":[{{"type":"{kind}","call_count":100,"total_cputime":25,"total_time":25,"estimated_time_to_regain_access":10}}]}}"#
            )
        };
        let mut cases = vec![
            (
                "X-App-Usage",
                r#"{"call_count":28,"total_time":25,"total_cputime":31}"#.to_owned(),
                vec![reading(App, 31.0, None)],
            ),
            (
                "x-ad-account-usage",
                r#"{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"standard_access"}"#.to_owned(),
                vec![reading(Pixel, 9.67, Some(110.0))],
            ),
            (
                "X-FB-Ads-Insights-Throttle",
                r#"{"app_id_util_pct":5,"acc_id_util_pct":"7.5"}"#.to_owned(),
                vec![reading(App, 5.0, None), reading(Pixel, 7.5, None)],
            ),
        ];
        for (kind, scope) in [
            ("pages", Token),
            ("messenger", Token),
            ("instagram", Token),
            ("leadgen", Token),
            ("ads_management", Pixel),
            ("custom_audience", Pixel),
            ("ads_insights", Pixel),
            ("something_new", Token),
        ] {
            for name in ["X-Business-Use-Case-Usage", "X-BUSINESS-USE-CASE"] {
                let want = vec![reading(scope, 100.0, Some(660.0))];
                cases.push((name, business(kind), want));
            }
        }
        for (name, value, want) in cases {
            let usage = read(&[(name, &value)]);
            assert_eq!(usage.readings, want, "{name}: {value}");
            assert!(!usage.limited_tier, "{name}: {value}");
        }
    }

    #[test]
    fn the_worst_of_each_scope_wins() {
        let usage = read(&[
            (
                "X-Business-Use-Case-Usage",
                r#"{"1":[{"type":"pages","call_count":10},{"type":"messenger","call_count":"80","estimated_time_to_regain_access":"1"}],"2":{"type":"pages","total_time":80,"estimated_time_to_regain_access":2},"3":7}"#,
            ),
            (
                "X-Ad-Account-Usage",
                r#"{"acc_id_util_pct":100,"reset_time_duration":0}"#,
            ),
            ("X-App-Usage", r#"{"call_count":1}"#),
            ("X-App-Usage", r#"{"call_count":3}"#),
            ("X-App-Usage", r#"{"call_count":2}"#),
        ]);
        let want = |scope, percent, regain| Some(reading(scope, percent, regain));
        assert_eq!(
            usage.worst(Scope::Token),
            want(Scope::Token, 80.0, Some(132.0))
        );
        assert_eq!(usage.worst(Scope::Pixel), want(Scope::Pixel, 100.0, None));
        assert_eq!(usage.worst(Scope::App), want(Scope::App, 3.0, None));
        assert_eq!(Usage::default().worst(Scope::App), None);
    }

    #[test]
    fn the_limited_tier_is_known_from_any_header() {
        for (name, value) in [
            (
                "X-Ad-Account-Usage",
                r#"{"ads_api_access_tier":"development_access"}"#,
            ),
            (
                "X-FB-Ads-Insights-Throttle",
                r#"{"ads_api_access_tier":"development_access"}"#,
            ),
            (
                "X-Business-Use-Case-Usage",
                r#"{"1":[{"ads_api_access_tier":"standard_access"},{"ads_api_access_tier":"development_access"}]}"#,
            ),
        ] {
            assert!(read(&[(name, value)]).limited_tier, "{name}");
        }
    }

    #[test]
    fn odd_numbers_are_harmless_and_junk_is_left_out() {
        let account = |percent: &str, reset: &str| {
            let value = format!(r#"{{"acc_id_util_pct":{percent},"reset_time_duration":{reset}}}"#);
            read(&[("X-Ad-Account-Usage", &value)]).worst(Scope::Pixel)
        };
        let day = Some(86_400.0);
        assert_eq!(account("-5", "-5"), Some(reading(Scope::Pixel, 0.0, None)));
        assert_eq!(
            account("1e300", "1e300"),
            Some(reading(Scope::Pixel, 1000.0, day))
        );
        assert_eq!(account(r#""NaN""#, r#""inf""#), None);
        assert_eq!(
            account(r#""-inf""#, "5"),
            Some(reading(Scope::Pixel, 0.0, Some(5.5)))
        );
        for junk in [
            "",
            "x",
            "[]",
            "3",
            "null",
            r#"{"call_count":"many"}"#,
            r#"{"call_count":[1]}"#,
        ] {
            assert_eq!(read(&[("X-App-Usage", junk)]), Usage::default(), "{junk}");
            assert_eq!(
                read(&[("X-Business-Use-Case-Usage", junk)]),
                Usage::default(),
                "{junk}"
            );
        }
    }

    #[test]
    fn what_exceeds_the_limits_is_not_read() {
        let long = format!(r#"{{"call_count":90,"x":"{}"}}"#, "x".repeat(MAX_BYTES));
        let usage = read(&[
            ("X-App-Usage", &long),
            ("X-App-Usage", r#"{"call_count":5}"#),
        ]);
        assert_eq!(usage.readings, [reading(Scope::App, 5.0, None)]);

        let object = |count| format!(r#"{{"type":"pages","call_count":{count}}}"#);
        let mut list = vec![object(1); MAX_OBJECTS];
        list.push(object(99));
        let usage = read(&[(
            "X-Business-Use-Case",
            &format!(r#"{{"1":[{}]}}"#, list.join(",")),
        )]);
        assert_eq!(usage.readings, [reading(Scope::Token, 1.0, None)]);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            json in r#"(\{"1":)?\[?\{"(call_count|acc_id_util_pct|type|reset_time_duration|estimated_time_to_regain_access)":("?-?[0-9]{1,30}(e-?[0-9]{1,3})?"?|"NaN"|null|\[\])\}\]?\}?"#,
        ) {
            for value in [bytes.as_slice(), json.as_bytes()] {
                let Ok(value) = HeaderValue::from_bytes(value) else { continue };
                let mut headers = HeaderMap::new();
                for (name, _) in READERS {
                    headers.append(*name, value.clone());
                }
                for reading in Usage::read(&headers).readings {
                    prop_assert!((0.0..=MAX_PERCENT).contains(&reading.percent));
                    prop_assert!(reading.regain.is_none_or(|regain| regain <= MAX_WAIT));
                }
            }
        }
    }
}
