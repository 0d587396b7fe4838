//! One token in the place of another.

use capigate::sandbox::{Edge, Fault, SandboxToken, TokenState};
use capigate::time::{Clock, UnixMs};
use capigate::tokens::{Note, Notes};

use super::place::{PIXEL, Place, SECOND, system_token};

const ROTATE: [&str; 3] = ["rotate", "--pixel", PIXEL];

async fn place() -> (Place, String) {
    let place = Place::with_app().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "old"], &token)
        .done();
    (place, token)
}

/// What a gateway writes down after a batch.
fn delivered(place: &Place, token: &str, at: UnixMs) {
    let path = Notes::path(&place.dir.path().join("journal"));
    let mut notes = Notes::read(&path).unwrap();
    let mut note = Note::default();
    note.usage.last_used = Some(at);
    note.usage.used_by.insert(PIXEL.parse().unwrap(), at);
    note.usage.events = 7;
    notes.tokens.insert(Place::print_of(token), note);
    notes.write(&path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_token_takes_over_and_the_old_one_is_let_go_of_later() {
    let (place, _) = place().await;
    let new = place.system_token();
    let words = [&ROTATE[..], &["--name", "new"]].concat();
    let ran = place.json(&words, &new).done();
    assert_eq!(ran.json()["current"], "new");
    assert_eq!(ran.json()["retiring"], "old");
    assert_eq!(
        place.slots(),
        [
            format!("new: current of {PIXEL}"),
            format!("old: retiring of {PIXEL}")
        ]
    );
    let finish = [&ROTATE[..], &["--finish", "--revoke", "--yes"]].concat();
    place.run(&finish, "").ended(1).says("tokens.overlap");
    place
        .run(&[&finish[..], &["--force"]].concat(), "")
        .done()
        .says("Meta has ended old")
        .says("not valid any more");
    assert_eq!(place.slots(), [format!("new: current of {PIXEL}")]);
    assert!(!place.listed().contains_key("old"));
    place.run(&finish, "").ended(1).says("no retiring token");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overlap_ends_when_the_new_one_has_delivered() {
    let (place, _) = place().await;
    let new = place.system_token();
    place
        .run(&[&ROTATE[..], &["--name", "new"]].concat(), &new)
        .done();
    let finish = [&ROTATE[..], &["--finish"]].concat();
    let ran = place.run(&finish, "").ended(1);
    assert!(ran.err.contains("lasts until"), "{ran:?}");
    // as if it had been long ago
    place.age_retiring(PIXEL, std::time::Duration::from_hours(48));
    place
        .run(&finish, "")
        .ended(1)
        .says("has delivered nothing of pixel");
    delivered(&place, &new, Clock::Real.now());
    place
        .run(&finish, "")
        .done()
        .says("has let go of old")
        .says("capigate token revoke old");
    assert!(place.listed().contains_key("old"));
    assert_eq!(place.slots(), [format!("new: current of {PIXEL}")]);
    assert_eq!(place.listed()["new"]["events"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_way_back() {
    let (place, _) = place().await;
    let undo = [&ROTATE[..], &["--undo"]].concat();
    place.run(&undo, "").ended(1).says("no retiring token");
    let new = place.system_token();
    place
        .run(&[&ROTATE[..], &["--name", "new"]].concat(), &new)
        .done();
    let ran = place.json(&undo, "").done();
    assert_eq!(ran.json()["current"], "old");
    assert_eq!(
        place.slots(),
        [
            format!("new: next of {PIXEL}"),
            format!("old: current of {PIXEL}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_back_to_a_token_that_has_ended() {
    let (place, token) = place().await;
    let new = place.system_token();
    let words = [&ROTATE[..], &["--name", "new"]].concat();
    place.run(&words, &new).done();
    let next = place.system_token();
    let add = ["add", "--pixel", PIXEL, "--slot", "next", "--name", "next"];
    place.run(&add, &next).done();
    let before = place.slots();
    let print = Place::print_of(&token);
    place.sandbox.set_token_state(&print, TokenState::Expired);
    let undo = [&ROTATE[..], &["--undo"]].concat();
    let ran = place.json(&undo, "").ended(3);
    assert_eq!(ran.failed(), "retiring");
    // what is known stays known while nobody answers
    let down = Fault::status(503).at(Edge::DebugToken);
    place.sandbox.add_fault(down);
    let ran = place.json(&undo, "").ended(3);
    assert_eq!(ran.finding("token")["mark"], "warn");
    assert_eq!(place.slots(), before);
    let forced = [&undo[..], &["--force"]].concat();
    let ran = place.json(&forced, "").done();
    assert_eq!(ran.finding("retiring")["mark"], "warn");
    // what waits as the next one keeps its place
    assert_eq!(ran.finding("replaced")["mark"], "skipped");
    assert_eq!(
        place.slots(),
        [
            format!("next: next of {PIXEL}"),
            format!("old: current of {PIXEL}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_token_can_be_taken() {
    let (place, _) = place().await;
    let from_next = [&ROTATE[..], &["--from-next"]].concat();
    place.run(&from_next, "").ended(1).says("--slot next");
    let next = place.system_token();
    let add = ["add", "--pixel", PIXEL, "--slot", "next", "--name", "next"];
    place.run(&add, &next).done();
    let other = place.system_token();
    let ran = place.run(&ROTATE, &other).ended(1);
    ran.says(&format!(
        "`capigate token rotate --pixel {PIXEL} --from-next`"
    ))
    .says("`capigate token remove next`");
    place.run(&from_next, "").done();
    assert_eq!(
        place.slots(),
        [
            format!("next: current of {PIXEL}"),
            format!("old: retiring of {PIXEL}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_faster_with_the_same_does_no_harm() {
    let (place, token) = place().await;
    let next = place.system_token();
    let add = ["add", "--pixel", PIXEL, "--slot", "next", "--name", "next"];
    place.run(&add, &next).done();
    let print = Place::print_of(&token);
    place.sandbox.set_token_state(&print, TokenState::Revoked);
    let from_next = [&ROTATE[..], &["--from-next"]].concat();
    let ran = place.while_asking(&from_next, "", |contents| {
        let promoted = contents.promote(PIXEL.parse().unwrap(), Clock::Real.now());
        promoted.unwrap();
    });
    let ran = ran.done();
    assert_eq!(ran.json()["current"], "next");
    assert_eq!(
        place.slots(),
        [
            format!("next: current of {PIXEL}"),
            format!("old: retiring of {PIXEL}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rotations_at_once_the_second_changes_nothing() {
    let (place, _) = place().await;
    let (first, second) = (place.system_token(), place.system_token());
    place.run(&["add", "--name", "first"], &first).done();
    let words = [&ROTATE[..], &["--name", "second"]].concat();
    let ran = place.while_asking(&words, &second, |contents| {
        let (old, first) = ("old".parse().unwrap(), "first".parse().unwrap());
        let pixel = PIXEL.parse().unwrap();
        let now = Clock::Real.now();
        contents.replace(pixel, &old, &first, now).unwrap();
    });
    ran.ended(1).says("sends with first by now");
    assert_eq!(
        place.slots(),
        [
            format!("first: current of {PIXEL}"),
            format!("old: retiring of {PIXEL}")
        ]
    );
    assert!(!place.listed().contains_key("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_must_do_no_less() {
    let (place, token) = place().await;
    place
        .run(&ROTATE, &token)
        .ended(1)
        .says("sends with already");
    let mut wish = system_token();
    wish.app = None;
    let foreign = place.mint(wish);
    let ran = place.json(&ROTATE, &foreign).ended(5);
    assert_eq!(ran.failed(), "same_app");
    let mut wish = system_token();
    wish.scopes = vec!["ads_read".to_owned()];
    let less = place.mint(wish);
    let ran = place.json(&ROTATE, &less).ended(4);
    assert_eq!(ran.failed(), "same_scopes");
    assert_eq!(place.slots(), [format!("old: current of {PIXEL}")]);
    assert_eq!(place.listed().len(), 1, "nothing refused is kept");
    place
        .run(
            &[&ROTATE[..], &["--force", "--name", "less"]].concat(),
            &less,
        )
        .done();
    assert_eq!(place.slots().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_token_may_follow_an_apps_token() {
    let (place, _) = place().await;
    let dataset = place.mint(SandboxToken {
        scopes: vec!["read_ads_dataset_quality".to_owned()],
        ..SandboxToken::default()
    });
    let ran = place.json(&ROTATE, &dataset).done();
    for check in ["same_app", "same_scopes"] {
        assert_eq!(ran.finding(check)["mark"], "warn");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_way_back_has_left_as_next_is_taken_out_by_the_command_that_is_told() {
    let (place, _) = place().await;
    let words = [&ROTATE[..], &["--name", "new"]].concat();
    place.run(&words, &place.system_token()).done();
    let undo = [&ROTATE[..], &["--undo", "--yes"]].concat();
    place.run(&undo, "").done();
    let third = place.system_token();
    place
        .run(&ROTATE, &third)
        .ended(1)
        .says("`capigate token remove new`");
    place.run(&["remove", "new", "--yes"], "").done();
    let words = [&ROTATE[..], &["--name", "third"]].concat();
    place.run(&words, &third).done();
    assert_eq!(
        place.slots(),
        [
            format!("old: retiring of {PIXEL}"),
            format!("third: current of {PIXEL}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_token_is_replaced_without_its_value() {
    let (place, token) = place().await;
    let print = Place::print_of(&token);
    place.sandbox.set_token_state(&print, TokenState::Revoked);
    let new = place.system_token();
    let ran = place
        .json(&[&ROTATE[..], &["--name", "new"]].concat(), &new)
        .done();
    assert_eq!(ran.finding("current")["mark"], "warn");
    assert_eq!(ran.json()["current"], "new");
    ran.says("there is no going back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_falls_out_of_all_slots_is_told() {
    let (place, _) = place().await;
    for name in ["second", "third"] {
        let words = [&ROTATE[..], &["--name", name]].concat();
        let ran = place.run(&words, &place.system_token()).done();
        let is_told = ran.out.contains("old is in no slot now");
        assert_eq!(is_told, name == "third", "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn that_nobody_answers_about_the_old_one_ends_no_rotation() {
    let (place, _) = place().await;
    let down = Fault::status(503).at(Edge::DebugToken);
    place.sandbox.add_fault(down.clone());
    let new = place.system_token();
    let words = [&ROTATE[..], &["--name", "new"]].concat();
    let ran = place.json(&words, &new).done();
    assert_eq!(ran.finding("token")["mark"], "warn");
    assert_eq!(ran.json()["current"], "new");
    // nor about the new one, when it is forced
    place.sandbox.add_fault(down.forever());
    let newer = place.system_token();
    place.json(&ROTATE, &newer).ended(6);
    let forced = [&ROTATE[..], &["--force", "--name", "newer"]].concat();
    place.json(&forced, &newer).done();
    assert_eq!(
        place.slots(),
        [
            format!("new: retiring of {PIXEL}"),
            format!("newer: current of {PIXEL}")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_vault_is_rotated_elsewhere() {
    let mut place = Place::with_app().await;
    place.run(&ROTATE, "").ended(1).says("token add");
    place.extra = "token = { env = \"SHOP_TOKEN\" }".to_owned();
    place.run(&ROTATE, "").ended(1).says("SHOP_TOKEN");
    place
        .run(&["rotate", "--pixel", SECOND], "")
        .ended(1)
        .says("token add");
}
