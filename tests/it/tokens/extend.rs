//! Tokens that are exchanged for such that live longer.

use std::time::Duration;

use capigate::sandbox::{Edge, Fault, Quirks, SandboxToken, TokenKind, TokenState};

use super::place::{APP, OTHER_APP, PERSON, PIXEL, Place, SECRET, days, system_token};

#[tokio::test(flavor = "multi_thread")]
async fn a_short_lived_token_gives_way_to_its_successor() {
    let place = Place::with_app().await;
    let token = place.user_token(3_600);
    place.run(&["add", "--name", "alex"], &token).done();
    let ran = place.json(&["extend", "alex"], "").done();
    let json = ran.json();
    assert_eq!(json["name"], "alex");
    assert_eq!(json["before"]["kind"], "user");
    assert!(json["before"]["expires"].as_str() < json["after"]["expires"].as_str());
    let extended = place.reveal("alex");
    assert_ne!(extended, token);
    place.hide(&extended);
    assert!(place.listed()["alex"]["expires_in_days"].as_u64().unwrap() >= 59);
    // once more: Meta leaves the end where it is
    let ran = place.json(&["extend", "alex"], "").done();
    assert_eq!(ran.finding("extend")["mark"], "warn");
    assert_eq!(place.reveal("alex"), extended);
    assert_eq!(place.listed().len(), 1);
    place
        .run(&["extend", "alex"], "")
        .done()
        .says("before")
        .says("after")
        .says("does not live longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_in_use_goes_on_beside_its_successor() {
    let place = Place::with_app().await;
    place.sandbox.set_quirks(Quirks {
        extend_long_lived: true,
        omit_expires_in: true,
        ..Quirks::default()
    });
    let token = place.user_token(days(20));
    place
        .run(&["add", "--name", "alex", "--pixel", PIXEL], &token)
        .done();
    let ran = place.json(&["extend", "--pixel", PIXEL], "").done();
    assert_eq!(ran.json()["name"], "alex-2");
    place.hide(&place.reveal("alex-2"));
    assert_eq!(place.reveal("alex"), token);
    assert_eq!(
        place.slots(),
        [
            format!("alex: retiring of {PIXEL}"),
            format!("alex-2: current of {PIXEL}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_nobody_could_look_at_waits_as_the_next_one() {
    let place = Place::with_app().await;
    place.sandbox.set_quirks(Quirks {
        extend_long_lived: true,
        ..Quirks::default()
    });
    let token = place.user_token(days(20));
    place
        .run(&["add", "--name", "alex", "--pixel", PIXEL], &token)
        .done();
    let unseen = || {
        let down = Fault::status(503).at(Edge::DebugToken).forever();
        let words = ["extend", "alex"];
        // the old one is looked at before
        let ran = place.while_asking(&words, "", |_| place.sandbox.add_fault(down));
        place.sandbox.clear_faults();
        ran.ended(6)
    };
    let ran = unseen();
    assert_eq!(ran.failed(), "token");
    let next = ran.finding("bound")["next"].clone();
    assert!(next.as_str().unwrap().contains("--from-next"), "{ran:?}");
    let both = [
        format!("alex: current of {PIXEL}"),
        format!("alex-2: next of {PIXEL}"),
    ];
    assert_eq!(place.slots(), both);
    // what waits there already stays there
    let ran = unseen();
    assert_eq!(ran.json()["name"], "alex-2-2");
    assert_eq!(ran.finding("bound")["mark"], "warn");
    assert_eq!(place.slots(), both);
    place.hide(&place.reveal("alex-2"));
    place.hide(&place.reveal("alex-2-2"));
    let take = ["rotate", "--pixel", PIXEL, "--from-next"];
    place.run(&take, "").done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_one_is_kept_extended() {
    let place = Place::with_app().await;
    let token = place.user_token(3_600);
    let ran = place
        .json(&["extend", "--stdin", "--as", "alex"], &token)
        .done();
    assert_eq!(ran.json()["name"], "alex");
    let extended = place.reveal("alex");
    place.hide(&extended);
    assert_ne!(extended, token);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_extended_is_told() {
    let place = Place::with_app().await;
    // never ends
    let token = place.system_token();
    place.run(&["add", "--name", "shop"], &token).done();
    place
        .run(&["extend", "shop"], "")
        .done()
        .says("nothing to extend");
    // ended
    let print = Place::print_of(&token);
    place.sandbox.set_token_state(&print, TokenState::Expired);
    let ran = place.json(&["extend", "shop"], "").ended(3);
    assert_eq!(ran.finding("token")["row"], "token-expired");
    // a page's
    let page = place.mint(SandboxToken {
        kind: TokenKind::Page,
        app: Some(APP.to_owned()),
        holder: Some(PERSON.to_owned()),
        page: Some("4000000000000001".to_owned()),
        ..SandboxToken::default()
    });
    let ran = place.json(&["extend", "--stdin"], &page).ended(3);
    assert_eq!(ran.failed(), "extend");
    // of an app that is not in the vault
    let mut wish = system_token();
    wish.app = Some(OTHER_APP.to_owned());
    wish.expires_in = Some(Duration::from_secs(days(30)));
    let foreign = place.mint(wish);
    place
        .run(&["extend", "--stdin"], &foreign)
        .ended(64)
        .says("--app-id");
    // with the wrong app
    let ran = place
        .json(&["extend", "--stdin", "--app-id", APP], &foreign)
        .ended(5);
    assert_eq!(ran.failed(), "extend");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_app_secret_is_told() {
    let place = Place::new().await;
    let wrong = SECRET.replace('c', "d");
    place
        .run(&["app", "add", "--offline", "--app-id", APP], &wrong)
        .done();
    let token = place.user_token(3_600);
    let ran = place
        .json(&["extend", "--stdin", "--app-id", APP], &token)
        .ended(5);
    assert_eq!(ran.finding("extend")["row"], "app-secret-wrong");
}
