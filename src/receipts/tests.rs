#![expect(clippy::disallowed_methods, reason = "tests damage files as they like")]

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::entry::{IdDigest, Note};
use super::*;
use crate::event::{Changes, Key};
use crate::journal::segment::disk::{DirLock, DiskFile, RealDisk};

const DAY: Duration = Duration::from_hours(24);

fn pixel(id: u64) -> PixelId {
    PixelId::from_u64(id).unwrap()
}

fn event(name: &str, id: &str) -> EncodedEvent {
    let json = format!(
        r#"{{"event_name":"{name}","event_time":1,"event_id":"{id}","action_source":"website"}}"#
    );
    EncodedEvent::from_record(json.into())
}

fn ending(at: UnixMs, outcome: Outcome, events: Vec<EncodedEvent>) -> Ending {
    Ending {
        pixel: pixel(7),
        at,
        outcome,
        batch_events: events.len(),
        events: events.into_iter().map(Subject::from).collect(),
        attempts: Vec::new(),
    }
}

fn labels(at: UnixMs, outcome: Outcome, ids: &[&str]) -> Ending {
    let label = |id: &&str| {
        Subject::Label(Label {
            event_name: "Lead".to_owned(),
            event_id: (!id.is_empty()).then(|| (*id).to_owned()),
        })
    };
    Ending {
        events: ids.iter().map(label).collect(),
        ..ending(at, outcome, Vec::new())
    }
}

fn delivered(at: UnixMs, ids: impl IntoIterator<Item = String>) -> Ending {
    let events: Vec<_> = ids.into_iter().map(|id| event("Lead", &id)).collect();
    let outcome = Outcome::Delivered {
        trace_id: Some("Atrace".to_owned()),
        received: events.len() as u64,
    };
    ending(at, outcome, events)
}

/// Receipts in a directory of the test's own, on its own clock and disk.
struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    metrics: Metrics,
    disk: Arc<dyn Disk>,
    max_bytes: u64,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Clock::manual(UnixMs::from_secs(1_000_000)),
            metrics: Metrics::new().unwrap(),
            disk: Arc::new(RealDisk),
            max_bytes: 1 << 30,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            dir: self.path().to_owned(),
            keep: 7 * DAY,
            max_bytes: self.max_bytes,
            by_keys: true,
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn open(&self) -> Receipts {
        let (disk, clock) = (Arc::clone(&self.disk), self.clock.clone());
        Receipts::open(self.settings(), disk, clock, &self.metrics)
    }

    /// The files alone, without the thread.
    fn store(&self) -> Store {
        let (disk, clock) = (Arc::clone(&self.disk), self.clock.clone());
        Store::open(self.settings(), disk, clock, self.metrics.clone()).unwrap()
    }

    fn sleep(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    fn names(&self, ending: &str) -> Vec<String> {
        let mut names = RealDisk.list(self.path()).unwrap();
        names.retain(|name| name.ends_with(ending));
        names.sort();
        names
    }

    fn now(&self) -> UnixMs {
        self.clock.now()
    }
}

fn add(store: &mut Store, ending: &Ending) {
    store.add(Note::of(ending, true).unwrap());
}

fn find(store: &mut Store, id: &str) -> Vec<Receipt> {
    find_some(store, id, 1000)
}

fn find_some(store: &mut Store, id: &str, limit: usize) -> Vec<Receipt> {
    find_by(store, &Wanted::event_id(id), limit)
}

fn find_by(store: &mut Store, wanted: &Wanted, limit: usize) -> Vec<Receipt> {
    let hits = store.hits(IdDigest::of(wanted.key()), limit);
    let (disk, oldest) = store.searcher();
    search::receipts(&*disk, wanted, oldest, limit, hits).unwrap()
}

