//! Dead letters on their way back.

use std::time::Duration;

use serde_json::{Value, json};

use super::check::rules;
use super::*;
use crate::duplicates::{self, Covers};
use crate::event::{RawEvent, Rules};
use crate::journal::dead::{DeadLetter, Settings, View};
use crate::journal::segment::sim::SimDisk;
use crate::journal::{
    Disk, LaneKey, LeaseLimits, RealDisk, RequestOptions, Settings as JournalSettings, Settlement,
    settle_all,
};
use crate::time::UnixMs;

/// 2026-11-22T10:00:00Z, the clock of the sample events.
const T0: UnixMs = UnixMs(1_795_341_600_000);
const DAY: Duration = Duration::from_hours(24);

fn pixel(id: u64) -> PixelId {
    PixelId::from_u64(id).unwrap()
}

fn event(id: &str, source: &str) -> Value {
    json!({
        "event_name": "Lead", "event_time": T0.secs() - 60, "event_id": id,
        "action_source": source,
        "user_data": {"em": "jane@example.com", "client_user_agent": "Mozilla/5.0"},
    })
}

fn letter(pixel_id: u64, event: &Value, reason: &'static str) -> DeadLetter {
    let text = event.to_string();
    let raw = RawEvent::parse(&text).unwrap();
    let hashed = raw.hash(pixel(pixel_id), &Rules::default(), T0).unwrap();
    let event = hashed.encode().unwrap();
    DeadLetter {
        lane: LaneKey::of(pixel(pixel_id), Arc::default(), &event),
        event,
        seq: 7,
        received_at: T0,
        expires_at: hashed.expires_at(),
        dead_at: T0,
        reason,
        refusal: None,
    }
}

/// A letter of a lead.
fn lead(pixel_id: u64, id: &str) -> DeadLetter {
    letter(pixel_id, &event(id, "website"), "refused")
}

/// A letter of a purchase in a chat, which is held to duplicates.
fn chat(pixel_id: u64, id: &str, reason: &'static str) -> DeadLetter {
    let event = json!({
        "event_name": "Purchase", "event_time": T0.secs(), "event_id": id,
        "action_source": "business_messaging", "messaging_channel": "whatsapp",
        "user_data": {"whatsapp_business_account_id": "1", "ctwa_clid": "AR"},
        "custom_data": {"value": 1, "currency": "EUR"},
    });
    letter(pixel_id, &event, reason)
}

/// What a client posts that sends the event of a letter.
fn posted(letter: &DeadLetter) -> Envelope {
    Envelope {
        lane: letter.lane.clone(),
        event: letter.event.clone(),
        received_at: letter.received_at,
        expires_at: letter.expires_at,
    }
}

struct Bench {
    _base: tempfile::TempDir,
    clock: Clock,
    metrics: Metrics,
    journal: Journal,
    dead: Arc<DeadLetters>,
    duplicates: Duplicates,
    redrive: Redrive,
}

impl Bench {
    fn on(disk: Arc<dyn Disk>, change: impl FnOnce(&mut JournalSettings)) -> Self {
        let base = tempfile::tempdir().unwrap();
        let clock = Clock::manual(T0);
        let metrics = Metrics::new().unwrap();
        let mut settings = JournalSettings {
            segment_bytes: 1 << 20,
            ..JournalSettings::new(base.path())
        };
        change(&mut settings);
        let journal = Journal::open(settings, Arc::new(RealDisk), clock.clone(), &metrics).unwrap();
        // files of 256 KiB
        let dead_settings = Settings {
            max_bytes: 2 << 20,
            ..Settings::default()
        };
        let dead =
            DeadLetters::open(base.path(), dead_settings, disk, clock.clone(), &metrics).unwrap();
        let dead = Arc::new(dead);
        let settings = duplicates::Settings {
            dir: base.path().join("duplicates"),
            window: DAY * 2,
            covers: Covers::Messaging,
            max_entries: 1000,
        };
        let duplicates = Duplicates::open(settings, Arc::new(RealDisk), clock.clone(), &metrics);
        let redrive = Redrive::new(
            Arc::clone(&dead),
            journal.clone(),
            duplicates.clone(),
            clock.clone(),
            metrics.clone(),
        );
        Self {
            _base: base,
            clock,
            metrics,
            journal,
            dead,
            duplicates,
            redrive,
        }
    }

