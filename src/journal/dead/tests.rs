//! The dead letters as an operator meets them, on a real disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use super::*;
use crate::journal::envelope::RequestOptions;
use crate::journal::segment::disk::{DirLock, DiskFile, RealDisk};
use crate::pixel::PixelId;

mod crash;

pub(super) const DAY: Duration = Duration::from_hours(24);
const T0: UnixMs = UnixMs(1_795_341_600_000);

fn pixel(id: u64) -> PixelId {
    PixelId::from_u64(id).unwrap()
}

pub(super) fn letter(pixel_id: u64, name: &str, dead_at: UnixMs) -> DeadLetter {
    let json = format!(
        r#"{{"event_name":"{name}","event_time":1795341000,"event_id":"id-1","action_source":"website","user_data":{{"external_id":["x"],"fbp":"fb.1.1.1"}}}}"#
    );
    DeadLetter {
        lane: LaneKey::plain(pixel(pixel_id)),
        event: EncodedEvent::from_record(json.into()),
        seq: 7,
        received_at: UnixMs(1),
        expires_at: UnixMs(2),
        dead_at,
        reason: "expired",
        refusal: None,
    }
}

fn refused(pixel_id: u64, name: &str, dead_at: UnixMs) -> DeadLetter {
    let mut letter = letter(pixel_id, name, dead_at);
    letter.reason = "refused";
    letter.refusal = Some(Refusal {
        code: 100,
        subcode: Some(2_804_050),
        message: Some("Invalid parameter".to_owned()),
        trace_id: Some("Atrace".to_owned()),
    });
    letter.lane.options = Arc::new(RequestOptions {
        test_event_code: Some("TEST1".to_owned()),
        ..RequestOptions::default()
    });
    letter
}

struct Desk {
    base: tempfile::TempDir,
    clock: Clock,
    metrics: Metrics,
    settings: Settings,
}

impl Desk {
    fn new(settings: Settings) -> Self {
        Self {
            base: tempfile::tempdir().unwrap(),
            clock: Clock::manual(T0),
            metrics: Metrics::new().unwrap(),
            settings,
        }
    }

    fn open_on(&self, disk: Arc<dyn Disk>) -> DeadLetters {
        let (clock, metrics) = (self.clock.clone(), &self.metrics);
        DeadLetters::open(self.base.path(), self.settings, disk, clock, metrics).unwrap()
    }

    fn open(&self) -> DeadLetters {
        self.open_on(Arc::new(RealDisk))
    }

    fn file(&self, number: u64) -> PathBuf {
        let name = format!("dead/dead-{number:010}.ndjson");
        self.base.path().join(name)
    }

    /// Two looks: the clock has jumped before the first, not before the second.
    fn housekeep(dead: &DeadLetters) {
        let before = dead.count();
        dead.housekeep();
        assert_eq!(dead.count(), before);
        dead.housekeep();
    }

