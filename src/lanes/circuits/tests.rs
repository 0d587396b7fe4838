use std::collections::HashMap;

use super::*;
use crate::graph::{Cause, Reading};
use crate::secret::Secret;
use crate::tokens::Candidates;

const WEB: Class = Class::Rest;
const MESSAGES: Class = Class::BusinessMessaging;

fn pixel(id: u64) -> PixelId {
    PixelId::from_u64(id).unwrap()
}

fn credential(token: &str, app_id: u64, app_secret: Option<&str>) -> Credential {
    Credential {
        token: Secret::new(token.to_owned()),
        app_secret: app_secret.map(|secret| Secret::new(secret.to_owned())),
        app_id: Some(app_id),
    }
}

/// Each pixel with one token.
fn alone(credentials: HashMap<PixelId, Credential>) -> HashMap<PixelId, Candidates> {
    let all = credentials.into_iter();
    all.map(|(pixel, credential)| (pixel, vec![credential]))
        .collect()
}

/// Pixels 1 and 2 share a token, pixel 3 has another of the same app, pixel 4 is of another app.
fn credentials() -> HashMap<PixelId, Credential> {
    HashMap::from([
        (pixel(1), credential("a", 1, None)),
        (pixel(2), credential("a", 1, None)),
        (pixel(3), credential("b", 1, None)),
        (pixel(4), credential("c", 2, None)),
    ])
}

fn circuits() -> (Arc<Circuits>, Tokens) {
    let tokens = Tokens::new(alone(credentials()));
    let settings = Arc::new(ArcSwap::from_pointee(Settings::sample()));
    let by_hand = ByHand::open(std::path::Path::new("/nowhere"), Clock::Real);
    let circuits = Circuits::new(tokens.clone(), by_hand, Clock::Real, settings);
    (Arc::new(circuits), tokens)
}

fn passing(circuits: &Arc<Circuits>) -> Vec<u64> {
    (1..=4)
        .filter(|id| {
            let blocked = circuits.blocked(pixel(*id), WEB).is_some();
            assert_eq!(circuits.enter(pixel(*id), WEB).is_none(), blocked);
            !blocked
        })
        .collect()
}

fn hold(scope: Scope, cause: Cause) -> Heard {
    Heard::Hold(Hold { scope, cause }, None)
}

fn throttled(scope: Scope) -> Heard {
    let throttle = Throttle {
        scope,
        wait: None,
        floor: 1,
    };
    Heard::Throttled(throttle, None)
}

fn tell(circuits: &Arc<Circuits>, id: u64, heard: &Heard) {
    let ticket = circuits.enter(pixel(id), WEB).unwrap();
    ticket.report(heard, &Usage::default());
}

#[test]
fn each_scope_stops_who_shares_it_and_no_other() {
    for (heard, left) in [
        (Heard::Delivered, vec![1, 2, 3, 4]),
        (Heard::Refused, vec![1, 2, 3, 4]),
        (Heard::Nothing, vec![1, 2, 3, 4]),
        (
            Heard::Transient(Some(Duration::from_mins(1))),
            vec![2, 3, 4],
        ),
        (hold(Scope::Pixel, Cause::Permission), vec![2, 3, 4]),
        (hold(Scope::Token, Cause::Token), vec![3, 4]),
        (throttled(Scope::Pixel), vec![2, 3, 4]),
        (throttled(Scope::Token), vec![3, 4]),
        (throttled(Scope::App), vec![4]),
    ] {
        let (circuits, _) = circuits();
        assert_eq!(passing(&circuits), [1, 2, 3, 4]);
        tell(&circuits, 1, &heard);
        assert_eq!(passing(&circuits), left, "{heard:?}");
    }
}

