//! Looking at what waits while it moves.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::*;
use crate::event::Changes;

fn event(lane: &LaneKey, id: &str) -> Envelope {
    let json = format!(
        r#"{{"event_name":"Lead","event_time":1,"event_id":{},"action_source":"website","x":"{:0300}"}}"#,
        serde_json::to_string(id).unwrap(),
        0
    );
    envelope(lane, &json)
}

fn id_of(event: &[u8]) -> String {
    let head = EncodedEvent::head_of(event);
    head.event_id.map(std::borrow::Cow::into_owned).unwrap()
}

/// Every event by its number: its id and whether it is leased. No event may come twice.
fn all(journal: &Journal, lanes: &[LaneKey]) -> BTreeMap<u64, (String, bool)> {
    let mut found = BTreeMap::new();
    let wanted = |lane: &LaneKey| lanes.contains(lane);
    journal
        .walk(&wanted, &mut |one| {
            assert!(lanes.contains(one.lane));
            assert_eq!(one.received_at, UnixMs(1000));
            assert_eq!(one.expires_at, UnixMs(2000));
            let known = found.insert(one.seq, (id_of(one.event), one.leased));
            assert!(known.is_none(), "event {} came twice", one.seq);
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[tokio::test]
async fn a_walk_shows_what_waits_and_what_is_leased_and_nothing_else() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(settings(base.path()));
    let (one, two) = (lane(1), lane(2));
    assert!(all(&journal, std::slice::from_ref(&one)).is_empty());
    for n in 0..100 {
        let events = (0..10).map(|i| event(if i < 7 { &one } else { &two }, &format!("{n}-{i}")));
        journal.append(events.collect()).await.unwrap();
    }
    assert!(journal.depth().segments > 3);
    let limits = |max_events| LeaseLimits { max_events, ..ALL };
    let settled = journal.lease(&one, limits(150));
    let gone: BTreeSet<u64> = settled.iter().map(Lease::seq).collect();
    settle_all(settled, Settlement::Delivered);
    let held = journal.lease(&one, limits(100));
    let leased: BTreeSet<u64> = held.iter().map(Lease::seq).collect();

    let found = all(&journal, std::slice::from_ref(&one));
    assert_eq!(found.len(), 700 - 150);
    for (seq, (_, is_leased)) in &found {
        assert!(!gone.contains(seq));
        assert_eq!(*is_leased, leased.contains(seq));
    }
    let both = all(&journal, &[one.clone(), two.clone()]);
    assert_eq!(both.len(), 1000 - 150);
    assert!(all(&journal, &[lane(3)]).is_empty());

    let mut seen = 0;
    let stop = journal.walk(&|_| true, &mut |_| {
        seen += 1;
        if seen == 5 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    stop.unwrap();
    assert_eq!(seen, 5);
    settle_all(held, Settlement::Returned);
    journal.close().await;

    let (journal, _) = open(settings(base.path()));
    let again = all(&journal, &[one.clone(), two]);
    assert_eq!(
        again.keys().collect::<Vec<_>>(),
        both.keys().collect::<Vec<_>>()
    );
    journal.close().await;
}

#[tokio::test]
async fn an_event_is_found_by_its_id() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(settings(base.path()));
    let odd = "a\"b\\c\u{1}ü";
    for id in ["order-1", "order-11", odd, "order-1"] {
        journal.append(vec![event(&lane(1), id)]).await.unwrap();
    }
    // the same text in another place is not the id
    let text = r#"{"event_name":"Lead","event_time":1,"event_id":"x","action_source":"app","y":{"event_id":"order-1"}}"#;
    journal
        .append(vec![envelope(&lane(1), text)])
        .await
        .unwrap();

    let found = journal.find("order-1", 10).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].event_name, "Lead");
    assert_eq!(found[0].lane, lane(1));
    assert!(!found[0].leased && found[0].seq < found[1].seq);
    assert_eq!(journal.find("order-1", 1).unwrap(), found[..1]);
    assert!(journal.find("order-1", 0).unwrap().is_empty());
    assert_eq!(journal.find(odd, 10).unwrap().len(), 1);
    assert!(journal.find("order", 10).unwrap().is_empty());

    let first = LeaseLimits {
        max_events: 1,
        ..ALL
    };
    let leases = journal.lease(&lane(1), first);
    assert!(journal.find("order-1", 1).unwrap()[0].leased);
    settle_all(leases, Settlement::Delivered);
    assert_eq!(journal.find("order-1", 10).unwrap(), found[1..]);
    journal.close().await;
}

#[tokio::test]
async fn large_commits_are_walked_too() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(Settings {
        segment_bytes: 16 << 20,
        ..settings(base.path())
    });
    let text = "y".repeat(3 << 20);
    let events = [10, 100_000, 3 << 20, 50, 900_000, 3 << 20, 7];
    for len in events {
        let event = envelope(&lane(1), &text[..len]);
        journal.append(vec![event]).await.unwrap();
    }
    let mut seen = Vec::new();
    let walked = journal.walk(&|_| true, &mut |one| {
        seen.push(one.event.len());
        ControlFlow::Continue(())
    });
    walked.unwrap();
    assert_eq!(seen, events);
    journal.close().await;
}

