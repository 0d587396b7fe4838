//! `kill -9` on the real binary under load: whatever was answered with success is delivered after
//! a restart, and nothing is delivered that was never sent.
//!
//! A killed process loses no page cache, so this shows the order of writing and answering; losing
//! power is what the lying disk of the journal's own tests is for. The points that are named in
//! the code need the feature: `cargo test --test crash --features failpoints`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "tests may panic, print, and use the file system as they like"
)]

#[expect(dead_code, reason = "shared with the other test binaries")]
mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capigate::sandbox::{Action, Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use support::{OTHER, PIXEL, Process, Site};

const RANDOM_KILLS: u64 = 60;
const WRITERS: usize = 8;
/// Quiet, but for the line that says where the gateway listens.
const LOG: &str = "warn,capigate::app=info";

/// What the load has sent and what was answered with success.
#[derive(Default)]
struct Books {
    next: AtomicU64,
    /// By pixel and event_id.
    acknowledged: Mutex<HashSet<(&'static str, String)>>,
}

struct Rig {
    site: Site,
    sandbox: Sandbox,
    books: Arc<Books>,
    http: reqwest::Client,
    /// Whether one of the writers posts, slowly, to the other pixel.
    two_pixels: bool,
}

impl Rig {
    async fn new() -> Self {
        let settings = SandboxSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tokens: vec![SandboxToken::new("test", "sandbox-token")],
            latency: Duration::from_millis(3),
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
        let site = Site::new(sandbox.url());
        Self {
            site,
            sandbox,
            books: Arc::default(),
            two_pixels: false,
            http: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([])
                .build()
                .unwrap(),
        }
    }

    /// Posts from several writers until `stop`, in requests of 1 to 20 events.
    fn load(&self, process: &Process, stop: &Arc<AtomicBool>) -> tokio::task::JoinSet<()> {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let (books, stop, http) =
                (Arc::clone(&self.books), Arc::clone(stop), self.http.clone());
            let is_slow = self.two_pixels && writer == 0;
            let pixel = if is_slow { OTHER } else { PIXEL };
            let (url, key) = (process.events_url_of(pixel), self.site.key.clone());
            writers.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let count = 1 + (writer * 7) % 20;
                    let ids: Vec<String> = (0..count)
                        .map(|_| format!("e-{}", books.next.fetch_add(1, Ordering::Relaxed)))
                        .collect();
                    let answer = http
                        .post(&url)
                        .bearer_auth(&key)
                        .json(&body(&ids))
                        .send()
                        .await;
                    match answer {
                        Ok(answer) if answer.status() == 200 => {
                            let acknowledged = ids.into_iter().map(|id| (pixel, id));
                            books.acknowledged.lock().unwrap().extend(acknowledged);
                            if is_slow {
                                tokio::time::sleep(Duration::from_millis(10)).await;
                            }
                        }
                        // killed or stopping: not acknowledged, so it may be there or not
                        _ => tokio::time::sleep(Duration::from_millis(2)).await,
                    }
                }
            });
        }
        writers
    }

    /// One life of the gateway: under load until `kill_after`, or until a failpoint strikes.
    async fn one_life(&self, failpoints: Option<&str>, kill_after: Duration) -> Life {
        let Some(mut process) = self.site.start(failpoints, LOG) else {
            return Life::DiedByItself;
        };
        let stop = Arc::new(AtomicBool::new(false));
        let writers = self.load(&process, &stop);
        let ends = tokio::time::Instant::now() + kill_after;
        while tokio::time::Instant::now() < ends && !process.is_gone() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let gone = process.is_gone();
        process.kill();
        stop.store(true, Ordering::Relaxed);
        writers.join_all().await;
        let log = process.whole_log();
        assert!(
            !log.contains("\"ERROR\""),
            "a killed process leaves no damage: {log}"
        );
        if gone {
            Life::DiedByItself
        } else {
            Life::Killed
        }
    }

    /// A life without a kill; then the books must balance.
    async fn settle(self) {
        let acknowledged = self.books.acknowledged.lock().unwrap().clone();
        assert!(
            !acknowledged.is_empty(),
            "no request was answered with success"
        );
        let mut process = self.site.start(None, LOG).unwrap();
        let missing = |sandbox: &Sandbox| -> Vec<(&str, String)> {
            let events = sandbox.ledger().events;
            let delivered: HashSet<(String, String)> = events
                .into_iter()
                .map(|event| (event.pixel.to_string(), event.event_id.unwrap()))
                .collect();
            let is_missing = |(pixel, id): &&(&str, String)| {
                !delivered.contains(&((*pixel).to_owned(), id.clone()))
            };
            acknowledged.iter().filter(is_missing).cloned().collect()
        };
        for _ in 0..1200 {
            if missing(&self.sandbox).is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let left = missing(&self.sandbox);
        assert!(
            left.is_empty(),
            "{} of {} acknowledged events are lost, such as {:?}",
            left.len(),
            acknowledged.len(),
            left.first()
        );
        assert_eq!(process.terminate(), 0, "{}", process.log());

        let sent = self.books.next.load(Ordering::Relaxed);
        let ledger = self.sandbox.ledger();
        for event in &ledger.events {
            let id = event.event_id.as_deref().unwrap();
            let number: u64 = id.strip_prefix("e-").unwrap().parse().unwrap();
            assert!(number < sent, "{id} was never sent");
            if let Some(body) = &event.body {
                assert_eq!(
                    body["custom_data"]["order_id"], id,
                    "an event carries another's data"
                );
            }
        }
        assert_eq!(
            self.sandbox.violations(),
            [],
            "the sandbox saw something it must not"
        );
        println!(
            "{} events acknowledged, {} distinct delivered, {} deliveries",
            acknowledged.len(),
            ledger.totals.events_distinct,
            ledger.totals.events_accepted
        );
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Life {
    Killed,
    DiedByItself,
}

fn body(ids: &[String]) -> serde_json::Value {
    let now = Clock::Real.now().secs();
    let events: Vec<_> = ids
        .iter()
        .map(|id| {
            serde_json::json!({
                "event_name": "Purchase", "event_time": now, "event_id": id, "action_source": "website",
                "event_source_url": "https://shop.example/thanks",
                "user_data": {"em": format!("{id}@example.com"), "client_user_agent": "crash"},
                "custom_data": {"value": 12.5, "currency": "EUR", "order_id": id}
            })
        })
        .collect();
    serde_json::json!({ "data": events })
}

/// A small generator, so that a failing run can be repeated with its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_under_load() {
    let seed = std::env::var("CRASH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed_2026);
    println!("CRASH_SEED={seed}");
    let mut dice = Dice(seed);
    let rig = Rig::new().await;
    for round in 0..RANDOM_KILLS {
        // every third life meets an outage, so that a backlog builds up and is recovered
        if round % 3 == 1 {
            rig.sandbox.add_fault(Fault::status(503).forever());
        }
        let life = rig
            .one_life(None, Duration::from_millis(20 + dice.below(250)))
            .await;
        assert_eq!(
            life,
            Life::Killed,
            "round {round}: the gateway ended by itself"
        );
        rig.sandbox.clear_faults();
    }
    rig.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_an_ambiguous_answer() {
    let rig = Rig::new().await;
    for _ in 0..4 {
        rig.sandbox.add_fault(
            Fault {
                edge: None,
                pixel: None,
                times: None,
                action: Action::CutAfterAccept {},
            }
            .times(3),
        );
        rig.one_life(None, Duration::from_millis(150)).await;
    }
    rig.settle().await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_named_point() {
    let rig = Rig::new().await;
    let mut struck = 0;
    for (point, passes) in [
        ("journal.before_write", [1, 7, 60]),
        ("journal.after_write", [1, 7, 60]),
        ("journal.after_sync", [1, 7, 60]),
        ("journal.settle_sync", [1, 2, 3]),
        ("journal.before_recycle", [1, 1, 2]),
        ("journal.after_rename", [1, 1, 2]),
    ] {
        for pass in passes {
            let script = format!("{point}={pass}*off->return");
            let life = rig.one_life(Some(&script), Duration::from_secs(20)).await;
            assert_eq!(life, Life::DiedByItself, "{script} was never reached");
            struck += 1;
        }
    }
    assert_eq!(struck, 18);
    rig.settle().await;
}

/// A pixel that is held keeps a few records in every segment; they are moved to the head so that
/// the segments can be used again. The process dies in the middle of that.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_records_are_moved() {
    let mut rig = Rig::new().await;
    rig.two_pixels = true;
    rig.sandbox
        .add_fault(Fault::status(503).on(OTHER.parse().unwrap()).forever());
    for pass in [0, 1, 2] {
        let script = format!("journal.evacuate={pass}*off->return");
        let life = rig.one_life(Some(&script), Duration::from_secs(40)).await;
        assert_eq!(life, Life::DiedByItself, "{script} was never reached");
    }
    rig.sandbox.clear_faults();
    rig.settle().await;
}

/// A purchase in a chat, of which Meta drops no duplicates.
fn chat(id: &str) -> serde_json::Value {
    serde_json::json!({"data": [{
        "event_name": "Purchase", "event_time": Clock::Real.now().secs(), "event_id": id,
        "action_source": "business_messaging", "messaging_channel": "whatsapp",
        "user_data": {"whatsapp_business_account_id": "100000000000001", "ctwa_clid": "ARAkLkA8"},
        "custom_data": {"value": 5, "currency": "EUR", "order_id": id}
    }]})
}

/// The `event_id`s of the dead letters, with their reason.
fn dead_letters(site: &Site) -> Vec<(String, String)> {
    let Ok(files) = std::fs::read_dir(site.journal().join("dead")) else {
        return Vec::new();
    };
    let mut letters = Vec::new();
    for file in files {
        for line in std::fs::read_to_string(file.unwrap().path())
            .unwrap()
            .lines()
        {
            let Ok(letter) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            letters.push((text(&letter["event"]["event_id"]), text(&letter["reason"])));
        }
    }
    letters
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_sends_at_most_once() {
    let mut rig = Rig::new().await;
    rig.site
        .env
        .push(("LANES__MESSAGING", "at_most_once".to_owned()));
    let mut acknowledged = HashSet::new();
    for round in 0..8_u64 {
        // slow enough that each kill meets a batch that Graph has taken and not yet answered for
        let slow = Action::Slow {
            ms: 120,
            accept_first: true,
        };
        rig.sandbox.add_fault(Fault::from(slow).forever());
        let mut process = rig.site.start(None, LOG).unwrap();
        let ends = tokio::time::Instant::now() + Duration::from_millis(150 + 60 * round);
        for number in 0.. {
            let id = format!("chat-{round}-{number}");
            let request = rig.http.post(process.events_url_of(PIXEL));
            let sent = request.bearer_auth(&rig.site.key).json(&chat(&id)).send();
            if sent.await.unwrap().status() == 200 {
                acknowledged.insert(id);
            }
            if tokio::time::Instant::now() >= ends {
                break;
            }
        }
        process.kill();
        rig.sandbox.clear_faults();
    }
    let mut process = rig.site.start(None, LOG).unwrap();
    let ended = |rig: &Rig| -> HashSet<String> {
        let events = rig.sandbox.ledger().events.into_iter();
        let delivered = events.filter_map(|event| event.event_id);
        let dead = dead_letters(&rig.site).into_iter().map(|(id, _)| id);
        delivered.chain(dead).collect()
    };
    for _ in 0..600 {
        if acknowledged.is_subset(&ended(&rig)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left: Vec<_> = acknowledged.difference(&ended(&rig)).cloned().collect();
    assert!(left.is_empty(), "lost: {left:?}");
    assert_eq!(process.terminate(), 0, "{}", process.log());
    let mut seen = HashSet::new();
    for event in rig.sandbox.ledger().events {
        let id = event.event_id.unwrap();
        assert!(seen.insert(id.clone()), "{id} was sent twice");
    }
    let dead = dead_letters(&rig.site);
    assert!(
        dead.iter().all(|(_, reason)| reason == "unconfirmed"),
        "{dead:?}"
    );
    assert!(!dead.is_empty(), "no kill met a batch in flight");
    println!(
        "{} acknowledged, {} taken, {} unconfirmed",
        acknowledged.len(),
        seen.len(),
        dead.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_right_after_a_dead_letter_was_written() {
    let mut rig = Rig::new().await;
    // long enough that a kill comes before the journal has noted what is dead
    rig.site.env.push(("JOURNAL__SETTLE_SYNC", "5s".to_owned()));
    let refuse = Action::RefuseEvent {
        event_id: Some("poison-*".to_owned()),
        index: None,
        code: 100,
        subcode: Some(2_804_019),
        blame: false,
    };
    rig.sandbox.add_fault(Fault::from(refuse).forever());
    let mut posted = 0;
    for round in 1..=4 {
        let mut process = rig.site.start(None, LOG).unwrap();
        let ids: Vec<String> = (0..20).map(|n| format!("poison-{round}-{n}")).collect();
        let request = rig.http.post(process.events_url_of(PIXEL));
        let sent = request.bearer_auth(&rig.site.key).json(&body(&ids)).send();
        assert_eq!(sent.await.unwrap().status(), 200);
        posted += ids.len();
        for _ in 0..600 {
            if dead_letters(&rig.site).len() >= posted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        process.kill();
    }
    let mut process = rig.site.start(None, LOG).unwrap();
    for _ in 0..600 {
        let page = rig.http.get(format!("{}/metrics", process.admin)).send();
        let page = page.await.unwrap().text().await.unwrap();
        if support::sum(&page, "capigate_journal_records") == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(process.terminate(), 0, "{}", process.log());
    let letters = dead_letters(&rig.site);
    let distinct: HashSet<_> = letters.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(distinct.len(), posted, "each has a letter");
    assert_eq!(letters.len(), posted, "and one only");
}
