use std::os::unix::fs::MetadataExt;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    metrics: Metrics,
    configured: Configured,
    production: bool,
}

fn pixel(id: u64) -> PixelId {
    PixelId::from_u64(id).unwrap()
}

fn code(text: &str, until: Option<UnixMs>, mirror: bool) -> Code {
    Code {
        code: text.to_owned(),
        until,
        mirror,
    }
}

impl Bench {
    /// Pixels 1 and 2; the source `shop` may post to both.
    fn new() -> Self {
        let rule = SourceRule {
            pixels: [pixel(1), pixel(2)].into(),
            ..SourceRule::default()
        };
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Clock::manual(UnixMs::from_secs(1_800_000_000)),
            metrics: Metrics::new().unwrap(),
            configured: Configured {
                pixels: [(pixel(1), None), (pixel(2), None)].into(),
                sources: [("shop".to_owned(), rule)].into(),
            },
            production: false,
        }
    }

    fn open(&self) -> TestMode {
        TestMode::open(
            self.dir.path(),
            self.configured.clone(),
            self.production,
            self.clock.clone(),
            self.metrics.clone(),
        )
    }

    fn shop(&mut self) -> &mut SourceRule {
        self.configured.sources.get_mut("shop").unwrap()
    }

    fn pass(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    /// The code and the mirror's code for an event of `shop`.
    fn choice(&self, mode: &TestMode, id: u64) -> (Option<String>, Option<String>) {
        let choice = mode.choose(pixel(id), "shop", None, self.clock.now());
        assert!(!choice.left_out);
        (choice.code, choice.mirror)
    }

    fn gauge(&self, id: u64) -> i64 {
        let id = id.to_string();
        let gauge = &self.metrics.test_mode_active;
        gauge.with_label_values(&[id.as_str()]).get()
    }
}

fn coded(text: &str) -> (Option<String>, Option<String>) {
    (Some(text.to_owned()), None)
}

#[test]
fn the_narrowest_code_wins_and_each_ends_at_its_time() {
    let mut bench = Bench::new();
    let now = bench.clock.now();
    let own = code("PIXEL", Some(now.plus(HOUR * 4)), false);
    bench.configured.pixels.insert(pixel(1), Some(own));
    bench.shop().code = Some(code("SHOP", Some(now.plus(HOUR * 3)), true));
    let mode = bench.open();
    assert_eq!(bench.choice(&mode, 1), (None, Some("SHOP".to_owned())));
    let other = mode.choose(pixel(1), "other", None, now);
    assert_eq!(other.code.as_deref(), Some("PIXEL"));
    mode.start(pixel(1), "RUN".to_owned(), HOUR, false).unwrap();
    assert_eq!(bench.choice(&mode, 1), coded("RUN"));
    assert_eq!(bench.choice(&mode, 2), (None, Some("SHOP".to_owned())));
    bench.pass(Duration::from_millis(3_599_999));
    assert_eq!(bench.choice(&mode, 1), coded("RUN"));
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.choice(&mode, 1), (None, Some("SHOP".to_owned())));
    bench.pass(HOUR * 2);
    assert_eq!(bench.choice(&mode, 1), coded("PIXEL"));
    mode.show();
    assert_eq!((bench.gauge(1), bench.gauge(2)), (1, 0));
    bench.pass(HOUR);
    assert_eq!(bench.choice(&mode, 1), (None, None));
    mode.show();
    assert_eq!(bench.gauge(1), 0);
    let states: Vec<Standing> = mode.list().iter().map(|entry| entry.state).collect();
    assert_eq!(states, [Standing::Ended; 4]);
}

#[test]
fn a_client_may_bring_a_code_only_where_its_source_says_so() {
    let mut bench = Bench::new();
    let (mode, now) = (bench.open(), bench.clock.now());
    let client = || Some("CLIENT".to_owned());
    let choice = mode.choose(pixel(1), "shop", client(), now);
    assert_eq!(
        (choice.code, choice.mirror, choice.left_out),
        (None, None, true)
    );
    mode.start(pixel(1), "RUN".to_owned(), HOUR, false).unwrap();
    let choice = mode.choose(pixel(1), "shop", client(), now);
    assert_eq!(
        (choice.code.as_deref(), choice.left_out),
        (Some("RUN"), true)
    );
    bench.shop().takes_clients = true;
    mode.apply(bench.configured.clone());
    let choice = mode.choose(pixel(1), "shop", client(), now);
    assert_eq!((choice.code, choice.left_out), (client(), false));
    assert_eq!(mode.open_sources(pixel(1)), ["shop"]);
}