/// One lane is held and is moved out of the way again and again, another flows, and a third grows
/// all the while: a walk sees all of the first, whatever it meets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_misses_nothing_that_stays_while_all_else_moves() {
    let base = tempfile::tempdir().unwrap();
    let clock = Clock::manual(UnixMs(0));
    let metrics = Metrics::new().unwrap();
    let journal = Journal::open(
        settings(base.path()),
        Arc::new(RealDisk),
        clock.clone(),
        &metrics,
    )
    .unwrap();
    let (held, busy) = (lane(1), lane(2));
    let filler = "z".repeat(600);
    let mut kept = BTreeSet::new();
    let feed = async |count: usize| {
        let envelopes = (0..count).map(|_| envelope(&busy, &filler)).collect();
        journal.append(envelopes).await.unwrap();
        settle_all(journal.lease(&busy, ALL), Settlement::Delivered);
        clock.set(clock.now().plus(Duration::from_secs(1)));
    };
    for n in 0..60 {
        let id = format!("held-{n}");
        journal.append(vec![event(&held, &id)]).await.unwrap();
        kept.insert(id);
        feed(20).await;
    }
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let walker = {
        let (journal, stop, held) = (journal.clone(), stop.clone(), held.clone());
        tokio::task::spawn_blocking(move || {
            let mut walks: Vec<BTreeMap<u64, String>> = Vec::new();
            while !stop.load(std::sync::atomic::Ordering::SeqCst) || walks.is_empty() {
                let mut seen = BTreeMap::new();
                let walked = journal.walk(&|lane| *lane == held, &mut |one| {
                    // twice, if it was moved meanwhile, but always under its number
                    let id = id_of(one.event);
                    let known = seen.insert(one.seq, id.clone());
                    assert!(known.is_none_or(|known| known == id));
                    std::thread::yield_now();
                    ControlFlow::Continue(())
                });
                walked.unwrap();
                walks.push(seen);
            }
            walks
        })
    };
    let before = metrics.journal_evacuated.get();
    for n in 0.. {
        feed(20).await;
        assert!(n < 20_000, "nothing is ever moved");
        if n > 300 && metrics.journal_evacuated.get() > before + 60 {
            break;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for seen in walker.await.unwrap() {
        let ids: BTreeSet<String> = seen.into_values().collect();
        assert_eq!(ids, kept);
    }
    journal.close().await;
}

#[tokio::test]
async fn what_became_of_its_fields_goes_with_an_event() {
    let base = tempfile::tempdir().unwrap();
    let (journal, _) = open(settings(base.path()));
    let options = crate::journal::RequestOptions {
        test_event_code: Some("TEST1".to_owned()),
        ..Default::default()
    };
    let coded = LaneKey {
        options: options.into(),
        ..lane(1)
    };
    let known = |lane: &LaneKey, id: &str, changes: &str| {
        let mut one = event(lane, id);
        let changes = Changes::of_record(changes.as_bytes());
        one.event = one.event.with_changes(changes);
        one
    };
    for lane in [lane(1), coded.clone()] {
        let some = ["", "n1h7", "h1"].map(|changes| known(&lane, changes, changes));
        journal.append(some.to_vec()).await.unwrap();
    }
    journal.close().await;
    drop(journal);
    let (journal, _) = open(settings(base.path()));
    // they are no part of what makes a lane
    assert_eq!(journal.lanes().len(), 2);
    let found = journal.find("n1h7", 9).unwrap();
    assert_eq!(found.len(), 2);
    for one in found {
        assert_eq!(one.event.changes().as_str(), "n1h7");
    }
    for lane in [lane(1), coded] {
        let leases = journal.lease(&lane, ALL);
        assert_eq!(leases.len(), 3);
        for lease in &leases {
            let event = lease.event();
            assert_eq!(event.changes().as_str(), id_of(event.as_bytes()));
        }
        settle_all(leases, Settlement::Delivered);
    }
}