#[test]
fn a_lane_that_is_held_leaves_the_pixels_other_lanes_alone() {
    let (circuits, tokens) = circuits();
    // the pixel is held, and released; the batch that decides meets what only messages need
    tell(&circuits, 1, &hold(Scope::Pixel, Cause::Permission));
    assert!(circuits.release("pixel:1"));
    let held = hold(Scope::Lane, Cause::Configuration);
    let messages = circuits.enter(pixel(1), MESSAGES).unwrap();
    messages.report(&held, &Usage::default());
    assert!(circuits.blocked(pixel(1), MESSAGES).is_some());
    assert!(circuits.blocked(pixel(2), MESSAGES).is_none());
    assert_eq!(passing(&circuits), [1, 2, 3, 4]);
    let in_flight = [circuits.enter(pixel(1), WEB), circuits.enter(pixel(1), WEB)];
    assert!(in_flight.iter().all(Option::is_some), "the pixel is well");
    let stopped = circuits.stopped();
    assert_eq!(stopped.len(), 1);
    let id = stopped[0].key.to_string();
    assert_eq!(id, "lane:1:business_messaging");
    assert_eq!(stopped[0].pixels, [pixel(1)]);
    let state = |class| circuits.gravest(pixel(1), class).unwrap().state.code();
    assert_eq!((state(WEB), state(MESSAGES)), ("open", "held"));
    // what is delivered by another lane says nothing about this one
    tell(&circuits, 1, &Heard::Delivered);
    assert_eq!(circuits.wait_ahead(pixel(1), WEB), Duration::ZERO);
    assert_eq!(circuits.wait_ahead(pixel(1), MESSAGES), Duration::MAX);
    // nor is it well because the pixel is not
    assert!(circuits.release(&id));
    let messages = circuits.enter(pixel(1), MESSAGES).unwrap();
    messages.report(&hold(Scope::Pixel, Cause::Permission), &Usage::default());
    assert_eq!(passing(&circuits), [2, 3, 4]);
    assert_eq!(state(MESSAGES), "held", "of the pixel");
    let mut changed = credentials();
    changed.insert(pixel(1), credential("new", 1, None));
    tokens.replace(alone(changed));
    circuits.tokens_changed();
    let messages = circuits.enter(pixel(1), MESSAGES).unwrap();
    messages.report(&held, &Usage::default());
    circuits.idle(pixel(1));
    assert!(circuits.blocked(pixel(1), MESSAGES).is_some(), "remembered");
}

#[test]
fn a_ticket_is_worth_nothing_once_a_circuit_of_it_has_changed() {
    let (circuits, _) = circuits();
    let (mine, others) = (circuits.enter(pixel(2), WEB), circuits.enter(pixel(3), WEB));
    tell(&circuits, 1, &hold(Scope::Token, Cause::Token));
    assert!(!mine.as_ref().unwrap().is_current());
    assert!(others.unwrap().is_current());
    // it was sent before the hold: it neither ends nor worsens it
    mine.unwrap().report(&Heard::Delivered, &Usage::default());
    assert_eq!(passing(&circuits), [3, 4]);
}

#[test]
fn one_batch_in_the_whole_scope_decides() {
    let (circuits, _) = circuits();
    tell(&circuits, 1, &hold(Scope::Token, Cause::Token));
    assert!(circuits.release(&circuits.stopped()[0].key.to_string()));
    let probe = circuits.enter(pixel(2), WEB).unwrap();
    assert!(circuits.enter(pixel(1), WEB).is_none());
    drop(probe);
    let probe = circuits.enter(pixel(1), WEB).unwrap();
    assert!(circuits.enter(pixel(2), WEB).is_none());
    // the token is well, but this pixel is not for it
    probe.report(&hold(Scope::Pixel, Cause::Permission), &Usage::default());
    assert_eq!(passing(&circuits), [2, 3, 4]);
    let ids: Vec<String> = circuits
        .stopped()
        .iter()
        .map(|standing| standing.key.to_string())
        .collect();
    assert_eq!(ids, ["pixel:1"]);
    assert!(!circuits.release("pixel:2"));
}

