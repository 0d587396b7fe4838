//! The whole way of an event: the rules that join several members, hostile input, and laws that
//! hold for any input.

mod visit;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::codes;
use crate::pixel::PixelId;
use crate::time::UnixMs;

const T0: UnixMs = UnixMs(1_795_341_600_000);
const DAY_MS: i64 = 86_400_000;

fn pixel() -> PixelId {
    PixelId::from_u64(1_234_567_890_123_456).unwrap()
}

/// What it borrows is never given back: there is little of it.
fn hashed_at(event: &str, rules: &Rules, now: UnixMs) -> Result<HashedEvent<'static>, EventError> {
    RawEvent::parse(event.to_owned().leak())?.hash(pixel(), rules, now)
}

fn hashed(event: &Value) -> Result<HashedEvent<'static>, EventError> {
    hashed_at(&event.to_string(), &Rules::default(), T0)
}

fn stored(event: &Value) -> Value {
    let encoded = hashed(event).unwrap().encode().unwrap();
    serde_json::from_slice(encoded.as_bytes()).unwrap()
}

fn warned(event: &Value) -> Vec<(String, &'static str)> {
    let event = hashed(event).unwrap();
    let warnings = event.warnings().iter();
    warnings
        .map(|w| (w.path.to_string(), w.code.word()))
        .collect()
}

/// Path and code of the error.
fn refused(event: &Value) -> (String, &'static str) {
    let error = hashed(event).unwrap_err();
    (error.path().to_owned(), error.code().word())
}

/// A website event that draws neither error nor warning.
fn lead() -> Value {
    json!({
        "event_name": "Lead",
        "event_time": T0.secs(),
        "event_id": "lead-1",
        "action_source": "website",
        "event_source_url": "https://shop.example/",
        "user_data": {"external_id": "customer-1", "client_user_agent": "Mozilla/5.0"},
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut event = lead();
    put(&mut event, path, value);
    event
}

fn put(event: &mut Value, path: &str, value: Value) {
    let mut place = event;
    for key in path.split('.') {
        place = &mut place[key];
    }
    *place = value;
}

fn whatsapp() -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": T0.secs(),
        "event_id": "wa-1",
        "action_source": "business_messaging",
        "messaging_channel": "WhatsApp",
        "user_data": {"whatsapp_business_account_id": 100_000_000_000_001_u64, "ctwa_clid": "AR"},
        "custom_data": {"value": 1, "currency": "EUR"},
    })
}

#[test]
fn required_members() {
    assert_eq!(warned(&lead()), vec![]);
    for (path, code) in [
        ("event_name", "missing"),
        ("event_time", "missing"),
        ("action_source", "missing"),
        ("user_data", "missing"),
    ] {
        assert_eq!(refused(&with(path, Value::Null)), (path.to_owned(), code));
    }
    for (path, wrong) in [
        ("event_name", json!(5)),
        ("event_time", json!("soon")),
        ("action_source", json!("web")),
        ("action_source", json!(["website"])),
        ("user_data", json!("x")),
        ("user_data", json!([1])),
        ("custom_data", json!("{}")),
        ("app_data", json!(1)),
        ("event_source_url", json!({})),
        ("event_id", json!(true)),
        ("opt_out", json!("maybe")),
        ("messaging_channel", json!("sms")),
    ] {
        assert_eq!(refused(&with(path, wrong)), (path.to_owned(), "malformed"));
    }
    assert_eq!(refused(&with("event_name", json!("  "))).1, "missing");
    assert_eq!(refused(&with("user_data", json!([]))).1, "no_match_keys");
    assert!(hashed(&with("custom_data", json!([]))).is_ok());
}

#[test]
fn members_take_their_wire_types() {
    let value = stored(&with("action_source", json!(" Website ")));
    assert_eq!(value["action_source"], "website");
    assert_eq!(stored(&with("event_id", json!(42)))["event_id"], "42");
    assert_eq!(stored(&with("opt_out", json!("1")))["opt_out"], true);
    assert_eq!(stored(&with("opt_out", json!(false)))["opt_out"], false);
    let value = stored(&with("custom_data", json!({})));
    assert_eq!(value.get("custom_data"), None);
    let value = stored(&with("upload_tag", json!({"a": [1, null]})));
    assert_eq!(value["upload_tag"], json!({"a": [1, null]}));
}

