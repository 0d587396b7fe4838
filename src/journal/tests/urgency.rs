//! What goes first: across leases, restarts and evacuation.

use super::*;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn weighed(dir: &std::path::Path) -> Settings {
    Settings {
        weights: [("Purchase", 10), ("Lead", 3)].into_iter().collect(),
        ..settings(dir)
    }
}

fn open_at(settings: Settings, clock: &Clock) -> (Journal, Metrics) {
    let metrics = Metrics::new().unwrap();
    let journal = Journal::open(settings, Arc::new(RealDisk), clock.clone(), &metrics).unwrap();
    (journal, metrics)
}

/// An event that came `age` ago and has `left` to go, in seconds.
fn event(clock: &Clock, name: &str, id: &str, age: u64, left: u64) -> Envelope {
    let json = format!(
        r#"{{"event_name":"{name}","event_time":1,"event_id":"{id}","action_source":"website"}}"#
    );
    let now = clock.now();
    Envelope {
        received_at: UnixMs(now.0 - age as i64 * 1000),
        expires_at: now.plus(Duration::from_secs(left)),
        ..envelope(&lane(1), &json)
    }
}

fn id_of(lease: &Lease) -> String {
    lease.event().head().event_id.unwrap().into_owned()
}

/// Leases one after the other and settles each as delivered.
fn one_by_one(journal: &Journal) -> Vec<String> {
    let one = LeaseLimits {
        max_events: 1,
        ..ALL
    };
    let mut ids = Vec::new();
    while let Some(lease) = journal.lease(&lane(1), one).pop() {
        ids.push(id_of(&lease));
        lease.settle(Settlement::Delivered);
    }
    ids
}

/// In the order of arrival.
fn some(clock: &Clock) -> Vec<Envelope> {
    vec![
        event(clock, "PageView", "view-6d", 0, 6 * DAY),
        event(clock, "Purchase", "buy-5d", 0, 5 * DAY),
        event(clock, "PageView", "view-2h", 0, 2 * HOUR),
        event(clock, "Purchase", "buy-6d", 0, 6 * DAY),
        event(clock, "Lead", "lead-2d", 0, 2 * DAY),
        event(clock, "PageView", "store-60d", 0, 60 * DAY),
        event(clock, "Purchase", "lapsed", 12 * HOUR, 0),
    ]
}

const TURNS: [&str; 7] = [
    "lapsed",
    "view-2h",
    "buy-5d",
    "buy-6d",
    "lead-2d",
    "view-6d",
    "store-60d",
];

#[tokio::test]
async fn what_expires_first_goes_first_and_a_purchase_counts_tenfold() {
    let base = tempfile::tempdir().unwrap();
    let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
    let (journal, _) = open_at(weighed(base.path()), &clock);
    journal.append(some(&clock)).await.unwrap();
    assert_eq!(one_by_one(&journal), TURNS);

    // a batch holds the most urgent, in the order of their arrival
    journal.append(some(&clock)).await.unwrap();
    let limits = LeaseLimits {
        max_events: 4,
        ..ALL
    };
    let leases = journal.lease(&lane(1), limits);
    let ids: Vec<String> = leases.iter().map(id_of).collect();
    assert_eq!(ids, ["buy-5d", "view-2h", "buy-6d", "lapsed"]);
    // returned ones have their old turn
    settle_all(leases, Settlement::Returned);
    assert_eq!(one_by_one(&journal), TURNS);
    journal.close().await;
}

#[tokio::test]
async fn time_that_passes_changes_the_turn() {
    let base = tempfile::tempdir().unwrap();
    let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
    let (journal, _) = open_at(weighed(base.path()), &clock);
    let both = vec![
        event(&clock, "PageView", "view", 0, 2 * DAY),
        event(&clock, "Purchase", "buy", 0, 5 * DAY),
    ];
    journal.append(both.clone()).await.unwrap();
    assert_eq!(one_by_one(&journal), ["buy", "view"]);
    journal.append(both).await.unwrap();
    clock.set(clock.now().plus(Duration::from_secs(DAY + 18 * HOUR)));
    assert_eq!(one_by_one(&journal), ["view", "buy"]);
    journal.close().await;
}

