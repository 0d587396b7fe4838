//! Tokens that are ended, or taken out.

use capigate::sandbox::{Edge, Fault, SandboxToken, TokenState};
use serde_json::json;

use super::place::{APP, PIXEL, Place, SECOND};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_ended_confirmed_and_forgotten() {
    let place = Place::with_app().await;
    let token = place.system_token();
    place.run(&["add", "--name", "shop"], &token).done();
    place
        .run(&["revoke", "shop"], "")
        .ended(64)
        .says("add --yes");
    let ran = place.json(&["revoke", "shop", "--yes"], "").done();
    assert_eq!(ran.finding("revoked")["mark"], "pass");
    assert_eq!(ran.finding("confirmed")["mark"], "pass");
    assert!(place.listed().is_empty());
    let all = place.sandbox.tokens();
    let ended = all
        .iter()
        .find(|one| one.fingerprint == Place::print_of(&token));
    assert_eq!(ended.unwrap().state, "invalidated");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pixel_sends_with_is_ended_only_when_it_has_leaked() {
    let place = Place::with_app().await;
    let (token, next) = (place.system_token(), place.system_token());
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    place.run(&["add", "--pixel", SECOND], &token).done();
    let add = ["add", "--pixel", PIXEL, "--slot", "next", "--name", "next"];
    place.run(&add, &next).done();
    place
        .run(&["revoke", "shop", "--yes"], "")
        .ended(1)
        .says("token rotate --pixel");
    let print = Place::print_of(&token);
    let words = ["revoke", "--fingerprint", &print, "--now", "--yes"];
    place
        .run(&words, "")
        .done()
        .says(&format!("pixel {SECOND} has no token now"));
    assert_eq!(place.slots(), [format!("next: current of {PIXEL}")]);
    place
        .run(&words, "")
        .ended(1)
        .says("no token with this fingerprint");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_leaked_one_the_pixel_goes_back_to_the_one_before() {
    let place = Place::with_app().await;
    for name in ["first", "second", "third"] {
        let token = place.system_token();
        let add = ["add", "--pixel", PIXEL, "--force", "--name", name];
        place.run(&add, &token).done();
    }
    let next = place.system_token();
    let add = ["add", "--pixel", PIXEL, "--slot", "next", "--name", "next"];
    place.run(&add, &next).done();
    let revoke = |name| place.run(&["revoke", name, "--now", "--yes"], "").done();
    revoke("third").says(&format!("pixel {PIXEL} sends with next now"));
    assert_eq!(
        place.slots(),
        [
            format!("next: current of {PIXEL}"),
            format!("second: retiring of {PIXEL}")
        ]
    );
    revoke("next").says(&format!("pixel {PIXEL} sends with second now"));
    assert_eq!(place.slots(), [format!("second: current of {PIXEL}")]);
    revoke("second").says(&format!("pixel {PIXEL} has no token now"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_known_before_is_no_proof_that_it_has_ended() {
    let place = Place::with_app().await;
    let token = place.system_token();
    let print = Place::print_of(&token);
    place.run(&["add", "--name", "shop"], &token).done();
    place.sandbox.set_token_state(&print, TokenState::Expired);
    place.run(&["inspect", "shop"], "").ended(3);
    assert_eq!(place.listed()["shop"]["state"], "expired");
    place.sandbox.set_token_state(&print, TokenState::Valid);
    // neither the app nor the token itself is told anything
    let refusal =
        json!({"do": "status", "edge": "debug_token", "times": 4, "status": 400, "code": 100});
    let refusal: Fault = serde_json::from_value(refusal).unwrap();
    place.sandbox.add_fault(refusal);
    place
        .run(&["revoke", "shop", "--app-id", APP, "--yes"], "")
        .done()
        .says("Meta has ended shop");
    let all = place.sandbox.tokens();
    let ended = all.iter().find(|one| one.fingerprint == print);
    assert_eq!(ended.unwrap().state, "invalidated");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_app_secret_a_person_is_told_where_to_go() {
    let place = Place::with_app().await;
    let token = place.mint(SandboxToken::default());
    place.run(&["add", "--name", "dataset"], &token).done();
    let ran = place.json(&["revoke", "dataset", "--yes"], "").ended(5);
    assert_eq!(ran.failed(), "revoked");
    assert!(
        ran.finding("revoked")["next"]
            .as_str()
            .unwrap()
            .contains("Events Manager")
    );
    assert!(place.listed().contains_key("dataset"));
    place
        .run(&["remove", "dataset"], "")
        .ended(64)
        .says("add --yes");
    let ran = place.json(&["remove", "dataset", "--yes"], "").done();
    assert_eq!(ran.finding("revoked")["mark"], "skipped");
    assert!(place.listed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_cleared_up_and_a_refusal_changes_nothing() {
    let place = Place::with_app().await;
    let token = place.system_token();
    place.run(&["add", "--name", "shop"], &token).done();
    place.sandbox.add_fault(Fault::status(503).at(Edge::Revoke));
    place.run(&["revoke", "shop", "--yes"], "").ended(6);
    assert!(place.listed().contains_key("shop"));
    let cut = serde_json::json!({"do": "cut_after_accept", "edge": "revoke"});
    place
        .sandbox
        .add_fault(serde_json::from_value::<Fault>(cut).unwrap());
    let ran = place.json(&["revoke", "shop", "--yes"], "").done();
    assert_eq!(ran.finding("revoked")["mark"], "warn");
    assert_eq!(ran.finding("confirmed")["mark"], "pass");
    assert!(place.listed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_use_is_removed_only_by_force() {
    let place = Place::new().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    place
        .run(&["remove", "shop"], "")
        .ended(1)
        .says("rotate that pixel first");
    place
        .run(&["remove", "shop", "--force", "--yes"], "")
        .done()
        .says("current token of pixel");
    place
        .run(&["remove", "shop"], "")
        .ended(1)
        .says("no token shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_is_lost_is_told_first() {
    let place = Place::with_app().await;
    let add = ["add", "--pixel", PIXEL, "--name", "shop"];
    place.run(&add, &place.system_token()).done();
    let add = ["add", "--pixel", PIXEL, "--slot", "next", "--name", "next"];
    place.run(&add, &place.system_token()).done();
    place
        .run(&["revoke", "next"], "")
        .ended(64)
        .says("none to fall back on");
    let alex = place.user_token(60 * 86_400);
    place.run(&["add", "--name", "alex"], &alex).done();
    place
        .run(&["revoke", "alex"], "")
        .ended(64)
        .says("tokens of pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_written_down_is_not_done_at_meta() {
    let place = Place::with_app().await;
    for name in ["shop", "admin"] {
        place
            .run(&["add", "--name", name], &place.system_token())
            .done();
    }
    // also who may do anything cannot write to this
    let lock = place.path("tokens.vault.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    place.sandbox.clear_account_calls();
    let user = "61550000000001";
    let create = [
        "system-user",
        "create",
        "--system-user",
        user,
        "--scope",
        "ads_management",
    ];
    for words in [
        vec!["revoke", "shop", "--yes"],
        [&create[..], &["--from", "admin"]].concat(),
        vec!["extend", "shop"],
    ] {
        place.run(&words, "").ended(1).says("nothing was done");
    }
    assert!(place.sandbox.account_calls().is_empty());
}
