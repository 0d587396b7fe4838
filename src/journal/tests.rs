//! The journal as its users see it, on the real disk.

mod look;
mod urgency;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::event::EncodedEvent;
use crate::pixel::PixelId;

const ALL: LeaseLimits = LeaseLimits {
    max_events: usize::MAX,
    max_bytes: usize::MAX,
};

fn settings(dir: &std::path::Path) -> Settings {
    Settings {
        segment_bytes: 64 << 10,
        settle_sync: Duration::from_millis(5),
        ..Settings::new(dir.join("journal"))
    }
}

fn open(settings: Settings) -> (Journal, Metrics) {
    let metrics = Metrics::new().unwrap();
    let journal = Journal::open(settings, Arc::new(RealDisk), Clock::Real, &metrics).unwrap();
    (journal, metrics)
}

fn lane(pixel: u64) -> LaneKey {
    LaneKey::plain(PixelId::from_u64(pixel).unwrap())
}

fn envelope(lane: &LaneKey, payload: &str) -> Envelope {
    Envelope {
        lane: lane.clone(),
        event: EncodedEvent::from_record(payload.to_owned().into()),
        received_at: UnixMs(1000),
        expires_at: UnixMs(2000),
    }
}

fn payloads(leases: &[Lease]) -> Vec<String> {
    let text = |lease: &Lease| String::from_utf8(lease.event().as_bytes().to_vec()).unwrap();
    leases.iter().map(text).collect()
}

#[tokio::test]
async fn what_is_appended_is_leased_in_order_and_gone_once_settled() {
    let base = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(settings(base.path()));
    let mut changed = journal.changed();
    changed.borrow_and_update();
    let (one, two) = (lane(1), lane(2));
    journal
        .append(vec![
            envelope(&one, "a"),
            envelope(&two, "x"),
            envelope(&one, "b"),
        ])
        .await
        .unwrap();
    changed.changed().await.unwrap();
    assert_eq!(journal.woken(), [one.clone(), two.clone()]);
    assert!(journal.woken().is_empty());
    let waiting = journal.waiting(&one);
    assert_eq!((waiting.records, waiting.bytes), (2, 2));
    assert_eq!(waiting.oldest_received_at, Some(UnixMs(1000)));

    let mut leases = journal.lease(&one, ALL);
    assert_eq!(payloads(&leases), ["a", "b"]);
    assert_eq!(leases[0].received_at(), UnixMs(1000));
    assert_eq!(leases[0].expires_at(), UnixMs(2000));
    assert!(leases[0].seq() < leases[1].seq());
    assert!(journal.lease(&one, ALL).is_empty());
    assert_eq!(journal.depth().leased, 2);

    leases.pop().unwrap().settle(Settlement::Delivered);
    leases.pop().unwrap().settle(Settlement::Returned);
    journal.append(vec![envelope(&one, "c")]).await.unwrap();
    let leases = journal.lease(&one, ALL);
    assert_eq!(payloads(&leases), ["a", "c"]);
    settle_all(leases, Settlement::Dead);
    settle_all(journal.lease(&two, ALL), Settlement::Delivered);
    assert_eq!(journal.depth().records, 0);
    assert!(journal.lanes().is_empty());
    assert_eq!(metrics.journal_records.get(), 0);
    assert_eq!(metrics.journal_bytes.get(), 0);
    journal.close().await;
    journal.close().await;
    assert_eq!(
        journal.append(vec![envelope(&one, "d")]).await,
        Err(AppendError::Stopping)
    );
}