    fn new() -> Self {
        Self::on(Arc::new(RealDisk), |_| {})
    }

    async fn run(&self, request: &Request) -> Report {
        let pixels = HashSet::from([pixel(1), pixel(2)]);
        self.redrive.run(request.clone(), pixels).await
    }

    fn ids(&self) -> Vec<LetterId> {
        let page = self.dead.list(&Filter::default(), None, 1000).unwrap();
        page.letters.iter().map(|letter| letter.id).collect()
    }

    /// Events in the journal, as their bytes.
    fn waiting(&self, lane: &LaneKey) -> Vec<Vec<u8>> {
        let limits = LeaseLimits {
            max_events: 100_000,
            max_bytes: usize::MAX,
        };
        let leases = self.journal.lease(lane, limits);
        let events = leases.iter().map(|l| l.event().as_bytes().to_vec());
        let events = events.collect();
        settle_all(leases, Settlement::Returned);
        events
    }

    fn counted(&self, pixel: &str) -> (u64, u64) {
        let of = |counter: &prometheus::IntCounterVec| counter.with_label_values(&[pixel]).get();
        (of(&self.metrics.accepted), of(&self.metrics.redriven))
    }
}

/// The words of what a report names as refused.
fn codes(report: &Report) -> Vec<&'static str> {
    report.refusals.iter().map(|one| one.code.word()).collect()
}

fn all() -> Request {
    Request::default()
}

#[tokio::test]
async fn what_passes_is_in_the_journal_as_it_was_and_no_longer_dead() {
    let bench = Bench::new();
    let mut tested = lead(1, "a");
    tested.lane.options = Arc::new(RequestOptions {
        test_event_code: Some("TEST1".to_owned()),
        ..RequestOptions::default()
    });
    let letters = [tested, lead(1, "b"), chat(2, "m", "refused")];
    bench.dead.append(&letters).unwrap();

    let dry = bench
        .run(&Request {
            dry_run: true,
            ..all()
        })
        .await;
    assert_eq!((dry.matched, dry.would_redrive, dry.redriven), (3, 3, 0));
    assert_eq!(bench.dead.count(), 3);
    assert_eq!(bench.journal.depth().records, 0);

    bench.clock.set(T0.plus(Duration::from_hours(1)));
    let report = bench.run(&all()).await;
    let expected = Report {
        matched: 3,
        redriven: 3,
        ..Report::default()
    };
    assert_eq!(report, expected);
    assert_eq!(bench.dead.count(), 0);
    for letter in &letters {
        assert_eq!(
            bench.waiting(&letter.lane),
            [letter.event.as_bytes().clone()]
        );
        let depth = bench.journal.waiting(&letter.lane);
        assert_eq!(depth.oldest_received_at, Some(T0));
    }
    assert_eq!(bench.counted("1"), (2, 2));
    assert_eq!(bench.counted("2"), (1, 1));
    // there is nothing left to do twice
    assert_eq!(bench.run(&all()).await, Report::default());
}

#[tokio::test]
async fn an_expired_letter_gets_what_time_is_left() {
    let bench = Bench::new();
    let one = lead(1, "a");
    let expired = one.expires_at;
    bench.dead.append(std::slice::from_ref(&one)).unwrap();
    bench.clock.set(expired.plus(Duration::from_mins(1)));
    assert_eq!(bench.run(&all()).await.redriven, 1);
    let limits = LeaseLimits {
        max_events: 1,
        max_bytes: 1,
    };
    let leases = bench.journal.lease(&one.lane, limits);
    assert_eq!(leases[0].event(), &one.event);
    assert!(leases[0].expires_at() > bench.clock.now());
    settle_all(leases, Settlement::Delivered);
}