/// Cuts a file off, or makes it longer with `byte`.
fn resize(path: &Path, by: i64, byte: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    let size = bytes.len() as i64 + by;
    bytes.resize(usize::try_from(size).unwrap(), byte);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_id_shows_all_its_endings_newest_first() {
    let bench = Bench::new();
    let receipts = bench.open();
    let dead = Outcome::Dead {
        reason: "refused",
        code: Some(100),
        subcode: Some(2_804_003),
        trace_id: None,
    };
    let events = vec![event("Buy \\\"it\\\"", "a"), event("Lead", "b")];
    receipts.note(ending(bench.now(), dead, events));
    bench.sleep(Duration::from_secs(5));
    receipts.note(delivered(bench.now(), ["a".to_owned(), "c".to_owned()]));
    let mut other = delivered(bench.now(), ["b".to_owned()]);
    other.pixel = pixel(8);
    receipts.note(other);

    let found = receipts.find("a", 100).unwrap();
    assert_eq!(
        found,
        [
            Receipt {
                event_id: Some("a".to_owned()),
                event_name: Some("Lead".to_owned()),
                at: Some(1_000_005_000),
                batch: Some(2),
                batch_events: Some(2),
                batch_received: Some(2),
                trace_id: Some("Atrace".to_owned()),
                ..Receipt::new(pixel(7), State::Delivered)
            },
            Receipt {
                event_id: Some("a".to_owned()),
                event_name: Some("Buy \"it\"".to_owned()),
                at: Some(1_000_000_000),
                batch: Some(1),
                batch_events: Some(2),
                reason: Some("refused".to_owned()),
                code: Some(100),
                subcode: Some(2_804_003),
                ..Receipt::new(pixel(7), State::Dead)
            },
        ]
    );
    let pixels: Vec<_> = receipts
        .find("b", 100)
        .unwrap()
        .iter()
        .map(|r| r.pixel)
        .collect();
    assert_eq!(pixels, [pixel(8), pixel(7)]);
    assert_eq!(receipts.find("d", 100).unwrap(), []);
    let json = serde_json::to_string(&found[1]).unwrap();
    assert!(
        json.contains(r#""state":"dead","at":1000000000,"batch":1"#),
        "{json}"
    );
    assert_eq!(bench.metrics.receipts.get(), 5);

    // the same after a restart, and nothing is taken after the end
    assert!(receipts.close(Duration::from_secs(10)));
    receipts.note(delivered(bench.now(), ["late".to_owned()]));
    assert_eq!(bench.metrics.receipts_lost.get(), 1);
    let receipts = bench.open();
    assert_eq!(receipts.find("a", 100).unwrap(), found);
    assert_eq!(receipts.find("late", 100).unwrap(), []);
    // numbers go on
    receipts.note(delivered(bench.now(), ["e".to_owned()]));
    assert_eq!(receipts.find("e", 100).unwrap()[0].batch, Some(4));
}

/// As [`event`], with an address, an order and what became of the fields.
fn known_event(id: &str, address: &str, order: &str, changes: &str) -> EncodedEvent {
    let digest = Wanted::email(address).unwrap().key().1.to_owned();
    let json = format!(
        r#"{{"event_name":"Purchase","event_time":1,"event_id":"{id}","action_source":"website","user_data":{{"em":["{digest}","{other}"]}},"custom_data":{{"contents":[{{"order_id":"not this"}}],"order_id":"{order}"}}}}"#,
        other = "0".repeat(64),
    );
    let event = EncodedEvent::from_record(json.into());
    event.with_changes(Changes::of_record(changes.as_bytes()))
}

fn tried(at: i64, outcome: &'static str, of_batch: Option<u64>) -> Attempt {
    let is_delivered = outcome == "delivered";
    Attempt {
        at,
        outcome: outcome.into(),
        events: 3,
        of_batch,
        code: (!is_delivered).then_some(2),
        subcode: None,
        trace_id: Some(if is_delivered { "Atrace" } else { "Aother" }.to_owned()),
        took_ms: 7,
    }
}

#[test]
fn what_was_changed_and_which_requests_carried_it_are_told() {
    let bench = Bench::new();
    let receipts = bench.open();
    let mut sent = delivered(bench.now(), []);
    sent.events = vec![
        known_event("a", "jane@example.com", "o-1", "n1h1").into(),
        known_event("b", "jane@example.com", "o-2", "h1").into(),
        known_event("c", "john@example.com", "o-3", "n1h1").into(),
    ];
    sent.batch_events = 3;
    sent.attempts = vec![
        tried(1_000_000_000, "delivered", Some(3)),
        tried(999_999_000, "transient", Some(2)),
        tried(999_998_000, "transient", None),
    ];
    receipts.note(sent.clone());

    let a = receipts.find("a", 10).unwrap().remove(0);
    assert_eq!(a.attempts, sent.attempts);
    assert_eq!(a.changes, Changes::of_record(b"n1h1").fields());
    let b = receipts.find("b", 10).unwrap().remove(0);
    assert_eq!(
        (b.event_name.as_deref(), b.changes.len()),
        (Some("Purchase"), 1)
    );
    assert_eq!(b.changes[0].did, ["hashed"]);

    // by other keys, without their ids
    let by = |wanted: &Wanted| receipts.find_wanted(wanted, 10).unwrap();
    let jane = by(&Wanted::email(" Jane@Example.com").unwrap());
    assert_eq!(jane.len(), 2);
    assert!(jane.iter().all(|one| one.event_id.is_none()));
    let order = by(&Wanted::order_id("o-3"));
    assert_eq!((order.len(), &order[0].changes), (1, &a.changes));
    assert_eq!(order[0].attempts, a.attempts);
    for none in [
        Wanted::order_id("not this"),
        Wanted::order_id("a"),
        Wanted::event_id("o-1"),
        Wanted::email("jim@example.com").unwrap(),
    ] {
        assert_eq!(by(&none), []);
    }
    // and after a restart
    assert!(receipts.close(Duration::from_secs(10)));
    let receipts = bench.open();
    assert_eq!(receipts.find("a", 10).unwrap(), [a]);
    // neither the id, nor the order, nor the digest of the address
    let digest = Wanted::email("jane@example.com")
        .unwrap()
        .key()
        .1
        .to_owned();
    for name in RealDisk.list(bench.path()).unwrap() {
        let bytes = std::fs::read(bench.path().join(name)).unwrap();
        for canary in ["o-1", digest.as_str()] {
            assert!(memchr::memmem::find(&bytes, canary.as_bytes()).is_none());
        }
        let half = hex::decode(&digest).unwrap();
        assert!(memchr::memmem::find(&bytes, &half[..11]).is_none());
    }
    // the usual line is short
    let lines = std::fs::read(bench.path().join(&bench.names(".lines")[0])).unwrap();
    assert!(lines.len() < 600, "{}", String::from_utf8_lossy(&lines));
}

#[test]
fn other_keys_are_left_out_when_they_are_not_wanted() {
    let bench = Bench::new();
    let mut store = bench.store();
    let mut sent = delivered(bench.now(), []);
    sent.events = vec![known_event("a", "jane@example.com", "o-1", "h1").into()];
    store.add(Note::of(&sent, false).unwrap());
    assert_eq!(find(&mut store, "a").len(), 1);
    assert_eq!(find_by(&mut store, &Wanted::order_id("o-1"), 9), []);
    // what is no end is found by its id only
    let policies = vec!["edits"];
    let noted = Ending {
        outcome: Outcome::Accepted { policies },
        ..sent
    };
    store.add(Note::of(&noted, true).unwrap());
    assert_eq!(find(&mut store, "a").len(), 2);
    assert_eq!(find_by(&mut store, &Wanted::order_id("o-1"), 9), []);
}

#[test]
fn many_different_events_of_a_batch_still_make_a_line_that_is_read() {
    let bench = Bench::new();
    let mut store = bench.store();
    let mut sent = delivered(bench.now(), []);
    let changes =
        |n: u64| format!("y{n:x}t{n:x}n{n:x}h{n:x}k{n:x}m{n:x}x{n:x}p{n:x}r{n:x}s{n:x}w{n:x}");
    let name = |n: u64| "\u{1}".repeat(60) + &n.to_string();
    sent.events = (0..200)
        .map(|n| {
            let json = serde_json::json!({"event_name": name(n), "event_time": 1, "event_id": n.to_string(), "action_source": "x"});
            // the encoder's order
            let json = format!(
                r#"{{"event_name":{},"event_time":1,"event_id":"{n}","action_source":"x"}}"#,
                json["event_name"]
            );
            let all = changes(u64::MAX - n);
            EncodedEvent::from_record(json.into())
                .with_changes(Changes::of_record(all.as_bytes()))
                .into()
        })
        .collect();
    let trace_id = Some("\u{1}".repeat(100));
    sent.attempts = vec![
        Attempt {
            trace_id,
            ..tried(1, "transient", Some(1))
        };
        20
    ];
    add(&mut store, &sent);
    let told = |store: &mut Store, n: u64| find(store, &n.to_string()).remove(0);
    let first = told(&mut store, 0);
    assert_eq!(first.event_name, Some(name(0)));
    assert!(!first.changes.is_empty());
    assert_eq!(first.attempts.len(), MAX_ATTEMPTS);
    // from some on only the name, and then not even that
    let later = told(&mut store, 100);
    assert_eq!((later.event_name, later.changes), (Some(name(100)), vec![]));
    assert_eq!(told(&mut store, 199).event_name, None);
}

#[test]
fn events_without_an_id_and_no_receipts_at_all() {
    let bench = Bench::new();
    let receipts = bench.open();
    let json = r#"{"event_name":"Lead","event_time":1,"action_source":"website"}"#;
    let event = EncodedEvent::from_record(json.into());
    let outcome = Outcome::Delivered {
        trace_id: None,
        received: 1,
    };
    receipts.note(ending(bench.now(), outcome, vec![event]));
    assert_eq!(receipts.find("", 100).unwrap(), []);
    assert_eq!(bench.metrics.receipts.get(), 0);

    let off = Receipts::off();
    off.note(delivered(bench.now(), ["a".to_owned()]));
    assert_eq!(off.find("a", 100).unwrap(), []);
    assert!(off.close(Duration::ZERO));
}

#[test]
fn a_crash_loses_only_what_was_not_written() {
    let bench = Bench::new();
    let mut store = bench.store();
    add(&mut store, &delivered(bench.now(), ["written".to_owned()]));
    store.tick();
    add(&mut store, &delivered(bench.now(), ["lost".to_owned()]));
    // no close: the process is gone
    drop(store);
    let mut store = bench.store();
    assert_eq!(find(&mut store, "written").len(), 1);
    assert_eq!(find(&mut store, "lost"), []);
    assert_eq!(bench.names(".head"), [""; 0]);
    assert_eq!(bench.names(".ids"), ["000000000001.ids"]);
}

#[test]
fn torn_and_damaged_files_stop_nothing() {
    let bench = Bench::new();
    let write = |ids: [&str; 2]| {
        let mut store = bench.store();
        for id in ids {
            add(&mut store, &delivered(bench.now(), [id.to_owned()]));
        }
        store.tick();
    };
    // half a line and half an entry at the end
    write(["a", "b"]);
    resize(&bench.path().join("000000000001.lines"), -3, 0);
    resize(&bench.path().join("000000000001.head"), 5, 9);
    let mut store = bench.store();
    assert_eq!(
        (find(&mut store, "a").len(), find(&mut store, "b").len()),
        (1, 0)
    );
    drop(store);

    // a hole where lines should be, as a power cut leaves it
    write(["c", "d"]);
    let lines = bench.names(".lines").pop().unwrap();
    let lines = bench.path().join(lines);
    let mut text = std::fs::read(&lines).unwrap();
    text[..20].fill(0);
    std::fs::write(&lines, text).unwrap();
    let mut store = bench.store();
    assert_eq!(
        (find(&mut store, "c").len(), find(&mut store, "d").len()),
        (0, 1)
    );
    drop(store);

    // a sealed file of a wrong size is left aside, the rest is there
    resize(&bench.path().join("000000000001.ids"), 7, 1);
    let mut store = bench.store();
    assert_eq!(
        (find(&mut store, "a").len(), find(&mut store, "d").len()),
        (0, 1)
    );
    assert_eq!(bench.names(".ids").len(), 2);
    // until it is too old
    bench.sleep(8 * DAY);
    store.tick();
    assert_eq!(RealDisk.list(bench.path()).unwrap(), [""; 0]);
}

#[test]
fn chunks_are_sealed_and_dropped_by_age() {
    let bench = Bench::new();
    let mut store = bench.store().with_chunks_of(10);
    for day in 0..20 {
        let ids = (0..4).map(|n| format!("{day}-{n}"));
        add(&mut store, &delivered(bench.now(), ids));
        store.tick();
        bench.sleep(DAY);
    }
    // now is the 20th day: those after the 13th are within seven days
    for day in 0..20 {
        for n in 0..4 {
            let found = find(&mut store, &format!("{day}-{n}")).len();
            assert_eq!(found, usize::from(day > 13), "day {day}");
        }
    }
    let kept = bench.metrics.receipts.get();
    assert!((24..=40).contains(&kept), "{kept}");
    bench.sleep(9 * DAY);
    store.tick();
    assert_eq!(bench.metrics.receipts.get(), 0);
    assert_eq!(bench.metrics.receipts_bytes.get(), 0);
}

#[test]
fn bytes_are_a_bound() {
    let mut bench = Bench::new();
    bench.max_bytes = 40_000;
    let mut store = bench.store();
    for n in 0..2000 {
        add(&mut store, &delivered(bench.now(), [format!("e{n}")]));
    }
    store.tick();
    let bytes = bench.metrics.receipts_bytes.get();
    assert!((30_000..=40_000).contains(&bytes), "{bytes}");
    let on_disk: u64 = RealDisk
        .list(bench.path())
        .unwrap()
        .iter()
        .map(|name| std::fs::metadata(bench.path().join(name)).unwrap().len())
        .sum();
    assert_eq!(on_disk, bytes as u64);
    let found: Vec<_> = (0..2000)
        .filter(|n| !find(&mut store, &format!("e{n}")).is_empty())
        .collect();
    assert!(found.len() > 100, "{}", found.len());
    // the newest, without a gap
    assert_eq!(found, (2000 - found.len()..2000).collect::<Vec<_>>());
}

#[test]
fn one_of_a_million_is_found() {
    let bench = Bench::new();
    let mut store = bench.store();
    let trace = |batch: u64| format!("trace-{batch}");
    for batch in 0..1000_u64 {
        let id = |n: u64| IdDigest::of((Key::EventId, &(batch * 1000 + n).to_string()));
        let mut note = Note::of(&delivered(bench.now(), ["x".to_owned()]), true).unwrap();
        note.set_ids((0..1000).map(id));
        note.line.trace_id = Some(trace(batch));
        store.add(note);
    }
    store.tick();
    assert_eq!(bench.metrics.receipts.get(), 1_000_000);
    assert!(bench.names(".ids").len() >= 7);
    for n in (0..1_000_000).step_by(997) {
        let found = find(&mut store, &n.to_string());
        assert_eq!(found.len(), 1, "{n}");
        assert_eq!(found[0].trace_id, Some(trace(n / 1000)), "{n}");
    }
    for n in 1_000_000..1_000_300 {
        assert_eq!(find(&mut store, &n.to_string()), [], "{n}");
    }
}

/// The machine's disk, which can be told to fail, or to wait, in every write.
#[derive(Debug, Default)]
struct Moody {
    fails: AtomicBool,
    gate: Mutex<()>,
}

#[derive(Debug)]
struct MoodyDisk(Arc<Moody>);

#[derive(Debug)]
struct MoodyFile(Arc<Moody>, Arc<dyn DiskFile>);

impl Moody {
    fn ask(&self) -> io::Result<()> {
        drop(self.gate.lock().unwrap());
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("moody"));
        }
        Ok(())
    }
}