    fn wait(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    fn purged(&self, bound: &str) -> u64 {
        self.metrics.dead_purged.with_label_values(&[bound]).get()
    }
}

fn all() -> Filter {
    Filter::default()
}

/// Every letter the filter means, page by page.
fn listed(dead: &DeadLetters, filter: &Filter, limit: usize) -> Vec<Letter> {
    let (mut letters, mut after) = (Vec::new(), None);
    loop {
        let page = dead.list(filter, after, limit).unwrap();
        assert!(page.letters.len() <= limit);
        letters.extend(page.letters);
        if page.next.is_none() {
            return letters;
        }
        after = page.next;
    }
}

fn names(dead: &DeadLetters, filter: &Filter) -> Vec<String> {
    let letters = listed(dead, filter, MAX_PAGE).into_iter();
    letters.map(|letter| letter.event_name).collect()
}

#[test]
fn letters_are_lines_of_json_and_are_counted_again_after_a_restart() {
    let desk = Desk::new(Settings::default());
    let dead = desk.open();
    let mut broken = letter(7, "a", T0);
    broken.event = EncodedEvent::from_record("{\"b\":\n[1,\r\n2]}".into());
    dead.append(&[broken, refused(7, "b", T0)]).unwrap();
    dead.append(&[letter(7, "c", T0)]).unwrap();
    dead.append(&[]).unwrap();
    assert_eq!(dead.count(), 3);
    let text = std::fs::read_to_string(desk.file(1)).unwrap();
    assert_eq!(text.len() as u64, dead.bytes());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"v":1,"id":"1-0","pixel":"7","reason":"expired","received_at":1,"expires_at":2,"dead_at":1795341600000,"seq":7,"event":{"b": [1,  2]}}"#
    );
    let value: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(value["id"], format!("1-{}", lines[0].len() + 1));
    assert_eq!(value["options"]["test_event_code"], "TEST1");
    assert_eq!(value["refusal"]["subcode"], 2_804_050);
    let before = listed(&dead, &all(), 10);
    drop(dead);

    // a torn line at the end of the old file
    let file = RealDisk.open(&desk.file(1)).unwrap();
    file.write_at(b"{\"v\":1,\"pix", text.len() as u64).unwrap();
    let dead = desk.open();
    assert_eq!(desk.metrics.dead_damaged.get(), 1);
    assert_eq!(dead.count(), 3);
    assert_eq!(listed(&dead, &all(), 10), before);
    dead.append(&[letter(7, "d", T0)]).unwrap();
    assert_eq!(dead.count(), 4);
    assert!(desk.file(2).exists());
    assert_eq!(desk.open().count(), 4);
    assert_eq!(desk.metrics.dead_letters.get(), 4);
}

#[test]
fn old_lines_have_their_place_for_an_id_and_keep_it() {
    let desk = Desk::new(Settings::default());
    drop(desk.open());
    let old = |name: &str| {
        format!(
            r#"{{"v":1,"pixel":"7","reason":"expired","received_at":1,"expires_at":2,"dead_at":1795341600000,"event":{{"event_name":"{name}","event_time":5,"action_source":"app"}}}}"#
        ) + "\n"
    };
    let (a, b, c) = (old("a"), old("b"), old("c"));
    let damaged = "{\"v\":2,\"what\":\"is this\"}\nnot json\n\n";
    let text = format!("{a}{damaged}{b}{c}");
    let file = RealDisk.create(&desk.file(4)).unwrap();
    file.write_at(text.as_bytes(), 0).unwrap();

    let dead = desk.open();
    assert_eq!(dead.count(), 3);
    assert_eq!(desk.metrics.dead_damaged.get(), 3);
    let letters = listed(&dead, &all(), 10);
    let ids: Vec<String> = letters.iter().map(|l| l.id.to_string()).collect();
    let b_at = a.len() + damaged.len();
    assert_eq!(
        ids,
        [
            "4-0",
            &format!("4-{b_at}"),
            &format!("4-{}", b_at + b.len())
        ]
    );
    assert_eq!(letters[0].class, "app");
    assert_eq!(letters[0].event_id, None);

    assert_eq!(dead.remove(&[letters[0].id]).unwrap(), 1);
    for dead in [dead, desk.open()] {
        assert_eq!(listed(&dead, &all(), 10), letters[1..]);
        assert_eq!(
            dead.list(&all(), Some(letters[1].id), 10).unwrap().letters,
            letters[2..]
        );
        assert!(dead.show(letters[2].id, View::Masked).unwrap().is_some());
        assert!(dead.show(letters[0].id, View::Masked).unwrap().is_none());
    }
    // what is no letter stays for somebody to look at
    let text = std::fs::read_to_string(desk.file(4)).unwrap();
    assert!(text.starts_with(damaged));
}