#[tokio::test]
async fn a_restart_finds_what_was_not_settled() {
    let base = tempfile::tempdir().unwrap();
    let options = RequestOptions {
        test_event_code: Some("TEST".to_owned()),
        ..RequestOptions::default()
    };
    let test_lane = LaneKey {
        options: Arc::new(options),
        ..lane(1)
    };
    let (journal, _) = open(settings(base.path()));
    for n in 0..1000 {
        let lane = if n % 10 == 0 { &test_lane } else { &lane(1) };
        let text = format!("{n:0200}");
        journal.append(vec![envelope(lane, &text)]).await.unwrap();
    }
    assert!(journal.depth().segments > 2);
    let limits = LeaseLimits {
        max_events: 300,
        ..ALL
    };
    settle_all(journal.lease(&lane(1), limits), Settlement::Delivered);
    let held = journal.lease(&lane(1), limits);
    journal.close().await;
    drop(held);

    let (journal, metrics) = open(settings(base.path()));
    assert_eq!(metrics.journal_recovered.get(), 700);
    assert_eq!(journal.woken().len(), 2);
    let leases = journal.lease(&lane(1), ALL);
    let expected: Vec<String> = (0..1000)
        .filter(|n| n % 10 != 0)
        .skip(300)
        .map(|n| format!("{n:0200}"))
        .collect();
    assert_eq!(payloads(&leases), expected);
    settle_all(leases, Settlement::Delivered);
    let leases = journal.lease(&test_lane, ALL);
    assert_eq!(leases.len(), 100);
    settle_all(leases, Settlement::Delivered);
    journal.close().await;

    let (journal, metrics) = open(settings(base.path()));
    assert_eq!(journal.depth().records, 0);
    assert_eq!(metrics.journal_corrupt.get(), 0);
    journal.close().await;
}

#[tokio::test]
async fn numbers_are_never_given_again() {
    let base = tempfile::tempdir().unwrap();
    let mut last = 0;
    for life in 0..6 {
        let (journal, _) = open(settings(base.path()));
        // a life that is given nothing, and lives that leave nothing behind
        if life % 3 != 1 {
            journal.append(vec![envelope(&lane(1), "a")]).await.unwrap();
            let leases = journal.lease(&lane(1), ALL);
            assert!(leases[0].seq() > last);
            last = leases[0].seq();
            settle_all(leases, Settlement::Delivered);
        }
        journal.close().await;
    }
}

#[tokio::test]
async fn a_dropped_lease_goes_back_and_is_counted() {
    let base = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(settings(base.path()));
    journal.append(vec![envelope(&lane(1), "a")]).await.unwrap();
    journal.woken();
    drop(journal.lease(&lane(1), ALL));
    assert_eq!(metrics.journal_leases_dropped.get(), 1);
    assert_eq!(journal.woken(), [lane(1)]);
    let leases = journal.lease(&lane(1), ALL);
    assert_eq!(payloads(&leases), ["a"]);
    settle_all(leases, Settlement::Delivered);
    journal.close().await;
}

#[tokio::test]
async fn a_second_journal_does_not_open_the_directory() {
    let base = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(settings(base.path()));
    let again = || {
        let settings = settings(base.path());
        Journal::open(settings, Arc::new(RealDisk), Clock::Real, &metrics)
    };
    assert!(matches!(again(), Err(OpenError::Locked)));
    journal.close().await;
    again().unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_the_one_before_to_finish() {
    let base = tempfile::tempdir().unwrap();
    let (old, metrics) = open(settings(base.path()));
    old.append(vec![envelope(&lane(1), "a")]).await.unwrap();
    let next = |lock_wait| {
        let settings = Settings {
            lock_wait,
            ..settings(base.path())
        };
        let metrics = metrics.clone();
        tokio::task::spawn_blocking(move || {
            Journal::open(settings, Arc::new(RealDisk), Clock::Real, &metrics)
        })
    };
    let short = next(Duration::from_millis(60)).await.unwrap();
    assert!(matches!(short, Err(OpenError::Locked)));

    let waiting = next(Duration::from_mins(5));
    // taken by the old one while the new one waits
    old.append(vec![envelope(&lane(1), "b")]).await.unwrap();
    assert!(!waiting.is_finished());
    old.close().await;
    let new = waiting.await.unwrap().unwrap();
    let leases = new.lease(&lane(1), ALL);
    assert_eq!(payloads(&leases), ["a", "b"]);
    settle_all(leases, Settlement::Delivered);
    new.close().await;
}

#[tokio::test]
async fn lease_limits_hold_and_one_record_always_comes() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(settings(base.path()));
    let lane = lane(1);
    let envelopes = (0..10).map(|n| envelope(&lane, &format!("{n:010}")));
    journal.append(envelopes.collect()).await.unwrap();
    let lease = |max_events, max_bytes| {
        let leases = journal.lease(
            &lane,
            LeaseLimits {
                max_events,
                max_bytes,
            },
        );
        let count = leases.len();
        settle_all(leases, Settlement::Delivered);
        count
    };
    assert_eq!(lease(3, 1000), 3);
    assert_eq!(lease(10, 25), 2);
    assert_eq!(lease(10, 1), 1);
    assert_eq!(lease(10, 40), 4);
    assert_eq!(lease(10, 40), 0);
    journal.close().await;
}