impl DiskFile for MoodyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.ask()?;
        self.1.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.sync()
    }
    fn allocate(&self, size: u64) -> io::Result<()> {
        self.1.allocate(size)
    }
    fn size(&self) -> io::Result<u64> {
        self.1.size()
    }
}

impl Disk for MoodyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.ask()?;
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(MoodyFile(
            Arc::clone(&self.0),
            RealDisk.create(path)?,
        )))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path)
    }
    fn open_read_only(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open_read_only(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<DirLock> {
        RealDisk.lock(path)
    }
}

fn on_a_moody_disk() -> (Bench, Arc<Moody>) {
    let moody = Arc::new(Moody::default());
    let mut bench = Bench::new();
    bench.disk = Arc::new(MoodyDisk(Arc::clone(&moody)));
    (bench, moody)
}

/// A client that sends one id for all costs no more than another.
#[test]
fn of_an_id_that_all_have_the_newest_are_found() {
    let bench = Bench::new();
    let mut store = bench.store().with_chunks_of(10_000);
    // batches of one event, of two names in turn, over two sealed chunks and a growing one
    for n in 0_u64..25_000 {
        let name = ["Lead", "Buy"][n as usize % 2];
        let name = format!("{name}{}", n % 3);
        let events = vec![event("First", "other"), event(&name, "undefined")];
        let outcome = Outcome::Delivered {
            trace_id: None,
            received: n,
        };
        store.add(Note::of(&ending(bench.now(), outcome, events), true).unwrap());
    }
    for limit in [1, 100, 4999, 5001, 12_345] {
        let found = find_some(&mut store, "undefined", limit);
        let received = found.iter().map(|receipt| receipt.batch_received.unwrap());
        assert!(received.eq((0..25_000).rev().take(limit)), "{limit}");
        assert!(
            found
                .iter()
                .all(|one| one.event_name.as_deref() != Some("First"))
        );
    }
    // and of many in one batch
    let same = (0..1000).map(|_| "same".to_owned());
    add(&mut store, &delivered(bench.now(), same));
    store.close();
    assert_eq!(find_some(&mut store, "same", 101).len(), 101);
}

#[test]
fn a_failing_disk_costs_receipts_for_a_while_only() {
    let (bench, moody) = on_a_moody_disk();
    let mut store = bench.store();
    let one = |store: &mut Store, id: &str| {
        add(store, &delivered(bench.now(), [id.to_owned()]));
        store.tick();
    };
    one(&mut store, "before");
    moody.fails.store(true, Ordering::SeqCst);
    one(&mut store, "while");
    assert_eq!(bench.metrics.receipts_failed.get(), 1);
    assert_eq!(bench.metrics.receipts_lost.get(), 1);
    // it rests, even when the disk is well again
    moody.fails.store(false, Ordering::SeqCst);
    one(&mut store, "resting");
    assert_eq!(bench.metrics.receipts_lost.get(), 2);
    store.rested();
    one(&mut store, "after");
    assert_eq!(bench.metrics.receipts_failed.get(), 0);
    assert_eq!(find(&mut store, "after").len(), 1);
    // what was written before the failure is there again after a restart
    drop(store);
    let mut store = bench.store();
    let found = ["before", "while", "resting", "after"].map(|id| find(&mut store, id).len());
    assert_eq!(found, [1, 0, 0, 1]);
}

#[test]
fn a_directory_that_cannot_be_made_means_no_receipts() {
    let (bench, moody) = on_a_moody_disk();
    moody.fails.store(true, Ordering::SeqCst);
    let receipts = bench.open();
    assert_eq!(bench.metrics.receipts_failed.get(), 1);
    receipts.note(delivered(bench.now(), ["a".to_owned()]));
    assert_eq!(receipts.find("a", 100).unwrap(), []);
}

#[test]
fn a_disk_that_hangs_holds_up_nobody() {
    let (bench, moody) = on_a_moody_disk();
    let receipts = bench.open();
    let gate = moody.gate.lock().unwrap();
    let long = "x".repeat(1000);
    // endings that fill the thread's buffer and then the queue; each is taken or dropped at once
    for n in 0..10_000 {
        receipts.note(delivered(bench.now(), [format!("{long}{n}")]));
    }
    let lost = bench.metrics.receipts_lost.get();
    assert!(lost > 0);
    // events larger than the bound, too, do not pile up in memory
    let large = "x".repeat(MAX_QUEUED_BYTES);
    receipts.note(delivered(bench.now(), [large]));
    assert_eq!(bench.metrics.receipts_lost.get(), lost + 1);
    assert!(!receipts.close(Duration::from_millis(30)));
    drop(gate);
    assert!(receipts.close(Duration::from_secs(30)));
    let all = bench.metrics.receipts.get() as u64 + bench.metrics.receipts_lost.get();
    assert_eq!(all, 10_001);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Note { first: u16, events: u16 },
    Tick,
    Sleep { hours: u8 },
    Restart,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u16..60, 1_u16..8).prop_map(|(first, events)| Step::Note { first, events }),
        2 => Just(Step::Tick),
        1 => (1_u8..60).prop_map(|hours| Step::Sleep { hours }),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// What was noted, is not too old, and was written before a crash, is found: as often as it
    /// was noted.
    #[test]
    fn what_was_noted_is_found(steps in steps()) {
        let bench = Bench::new();
        let mut store = bench.store().with_chunks_of(16);
        // id and moment; those behind `written` are in memory only
        let mut noted: Vec<(u16, UnixMs)> = Vec::new();
        let mut written = 0;
        for step in steps {
            match step {
                Step::Note { first, events } => {
                    let ids = first..first + events;
                    add(&mut store, &delivered(bench.now(), ids.clone().map(|id| id.to_string())));
                    noted.extend(ids.map(|id| (id, bench.now())));
                    // a full chunk is written at once
                    if store.is_written() {
                        written = noted.len();
                    }
                }
                Step::Tick => {
                    store.tick();
                    written = noted.len();
                }
                Step::Sleep { hours } => bench.sleep(Duration::from_hours(hours.into())),
                Step::Restart => {
                    store.close();
                    written = noted.len();
                    drop(store);
                    store = bench.store().with_chunks_of(16);
                }
                Step::Crash => {
                    noted.truncate(written);
                    drop(store);
                    store = bench.store().with_chunks_of(16);
                }
            }
        }
        let oldest = bench.now().0 - (7 * DAY).as_millis() as i64;
        for id in 0_u16..70 {
            let expected = noted.iter().filter(|(one, at)| *one == id && at.0 > oldest).count();
            prop_assert_eq!(find(&mut store, &id.to_string()).len(), expected, "id {}", id);
        }
    }
}