#[test]
fn what_was_started_lasts_across_a_restart_until_its_time() {
    let bench = Bench::new();
    let mode = bench.open();
    mode.start(pixel(1), "RUN".to_owned(), HOUR * 2, true)
        .unwrap();
    mode.start(pixel(2), "SHORT".to_owned(), HOUR / 2, false)
        .unwrap();
    let path = path(bench.dir.path());
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    bench.pass(HOUR);
    let again = bench.open();
    assert_eq!(again.list(), mode.list());
    assert_eq!(bench.choice(&again, 1), (None, Some("RUN".to_owned())));
    assert_eq!(bench.choice(&again, 2), (None, None));
    let started = started(bench.dir.path(), bench.clock.now()).unwrap();
    assert_eq!(started.into_keys().collect::<Vec<_>>(), [pixel(1)]);
    bench.pass(HOUR);
    assert_eq!(bench.choice(&bench.open(), 1), (None, None));
    // longer than anyone needs is cut
    let entry = again.start(pixel(1), "RUN".to_owned(), MAX_SPAN * 2, false);
    let until = bench.clock.now().plus(MAX_SPAN);
    assert_eq!(entry.unwrap().until, Some(until.0));
}

#[test]
fn a_stop_holds_until_the_configured_value_changes() {
    let mut bench = Bench::new();
    let own = |text| Some(code(text, None, false));
    bench.configured.pixels.insert(pixel(1), own("PIXEL"));
    bench.shop().code = own("SHOP");
    let mode = bench.open();
    mode.start(pixel(1), "RUN".to_owned(), HOUR, false).unwrap();
    let stopped = mode.stop(pixel(1)).unwrap();
    let codes: Vec<&str> = stopped.stopped.iter().map(|one| &*one.code).collect();
    assert_eq!(codes, ["RUN", "SHOP", "PIXEL"]);
    let keys = ["sources.shop.test_event_code", "pixels.1.test_event_code"];
    assert_eq!(stopped.keys, keys);
    assert_eq!(bench.choice(&mode, 1), (None, None));
    // the source's events for another pixel are not meant
    assert_eq!(bench.choice(&mode, 2), coded("SHOP"));
    let again = mode.stop(pixel(1)).unwrap();
    assert_eq!((again.stopped.len(), again.keys.len()), (0, 2));
    let mode = bench.open();
    assert_eq!(bench.choice(&mode, 1), (None, None));
    assert!(!mode.apply(bench.configured.clone()));
    assert_eq!(bench.choice(&mode, 1), (None, None));
    // another value is a new decision, and so is the same one put back
    let before = bench.configured.clone();
    bench.configured.pixels.insert(pixel(1), own("NEW"));
    assert!(mode.apply(bench.configured.clone()));
    mode.save();
    assert_eq!(bench.choice(&mode, 1), coded("NEW"));
    mode.apply(before.clone());
    assert_eq!(bench.choice(&mode, 1), coded("PIXEL"));
    bench.configured = before;
    assert_eq!(bench.choice(&bench.open(), 1), coded("PIXEL"));
}

#[test]
fn a_damaged_file_starts_nothing_and_is_replaced_by_the_next_change() {
    let mut bench = Bench::new();
    let own = code("PIXEL", None, false);
    bench.configured.pixels.insert(pixel(2), Some(own));
    bench
        .open()
        .start(pixel(1), "RUN".to_owned(), HOUR, false)
        .unwrap();
    let path = path(bench.dir.path());
    let good = crate::private_file::read(&path, store::MAX_FILE)
        .unwrap()
        .unwrap();
    let good = String::from_utf8(good).unwrap();
    for bad in [
        "",
        "{",
        "[]",
        &good.replace("\"version\":1", "\"version\":2"),
    ] {
        crate::private_file::replace(&path, bad.as_bytes(), store::MAX_FILE).unwrap();
        assert!(
            started(bench.dir.path(), bench.clock.now()).is_err(),
            "{bad}"
        );
        let mode = bench.open();
        assert_eq!(bench.choice(&mode, 1), (None, None), "{bad}");
        assert_eq!(bench.choice(&mode, 2), coded("PIXEL"));
    }
    let mode = bench.open();
    mode.stop(pixel(2)).unwrap();
    assert_eq!(bench.choice(&bench.open(), 2), (None, None));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    let mode = bench.open();
    let start = |mode: &TestMode, id, text: &str| {
        let started = mode.start(pixel(id), text.to_owned(), HOUR, false);
        started.map(drop).map_err(|error| error.code())
    };
    assert_eq!(start(&mode, 3, "RUN"), Err("unknown_pixel"));
    assert_eq!(start(&mode, 1, "not a code"), Err("bad_test_code"));
    assert_eq!(mode.stop(pixel(3)).unwrap_err().code(), "unknown_pixel");
    assert!(!path(bench.dir.path()).exists());
    bench.production = true;
    assert_eq!(start(&bench.open(), 1, "RUN"), Err("production"));
    // a directory in its place: it cannot be written
    std::fs::create_dir_all(path(bench.dir.path()).join("x")).unwrap();
    assert_eq!(start(&mode, 1, "RUN"), Err("test_mode_file"));
    assert_eq!(mode.list(), []);
}
