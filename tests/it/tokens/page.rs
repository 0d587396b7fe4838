//! Pages and their tokens.

use capigate::sandbox::{Edge, Fault, SandboxToken, TokenKind};

use super::place::{APP, PIXEL, Place, days};

const PAGE: &str = "4000000000000001";
const WITHHELD: &str = "4000000000000002";

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_listed_and_the_token_of_one_never_ends() {
    let place = Place::with_app().await;
    let token = place.user_token(days(50));
    place.run(&["add", "--name", "alex"], &token).done();
    let json = place.json(&["pages", "--from", "alex"], "").done().json();
    assert_eq!(json["pages"][0]["page_id"], PAGE);
    assert_eq!(json["pages"][0]["tasks"][1], "ADVERTISE");
    assert_eq!(json["pages"][0]["has_token"], true);
    assert_eq!(json["pages"][1]["has_token"], false);
    let words = ["page", "--page-id", PAGE, "--from", "alex"];
    let ran = place.json(&words, "").done();
    assert_eq!(ran.json()["name"], format!("page-{PAGE}"));
    let told = &ran.json()["token"];
    assert_eq!(told["kind"], "page");
    assert_eq!(told["page_id"], PAGE);
    assert_eq!(told["expires"], "never");
    place.hide(&place.reveal(&format!("page-{PAGE}")));
    place.run(&words, "").done().says("page-4000000000000001");
    // a page's token is not for a pixel
    let bound = [&words[..], &["--pixel", PIXEL]].concat();
    place.run(&bound, "").ended(64).says("--force");
    assert!(place.slots().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_can_look_at_is_kept() {
    let place = Place::with_app().await;
    let token = place.user_token(days(50));
    place.run(&["add", "--name", "alex"], &token).done();
    let words = [
        "page",
        "--page-id",
        PAGE,
        "--from",
        "alex",
        "--name",
        "shop",
    ];
    let ran = place.while_asking(&words, "", |_| {
        let down = Fault::status(503).at(Edge::DebugToken).forever();
        place.sandbox.add_fault(down);
    });
    let ran = ran.ended(6);
    assert_eq!(ran.finding("set_aside")["mark"], "warn");
    place.sandbox.clear_faults();
    place.hide(&place.reveal("shop"));
    place.run(&["inspect", "shop"], "").done().says("page");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_short_lived_parent_is_warned_about() {
    let place = Place::with_app().await;
    let token = place.user_token(3_600);
    // pasted, and not kept
    let words = ["page", "--page-id", PAGE, "--name", "page"];
    let ran = place.json(&words, &token).done();
    assert_eq!(ran.finding("short_parent")["mark"], "warn");
    assert_eq!(ran.finding("page_expires")["mark"], "warn");
    place.hide(&place.reveal("page"));
    assert_eq!(place.listed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_may_not_have_is_told() {
    let place = Place::with_app().await;
    let token = place.user_token(days(50));
    place.run(&["add", "--name", "alex"], &token).done();
    let of = |page: &str| {
        ["page", "--from", "alex", "--page-id"]
            .map(str::to_owned)
            .into_iter()
            .chain([page.to_owned()])
            .collect::<Vec<_>>()
    };
    let run = |page: &str| {
        let words = of(page);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        place.json(&words, "")
    };
    assert_eq!(
        run(WITHHELD).ended(4).finding("page")["row"],
        "page-token-withheld"
    );
    assert_eq!(
        run("4000000000000009").ended(4).finding("page")["row"],
        "page-unknown"
    );
    assert_eq!(run("my-page").ended(64).finding("page")["row"], "bad-value");
    let nobody = place.mint(SandboxToken {
        kind: TokenKind::User,
        app: Some(APP.to_owned()),
        holder: Some("3000000000000002".to_owned()),
        scopes: vec!["ads_management".to_owned()],
        ..SandboxToken::default()
    });
    place
        .run(&["pages"], &nobody)
        .ended(1)
        .says("login --scope pages_show_list");
}
