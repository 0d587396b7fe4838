//! The rules an event must keep, as a table: one row a rule, read from the top.
//!
//! One broken rule refuses the whole request, as Meta does. Which of two faults Meta would name
//! first is not known; the sandbox names the first event, and its first row here.

use serde_json::{Map, Value};

use super::refusal::{self as no, Refusal};
use super::{currencies, privacy};
use crate::time::UnixMs;

/// Most events in one request; more are refused (what Meta answers is not known).
pub const MAX_BATCH: usize = 1000;

/// How old an event may be, in seconds: 7 days.
pub const MAX_AGE_SECS: i64 = 7 * 86_400;

/// How old a `physical_store` event may be, in seconds: 62 days (documented as "should").
pub const MAX_STORE_AGE_SECS: i64 = 62 * 86_400;

/// How far ahead of the sandbox's clock `event_time` may be, in seconds. Meta documents no
/// tolerance; this is the strictest one seen in use.
pub const MAX_AHEAD_SECS: i64 = 60;

const ACTION_SOURCES: [&str; 9] = [
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
];

const MESSAGING_NAMES: [&str; 14] = [
    "Purchase",
    "LeadSubmitted",
    "InitiateCheckout",
    "AddToCart",
    "ViewContent",
    "OrderCreated",
    "OrderShipped",
    "OrderDelivered",
    "OrderCanceled",
    "OrderReturned",
    "CartAbandoned",
    "QualifiedLead",
    "RatingProvided",
    "ReviewProvided",
];

/// `user_data` that matches nobody: a set of keys within any one of these is too broad.
const TOO_BROAD: [&[&str]; 4] = [
    &["ct", "country", "st", "zp", "ge", "client_user_agent"],
    &["db", "client_user_agent"],
    &["fn", "ge"],
    &["ln", "ge"],
];

/// What a rule sees: one event, when it arrived, and the one lenience.
struct Seen<'a> {
    event: &'a Map<String, Value>,
    now: UnixMs,
    raw_external_id: bool,
}

type Rule = (&'static Refusal, fn(&Seen<'_>) -> bool);

/// The table: a refusal, and when it is due.
static RULES: [Rule; 27] = [
    (&no::EVENT_NAME, |e| e.text("event_name").is_none()),
    (&no::EVENT_TIME, |e| e.time().is_none()),
    (&no::FUTURE, |e| e.age() < -MAX_AHEAD_SECS),
    (&no::ACTION_SOURCE, |e| {
        !ACTION_SOURCES.contains(&e.source())
    }),
    (&no::STALE, |e| {
        e.source() != "physical_store" && e.age() > MAX_AGE_SECS
    }),
    (&no::STALE_STORE, |e| {
        e.source() == "physical_store" && e.age() > MAX_STORE_AGE_SECS
    }),
    (&no::EVENT_ID, |e| {
        e.is_other_than("event_id", Value::is_string)
    }),
    (&no::OPT_OUT, |e| {
        e.is_other_than("opt_out", Value::is_boolean)
    }),
    (&no::UNHASHED, |e| e.unhashed()),
    (&no::MATCH_KEYS, |e| e.matches_nobody()),
    (&no::LEAD_ID, |e| e.bad_lead_id()),
    (&no::PROCESSING, |e| e.bad_processing_options()),
    (&no::CUSTOM_DATA, |e| {
        e.is_other_than("custom_data", Value::is_object)
    }),
    (&no::PURCHASE_VALUE, |e| {
        e.is_purchase() && e.custom("value").is_none()
    }),
    (&no::VALUE, |e| {
        e.custom("value").is_some_and(|v| !is_number(v))
    }),
    (&no::MESSAGING_CURRENCY, |e| {
        e.is_messaging()
            && matches!(e.name(), "Purchase" | "OrderCreated")
            && e.custom("currency").is_none()
    }),
    (&no::PURCHASE_CURRENCY, |e| {
        e.is_purchase() && e.custom("currency").is_none()
    }),
    (&no::CURRENCY, |e| {
        e.custom("currency")
            .is_some_and(|v| !v.as_str().is_some_and(currencies::known))
    }),
    (&no::APP_DATA, |e| e.is_app() && e.bad_app_data()),
    (&no::EXTINFO_VERSION, |e| {
        e.is_app() && !matches!(e.extinfo(0), Some("a2" | "i2"))
    }),
    (&no::EXTINFO_OS, |e| {
        e.is_app() && e.extinfo(4).is_none_or(|os| os.trim().is_empty())
    }),
    (&no::MESSAGING_NAME, |e| {
        e.is_messaging() && !MESSAGING_NAMES.contains(&e.name())
    }),
    (&no::MESSAGING_CHANNEL, |e| {
        e.is_messaging() && !matches!(e.channel(), "whatsapp" | "messenger" | "instagram")
    }),
    (&no::MESSAGING_ACCOUNT, |e| {
        e.is_on("whatsapp") && !e.has_user("whatsapp_business_account_id")
    }),
    (&no::MESSAGING_CLICK, |e| {
        e.is_on("whatsapp") && !e.has_user("ctwa_clid")
    }),
    (&no::MESSAGING_PERSON, |e| {
        e.is_on("messenger") && !(e.has_user("page_id") && e.has_user("page_scoped_user_id"))
    }),
    (&no::MESSAGING_PERSON, |e| {
        let account = e.has_user("instagram_business_account_id") || e.has_user("ig_account_id");
        e.is_on("instagram") && !(account && e.has_user("ig_sid"))
    }),
];

