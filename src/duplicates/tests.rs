#![expect(clippy::disallowed_methods, reason = "tests damage files as they like")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;
use crate::journal::segment::disk::RealDisk;

const HOUR: Duration = Duration::from_hours(1);
const WINDOW: Duration = Duration::from_hours(48);

fn pixel() -> PixelId {
    PixelId::from_u64(7).unwrap()
}

fn lane(class: Class) -> LaneKey {
    LaneKey {
        class,
        ..LaneKey::plain(pixel())
    }
}

fn envelope(json: &str) -> Envelope {
    let event = EncodedEvent::from_record(json.to_owned().into());
    Envelope {
        lane: crate::journal::LaneKey::of(pixel(), Arc::default(), &event),
        event,
        received_at: UnixMs(1),
        expires_at: UnixMs(2),
    }
}

fn messaging(id: &str) -> Envelope {
    named("Purchase", id, "business_messaging")
}

fn named(name: &str, id: &str, source: &str) -> Envelope {
    envelope(&format!(
        r#"{{"event_name":"{name}","event_time":1,"event_id":"{id}","action_source":"{source}"}}"#
    ))
}

/// A gateway's window, and what it takes to open it again.
struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    metrics: Metrics,
    covers: Covers,
    max_entries: usize,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Clock::manual(UnixMs::from_secs(1_000_000)),
            metrics: Metrics::new().unwrap(),
            covers: Covers::Messaging,
            max_entries: 1000,
        }
    }

    fn open(&self) -> Duplicates {
        let settings = Settings {
            dir: self.path(),
            window: WINDOW,
            covers: self.covers,
            max_entries: self.max_entries,
        };
        let (disk, clock) = (Arc::new(RealDisk), self.clock.clone());
        Duplicates::open(settings, disk, clock, &self.metrics)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("duplicates")
    }

    fn sleep(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    fn files(&self) -> Vec<PathBuf> {
        let names = RealDisk.list(&self.path()).unwrap_or_default();
        let mut files: Vec<_> = names.iter().map(|name| self.path().join(name)).collect();
        files.sort();
        files
    }
}

/// What a call is told, as letters: `a`ppend, `d`uplicate, `w`ait.
fn letters(turns: &[Turn]) -> String {
    let letter = |turn: &Turn| match turn {
        Turn::Append => 'a',
        Turn::Duplicate => 'd',
        Turn::Wait(_) => 'w',
    };
    turns.iter().map(letter).collect()
}

/// Claims and keeps, as if the append had succeeded.
fn accept(duplicates: &Duplicates, envelopes: &[Envelope]) -> String {
    let (turns, claims) = duplicates.claim(envelopes.iter());
    claims.keep();
    letters(&turns)
}

fn deliver(duplicates: &Duplicates, envelopes: &[Envelope]) {
    let events = envelopes.iter().map(|one| &one.event);
    duplicates.delivered(&lane(Class::BusinessMessaging), events);
}

#[test]
fn a_copy_with_a_test_code_is_another_event_unless_meta_would_count_both() {
    let mut bench = Bench::new();
    bench.covers = Covers::All;
    let with = |mut one: Envelope, code: &str| {
        one.lane.options = Arc::new(crate::journal::RequestOptions {
            test_event_code: Some(code.to_owned()),
            ..crate::journal::RequestOptions::default()
        });
        one
    };
    let web = || named("Lead", "a", "website");
    let duplicates = bench.open();
    let call = [
        web(),
        with(web(), "T1"),
        with(web(), "T1"),
        with(web(), "T2"),
    ];
    assert_eq!(accept(&duplicates, &call), "aada");
    // the death of a copy lets the copy come again, and not its event
    let copy = with(web(), "T1");
    duplicates.forget(&copy.lane, std::iter::once(&copy.event));
    assert_eq!(accept(&duplicates, &call), "dadd");
    let call = [messaging("m"), with(messaging("m"), "T1")];
    assert_eq!(accept(&duplicates, &call), "ad");
}

#[test]
fn the_same_pixel_name_and_id_is_a_duplicate() {
    let bench = Bench::new();
    let duplicates = bench.open();
    let call = [
        messaging("a"),
        messaging("b"),
        messaging("a"),
        named("Lead", "a", "business_messaging"),
        // a longer name and a shorter id are not the same text
        named("Purchasea", "", "business_messaging"),
    ];
    assert_eq!(accept(&duplicates, &call), "aadaa");
    assert_eq!(accept(&duplicates, &call), "ddddd");
    let mut other = messaging("a");
    other.lane.pixel = PixelId::from_u64(8).unwrap();
    assert_eq!(accept(&duplicates, &[other]), "a");
    assert_eq!(bench.metrics.duplicates_entries.get(), 5);
    assert_eq!(locked(&duplicates.0.seen).pending(), 0);
}

