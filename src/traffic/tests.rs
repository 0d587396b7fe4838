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
    let mut tally = Tally::default();
    tally.event("Lead", true, keys.iter().copied());
    tally
}

fn hour(traffic: &Traffic, id: u64) -> Report {
    traffic.report(pixel(id), WINDOW).unwrap()
}

#[test]
fn a_request_is_counted_by_all_that_it_brought() {
    let (traffic, _) = bench();
    let mut tally = lead(&["em", "fbp"]);
    tally.event("Buy", false, ["em"].into_iter());
    tally.coded();
    tally.warning("alias");
    tally.warning("alias");
    tally.refused("missing");
    tally.filtered("consent");
    traffic.taken(pixel(1), tally);
    traffic.delivered(pixel(1), 3);
    let death = Death {
        reason: "refused",
        code: Some(100),
        subcode: Some(2_804_009),
    };
    traffic.dead(pixel(1), death, 4);
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
    tally.event(&long, false, std::iter::empty());
    for n in 0..100 {
        tally.event(&format!("n{n}"), false, std::iter::empty());
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