#[test]
fn a_probe_that_fails_on_the_way_says_nothing_about_the_token() {
    let (circuits, _) = circuits();
    tell(&circuits, 1, &throttled(Scope::Token));
    let id = circuits.stopped()[0].key.to_string();
    assert!(circuits.release(&id));
    tell(
        &circuits,
        1,
        &Heard::Transient(Some(Duration::from_mins(1))),
    );
    // the pixel waits; another may be the one that decides
    assert_eq!(passing(&circuits), [2, 3, 4]);
    let probe = circuits.enter(pixel(2), WEB).unwrap();
    probe.report(&Heard::Delivered, &Usage::default());
    let a_pair = [circuits.enter(pixel(2), WEB), circuits.enter(pixel(2), WEB)];
    assert!(a_pair.iter().all(Option::is_some), "open for all");
}

#[test]
fn a_new_token_is_a_new_circuit_and_the_old_one_is_forgotten() {
    let (circuits, tokens) = circuits();
    tell(&circuits, 1, &hold(Scope::Token, Cause::Token));
    tell(&circuits, 3, &hold(Scope::Pixel, Cause::Permission));
    let in_flight = circuits.enter(pixel(4), WEB).unwrap();
    assert_eq!(passing(&circuits), [4]);
    let mut changed = credentials();
    changed.insert(pixel(1), credential("new", 1, None));
    changed.insert(pixel(3), credential("b", 1, Some("a proof")));
    changed.insert(pixel(4), credential("another", 2, None));
    tokens.replace(alone(changed));
    circuits.tokens_changed();
    // 2 still has the bad token; 3 has the same with a proof, which may help
    assert_eq!(passing(&circuits), [1, 3, 4]);
    // what was said to the old token does not stop the new one
    in_flight.report(&hold(Scope::Pixel, Cause::Permission), &Usage::default());
    assert_eq!(passing(&circuits), [1, 3, 4]);
    let mut changed = credentials();
    changed.insert(pixel(1), credential("new", 1, None));
    changed.insert(pixel(2), credential("new", 1, None));
    tokens.replace(alone(changed));
    circuits.tokens_changed();
    assert_eq!(passing(&circuits), [1, 2, 3, 4]);
    let of_tokens = super::super::lock(&circuits.inner)
        .circuits
        .keys()
        .filter(|key| key.scope() == Scope::Token)
        .count();
    assert_eq!(of_tokens, 3, "new, b and c");
}

#[test]
fn whoever_sees_the_new_token_first_makes_the_pixel_decide_anew() {
    let (circuits, tokens) = circuits();
    tell(&circuits, 3, &hold(Scope::Pixel, Cause::Permission));
    let in_flight = circuits.enter(pixel(4), WEB).unwrap();
    let mut changed = credentials();
    changed.insert(pixel(3), credential("new", 1, None));
    changed.insert(pixel(4), credential("another", 2, None));
    tokens.replace(alone(changed));
    // a lane is quicker than the one that follows the tokens
    assert!(circuits.blocked(pixel(3), WEB).is_none());
    assert!(circuits.blocked(pixel(4), WEB).is_none());
    circuits.tokens_changed();
    assert_eq!(passing(&circuits), [1, 2, 3, 4]);
    assert!(!in_flight.is_current());
    in_flight.report(&hold(Scope::Pixel, Cause::Permission), &Usage::default());
    assert_eq!(passing(&circuits), [1, 2, 3, 4]);
}

#[test]
fn a_new_token_of_one_pixel_lifts_nothing_that_others_share() {
    let (circuits, tokens) = circuits();
    tell(&circuits, 1, &throttled(Scope::App));
    let mut changed = credentials();
    changed.insert(pixel(3), credential("new", 1, None));
    tokens.replace(alone(changed.clone()));
    circuits.tokens_changed();
    assert_eq!(passing(&circuits), [4], "the app is throttled");
    tell(&circuits, 4, &hold(Scope::Token, Cause::Token));
    changed.insert(pixel(1), credential("c", 2, None));
    tokens.replace(alone(changed.clone()));
    circuits.tokens_changed();
    assert!(passing(&circuits).is_empty(), "it joins what is held");
    changed.insert(pixel(1), credential("d", 3, None));
    tokens.replace(alone(changed));
    circuits.tokens_changed();
    assert_eq!(passing(&circuits), [1]);
}

