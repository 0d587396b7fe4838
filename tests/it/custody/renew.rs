//! Tokens that are refreshed in time.

use capigate::sandbox::{Edge, Fault};

use super::*;

#[tokio::test]
async fn a_60_day_token_is_refreshed_by_itself_when_the_app_is_known() {
    let mut place = Place::new().await;
    place.know_app();
    let old = place.put("shop", Slot::Current, Some(DAY * 60));
    place.watch.round().await;
    assert_eq!(place.slots(), "current=shop");
    place.pass(DAY * 29);
    place.watch.round().await;
    assert_eq!(place.slots(), "current=shop");
    place.pass(DAY);
    place.watch.round().await;
    assert_eq!(place.slots(), "current=shop-2 retiring=shop");
    let contents = place.vault.read().unwrap();
    let new = &contents.tokens[&name("shop-2")];
    assert_eq!(new.obtained, Obtained::Refreshed);
    let end = new.facts.expires.at().unwrap();
    let left = end.since(place.clock.now());
    assert!(left > DAY * 59 && left <= DAY * 60, "{left:?}");
    assert_eq!(
        place.metric("capigate_token_refreshes_total{outcome=\"done\"}")[0]
            .split(' ')
            .next_back(),
        Some("1")
    );
    // both work meanwhile, and the new one is what goes out
    let now = place.tokens.get(pixel()).unwrap();
    assert_eq!(now.token_key(), TokenKey::of(&new.secret));
    assert_eq!(place.facts(&old).state, State::Valid);
    // the new one is not due
    place.pass(DAY);
    place.watch.round().await;
    assert!(place.slots().starts_with("current=shop-2"));
    assert_eq!(place.sandbox.violations(), []);
    let kept = roster::roster(&Config::default(), &BTreeMap::new(), &contents);
    assert!(
        kept.iter()
            .all(|kept| matches!(kept.source, Source::Vault(_)))
    );
}

#[tokio::test]
async fn a_refresh_that_fails_is_told_and_tried_again() {
    let mut place = Place::new().await;
    // the secret is that of another time
    let app = AppRecord {
        secret: Secret::new("ffffffffffffffffffffffffffffffff".to_owned()),
        added_at: place.clock.now(),
    };
    place
        .vault
        .update(|contents| -> Result<(), VaultError> {
            contents.apps.insert(APP.to_owned(), app);
            Ok(())
        })
        .unwrap();
    place.put("shop", Slot::Current, Some(DAY * 60));
    place.watch.round().await;
    place.pass(DAY * 31);
    place.watch.round().await;
    let failed = |place: &Place| {
        let lines = place.metric("capigate_token_refreshes_total{outcome=\"failed\"}");
        lines[0].rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(failed(&place), 1);
    assert_eq!(place.slots(), "current=shop");
    place.watch.round().await;
    assert_eq!(failed(&place), 1, "not at once");
    place.know_app();
    place.pass(Duration::from_hours(2));
    place.watch.round().await;
    assert_eq!(place.slots(), "current=shop-2 retiring=shop");
}

impl Place {
    fn calls(&self, edge: Edge) -> usize {
        let calls = self.sandbox.account_calls().into_iter();
        calls.filter(|call| call.edge == edge).count()
    }

    /// The states of all tokens that Meta knows but the first.
    fn states(&self) -> Vec<&'static str> {
        let tokens = self.sandbox.tokens().into_iter().skip(1);
        tokens.map(|token| token.state).collect()
    }
}

#[tokio::test]
async fn nothing_is_minted_for_a_vault_that_cannot_be_written() {
    let mut place = Place::new().await;
    place.know_app();
    place.put("shop", Slot::Current, Some(DAY * 60));
    place.watch.round().await;
    let lock = place.dir.path().join("tokens.vault.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    place.pass(DAY * 31);
    for _ in 0..3 {
        place.watch.round().await;
        place.pass(Duration::from_hours(2));
    }
    let failed = place.metric("capigate_token_refreshes_total{outcome=\"failed\"}");
    assert!(failed[0].ends_with(" 3"), "{failed:?}");
    assert_eq!(place.calls(Edge::Oauth), 0);
    std::fs::remove_dir(&lock).unwrap();
    place.watch.round().await;
    assert_eq!(place.slots(), "current=shop-2 retiring=shop");
}

#[tokio::test]
async fn a_new_token_that_nobody_could_look_at_is_taken_back() {
    let mut place = Place::new().await;
    place.know_app();
    place.put("shop", Slot::Current, Some(DAY * 60));
    place.watch.round().await;
    place.pass(DAY * 31);
    let trouble = Fault::status(503).at(Edge::DebugToken).forever();
    place.sandbox.add_fault(trouble);
    place.watch.round().await;
    assert_eq!(place.slots(), "current=shop");
    assert_eq!(place.states(), ["invalidated"]);
    place.sandbox.clear_faults();
    place.pass(Duration::from_hours(2));
    place.watch.round().await;
    assert_eq!(place.slots(), "current=shop-2 retiring=shop");
}

#[tokio::test]
async fn a_new_token_that_does_not_fit_is_taken_back_and_not_asked_for_again_for_a_day() {
    let mut place = Place::new().await;
    place.know_app();
    // the new one would end before it
    place.put("shop", Slot::Current, Some(DAY * 100));
    place.watch.round().await;
    place.pass(DAY * 31);
    for _ in 0..5 {
        place.watch.round().await;
        place.pass(Duration::from_hours(4));
    }
    assert_eq!(place.calls(Edge::Oauth), 1);
    assert_eq!(place.states(), ["invalidated"]);
    assert_eq!(place.slots(), "current=shop");
    place.pass(Duration::from_hours(4));
    place.watch.round().await;
    assert_eq!(place.calls(Edge::Oauth), 2);
    assert_eq!(place.sandbox.violations(), []);
}
