//! The way out: batches, retries, holds, expiry, and where the token travels.

use std::time::Duration;

use capigate::config::graph::TokenIn;
use capigate::sandbox::{Action, BatchRecord, Fault, Outcome};
use capigate::time::Clock;
use serde_json::json;

use crate::harness::{Gateway, OTHER, PIXEL, purchase, purchases};

fn accepted(batches: &[BatchRecord]) -> Vec<&BatchRecord> {
    batches
        .iter()
        .filter(|batch| matches!(batch.outcome, Outcome::Accepted { .. }))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_batch_goes_at_once_and_no_batch_is_larger() {
    let gateway = Gateway::with(|config| {
        config.lanes.max_events = 10;
        config.lanes.linger = "60s".parse().unwrap();
        config.lanes.rate_per_pixel = "1000/s".parse().unwrap();
    })
    .await;
    // 40 fill four batches; the lingering of a minute is never waited out
    assert_eq!(gateway.post(purchases("a", 40)).await.status, 200);
    gateway.delivered(40).await;
    let ledger = gateway.sandbox.ledger();
    assert_eq!(
        ledger
            .batches
            .iter()
            .map(|batch| batch.size)
            .collect::<Vec<_>>(),
        [10, 10, 10, 10]
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_stays_within_its_bytes() {
    let gateway = Gateway::with(|config| config.lanes.max_bytes = "4KiB".parse().unwrap()).await;
    assert_eq!(gateway.post(purchases("a", 60)).await.status, 200);
    gateway.delivered(60).await;
    let ledger = gateway.sandbox.ledger();
    assert!(ledger.batches.len() > 3, "{} batches", ledger.batches.len());
    assert!(
        ledger.batches.iter().all(|batch| batch.bytes < 5 * 1024),
        "{:?}",
        ledger.batches
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_delays_and_loses_nothing() {
    let gateway = Gateway::start().await;
    for fault in [
        Fault::status(503).times(2),
        Fault {
            edge: None,
            pixel: None,
            times: None,
            action: Action::Html { status: 502 },
        },
        Fault {
            edge: None,
            pixel: None,
            times: None,
            action: Action::Cut {},
        },
        Fault {
            edge: None,
            pixel: None,
            times: None,
            action: Action::WrongJson { accept: false },
        },
        Fault::throttle(4),
        Fault::throttle(80_004),
    ] {
        gateway.sandbox.add_fault(fault);
    }
    assert_eq!(gateway.post(purchases("a", 7)).await.status, 200);
    gateway.delivered(7).await;
    let ledger = gateway.sandbox.ledger();
    assert_eq!(accepted(&ledger.batches).len(), 1);
    assert!(ledger.events.iter().all(|event| event.times == 1));
    assert!(gateway.metric("capigate_graph_errors_total").await >= 4);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_came_is_asked_for_again_under_the_same_ids() {
    let gateway = Gateway::start().await;
    gateway.sandbox.add_fault(Fault {
        edge: None,
        pixel: None,
        times: None,
        action: Action::CutAfterAccept {},
    });
    assert_eq!(gateway.post(purchases("a", 3)).await.status, 200);
    gateway.delivered(6).await;
    let ledger = gateway.sandbox.ledger();
    assert_eq!(
        ledger.totals.events_distinct, 3,
        "the ids changed on the way"
    );
    assert!(ledger.events.iter().all(|event| event.times == 2));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_waits_as_long_as_it_says() {
    let gateway = Gateway::start().await;
    let mut fault = Fault::throttle(4);
    if let Action::Throttle { retry_after, .. } = &mut fault.action {
        *retry_after = Some(1);
    }
    gateway.sandbox.add_fault(fault);
    gateway.post(vec![purchase("a")]).await;
    gateway.delivered(1).await;
    let ledger = gateway.sandbox.ledger();
    let waited = ledger.batches[1].at_ms - ledger.batches[0].at_ms;
    assert!(waited >= 1000, "only {waited} ms");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_lane_probes_with_one_event_and_resumes() {
    let gateway = Gateway::start().await;
    gateway.sandbox.add_fault(Fault {
        edge: None,
        pixel: None,
        times: None,
        action: Action::BadToken { subcode: Some(463) },
    });
    gateway.post(purchases("a", 30)).await;
    gateway.delivered(30).await;
    let ledger = gateway.sandbox.ledger();
    assert_eq!(ledger.batches[0].size, 30);
    assert_eq!(ledger.batches[1].size, 1, "the probe is one event");
    assert_eq!(
        accepted(&ledger.batches)
            .iter()
            .map(|batch| batch.size)
            .sum::<usize>(),
        30
    );
    gateway
        .until("an open lane", async |gateway| {
            (gateway.readyz().await.1["held"] == json!([])).then_some(())
        })
        .await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_received_than_sent_is_counted_and_not_repeated() {
    let gateway = Gateway::start().await;
    gateway.sandbox.add_fault(Fault {
        edge: None,
        pixel: None,
        times: None,
        action: Action::Short { missing: 2 },
    });
    gateway.post(purchases("a", 5)).await;
    gateway.delivered(5).await;
    gateway.drained().await;
    assert_eq!(gateway.metric("capigate_graph_short_total").await, 2);
    assert_eq!(gateway.sandbox.ledger().batches.len(), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_travels_in_header_or_body_and_with_a_proof_where_needed() {
    for (token_in, place) in [(TokenIn::Header, "header"), (TokenIn::Body, "body")] {
        let gateway = Gateway::with(|config| config.graph.token_in = token_in).await;
        gateway.post(vec![purchase("a")]).await;
        // the second pixel's token has an app secret, which the sandbox checks the proof of
        gateway
            .post_body(OTHER, &json!({"data": [purchase("b")]}))
            .await;
        gateway.delivered(2).await;
        let ledger = gateway.sandbox.ledger();
        for (batch, token) in [(0, "first"), (1, "second")] {
            let found = ledger
                .batches
                .iter()
                .find(|batch| batch.token.as_deref() == Some(token));
            assert_eq!(
                found.and_then(|batch| batch.token_place),
                Some(place),
                "batch {batch}"
            );
        }
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_before_it_is_sent_becomes_a_dead_letter() {
    let start = Clock::Real.now();
    let clock = Clock::manual(start);
    let mut gateway = Gateway::with_disk(
        |_| (),
        std::sync::Arc::new(capigate::journal::segment::disk::RealDisk),
        clock,
    )
    .await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    gateway.post(purchases("old", 3)).await;
    gateway
        .until("a failed batch", async |gateway| {
            (!gateway.sandbox.ledger().batches.is_empty()).then_some(())
        })
        .await;
    gateway.clock.set(start.plus(Duration::from_hours(8 * 24)));
    gateway.sandbox.clear_faults();
    gateway.drained().await;
    assert_eq!(
        gateway.metric("capigate_dead_total").await,
        3,
        "{:?}",
        gateway.sandbox.ledger()
    );
    assert_eq!(
        gateway.sandbox.totals().events_accepted,
        0,
        "an expired event was sent"
    );
    let mut fresh = purchase("fresh");
    fresh["event_time"] = json!(gateway.clock.now().secs());
    assert_eq!(gateway.post(vec![fresh]).await.status, 200);
    gateway.delivered(1).await;
    gateway.drained().await;
    let dead: Vec<u8> = crate::support::all_bytes(&gateway.journal_dir().join("dead"))
        .into_iter()
        .flat_map(|(_, bytes)| bytes)
        .collect();
    let dead = String::from_utf8(dead).unwrap();
    for id in ["old-0", "old-1", "old-2"] {
        assert!(
            dead.lines()
                .any(|line| line.contains(id) && line.contains("\"expired\"")),
            "{id} is not among the dead letters"
        );
    }
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sick_pixel_does_not_slow_another() {
    let mut gateway = Gateway::with(|config| {
        config.lanes.max_in_flight_batches = 2;
        config.lanes.max_in_flight_batches_per_pixel = 1;
        config.lanes.max_events = 5;
    })
    .await;
    // every batch of the first pixel hangs for a second; it may take one of the two places only
    let slow = Action::Slow {
        ms: 1000,
        accept_first: false,
    };
    gateway.sandbox.add_fault(
        Fault {
            edge: None,
            pixel: None,
            times: None,
            action: slow,
        }
        .on(PIXEL.parse().unwrap())
        .forever(),
    );
    gateway.post(purchases("sick", 50)).await;
    gateway
        .post_body(OTHER, &json!({"data": purchases("well", 50)}))
        .await;
    gateway
        .until("the healthy pixel's events", async |gateway| {
            let ledger = gateway.sandbox.ledger();
            let well = ledger
                .events
                .iter()
                .filter(|event| {
                    event
                        .event_id
                        .as_ref()
                        .is_some_and(|id| id.starts_with("well"))
                })
                .count();
            (well == 50).then_some(())
        })
        .await;
    // the healthy pixel's ten batches went past nearly all of the sick one's ten slow ones
    let left = gateway.running().journal().depth().records;
    assert!(left >= 25, "only {left} events of the sick pixel were left");
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pace_is_kept() {
    let gateway = Gateway::with(|config| {
        config.lanes.max_events = 1;
        config.lanes.rate_per_pixel = "5/s".parse().unwrap();
    })
    .await;
    gateway.post(purchases("a", 20)).await;
    gateway.delivered(20).await;
    let ledger = gateway.sandbox.ledger();
    let took = ledger.batches.last().unwrap().at_ms - ledger.batches[0].at_ms;
    // 5 at once, then one every 200 ms: 3 s in all, of which a busy machine may hide some
    assert!(took >= 2000, "20 batches in {took} ms");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_lanes_in_probation() {
    let mut gateway = Gateway::with(|config| {
        config.lanes.rate_per_pixel = "1/h".parse().unwrap();
    })
    .await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    gateway.post(purchases("a", 3)).await;
    gateway
        .until("a lane in probation", async |gateway| {
            let lanes = gateway.running().lanes().snapshot();
            lanes
                .iter()
                .any(|lane| lane.state == "probation")
                .then_some(())
        })
        .await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), gateway.finish_with_backlog());
    assert!(
        stopped.await.is_ok(),
        "the stop waited for the pace of an hour"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_of_the_parameter_builder_pass_in_any_case() {
    let gateway = Gateway::start().await;
    let digest = "62A14E44F765419D10FEA99367361A727C12365E2520F32218D505ED9AA0F62F";
    for (n, value) in [
        digest.to_owned(),
        format!("{digest}.AQ"),
        format!("{digest}.AQQCAQIB"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = purchase(&format!("builder-{n}"));
        event["user_data"]["em"] = json!([value]);
        event["user_data"]["lead_id"] = json!("123456789012345678901");
        event.as_object_mut().unwrap().remove("event_source_url");
        assert_eq!(gateway.post(vec![event]).await.status, 200);
    }
    gateway.delivered(3).await;
    gateway.finish().await;
}
