//! Apps and their secrets.

use capigate::sandbox::{Edge, Fault};

use super::place::{APP, OTHER_APP, OTHER_SECRET, Place, SECRET};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_proved_sealed_listed_and_removed() {
    let place = Place::new().await;
    let ran = place
        .json(&["app", "add", "--app-id", APP], &format!("{SECRET}\n"))
        .done();
    assert_eq!(ran.finding("app")["mark"], "pass");
    assert_eq!(ran.json()["app_id"], APP);
    place
        .run(&["app", "add", "--app-id", APP], SECRET)
        .done()
        .says("was in the vault already");
    // both at once, as an app token is written
    place
        .run(&["app", "add"], &format!("{OTHER_APP}|{OTHER_SECRET}"))
        .done()
        .says("sealed into the vault");
    let token = place.system_token();
    place.run(&["add", "--name", "shop"], &token).done();
    let json = place.json(&["app", "list"], "").done().json();
    assert_eq!(json["apps"][0]["app_id"], APP);
    assert_eq!(
        json["apps"][0]["secret_fingerprint"],
        Place::print_of(SECRET)
    );
    assert_eq!(json["apps"][0]["tokens"][0], "shop");
    assert_eq!(json["apps"][1]["app_id"], OTHER_APP);
    place
        .run(&["app", "remove", APP], "")
        .ended(64)
        .says("add --yes");
    place.run(&["app", "remove", APP, "--yes"], "").done();
    place.run(&["app", "remove", OTHER_APP], "").done();
    place
        .run(&["app", "remove", APP], "")
        .ended(1)
        .says("is not in the vault");
    place.run(&["app", "list"], "").done().says("No app");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_a_wrong_id_are_told_apart_and_not_kept() {
    let place = Place::new().await;
    let ran = place
        .json(&["app", "add", "--app-id", APP], OTHER_SECRET)
        .ended(5);
    assert_eq!(ran.finding("app")["row"], "app-secret-wrong");
    assert_eq!(ran.finding("app")["code"], "1");
    let ran = place
        .json(&["app", "add", "--app-id", "9000000000000009"], SECRET)
        .ended(5);
    assert_eq!(ran.finding("app")["row"], "app-id-wrong");
    place.sandbox.add_fault(Fault::status(503).at(Edge::Oauth));
    place
        .json(&["app", "add", "--app-id", APP], SECRET)
        .ended(6);
    let json = place.json(&["app", "list"], "").done().json();
    assert_eq!(json["apps"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_are_looked_at_and_meta_need_not_be_asked() {
    let place = Place::new().await;
    let token = place.system_token();
    place
        .run(&["app", "add", "--app-id", APP], &token)
        .ended(64)
        .says("this is an access token, not the app secret");
    let ran = place
        .json(&["app", "add", "--app-id", "77", "--offline"], "notasecret")
        .done();
    assert_eq!(ran.finding("app_id")["mark"], "warn");
    assert_eq!(ran.finding("paste")["mark"], "warn");
    assert_eq!(ran.finding("app")["mark"], "skipped");
    assert!(place.sandbox.account_calls().is_empty());
    place
        .run(&["app", "add", "--app-id", "0x12"], SECRET)
        .ended(64);
    place
        .run(&["app", "add"], SECRET)
        .ended(64)
        .says("--app-id");
    let both = format!("0{APP}|{SECRET}");
    let ran = place.json(&["app", "add"], &both).ended(64);
    let told = ran.finding("command");
    assert!(told["says"].as_str().unwrap().contains("the id of an app"));
}