#[tokio::test]
async fn what_fails_stays_and_is_named() {
    let bench = Bench::new();
    let mut garbage = lead(1, "x");
    garbage.event = crate::journal::Envelope::sample(1, "{\"event_name\":5}").event;
    bench
        .dead
        .append(&[lead(3, "a"), lead(1, "b"), garbage])
        .unwrap();
    let ids = bench.ids();
    bench.clock.set(T0.plus(DAY * 8));
    let report = bench.run(&all()).await;
    assert_eq!((report.matched, report.redriven, report.refused), (3, 0, 3));
    let named: Vec<_> = (report.refusals.iter())
        .map(|r| (r.id, r.code.word(), r.path.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            (ids[0], "unknown_pixel", ""),
            (ids[1], "too_old", "event_time"),
            (ids[2], "malformed", "event_name"),
        ]
    );
    assert!(report.refusals.iter().all(|r| !r.rule.is_empty()));
    assert_eq!(bench.ids(), ids);
    assert_eq!(bench.counted("1"), (0, 0));
    let dry = bench
        .run(&Request {
            dry_run: true,
            ..all()
        })
        .await;
    assert_eq!(dry.refusals, report.refusals);

    // the list is bounded, the count is not
    let many: Vec<DeadLetter> = (0..150).map(|n| lead(3, &format!("m{n}"))).collect();
    bench.dead.append(&many).unwrap();
    let report = bench.run(&all()).await;
    assert_eq!((report.refused, report.refusals.len()), (153, MAX_REFUSALS));
}

#[tokio::test]
async fn what_may_have_been_delivered_goes_only_by_name() {
    let bench = Bench::new();
    let one = |id: &str| letter(1, &event(id, "website"), "unconfirmed");
    bench
        .dead
        .append(&[one("a"), lead(1, "b"), one("c"), one("d")])
        .unwrap();
    let ids = bench.ids();
    let report = bench.run(&all()).await;
    assert_eq!(
        (report.matched, report.redriven, report.unconfirmed),
        (4, 1, 3)
    );
    let by_reason = Filter {
        reason: Some("unconfirmed".to_owned()),
        ..Filter::default()
    };
    let report = bench
        .run(&Request {
            filter: by_reason,
            ..all()
        })
        .await;
    assert_eq!((report.redriven, report.unconfirmed), (0, 3));
    let by_id = Filter {
        ids: vec![ids[2]],
        ..Filter::default()
    };
    let report = bench
        .run(&Request {
            filter: by_id,
            ..all()
        })
        .await;
    assert_eq!((report.redriven, report.unconfirmed), (1, 0));
    let report = bench
        .run(&Request {
            include_unconfirmed: true,
            ..all()
        })
        .await;
    assert_eq!((report.redriven, report.unconfirmed), (2, 0));
    assert_eq!(bench.dead.count(), 0);
}

#[tokio::test]
async fn where_the_journal_takes_no_more_it_stops_and_says_so() {
    let bench = Bench::on(Arc::new(RealDisk), |settings| {
        settings.max_lanes_per_pixel = 1;
    });
    let mut other = lead(1, "b");
    other.lane.options = Arc::new(RequestOptions {
        upload_tag: Some("x".to_owned()),
        ..RequestOptions::default()
    });
    bench.dead.append(&[lead(1, "a"), other]).unwrap();
    let report = bench.run(&all()).await;
    assert_eq!(report.stopped, Some("journal.max_lanes_per_pixel"));
    assert_eq!((report.redriven, bench.dead.count()), (0, 2));
    assert_eq!(bench.counted("1"), (0, 0));
    // one lane alone has its place
    let first = Filter {
        ids: vec![bench.ids()[0]],
        ..Filter::default()
    };
    let one = Request {
        filter: first,
        ..all()
    };
    assert_eq!(bench.run(&one).await.redriven, 1);
    bench.journal.close().await;
    bench.dead.append(&[lead(1, "c")]).unwrap();
    let third = Filter {
        ids: vec![bench.ids()[1]],
        ..Filter::default()
    };
    let one = Request {
        filter: third,
        ..all()
    };
    assert_eq!(bench.run(&one).await.stopped, Some("stopping"));
    assert_eq!(bench.dead.count(), 2);
    bench.redrive.stop().await;
}

