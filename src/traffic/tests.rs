use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn pixel(id: u64) -> PixelId {
    PixelId::from_u64(id).unwrap()
}

fn bench() -> (Traffic, Clock) {
    let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
    let traffic = Traffic::new([pixel(1), pixel(2)].into_iter(), clock.clone());
    (traffic, clock)
}

fn lead(keys: &[&'static str]) -> Tally {
    let mut tally = Tally::of("shop".into());
    tally.event("Lead", true, keys.iter().copied(), 0);
    tally
}

fn ended(name: &str, count: usize) -> Ended<'_> {
    Ended::of(std::iter::repeat_n(name.into(), count))
}

fn cells(traffic: &Traffic, id: u64, hours: u64) -> Vec<Cell> {
    let mut all = Vec::new();
    let window = Duration::from_hours(hours);
    let stretch = traffic.stretch(window, None);
    traffic.cells(Some(pixel(id)), &stretch, &mut |_, cell| all.push(cell));
    all
}

fn hour(traffic: &Traffic, id: u64) -> Report {
    traffic.report(pixel(id), WINDOW).unwrap()
}

#[test]
fn a_request_is_counted_by_all_that_it_brought() {
    let (traffic, _) = bench();
    let mut tally = lead(&["em", "fbp"]);
    tally.event("Buy", false, ["em"].into_iter(), 90);
    tally.coded();
    tally.warning("alias");
    tally.warning("alias");
    tally.refused("Lead", None, "missing");
    tally.filtered("Lead", None, "consent");
    traffic.taken(pixel(1), tally);
    traffic.delivered(pixel(1), &ended("Lead", 3));
    let death = Death {
        reason: "refused",
        code: Some(100),
        subcode: Some(2_804_009),
    };
    traffic.dead(pixel(1), death, &ended("Lead", 4));
    let report = hour(&traffic, 1);
    let counts = |pairs: &[(&str, u64)]| {
        let pairs = pairs
            .iter()
            .map(|(label, count)| ((*label).to_owned(), *count));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let expected = Report {
        window_seconds: 3600,
        covered_seconds: 0,
        events: 2,
        coded: 2,
        delivered: 3,
        with_event_id: 1,
        names: counts(&[("Buy", 1), ("Lead", 1)]),
        match_keys: counts(&[("em", 2), ("fbp", 1)]),
        warnings: counts(&[("alias", 2)]),
        refused: counts(&[("missing", 1)]),
        filtered: counts(&[("consent", 1)]),
        dead: vec![Dead { death, events: 4 }],
    };
    assert_eq!(report, expected);
    // another pixel's are others, and none are kept of strangers
    assert_eq!(hour(&traffic, 2).events, 0);
    traffic.taken(pixel(3), lead(&[]));
    assert_eq!(traffic.report(pixel(3), WINDOW), None);
}

#[test]
fn minutes_leave_after_an_hour_and_the_window_may_be_shorter() {
    let (traffic, clock) = bench();
    for _ in 0..90 {
        traffic.taken(pixel(1), lead(&["em"]));
        clock.set(clock.now().plus(MINUTE));
    }
    // the present minute is empty so far
    assert_eq!(hour(&traffic, 1).events, 59);
    assert_eq!(hour(&traffic, 1).match_keys["em"], 59);
    assert_eq!(hour(&traffic, 1).covered_seconds, 3600);
    let ten = traffic.report(pixel(1), MINUTE * 10).unwrap();
    assert_eq!((ten.events, ten.window_seconds), (9, 600));
    let least = traffic.report(pixel(1), Duration::ZERO).unwrap();
    assert_eq!((least.events, least.window_seconds), (0, 60));
    // back: what is counted is not lost, and nothing of the hour goes
    clock.set(UnixMs::from_secs(1_800_000_000));
    traffic.taken(pixel(1), lead(&[]));
    assert_eq!(hour(&traffic, 1).events, 60);
    clock.set(clock.now().plus(MINUTE * 1000));
    assert_eq!(
        hour(&traffic, 1),
        Report {
            window_seconds: 3600,
            covered_seconds: 3600,
            ..Report::default()
        }
    );
}

#[test]
fn labels_are_bounded_and_leave_with_their_minutes() {
    let (traffic, clock) = bench();
    let mut tally = Tally::default();
    let long = "x".repeat(1000);
    tally.event(&long, false, std::iter::empty(), 0);
    for n in 0..100 {
        tally.event(&format!("n{n}"), false, std::iter::empty(), 0);
    }
    traffic.taken(pixel(1), tally);
    let names = hour(&traffic, 1).names;
    assert_eq!(names.len(), MAX_LABELS + 1);
    assert_eq!(names[OTHER], 101 - MAX_LABELS as u64);
    assert_eq!(names[&long[..MAX_LABEL]], 1);
    clock.set(clock.now().plus(WINDOW));
    traffic.taken(pixel(1), lead(&[]));
    assert_eq!(hour(&traffic, 1).names, [("Lead".to_owned(), 1)].into());
}

#[test]
fn a_reload_keeps_the_counts_of_pixels_that_stay() {
    let (traffic, _) = bench();
    traffic.taken(pixel(1), lead(&[]));
    traffic.taken(pixel(2), lead(&[]));
    traffic.expect([pixel(1), pixel(3)].into_iter());
    assert_eq!(hour(&traffic, 1).events, 1);
    assert_eq!(hour(&traffic, 3).events, 0);
    assert_eq!(traffic.report(pixel(2), WINDOW), None);
}

#[test]
fn the_pulse_is_of_minutes_and_of_a_day_and_midnight_is_an_hour_like_others() {
    let clock = Clock::manual(UnixMs::from_secs(86_400 * 20_000 - 1800));
    let traffic = Traffic::new([pixel(1)].into_iter(), clock.clone());
    assert_eq!(traffic.pulse(pixel(1)), Pulse::default());
    for step in 0..4 {
        let mut tally = lead(&["em"]);
        let place = tally.event("Lead", false, ["em"].into_iter(), 4000);
        tally.duplicate(place, Some("a".to_owned()));
        tally.refused("", None, "missing");
        tally.filtered("Lead", None, "consent");
        traffic.taken(pixel(1), tally);
        traffic.delivered(pixel(1), &ended("Lead", 1));
        if step < 3 {
            clock.set(clock.now().plus(MINUTE * 15));
        }
    }
    let one = Totals {
        received: 4,
        refused: 1,
        filtered: 1,
        duplicates: 1,
        accepted: 1,
        coded: 0,
        delivered: 1,
        dead: 0,
    };
    let pulse = traffic.pulse(pixel(1));
    assert_eq!(pulse.minutes, one);
    assert_eq!(pulse.day.received, 16);
    assert_eq!((pulse.day.accepted, pulse.day.delivered), (4, 4));
    let [.., a, b, c, d] = pulse.accepted.as_slice() else {
        panic!("a day of quarters");
    };
    assert_eq!([a, b, c, d], [&1, &1, &1, &1]);
    assert_eq!(pulse.accepted.iter().sum::<u32>(), 4);
    // the hours before and after midnight
    let two = cells(&traffic, 1, 1);
    let came = two.iter().find(|cell| cell.source.is_some()).unwrap();
    assert_eq!((came.taken, came.with_event_id, came.duplicates), (8, 4, 4));
    assert_eq!(came.freshness, [4, 0, 0, 4, 0]);
    assert_eq!(came.match_keys, [("em", 8)].into());
    assert_eq!(came.filtered, [("consent", 4)].into());
    let unnamed = two.iter().find(|cell| cell.event_name == UNNAMED).unwrap();
    assert_eq!(unnamed.refused, [("missing", 4)].into());
    // what became of them has no source
    let ended = two.iter().find(|cell| cell.source.is_none()).unwrap();
    assert_eq!((ended.event_name.as_str(), ended.delivered), ("Lead", 4));

    // a day later the first of them are gone, and after two all
    clock.set(clock.now().plus(MINUTE * (24 * 60 - 15)));
    assert_eq!(traffic.pulse(pixel(1)).day.accepted, 2);
    let taken = |hours| -> u64 {
        cells(&traffic, 1, hours)
            .iter()
            .map(|cell| cell.taken)
            .sum()
    };
    assert_eq!((taken(1), taken(24)), (0, 4));
    clock.set(clock.now().plus(MINUTE * 24 * 60));
    assert_eq!(traffic.pulse(pixel(1)).day, Totals::default());
    assert_eq!(cells(&traffic, 1, 24), []);
    let mut none = Vec::new();
    let stretch = traffic.stretch(DAY, None);
    traffic.cells(None, &stretch, &mut |id, cell| none.push((id, cell)));
    assert_eq!(none, []);
    let since = stretch.since;
    assert_eq!(since.secs() % 3600, 0);
    assert!(clock.now().since(since) >= DAY);
}

#[test]
fn cells_are_bounded_for_each_pixel_and_for_all() {
    let ids = || (1..=400).map(pixel);
    let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
    let traffic = Traffic::new(ids(), clock.clone());
    for id in ids() {
        for n in 0..=MAX_CELLS_OF_PIXEL {
            let mut tally = Tally::of("shop".into());
            tally.event(&format!("n{n}"), true, ["em"].into_iter(), 0);
            traffic.taken(id, tally);
        }
    }
    let kept = |id| {
        let all = cells(&traffic, id, 1);
        let other = all.iter().find(|cell| cell.event_name == OTHER);
        (all.len(), other.map_or(0, |cell| cell.taken))
    };
    assert_eq!(kept(1), (MAX_CELLS_OF_PIXEL + 1, 1));
    // what is counted is counted, though not apart
    assert_eq!(kept(400), (1, MAX_CELLS_OF_PIXEL as u64 + 1));
    assert_eq!(
        traffic.0.cells.load(std::sync::atomic::Ordering::Relaxed),
        MAX_CELLS
    );
    // pixels that go, and days that pass, make room
    traffic.expect((200..=400).map(pixel));
    traffic.taken(pixel(400), lead(&[]));
    assert_eq!(kept(400), (2, MAX_CELLS_OF_PIXEL as u64 + 1));
    clock.set(clock.now().plus(DAY * 2));
    for id in ids() {
        traffic.taken(id, lead(&[]));
    }
    assert_eq!(
        traffic.0.cells.load(std::sync::atomic::Ordering::Relaxed),
        201
    );
}

#[test]
fn one_looks_back_by_quarters_and_further_by_hours() {
    // 10 h 20 min of some day
    let start = UnixMs::from_secs(86_400 * 20_000 + 10 * 3600 + 20 * 60);
    let clock = Clock::manual(start);
    let traffic = Traffic::new([pixel(1)].into_iter(), clock.clone());
    for _ in 0..36 {
        traffic.taken(pixel(1), lead(&["em"]));
        clock.set(clock.now().plus(QUARTER));
    }
    // it is 19:20, and the present quarter is empty so far
    let of = |window: Duration, until: Option<UnixMs>| {
        let stretch = traffic.stretch(window, until);
        let mut sum = 0;
        traffic.cells(None, &stretch, &mut |_, cell| {
            assert_eq!(cell.match_keys["em"], cell.taken);
            sum += cell.taken;
        });
        let minutes = |at: UnixMs| at.since(start).as_secs() / 60;
        (sum, minutes(stretch.since), minutes(stretch.until))
    };
    let end = 9 * 60;
    assert_eq!(of(QUARTER, None), (1, end - 20, end));
    assert_eq!(of(MINUTE * 60, None), (4, end - 65, end));
    assert_eq!(of(FINE, None), (24, end - 6 * 60 - 5, end));
    // the hour of 12 to 13 is one
    assert_eq!(of(FINE + QUARTER * 2, None), (29, 100, end));
    assert_eq!(of(DAY, None), (36, 0, end));
    let until = |minutes| Some(start.plus(MINUTE * minutes));
    // 17:00 to 17:15
    assert_eq!(
        of(QUARTER, until(6 * 60 + 55)),
        (1, 6 * 60 + 40, 6 * 60 + 55)
    );
    // all of the hour of 11 to 12
    assert_eq!(of(QUARTER, until(85)), (4, 40, 100));
    assert_eq!(of(QUARTER, until(10_000)), of(QUARTER, None));
}

/// Causes of a pixel's rows with how many there are of each.
fn stopped(traffic: &Traffic, id: u64) -> BTreeMap<&'static str, usize> {
    let mut causes = BTreeMap::new();
    let stretch = traffic.stretch(DAY, None);
    traffic.stopped(Some(pixel(id)), &stretch, &mut |_, row| {
        *causes.entry(row.cause).or_default() += 1;
    });
    causes
}