#[test]
fn the_last_moment_to_send() {
    let event = hashed(&lead()).unwrap();
    assert_eq!(event.expires_at(), UnixMs(T0.0 + 7 * DAY_MS - DAY_MS / 4));
    let event = hashed(&with("action_source", json!("physical_store"))).unwrap();
    assert_eq!(event.expires_at(), UnixMs(T0.0 + 62 * DAY_MS - DAY_MS / 4));
    // one that comes late is tried to the end of its window
    let late = T0.secs() - 7 * DAY_MS / 1000 + 3600;
    let event = hashed(&with("event_time", json!(late))).unwrap();
    assert_eq!(event.expires_at(), UnixMs(T0.0 + 3_600_000 - 60_000));
    let event = hashed(&with("action_source", json!("physical_store"))).unwrap();
    assert_eq!(
        (event.event_name(), event.event_time()),
        ("Lead", T0.secs())
    );
    assert_eq!(event.action_source(), ActionSource::PhysicalStore);
}

#[test]
fn purchases_need_value_and_currency() {
    let purchase = |custom_data: Value| {
        let mut event = with("event_name", json!("Purchase"));
        put(&mut event, "custom_data", custom_data);
        hashed(&event)
            .map(|_| ())
            .map_err(|e| (e.path().to_owned(), e.graph_subcode()))
    };
    let no_value = Err(("custom_data.value".to_owned(), Some(2_804_009)));
    let no_currency = Err(("custom_data.currency".to_owned(), None));
    assert_eq!(purchase(json!({"value": 0, "currency": "eur"})), Ok(()));
    assert_eq!(purchase(json!(null)), no_value);
    assert_eq!(
        purchase(json!({"value": "1,5", "currency": "EUR"})),
        no_value
    );
    assert_eq!(purchase(json!({"value": 1})), no_currency);
    assert_eq!(
        purchase(json!({"value": 1, "currency": "euro"})),
        no_currency
    );
}

#[test]
fn messaging_events() {
    let mut event = whatsapp();
    assert_eq!(stored(&event)["messaging_channel"], "whatsapp");
    assert_eq!(warned(&event), vec![]);
    for (path, value) in [
        ("event_source_url", json!("https://shop.example/?fbclid=x")),
        ("referrer_url", json!("https://shop.example/?fbclid=x")),
        ("user_data.client_ip_address", json!("8.8.8.8")),
        ("user_data.client_user_agent", json!("x")),
        ("user_data.fbc", json!("fb.1.1.x")),
        ("user_data.fbp", json!("fb.1.1.1")),
    ] {
        put(&mut event, path, value);
    }
    assert_eq!(warned(&event).len(), 6);
    assert!(warned(&event).iter().all(|(_, code)| *code == "stripped"));
    assert_eq!(stored(&event), stored(&whatsapp()));

    let without = |path: &str| {
        let mut event = whatsapp();
        put(&mut event, path, Value::Null);
        refused(&event)
    };
    for path in [
        "messaging_channel",
        "user_data.whatsapp_business_account_id",
        "user_data.ctwa_clid",
    ] {
        assert_eq!(without(path), (path.to_owned(), "missing"));
    }
    let mut order = whatsapp();
    put(&mut order, "event_name", json!("OrderShipped"));
    put(&mut order, "custom_data", Value::Null);
    assert_eq!(
        refused(&order),
        ("custom_data.currency".to_owned(), "without_currency")
    );
    put(&mut order, "event_name", json!("ViewContent"));
    assert!(hashed(&order).is_ok());
}

#[test]
fn app_events_need_app_data() {
    let event = with("action_source", json!("app"));
    assert_eq!(refused(&event), ("app_data".to_owned(), "missing"));
}

#[test]
fn what_meta_asks_for_but_does_not_enforce_is_a_warning() {
    let event = json!({
        "event_name": "Lead", "event_time": T0.secs(), "action_source": "website",
        "user_data": {"external_id": "1"}, "value": 3,
        "custom_data": {"event_id": "x", "customer_segmentation": "vip"},
    });
    let want = [
        ("custom_data.customer_segmentation", "unknown_value"),
        ("custom_data.event_id", "misplaced"),
        ("value", "misplaced"),
        ("event_source_url", "missing"),
        ("user_data.client_user_agent", "missing"),
    ];
    let want: Vec<(String, &str)> = want.map(|(path, code)| (path.to_owned(), code)).to_vec();
    assert_eq!(warned(&event), want);
}