#[test]
fn only_what_is_covered_is_held_to_it() {
    let mut bench = Bench::new();
    let without_id =
        envelope(r#"{"event_name":"Lead","event_time":1,"action_source":"business_messaging"}"#);
    let call = [
        named("Lead", "a", "website"),
        named("Lead", "a", "app"),
        named("Lead", "a", "physical_store"),
        named("Lead", "a", "business_messaging"),
        without_id,
    ];
    let duplicates = bench.open();
    assert_eq!(accept(&duplicates, &call), "aaaaa");
    assert_eq!(accept(&duplicates, &call), "aaada");
    bench.covers = Covers::All;
    let duplicates = bench.open();
    assert_eq!(accept(&duplicates, &call), "addda");
    assert_eq!(accept(&duplicates, &call), "dddda");
}

#[test]
fn the_window_ends_and_begins_anew_with_the_delivery() {
    let bench = Bench::new();
    let duplicates = bench.open();
    let (one, two) = ([messaging("1")], [messaging("2")]);
    accept(&duplicates, &one);
    accept(&duplicates, &two);
    bench.sleep(40 * HOUR);
    deliver(&duplicates, &two);
    bench.sleep(Duration::from_millis(8 * 3_600_000 - 1));
    assert_eq!(accept(&duplicates, &one), "d");
    bench.sleep(6 * HOUR + Duration::from_millis(1));
    assert_eq!(accept(&duplicates, &one), "a", "an eighth later at most");
    assert_eq!(accept(&duplicates, &two), "d");
    bench.sleep(54 * HOUR);
    assert_eq!(accept(&duplicates, &two), "a");
}

#[test]
fn a_failed_append_lets_the_next_one_through() {
    let bench = Bench::new();
    let duplicates = bench.open();
    let call = [messaging("a"), messaging("b")];
    let (turns, claims) = duplicates.claim(call.iter());
    assert_eq!(letters(&turns), "aa");
    let (turns, others) = duplicates.claim([messaging("c"), messaging("b")].iter());
    assert_eq!(letters(&turns), "aw");
    others.keep();
    drop(claims);
    assert_eq!(accept(&duplicates, &[messaging("c")]), "d");
    assert_eq!(accept(&duplicates, &call), "aa");
}

#[test]
fn the_dead_may_come_again() {
    let bench = Bench::new();
    let duplicates = bench.open();
    let call = [messaging("a"), messaging("b")];
    let forget = |at: usize| {
        let events = call.get(at).map(|one| &one.event);
        duplicates.forget(&lane(Class::BusinessMessaging), events.into_iter());
    };
    accept(&duplicates, &call);
    forget(0);
    assert_eq!(accept(&duplicates, &call), "ad");
    // dead before the front door has heard that it is durable
    forget(0);
    let (_, claims) = duplicates.claim(call.iter());
    forget(0);
    claims.keep();
    assert_eq!(accept(&duplicates, &call), "ad");
    // classes that are not covered are none of its business
    let events = call.iter().map(|one| &one.event);
    duplicates.forget(&lane(Class::Rest), events.clone());
    duplicates.delivered(&lane(Class::Rest), events);
    assert_eq!(accept(&duplicates, &call), "dd");
    assert!(bench.files().is_empty());
}

#[test]
fn memory_is_bounded_and_the_oldest_leave_first() {
    let bench = Bench::new();
    let duplicates = bench.open();
    for n in 0..5000 {
        assert_eq!(accept(&duplicates, &[messaging(&n.to_string())]), "a");
        assert!(locked(&duplicates.0.seen).window().len() <= 1000);
    }
    let kept = bench.metrics.duplicates_entries.get();
    assert!((875..=1000).contains(&kept), "{kept}");
    let forgotten = bench.metrics.duplicates_forgotten.get();
    assert_eq!(forgotten as i64 + kept, 5000);
    let kept = usize::try_from(kept).unwrap();
    for n in 5000 - kept..5000 {
        assert_eq!(accept(&duplicates, &[messaging(&n.to_string())]), "d");
    }
}

#[test]
fn a_restart_remembers_what_was_delivered_and_what_waits() {
    let bench = Bench::new();
    let duplicates = bench.open();
    let events = ["delivered", "waiting", "dead", "old"].map(messaging);
    accept(&duplicates, &events);
    deliver(&duplicates, &events[..1]);
    drop(duplicates);

    // no close: whatever was answered is on disk
    let duplicates = bench.open();
    let remember = |at: usize, received_at| {
        let json = events[at].event.as_bytes();
        duplicates.remember(&lane(Class::BusinessMessaging), json, received_at);
    };
    remember(1, bench.clock.now());
    remember(3, UnixMs(bench.clock.now().0 - WINDOW.as_millis() as i64));
    let other = named("Lead", "a", "website").event;
    duplicates.remember(&lane(Class::Rest), other.as_bytes(), bench.clock.now());
    assert_eq!(bench.metrics.duplicates_entries.get(), 2);
    assert_eq!(accept(&duplicates, &events), "ddaa");
}

#[test]
fn a_torn_log_is_read_up_to_the_tear_and_left_alone() {
    let bench = Bench::new();
    let duplicates = bench.open();
    let events = ["a", "b", "c"].map(messaging);
    deliver(&duplicates, &events[..2]);
    deliver(&duplicates, &events[2..]);
    drop(duplicates);
    let path = bench.files().remove(0);
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(whole.len(), 16 + 2 * 16 + 16 + 16);
    for (len, expected) in [
        (80, "ddd"),
        (79, "dda"),
        (49, "dda"),
        (48, "dda"),
        (47, "aaa"),
        (0, "aaa"),
    ] {
        std::fs::write(&path, &whole[..len]).unwrap();
        let duplicates = bench.open();
        let (turns, _claims) = duplicates.claim(events.iter());
        assert_eq!(letters(&turns), expected, "{len} bytes");
    }
    // a flipped bit, and a new file for what comes
    let mut damaged = whole;
    damaged[70] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let duplicates = bench.open();
    deliver(&duplicates, &[messaging("d")]);
    drop(duplicates);
    let events = ["a", "b", "c", "d"].map(messaging);
    assert_eq!(accept(&bench.open(), &events), "ddad");
    assert_eq!(std::fs::read(&path).unwrap(), damaged);
}

#[test]
fn the_log_goes_with_the_window_and_with_its_bound() {
    let bench = Bench::new();
    let duplicates = bench.open();
    for n in 0..100 {
        deliver(&duplicates, &[messaging(&n.to_string())]);
        bench.sleep(HOUR);
    }
    let files = bench.files().len();
    assert!((8..=10).contains(&files), "{files} files");
    for n in 0..3000 {
        deliver(&duplicates, &[messaging(&format!("more-{n}"))]);
    }
    let bytes: u64 = bench
        .files()
        .iter()
        .map(|file| std::fs::metadata(file).unwrap().len())
        .sum();
    assert!(bytes <= 32 * (1000 + 2 * 125), "{bytes}");
    drop(duplicates);
    let duplicates = bench.open();
    assert!((875..=1000).contains(&bench.metrics.duplicates_entries.get()));
    assert_eq!(accept(&duplicates, &[messaging("more-2999")]), "d");
    drop(duplicates);
    bench.sleep(2 * WINDOW);
    bench.open();
    assert!(bench.files().is_empty());
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let bench = Bench::new();
    // a file where the directory should be
    std::fs::write(bench.path(), "").unwrap();
    let duplicates = bench.open();
    deliver(&duplicates, &[messaging("a")]);
    assert_eq!(accept(&duplicates, &[messaging("a")]), "d");
    std::fs::remove_file(bench.path()).unwrap();
    deliver(&duplicates, &[messaging("b")]);
    drop(duplicates);
    assert_eq!(accept(&bench.open(), &["a", "b"].map(messaging)), "ad");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_come_at_once_one_is_appended() {
    let bench = Bench::new();
    let duplicates = bench.open();
    let durable: Arc<Vec<AtomicU32>> = Arc::new((0..20).map(|_| AtomicU32::new(0)).collect());
    let tasks = (0..200_usize).map(|n| {
        let (duplicates, durable) = (duplicates.clone(), Arc::clone(&durable));
        async move {
            // each asks for three of twenty, in different orders; every third append fails
            let mut wanted: Vec<usize> = vec![n % 20, (n * 7 + 3) % 20, (n * 11 + 5) % 20];
            let mut tries = n;
            while !wanted.is_empty() {
                let call: Vec<_> = wanted.iter().map(|id| messaging(&id.to_string())).collect();
                let (turns, claims) = duplicates.claim(call.iter());
                tokio::task::yield_now().await;
                let (mut left, mut twins) = (Vec::new(), Vec::new());
                let fails = tries.is_multiple_of(3);
                tries += 1;
                for (id, turn) in wanted.iter().zip(turns) {
                    match turn {
                        Turn::Append if fails => left.push(*id),
                        Turn::Append => {
                            durable[*id].fetch_add(1, Ordering::SeqCst);
                        }
                        Turn::Duplicate => {}
                        Turn::Wait(twin) => {
                            left.push(*id);
                            twins.push(twin);
                        }
                    }
                }
                if fails {
                    drop(claims);
                } else {
                    claims.keep();
                }
                for twin in twins {
                    twin.ended().await;
                }
                wanted = left;
            }
        }
    });
    let tasks: Vec<_> = tasks
        .map(|task| tokio_util::task::TaskTracker::new().spawn(task))
        .collect();
    for task in tasks {
        tokio::time::timeout(Duration::from_mins(1), task)
            .await
            .expect("two tasks wait for each other")
            .unwrap();
    }
    let counts: Vec<u32> = durable.iter().map(|n| n.load(Ordering::SeqCst)).collect();
    assert_eq!(counts, [1; 20]);
    assert_eq!(locked(&duplicates.0.seen).pending(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Accept(u8),
    Fail(u8),
    Deliver(u8),
    Die(u8),
    Restart,
    Sleep(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u8..12).prop_map(Step::Accept),
        1 => (0_u8..12).prop_map(Step::Fail),
        3 => (0_u8..12).prop_map(Step::Deliver),
        1 => (0_u8..12).prop_map(Step::Die),
        2 => Just(Step::Restart),
        2 => (1_u8..30).prop_map(Step::Sleep),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing is accepted twice within the window, and everything is taken again behind it.
    #[test]
    fn nothing_is_accepted_twice_within_the_window(steps in steps()) {
        let bench = Bench::new();
        let mut duplicates = bench.open();
        // what a journal would hold, and when each id was last accepted or delivered
        let mut waiting: HashSet<(u8, UnixMs)> = HashSet::new();
        let mut last: [Option<UnixMs>; 12] = [None; 12];
        for step in steps {
            let now = bench.clock.now();
            match step {
                Step::Accept(id) => {
                    let age = last[usize::from(id)].map(|at| now.since(at));
                    if age >= Some(WINDOW) && waiting.iter().any(|one| one.0 == id) {
                        // two of an id in the journal could end in different ways
                        continue;
                    }
                    let turn = accept(&duplicates, &[messaging(&id.to_string())]);
                    if age.is_some_and(|age| age < WINDOW) {
                        prop_assert_eq!(&turn, "d");
                    } else if age.is_none_or(|age| age >= WINDOW + 6 * HOUR) {
                        prop_assert_eq!(&turn, "a");
                    }
                    if turn == "a" {
                        waiting.insert((id, now));
                        last[usize::from(id)] = Some(now);
                    }
                }
                Step::Fail(id) => {
                    let call = [messaging(&id.to_string())];
                    let (_, claims) = duplicates.claim(call.iter());
                    drop(claims);
                }
                Step::Deliver(id) => {
                    if let Some(one) = waiting.iter().copied().find(|one| one.0 == id) {
                        deliver(&duplicates, &[messaging(&id.to_string())]);
                        waiting.remove(&one);
                        last[usize::from(id)] = Some(now);
                    }
                }
                Step::Die(id) => {
                    if waiting.iter().any(|one| one.0 == id) {
                        let event = messaging(&id.to_string()).event;
                        duplicates.forget(&lane(Class::BusinessMessaging), std::iter::once(&event));
                        waiting.retain(|one| one.0 != id);
                        last[usize::from(id)] = None;
                    }
                }
                Step::Restart => {
                    drop(duplicates);
                    duplicates = bench.open();
                    for (id, at) in &waiting {
                        let json = messaging(&id.to_string()).event;
 duplicates.remember(&lane(Class::BusinessMessaging), json.as_bytes(), *at);
                    }
                }
                Step::Sleep(hours) => bench.sleep(Duration::from_hours(hours.into())),
            }
        }
    }
}