#[test]
fn a_pixel_without_a_token_waits_for_one() {
    let (circuits, tokens) = circuits();
    let mut fewer = credentials();
    fewer.remove(&pixel(1));
    tokens.replace(alone(fewer));
    circuits.tokens_changed();
    assert_eq!(passing(&circuits), [2, 3, 4]);
    assert!(!circuits.release("pixel:1"), "there is nothing to try");
    assert_eq!(circuits.wait_ahead(pixel(1), WEB), Duration::MAX);
    tokens.replace(alone(credentials()));
    assert_eq!(passing(&circuits), [1, 2, 3, 4]);
}

#[test]
fn a_configuration_lets_all_decide_anew_but_what_is_blocked() {
    let (circuits, _) = circuits();
    tell(&circuits, 1, &hold(Scope::Token, Cause::Token));
    tell(&circuits, 3, &hold(Scope::Pixel, Cause::Blocked));
    tell(&circuits, 4, &throttled(Scope::Pixel));
    circuits.configured(false);
    assert_eq!(passing(&circuits), [1, 2]);
    circuits.configured(true);
    assert_eq!(passing(&circuits), [1, 2, 4]);
}

#[test]
fn idle_pixels_leave_nothing_behind_but_what_must_be_remembered() {
    let (circuits, _) = circuits();
    tell(&circuits, 1, &Heard::Delivered);
    tell(&circuits, 3, &Heard::Delivered);
    tell(&circuits, 4, &throttled(Scope::Token));
    (1..=4).for_each(|id| circuits.idle(pixel(id)));
    let left = |circuits: &Circuits| super::super::lock(&circuits.inner).circuits.len();
    assert_eq!(left(&circuits), 1, "the throttled token");
    assert_eq!(passing(&circuits), [1, 2, 3]);
}

#[test]
fn the_slowest_of_them_sets_the_pace() {
    let (circuits, _) = circuits();
    let usage = Usage {
        readings: vec![Reading {
            scope: Scope::Token,
            percent: 87.5,
            regain: None,
        }],
        ..Usage::default()
    };
    let ticket = circuits.enter(pixel(1), WEB).unwrap();
    ticket.report(&Heard::Delivered, &usage);
    let factors = |circuits: &Circuits| [1, 3].map(|id| pace::steps(circuits.factor(pixel(id))));
    passing(&circuits);
    assert_eq!(factors(&circuits), [32, 64]);
    tell(&circuits, 1, &throttled(Scope::App));
    assert_eq!(factors(&circuits), [32, 32]);
    let id = circuits.stopped()[0].key.to_string();
    assert_eq!(id, "app:1");
    circuits.release(&id);
    (0..10).for_each(|_| tell(&circuits, 1, &Heard::Delivered));
    assert_eq!(factors(&circuits), [64, 64]);
}

#[test]
fn a_person_stops_a_pixel_and_what_is_about_to_be_sent_of_it_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let by_hand = ByHand::open(dir.path(), Clock::Real);
    let tokens = Tokens::new(alone(credentials()));
    let settings = Arc::new(ArcSwap::from_pointee(Settings::sample()));
    let circuits = Circuits::new(tokens, by_hand.clone(), Clock::Real, settings);
    let circuits = Arc::new(circuits);
    let [mine, others] = [1, 2].map(|id| circuits.enter(pixel(id), WEB).unwrap());
    by_hand.hold(pixel(1), None, None, "k", false).unwrap();
    assert!(!mine.is_current() && others.is_current());
    // what comes back of a batch that was on its way counts all the same
    mine.report(&hold(Scope::Token, Cause::Token), &Usage::default());
    assert_eq!(passing(&circuits), [3, 4]);
    assert_eq!(circuits.wait_ahead(pixel(1), WEB), Duration::MAX);
    // Meta's word is the graver, since somebody has to do something about it
    let gravest = circuits.gravest(pixel(1), WEB).unwrap();
    assert_eq!(gravest.state.code(), "held");
    by_hand.release(pixel(1)).unwrap();
    assert_eq!(passing(&circuits), [3, 4]);
}
