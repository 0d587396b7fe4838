//! The code of a login that was done elsewhere.

use std::time::Duration;

use capigate::sandbox::{Edge, Fault, Quirks};

use super::place::{APP, OTHER_SECRET, PERSON, PIXEL, Place, SECRET};

const URI: &str = "http://localhost:8080/";

/// Goes through the dialog as a person who allows everything; gives the address it ends on.
async fn login(place: &Place, scopes: &str) -> String {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let mut dialog: url::Url = format!("{}/v26.0/dialog/oauth", place.sandbox.url())
        .parse()
        .unwrap();
    dialog
        .query_pairs_mut()
        .append_pair("client_id", APP)
        .append_pair("redirect_uri", URI)
        .append_pair("state", &uuid::Uuid::new_v4().to_string())
        .append_pair("response_type", "code")
        .append_pair("scope", scopes);
    let answer = http.get(dialog).send().await.unwrap();
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    let address: url::Url = to.parse().unwrap();
    let code = address.query_pairs().find(|(name, _)| name == "code");
    place.hide(&code.unwrap().1);
    to
}

fn code_of(address: &str) -> String {
    let address: url::Url = address.parse().unwrap();
    let code = address.query_pairs().find(|(name, _)| name == "code");
    code.unwrap().1.into_owned()
}

const EXCHANGE: [&str; 3] = ["exchange", "--redirect-uri", URI];

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_address_becomes_a_token_of_60_days() {
    let place = Place::with_app().await;
    let address = login(&place, "ads_management").await;
    assert!(address.ends_with("#_=_"), "{address}");
    let words = [&EXCHANGE[..], &["--pixel", PIXEL, "--name", "alex"]].concat();
    let ran = place.json(&words, &address).done();
    assert_eq!(ran.finding("code")["mark"], "pass");
    assert_eq!(
        ran.finding("extended")["mark"],
        "pass",
        "it was short-lived"
    );
    assert_eq!(ran.json()["token"]["user_id"], PERSON);
    assert!(ran.json()["token"]["expires_in_days"].as_u64().unwrap() >= 59);
    place.hide(&place.reveal("alex"));
    assert_eq!(place.slots(), [format!("alex: current of {PIXEL}")]);
    // in the body, never in an address
    assert!(place.sandbox.violations().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_checked_is_kept_since_its_code_is_spent() {
    let place = Place::with_app().await;
    let address = login(&place, "ads_management").await;
    place
        .sandbox
        .add_fault(Fault::status(503).at(Edge::Pixel).forever());
    let words = [&EXCHANGE[..], &["--pixel", PIXEL, "--name", "alex"]].concat();
    let ran = place.json(&words, &address).ended(6);
    assert_eq!(ran.failed(), "pixel");
    let next = ran.finding("set_aside")["next"].clone();
    assert!(next.as_str().unwrap().contains("assign alex"), "{ran:?}");
    place.hide(&place.reveal("alex"));
    assert!(place.slots().is_empty());
    place.sandbox.clear_faults();
    let give = ["assign", "alex", "--pixel", PIXEL];
    place.run(&give, "").done();
    assert_eq!(place.slots(), [format!("alex: current of {PIXEL}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_alone_and_an_answer_without_an_end_will_do() {
    let place = Place::with_app().await;
    place.sandbox.set_quirks(Quirks {
        omit_expires_in: true,
        ..Quirks::default()
    });
    let address = login(&place, "ads_management").await;
    let words = [&EXCHANGE[..], &["--app-id", APP, "--name", "alex"]].concat();
    let ran = place.json(&words, &code_of(&address)).done();
    assert_eq!(ran.finding("extended")["mark"], "pass");
    place.hide(&place.reveal("alex"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_code_is_explained_and_nothing_is_tried_twice() {
    for omit_subcode in [false, true] {
        let place = Place::with_app().await;
        place.sandbox.set_quirks(Quirks {
            omit_subcode,
            ..Quirks::default()
        });
        let address = login(&place, "ads_management").await;
        let elsewhere = ["exchange", "--redirect-uri", "http://localhost:8080"];
        let ran = place.json(&elsewhere, &address).ended(5);
        assert_eq!(ran.finding("code")["row"], "redirect-mismatch");
        assert_eq!(ran.json()["redirect_uri"], "http://localhost:8080");
        let short = &code_of(&address)[..20];
        let ran = place.json(&EXCHANGE, short).ended(3);
        assert_eq!(ran.finding("code")["row"], "code-malformed");
        place.json(&EXCHANGE, &address).done();
        place.hide(&place.reveal("user-3000000000000001"));
        let calls = place.sandbox.account_calls().len();
        let ran = place.json(&EXCHANGE, &address).ended(3);
        assert_eq!(ran.finding("code")["row"], "code-used");
        assert_eq!(place.sandbox.account_calls().len(), calls + 1, "once");
        let late = login(&place, "ads_management").await;
        place.sandbox.advance_clock(Duration::from_mins(11));
        let ran = place.json(&EXCHANGE, &late).ended(3);
        assert_eq!(ran.finding("code")["row"], "code-expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_told_before_the_code_is_spent_is() {
    let place = Place::with_app().await;
    for (uri, says) in [
        ("localhost:8080/", "not absolute"),
        (
            "http%3A%2F%2Flocalhost%3A8080%2F",
            "percent-encoded already",
        ),
        ("http://localhost:8080/#x", "behind `#`"),
        ("null", "is empty"),
    ] {
        place
            .run(&["exchange", "--redirect-uri", uri], "code")
            .ended(64)
            .says(says);
    }
    let denied = "http://localhost:8080/?error=access_denied&error_code=200&state=x#_=_";
    place.run(&EXCHANGE, denied).ended(7).says("refused");
    let token = place.system_token();
    place.run(&["add", "--name", "alex"], &token).done();
    place.sandbox.clear_account_calls();
    let words = [&EXCHANGE[..], &["--name", "alex"]].concat();
    place.run(&words, "code").ended(1).says("already");
    assert!(place.sandbox.account_calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_a_lost_answer_are_explained() {
    let place = Place::new().await;
    place.run(&EXCHANGE, "code").ended(64).says("token app add");
    let add = ["app", "add", "--offline", "--app-id", APP];
    place.run(&add, OTHER_SECRET).done();
    let address = login(&place, "ads_management").await;
    let ran = place.json(&EXCHANGE, &address).ended(5);
    assert_eq!(ran.finding("code")["row"], "app-secret-wrong");
    place.run(&add, SECRET).done();
    let cut = serde_json::json!({"do": "cut_after_accept", "edge": "oauth"});
    let cut: Fault = serde_json::from_value(cut).unwrap();
    place.sandbox.add_fault(cut);
    let ran = place.json(&EXCHANGE, &address).ended(6);
    assert_eq!(ran.finding("code")["row"], "code-answer-lost");
    place.run(&["app", "remove", APP, "--yes"], "").done();
    let add = ["app", "add", "--offline", "--app-id", "9000000000000009"];
    place.run(&add, SECRET).done();
    let ran = place.json(&EXCHANGE, &address).ended(5);
    assert_eq!(ran.finding("code")["row"], "app-id-wrong");
}
