//! Events for the sandbox's own tests: good ones, and one bad one for every row of the table.

use serde_json::{Value, json};

use crate::time::UnixMs;

/// The moment all samples are made for: 2026-11-22T10:00:00Z.
pub(super) const NOW: UnixMs = UnixMs(1_795_341_600_000);

/// The published digest of an example address.
pub(super) const DIGEST: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";

/// A good website event with an id of its own name.
pub(super) fn website(name: &str) -> Value {
    json!({
        "event_name": name,
        "event_time": NOW.secs() - 60,
        "event_id": format!("{name}-1"),
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks?order=1",
        "user_data": { "em": [DIGEST], "client_user_agent": "agent" },
        "custom_data": { "value": 0, "currency": "eur" },
    })
}

/// A good website event with the given id.
pub(super) fn with_id(id: &str) -> Value {
    let mut event = website("Lead");
    event["event_id"] = json!(id);
    event
}

fn app() -> Value {
    let mut event = website("Purchase");
    event["action_source"] = json!("app");
    event["app_data"] = json!({
        "advertiser_tracking_enabled": 1,
        "extinfo": [
            "a2", "com.example.game", "771", "Version 7.7.1", "15", "Pixel 9", "en_US", "PST", "",
            "1080", "2424", "2.6", "8", "128", "54", "America/Los_Angeles",
        ],
    });
    event
}

fn messaging(channel: &str, user: &Value) -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": NOW.secs(),
        "action_source": "business_messaging",
        "messaging_channel": channel,
        "user_data": user,
        "custom_data": { "value": "123", "currency": "USD" },
    })
}

fn whatsapp() -> Value {
    messaging(
        "whatsapp",
        &json!({ "whatsapp_business_account_id": "1", "ctwa_clid": "A" }),
    )
}

/// Events that must pass.
pub(super) fn good() -> Vec<Value> {
    let mut store = website("Purchase");
    store["action_source"] = json!("physical_store");
    store["event_time"] = json!(NOW.secs() - 30 * 86_400);
    let lead = json!({
        "event_name": "Marketing Qualified Lead", "event_time": NOW.secs() - 3600,
        "action_source": "system_generated",
        "user_data": { "lead_id": 12_345_678_901_234_567_u64 },
        "custom_data": { "event_source": "crm" },
    });
    let mut limited = website("PageView");
    limited["data_processing_options"] = json!(["LDU"]);
    limited["data_processing_options_country"] = json!(1);
    limited["data_processing_options_state"] = json!(1013);
    limited["opt_out"] = json!(true);
    vec![
        website("Purchase"),
        website("Lead"),
        store,
        lead,
        limited,
        app(),
        whatsapp(),
        messaging(
            "messenger",
            &json!({ "page_id": "1", "page_scoped_user_id": "2" }),
        ),
        messaging("instagram", &json!({ "ig_account_id": "1", "ig_sid": "2" })),
    ]
}

/// Bad events, each with the reason it must be refused for.
pub(super) fn bad() -> Vec<(&'static str, Value)> {
    let purchase = || website("Purchase");
    let gone = Value::Null;
    let cases: [(&'static str, Value, &str, Value); 34] = [
        ("event_name", purchase(), "/event_name", json!("")),
        ("event_name", purchase(), "/event_name", json!(7)),
        ("event_time", purchase(), "/event_time", gone.clone()),
        ("event_time", purchase(), "/event_time", json!(1.5)),
        ("event_time", purchase(), "/event_time", json!(-5)),
        ("event_time_future", purchase(), "/event_time", json!(NOW.0)),
        (
            "event_time_stale",
            purchase(),
            "/event_time",
            json!(NOW.secs() - 8 * 86_400),
        ),
        (
            "event_time_stale_store",
            good()[2].clone(),
            "/event_time",
            json!(NOW.secs() - 63 * 86_400),
        ),
        ("action_source", purchase(), "/action_source", gone.clone()),
        (
            "action_source",
            purchase(),
            "/action_source",
            json!("Website"),
        ),
        ("event_id", purchase(), "/event_id", json!(12)),
        ("opt_out", good()[4].clone(), "/opt_out", json!("yes")),
        (
            "unhashed_match_key",
            purchase(),
            "/user_data/em",
            json!(["John_Smith@gmail.com"]),
        ),
        (
            "unhashed_match_key",
            purchase(),
            "/user_data/em/0",
            json!({ "deep": DIGEST }),
        ),
        ("match_keys", purchase(), "/user_data", json!({})),
        ("match_keys", purchase(), "/user_data", json!("em")),
        (
            "lead_id",
            good()[3].clone(),
            "/user_data/lead_id",
            json!(5.5),
        ),
        (
            "lead_id",
            good()[3].clone(),
            "/user_data/lead_id",
            json!("-12345678901234"),
        ),
        (
            "data_processing_options",
            good()[4].clone(),
            "/data_processing_options",
            json!(["GDPR"]),
        ),
        (
            "data_processing_options",
            good()[4].clone(),
            "/data_processing_options_state",
            json!(7),
        ),
        ("custom_data", website("Lead"), "/custom_data", json!([1])),
        (
            "purchase_value",
            purchase(),
            "/custom_data/value",
            gone.clone(),
        ),
        ("value", purchase(), "/custom_data/value", json!("a lot")),
        (
            "messaging_currency",
            whatsapp(),
            "/custom_data/currency",
            gone.clone(),
        ),
        (
            "purchase_currency",
            purchase(),
            "/custom_data/currency",
            gone.clone(),
        ),
        (
            "currency",
            purchase(),
            "/custom_data/currency",
            json!("dollars"),
        ),
        ("app_data", app(), "/app_data/extinfo", json!(["a2"])),
        (
            "app_data",
            app(),
            "/app_data/advertiser_tracking_enabled",
            json!("yes"),
        ),
        (
            "extinfo_version",
            app(),
            "/app_data/extinfo/0",
            json!("android"),
        ),
        ("extinfo_os", app(), "/app_data/extinfo/4", json!("")),
        ("messaging_name", whatsapp(), "/event_name", json!("Lead")),
        (
            "messaging_channel",
            whatsapp(),
            "/messaging_channel",
            json!("telegram"),
        ),
        (
            "messaging_account",
            whatsapp(),
            "/user_data/whatsapp_business_account_id",
            gone.clone(),
        ),
        (
            "messaging_click",
            whatsapp(),
            "/user_data/ctwa_clid",
            gone.clone(),
        ),
    ];
    let mut all: Vec<_> = cases
        .into_iter()
        .map(|(reason, mut event, at, value)| {
            if let Some(slot) = event.pointer_mut(at) {
                *slot = value;
            }
            (reason, event)
        })
        .collect();
    let persons = [("messenger", "page_id"), ("instagram", "ig_sid")];
    all.extend(persons.map(|(channel, key)| {
        let event = messaging(channel, &json!({ key: "1" }));
        ("messaging_person", event)
    }));
    all
}
