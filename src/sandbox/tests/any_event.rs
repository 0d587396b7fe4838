//! Whatever is sent, the rules hold together.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::samples::{DIGEST, NOW, website};
use super::super::{rules, scan};

const KEYS: [&str; 22] = [
    "event_name",
    "event_time",
    "event_id",
    "action_source",
    "event_source_url",
    "messaging_channel",
    "user_data",
    "custom_data",
    "app_data",
    "extinfo",
    "opt_out",
    "data_processing_options",
    "em",
    "ph",
    "external_id",
    "client_ip_address",
    "lead_id",
    "value",
    "currency",
    "advertiser_tracking_enabled",
    "fbp",
    "é@x.yz",
];

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(NOW.secs())),
        Just(json!(DIGEST)),
        "(website|app|business_messaging|whatsapp|Purchase|USD|a2)".prop_map(Value::from),
        ".{0,12}(@|%40)?.{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let key = proptest::sample::select(&KEYS[..]).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..18).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_panics_and_what_passes_is_hashed(
        at in proptest::sample::select(&KEYS[..]),
        in_user_data: bool,
        value in any_value(),
    ) {
        let mut event = website("Purchase");
        if in_user_data {
            event["user_data"][at] = value.clone();
        } else {
            event[at] = value.clone();
        }
        for events in [[event], [value]] {
            let findings = scan::events(&events, false, usize::MAX);
            let passes = rules::judge(&events, NOW, false).is_ok();
            let raw = findings.iter().any(|f| f.kind == "unhashed_match_key");
            prop_assert!(!(passes && raw), "{findings:?}");
            // a place is made of plain words, indices and question marks
            for finding in &findings {
                prop_assert!(finding.path.is_ascii(), "{}", finding.path);
                prop_assert!(!finding.path.contains(['@', '%', ' ']), "{}", finding.path);
            }
        }
    }
}