#[tokio::test]
async fn the_order_is_the_same_after_a_restart_and_new_weights_hold() {
    let base = tempfile::tempdir().unwrap();
    let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
    let (journal, _) = open_at(weighed(base.path()), &clock);
    journal.append(some(&clock)).await.unwrap();
    let held = journal.lease(
        &lane(1),
        LeaseLimits {
            max_events: 3,
            ..ALL
        },
    );
    journal.close().await;
    drop(held);
    let (journal, _) = open_at(weighed(base.path()), &clock);
    assert_eq!(one_by_one(&journal), TURNS);
    journal.append(some(&clock)).await.unwrap();
    journal.close().await;

    let settings = Settings {
        weights: [("Lead", 100)].into_iter().collect(),
        ..weighed(base.path())
    };
    let (journal, _) = open_at(settings, &clock);
    assert_eq!(
        one_by_one(&journal),
        [
            "lapsed",
            "lead-2d",
            "view-2h",
            "view-6d",
            "buy-5d",
            "buy-6d",
            "store-60d"
        ]
    );
    journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_and_the_numbers_are_the_same_after_evacuation() {
    let base = tempfile::tempdir().unwrap();
    let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
    let (journal, metrics) = open_at(weighed(base.path()), &clock);
    journal.append(some(&clock)).await.unwrap();
    let numbers = |leases: &[Lease]| -> Vec<(u64, String)> {
        leases.iter().map(|l| (l.seq(), id_of(l))).collect()
    };
    let leases = journal.lease(&lane(1), ALL);
    let before = numbers(&leases);
    settle_all(leases, Settlement::Returned);
    let busy = lane(2);
    let filler = "z".repeat(500);
    for n in 0.. {
        let envelopes = (0..20).map(|_| envelope(&busy, &filler)).collect();
        journal.append(envelopes).await.unwrap();
        settle_all(journal.lease(&busy, ALL), Settlement::Delivered);
        clock.set(clock.now().plus(Duration::from_millis(100)));
        assert!(n < 20_000, "nothing is ever moved");
        if metrics.journal_evacuated.get() >= 7 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let leases = journal.lease(&lane(1), ALL);
    assert_eq!(numbers(&leases), before);
    settle_all(leases, Settlement::Returned);
    journal.close().await;
    let (journal, _) = open_at(weighed(base.path()), &clock);
    let leases = journal.lease(&lane(1), ALL);
    assert_eq!(numbers(&leases), before);
    settle_all(leases, Settlement::Returned);
    assert_eq!(one_by_one(&journal), TURNS);
    journal.close().await;
}

#[tokio::test]
async fn the_next_expiry_is_that_of_the_first_of_a_tier() {
    let base = tempfile::tempdir().unwrap();
    let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
    let (journal, _) = open_at(weighed(base.path()), &clock);
    assert_eq!(journal.next_expiry(&lane(1)), None);
    let start = clock.now();
    let after = |seconds| Some(start.plus(Duration::from_secs(seconds)));
    let three = vec![
        event(&clock, "PageView", "a", 0, 6 * DAY),
        event(&clock, "Purchase", "b", 0, 5 * DAY),
        // behind the first of its tier, which has more time
        event(&clock, "Purchase", "c", 0, 4 * DAY),
    ];
    journal.append(three).await.unwrap();
    assert_eq!(journal.next_expiry(&lane(1)), after(5 * DAY));
    let one = LeaseLimits {
        max_events: 1,
        ..ALL
    };
    let first = journal.lease(&lane(1), one);
    assert_eq!(journal.next_expiry(&lane(1)), after(4 * DAY));
    let second = journal.lease(&lane(1), one);
    assert_eq!(journal.next_expiry(&lane(1)), after(6 * DAY));
    settle_all(first, Settlement::Returned);
    assert_eq!(journal.next_expiry(&lane(1)), after(5 * DAY));
    settle_all(second, Settlement::Returned);
    settle_all(journal.lease(&lane(1), ALL), Settlement::Delivered);
    assert_eq!(journal.next_expiry(&lane(1)), None);
    journal.close().await;
}
