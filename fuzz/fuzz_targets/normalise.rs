//! One value for every field of `user_data` at once.

#![no_main]

mod hashed;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const FIELDS: [&str; 16] = [
    "em",
    "ph",
    "fn",
    "ln",
    "ge",
    "db",
    "ct",
    "st",
    "zp",
    "country",
    "external_id",
    "fbc",
    "fbp",
    "client_ip_address",
    "lead_id",
    "madid",
];

fuzz_target!(|text: &str| {
    let user = |value: Value| -> Map<String, Value> {
        let field = |name: &&str| ((*name).to_owned(), value.clone());
        FIELDS.iter().map(field).collect()
    };
    for value in [json!(text), json!([text, text])] {
        let mut user = user(value);
        // so that there is always one that identifies
        user.insert("client_user_agent".to_owned(), json!("fuzz"));
        let event = json!({
            "event_name": "Lead", "event_time": 1_795_341_558, "action_source": "system_generated",
            "user_data": user, "custom_data": {"text": text},
        });
        hashed::take(&event.to_string(), "canary@example.com");
    }
});
