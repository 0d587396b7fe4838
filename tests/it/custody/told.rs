//! What people are told, and what is over.

use capigate::alerts::{Alert, Severity};

use super::*;

#[tokio::test]
async fn what_waits_and_what_is_missing_is_told() {
    let waiting = Waiting {
        id: "pixel:1234567890123456".to_owned(),
        cause: "permission",
        advice: "give the token the pixel",
        graph: Some("200".to_owned()),
        pixels: vec![pixel()],
        events: 7,
        lasts: Duration::from_mins(10),
        first_expiry: Some(DAY),
    };
    let mut place = Place::with_waiting(vec![waiting]).await;
    place.watch.round().await;
    // the hold, and the pixel that has no token
    assert_eq!(place.raised(), 2);
    place.alerts.clear("hold:pixel:1234567890123456");
    assert_eq!(place.raised(), 1);
}

fn told(key: &str, now: UnixMs) -> Alert {
    Alert {
        key: key.to_owned(),
        severity: Severity::Critical,
        title: "told".to_owned(),
        text: "Told by the process before.".to_owned(),
        next: "look".to_owned(),
        pixels: Vec::new(),
        token: None,
        at: now,
    }
}

#[tokio::test]
async fn what_was_held_before_a_restart_is_not_over_at_once() {
    let mut place = Place::new().await;
    place.put("shop", Slot::Current, None);
    let hold = told("hold:pixel:1234567890123456", place.clock.now());
    place.alerts.raise(hold);
    place.watch.round().await;
    assert_eq!(place.raised(), 1, "nobody knows yet");
    place.pass(Duration::from_mins(2));
    place.watch.round().await;
    assert_eq!(place.raised(), 0);
}

#[tokio::test]
async fn what_is_held_anew_is_not_over_in_between() {
    let waiting = Waiting {
        id: "pixel:1234567890123456".to_owned(),
        cause: "permission",
        advice: "give the token the pixel",
        graph: None,
        pixels: vec![pixel()],
        events: 7,
        lasts: Duration::from_secs(30),
        first_expiry: None,
    };
    let mut place = Place::with_waiting(vec![waiting]).await;
    place.put("shop", Slot::Current, None);
    let hold = told("hold:pixel:1234567890123456", place.clock.now());
    place.alerts.raise(hold);
    place.pass(Duration::from_mins(5));
    place.watch.round().await;
    assert_eq!(place.raised(), 1);
}

#[tokio::test]
async fn a_vault_that_cannot_be_read_at_a_start_says_nothing_about_its_tokens() {
    let mut place = Place::new().await;
    let token = place.put("shop", Slot::Current, None);
    place
        .sandbox
        .set_token_state(&print(&token), TokenState::Revoked);
    place.watch.round().await;
    assert_eq!(place.raised(), 1);
    let whole = std::fs::read(place.vault.path()).unwrap();
    std::fs::write(place.vault.path(), b"gone").unwrap();
    place.restart();
    for _ in 0..2 {
        place.watch.round().await;
        place.pass(Duration::from_mins(5));
        // the token and the vault, and not that the pixel had no token
        assert_eq!(place.raised(), 2);
        // and what was noted stays
        assert_eq!(place.facts(&token).state, State::Revoked);
    }
    std::fs::write(place.vault.path(), whole).unwrap();
    place
        .sandbox
        .set_token_state(&print(&token), TokenState::Valid);
    place.watch.round().await;
    assert_eq!(place.raised(), 0);
}