#[test]
fn the_last_that_stopped_are_kept_and_rare_causes_longest() {
    let (traffic, clock) = bench();
    let mut tally = lead(&[]);
    let place = tally.event("Buy", true, std::iter::empty(), 0);
    tally.refused("", Some("x"), "missing");
    tally.filtered("Lead", Some(&"y".repeat(300)), "consent");
    tally.duplicate(place, Some("z".to_owned()));
    tally.refused_whole("rate_limited", 7);
    traffic.taken(pixel(1), tally);
    let mut rows = Vec::new();
    let stretch = traffic.stretch(DAY, None);
    traffic.stopped(None, &stretch, &mut |id, row| {
        assert_eq!((id, row.at, &*row.source), (pixel(1), clock.now(), "shop"));
        let name = row.event_name.clone();
        rows.push((row.stage, row.cause, name, row.event_id.clone(), row.events));
    });
    rows.sort_by_key(|row| row.1);
    let row = |stage, cause, name: &str, id: Option<&str>, events| {
        (stage, cause, name.to_owned(), id.map(str::to_owned), events)
    };
    // an id that is too long is not kept
    let expected = [
        row(Stage::Filtered, "consent", "Lead", None, 1),
        row(Stage::Duplicate, "duplicate", "Buy", Some("z"), 1),
        row(Stage::Refused, "missing", UNNAMED, Some("x"), 1),
        row(Stage::Refused, "rate_limited", REQUEST, None, 7),
    ];
    assert_eq!(rows, expected);
    let mut flood = Tally::of("shop".into());
    for _ in 0..2 * MAX_STOPPED_OF_PIXEL {
        flood.filtered("Lead", None, "crawlers");
    }
    traffic.taken(pixel(1), flood);
    let causes = stopped(&traffic, 1);
    assert_eq!(causes["crawlers"], MAX_STOPPED_OF_PIXEL - 4);
    assert_eq!(causes.len(), 5);
    // a day later they are gone
    clock.set(clock.now().plus(DAY + QUARTER * 4));
    assert_eq!(stopped(&traffic, 1), BTreeMap::new());
    let total = &traffic.0.stopped;
    assert_eq!(total.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn pixels_share_the_room_for_what_stopped_and_each_has_some() {
    let most = (MAX_STOPPED / MAX_STOPPED_OF_PIXEL) as u64 + 3;
    let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
    let traffic = Traffic::new((1..=most).map(pixel), clock);
    for id in 1..=most {
        let mut flood = Tally::of("shop".into());
        for _ in 0..MAX_STOPPED_OF_PIXEL {
            flood.refused("Lead", None, "missing");
        }
        traffic.taken(pixel(id), flood);
    }
    assert_eq!(stopped(&traffic, 1)["missing"], MAX_STOPPED_OF_PIXEL);
    let last = stopped(&traffic, most)["missing"];
    assert!((1..=8).contains(&last), "{last}");
    let total = &traffic.0.stopped;
    let kept = total.load(std::sync::atomic::Ordering::Relaxed);
    assert!((MAX_STOPPED..=MAX_STOPPED + 16).contains(&kept), "{kept}");
    traffic.expect(std::iter::empty());
    assert_eq!(total.load(std::sync::atomic::Ordering::Relaxed), 0);
}
