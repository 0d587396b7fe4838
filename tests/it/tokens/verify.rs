//! The ladder, and test events.

use capigate::sandbox::{Edge, Fault, TokenChange, TokenState};

use super::place::{OTHER_APP, OTHER_SECRET, PIXEL, Place, SECOND, system_token};

#[tokio::test(flavor = "multi_thread")]
async fn each_rung_is_told_for_each_pixel() {
    let place = Place::with_app().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    place.run(&["add", "--pixel", SECOND], &token).done();
    let ran = place.json(&["verify", "shop"], "").done();
    assert_eq!(ran.json()["pixels"], serde_json::json!([PIXEL, SECOND]));
    place
        .run(&["verify", "shop"], "")
        .done()
        .says("✓ valid")
        .says("sees the pixel (Shop website)")
        .says("active, last event 2026-")
        .says(&format!("pixel {SECOND}"))
        .says("no activity yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_that_cannot_be_read_is_a_warning_and_one_that_cannot_be_used_is_not() {
    let place = Place::with_app().await;
    let token = place.system_token();
    place.run(&["add", "--name", "shop"], &token).done();
    let ran = place
        .json(&["verify", "shop", "--pixel", "4444444444444444"], "")
        .done();
    assert_eq!(ran.finding("pixel")["mark"], "warn");
    assert_eq!(ran.finding("pixel")["code"], "100/33");
    assert_eq!(ran.finding("pixel")["row"], "pixel-unreadable");
    let change = TokenChange {
        pixels: Some(vec!["3333333333333333".parse().unwrap()]),
        ..TokenChange::default()
    };
    place
        .sandbox
        .change_token(&Place::print_of(&token), &change);
    let ran = place
        .json(&["verify", "shop", "--pixel", "3333333333333333"], "")
        .ended(4);
    assert_eq!(ran.failed(), "pixel_available");
    place
        .sandbox
        .set_token_state(&Place::print_of(&token), TokenState::Revoked);
    place
        .json(&["verify", "shop", "--pixel", PIXEL], "")
        .ended(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_is_sent_when_asked_for_and_never_by_itself() {
    let mut place = Place::with_app().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    place.run(&["verify", "shop"], "").done();
    place
        .run(&["verify", "shop", "--send-test"], "")
        .ended(64)
        .says("--test-event-code");
    let words = [
        "verify",
        "shop",
        "--send-test",
        "--test-event-code",
        "TEST123",
    ];
    // nobody is there to say yes
    place.run(&words, "y\n").ended(64).says("add --yes");
    assert_eq!(place.sandbox.totals().events_accepted, 0);
    let bad = [
        "verify",
        "shop",
        "--send-test",
        "--test-event-code",
        "no code",
    ];
    place.run(&bad, "").ended(64).says("TEST12345");
    let ran = place.json(&[&words[..], &["--yes"]].concat(), "").done();
    assert_eq!(ran.json()["events_received"], 1);
    assert!(ran.json()["trace_id"].is_string());
    assert!(
        ran.json()["test_event_warning"]
            .as_str()
            .unwrap()
            .contains("not a rehearsal")
    );
    let seen = place.sandbox.test_events("TEST123");
    assert_eq!(seen.len(), 1);
    place
        .run(&[&words[..], &["--yes"]].concat(), "")
        .done()
        .says("events received: 1")
        .says("used for targeting");
    place.extra = "test_event_code = \"TEST777\"".to_owned();
    place
        .run(&["verify", "shop", "--send-test", "--yes"], "")
        .done()
        .says("TEST777");
    assert_eq!(place.sandbox.test_events("TEST777").len(), 1);
    assert_eq!(place.listed()["shop"]["pixels"][0]["slot"], "current");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_a_failure_only_when_sending_fails() {
    let place = Place::with_app().await;
    let mut wish = system_token();
    wish.scopes = vec!["ads_read".to_owned()];
    let token = place.mint(wish);
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    let words = [
        "verify",
        "shop",
        "--send-test",
        "--test-event-code",
        "T1",
        "--yes",
    ];
    let ran = place.json(&words, "").done();
    assert_eq!(ran.finding("scopes")["mark"], "warn");
    place
        .sandbox
        .add_fault(Fault::throttle(200).at(Edge::Events));
    let ran = place.json(&words, "").ended(4);
    assert_eq!(ran.failed(), "test_event");
    let json = ran.json();
    let all = json["findings"].as_array().unwrap();
    let scopes = all.iter().filter(|one| one["check"] == "scopes");
    assert!(scopes.clone().any(|one| one["mark"] == "fail"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_would_be_refused_is_not_sent_with() {
    let place = Place::with_app().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    place
        .sandbox
        .set_token_state(&Place::print_of(&token), TokenState::Expired);
    let words = [
        "verify",
        "shop",
        "--send-test",
        "--test-event-code",
        "T1",
        "--yes",
    ];
    let ran = place.json(&words, "").ended(3);
    assert_eq!(ran.finding("test_event")["mark"], "skipped");
    assert_eq!(place.sandbox.totals().batches_refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_demands_the_proof_gets_it_when_its_secret_is_known() {
    let place = Place::new().await;
    let mut wish = system_token();
    wish.app = Some(OTHER_APP.to_owned());
    let token = place.mint(wish);
    let ran = place
        .json(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .ended(5);
    assert_eq!(ran.finding("pixel")["row"], "proof-missing");
    place
        .run(&["app", "add", "--app-id", OTHER_APP], OTHER_SECRET)
        .done();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    let words = [
        "verify",
        "shop",
        "--send-test",
        "--test-event-code",
        "T1",
        "--yes",
    ];
    place.run(&words, "").done().says("events received: 1");
}