/// The first broken rule of the first bad event, and which event that is.
pub(super) fn judge(
    data: &[Value],
    now: UnixMs,
    raw_external_id: bool,
) -> Result<(), (usize, &'static Refusal)> {
    for (index, event) in data.iter().enumerate() {
        let Value::Object(event) = event else {
            return Err((index, &no::EVENT_SHAPE));
        };
        let seen = Seen {
            event,
            now,
            raw_external_id,
        };
        if let Some((refusal, _)) = RULES.iter().find(|(_, broken)| broken(&seen)) {
            return Err((index, refusal));
        }
    }
    Ok(())
}

impl Seen<'_> {
    /// A non-empty string member.
    fn text(&self, key: &str) -> Option<&str> {
        self.event
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    /// Whether a member is there, not null, and not what `want` says.
    fn is_other_than(&self, key: &str, want: fn(&Value) -> bool) -> bool {
        self.event
            .get(key)
            .is_some_and(|value| !value.is_null() && !want(value))
    }

    fn name(&self) -> &str {
        self.text("event_name").unwrap_or_default()
    }

    fn source(&self) -> &str {
        self.text("action_source").unwrap_or_default()
    }

    fn channel(&self) -> &str {
        self.text("messaging_channel").unwrap_or_default()
    }

    fn is_purchase(&self) -> bool {
        self.name() == "Purchase"
    }

    fn is_app(&self) -> bool {
        self.source() == "app"
    }

    fn is_messaging(&self) -> bool {
        self.source() == "business_messaging"
    }

    fn is_on(&self, channel: &str) -> bool {
        self.is_messaging() && self.channel() == channel
    }

    /// Seconds since the epoch; a string of digits passes here and is a violation elsewhere.
    fn time(&self) -> Option<i64> {
        integer(self.event.get("event_time")?).filter(|seconds| *seconds > 0)
    }

    /// Seconds since the event; below zero when it is still to come.
    fn age(&self) -> i64 {
        self.time().map_or(0, |time| self.now.secs() - time)
    }

    fn user(&self) -> Option<&Map<String, Value>> {
        self.event.get("user_data").and_then(Value::as_object)
    }

    fn has_user(&self, key: &str) -> bool {
        self.user()
            .and_then(|user| user.get(key))
            .is_some_and(|value| privacy::present(value).next().is_some())
    }

    /// A member of `custom_data` that is neither null nor empty text.
    fn custom(&self, key: &str) -> Option<&Value> {
        self.event
            .get("custom_data")
            .and_then(|custom| custom.get(key))
            .filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn unhashed(&self) -> bool {
        let Some(user) = self.user() else {
            return false;
        };
        privacy::HASHED
            .iter()
            .filter(|key| !(self.raw_external_id && **key == "external_id"))
            .filter_map(|key| user.get(*key))
            .flat_map(privacy::present)
            .any(|(_, value)| !value.as_str().is_some_and(privacy::looks_hashed))
    }

    fn matches_nobody(&self) -> bool {
        let Some(user) = self.user() else {
            return true;
        };
        let keys: Vec<&str> = user
            .iter()
            .filter(|(_, value)| privacy::present(value).next().is_some())
            .map(|(key, _)| key.as_str())
            .collect();
        TOO_BROAD
            .iter()
            .any(|broad| keys.iter().all(|key| broad.contains(key)))
    }

    fn bad_lead_id(&self) -> bool {
        let lead = self.user().and_then(|user| user.get("lead_id"));
        lead.is_some_and(|lead| match lead {
            Value::Null => false,
            Value::Number(number) => !number.is_u64(),
            Value::String(text) => text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()),
            _ => true,
        })
    }

    fn bad_processing_options(&self) -> bool {
        let options = self.event.get("data_processing_options");
        let bad_list = match options {
            None | Some(Value::Null) => false,
            Some(Value::Array(list)) => list.iter().any(|option| option != "LDU"),
            Some(_) => true,
        };
        let bad_number = |key: &str, good: fn(i64) -> bool| {
            self.event
                .get(key)
                .is_some_and(|value| !value.is_null() && !value.as_i64().is_some_and(good))
        };
        // the list of states grows, so any number of its range will do
        bad_list
            || bad_number("data_processing_options_country", |n| matches!(n, 0 | 1))
            || bad_number("data_processing_options_state", |n| {
                matches!(n, 0 | 1000..=1099)
            })
    }

    fn app(&self, key: &str) -> Option<&Value> {
        self.event.get("app_data").and_then(|app| app.get(key))
    }

    fn bad_app_data(&self) -> bool {
        let tracking = self
            .app("advertiser_tracking_enabled")
            .is_none_or(|v| v.is_boolean() || matches!(integer(v), Some(0 | 1)));
        let extinfo = self
            .app("extinfo")
            .and_then(Value::as_array)
            .is_some_and(|list| list.len() == 16);
        !(tracking && extinfo)
    }

    fn extinfo(&self, index: usize) -> Option<&str> {
        self.app("extinfo")
            .and_then(|list| list.get(index)?.as_str())
    }
}

