//! One canary e-mail, phone, name and token go through everything; afterwards they are nowhere.

use std::time::Duration;

use capigate::sandbox::{Action, Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::json;

use crate::support::{PIXEL, Site, all_bytes};

const EMAIL: &str = "canary.person@canary-mail.example";
const PHONE: &str = "4915209876543";
const PHONE_RAW: &str = "+49 (1520) 987-6543";
const NAME: &str = "Canaryperson";
const TOKEN: &str = "EAACANARYTOKEN0123456789";
const KEY: &str = "canary-ingest-key-987";

/// What must be found nowhere, in the forms it might take.
const CANARIES: &[&str] = &[
    EMAIL,
    "canary.person%40canary-mail.example",
    "Canary.Person@Canary-Mail.Example",
    "canary.person",
    PHONE,
    PHONE_RAW,
    "987-6543",
    NAME,
    "canaryperson",
    TOKEN,
    KEY,
];

fn search(what: &str, bytes: &[u8]) {
    for canary in CANARIES {
        let found = bytes
            .windows(canary.len())
            .any(|window| window.eq_ignore_ascii_case(canary.as_bytes()));
        assert!(!found, "{canary} is in {what}");
    }
}

fn event(id: &str) -> serde_json::Value {
    json!({
        "event_name": "Purchase", "event_time": Clock::Real.now().secs(), "event_id": id, "action_source": "website",
        "event_source_url": "https://shop.example/thanks?email=canary.person%40canary-mail.example&order=1",
        "referrer_url": format!("https://shop.example/?mail={EMAIL}"),
        "user_data": {
            "em": ["Canary.Person@Canary-Mail.Example", EMAIL], "ph": PHONE_RAW, "fn": NAME, "ln": NAME,
            "external_id": EMAIL, "nickname": NAME, "email_address": EMAIL,
            "client_user_agent": "tests"
        },
        "custom_data": {
            "value": 1, "currency": "EUR", "note": format!("call {EMAIL} now"),
            "nested": {"list": [EMAIL, {"deep": format!("<{EMAIL}>")}], "escaped": "x"},
            "order_id": EMAIL
        },
        "unknown_member": EMAIL
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn canaries_are_found_nowhere() {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("canary", TOKEN)],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    site.token = TOKEN.to_owned();
    site.key = KEY.to_owned();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let mut logs = String::new();

    // the first life meets every fault that might make it talkative, at the most talkative level
    for fault in [
        Fault::status(503),
        Fault {
            edge: None,
            pixel: None,
            times: None,
            action: Action::Html { status: 502 },
        },
        Fault {
            edge: None,
            pixel: None,
            times: None,
            action: Action::Cut {},
        },
        Fault::throttle(4),
        Fault {
            edge: None,
            pixel: None,
            times: None,
            action: Action::BadToken { subcode: None },
        },
        echoing_error(),
        Fault::status(503).forever(),
    ] {
        sandbox.add_fault(fault);
    }
    let first = site.start(None, "trace").unwrap();
    let mut answers = Vec::new();
    for n in 0..5 {
        let body = json!({"data": [event(&format!("c-{n}")), {"event_name": EMAIL, "event_time": EMAIL, "user_data": {"em": EMAIL}}]});
        answers.push(
            http.post(first.events_url())
                .bearer_auth(KEY)
                .json(&body)
                .send()
                .await
                .unwrap(),
        );
    }
    // refusals of every kind, each with canaries in it
    let url = format!("{}?access_token={KEY}", first.events_url());
    for body in [
        format!("{{\"data\":[{{\"event_name\":\"{EMAIL}\""),
        format!("\"{EMAIL}\""),
        format!("{{\"data\":\"{EMAIL}\",\"test_event_code\":[\"{PHONE_RAW}\"]}}"),
        format!("{{\"{EMAIL}\":1,\"{EMAIL}\":2,\"data\":[1]}}"),
        json!({"data": [event("o1")], "upload_tag": EMAIL}).to_string(),
        json!({"data": [event("o2")], "test_event_code": PHONE}).to_string(),
        json!({"data": [event("o3")], "partner_agent": PHONE_RAW}).to_string(),
        format!("{{\"data\":[{{\"user_data\":{{\"em\":\"{EMAIL}\",\"em\":\"{EMAIL}\"}}}}]}}"),
    ] {
        answers.push(
            http.post(&url)
                .header("content-type", "application/json")
                .body(body)
                .send()
                .await
                .unwrap(),
        );
    }
    let wrong_key = format!("{}?access_token={TOKEN}", first.events_url());
    answers.push(
        http.post(&wrong_key)
            .json(&json!({"data": [event("w")]}))
            .send()
            .await
            .unwrap(),
    );
    answers.push(
        http.post(format!("{}/{EMAIL}/{TOKEN}", first.ingest))
            .send()
            .await
            .unwrap(),
    );
    let mut refused = 0;
    for answer in answers {
        refused += usize::from(!answer.status().is_success());
        search("an answer", answer.text().await.unwrap().as_bytes());
    }
    assert!(refused >= 10, "only {refused} refusals");
    for _ in 0..400 {
        if sandbox.ledger().batches.len() >= 7 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(
        sandbox.ledger().batches.len() >= 7,
        "{:?}",
        sandbox.ledger().batches
    );
    for page in ["/", "/metrics", "/readyz", "/healthz"] {
        let text = http
            .get(format!("{}{page}", first.admin))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        search(page, text.as_bytes());
    }
    logs.push_str(&first.whole_log());
    for (path, bytes) in all_bytes(site.dir.path()) {
        search(&path.display().to_string(), &bytes);
    }

    // the second life delivers what the first one left
    sandbox.clear_faults();
    let mut second = site.start(None, "trace").unwrap();
    tokio::time::timeout(Duration::from_secs(30), sandbox.accepted_at_least(5))
        .await
        .unwrap();
    assert_eq!(second.terminate(), 0);
    logs.push_str(&second.whole_log());
    assert!(
        logs.lines().count() > 20,
        "the log is suspiciously short: {logs}"
    );
    search("the log", logs.as_bytes());
    for (path, bytes) in all_bytes(site.dir.path()) {
        search(&path.display().to_string(), &bytes);
    }
    let sent = serde_json::to_vec(&sandbox.ledger()).unwrap();
    search("what Graph received", &sent);
    assert_eq!(sandbox.violations(), []);
    assert_eq!(sandbox.totals().events_distinct, 5);
    assert!(
        sandbox
            .ledger()
            .events
            .iter()
            .all(|event| event.pixel.to_string() == PIXEL)
    );
}

/// Graph's texts may repeat what was sent, the token included.
fn echoing_error() -> Fault {
    Fault {
        edge: None,
        pixel: None,
        times: None,
        action: Action::Status {
            status: 400,
            code: 1,
            subcode: None,
            is_transient: Some(true),
            message: Some(format!("Malformed access token {TOKEN} for {EMAIL}")),
            headers: std::collections::BTreeMap::new(),
        },
    }
}