#[test]
fn every_condition_of_a_filter_counts() {
    let desk = Desk::new(Settings::default());
    let dead = desk.open();
    let hour = Duration::from_hours(1);
    dead.append(&[letter(1, "a", T0), refused(1, "b", T0.plus(hour))])
        .unwrap();
    dead.append(&[
        letter(2, "c", T0.plus(hour * 2)),
        refused(2, "a", T0.plus(hour * 3)),
    ])
    .unwrap();
    desk.wait(hour * 3);
    let ids: Vec<LetterId> = listed(&dead, &all(), 1).iter().map(|l| l.id).collect();
    let cases: [(Filter, &[&str]); 12] = [
        (all(), &["a", "b", "c", "a"]),
        (
            Filter {
                pixel: Some(pixel(1)),
                ..all()
            },
            &["a", "b"],
        ),
        (
            Filter {
                pixel: Some(pixel(3)),
                ..all()
            },
            &[],
        ),
        (
            Filter {
                reason: Some("refused".to_owned()),
                ..all()
            },
            &["b", "a"],
        ),
        (
            Filter {
                event_name: Some("a".to_owned()),
                ..all()
            },
            &["a", "a"],
        ),
        (
            Filter {
                code: Some(Number::Is(100)),
                ..all()
            },
            &["b", "a"],
        ),
        (
            Filter {
                code: Some(Number::Is(190)),
                ..all()
            },
            &[],
        ),
        (
            Filter {
                subcode: Some(Number::Is(2_804_050)),
                pixel: Some(pixel(2)),
                ..all()
            },
            &["a"],
        ),
        (
            Filter {
                older_than: Some(hour * 2),
                ..all()
            },
            &["a", "b"],
        ),
        (
            Filter {
                newer_than: Some(hour * 2),
                ..all()
            },
            &["c", "a"],
        ),
        (
            Filter {
                older_than: Some(hour),
                newer_than: Some(hour * 2),
                ..all()
            },
            &["c"],
        ),
        (
            Filter {
                ids: vec![ids[3], ids[1], ids[1]],
                ..all()
            },
            &["b", "a"],
        ),
    ];
    for (filter, expected) in &cases {
        assert_eq!(names(&dead, filter), *expected, "{filter:?}");
        let matched = expected.len() as u64;
        assert_eq!(dead.purge(filter, true).unwrap(), matched, "{filter:?}");
        let mut out = Vec::new();
        assert_eq!(dead.export(filter, &mut out).unwrap(), matched);
        assert_eq!(
            String::from_utf8(out).unwrap().lines().count() as u64,
            matched
        );
        let json = serde_json::to_string(filter).unwrap();
        assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), *filter);
    }
    assert_eq!(dead.count(), 4);
    let groups = dead.summary();
    let sums: Vec<(u64, &str, u64)> = (groups.iter())
        .map(|g| (g.pixel.get(), g.reason.as_str(), g.letters))
        .collect();
    assert_eq!(
        sums,
        [
            (1, "expired", 1),
            (1, "refused", 1),
            (2, "expired", 1),
            (2, "refused", 1)
        ]
    );
}

#[test]
fn a_letter_is_shown_with_what_is_known_and_masked() {
    let desk = Desk::new(Settings::default());
    let dead = desk.open();
    dead.append(&[letter(1, "a", T0), refused(2, "b", T0)])
        .unwrap();
    let page = dead.list(&all(), None, 1).unwrap();
    assert_eq!(page.next, Some(page.letters[0].id));
    let page = dead.list(&all(), page.next, 1).unwrap();
    assert_eq!(page.next, None);
    let id = page.letters[0].id;
    let shown = dead.show(id, View::default()).unwrap().unwrap();
    assert_eq!(shown.letter, page.letters[0]);
    let value = serde_json::to_value(&shown).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "id": id.to_string(), "pixel": "2", "class": "rest", "reason": "refused",
            "event_name": "b", "event_id": "id-1", "event_time": 1_795_341_000,
            "action_source": "website", "received_at": 1, "expires_at": 2, "dead_at": T0.0,
            "code": 100, "subcode": 2_804_050, "message": "Invalid parameter",
            "trace_id": "Atrace", "options": {"test_event_code": "TEST1"},
            "event": {
                "event_name": "b", "event_time": 1_795_341_000, "event_id": "id-1",
                "action_source": "website",
                "user_data": {"external_id": "[masked]", "fbp": "[masked]"},
            },
        })
    );
    let clear = dead.show(id, View::Clear).unwrap().unwrap();
    assert!(clear.event.get().contains("fb.1.1.1"));
    let list = serde_json::to_string(&dead.list(&all(), None, 10).unwrap()).unwrap();
    assert!(!list.contains("fb.1.1.1"));
    let none = LetterId { file: 9, offset: 0 };
    assert!(dead.show(none, View::Clear).unwrap().is_none());
}