#[test]
fn a_click_id_becomes_fbc_where_there_is_a_page() {
    let event = with(
        "event_source_url",
        json!("https://shop.example/?fbclid=AbC"),
    );
    assert_eq!(
        stored(&event)["user_data"]["fbc"],
        format!("fb.1.{}.AbC", T0.0)
    );
    let mut own = event.clone();
    put(&mut own, "user_data.fbc", json!("fb.1.1554763741205.own"));
    assert_eq!(stored(&own)["user_data"]["fbc"], "fb.1.1554763741205.own");
    let mut store = event.clone();
    put(&mut store, "action_source", json!("physical_store"));
    assert_eq!(stored(&store)["user_data"].get("fbc"), None);
    // it counts as a match key
    let mut alone = event;
    put(&mut alone, "user_data", json!({}));
    assert!(hashed(&alone).is_ok());
}

#[test]
fn a_repeated_request_has_the_same_identity() {
    let mut event = with("event_id", Value::Null);
    put(
        &mut event,
        "event_source_url",
        json!("https://shop.example/?fbclid=AbC"),
    );
    put(&mut event, "event_time", json!(T0.secs() + 200));
    let text = event.to_string();
    let id = |text: &str, now: i64| {
        let event = hashed_at(text, &Rules::default(), UnixMs(now)).unwrap();
        event.event_id().unwrap().to_owned()
    };
    // arrived at other moments, so with another time of its own and another fbc
    assert_eq!(id(&text, T0.0), id(&text, T0.0 + 60_000));
    assert_eq!(id(&text, T0.0), id(&text, T0.0 + 3_600_000));
    // raw or hashed by the client, it is the same person
    let digest = Sha256Hex::of("customer-1").unwrap();
    assert_eq!(
        id(&text, T0.0),
        id(&text.replace("customer-1", digest.as_str()), T0.0)
    );
    assert_ne!(id(&text, T0.0), id(&text.replace("Lead", "Contact"), T0.0));
    assert_ne!(
        id(&text, T0.0),
        id(&text.replace("customer-1", "customer-2"), T0.0)
    );

    let mut rules = Rules {
        event_id: EventIdPolicy::Leave,
        ..Rules::default()
    };
    assert_eq!(hashed_at(&text, &rules, T0).unwrap().event_id(), None);
    rules.event_id = EventIdPolicy::Random;
    let random = || {
        hashed_at(&text, &rules, T0)
            .unwrap()
            .event_id()
            .unwrap()
            .to_owned()
    };
    assert_ne!(random(), random());
}

#[test]
fn the_firewall_covers_every_clear_member_and_can_be_turned_off() {
    let mail = "canary@secret.example";
    let coded = "canary%40secret.example";
    let event = json!({
        "event_name": format!("Lead {mail}"),
        "event_time": T0.secs(),
        "event_id": format!("order-{mail}"),
        "action_source": "website",
        "event_source_url": format!("https://{mail}@shop.example/{mail}?e={coded}&x=1#{mail}"),
        "referrer_url": format!("https://shop.example/?e={mail}"),
        "user_data": {"em": mail, "external_id": mail},
        "custom_data": {
            "order_id": mail, "content_ids": [mail], "contents": [{"id": mail}],
            "note": format!("for {mail}"), mail: 1, "nested": {"deep": [{"x": coded}]},
            "json": format!("{{\"e\":\"canary\\u0040secret.example\"}}"),
        },
        "app_data": {"install_referrer": coded, "extinfo": [mail]},
        "original_event_data": {"order_id": mail},
        "attribution_data": {"touchpoint_id": mail},
        "contact": mail,
        mail: {"a": mail},
    });
    let escaped = event.to_string().replace('@', "\\u0040");
    for text in [event.to_string(), escaped] {
        let hashed = hashed_at(&text, &Rules::default(), T0).unwrap();
        let stored = String::from_utf8(hashed.encode().unwrap().as_bytes().to_vec()).unwrap();
        assert!(!stored.contains("canary"), "{stored}");
        assert!(
            stored.contains("https://shop.example/redacted?e=redacted&x=1#redacted"),
            "{stored}"
        );
        for warning in hashed.warnings() {
            assert!(!warning.to_string().contains("canary"));
        }
    }
    let off = Rules {
        pii_firewall: false,
        ..Rules::default()
    };
    let hashed = hashed_at(&event.to_string(), &off, T0).unwrap();
    let stored = String::from_utf8(hashed.encode().unwrap().as_bytes().to_vec()).unwrap();
    assert!(stored.contains(&format!("for {mail}")));
    assert!(hashed.warnings().iter().all(|w| w.code != codes::REDACTED));
}