/// As after a crash between the two: the letter is in both places, under one `event_id`.
#[tokio::test]
async fn a_letter_that_cannot_be_removed_is_in_both_places() {
    let disk = SimDisk::new(1);
    let bench = Bench::on(Arc::new(disk.clone()), |_| {});
    bench.dead.append(&[lead(1, "a"), lead(3, "b")]).unwrap();
    disk.set_capacity(disk.used());
    let report = bench.run(&all()).await;
    assert_eq!((report.redriven, report.refused), (1, 1));
    assert_eq!(report.stopped, Some("dead_full"));
    assert_eq!((bench.dead.count(), bench.journal.depth().records), (2, 1));

    disk.set_capacity(u64::MAX);
    assert_eq!(bench.run(&all()).await.redriven, 1);
    let twice = bench.waiting(&lead(1, "a").lane);
    assert_eq!(twice.len(), 2);
    assert_eq!(twice[0], twice[1]);
    assert_eq!(bench.dead.count(), 1);
    assert_eq!(bench.counted("1"), (2, 2));
}

#[tokio::test]
async fn redrives_take_turns_and_take_each_letter_once() {
    let bench = Bench::new();
    let letters: Vec<DeadLetter> = (0..2_500).map(|n| lead(1, &format!("e{n}"))).collect();
    bench.dead.append(&letters).unwrap();
    let files: HashSet<u64> = bench.ids().iter().map(|id| id.file()).collect();
    assert!(files.len() > 1, "the letters are in several files");
    let request = all();
    let (a, b) = tokio::join!(bench.run(&request), bench.run(&request));
    assert_eq!((a.redriven + b.redriven, bench.dead.count()), (2_500, 0));
    let stored: HashSet<Vec<u8>> = bench.waiting(&letters[0].lane).into_iter().collect();
    assert_eq!(stored.len(), 2_500);
    assert_eq!(bench.counted("1"), (2_500, 2_500));
    assert_eq!(bench.journal.depth().records, 2_500);
}

#[tokio::test]
async fn it_runs_to_its_end_when_nobody_waits() {
    let bench = Bench::new();
    bench.dead.append(&[lead(1, "a")]).unwrap();
    let request = all();
    drop(Box::pin(bench.run(&request)));
    assert_eq!(bench.dead.count(), 1, "it was never begun");
    let asked = tokio::time::timeout(Duration::ZERO, bench.run(&request)).await;
    bench.redrive.stop().await;
    // begun and left alone, it ended on its own: done, or stopped before its first chunk
    let left = bench.dead.count();
    assert_eq!(left + bench.journal.depth().records, 1, "{asked:?}");
    assert_eq!(bench.run(&request).await.stopped, Some("stopping"));
}

