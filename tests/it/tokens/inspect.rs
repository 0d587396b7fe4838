//! What Meta says of a token.

use std::time::Duration;

use capigate::sandbox::{Edge, Fault, Quirks, SandboxToken, TokenKind, TokenState};

use super::place::{APP, OTHER_APP, OTHER_SECRET, PERSON, PIXEL, Place, days, system_token};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_shown_and_written_down() {
    let place = Place::with_app().await;
    let mut wish = system_token();
    wish.scopes = [
        "ads_management",
        "business_management",
        "catalog_management",
    ]
    .map(str::to_owned)
    .to_vec();
    wish.expires_in = Some(Duration::from_secs(days(40)));
    wish.granular = [("ads_management".to_owned(), vec!["777".to_owned()])].into();
    let token = place.mint(wish);
    let words = ["add", "--pixel", PIXEL, "--name", "shop", "--no-verify"];
    place.run(&words, &token).done();
    let ran = place.json(&["inspect", "shop"], "").done();
    let told = &ran.json()["token"];
    assert_eq!(told["name"], "shop");
    assert_eq!(told["app_id"], APP);
    assert_eq!(told["app_name"], "Shop events");
    assert_eq!(told["kind"], "system_user");
    assert!(
        (39..=40).contains(&told["expires_in_days"].as_u64().unwrap()),
        "{told}"
    );
    assert!(told["expires"].as_str().unwrap().ends_with('Z'));
    assert_eq!(told["targets"][0]["ids"][0], "777");
    assert_eq!(ran.json()["scopes_extra"][0], "catalog_management");
    assert_eq!(ran.json()["scopes_missing"], serde_json::json!([]));
    assert_eq!(ran.finding("targets")["mark"], "skipped");
    assert_eq!(place.listed()["shop"]["state"], "valid", "written down");
    place
        .run(&["inspect", "--pixel", PIXEL], "")
        .done()
        .says("(in 3")
        .says("ads_management for")
        .says("catalog_management");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_are_told_with_what_to_do() {
    let place = Place::with_app().await;
    let token = place.user_token(days(50));
    place.run(&["add", "--name", "alex"], &token).done();
    let print = Place::print_of(&token);
    for (state, code, row, kept) in [
        (TokenState::Expired, "190/463", "token-expired", "expired"),
        (TokenState::ExpiredPlain, "190", "token-expired", "expired"),
        (
            TokenState::PasswordChanged,
            "190/460",
            "password-changed",
            "revoked",
        ),
        (TokenState::AppRemoved, "190/458", "app-removed", "revoked"),
        (
            TokenState::Checkpointed,
            "190/459",
            "account-checkpoint",
            "blocked",
        ),
        (TokenState::Malformed, "190", "token-malformed", "invalid"),
    ] {
        place.sandbox.set_token_state(&print, state);
        let ran = place.json(&["inspect", "alex"], "").ended(3);
        let told = ran.finding("token");
        assert_eq!(told["code"], code, "{state:?}");
        assert_eq!(told["row"], row, "{state:?}");
        assert!(
            told["next"].as_str().unwrap().contains("capigate")
                || state == TokenState::Checkpointed
        );
        assert_eq!(place.listed()["alex"]["state"], kept, "{state:?}");
    }
    place.sandbox.set_token_state(&print, TokenState::Valid);
    place.run(&["inspect", "alex"], "").done();
    assert_eq!(place.listed()["alex"]["state"], "valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_about_in_the_name_of_its_own_app() {
    let place = Place::with_app().await;
    place
        .run(&["app", "add", "--app-id", OTHER_APP], OTHER_SECRET)
        .done();
    place.sandbox.set_quirks(Quirks {
        no_self_inspection: true,
        numeric_ids: true,
        ..Quirks::default()
    });
    for app in [APP, OTHER_APP] {
        let mut wish = system_token();
        wish.app = Some(app.to_owned());
        let token = place.mint(wish);
        let ran = place.json(&["inspect", "--stdin"], &token).done();
        assert_eq!(ran.json()["token"]["app_id"], app);
        assert_eq!(ran.finding("token")["mark"], "pass");
    }
    // of an app that nobody here knows
    let foreign = place.mint(SandboxToken::default());
    let ran = place.json(&["inspect", "--stdin"], &foreign).done();
    assert_eq!(ran.finding("token")["mark"], "skipped");
    assert_eq!(ran.finding("app")["mark"], "warn");
    assert!(place.listed().is_empty(), "nothing pasted is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_app_than_that_of_the_vault_is_no_fault_of_the_app() {
    let place = Place::with_app().await;
    let dataset = place.mint(SandboxToken::default());
    let ran = place.json(&["inspect", "--stdin"], &dataset).done();
    assert_eq!(ran.finding("token")["mark"], "pass");
    assert!(!ran.out.contains("\"check\": \"app\""), "{ran:?}");
    // its own app, whose secret was reset meanwhile
    let add = ["app", "add", "--offline", "--app-id", APP];
    place.run(&add, OTHER_SECRET).done();
    let own = place.system_token();
    let ran = place.json(&["inspect", "--stdin"], &own).done();
    assert_eq!(ran.finding("app")["mark"], "warn");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_no_verdict() {
    let place = Place::with_app().await;
    let token = place.system_token();
    place.run(&["add", "--name", "shop"], &token).done();
    place
        .sandbox
        .add_fault(Fault::throttle(4).at(Edge::DebugToken).forever());
    let ran = place.json(&["inspect", "shop"], "").ended(6);
    assert_eq!(ran.finding("token")["row"], "rate-limit");
    assert_eq!(place.listed()["shop"]["state"], "valid");
    place
        .run(&["inspect", "nothing"], "")
        .ended(1)
        .says("token list");
    place.run(&["inspect"], "").ended(64).says("--pixel");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_not_told_is_not_never() {
    let place = Place::with_app().await;
    place.sandbox.set_quirks(Quirks {
        omit_expires_at: true,
        ..Quirks::default()
    });
    let token = place.system_token();
    let ran = place.json(&["inspect", "--stdin"], &token).done();
    assert_eq!(ran.json()["token"]["expires"], serde_json::Value::Null);
    assert_eq!(ran.finding("expires")["mark"], "skipped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_no_longer_consents_to_ends_on_a_clock_of_its_own() {
    let place = Place::with_app().await;
    let token = place.mint(SandboxToken {
        kind: TokenKind::User,
        app: Some(APP.to_owned()),
        holder: Some(PERSON.to_owned()),
        scopes: vec!["ads_management".to_owned()],
        expires_in: Some(Duration::from_secs(days(60))),
        data_access_expires_in: Some(Duration::from_secs(days(2))),
        ..SandboxToken::default()
    });
    let ran = place.json(&["inspect", "--stdin"], &token).done();
    assert_eq!(ran.finding("token")["mark"], "pass");
    assert_eq!(ran.finding("data_access")["mark"], "warn");
}
