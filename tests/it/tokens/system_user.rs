//! System users and their tokens.

use std::time::Duration;

use capigate::sandbox::{Edge, Fault, SandboxToken, TokenKind, TokenState};

use super::place::{ADMIN, APP, BUSINESS, PERSON, PIXEL, Place, days, system_token};

const HELPER: &str = "61550000000002";
const STRICT: &str = "61550000000003";

/// A place with the app, and the token of a person who runs the business.
async fn place() -> Place {
    let place = Place::with_app().await;
    let admin = place.mint(SandboxToken {
        kind: TokenKind::User,
        app: Some(APP.to_owned()),
        holder: Some(PERSON.to_owned()),
        scopes: ["ads_management", "business_management"]
            .map(str::to_owned)
            .to_vec(),
        expires_in: Some(Duration::from_secs(days(50))),
        ..SandboxToken::default()
    });
    place.run(&["add", "--name", "admin"], &admin).done();
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_system_user_to_a_pixel_that_sends() {
    let place = place().await;
    let from = ["--from", "admin"];
    let words = [&["system-user", "list", "--business", BUSINESS][..], &from].concat();
    let json = place.json(&words, "").done().json();
    assert_eq!(json["system_users"][0]["system_user_id"], ADMIN);
    assert_eq!(json["system_users"][0]["role"], "ADMIN");
    let create = |user: &'static str, more: &[&'static str]| {
        let words = [
            "system-user",
            "create",
            "--scope",
            "ads_management",
            "--system-user",
            user,
        ];
        [&words[..], &from, more].concat()
    };
    // not installed yet: Meta's own words are told
    let ran = place.json(&create(HELPER, &[]), "").ended(5);
    assert_eq!(ran.finding("created")["row"], "system-user-refused");
    assert!(ran.finding("created")["words"].is_string());
    let install = [
        &["system-user", "install", "--system-user", HELPER][..],
        &from,
    ]
    .concat();
    place.run(&install, "").done().says("is installed");
    place.run(&install, "").done();
    let ran = place
        .json(&create(HELPER, &["--name", "helper"]), "")
        .done();
    assert_eq!(ran.json()["token"]["expires"], "never");
    place.hide(&place.reveal("helper"));
    let bound = ["--pixel", PIXEL, "--sixty-days", "--name", "shop"];
    let ran = place.json(&create(ADMIN, &bound), "").done();
    assert!((59..=60).contains(&ran.json()["token"]["expires_in_days"].as_u64().unwrap()));
    place.hide(&place.reveal("shop"));
    assert_eq!(place.slots(), [format!("shop: current of {PIXEL}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_refuses_is_told_in_its_words() {
    let place = place().await;
    let from = ["--from", "admin"];
    let install = [
        &["system-user", "install", "--system-user", STRICT][..],
        &from,
    ]
    .concat();
    place.run(&install, "");
    let create = [
        "system-user",
        "create",
        "--scope",
        "ads_management",
        "--system-user",
    ];
    let ran = place
        .json(&[&create[..], &[STRICT], &from].concat(), "")
        .ended(5);
    assert!(ran.finding("created")["words"].is_string(), "{ran:?}");
    let odd = [&create[..], &[ADMIN, "--scope", "brand_new_scope"], &from].concat();
    let ran = place.json(&odd, "");
    assert_eq!(ran.finding("scopes_unknown")["mark"], "warn");
    let two = [
        "system-user",
        "create",
        "--scope",
        "a,b",
        "--system-user",
        ADMIN,
    ];
    place
        .run(&[&two[..], &from].concat(), "")
        .ended(64)
        .says("repeat it");
    // an answer that is lost is not asked for again
    let cut = serde_json::json!({"do": "cut_after_accept", "edge": "access_tokens"});
    place
        .sandbox
        .add_fault(serde_json::from_value::<Fault>(cut).unwrap());
    place.sandbox.clear_account_calls();
    let ran = place
        .json(&[&create[..], &[ADMIN], &from].concat(), "")
        .ended(6);
    assert_eq!(ran.finding("created")["row"], "answer-lost");
    let calls = place.sandbox.account_calls();
    let made = calls.iter().filter(|call| call.edge == Edge::AccessTokens);
    assert_eq!(made.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_asker_is_told_before_anything_else() {
    let place = place().await;
    let token = place.reveal("admin");
    place
        .sandbox
        .set_token_state(&Place::print_of(&token), TokenState::PasswordChanged);
    let words = [
        "system-user",
        "list",
        "--business",
        BUSINESS,
        "--from",
        "admin",
    ];
    let ran = place.json(&words, "").ended(3);
    assert_eq!(ran.finding("token")["row"], "password-changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_60_day_token_is_refreshed_when_it_is_due() {
    let place = place().await;
    let mut wish = system_token();
    wish.expires_in = Some(Duration::from_secs(days(60)));
    let token = place.mint(wish);
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    let words = ["system-user", "refresh", "shop"];
    place.run(&words, "").done().says("not due yet");
    assert_eq!(place.slots(), [format!("shop: current of {PIXEL}")]);
    let ran = place.json(&[&words[..], &["--force"]].concat(), "");
    // issued now as well: it does not live longer yet
    assert!(ran.code == 0 || ran.code == 3, "{ran:?}");
    let names = place.listed();
    for name in names
        .keys()
        .filter(|name| *name != "shop" && *name != "admin")
    {
        place.hide(&place.reveal(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_those_are_refreshed_that_are_due() {
    let place = place().await;
    let mut wish = system_token();
    wish.expires_in = Some(Duration::from_secs(days(10)));
    let due = place.mint(wish);
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &due)
        .done();
    let never = place.system_token();
    place.run(&["add", "--name", "never"], &never).done();
    let ran = place.json(&["system-user", "refresh", "--all"], "").done();
    let all = ran.json()["refreshed"].clone();
    assert_eq!(all.as_array().unwrap().len(), 1, "{ran:?}");
    assert_eq!(all[0]["old"], "shop");
    assert_eq!(all[0]["new"]["name"], "shop-2");
    place.hide(&place.reveal("shop-2"));
    assert_eq!(
        place.slots(),
        [
            format!("shop: retiring of {PIXEL}"),
            format!("shop-2: current of {PIXEL}")
        ]
    );
    let ran = place
        .json(&["system-user", "refresh", "never"], "")
        .ended(5);
    assert_eq!(ran.failed(), "refresh");
    // too late
    let mut wish = system_token();
    wish.expires_in = Some(Duration::from_secs(days(1)));
    let late = place.mint(wish);
    place.run(&["add", "--name", "late"], &late).done();
    place.sandbox.advance_clock(Duration::from_secs(days(2)));
    let ran = place.json(&["system-user", "refresh", "late"], "").ended(3);
    assert_eq!(ran.finding("token")["row"], "token-expired");
}
