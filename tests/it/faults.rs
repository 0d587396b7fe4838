//! What Graph may do to a batch, and that it concerns nobody else: bad events, holds, throttles.

use std::collections::BTreeSet;
use std::time::Duration;

use capigate::config::lanes::Messaging;
use capigate::journal::segment::disk::RealDisk;
use capigate::pixel::PixelId;
use capigate::sandbox::{Action, BatchRecord, Fault, Headers, Outcome};
use capigate::time::Clock;
use serde_json::{Value, json};

use crate::harness::{FOREIGN, Gateway, OTHER, PIXEL, purchase, purchases};

fn pixel(id: &str) -> PixelId {
    id.parse().unwrap()
}

/// A pace that does not matter.
fn unhurried(config: &mut capigate::config::Config) {
    config.lanes.rate = "100000/s".parse().unwrap();
    config.lanes.rate_per_pixel = "100000/s".parse().unwrap();
}

/// The source may post to the third pixel, too, which shares its token with the first.
fn three_pixels(config: &mut capigate::config::Config) {
    let source = config.sources.get_mut("shop").unwrap();
    source.pixels.insert(pixel(FOREIGN));
}

async fn post(gateway: &Gateway, pixel: &str, events: Vec<Value>) {
    let answer = gateway.post_body(pixel, &json!({ "data": events })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The dead letters on disk.
fn letters(gateway: &Gateway) -> Vec<Value> {
    crate::support::all_bytes(&gateway.journal_dir().join("dead"))
        .into_iter()
        .flat_map(|(_, bytes)| {
            let text = String::from_utf8(bytes).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            lines.collect::<Vec<Value>>()
        })
        .collect()
}

fn ids(letters: &[Value]) -> BTreeSet<&str> {
    letters
        .iter()
        .map(|letter| letter["event"]["event_id"].as_str().unwrap())
        .collect()
}

/// Every event was accepted `times` times, but for the refused ones.
fn assert_delivered(gateway: &Gateway, events: usize, times: u64) {
    let ledger = gateway.sandbox.ledger();
    assert_eq!(ledger.events.len(), events, "{:?}", ledger.totals);
    assert!(ledger.events.iter().all(|event| event.times == times));
}

fn of<'a>(batches: &'a [BatchRecord], pixel: &str) -> Vec<&'a BatchRecord> {
    batches
        .iter()
        .filter(|batch| batch.pixel.to_string() == pixel)
        .collect()
}

