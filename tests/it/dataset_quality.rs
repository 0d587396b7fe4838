//! What Meta says of a pixel, beside what the gateway has seen: asked seldom, and never at the cost of
//! events.

use std::sync::Arc;
use std::time::Duration;

use capigate::journal::segment::disk::RealDisk;
use capigate::sandbox::{Action, Edge, Fault, Place, TokenChange, TokenState};
use capigate::time::Clock;
use serde_json::{Value, json};

use crate::console::{self, Browser, VIEW};
use crate::harness::{Gateway, OTHER, PIXEL, purchase};

/// The token of [`PIXEL`], which is in no answer and on no page.
const TOKEN: &str = "sandbox-token";

async fn gateway() -> Gateway {
    Gateway::with(console::keyed).await
}

fn allow(gateway: &Gateway, scopes: &[&str]) {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let change = TokenChange {
        scopes: Some(scopes),
        ..TokenChange::default()
    };
    assert!(gateway.sandbox.change_token("first", &change));
}

/// What the admin API answers to who may only look.
async fn ask(gateway: &Gateway, pixel: &str) -> Value {
    let admin = gateway.running().admin_addr();
    let url = format!("http://{admin}/quality/meta?pixel={pixel}");
    let response = gateway.http.get(url).bearer_auth(VIEW).send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    assert!(!text.contains(TOKEN), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// How often Meta was asked.
fn times_asked(gateway: &Gateway) -> usize {
    let calls = gateway.sandbox.account_calls();
    let of_quality = |call: &&capigate::sandbox::AccountCall| call.edge == Edge::DatasetQuality;
    calls.iter().filter(of_quality).count()
}

/// Any error of Graph's.
fn error(code: i64, subcode: Option<i64>, message: &str) -> Fault {
    let action = json!({
        "do": "status", "status": 400, "code": code, "subcode": subcode, "message": message,
    });
    let fault: Fault = serde_json::from_value(action).unwrap();
    fault.at(Edge::DatasetQuality)
}

#[tokio::test(flavor = "multi_thread")]
async fn meta_s_figures_stand_beside_the_gateway_s() {
    let gateway = gateway().await;
    allow(&gateway, &["read_ads_dataset_quality"]);
    let browser = Browser::signed_in(&gateway, VIEW).await;
    // nobody has looked at a pixel
    let page = browser.get("/console/quality").await.text;
    assert!(page.contains("Choose one pixel"), "{page}");
    let mut without = purchase("b");
    without["user_data"] = json!({"ph": "+49 30 1234567", "client_user_agent": "tests"});
    assert_eq!(gateway.post(vec![purchase("a"), without]).await.status, 200);
    gateway.delivered(2).await;
    assert_eq!(times_asked(&gateway), 0);
    let page = browser
        .get(&format!("/console/quality?pixel={PIXEL}"))
        .await
        .text;
    let stream = format!("/console/quality/meta/stream?pixel={PIXEL}");
    assert!(
        page.contains(&format!("data-stream=\"{stream}\"")),
        "{page}"
    );
    assert!(page.contains("Being read."), "{page}");
    // the page itself did not wait, and asked nothing
    assert_eq!(times_asked(&gateway), 0);

    let said = ask(&gateway, PIXEL).await;
    assert_eq!(
        (&said["state"], &said["simulated"]),
        (&json!("read"), &json!(true))
    );
    assert_eq!(said["trouble"], Value::Null);
    let event = &said["events"][0];
    assert_eq!(event["event_name"], "Purchase");
    let email = &event["match_keys"][0];
    assert_eq!(
        (&email["key"], &email["percent"]),
        (&json!("em"), &json!(50.0))
    );
    assert_eq!(event["gateway"]["events"], 2);
    assert_eq!(event["gateway"]["match_keys"]["em"], 50.0);
    assert_eq!(event["dedup_keys"][0]["server_percent"], 100.0);
    // half of 3.0 and of 2.0 for address and phone, and 0.7 for the user agent
    assert_eq!(event["score"], 3.2);

    // who looks again gets the same, and Meta is left alone
    assert_eq!(ask(&gateway, PIXEL).await, said);
    let seen = browser
        .get(&format!("/console/quality/meta?pixel={PIXEL}"))
        .await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    for words in [
        "Simulated.",
        "<td class=\"num\">3.2</td>",
        "50 %",
        "Meta was asked",
    ] {
        assert!(seen.text.contains(words), "{words}: {}", seen.text);
    }
    assert!(!seen.text.contains(TOKEN));
    let first = browser.first_of(&stream).await;
    assert!(
        first.starts_with("retry: 500\nevent: page\ndata: \""),
        "{first}"
    );
    assert!(first.contains("3.2") && !first.contains(TOKEN), "{first}");
    assert_eq!(times_asked(&gateway), 1);
    let calls = gateway.sandbox.account_calls();
    let call = calls.iter().find(|call| call.edge == Edge::DatasetQuality);
    let params = &call.unwrap().params;
    let token = params.iter().find(|param| param.name == "access_token");
    assert_eq!(token.unwrap().place, Place::Header);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_read_is_told_what_it_needs() {
    let clock = Clock::manual(Clock::Real.now());
    let mut gateway = Gateway::with_disk(console::keyed, Arc::new(RealDisk), clock.clone()).await;
    allow(&gateway, &["ads_management"]);
    let said = ask(&gateway, PIXEL).await;
    assert_eq!(said["state"], "not_read");
    let trouble = &said["trouble"];
    assert_eq!(
        (&trouble["code"], &trouble["meta_code"]),
        (&json!("dataset-quality-denied"), &json!("10"))
    );
    let next = trouble["next"].as_str().unwrap();
    assert!(next.contains("read_ads_dataset_quality"), "{next}");
    let browser = Browser::signed_in(&gateway, VIEW).await;
    let page = browser
        .get(&format!("/console/quality/meta?pixel={PIXEL}"))
        .await;
    assert!(page.text.contains("could not be read"), "{}", page.text);
    assert!(
        page.text.contains("read_ads_dataset_quality"),
        "{}",
        page.text
    );

    // an error is kept, too, for a shorter time
    allow(&gateway, &["ads_read", "business_management"]);
    let later = |seconds| clock.set(clock.now().plus(Duration::from_secs(seconds)));
    later(110);
    assert_eq!(ask(&gateway, PIXEL).await["state"], "not_read");
    later(20);
    // there are no figures without events
    assert_eq!(ask(&gateway, PIXEL).await["state"], "empty");
    later(14 * 60);
    assert_eq!(ask(&gateway, PIXEL).await["state"], "empty");
    assert_eq!(times_asked(&gateway), 2);
    later(70);
    let page = browser
        .get(&format!("/console/quality/meta?pixel={PIXEL}"))
        .await;
    assert!(page.text.contains("Meta has no figures"), "{}", page.text);
    assert_eq!(times_asked(&gateway), 3);

    // a dataset that is not there, and an answer that repeats the token
    later(16 * 60);
    gateway
        .sandbox
        .add_fault(error(100, Some(2_044_055), "Invalid parameter"));
    let said = ask(&gateway, PIXEL).await;
    assert_eq!(said["trouble"]["code"], "dataset-unknown");
    assert_eq!(said["trouble"]["meta_code"], "100/2044055");
    later(130);
    gateway
        .sandbox
        .add_fault(error(10, None, "(#10) {token} may not"));
    let said = ask(&gateway, PIXEL).await;
    assert_eq!(said["trouble"]["words"], "(#10) [redacted] may not");
    // a limit is left alone for as long as figures last
    later(130);
    gateway
        .sandbox
        .add_fault(Fault::throttle(4).at(Edge::DatasetQuality));
    assert_eq!(ask(&gateway, PIXEL).await["trouble"]["code"], "rate-limit");
    later(600);
    assert_eq!(ask(&gateway, PIXEL).await["trouble"]["code"], "rate-limit");
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_look_at_once_ask_once() {
    let gateway = gateway().await;
    allow(&gateway, &["read_ads_dataset_quality"]);
    let slow = Action::Slow {
        ms: 300,
        accept_first: false,
    };
    gateway
        .sandbox
        .add_fault(Fault::from(slow).at(Edge::DatasetQuality));
    let one = || ask(&gateway, PIXEL);
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    assert!([a, b, c, d].iter().all(|said| said["state"] == "empty"));
    assert_eq!(times_asked(&gateway), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_with_a_token_that_is_refused() {
    let mut gateway = gateway().await;
    assert!(
        gateway
            .sandbox
            .set_token_state("second", TokenState::Revoked)
    );
    let body = json!({"data": [purchase("held")]});
    assert_eq!(gateway.post_body(OTHER, &body).await.status, 200);
    let is_held = async |gateway: &Gateway| {
        let holds = gateway.running().lanes().holds();
        (!holds.is_empty()).then_some(())
    };
    gateway.until("a hold", is_held).await;
    let said = ask(&gateway, OTHER).await;
    let code = said["trouble"]["code"].as_str().unwrap();
    assert!(["token_refused", "held"].contains(&code), "{said}");
    assert_eq!(said["asked_at"], Value::Null);
    assert_eq!(times_asked(&gateway), 0);
    gateway.finish_with_backlog().await;
}
