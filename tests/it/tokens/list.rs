//! Everything at a glance.

use std::time::Duration;

use capigate::time::Clock;
use capigate::tokens::{Facts, LastError, Note, Notes, State};

use super::place::{PIXEL, Place, SECOND, days, system_token};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_place_says_what_to_do() {
    let place = Place::new().await;
    place.run(&["list"], "").done().says("`capigate token add`");
    let json = place.json(&["list"], "").done().json();
    assert_eq!(json["tokens"], serde_json::json!([]));
    assert_eq!(json["pixels"][0]["pixel"], PIXEL);
    assert_eq!(json["pixels"][0]["sends"], false);
    assert_eq!(json["pixels"][0]["test_event_code"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_has_noticed_is_shown_and_what_is_due() {
    let mut place = Place::with_app().await;
    let mut wish = system_token();
    wish.expires_in = Some(Duration::from_secs(days(6)));
    let token = place.mint(wish);
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    place.extra = format!(
        "test_event_code = \"TEST1\"\n[pixels.{SECOND}]\ntoken = {{ env = \"SECOND_TOKEN\" }}\n"
    );
    let json = place.json(&["list"], "").done().json();
    let shop = &json["tokens"][0];
    assert_eq!(shop["source"], "vault");
    assert_eq!(shop["expires_in_days"], 5);
    assert_eq!(shop["age_days"], 0);
    assert_eq!(shop["app_secret_known"], true);
    assert_eq!(shop["last_used"], serde_json::Value::Null);
    assert!(
        shop["due"][0]["next"]
            .as_str()
            .unwrap()
            .contains("system-user refresh shop")
    );
    assert_eq!(json["pixels"][0]["sends_with"], "shop");
    assert_eq!(json["pixels"][0]["sends"], true);
    assert_eq!(json["pixels"][0]["test_event_code"], true);
    // what the service has in its environment is not to be read here
    assert_eq!(json["pixels"][1]["sends"], serde_json::Value::Null);

    let path = Notes::path(&place.dir.path().join("journal"));
    let now = Clock::Real.now();
    let mut notes = Notes::default();
    let mut note = Note {
        facts: Facts {
            state: State::Revoked,
            cause: Some("190/460".to_owned()),
            checked_at: Some(now.plus(Duration::from_secs(1))),
            ..Facts::default()
        },
        ..Note::default()
    };
    note.usage.events = 1234;
    note.usage.errors = 2;
    note.usage.last_used = Some(now);
    note.usage.last_error = Some(LastError {
        at: now,
        code: 190,
        subcode: Some(460),
    });
    notes.tokens.insert(Place::print_of(&token), note);
    notes.write(&path).unwrap();
    let json = place.json(&["list", "--pixel", PIXEL], "").done().json();
    let shop = &json["tokens"][0];
    assert_eq!(shop["state"], "revoked");
    assert_eq!(shop["events"], 1234);
    assert_eq!(shop["last_error"], "190/460");
    assert_eq!(json["pixels"].as_array().unwrap().len(), 1);
    assert_eq!(json["pixels"][0]["sends"], false);
    place
        .run(&["list"], "")
        .done()
        .says("revoked (190/460)")
        .says("Token shop is revoked")
        .says("which Meta refuses")
        .says("SECOND_TOKEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_outside_the_vault_are_shown_with_their_place() {
    let mut place = Place::new().await;
    let token = place.system_token();
    place.extra = "token = { env = \"SHOP_TOKEN\" }".to_owned();
    place.env.insert("SHOP_TOKEN".to_owned(), token.clone());
    let json = place.json(&["list"], "").done().json();
    let shop = &json["tokens"][0];
    assert_eq!(shop["name"], format!("pixels.{PIXEL}.token"));
    assert_eq!(shop["source"], "the environment variable SHOP_TOKEN");
    assert_eq!(json["pixels"][0]["sends"], true);
    let ran = place.json(&["verify", "--pixel", PIXEL], "").done();
    assert_eq!(ran.finding("pixel")["mark"], "pass");
    // moving it into the vault takes more than adding it
    let ran = place
        .json(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    assert_eq!(ran.finding("configured")["mark"], "warn");
    let words = ["revoke", &format!("pixels.{PIXEL}.token"), "--yes"];
    place.run(&words, "").ended(1).says("sends with");
}