/// Waits until something is held or throttled, and gives it.
async fn stopped(gateway: &Gateway) -> capigate::lanes::snapshot::HoldSnapshot {
    gateway
        .until("a hold", async |gateway| {
            gateway.running().lanes().holds().into_iter().next()
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_die_and_their_neighbours_are_delivered() {
    for bad in [1_usize, 3, 10] {
        let gateway = Gateway::with(unhurried).await;
        let poison: Vec<String> = (0..bad).map(|n| format!("a-{}", n * 9 + 4)).collect();
        for id in &poison {
            let fault = Fault::refuse_event(id, Some(2_804_019));
            gateway.sandbox.add_fault(fault);
        }
        post(&gateway, PIXEL, purchases("a", 100)).await;
        gateway.drained().await;
        assert_delivered(&gateway, 100 - bad, 1);
        let letters = letters(&gateway);
        assert_eq!(ids(&letters), poison.iter().map(String::as_str).collect());
        for letter in &letters {
            assert_eq!(letter["reason"], "refused");
            assert_eq!(letter["refusal"]["code"], 100);
            assert_eq!(letter["refusal"]["subcode"], 2_804_019);
            let trace = letter["refusal"]["trace_id"].as_str().unwrap();
            assert!(trace.starts_with("SBX"), "{trace}");
            assert!(letter["refusal"]["message"].is_string());
        }
        let requests = gateway.sandbox.ledger().batches.len();
        assert!(requests <= 2 * bad * 7 + 1, "{requests} for {bad} bad");
        assert_eq!(gateway.metric("capigate_bisections_total").await, 1);
        assert_eq!(
            gateway.metric("capigate_bisection_requests_total").await,
            requests as u64 - 1
        );
        assert_eq!(gateway.running().lanes().snapshot()[0].state, "open");
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_graph_names_is_looked_at_first() {
    let gateway = Gateway::start().await;
    let mut fault = Fault::refuse_event("a-70", Some(2_804_019));
    if let Action::RefuseEvent { blame, .. } = &mut fault.action {
        *blame = true;
    }
    gateway.sandbox.add_fault(fault);
    post(&gateway, PIXEL, purchases("a", 100)).await;
    gateway.drained().await;
    let sizes: Vec<usize> = gateway
        .sandbox
        .ledger()
        .batches
        .iter()
        .map(|batch| batch.size)
        .collect();
    assert_eq!(sizes, [100, 1, 99]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bad_batches_take_turns_and_all_good_events_arrive_once() {
    let gateway = Gateway::with(|config| {
        unhurried(config);
        config.lanes.max_events = 20;
    })
    .await;
    let poison: Vec<String> = (0..10).map(|n| format!("a-{}", n * 20 + 7)).collect();
    for id in &poison {
        gateway.sandbox.add_fault(Fault::refuse_event(id, None));
    }
    post(&gateway, PIXEL, purchases("a", 200)).await;
    gateway.drained().await;
    assert_delivered(&gateway, 190, 1);
    assert_eq!(
        ids(&letters(&gateway)),
        poison.iter().map(String::as_str).collect()
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_halved_and_nobody_is_to_blame() {
    let gateway = Gateway::with(unhurried).await;
    gateway
        .sandbox
        .add_fault(Action::TooLarge { bytes: 4000 }.into());
    let mut events = purchases("a", 60);
    events[20]["custom_data"]["notes"] = json!("n".repeat(5000));
    post(&gateway, PIXEL, events).await;
    gateway.drained().await;
    assert_delivered(&gateway, 59, 1);
    let letters = letters(&gateway);
    assert_eq!(ids(&letters), BTreeSet::from(["a-20"]));
    assert_eq!(letters[0]["reason"], "too_large");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_without_a_reason_is_downtime_first_and_a_bad_event_then() {
    let gateway = Gateway::with(unhurried).await;
    gateway.sandbox.add_fault(
        Action::RefuseEvent {
            event_id: Some("poison".to_owned()),
            index: None,
            code: 1,
            subcode: None,
            blame: false,
        }
        .into(),
    );
    // alone it may as well be downtime
    post(&gateway, PIXEL, vec![purchase("poison")]).await;
    gateway
        .until("seven tries", async |gateway| {
            (gateway.sandbox.ledger().batches.len() >= 7).then_some(())
        })
        .await;
    assert_eq!(gateway.metric("capigate_dead_total").await, 0);
    // beside others that are taken it is not
    post(&gateway, PIXEL, purchases("a", 7)).await;
    gateway.drained().await;
    assert_delivered(&gateway, 7, 1);
    assert_eq!(ids(&letters(&gateway)), BTreeSet::from(["poison"]));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_everything_kills_nothing() {
    for status in [400, 422] {
        let gateway = Gateway::with(unhurried).await;
        let page = Fault::from(Action::Html { status });
        gateway.sandbox.add_fault(page.forever());
        post(&gateway, PIXEL, purchases("a", 4)).await;
        // the batch five times, then each part of it, to the end of the search and beyond
        gateway
            .until("two searches", async |gateway| {
                let searches = gateway.metric("capigate_bisections_total").await;
                (searches >= 2).then_some(())
            })
            .await;
        assert_eq!(gateway.metric("capigate_dead_total").await, 0);
        gateway.sandbox.clear_faults();
        gateway.drained().await;
        assert_delivered(&gateway, 4, 1);
        assert!(letters(&gateway).is_empty());
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_errors_without_a_reason_start_a_search() {
    let sizes = sizes_after_errors_without_a_reason(5).await;
    assert_eq!(sizes, [8, 8, 8, 8, 8, 4, 2, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn downtime_that_ends_within_a_search_gives_up_no_event() {
    // the first event fails alone, the others are taken: so it is asked once more
    let sizes = sizes_after_errors_without_a_reason(8).await;
    assert_eq!(sizes, [8, 8, 8, 8, 8, 4, 2, 1, 1, 2, 4, 1]);
}

/// The sizes of the batches of eight events, of which the first `times` meet code 1; all events
/// are delivered.
async fn sizes_after_errors_without_a_reason(times: u64) -> Vec<usize> {
    let gateway = Gateway::with(unhurried).await;
    let unknown = Action::Status {
        status: 500,
        code: 1,
        subcode: None,
        is_transient: None,
        message: None,
        headers: Headers::new(),
    };
    gateway.sandbox.add_fault(Fault::from(unknown).times(times));
    post(&gateway, PIXEL, purchases("a", 8)).await;
    gateway.drained().await;
    let ledger = gateway.sandbox.ledger();
    assert_delivered(&gateway, 8, 1);
    gateway.finish().await;
    ledger.batches.iter().map(|batch| batch.size).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_stops_the_pixels_that_share_it_and_no_other() {
    let gateway = Gateway::with(three_pixels).await;
    let bad = Action::BadToken { subcode: Some(463) };
    gateway.sandbox.add_fault(Fault::from(bad).on(pixel(PIXEL)));
    post(&gateway, PIXEL, purchases("a", 20)).await;
    let hold = stopped(&gateway).await;
    assert_eq!(
        (hold.scope, hold.state, hold.cause),
        ("token", "held", "token")
    );
    assert!(
        hold.id.starts_with("token:") && hold.id.len() == 14,
        "{hold:?}"
    );
    let seen = hold.graph.clone().unwrap();
    assert_eq!((seen.code, seen.subcode), (Some(190), Some(463)));
    assert!(hold.next_probe.is_some_and(|seconds| seconds <= 1));
    // the others come while it is held
    post(&gateway, FOREIGN, purchases("b", 20)).await;
    post(&gateway, OTHER, purchases("c", 20)).await;
    gateway.delivered(20).await;
    gateway
        .until("the gauges", async |gateway| {
            let page = gateway.page("/metrics").await.1;
            page.contains("capigate_holds{cause=\"token\",scope=\"token\"} 1")
                .then_some(())
        })
        .await;
    let ledger = gateway.sandbox.ledger();
    assert_eq!(of(&ledger.batches, OTHER).len(), 1);
    gateway.delivered(60).await;
    let ledger = gateway.sandbox.ledger();
    let of_token: Vec<&BatchRecord> = ledger
        .batches
        .iter()
        .filter(|batch| batch.token.as_deref() == Some("first"))
        .collect();
    assert_eq!(of_token[0].size, 20);
    assert_eq!(of_token[1].size, 1, "the probe is one event");
    assert!(of_token[1].at_ms >= of_token[0].at_ms + 1000);
    assert!(gateway.running().lanes().holds().is_empty());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_may_find_the_token_well_and_the_pixel_forbidden() {
    let mut gateway = Gateway::with(three_pixels).await;
    let bad = Action::BadToken { subcode: Some(463) };
    gateway.sandbox.add_fault(Fault::from(bad));
    post(&gateway, PIXEL, purchases("a", 5)).await;
    stopped(&gateway).await;
    let forbidden = Action::Status {
        status: 400,
        code: 100,
        subcode: Some(33),
        is_transient: None,
        message: None,
        headers: Headers::new(),
    };
    let forbidden = Fault::from(forbidden).on(pixel(PIXEL)).forever();
    gateway.sandbox.add_fault(forbidden);
    gateway
        .until("a pixel that is held", async |gateway| {
            let holds = gateway.running().lanes().holds();
            let ids: Vec<&str> = holds.iter().map(|hold| &*hold.id).collect();
            (ids == [format!("pixel:{PIXEL}")]).then_some(())
        })
        .await;
    // the token's other pixel goes at once
    post(&gateway, FOREIGN, purchases("b", 5)).await;
    gateway.delivered(5).await;
    let lanes = gateway.running().lanes().snapshot();
    assert_eq!(lanes[0].reason, Some("permission"));
    assert_eq!(lanes[0].waiting, 5);
    let (status, readiness) = gateway.readyz().await;
    assert_eq!(status, 200, "one held pixel must not stop the others");
    assert_eq!(readiness["held"][0]["pixel"], PIXEL);
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_release_a_hold() {
    let gateway = Gateway::with(|config| config.lanes.probe_interval = "1h".parse().unwrap()).await;
    let blocked = Action::Status {
        status: 400,
        code: 368,
        subcode: None,
        is_transient: None,
        message: None,
        headers: Headers::new(),
    };
    gateway.sandbox.add_fault(blocked.into());
    post(&gateway, PIXEL, purchases("a", 5)).await;
    let hold = stopped(&gateway).await;
    assert_eq!(hold.cause, "blocked");
    assert_eq!(hold.pixels, [pixel(PIXEL)]);
    assert!(hold.next_probe.is_some_and(|seconds| seconds > 11 * 3600));
    gateway
        .until("its events", async |gateway| {
            (gateway.running().lanes().holds()[0].waiting == 5).then_some(())
        })
        .await;
    assert!(!gateway.running().lanes().release("pixel:1"));
    assert!(gateway.running().lanes().release(&hold.id));
    gateway.delivered(5).await;
    // a whole batch, not one event
    assert_eq!(gateway.sandbox.ledger().batches[1].size, 5);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_stops_its_scope_alone() {
    // the app of the tokens is not known, so each token stands for an app of its own
    for (code, shares) in [(80_004, false), (613, true), (4, true)] {
        let gateway = Gateway::with(three_pixels).await;
        let mut fault = Fault::throttle(code).on(pixel(PIXEL));
        if let Action::Throttle { retry_after, .. } = &mut fault.action {
            *retry_after = Some(2);
        }
        gateway.sandbox.add_fault(fault);
        post(&gateway, PIXEL, purchases("a", 5)).await;
        assert_eq!(stopped(&gateway).await.state, "throttled");
        post(&gateway, FOREIGN, purchases("b", 5)).await;
        post(&gateway, OTHER, purchases("c", 5)).await;
        gateway.delivered(15).await;
        let ledger = gateway.sandbox.ledger();
        let start = ledger.batches[0].at_ms;
        let first_of = |id| {
            let batches = of(&ledger.batches, id);
            let accepted =
                |batch: &&&BatchRecord| matches!(batch.outcome, Outcome::Accepted { .. });
            batches.iter().find(accepted).unwrap().at_ms - start
        };
        assert!(first_of(PIXEL) >= 2000, "{code}");
        assert_eq!(first_of(FOREIGN) >= 2000, shares, "{code}");
        assert!(first_of(OTHER) < first_of(PIXEL), "{code}");
        // nobody asked while it was throttled
        let asked =
            |batch: &&BatchRecord| batch.at_ms < start + 2000 && batch.pixel.to_string() == PIXEL;
        assert_eq!(ledger.batches.iter().filter(asked).count(), 1, "{code}");
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_used_up_stops_before_graph_says_so() {
    let gateway =
        Gateway::with(|config| config.lanes.throttle_min = "700ms".parse().unwrap()).await;
    let usage = json!({"call_count": 100, "total_time": 3, "total_cputime": 2}).to_string();
    let headers = Headers::from([("x-app-usage".to_owned(), usage)]);
    gateway
        .sandbox
        .add_fault(Action::Headers { headers }.into());
    post(&gateway, PIXEL, vec![purchase("a")]).await;
    gateway.delivered(1).await;
    assert_eq!(stopped(&gateway).await.scope, "app");
    let lane = gateway.running().lanes().snapshot().remove(0);
    assert_eq!((lane.state, lane.reason), ("throttled", Some("throttled")));
    assert!(lane.pace_factor < 0.1, "{lane:?}");
    post(&gateway, PIXEL, vec![purchase("b")]).await;
    gateway.delivered(2).await;
    let ledger = gateway.sandbox.ledger();
    assert!(ledger.batches[1].at_ms >= ledger.batches[0].at_ms + 700);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_while_it_is_held_becomes_a_dead_letter_unsent() {
    let start = Clock::Real.now();
    let clock = Clock::manual(start);
    // at one batch each time that the lane looks, this would take minutes
    let small = |config: &mut capigate::config::Config| config.lanes.max_events = 1;
    let mut gateway = Gateway::with_disk(small, std::sync::Arc::new(RealDisk), clock).await;
    let bad = Action::BadToken { subcode: None };
    gateway.sandbox.add_fault(Fault::from(bad).forever());
    post(&gateway, PIXEL, purchases("old", 100)).await;
    stopped(&gateway).await;
    gateway.clock.set(start.plus(Duration::from_hours(8 * 24)));
    gateway.drained().await;
    assert_eq!(ids(&letters(&gateway)).len(), 100);
    assert_eq!(gateway.sandbox.totals().events_accepted, 0);
    gateway.finish_with_backlog().await;
}

fn message(id: &str) -> Value {
    let mut event = purchase(id);
    event["action_source"] = json!("business_messaging");
    event["messaging_channel"] = json!("whatsapp");
    event["user_data"] = json!({"whatsapp_business_account_id": "1", "ctwa_clid": "c"});
    event.as_object_mut().unwrap().remove("event_source_url");
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_not_sent_twice_where_that_is_asked_for() {
    for (messaging, times, dead) in [
        (Messaging::AtLeastOnce, 2, 0),
        (Messaging::AtMostOnce, 1, 3),
    ] {
        let gateway = Gateway::with(|config| config.lanes.messaging = messaging).await;
        gateway.sandbox.add_fault(Fault::cut_after_accept());
        post(
            &gateway,
            PIXEL,
            (0..3).map(|n| message(&format!("m-{n}"))).collect(),
        )
        .await;
        gateway.drained().await;
        assert_delivered(&gateway, 3, times);
        let letters = letters(&gateway);
        assert_eq!(letters.len(), dead);
        assert!(
            letters
                .iter()
                .all(|letter| letter["reason"] == "unconfirmed")
        );
        // what surely was not taken is sent again, and other events always are
        gateway.sandbox.clear_ledger();
        gateway.sandbox.add_fault(Fault::throttle(80_004));
        post(&gateway, PIXEL, vec![message("n")]).await;
        gateway.drained().await;
        assert_delivered(&gateway, 1, 1);
        gateway.sandbox.clear_ledger();
        gateway.sandbox.add_fault(Fault::cut_after_accept());
        post(&gateway, PIXEL, vec![purchase("p")]).await;
        gateway.drained().await;
        assert_delivered(&gateway, 1, 2);
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_is_not_set_up_for_messages_holds_messages_alone() {
    let gateway = Gateway::start().await;
    let fault = Fault::refuse_event("m", Some(2_804_131));
    gateway.sandbox.add_fault(fault.forever());
    post(&gateway, PIXEL, vec![message("m")]).await;
    let hold = stopped(&gateway).await;
    assert_eq!(hold.id, format!("lane:{PIXEL}:business_messaging"));
    assert_eq!(
        (hold.scope, hold.state, hold.cause),
        ("lane", "held", "configuration")
    );
    assert_eq!(hold.pixels, [pixel(PIXEL)]);
    post(&gateway, PIXEL, purchases("a", 5)).await;
    gateway.delivered(5).await;
    let held = gateway
        .until("the message alone", async |gateway| {
            let holds = gateway.running().lanes().holds();
            (holds.len() == 1 && holds[0].waiting == 1).then_some(holds)
        })
        .await;
    let states: Vec<(&str, &str)> = (gateway.running().lanes().snapshot().iter())
        .map(|lane| (lane.class, lane.state))
        .collect();
    assert_eq!(states, [("rest", "open"), ("business_messaging", "held")]);
    assert_eq!(gateway.metric("capigate_dead_total").await, 0);
    gateway.sandbox.clear_faults();
    assert!(gateway.running().lanes().release(&held[0].id));
    gateway.drained().await;
    assert_delivered(&gateway, 6, 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_noted_wait_and_hold_up_nobody() {
    let gateway = Gateway::with(|config| config.lanes.messaging = Messaging::AtMostOnce).await;
    // in the way of the file that the first intent begins
    let in_the_way = gateway.journal_dir().join("intents.new");
    std::fs::create_dir(&in_the_way).unwrap();
    post(&gateway, PIXEL, vec![message("m")]).await;
    let lane = gateway
        .until("a lane that is held", async |gateway| {
            let lanes = gateway.running().lanes().snapshot();
            lanes.into_iter().find(|lane| lane.state == "held")
        })
        .await;
    assert_eq!(
        (lane.class, lane.reason),
        ("business_messaging", Some("intents"))
    );
    let holds = gateway.running().lanes().holds();
    assert_eq!((holds.len(), holds[0].cause), (1, "intents"));
    post(&gateway, PIXEL, purchases("a", 5)).await;
    gateway.delivered(5).await;
    let states: Vec<(&str, &str)> = (gateway.running().lanes().snapshot().iter())
        .map(|lane| (lane.class, lane.state))
        .collect();
    assert_eq!(states, [("rest", "open"), ("business_messaging", "held")]);
    std::fs::remove_dir(&in_the_way).unwrap();
    gateway.drained().await;
    assert_delivered(&gateway, 6, 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_a_search_loses_nothing() {
    let mut gateway = Gateway::with(|config| {
        config.lanes.rate_per_pixel = "10/s".parse().unwrap();
    })
    .await;
    for id in ["a-3", "a-33", "a-63", "a-93"] {
        gateway.sandbox.add_fault(Fault::refuse_event(id, None));
    }
    post(&gateway, PIXEL, purchases("a", 100)).await;
    gateway
        .until("a search", async |gateway| {
            (gateway.sandbox.ledger().batches.len() >= 14).then_some(())
        })
        .await;
    gateway.books_balance().await;
    gateway.down().await;
    let delivered = gateway.sandbox.ledger().events.len();
    assert!(delivered < 96, "the search was over before the stop");
    gateway.up().await;
    gateway.drained().await;
    assert_delivered(&gateway, 96, 1);
    assert_eq!(ids(&letters(&gateway)).len(), 4);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_outlasts_an_outage_and_gives_way_to_a_hold() {
    let gateway = Gateway::with(unhurried).await;
    gateway.sandbox.add_fault(Fault::refuse_event("a-50", None));
    // the first request is refused, since the fault above comes first; halves meet these
    for fault in [
        Fault::status(503),
        Fault::throttle(80_004),
        Fault::cut(),
        Action::BadToken { subcode: None }.into(),
    ] {
        gateway.sandbox.add_fault(fault);
    }
    post(&gateway, PIXEL, purchases("a", 100)).await;
    gateway.drained().await;
    assert_delivered(&gateway, 99, 1);
    assert_eq!(ids(&letters(&gateway)), BTreeSet::from(["a-50"]));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_dead_letters_the_bad_event_stays_and_its_lane_waits() {
    let mut gateway = Gateway::with(|config| {
        unhurried(config);
        config.journal.dead_max_bytes = "100B".parse().unwrap();
    })
    .await;
    gateway.sandbox.add_fault(Fault::refuse_event("a-5", None));
    post(&gateway, PIXEL, purchases("a", 10)).await;
    let lane = gateway
        .until("a lane that is held", async |gateway| {
            let lanes = gateway.running().lanes().snapshot();
            lanes.into_iter().find(|lane| lane.state == "held")
        })
        .await;
    assert_eq!(lane.reason, Some("dead_letters"));
    // another lane of the pixel is not
    post(&gateway, PIXEL, vec![message("m")]).await;
    gateway
        .until("the good events", async |gateway| {
            (gateway.running().journal().depth().records == 1).then_some(())
        })
        .await;
    assert_delivered(&gateway, 10, 1);
    // it is listed, and tries again when it is told to
    let lanes = gateway.running().lanes().clone();
    let holds = tokio::task::spawn_blocking(move || lanes.holds())
        .await
        .unwrap();
    let hold = holds
        .iter()
        .find(|hold| hold.cause == "dead_letters")
        .unwrap();
    assert_eq!(hold.id, format!("lane:{PIXEL}:rest"));
    assert_eq!((hold.waiting, hold.pixels.len()), (1, 1));
    let asked = gateway.sandbox.totals().batches_refused;
    assert!(gateway.running().lanes().release(&hold.id));
    assert!(!gateway.running().lanes().release("lane:1:rest"));
    gateway
        .until("another try", async |gateway| {
            (gateway.sandbox.totals().batches_refused > asked).then_some(())
        })
        .await;
    gateway.finish_with_backlog().await;
}

fn settings(rate: &str) -> capigate::lanes::Settings {
    let rate = match rate {
        "1/h" => governor::Quota::with_period(Duration::from_hours(1)).unwrap(),
        _ => governor::Quota::per_second(std::num::NonZeroU32::MAX),
    };
    capigate::lanes::Settings {
        linger: Duration::from_millis(20),
        max_events: 1,
        max_bytes: 1_000_000,
        max_in_flight_batches: 4,
        max_in_flight_batches_per_pixel: 2,
        max_bisections_per_pixel: 1,
        rate,
        rate_per_pixel: rate,
        backoff_min: Duration::from_millis(20),
        backoff_max: Duration::from_millis(100),
        throttle_min: Duration::from_hours(1),
        throttle_max: Duration::from_hours(1),
        probe_interval: Duration::from_hours(1),
        messaging_at_most_once: false,
        idle: Duration::from_mins(1),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_hold_at_once() {
    let gateway = Gateway::with(three_pixels).await;
    let lanes = gateway.running().lanes();
    lanes.apply(settings("1/h"));
    post(&gateway, PIXEL, purchases("a", 4)).await;
    gateway.delivered(1).await;
    // the pace lets the next batch go in an hour, or now
    lanes.apply(settings("any"));
    gateway.delivered(4).await;
    // what is held or throttled would be so for an hour
    gateway
        .sandbox
        .add_fault(Action::BadToken { subcode: None }.into());
    post(&gateway, PIXEL, vec![purchase("b")]).await;
    assert_eq!(stopped(&gateway).await.state, "held");
    lanes.apply(settings("any"));
    gateway.delivered(5).await;
    gateway.sandbox.add_fault(Fault::throttle(80_004));
    post(&gateway, PIXEL, vec![purchase("c")]).await;
    assert_eq!(stopped(&gateway).await.state, "throttled");
    lanes.apply(settings("any"));
    assert_eq!(
        lanes.holds().len(),
        1,
        "nothing about throttles has changed"
    );
    let shorter = capigate::lanes::Settings {
        throttle_min: Duration::from_millis(20),
        ..settings("any")
    };
    lanes.apply(shorter);
    gateway.delivered(6).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_may_have_arrived_does_not_expire() {
    let start = Clock::Real.now();
    let at_most_once = |config: &mut capigate::config::Config| {
        config.lanes.messaging = Messaging::AtMostOnce;
        config.shutdown.sends = "50ms".parse().unwrap();
    };
    let clock = Clock::manual(start);
    let disk = std::sync::Arc::new(RealDisk);
    let mut gateway = Gateway::with_disk(at_most_once, disk, clock).await;
    let slow = Action::Slow {
        ms: 60_000,
        accept_first: true,
    };
    gateway.sandbox.add_fault(slow.into());
    post(&gateway, PIXEL, vec![message("m")]).await;
    gateway.delivered(1).await;
    gateway.down().await;
    gateway.clock.set(start.plus(Duration::from_hours(8 * 24)));
    gateway.up().await;
    gateway.drained().await;
    let letters = letters(&gateway);
    assert_eq!(ids(&letters), BTreeSet::from(["m"]));
    assert_eq!(letters[0]["reason"], "unconfirmed");
    assert_delivered(&gateway, 1, 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_flight_when_the_gateway_dies_is_not_sent_again() {
    for (messaging, times, dead) in [
        (Messaging::AtLeastOnce, 2, 0),
        (Messaging::AtMostOnce, 1, 1),
    ] {
        let mut gateway = Gateway::with(|config| {
            config.lanes.messaging = messaging;
            config.shutdown.sends = "50ms".parse().unwrap();
        })
        .await;
        let slow = Action::Slow {
            ms: 60_000,
            accept_first: true,
        };
        gateway.sandbox.add_fault(slow.into());
        post(&gateway, PIXEL, vec![message("m")]).await;
        gateway.delivered(1).await;
        // the answer is still to come; a crash would leave the same on disk
        gateway.down().await;
        gateway.up().await;
        post(&gateway, PIXEL, vec![message("n")]).await;
        gateway.drained().await;
        let ledger = gateway.sandbox.ledger();
        let of = |id: &str| {
            let event = ledger
                .events
                .iter()
                .find(|event| event.event_id.as_deref() == Some(id));
            event.map_or(0, |event| event.times)
        };
        assert_eq!((of("m"), of("n")), (times, 1));
        let letters = letters(&gateway);
        assert_eq!(letters.len(), dead);
        assert!(letters.iter().all(|l| l["reason"] == "unconfirmed"));
        gateway.finish().await;
    }
}