#[test]
fn a_token_in_an_event_is_not_kept() {
    let mut event = with("access_token", json!("EAAB-token"));
    put(
        &mut event,
        "custom_data",
        json!({"access_token": "EAAB-token"}),
    );
    let text = stored(&event).to_string();
    assert!(!text.contains("EAAB"), "{text}");
}

#[test]
fn hostile_input_ends_in_an_error_with_its_path() {
    let base = lead().to_string();
    let inner = base.strip_suffix('}').unwrap();
    let user = r#""user_data":{"external_id":"1""#;
    let event = |user: &str, rest: &str| {
        format!(
            "{{\"event_name\":\"Lead\",\"event_time\":{},\"action_source\":\"website\",{user}}}{rest}}}",
            T0.secs()
        )
    };
    let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let many = |n: usize| vec!["\"x\""; n].join(",");
    let keys: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!("\"k{n}\":1")).collect();
    let keys = keys.join(",");
    let cases = [
        (String::new(), "", "malformed"),
        ("null".into(), "", "malformed"),
        ("[]".into(), "", "malformed"),
        ("{".into(), "", "malformed"),
        (format!("{base}{base}"), "", "malformed"),
        (
            format!("{inner},\"event_name\":\"x\"}}"),
            "event_name",
            "repeated_key",
        ),
        (
            format!("{inner},\"event\\u005fname\":\"x\"}}"),
            "event_name",
            "repeated_key",
        ),
        (
            event(&format!("{user},\"em\":\"a\",\"em\":\"b\""), ""),
            "user_data.em",
            "repeated_key",
        ),
        (
            event(user, ",\"custom_data\":{\"a\":1,\"a\":1}"),
            "custom_data.a",
            "repeated_key",
        ),
        (
            event(
                user,
                ",\"custom_data\":{\"contents\":[{\"id\":[{\"a\":1,\"a\":1}]}]}",
            ),
            "custom_data.contents.a",
            "repeated_key",
        ),
        (
            event(user, ",\"app_data\":{\"a\":1,\"a\":1}"),
            "app_data.a",
            "repeated_key",
        ),
        (
            event(
                user,
                ",\"custom_data\":{\"jane@example.com\":1,\"jane@example.com\":1}",
            ),
            "custom_data.*",
            "repeated_key",
        ),
        (
            event(user, &format!(",\"x\":{}", deep(10_000))),
            "",
            "too_deep",
        ),
        (
            event(user, &format!(",\"x\":{}", deep(MAX_DEPTH))),
            "",
            "too_deep",
        ),
        (
            event(&format!("{user},\"em\":\"\\ud800\""), ""),
            "user_data.em",
            "malformed",
        ),
        (
            event(user, ",\"event_id\":\"\\udc00x\""),
            "event_id",
            "malformed",
        ),
        (event(user, ",\"x\":[\"\\ud800\"]"), "x", "malformed"),
        (event(user, ",\"x\":1e999"), "x", "malformed"),
        (
            event(user, ",\"custom_data\":{\"x\":{\"y\":-1e999}}"),
            "custom_data.x",
            "malformed",
        ),
        (event(user, ",\"x\":01"), "", "malformed"),
        (
            event(&format!("{user},\"em\":[{}]", many(MAX_LIST + 1)), ""),
            "user_data.em",
            "too_many",
        ),
        (
            event(
                user,
                &format!(
                    ",\"custom_data\":{{\"content_ids\":[{}]}}",
                    many(MAX_ITEMS + 1)
                ),
            ),
            "custom_data.content_ids",
            "too_many",
        ),
        (
            event(user, &format!(",\"x\":[{}]", many(MAX_ITEMS + 1))),
            "x",
            "too_many",
        ),
        (event(user, &format!(",{keys}")), "", "too_many"),
        (
            event(&format!("{user},{keys}"), ""),
            "user_data",
            "too_many",
        ),
        (
            event(user, &format!(",\"x\":\"{}\"", "x".repeat(MAX_RAW_BYTES))),
            "",
            "too_large",
        ),
        (
            event(user, &format!(",\"x\":\"{}\"", "x".repeat(64 * 1024))),
            "",
            "too_large",
        ),
    ];
    for (text, path, code) in cases {
        let error = hashed_at(&text, &Rules::default(), T0)
            .and_then(|event| event.encode())
            .err()
            .unwrap_or_else(|| panic!("taken: {path} {code}"));
        assert_eq!((error.path(), error.code().word()), (path, code));
        assert!(!error.rule().is_empty() && !error.example().is_empty());
        assert!(!error.to_string().contains("jane"));
    }
    assert!(
        hashed_at(
            &event(user, &format!(",\"x\":{}", deep(MAX_DEPTH - 1))),
            &Rules::default(),
            T0
        )
        .is_ok()
    );
}

