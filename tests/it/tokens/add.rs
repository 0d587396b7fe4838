//! Tokens that are pasted.

use std::time::Duration;

use capigate::sandbox::{Edge, Fault, Quirks, SandboxToken, TokenKind, TokenState};

use super::place::{APP, PERSON, PIXEL, Place, SECOND, SECRET, days, system_token};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_is_checked_sealed_and_given_to_its_pixel() {
    let place = Place::new().await;
    let token = place.system_token();
    // as a terminal and a web page make it
    let pasted = format!("  \"Bearer {token}\"\n");
    let ran = place.json(&["add", "--pixel", PIXEL], &pasted).done();
    let json = ran.json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["name"], "Shop--web");
    assert_eq!(json["pixel"], PIXEL);
    assert_eq!(json["slot"], "current");
    assert_eq!(json["token"]["kind"], "system_user");
    assert_eq!(json["token"]["expires"], "never");
    assert_eq!(json["token"]["state"], "valid");
    assert_eq!(json["token"]["app_id"], APP);
    assert_eq!(json["token"]["fingerprint"], Place::print_of(&token));
    assert_eq!(ran.finding("paste")["mark"], "pass");
    assert_eq!(ran.finding("pixel")["mark"], "pass");
    assert_eq!(place.reveal("Shop--web"), token);
    assert_eq!(place.slots(), [format!("Shop--web: current of {PIXEL}")]);
    // in the header, never in an address
    assert!(place.sandbox.violations().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_what_was_found_and_that_it_is_not_shown_again() {
    let place = Place::new().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done()
        .says("✓ valid")
        .says("expires: never")
        .says("sees the pixel (Shop website)")
        .says("sealed into the vault as shop: EAA")
        .says("Meta does not show it again")
        .says("A running gateway takes it over by itself.");
    place
        .run(&["add", "--name", "again"], &token)
        .done()
        .says("in the vault already, as shop");
    assert_eq!(place.listed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_of_no_use_is_refused_unless_forced() {
    let place = Place::with_app().await;
    for (state, exit, row) in [
        (TokenState::Expired, 3, "token-expired"),
        (TokenState::Revoked, 3, "token-revoked"),
        (TokenState::PasswordChanged, 3, "password-changed"),
        (TokenState::Malformed, 3, "token-malformed"),
        (TokenState::Checkpointed, 3, "account-checkpoint"),
        (TokenState::AppInactive, 5, "app-inactive"),
    ] {
        let token = place.system_token();
        place
            .sandbox
            .set_token_state(&Place::print_of(&token), state);
        let ran = place.json(&["add", "--pixel", PIXEL], &token).ended(exit);
        assert_eq!(ran.failed(), "token", "{state:?}");
        assert_eq!(ran.finding("token")["row"], row);
        assert!(place.listed().is_empty(), "{state:?}");
    }
    let token = place.system_token();
    place
        .sandbox
        .set_token_state(&Place::print_of(&token), TokenState::Expired);
    place
        .run(&["add", "--name", "old", "--force"], &token)
        .done();
    assert_eq!(place.listed()["old"]["state"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_is_refused_before_meta_is_asked() {
    let place = Place::new().await;
    let fake = format!("{APP}|{SECRET}");
    for (pasted, says) in [
        ("", "nothing was pasted"),
        ("EAAB…wxyz (sha256:00112233, 183 chars)", "masked display"),
        ("EAAB***************************wxyz", "masked display"),
        (fake.as_str(), "app or client token"),
        (r#"{"error":{"message":"x","code":190}}"#, "error answer"),
        ("http://localhost:8080/?error=access_denied", "refused"),
        ("two words", "blanks"),
    ] {
        place
            .run(&["add", "--pixel", PIXEL], pasted)
            .ended(64)
            .says(says);
    }
    assert!(place.sandbox.account_calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_and_a_slot_that_is_occupied_are_told_first() {
    let place = Place::new().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    let other = place.system_token();
    place
        .run(&["add", "--name", "shop"], &other)
        .ended(1)
        .says("there is a token shop already");
    place
        .run(&["add", "--pixel", PIXEL, "--name", "new"], &other)
        .ended(1)
        .says(&format!("capigate token rotate --pixel {PIXEL}"));
    place
        .run(
            &["add", "--pixel", PIXEL, "--name", "next", "--slot", "next"],
            &other,
        )
        .done();
    assert_eq!(
        place.slots(),
        [
            format!("next: next of {PIXEL}"),
            format!("shop: current of {PIXEL}")
        ]
    );
    let third = place.system_token();
    let next = ["add", "--pixel", PIXEL, "--slot", "next"];
    place.run(&next, &third).ended(1).says("--from-next");
    place
        .run(
            &["add", "--pixel", PIXEL, "--name", "third", "--force"],
            &third,
        )
        .done();
    assert_eq!(
        place.slots(),
        [
            format!("next: next of {PIXEL}"),
            format!("shop: retiring of {PIXEL}"),
            format!("third: current of {PIXEL}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_for_several_pixels_and_an_unknown_pixel_are_warned_about() {
    let mut place = Place::new().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    let ran = place.json(&["add", "--pixel", SECOND], &token).done();
    assert_eq!(ran.finding("shared")["mark"], "warn");
    let unknown = ran.finding("configured");
    assert!(
        unknown["next"]
            .as_str()
            .unwrap()
            .contains(&format!("[pixels.{SECOND}]"))
    );
    place.extra = format!("[pixels.{SECOND}]\nname = \"Second, web\"\n");
    let words = ["add", "--pixel", SECOND, "--force"];
    let ran = place.json(&words, &token).done();
    assert_eq!(ran.finding("shared")["mark"], "warn");
    assert!(!ran.out.contains("\"configured\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_lived_token_is_extended_or_reaches_no_pixel() {
    let place = Place::new().await;
    let token = place.user_token(3_600);
    let words = ["add", "--pixel", PIXEL, "--name", "alex"];
    let ran = place.json(&words, &token).ended(3);
    assert_eq!(ran.failed(), "short_lived");
    assert!(ran.out.contains("token app add"), "{ran:?}");
    assert!(place.slots().is_empty());
    assert!(place.listed().contains_key("alex"), "it is kept, unbound");
    place.run(&["app", "add", "--app-id", APP], SECRET).done();
    let second = place.user_token(3_600);
    // nobody is there to say yes
    let ran = place.json(&["add", "--name", "two"], &second).done();
    assert_eq!(ran.finding("short_lived")["mark"], "warn");
    let third = place.user_token(3_600);
    let words = ["add", "--pixel", PIXEL, "--name", "three", "--extend"];
    let ran = place.json(&words, &third).done();
    assert_eq!(ran.finding("extended")["mark"], "pass");
    let value = place.reveal("three");
    place.hide(&value);
    assert_ne!(value, third);
    let listed = place.listed();
    assert!(listed["three"]["expires_in_days"].as_u64().unwrap() >= 59);
    assert_eq!(place.slots(), [format!("three: current of {PIXEL}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_fails_leaves_the_short_one() {
    let place = Place::with_app().await;
    place
        .sandbox
        .add_fault(Fault::throttle(4).at(Edge::Oauth).forever());
    let token = place.user_token(3_600);
    let words = ["add", "--pixel", PIXEL, "--name", "alex", "--extend"];
    let ran = place.json(&words, &token).ended(3);
    assert_eq!(ran.finding("extended")["mark"], "warn");
    assert_eq!(ran.failed(), "short_lived");
    assert!(place.listed().contains_key("alex"));
    assert!(place.slots().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_held_to_the_kind_and_the_scopes_that_were_asked_for() {
    let place = Place::new().await;
    let token = place.system_token();
    let ran = place.json(&["add", "--kind", "user"], &token).ended(3);
    assert_eq!(ran.failed(), "wanted_kind");
    let words = [
        "add",
        "--require-scope",
        "ads_management",
        "--require-scope",
        "ads_read",
    ];
    let ran = place.json(&words, &token).ended(4);
    assert_eq!(ran.failed(), "wanted_scopes");
    assert!(
        ran.finding("wanted_scopes")["says"]
            .as_str()
            .unwrap()
            .ends_with(": ads_read")
    );
    place.json(&["add", "--kind", "system-user"], &token).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_scope_to_send_is_not_for_a_pixel() {
    let place = Place::new().await;
    let token = place.mint(SandboxToken {
        scopes: vec!["read_insights".to_owned()],
        ..SandboxToken::default()
    });
    let ran = place.json(&["add", "--pixel", PIXEL], &token).ended(4);
    assert_eq!(ran.failed(), "needed_scope");
    let next = ran.finding("needed_scope")["next"].to_string();
    assert!(next.contains("say --force"), "{next}");
    assert!(place.listed().is_empty());
    let forced = ["add", "--pixel", PIXEL, "--force"];
    place.run(&forced, &token).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_page_is_not_for_a_pixel() {
    let place = Place::new().await;
    let token = place.mint(SandboxToken {
        kind: TokenKind::Page,
        app: Some(APP.to_owned()),
        holder: Some(PERSON.to_owned()),
        page: Some("4000000000000001".to_owned()),
        scopes: vec!["ads_management".to_owned()],
        ..SandboxToken::default()
    });
    let ran = place.json(&["add", "--pixel", PIXEL], &token).ended(3);
    assert_eq!(ran.failed(), "page_token");
    assert!(place.listed().is_empty());
    place
        .run(&["add", "--name", "page", "--kind", "page"], &token)
        .done();
    assert_eq!(place.listed()["page"]["page_id"], "4000000000000001");
    place
        .run(&["add", "--pixel", PIXEL, "--force"], &token)
        .done();
    assert_eq!(place.slots(), [format!("page: current of {PIXEL}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_of_metas_nothing_is_kept_unless_it_is_not_asked() {
    let place = Place::new().await;
    let token = place.system_token();
    place
        .sandbox
        .add_fault(Fault::status(503).at(Edge::DebugToken).forever());
    let ran = place.json(&["add", "--name", "shop"], &token).ended(6);
    assert_eq!(ran.failed(), "token");
    assert!(place.listed().is_empty());
    place
        .run(&["add", "--name", "shop", "--no-verify"], &token)
        .done();
    assert_eq!(place.listed()["shop"]["state"], "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_token_that_cannot_look_at_itself_nor_read_is_kept() {
    let place = Place::new().await;
    place.sandbox.set_quirks(Quirks {
        no_self_inspection: true,
        ..Quirks::default()
    });
    let token = place.mint(SandboxToken::default());
    place
        .sandbox
        .add_fault(Fault::throttle(10).at(Edge::Pixel).forever());
    let ran = place
        .json(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    assert_eq!(ran.finding("token")["mark"], "skipped");
    assert_eq!(ran.finding("pixel")["mark"], "warn");
    assert_eq!(
        place.listed()["shop"]["state"],
        "unknown",
        "unknown is not invalid"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_vault_is_given_to_a_pixel_by_its_name() {
    let place = Place::new().await;
    let token = place.system_token();
    place.run(&["add", "--name", "shop"], &token).done();
    place.run(&["assign", "shop"], "").ended(64);
    let give = ["assign", "shop", "--pixel", PIXEL];
    let ran = place.json(&give, "").done();
    assert_eq!(ran.json()["name"], "shop");
    assert!(!ran.out.contains("\"stored\""), "nothing new is there");
    assert_eq!(place.slots(), [format!("shop: current of {PIXEL}")]);
    let other = ["assign", "other", "--pixel", SECOND];
    place
        .run(&other, "")
        .ended(1)
        .says("there is no token other");
    let print = Place::print_of(&token);
    place.sandbox.set_token_state(&print, TokenState::Expired);
    let next = ["assign", "shop", "--pixel", SECOND];
    place.run(&next, "").ended(3).says("did not get it");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_must_be_a_vault() {
    let mut place = Place::bare().await;
    place.extra = "token = { env = \"SHOP_TOKEN\" }".to_owned();
    let ran = place.json(&["add"], "").ended(64);
    assert!(
        ran.finding("command")["says"]
            .as_str()
            .unwrap()
            .contains("token init")
    );
    assert_eq!(ran.json()["ok"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_an_argument_is_not_repeated() {
    let place = Place::new().await;
    let token = place.system_token();
    // run_as notes the words; here they are what must not be said
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_capigate"));
    let ran = command.args(["token", "add", &token]).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(64));
    assert!(!said.contains(&token[8..20]), "{said}");
    assert!(said.contains("standard input"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_lived_person_token_is_taken_with_a_warning() {
    let place = Place::with_app().await;
    let mut wish = system_token();
    wish.kind = TokenKind::User;
    wish.holder = Some(PERSON.to_owned());
    wish.expires_in = Some(Duration::from_secs(days(59)));
    let token = place.mint(wish);
    let ran = place.json(&["add", "--pixel", PIXEL], &token).done();
    assert_eq!(ran.finding("kind")["mark"], "warn");
    assert_eq!(place.slots().len(), 1);
}
