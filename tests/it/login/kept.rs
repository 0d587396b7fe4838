//! What a login has brought is kept, whatever comes between.

use capigate::sandbox::{Edge, Fault};
use capigate::secret::Secret;
use capigate::time::UnixMs;
use capigate::tokens::{Facts, Obtained, Slot, TokenRecord, VaultError};

use super::{Desk, log_in, names};
use crate::support::PIXEL;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_nobody_can_look_at_is_kept_for_no_pixel() {
    let desk = Desk::new().await;
    let down = Fault::status(503).at(Edge::DebugToken).forever();
    desk.site.sandbox.add_fault(down);
    let running = desk.login(&["--pixel", PIXEL, "--name", "shop"]);
    let said = log_in(running).await;
    assert_eq!(said.code, 6, "{said:?}");
    said.says(&["sealed into the vault as shop", "assign shop --pixel"]);
    let contents = desk.site.contents();
    assert_eq!(names(&contents), ["shop"]);
    assert!(contents.pixels.is_empty());
    let facts = &contents.tokens.values().next().unwrap().facts;
    assert!(facts.expires.at().is_some(), "{facts:?}");
    desk.site.sandbox.clear_faults();
    // it was not known to be short-lived when it came, so it was not extended
    let assign = ["token", "assign", "shop", "--pixel", PIXEL];
    let said = desk.site.run(&assign, "");
    assert_eq!(said.code, 3, "{said:?}");
    said.says(&["capigate token extend shop"]);
    let said = desk.site.run(&["token", "extend", "shop"], "");
    assert_eq!(said.code, 0, "{said:?}");
    let said = desk.site.run(&assign, "");
    assert_eq!(said.code, 0, "{said:?}");
    let contents = desk.site.contents();
    let current = contents.in_slot(PIXEL.parse().unwrap(), Slot::Current);
    assert!(current.is_some(), "{contents:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_and_a_name_that_are_taken_meanwhile_stay_as_they_are() {
    let desk = Desk::new().await;
    let running = desk.login(&["--pixel", PIXEL, "--name", "shop"]);
    running.dialog();
    let record = TokenRecord {
        secret: Secret::new(format!("EAA{}", "x".repeat(80))),
        obtained: Obtained::Pasted,
        added_at: UnixMs(1),
        facts: Facts::default(),
    };
    let (pixel, name) = (PIXEL.parse().unwrap(), "shop".parse().unwrap());
    let changed = desk
        .site
        .vault()
        .update(|contents| -> Result<_, VaultError> {
            contents.add("shop".parse().unwrap(), record)?;
            Ok(contents.bind(pixel, Slot::Current, &name, UnixMs(1))?)
        });
    changed.unwrap();
    let said = log_in(running).await;
    assert_eq!(said.code, 1, "{said:?}");
    said.says(&["has a current token already, shop", "assign shop-2"]);
    let contents = desk.site.contents();
    assert_eq!(names(&contents), ["shop", "shop-2"]);
    assert_eq!(contents.in_slot(pixel, Slot::Current), Some(&name));
}
