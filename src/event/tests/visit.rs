//! What an event gets from the request of the browser that posts it.

use serde_json::{Value, json};

use super::{T0, lead, pixel, whatsapp, with};
use crate::event::{EventIdPolicy, RawEvent, Rules, Visit};
use crate::time::UnixMs;

fn visit(address: &str, agent: &str, cookies: &str) -> Visit {
    Visit::read(address.parse().ok(), Some(agent), [cookies.as_bytes()])
}

fn someone() -> Visit {
    let cookies = "_fbp=fb.1.1596403881668.1116446470; _fbc=fb.1.1554763741205.AbC.AQ";
    visit("203.0.113.9", "Mozilla/5.0 (a browser)", cookies)
}

fn stored_at(event: &Value, visit: &Visit, now: UnixMs) -> Value {
    let text = event.to_string();
    let raw = RawEvent::parse(&text).unwrap();
    let hashed = raw.hash_visit(pixel(), &Rules::default(), now, visit);
    serde_json::from_slice(hashed.unwrap().encode().unwrap().as_bytes()).unwrap()
}

fn stored(event: &Value, visit: &Visit) -> Value {
    stored_at(event, visit, T0)
}

#[test]
fn an_event_gets_what_it_lacks_and_keeps_what_it_has() {
    let bare = with("user_data", json!({"external_id": "customer-1"}));
    let user_data = &stored(&bare, &someone())["user_data"];
    assert_eq!(user_data["client_ip_address"], "203.0.113.9");
    assert_eq!(user_data["client_user_agent"], "Mozilla/5.0 (a browser)");
    assert_eq!(user_data["fbp"], "fb.1.1596403881668.1116446470");
    assert_eq!(user_data["fbc"], "fb.1.1554763741205.AbC.AQ");
    let own = json!({
        "external_id": "customer-1",
        "client_ip_address": "8.8.8.8",
        "client_user_agent": "mine",
        "fbp": "fb.1.2.3",
        "fbc": "fb.1.2.mine",
    });
    let user_data = &stored(&with("user_data", own.clone()), &someone())["user_data"];
    for key in ["client_ip_address", "client_user_agent", "fbp", "fbc"] {
        assert_eq!(user_data[key], own[key], "{key}");
    }
    // what is not valid counts as missing
    let bad = json!({"external_id": "1", "client_ip_address": "10.0.0.1", "fbp": "x", "fbc": "y"});
    let user_data = &stored(&with("user_data", bad), &someone())["user_data"];
    assert_eq!(user_data["client_ip_address"], "203.0.113.9");
    assert_eq!(user_data["fbp"], "fb.1.1596403881668.1116446470");
    assert_eq!(user_data["fbc"], "fb.1.1554763741205.AbC.AQ");
}

#[test]
fn nobody_browsed_in_an_app_a_store_or_a_chat() {
    let keys = ["client_ip_address", "client_user_agent", "fbp", "fbc"];
    let mut app = with("action_source", json!("app"));
    app["app_data"] = json!({
        "advertiser_tracking_enabled": 1,
        "application_tracking_enabled": 1,
        "extinfo": ["a2", "", "", "", "17", "", "", "", "", "", "", "", "", "", "", ""],
    });
    for mut event in [
        app,
        with("action_source", json!("physical_store")),
        whatsapp(),
    ] {
        event["user_data"]["external_id"] = "customer-1".into();
        let members = event["user_data"].as_object_mut().unwrap();
        members.remove("client_user_agent");
        let user_data = &stored(&event, &someone())["user_data"];
        for key in keys {
            assert!(user_data.get(key).is_none(), "{key}: {event}");
        }
    }
}

#[test]
fn an_event_may_say_nothing_about_its_visitor() {
    for nothing in [Value::Null, json!({}), json!([])] {
        let event = with("user_data", nothing);
        let user_data = &stored(&event, &someone())["user_data"];
        assert_eq!(user_data["fbp"], "fb.1.1596403881668.1116446470");
        let text = event.to_string();
        let raw = RawEvent::parse(&text).unwrap();
        assert!(raw.hash(pixel(), &Rules::default(), T0).is_err());
        // not even the request says anything
        let raw = RawEvent::parse(&text).unwrap();
        let nobody = visit("10.0.0.1", "", "");
        let error = raw.hash_visit(pixel(), &Rules::default(), T0, &nobody);
        assert_eq!(error.unwrap_err().code().word(), "no_match_keys");
    }
}

#[test]
fn what_the_request_adds_is_no_part_of_the_events_identity() {
    let event = with("event_id", Value::Null);
    let id = |visit: &Visit, now: UnixMs| stored_at(&event, visit, now)["event_id"].clone();
    let first = id(&someone(), T0);
    let elsewhere = visit("8.8.8.8", "another", "_fbp=fb.1.2.3");
    assert_eq!(id(&elsewhere, UnixMs(T0.0 + 5000)), first);
    let text = event.to_string();
    let raw = RawEvent::parse(&text).unwrap();
    let server = raw.hash(pixel(), &Rules::default(), T0).unwrap();
    assert_eq!(server.event_id(), first.as_str());
}

#[test]
fn two_visitors_who_say_nothing_else_have_two_events() {
    let mut event = with("user_data", json!({}));
    event["event_id"] = Value::Null;
    event["event_source_url"] = "https://shop.example/?fbclid=AbC".into();
    let id = |visit: &Visit, now: UnixMs| stored_at(&event, visit, now)["event_id"].clone();
    let later = UnixMs(T0.0 + 5000);
    let one = "_fbp=fb.1.1.1";
    let first = id(&visit("203.0.113.9", "a", one), T0);
    // the same browser, whose address has changed meanwhile
    assert_eq!(id(&visit("203.0.113.8", "a", one), later), first);
    assert_ne!(id(&visit("203.0.113.9", "a", "_fbp=fb.1.1.2"), T0), first);
    let bare = id(&visit("203.0.113.9", "a", ""), T0);
    assert_eq!(id(&visit("203.0.113.9", "a", ""), later), bare);
    for other in [visit("203.0.113.9", "b", ""), visit("203.0.113.8", "a", "")] {
        assert_ne!(id(&other, T0), bare);
    }
}

#[test]
fn the_index_is_that_of_the_sites_cookies() {
    let mut event = lead();
    event["event_source_url"] = "https://www.shop.example/?fbclid=AbC".into();
    let rules = Rules {
        subdomain_index: 2,
        event_id: EventIdPolicy::Leave,
        ..Rules::default()
    };
    let text = event.to_string();
    let raw = RawEvent::parse(&text).unwrap();
    let hashed = raw.hash(pixel(), &rules, T0).unwrap().encode().unwrap();
    let value: Value = serde_json::from_slice(hashed.as_bytes()).unwrap();
    let want = format!("fb.2.{}.AbC", T0.0);
    assert_eq!(value["user_data"]["fbc"], want);
}