/// A whole number, or text of digits.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// A finite number, or text that is one, as some of Meta's samples send it.
fn is_number(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => text.parse::<f64>().is_ok_and(f64::is_finite),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples;
    use super::*;

    const NOW: UnixMs = samples::NOW;

    fn reason(event: &Value) -> Option<&'static str> {
        judge(std::slice::from_ref(event), NOW, false)
            .err()
            .map(|(_, refusal)| refusal.reason)
    }

    #[test]
    fn good_events_of_every_source_pass() {
        for event in samples::good() {
            assert_eq!(reason(&event), None, "{event}");
        }
    }

    #[test]
    fn every_row_of_the_table_is_reached_by_a_bad_event() {
        let mut seen = std::collections::BTreeSet::new();
        for (expected, event) in samples::bad() {
            assert_eq!(reason(&event), Some(expected), "{event}");
            seen.insert(expected);
        }
        for (row, _) in &RULES {
            assert!(seen.contains(row.reason), "no bad event for {}", row.reason);
        }
    }

    #[test]
    fn the_first_bad_event_is_named() {
        let good = samples::website("Lead");
        let bad = json!("not an event");
        let (index, refusal) = judge(&[good, bad], NOW, false).unwrap_err();
        assert_eq!((index, refusal.reason), (1, "event_shape"));
    }

    #[test]
    fn the_edges_of_the_window_are_inside() {
        let mut event = samples::website("Lead");
        for (ahead, expected) in [
            (-MAX_AGE_SECS, None),
            (-MAX_AGE_SECS - 1, Some("event_time_stale")),
            (MAX_AHEAD_SECS, None),
            (MAX_AHEAD_SECS + 1, Some("event_time_future")),
        ] {
            event["event_time"] = json!(NOW.secs() + ahead);
            assert_eq!(reason(&event), expected, "{ahead}");
        }
        event["action_source"] = json!("physical_store");
        event["event_time"] = json!(NOW.secs() - MAX_STORE_AGE_SECS);
        assert_eq!(reason(&event), None);
    }

    #[test]
    fn sets_of_match_keys() {
        let digest = samples::DIGEST;
        let cases = [
            (json!({}), false),
            (json!({"em": null, "ph": "", "fn": [], "ln": [null]}), false),
            (json!({"client_user_agent": "a"}), false),
            (json!({"db": digest, "client_user_agent": "a"}), false),
            (json!({"fn": digest, "ge": digest}), false),
            (
                json!({"ct": [digest], "country": [digest], "zp": [digest]}),
                false,
            ),
            (
                json!({"client_ip_address": "203.0.113.7", "client_user_agent": "a"}),
                true,
            ),
            (json!({"fn": digest, "ln": digest}), true),
            (json!({"em": [digest]}), true),
            (json!({"fbp": "fb.1.1.1"}), true),
            (json!({"lead_id": 123_456_789_012_345_678_u64 / 10}), true),
        ];
        for (user, good) in cases {
            let mut event = samples::website("Lead");
            event["user_data"] = user;
            let expected = if good { None } else { Some("match_keys") };
            assert_eq!(reason(&event), expected, "{event}");
        }
    }
}