/// Every sample event and every vector, as far as it passes at the door.
fn samples() -> Vec<(String, Rules)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let read = |path: std::path::PathBuf| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut samples = Vec::new();
    for dir in ["valid", "invalid"] {
        for entry in std::fs::read_dir(root.join("events").join(dir)).unwrap() {
            let request = read(entry.unwrap().path());
            for event in request["data"].as_array().unwrap() {
                samples.push((event.to_string(), Rules::default()));
            }
        }
    }
    for case in read(root.join("vectors/normalize.json"))
        .as_array()
        .unwrap()
    {
        let mut rules = Rules::default();
        if let Some(country) = case["context"]["country"].as_str() {
            let letters = country.to_lowercase().into_bytes();
            rules.default_country = Some(letters.try_into().unwrap());
        }
        let mut event = event("v", "website");
        let (part, key) = match case["field"].as_str().unwrap().split_once('.') {
            Some((part, key)) => (part, key),
            None => ("user_data", case["field"].as_str().unwrap()),
        };
        event[part][key] = case["raw"].clone();
        event["user_data"]["madid"] = json!("m");
        samples.push((event.to_string(), rules));
    }
    for case in read(root.join("vectors/fbc_fbp.json")).as_array().unwrap() {
        let mut event = event("c", "website");
        for key in ["event_source_url", "referrer_url"] {
            event[key] = case["input"][key].clone();
        }
        for (key, value) in case["input"]["user_data"].as_object().into_iter().flatten() {
            event["user_data"][key] = value.clone();
        }
        samples.push((event.to_string(), Rules::default()));
    }
    // what only some sources allow, and what the firewall finds
    let mut open = event("jane@example.com", "website");
    open["user_data"]["club"] = json!(["gold", 7]);
    open["note"] = json!("call jane@example.com or +1 650 555 1212");
    open["event_source_url"] = json!("https://a.example/?email=jane%40example.com&fbclid=Iw1");
    open["custom_data"] = json!({"jane@example.com": 1, "x": [{"phone": "+16505551212"}]});
    for (pii_firewall, allow) in [(true, vec![]), (false, vec!["club".to_owned()])] {
        let rules = Rules {
            pii_firewall,
            allow_user_data: allow,
            ..Rules::default()
        };
        samples.push((open.to_string(), rules));
    }
    samples
}

#[test]
fn a_stored_event_passes_unchanged() {
    let later = T0.plus(Duration::from_hours(1));
    let mut checked = 0;
    for (text, source) in samples() {
        let hash = |text: &str, rules: &Rules, now: UnixMs| {
            let hashed = RawEvent::parse(text)?.hash(pixel(1), rules, now)?;
            let event = hashed.encode()?;
            Ok::<String, crate::event::EventError>(
                String::from_utf8(event.as_bytes().to_vec()).unwrap(),
            )
        };
        let Ok(first) = hash(&text, &source, T0) else {
            continue;
        };
        let again = hash(&first, &rules(&first), later);
        assert_eq!(again.as_deref(), Ok(first.as_str()), "{text}");
        // and by the rules of the source itself: redacting what is redacted changes nothing
        let again = hash(&first, &source, later);
        assert_eq!(again.as_deref(), Ok(first.as_str()), "{text}");
        checked += 1;
    }
    assert!(checked > 300, "only {checked} samples pass at the door");
}

#[tokio::test]
async fn an_id_is_kept_and_one_that_is_not_there_is_not_made() {
    let bench = Bench::new();
    let mut without = lead(1, "a");
    let text = String::from_utf8(without.event.as_bytes().to_vec()).unwrap();
    let text: &'static str = text.replace(r#""event_id":"a","#, "").leak();
    without.event = crate::journal::Envelope::sample(1, text).event;
    bench.dead.append(&[without]).unwrap();
    let shown = bench
        .dead
        .show(bench.ids()[0], View::Clear)
        .unwrap()
        .unwrap();
    assert_eq!(shown.event.get(), text);
    assert_eq!(bench.run(&all()).await.redriven, 1);
    assert_eq!(bench.waiting(&LaneKey::plain(pixel(1))), [text.as_bytes()]);
}

#[tokio::test]
async fn a_letter_whose_twin_was_accepted_meanwhile_stays_and_is_named() {
    let bench = Bench::new();
    // "b" became a letter twice, as after a crash
    let letters = ["a", "b", "b"].map(|id| chat(1, id, "refused"));
    bench.dead.append(&letters).unwrap();
    let twin = posted(&letters[0]);
    let (turns, claims) = bench.duplicates.claim([&twin].into_iter());
    assert!(matches!(turns[..], [Turn::Append]));
    claims.keep();
    let dry = Request {
        dry_run: true,
        ..all()
    };
    let dry = bench.run(&dry).await;
    assert_eq!((dry.matched, dry.would_redrive, dry.refused), (3, 1, 2));
    let report = bench.run(&all()).await;
    assert_eq!((report.matched, report.redriven, report.refused), (3, 1, 2));
    assert_eq!(codes(&report), ["duplicate", "duplicate"]);
    assert_eq!(report.refusals, dry.refusals);
    // nor by name
    let by_id = Filter {
        ids: bench.ids(),
        ..Filter::default()
    };
    let named = Request {
        filter: by_id,
        include_unconfirmed: true,
        ..all()
    };
    assert_eq!(codes(&bench.run(&named).await), ["duplicate", "duplicate"]);
    assert_eq!((bench.dead.count(), bench.journal.depth().records), (2, 1));
}