#[test]
fn what_policies_did_is_kept() {
    let bench = Bench::new();
    let mut store = bench.store();
    let kept_back = Outcome::Filtered { policy: "consent" };
    add(
        &mut store,
        &labels(bench.now(), kept_back.clone(), &["a", "", "b"]),
    );
    assert!(Note::of(&labels(bench.now(), kept_back, &[""]), true).is_none());
    let [receipt] = find(&mut store, "b").try_into().unwrap();
    assert_eq!(receipt.state, State::Filtered);
    assert_eq!(receipt.reason.as_deref(), Some("consent"));
    assert_eq!(receipt.event_name.as_deref(), Some("Lead"));
    assert_eq!((receipt.batch, receipt.batch_events), (None, None));

    let policies = vec!["edits", "fan_out"];
    let changed = Outcome::Accepted { policies };
    add(
        &mut store,
        &ending(bench.now(), changed, vec![event("Lead", "c")]),
    );
    let [alone] = gathered(find(&mut store, "c")).try_into().unwrap();
    assert_eq!(alone.state, State::Accepted);
    assert_eq!(alone.policies, ["edits", "fan_out"]);
    add(&mut store, &delivered(bench.now(), ["c".to_owned()]));
    let [receipt] = gathered(find(&mut store, "c")).try_into().unwrap();
    assert_eq!(receipt.state, State::Delivered);
    assert_eq!(receipt.policies, ["edits", "fan_out"]);
}

#[test]
fn what_policies_did_goes_to_the_receipts_of_its_pixel() {
    let note = Receipt {
        policies: vec!["edits".to_owned()],
        ..Receipt::new(pixel(1), State::Accepted)
    };
    let other = Receipt::new(pixel(2), State::Waiting);
    let kept_back = Receipt::new(pixel(1), State::Filtered);
    let all = gathered(vec![other.clone(), note.clone(), kept_back.clone()]);
    assert_eq!(all, [other, kept_back, note.clone()]);
    let held = Receipt::new(pixel(1), State::Held);
    let [held] = gathered(vec![held, note]).try_into().unwrap();
    assert_eq!((held.state, held.policies.len()), (State::Held, 1));
}

#[test]
fn a_line_of_an_earlier_release_is_read() {
    let line =
        r#"{"batch":1,"at":5,"pixel":"7","outcome":"delivered","events":1,"names":["Lead"]}"#;
    let line: super::entry::Line<'_> = serde_json::from_str(line).unwrap();
    assert!(line.policies.is_empty());
    assert!(!serde_json::to_string(&line).unwrap().contains("policies"));
}
