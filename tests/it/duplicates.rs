//! What comes twice and must go out once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use capigate::config::Config;
use capigate::config::duplicates::Covers;
use capigate::journal::segment::disk::RealDisk;
use capigate::receipts::State;
use capigate::redrive::{Report, Request};
use capigate::sandbox::Fault;
use capigate::time::Clock;
use serde_json::{Value, json};

use crate::durability::BadDisk;
use crate::harness::{Answer, Gateway, KEY, OTHER, PIXEL, purchase};

/// A purchase in a chat, of which Meta drops no duplicates.
fn chat(id: &str) -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": Clock::Real.now().secs() - 5,
        "event_id": id,
        "action_source": "business_messaging",
        "messaging_channel": "whatsapp",
        "user_data": {
            "whatsapp_business_account_id": "100000000000001",
            "ctwa_clid": "ARAkLkA8rmlFeiCktEJQ"
        },
        "custom_data": {"value": 5, "currency": "EUR"}
    })
}

/// How often each event went out, by id.
fn times(gateway: &Gateway) -> Vec<(String, u64)> {
    let ledger = gateway.sandbox.ledger();
    let mut times: Vec<_> = ledger
        .events
        .iter()
        .map(|event| (event.event_id.clone().unwrap(), event.times))
        .collect();
    times.sort();
    times
}

