//! A token of the vault for a pixel.

use super::place::{PIXEL, Place, SECOND};

const ASSIGN: [&str; 4] = ["assign", "spare", "--pixel", PIXEL];

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_token_is_given_to_a_pixel() {
    let place = Place::with_app().await;
    place.run(&["add", "--name", "spare"], &place.system_token());
    assert!(place.slots().is_empty());
    let ran = place.json(&ASSIGN, "").done();
    assert_eq!(ran.json()["slot"], "current");
    assert_eq!(place.slots(), [format!("spare: current of {PIXEL}")]);
    // what the pixel has sent with is kept to go back to
    place.run(&["add", "--name", "other"], &place.system_token());
    place
        .run(&["assign", "other", "--pixel", PIXEL], "")
        .done()
        .says("spare is kept as the one to go back to");
    assert_eq!(
        place.slots(),
        [
            format!("other: current of {PIXEL}"),
            format!("spare: retiring of {PIXEL}")
        ]
    );
    // and one that falls out of all slots is told
    place.run(&["add", "--name", "third"], &place.system_token());
    place
        .run(&["assign", "third", "--pixel", PIXEL], "")
        .done()
        .says("spare is in no slot now")
        .says("token revoke spare");
    place
        .run(&["assign", "none", "--pixel", PIXEL], "")
        .ended(1)
        .says("no token none");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_slot_is_filled_once() {
    let place = Place::with_app().await;
    let add = ["add", "--pixel", PIXEL, "--name", "now"];
    place.run(&add, &place.system_token()).done();
    place.run(&["add", "--name", "spare"], &place.system_token());
    let next = ["--slot", "next"];
    let own = ["assign", "now", "--pixel", PIXEL];
    let own = [&own[..], &next].concat();
    place.run(&own, "").ended(1).says("sends with");
    place.run(&[&ASSIGN[..], &next].concat(), "").done();
    assert_eq!(
        place.slots(),
        [
            format!("now: current of {PIXEL}"),
            format!("spare: next of {PIXEL}")
        ]
    );
    place.run(&["add", "--name", "third"], &place.system_token());
    let third = ["assign", "third", "--pixel", PIXEL, "--slot", "next"];
    place.run(&third, "").ended(1).says("spare");
    place.run(&[&third[..], &["--force"]].concat(), "").done();
    assert!(place.slots().contains(&format!("third: next of {PIXEL}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_pixel_can_have_needs_force() {
    let place = Place::new().await;
    let token = place.user_token(3_600);
    place.run(&["add", "--name", "spare", "--force"], &token);
    let ran = place.json(&ASSIGN, "").ended(3);
    assert_eq!(ran.failed(), "short_lived");
    assert!(place.slots().is_empty());
    place.run(&[&ASSIGN[..], &["--force"]].concat(), "").done();
    assert_eq!(place.slots(), [format!("spare: current of {PIXEL}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_that_the_configuration_serves_is_told() {
    let mut place = Place::with_app().await;
    place.run(&["add", "--name", "spare"], &place.system_token());
    place.extra = "token = { env = \"SHOP_TOKEN\" }".to_owned();
    let ran = place.run(&ASSIGN, "").done().says("SHOP_TOKEN");
    assert!(!ran.out.contains("sends with it"), "{ran:?}");
    let words = ["assign", "spare", "--pixel", SECOND];
    place
        .run(&words, "")
        .done()
        .says("is not in the configuration");
}
