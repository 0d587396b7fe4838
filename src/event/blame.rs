//! Which events of a refused batch may be why: the local rule behind a subcode of Graph's.
//!
//! It only says where to look first. An event is given up when Graph has refused it by itself,
//! never because of what is said here, so a rule may name too many or too few.

use std::time::Duration;

use serde_json::Value;

use super::encoded::EncodedEvent;
use super::{ActionSource, field, messaging};
use crate::time::UnixMs;

/// Graph's code for a parameter it refuses.
const INVALID_PARAMETER: i64 = 100;

/// How far Meta's clock may be ahead of ours: an event that is this close to the end of its
/// window may be too old there.
const CLOCKS: Duration = Duration::from_hours(1);

/// A rule, the subcode Graph gives to who breaks it, and the field it is about.
type Rule = (i64, &'static str, fn(&Value, UnixMs) -> bool);

static RULES: [Rule; 7] = [
    (2_804_003, "event_time", |event, now| is_too_old(event, now)),
    (2_804_009, "custom_data.value", |event, _| {
        name(event) == "Purchase" && !has(&event["custom_data"], "value")
    }),
    (2_804_043, "app_data.extinfo", |event, _| {
        source(event) == "app" && !is_there(&event["app_data"]["extinfo"][4])
    }),
    (2_804_050, "user_data", |event, _| matches_nobody(event)),
    (2_804_066, "event_name", |event, _| {
        is_messaging(event) && messaging::check_name(name(event)).is_err()
    }),
    (2_804_081, "custom_data.currency", |event, _| {
        is_messaging(event)
            && (name(event) == "Purchase" || messaging::is_order(name(event)))
            && !has(&event["custom_data"], "currency")
    }),
    (2_804_087, "user_data.ctwa_clid", |event, _| {
        is_messaging(event) && !has(&event["user_data"], "ctwa_clid")
    }),
];

impl EncodedEvent {
    /// Whether this event breaks, at the time `now`, the rule that Graph refuses batches for with
    /// `code` and `subcode`. Nobody breaks a rule that is not known here.
    pub fn breaks(&self, code: i64, subcode: Option<i64>, now: UnixMs) -> bool {
        let Some((_, _, broken)) = rule(code, subcode) else {
            return false;
        };
        serde_json::from_slice(self.as_bytes()).is_ok_and(|event| broken(&event, now))
    }

    /// The field that Graph means with `code` and `subcode`, such as `custom_data.value`; empty where
    /// that is not known here.
    pub fn blamed(code: i64, subcode: Option<i64>) -> &'static str {
        rule(code, subcode).map_or("", |(_, path, _)| path)
    }
}

fn rule(code: i64, subcode: Option<i64>) -> Option<&'static Rule> {
    let mut rules = RULES.iter();
    rules.find(|(known, ..)| code == INVALID_PARAMETER && subcode == Some(*known))
}

fn is_too_old(event: &Value, now: UnixMs) -> bool {
    let Some(time) = event["event_time"].as_i64() else {
        return true;
    };
    let window = ActionSource::read(source(event)).unwrap_or(ActionSource::Other);
    now.plus(CLOCKS).since(UnixMs::from_secs(time)) > window.window()
}

/// Whether all that is known of the person lies within one of Meta's too broad combinations.
fn matches_nobody(event: &Value) -> bool {
    let Some(user) = event["user_data"].as_object() else {
        return true;
    };
    let known = user.iter().filter(|(_, value)| is_there(value));
    let shared = known
        .map(|(key, _)| {
            let field = field::index_of(key).and_then(field::at);
            field.map_or(0, |field| field.too_broad)
        })
        .fold(field::EVERY_BROAD, |all, one| all & one);
    shared != 0
}

/// Neither null nor empty, nor a list of nothing else.
fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => list.iter().any(is_there),
        _ => true,
    }
}

fn has(object: &Value, key: &str) -> bool {
    is_there(&object[key])
}

fn name(event: &Value) -> &str {
    event["event_name"].as_str().unwrap_or_default()
}

fn source(event: &Value) -> &str {
    event["action_source"].as_str().unwrap_or_default()
}

fn is_messaging(event: &Value) -> bool {
    source(event) == "business_messaging"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_341_600;

    fn breaks(event: &Value, subcode: i64) -> bool {
        let event = EncodedEvent::from_record(event.to_string().into());
        event.breaks(100, Some(subcode), UnixMs::from_secs(NOW))
    }

    #[test]
    fn each_rule_names_who_breaks_it_and_nobody_else() {
        let day = 86_400;
        let messaging = |name: &str, user: Value, custom: Value| json!({"event_name": name, "action_source": "business_messaging", "user_data": user, "custom_data": custom});
        let app = |os: Value| json!({"action_source": "app", "app_data": {"extinfo": ["a2", "", "", "", os]}});
        let (wa, none) = (json!({"ctwa_clid": "c"}), json!({}));
        for (subcode, bad, good) in [
            (
                2_804_003,
                json!({"event_time": NOW - 7 * day - 1, "action_source": "website"}),
                json!({"event_time": NOW - 8 * day, "action_source": "physical_store"}),
            ),
            (
                2_804_003,
                json!({"event_time": NOW - 7 * day + 1800, "action_source": "website"}),
                json!({"event_time": NOW - 6 * day, "action_source": "website"}),
            ),
            (
                2_804_009,
                json!({"event_name": "Purchase", "custom_data": {"value": null}}),
                json!({"event_name": "Purchase", "custom_data": {"value": 0}}),
            ),
            (
                2_804_009,
                json!({"event_name": "Purchase"}),
                json!({"event_name": "Lead"}),
            ),
            (2_804_043, app(json!(" ")), app(json!("14"))),
            (
                2_804_043,
                json!({"action_source": "app"}),
                json!({"action_source": "website"}),
            ),
            (
                2_804_050,
                json!({"user_data": {"ct": ["x"], "country": ["y"], "em": [""]}}),
                json!({"user_data": {"ct": ["x"], "em": ["y"]}}),
            ),
            (
                2_804_050,
                json!({"user_data": {"fn": ["x"], "ge": ["y"]}}),
                json!({"user_data": {"fn": ["x"], "ln": ["y"]}}),
            ),
            (
                2_804_066,
                messaging("Lead", none.clone(), none.clone()),
                messaging("LeadSubmitted", none.clone(), none.clone()),
            ),
            (
                2_804_081,
                messaging("OrderCreated", none.clone(), none.clone()),
                messaging("OrderCreated", none.clone(), json!({"currency": "EUR"})),
            ),
            (
                2_804_087,
                messaging("Purchase", none.clone(), none.clone()),
                messaging("Purchase", wa, none),
            ),
        ] {
            assert!(breaks(&bad, subcode), "{subcode}: {bad}");
            assert!(!breaks(&good, subcode), "{subcode}: {good}");
        }
    }

    #[test]
    fn a_rule_that_is_not_known_names_nobody() {
        assert_eq!(
            EncodedEvent::blamed(100, Some(2_804_009)),
            "custom_data.value"
        );
        assert_eq!(EncodedEvent::blamed(1, Some(2_804_009)), "");
        let event = EncodedEvent::from_record("{}".into());
        let now = UnixMs::from_secs(NOW);
        assert!(!event.breaks(100, None, now));
        assert!(!event.breaks(100, Some(2_804_019), now));
        assert!(!event.breaks(1, Some(2_804_003), now));
        assert!(event.breaks(100, Some(2_804_003), now));
        assert!(!EncodedEvent::from_record("{".into()).breaks(100, Some(2_804_003), now));
    }
}