#[test]
fn the_oldest_file_makes_room() {
    let desk = Desk::new(Settings {
        max_bytes: 8_000,
        ..Settings::default()
    });
    let dead = desk.open();
    let mut written = 0;
    while desk.purged("dead_max_bytes") == 0 {
        dead.append(&[letter(1, &format!("e{written}"), T0)])
            .unwrap();
        written += 1;
        assert!(dead.bytes() <= 8_000);
        assert!(written < 100, "no letter was purged");
    }
    let gone = desk.purged("dead_max_bytes");
    assert_eq!(dead.count() + gone, written);
    // an eighth at most, and the oldest
    assert!(gone <= written / 7, "{gone} of {written}");
    assert_eq!(names(&dead, &all())[0], format!("e{gone}"));
    assert!(!desk.file(1).exists());
    assert!(desk.metrics.dead_letters_fill.get() > 80);

    // a call that is larger than a file is spread over several
    let many: Vec<DeadLetter> = (0..20).map(|n| letter(1, &format!("m{n}"), T0)).collect();
    dead.append(&many).unwrap();
    assert!(dead.bytes() <= 8_000);
    let kept = names(&dead, &all());
    let last: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
    assert!(kept.ends_with(&last), "{kept:?}");

    // only what is larger than the bound is refused, and costs nobody his place
    let mut huge = letter(1, "huge", T0);
    huge.event = EncodedEvent::from_record(format!("{{\"x\":\"{}\"}}", "x".repeat(8_000)).into());
    let count = dead.count();
    assert_eq!(dead.append(&[huge]).unwrap_err().code(), "dead_full");
    assert_eq!(dead.count(), count);
    let mut large = letter(1, "large", T0);
    large.event = EncodedEvent::from_record(format!("{{\"x\":\"{}\"}}", "x".repeat(7_000)).into());
    dead.append(&[large]).unwrap();
    assert!(dead.bytes() <= 8_000);
    assert_eq!(dead.count(), listed(&dead, &all(), 10).len() as u64);
    assert_eq!(desk.open().count(), dead.count());
}

#[test]
fn a_lower_bound_is_met_at_the_start() {
    let mut desk = Desk::new(Settings::default());
    let dead = desk.open();
    dead.append(&[letter(1, "old", T0)]).unwrap();
    drop(dead);
    desk.open().append(&[letter(1, "new", T0)]).unwrap();
    desk.settings.max_bytes = 400;
    assert_eq!(names(&desk.open(), &all()), ["new"]);
    assert_eq!(desk.purged("dead_max_bytes"), 1);
}