#[tokio::test]
async fn a_redriven_event_holds_its_twins_back() {
    let bench = Bench::new();
    let one = chat(1, "a", "refused");
    bench.dead.append(std::slice::from_ref(&one)).unwrap();
    // its twin is being appended, but fails
    let twin = posted(&one);
    let (_, claims) = bench.duplicates.claim([&twin].into_iter());
    let request = all();
    let mut run = std::pin::pin!(bench.run(&request));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut run).await;
    assert!(early.is_err(), "{early:?}");
    drop(claims);
    assert_eq!(run.await.redriven, 1);
    let (turns, _claims) = bench.duplicates.claim([&twin].into_iter());
    assert!(matches!(turns[..], [Turn::Duplicate]));
}

#[tokio::test]
async fn one_that_may_have_been_delivered_is_no_twin_of_itself() {
    let bench = Bench::new();
    let one = chat(1, "a", "unconfirmed");
    let letters = [one.clone(), one.clone()];
    bench.dead.append(&letters).unwrap();
    let lane = &one.lane;
    let events = || [&one.event].into_iter();
    bench.duplicates.delivered(lane, events());
    let asked = Request {
        include_unconfirmed: true,
        ..all()
    };
    // an append that fails leaves it held
    bench.journal.close().await;
    assert_eq!(bench.run(&asked).await.stopped, Some("stopping"));
    let twin = posted(&one);
    let (turns, _claims) = bench.duplicates.claim([&twin].into_iter());
    assert!(matches!(turns[..], [Turn::Duplicate]));

    let bench = Bench::new();
    bench.dead.append(&letters).unwrap();
    bench.duplicates.delivered(lane, events());
    let report = bench.run(&asked).await;
    assert_eq!((report.redriven, codes(&report)), (1, vec!["duplicate"]));
    // past the window, who holds it came later
    bench.clock.set(T0.plus(DAY * 3));
    bench.duplicates.delivered(lane, events());
    let report = bench.run(&asked).await;
    assert_eq!((report.redriven, codes(&report)), (0, vec!["duplicate"]));
}

#[tokio::test]
async fn what_is_refused_again_meanwhile_waits_for_the_next_redrive() {
    let bench = Bench::new();
    let letters: Vec<DeadLetter> = (0..2_500).map(|n| lead(1, &format!("e{n}"))).collect();
    bench.dead.append(&letters).unwrap();
    let lane = &letters[0].lane;
    let limits = LeaseLimits {
        max_events: 10_000,
        max_bytes: usize::MAX,
    };
    let request = all();
    let mut run = std::pin::pin!(bench.run(&request));
    // each event is refused as soon as it is in the journal
    let report = loop {
        let leases = bench.journal.lease(lane, limits);
        let again: Vec<DeadLetter> = (leases.iter())
            .map(|lease| DeadLetter {
                event: lease.event().clone(),
                ..letters[0].clone()
            })
            .collect();
        bench.dead.append(&again).unwrap();
        settle_all(leases, Settlement::Dead);
        if let Ok(report) = tokio::time::timeout(Duration::from_millis(1), &mut run).await {
            break report;
        }
    };
    assert_eq!((report.matched, report.redriven), (2_500, 2_500));
    let left = bench.dead.count() + bench.journal.depth().records;
    assert_eq!(left, 2_500);
    let end = bench.dead.next_id();
    assert!(bench.ids().iter().all(|id| *id < end));
}