#[test]
fn nothing_shows_what_is_inside() {
    let text = lead().to_string();
    let raw = RawEvent::parse(&text).unwrap();
    assert!(!format!("{raw:?}").contains("customer"));
    let hashed = raw.hash(pixel(), &Rules::default(), T0).unwrap();
    assert!(!format!("{hashed:?}").contains("Lead"));
}

/// Any JSON, of some depth and width.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        Just("canary@secret.example".to_owned()),
        "[a-z =&?/%<\"]{0,6}canary(@|%40)secret\\.example[a-z =&?/%>\",]{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        let key = prop_oneof![text.clone(), any_key()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    const KEYS: &[&str] = &[
        "em",
        "ph",
        "fn",
        "ct",
        "st",
        "zp",
        "country",
        "external_id",
        "db",
        "ge",
        "email",
        "lead_id",
        "value",
        "currency",
        "order_id",
        "contents",
        "content_ids",
        "id",
        "quantity",
        "num_items",
        "delivery_category",
        "extinfo",
        "event_id",
        "phone",
    ];
    prop::sample::select(KEYS).prop_map(str::to_owned)
}

fn any_members() -> impl Strategy<Value = Value> {
    prop::collection::hash_map(any_key(), any_json(), 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = hashed_at(&text, &Rules::default(), T0);
        let _ = hashed_at(&format!("{{\"user_data\":{text}}}"), &Rules::default(), T0);
    }

    #[test]
    fn what_is_stored_is_json_within_bounds_and_without_the_canary(
        custom_data in any_members(),
        user_data in any_members(),
        other in any_json(),
        url in "(https://)?[a-z./]{0,12}(\\?[a-z=&%]{0,8}canary(@|%40|%2540)secret\\.example)?(&[a-z=%0-9]{0,8})?(#[a-z@]{0,5})?",
    ) {
        let mut event = lead();
        event["event_id"] = Value::Null;
        event["custom_data"] = custom_data;
        event["something"] = other.clone();
        event["app_data"] = json!({"x": other});
        event["referrer_url"] = url.clone().into();
        event["event_source_url"] = url.into();
        let members = event["user_data"].as_object_mut().unwrap();
        members.extend(user_data.as_object().unwrap().clone());
        members.insert("anon_id".to_owned(), json!("a"));
        let rules = Rules { max_event_bytes: 4096, ..Rules::default() };
        match hashed_at(&event.to_string(), &rules, T0).and_then(|event| event.encode()) {
            Ok(encoded) => {
                let bytes = encoded.as_bytes();
                prop_assert!(bytes.len() <= 4096);
                let value: Value = serde_json::from_slice(bytes).unwrap();
                prop_assert!(value.is_object());
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                for spelling in ["canary@secret", "canary%40secret", "canary%2540secret"] {
                    prop_assert!(!text.contains(spelling), "{}", text);
                }
            }
            Err(error) => {
                prop_assert!(!error.to_string().contains("canary"));
            }
        }
    }
}