#[test]
fn letters_go_when_they_are_too_old() {
    let desk = Desk::new(Settings {
        max_age: DAY * 80,
        ..Settings::default()
    });
    let dead = desk.open();
    dead.append(&[letter(1, "first", T0)]).unwrap();
    // within an eighth of the bound it shares the file, later it does not
    desk.wait(DAY * 10);
    dead.append(&[letter(1, "second", desk.clock.now())])
        .unwrap();
    desk.wait(DAY);
    dead.append(&[letter(1, "third", desk.clock.now())])
        .unwrap();
    assert!(desk.file(2).exists() && !desk.file(3).exists());
    assert_eq!(dead.oldest(), Some(T0));
    assert_eq!(desk.metrics.dead_letters_oldest.get(), 11 * 86_400);
    assert_eq!(desk.metrics.dead_letters_fill.get(), 13);

    desk.clock.set(T0.plus(DAY * 64));
    Desk::housekeep(&dead);
    assert_eq!(desk.metrics.dead_letters_fill.get(), 80);
    desk.clock.set(UnixMs(T0.plus(DAY * 90).0 - 1));
    Desk::housekeep(&dead);
    assert_eq!(dead.count(), 3);
    // a millisecond is no jump
    desk.clock.set(T0.plus(DAY * 90));
    dead.housekeep();
    assert_eq!(names(&dead, &all()), ["third"]);
    assert_eq!(desk.purged("dead_max_age"), 2);
    assert_eq!(desk.metrics.dead_letters.get(), 1);

    // after a start, too
    desk.clock.set(T0.plus(DAY * 91));
    drop(dead);
    let dead = desk.open();
    assert_eq!(dead.count(), 1);
    Desk::housekeep(&dead);
    assert_eq!(dead.count(), 0);
    assert_eq!(desk.purged("dead_max_age"), 3);
    assert_eq!(desk.metrics.dead_letters_fill.get(), 0);
}

#[test]
fn a_clock_that_is_wrong_for_a_moment_costs_no_letter() {
    let desk = Desk::new(Settings::default());
    desk.open().append(&[letter(1, "a", T0)]).unwrap();
    // also when it is wrong at a start
    desk.clock.set(T0.plus(DAY * 4000));
    let dead = desk.open();
    dead.housekeep();
    desk.clock.set(T0);
    dead.housekeep();
    for _ in 0..3 {
        dead.housekeep();
        desk.clock.set(T0.plus(DAY * 4000));
        dead.housekeep();
        dead.append(&[letter(1, "b", desk.clock.now())]).unwrap();
        desk.clock.set(T0);
        dead.housekeep();
    }
    assert_eq!((dead.count(), desk.purged("dead_max_age")), (4, 0));
}

#[test]
fn the_operator_is_warned_once() {
    let desk = Desk::new(Settings {
        max_age: DAY * 100,
        ..Settings::default()
    });
    let dead = desk.open();
    dead.append(&[letter(1, "a", T0)]).unwrap();
    let warned = || locked(&dead.shelf).warned;
    desk.wait(DAY * 79);
    dead.housekeep();
    assert!(!warned());
    desk.wait(DAY);
    dead.housekeep();
    assert!(warned());
    // it fell below: the next time is news again
    assert_eq!(dead.purge(&all(), false).unwrap(), 1);
    assert!(!warned());
    assert_eq!(desk.purged("operator"), 1);
    assert!(!desk.file(1).exists());
}

#[test]
fn removals_and_appends_to_the_same_file_do_not_meet() {
    let desk = Desk::new(Settings::default());
    let dead = desk.open();
    dead.append(&[letter(1, "a", T0), letter(1, "b", T0)])
        .unwrap();
    let a = dead.list(&all(), None, 1).unwrap().letters[0].id;
    assert_eq!(dead.remove(&[a, a]).unwrap(), 1);
    assert_eq!(dead.remove(&[a]).unwrap(), 0);
    assert_eq!(dead.remove(&[]).unwrap(), 0);
    dead.append(&[letter(1, "c", T0)]).unwrap();
    assert!(desk.file(2).exists());
    assert_eq!(names(&dead, &all()), ["b", "c"]);
    assert_eq!(
        dead.bytes(),
        [1, 2]
            .map(|n| desk.file(n).metadata().unwrap().len())
            .iter()
            .sum::<u64>()
    );

    // the name of a letter is never given twice
    assert_eq!(dead.purge(&all(), false).unwrap(), 2);
    dead.append(&[letter(1, "d", T0)]).unwrap();
    assert_eq!(dead.list(&all(), None, 1).unwrap().letters[0].id.file(), 3);
}