/// The places of the events that an answer calls duplicates.
fn called_duplicates(answer: &Answer) -> Vec<usize> {
    let messages = answer.body["messages"].as_array().unwrap();
    let place = |message: &Value| {
        let text = message.as_str().unwrap();
        let (place, rest) = text.strip_prefix("data[")?.split_once(']')?;
        rest.starts_with(".event_id: an event with this name and id was received before")
            .then(|| place.parse().unwrap())
    };
    messages.iter().filter_map(place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_messaging_event_goes_out_once_and_is_answered_as_received() {
    let gateway = Gateway::start().await;
    let answer = gateway.post(vec![chat("a"), chat("b"), chat("a")]).await;
    assert_eq!(
        (answer.status, &answer.body["events_received"]),
        (200, &json!(3))
    );
    assert_eq!(called_duplicates(&answer), [2]);
    gateway.delivered(2).await;
    gateway.drained().await;

    // beside a bad one, a new one and an ordinary one
    let bad = json!({"event_name": "Purchase"});
    let call = vec![bad, chat("b"), chat("c"), purchase("w"), chat("a")];
    let answer = gateway.post(call).await;
    assert_eq!(
        (answer.status, &answer.body["events_received"]),
        (200, &json!(4))
    );
    assert_eq!(called_duplicates(&answer), [1, 4]);
    gateway.delivered(4).await;

    // another pixel's are others
    let answer = gateway
        .post_body(OTHER, &json!({"data": [chat("a")]}))
        .await;
    assert_eq!(called_duplicates(&answer), [0_usize; 0]);
    gateway.delivered(5).await;
    gateway.drained().await;
    let once = |id: &str| (id.to_owned(), 1);
    assert_eq!(times(&gateway), ["a", "a", "b", "c", "w"].map(once));
    assert_eq!(gateway.metric("capigate_accepted_total").await, 5);
    let page = gateway.page("/metrics").await.1;
    for line in [
        format!("capigate_duplicates_total{{pixel=\"{PIXEL}\"}} 3"),
        format!("capigate_duplicates_total{{pixel=\"{OTHER}\"}} 0"),
        "capigate_warnings_total{code=\"duplicate\"} 3".to_owned(),
        "capigate_duplicates_entries 4".to_owned(),
    ] {
        assert!(page.contains(&line), "{line}: {page}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_events_are_left_to_meta_unless_all_are_covered() {
    for (covers, sent) in [(Covers::Messaging, 2), (Covers::All, 1)] {
        let gateway = Gateway::with(|config| config.duplicates.events = covers).await;
        for _ in 0..2 {
            assert_eq!(gateway.post(vec![purchase("a")]).await.status, 200);
        }
        gateway.delivered(sent).await;
        gateway.drained().await;
        assert_eq!(times(&gateway), [("a".to_owned(), sent)]);
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_posts_at_once_one_is_accepted() {
    let gateway = Gateway::start().await;
    for round in 0..5 {
        let id = format!("r{round}");
        let posts = (0..16).map(|n| {
            // in different orders, so that each waits for parts of the others
            let mut events = vec![
                chat(&id),
                chat(&format!("{id}-x")),
                chat(&format!("{id}-y")),
            ];
            events.rotate_left(n % 3);
            let request = gateway
                .http
                .post(gateway.url(&format!("/v26.0/{PIXEL}/events")));
            let request = request.bearer_auth(KEY).json(&json!({"data": events}));
            tokio_util::task::TaskTracker::new().spawn(async move {
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 200);
                let body: Value = answer.json().await.unwrap();
                assert_eq!(body["events_received"], 3);
            })
        });
        let posts: Vec<_> = posts.collect();
        for post in posts {
            post.await.unwrap();
        }
    }
    gateway.delivered(15).await;
    gateway.drained().await;
    assert_eq!(times(&gateway).len(), 15);
    assert!(times(&gateway).iter().all(|(_, times)| *times == 1));
    assert_eq!(gateway.metric("capigate_accepted_total").await, 15);
    assert_eq!(
        gateway.metric("capigate_duplicates_total").await,
        5 * 16 * 3 - 15
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_no_claim_and_no_twin() {
    let disk = BadDisk::default();
    let slow = Arc::clone(&disk.slow_sync);
    let gateway = Gateway::with_disk(|_| (), Arc::new(disk), Clock::Real).await;
    slow.store(true, Ordering::SeqCst);
    let request = gateway
        .http
        .post(gateway.url(&format!("/v26.0/{PIXEL}/events")));
    let request = request.bearer_auth(KEY).json(&json!({"data": [chat("a")]}));
    let post = tokio_util::task::TaskTracker::new().spawn(request.send());
    gateway
        .until("a request on its way", async |gateway| {
            (gateway.metric("capigate_in_flight_bytes").await > 0).then_some(())
        })
        .await;
    // most likely in the middle of its commit; what counts holds at any time
    post.abort();
    let answer = gateway.post(vec![chat("a")]).await;
    assert_eq!(
        (answer.status, &answer.body["events_received"]),
        (200, &json!(1))
    );
    slow.store(false, Ordering::SeqCst);
    gateway.delivered(1).await;
    gateway.drained().await;
    assert_eq!(times(&gateway), [("a".to_owned(), 1)]);
    assert_eq!(gateway.metric("capigate_accepted_total").await, 1);
    assert_eq!(called_duplicates(&gateway.post(vec![chat("a")]).await), [0]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_was_delivered_is_remembered_across_a_restart() {
    let mut gateway = Gateway::start().await;
    gateway.post(vec![chat("delivered")]).await;
    gateway.delivered(1).await;
    gateway.drained().await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    gateway.post(vec![chat("waiting")]).await;
    gateway.down().await;
    gateway.up().await;
    let answer = gateway.post(vec![chat("delivered"), chat("waiting")]).await;
    assert_eq!(called_duplicates(&answer), [0, 1]);
    gateway.sandbox.clear_faults();
    gateway.delivered(2).await;
    gateway.drained().await;
    let once = |id: &str| (id.to_owned(), 1);
    assert_eq!(times(&gateway), ["delivered", "waiting"].map(once));

    // both have a receipt, also of the life before
    for id in ["delivered", "waiting"] {
        let receipts = gateway.running().receipts().clone();
        let found = tokio::task::spawn_blocking(move || receipts.find(id, 100).unwrap());
        let found = found.await.unwrap();
        assert_eq!(found.len(), 1, "{id}");
        assert_eq!(found[0].state, State::Delivered);
        assert_eq!(found[0].pixel.to_string(), PIXEL);
        assert!(found[0].trace_id.is_some());
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_one_may_be_sent_again_and_shows_both_ends() {
    let gateway = Gateway::start().await;
    gateway
        .sandbox
        .add_fault(Fault::refuse_event("a", Some(2_804_009)).times(1));
    gateway.post(vec![chat("a")]).await;
    gateway
        .until("a dead letter", async |gateway| {
            (gateway.metric("capigate_dead_total").await == 1).then_some(())
        })
        .await;
    gateway.drained().await;
    let answer = gateway.post(vec![chat("a")]).await;
    assert_eq!(called_duplicates(&answer), [0_usize; 0]);
    gateway.delivered(1).await;
    gateway.drained().await;
    let receipts = gateway.running().receipts().clone();
    let found = tokio::task::spawn_blocking(move || receipts.find("a", 100).unwrap());
    let found = found.await.unwrap();
    let states: Vec<_> = found.iter().map(|receipt| receipt.state).collect();
    assert_eq!(states, [State::Delivered, State::Dead]);
    assert_eq!(
        (found[1].code, found[1].subcode),
        (Some(100), Some(2_804_009))
    );
    gateway.finish().await;
}

/// Posts an event in a chat that Graph refuses, and waits for its letter.
async fn refused_chat(gateway: &Gateway, id: &str) {
    let fault = Fault::refuse_event(id, Some(2_804_009)).times(1);
    gateway.sandbox.add_fault(fault);
    let before = gateway.metric("capigate_dead_letters").await;
    gateway.post(vec![chat(id)]).await;
    gateway
        .until("a dead letter", async |gateway| {
            (gateway.metric("capigate_dead_letters").await == before + 1).then_some(())
        })
        .await;
    gateway.drained().await;
}

async fn redrive(gateway: &Gateway) -> Report {
    let pixels = HashSet::from([PIXEL.parse().unwrap()]);
    let redrive = gateway.running().redrive();
    redrive.run(Request::default(), pixels).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_not_redriven_beside_its_corrected_twin() {
    let gateway = Gateway::start().await;
    refused_chat(&gateway, "a").await;
    assert_eq!(
        called_duplicates(&gateway.post(vec![chat("a")]).await),
        [0_usize; 0]
    );
    gateway.delivered(1).await;
    gateway.drained().await;
    let report = redrive(&gateway).await;
    assert_eq!((report.redriven, report.refused), (0, 1), "{report:?}");
    assert_eq!(report.refusals[0].code.word(), "duplicate");
    assert_eq!(gateway.metric("capigate_dead_letters").await, 1);
    assert_eq!(times(&gateway), [("a".to_owned(), 1)]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_event_that_waits_holds_its_twin_back_across_a_restart() {
    let clock = Clock::manual(Clock::Real.now());
    let mut gateway = Gateway::with_disk(|_| (), Arc::new(RealDisk), clock).await;
    refused_chat(&gateway, "a").await;
    // longer ago than the window
    let later = gateway.clock.now().plus(Duration::from_hours(72));
    gateway.clock.set(later);
    gateway.sandbox.add_fault(Fault::status(503).forever());
    assert_eq!(redrive(&gateway).await.redriven, 1);
    assert_eq!(called_duplicates(&gateway.post(vec![chat("a")]).await), [0]);
    gateway.down().await;
    gateway.up().await;
    assert_eq!(called_duplicates(&gateway.post(vec![chat("a")]).await), [0]);
    gateway.sandbox.clear_faults();
    gateway.delivered(1).await;
    gateway.drained().await;
    assert_eq!(times(&gateway), [("a".to_owned(), 1)]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_journal_over_has_the_receipts_too() {
    let disk = BadDisk::default();
    let slow = Arc::clone(&disk.slow_sync);
    let waits = |config: &mut Config| config.journal.lock_wait = "60s".parse().unwrap();
    let mut gateway = Gateway::with_disk(waits, Arc::new(disk), Clock::Real).await;
    gateway.post(vec![chat("a")]).await;
    gateway.delivered(1).await;
    gateway.drained().await;
    // so that the next one would come before the receipts are sealed
    slow.store(true, Ordering::SeqCst);
    gateway.taken_over().await;
    slow.store(false, Ordering::SeqCst);
    let receipts = gateway.running().receipts().clone();
    let found = tokio::task::spawn_blocking(move || receipts.find("a", 100).unwrap());
    assert_eq!(found.await.unwrap().len(), 1);
    gateway.post(vec![chat("b")]).await;
    gateway.delivered(2).await;
    gateway.finish().await;
}