#[test]
fn the_events_own_country_goes_before_the_sources() {
    let rules = Rules {
        default_country: Some(*b"us"),
        ..Rules::default()
    };
    let read = |user_data: Value| -> Value {
        let event = with("user_data", user_data).to_string();
        let raw = RawEvent::parse(&event).unwrap();
        let hashed = raw.hash(PixelId::from_u64(1).unwrap(), &rules, T0).unwrap();
        serde_json::from_slice(hashed.encode().unwrap().as_bytes()).unwrap()
    };
    let digest = |text: &str| Sha256Hex::of(text).unwrap().as_str().to_owned();
    let us_digest = digest("us");
    let de_digest = digest("de");
    for (country, phone, code) in [
        (json!(null), "13012345678", "94035"),
        (json!("United States"), "13012345678", "94035"),
        (json!(us_digest), "13012345678", "94035"),
        (json!("de"), "3012345678", "940351234"),
        (json!(["Germany"]), "3012345678", "940351234"),
        (json!(de_digest), "3012345678", "940351234"),
    ] {
        for key in ["country", "country_code"] {
            let got = read(json!({"ph": "3012345678", "zp": "940351234", key: country}));
            assert_eq!(got["user_data"]["ph"][0], digest(phone), "{key} {country}");
            assert_eq!(got["user_data"]["zp"][0], digest(code), "{key} {country}");
        }
    }
}

#[test]
fn external_ids_go_out_in_the_sources_form() {
    let digest = |text: &str| Sha256Hex::of(text).unwrap().to_string();
    let sent = |mode, value: Value| {
        let rules = Rules {
            external_id: mode,
            ..Rules::default()
        };
        let event = with("user_data.external_id", value);
        let hashed = hashed_at(&event.to_string(), &rules, T0).unwrap();
        let codes: Vec<_> = hashed.warnings().iter().map(|w| w.code.word()).collect();
        let stored: Value = serde_json::from_slice(hashed.encode().unwrap().as_bytes()).unwrap();
        (stored["user_data"]["external_id"].clone(), codes)
    };
    let arrived = digest("x");
    for (mode, raw, want) in [
        (ExternalId::Hash, "User 42-AB ", digest("user42-ab")),
        (ExternalId::Trim, "User 42-AB ", digest("User 42-AB")),
        (ExternalId::Raw, "User 42-AB ", "User 42-AB".to_owned()),
        (ExternalId::Hash, &arrived, arrived.clone()),
        (ExternalId::Trim, &arrived, arrived.clone()),
        (ExternalId::Raw, &arrived, arrived.clone()),
    ] {
        assert_eq!(
            sent(mode, json!(raw)),
            (json!([want]), vec![]),
            "{mode:?} {raw}"
        );
    }
    let (ids, codes) = sent(ExternalId::Raw, json!(["A\"1", 42, "A\"1", " "]));
    assert_eq!((ids, codes), (json!(["A\"1", "42"]), vec!["dropped"]));
    // never in clear
    for personal in [
        "Jane@Example.com",
        "crm:jane@example.com",
        "jane%40example.com",
        "+1 650 555 1212",
        "16505551212",
    ] {
        let joined = personal.to_lowercase().replace(' ', "");
        let want = (json!([digest(&joined)]), vec!["hashed"]);
        assert_eq!(sent(ExternalId::Raw, json!(personal)), want, "{personal}");
    }
}

#[test]
fn a_phone_number_without_calling_code_is_remarked() {
    let warned = |user_data: Value, default_country| {
        let rules = Rules {
            default_country,
            ..Rules::default()
        };
        let event = with("user_data", user_data).to_string();
        let hashed = hashed_at(&event, &rules, T0).unwrap();
        hashed
            .warnings()
            .iter()
            .any(|w| w.code == codes::CALLING_CODE)
    };
    let germany = Some(*b"de");
    assert!(warned(json!({"ph": "151 123456"}), germany));
    assert!(warned(
        json!({"ph": ["+49 151 123456", "151 123456"]}),
        germany
    ));
    for fine in [
        "0151 123456",
        "+49 151 123456",
        "0049151123456",
        "49151123456",
    ] {
        assert!(!warned(json!({"ph": fine}), germany), "{fine}");
    }
    assert!(!warned(json!({"ph": "151 123456"}), None));
    assert!(!warned(json!({"ph": "0049 151 123456"}), None));
    assert!(warned(json!({"ph": "0151 123456"}), None));
    assert!(warned(json!({"ph": "151 123456", "country": "DE"}), None));
}