#[test]
fn listing_goes_on_while_letters_come_and_go() {
    let desk = Desk::new(Settings {
        max_bytes: 200_000,
        ..Settings::default()
    });
    let dead = desk.open();
    let done = AtomicBool::new(false);
    let damaged = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                let letters: Vec<DeadLetter> = (0..5)
                    .map(|m| letter(m % 3 + 1, &format!("e{n}-{m}"), T0))
                    .collect();
                dead.append(&letters).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let remover = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let filter = Filter {
                    pixel: Some(pixel(2)),
                    ..all()
                };
                dead.purge(&filter, false).unwrap();
            }
        });
        while !remover.is_finished() {
            let letters = listed(&dead, &all(), 7);
            assert!(letters.is_sorted_by_key(|letter| letter.id));
            assert!(
                letters
                    .iter()
                    .all(|letter| letter.event_name.starts_with('e'))
            );
        }
        desk.metrics.dead_damaged.get()
    });
    assert_eq!(damaged, 0);
    let letters = listed(&dead, &all(), MAX_PAGE);
    assert_eq!(dead.count(), letters.len() as u64);
    assert_eq!(desk.open().count(), dead.count());
    let purged = desk.purged("operator") + desk.purged("dead_max_bytes");
    assert_eq!(purged + dead.count(), 1_500);
}

/// The machine's disk, counting.
#[derive(Debug, Default)]
struct Counting {
    read: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    longest: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn DiskFile>,
    read: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    longest: Arc<AtomicU64>,
}

impl Counting {
    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(CountingFile {
            file,
            read: Arc::clone(&self.read),
            written: Arc::clone(&self.written),
            longest: Arc::clone(&self.longest),
        })
    }
}

impl DiskFile for CountingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.longest.fetch_max(buf.len() as u64, Ordering::SeqCst);
        let read = self.file.read_at(buf, offset)?;
        self.read.fetch_add(read as u64, Ordering::SeqCst);
        Ok(read)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.longest.fetch_max(bytes.len() as u64, Ordering::SeqCst);
        self.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        self.file.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn allocate(&self, size: u64) -> io::Result<()> {
        self.file.allocate(size)
    }
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}

impl Disk for Counting {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.open(path)?))
    }
    fn open_read_only(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.open_read_only(path)?))
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