#[tokio::test]
async fn bounds_say_their_names() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(Settings {
        max_lanes: 2,
        max_pending: 1000,
        ..settings(base.path())
    });
    let full = |limit| Err(AppendError::Full(limit));
    let long = "x".repeat(2000);
    assert_eq!(
        journal.append(vec![envelope(&lane(1), &long)]).await,
        full(Limit::MaxPending)
    );
    let three = (1..=3).map(|n| envelope(&lane(n), "a")).collect();
    assert_eq!(journal.append(three).await, full(Limit::MaxLanes));
    assert_eq!(journal.depth().lanes, 0);
    let two = || (1..=2).map(|n| envelope(&lane(n), "a")).collect();
    journal.append(two()).await.unwrap();
    journal.append(two()).await.unwrap();
    assert_eq!(
        journal.append(vec![envelope(&lane(3), "a")]).await,
        full(Limit::MaxLanes)
    );
    settle_all(journal.lease(&lane(2), ALL), Settlement::Delivered);
    journal.append(vec![envelope(&lane(3), "a")]).await.unwrap();
    journal.close().await;
}

#[tokio::test]
async fn one_pixels_options_cannot_take_all_lanes() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(Settings {
        max_lanes: 10,
        max_lanes_per_pixel: 2,
        ..settings(base.path())
    });
    let coded = |code: &str| LaneKey {
        options: Arc::new(RequestOptions {
            test_event_code: Some(code.to_owned()),
            ..RequestOptions::default()
        }),
        ..lane(1)
    };
    for code in ["A", "B"] {
        let event = envelope(&coded(code), "a");
        journal.append(vec![event]).await.unwrap();
    }
    assert_eq!(
        journal.append(vec![envelope(&coded("C"), "a")]).await,
        Err(AppendError::Full(Limit::MaxLanesPerPixel))
    );
    journal.append(vec![envelope(&lane(2), "a")]).await.unwrap();
    settle_all(journal.lease(&coded("A"), ALL), Settlement::Delivered);
    journal
        .append(vec![envelope(&coded("C"), "a")])
        .await
        .unwrap();
    journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_commits_and_none_is_lost() {
    let base = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(settings(base.path()));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..50u64 {
        let journal = journal.clone();
        tasks.spawn(async move {
            for n in 0..20 {
                let text = format!("{task}-{n}-{:0400}", 0);
                let envelopes = vec![envelope(&lane(task % 5 + 1), &text)];
                journal.append(envelopes).await.unwrap();
            }
        });
    }
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 1000 {
        for n in 1..=5 {
            let leases = journal.lease(&lane(n), ALL);
            assert!(leases.is_sorted_by_key(Lease::seq));
            for text in payloads(&leases) {
                assert!(seen.insert(text), "an event came twice");
            }
            settle_all(leases, Settlement::Delivered);
        }
        tokio::task::yield_now().await;
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(journal.depth().records, 0);
    assert!(metrics.journal_commits.get() <= 1000);
    journal.close().await;
    let (journal, metrics) = open(settings(base.path()));
    assert_eq!(metrics.journal_recovered.get(), 0);
    journal.close().await;
}

#[tokio::test]
async fn a_call_of_many_megabytes_takes_several_commits() {
    let base = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(Settings {
        segment_bytes: 2 << 20,
        ..settings(base.path())
    });
    let text = "y".repeat(100_000);
    let envelopes = (0..50).map(|_| envelope(&lane(1), &text)).collect();
    journal.append(envelopes).await.unwrap();
    assert!(metrics.journal_commits.get() >= 5);
    let leases = journal.lease(&lane(1), ALL);
    assert_eq!(leases.len(), 50);
    assert!(payloads(&leases).iter().all(|found| *found == text));
    settle_all(leases, Settlement::Delivered);
    journal.close().await;
}

#[tokio::test]
async fn a_call_that_does_not_fit_leaves_nothing_behind() {
    let base = tempfile::tempdir().unwrap();
    let small = || Settings {
        max_bytes: 4 * (64 << 10),
        ..settings(base.path())
    };
    let (journal, _) = open(small());
    let text = "y".repeat(1000);
    let call = |records| (0..records).map(|_| envelope(&lane(1), &text)).collect();
    journal.append(call(100)).await.unwrap();
    assert_eq!(
        journal.append(call(190)).await,
        Err(AppendError::Full(Limit::MaxBytes))
    );
    assert_eq!(journal.depth().records, 100);
    journal.append(call(70)).await.unwrap();
    assert_eq!(journal.depth().records, 170);
    journal.close().await;
    let (journal, metrics) = open(small());
    assert_eq!(metrics.journal_recovered.get(), 170);
    journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_lane_is_moved_out_of_the_way_while_others_flow() {
    let base = tempfile::tempdir().unwrap();
    let metrics = Metrics::new().unwrap();
    let clock = Clock::manual(UnixMs(0));
    let open = || {
        let settings = settings(base.path());
        Journal::open(settings, Arc::new(RealDisk), clock.clone(), &metrics).unwrap()
    };
    let journal = open();
    let (held, busy) = (lane(1), lane(2));
    let mut kept = Vec::new();
    let mut leased = Vec::new();
    let filler = "z".repeat(500);
    for n in 0.. {
        if n % 50 == 0 {
            kept.push(format!("held {n}"));
            let text = kept.last().unwrap();
            journal.append(vec![envelope(&held, text)]).await.unwrap();
            if n == 100 {
                leased = journal.lease(&held, ALL);
            }
        }
        let envelopes = (0..10).map(|_| envelope(&busy, &filler)).collect();
        journal.append(envelopes).await.unwrap();
        settle_all(journal.lease(&busy, ALL), Settlement::Delivered);
        clock.set(clock.now().plus(Duration::from_secs(1)));
        assert!(n < 20_000, "nothing is ever moved");
        if n > 300 && metrics.journal_evacuated.get() > 20 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(payloads(&leased), kept[..leased.len()]);
    assert_eq!(leased.len(), 3);
    settle_all(leased, Settlement::Delivered);
    let leases = journal.lease(&held, ALL);
    assert_eq!(payloads(&leases), kept[3..]);
    settle_all(leases, Settlement::Returned);
    journal.close().await;
    let journal = open();
    let leases = journal.lease(&held, ALL);
    assert_eq!(payloads(&leases), kept[3..]);
    settle_all(leases, Settlement::Delivered);
    assert_eq!(journal.depth().records, 0);
    journal.close().await;
    assert_eq!(metrics.journal_corrupt.get(), 0);
}

#[tokio::test]
async fn appends_that_come_together_are_one_commit() {
    let base = tempfile::tempdir().unwrap();
    let (journal, metrics) = open(settings(base.path()));
    let mut appends = tokio::task::JoinSet::new();
    for n in 0..20 {
        let journal = journal.clone();
        appends.spawn(async move { journal.append(vec![envelope(&lane(n + 1), "x")]).await });
    }
    assert_eq!(appends.join_all().await, vec![Ok(()); 20]);
    // one, unless this thread was kept from its processor for a millisecond
    assert!(metrics.journal_commits.get() < 10);
    journal.close().await;
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_still_calls_the_writer() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(settings(base.path()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut first = Box::pin(journal.append(vec![envelope(&lane(1), "first")]));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let mut second = Box::pin(journal.append(vec![envelope(&lane(1), "second")]));
    assert!(second.as_mut().poll(&mut context).is_pending());
    drop(first);
    assert_eq!(second.await, Ok(()));
    settle_all(journal.lease(&lane(1), ALL), Settlement::Delivered);
    journal.close().await;
}

#[tokio::test]
async fn an_append_that_is_kept_from_calling_holds_up_no_other() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(settings(base.path()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    // to a writer that has just written, and to one that has gone to sleep
    for pause in [0, 0, 30, 0, 30] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let mut kept = Box::pin(journal.append(vec![envelope(&lane(1), "kept")]));
        assert!(kept.as_mut().poll(&mut context).is_pending());
        let last = journal.append(vec![envelope(&lane(1), "last")]);
        let last = tokio::time::timeout(Duration::from_secs(10), last).await;
        assert_eq!(last, Ok(Ok(())));
        assert_eq!(kept.await, Ok(()));
        let leases = journal.lease(&lane(1), ALL);
        assert_eq!(payloads(&leases), ["kept", "last"]);
        settle_all(leases, Settlement::Delivered);
    }
    journal.close().await;
}