#[test]
fn a_hundred_thousand_letters_cost_what_they_should() {
    const LETTERS: u64 = 100_000;
    let desk = Desk::new(Settings::default());
    let disk = Counting::default();
    let (read, written, longest) = (
        Arc::clone(&disk.read),
        Arc::clone(&disk.written),
        Arc::clone(&disk.longest),
    );
    let dead = desk.open_on(Arc::new(disk));
    let batch: Vec<DeadLetter> = (0..1000).map(|n| letter(n % 2 + 1, "e", T0)).collect();
    for _ in 0..LETTERS / 1000 {
        dead.append(&batch).unwrap();
    }
    let bytes = dead.bytes();
    assert_eq!(written.load(Ordering::SeqCst), bytes);
    longest.store(0, Ordering::SeqCst);

    // page after page: each byte is read once, but for what a page reads ahead
    let (mut seen, mut pages, mut after, mut odd) = (0, 0, None, Vec::new());
    loop {
        let page = dead.list(&all(), after, MAX_PAGE).unwrap();
        seen += page.letters.len() as u64;
        pages += 1;
        let ids = page.letters.iter().filter(|l| l.pixel == pixel(1));
        odd.extend(ids.map(|letter| letter.id));
        if page.next.is_none() {
            break;
        }
        after = page.next;
    }
    let ahead = 300 << 10;
    assert_eq!((seen, pages), (LETTERS, 100));
    assert!(read.load(Ordering::SeqCst) <= bytes + pages * ahead);
    assert!(longest.load(Ordering::SeqCst) <= ahead, "memory for a page");

    // half of all letters: every file is written once
    written.store(0, Ordering::SeqCst);
    read.store(0, Ordering::SeqCst);
    longest.store(0, Ordering::SeqCst);
    assert_eq!(dead.remove(&odd).unwrap(), LETTERS / 2);
    assert_eq!(written.load(Ordering::SeqCst), dead.bytes());
    assert!(dead.bytes() <= bytes / 2 + 1000);
    assert!(read.load(Ordering::SeqCst) <= 3 * bytes);
    assert!(
        longest.load(Ordering::SeqCst) <= 2 << 20,
        "memory for a chunk"
    );
    assert_eq!(dead.count(), LETTERS / 2);
    let rest = dead.list(&all(), odd.last().copied(), 10).unwrap().letters;
    assert_eq!(rest.len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_it() {
    let desk = Desk::new(Settings::default());
    let dead = desk.open();
    dead.append(&[letter(1, "a", T0)]).unwrap();
    drop(dead);
    RealDisk.create_dir(&desk.file(5)).unwrap();
    let dead = desk.open();
    assert_eq!(desk.metrics.dead_damaged.get(), 1);
    dead.append(&[letter(1, "b", T0)]).unwrap();
    assert_eq!(names(&dead, &all()), ["a", "b"]);
    assert!(desk.file(6).exists());
}

fn valued(mut letter: DeadLetter, value: &str, subcode: Option<i64>) -> DeadLetter {
    let json = format!(
        r#"{{"event_name":"a","event_time":1795341000,"event_id":"v{value}","action_source":"website","custom_data":{{"value":{value},"currency":"EUR"}}}}"#
    );
    letter.event = EncodedEvent::from_record(json.into());
    if let Some(refusal) = &mut letter.refusal {
        refusal.subcode = subcode;
    }
    letter
}

#[test]
fn letters_that_are_alike_are_summed_through_removals_and_restarts() {
    let desk = Desk::new(Settings::default());
    let dead = desk.open();
    let later = T0.plus(DAY);
    dead.append(&[
        valued(refused(1, "a", T0), "10", None),
        valued(refused(1, "a", T0), "1", Some(7)),
        refused(1, "a", T0),
    ])
    .unwrap();
    dead.append(&[valued(refused(1, "a", later), "2.5", Some(7))])
        .unwrap();
    let told = |(alike, sum): (Alike, Sum)| {
        let eur = sum.money.get("EUR").copied();
        (alike.subcode, sum.letters, sum.valued, eur, sum.last)
    };
    let sums = |dead: &DeadLetters| -> Vec<_> { dead.sums().into_iter().map(told).collect() };
    let all = [
        (None, 1, 1, Some(10.0), T0),
        (Some(7), 2, 2, Some(3.5), later),
        (Some(2_804_050), 1, 0, None, T0),
    ];
    assert_eq!(sums(&dead), all);
    assert_eq!(sums(&desk.open()), all, "nothing is closed after a crash");

    // a code without a subcode means those without one
    let bare = Filter {
        code: Some(Number::Is(100)),
        subcode: Some(Number::None),
        ..all_of(1)
    };
    let exact = Filter {
        subcode: Some(Number::Is(7)),
        ..bare.clone()
    };
    assert_eq!(names(&dead, &bare).len(), 1);
    assert_eq!(names(&dead, &exact).len(), 2);
    let json = serde_json::to_string(&bare).unwrap();
    assert!(json.contains(r#""subcode":"none""#), "{json}");
    assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), bare);
    assert!(serde_json::from_str::<Filter>(r#"{"code":"x"}"#).is_err());

    let ids = dead.newest_ids(1, u64::MAX).unwrap();
    let ids: Vec<&str> = ids.values().map(|ids| ids[0].as_str()).collect();
    assert_eq!(ids, ["v10", "v2.5", "id-1"]);
    assert!(dead.newest_ids(1, 0).unwrap().is_empty());

    assert_eq!(dead.purge(&bare, false).unwrap(), 1);
    assert_eq!(sums(&dead), all[1..]);
    assert_eq!(sums(&desk.open()), all[1..]);
}

fn all_of(id: u64) -> Filter {
    Filter {
        pixel: Some(pixel(id)),
        ..all()
    }
}
