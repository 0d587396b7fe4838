use super::*;
use crate::event::RawEvent;

const START: UnixMs = UnixMs(1_800_000_000_000);

fn open(dir: &Path) -> (Issues, Clock) {
    let clock = Clock::manual(START);
    (Issues::open(dir, clock.clone()), clock)
}

fn kind(pixel: u64, path: &str) -> Kind {
    Kind {
        pixel: pixel.to_string().parse().unwrap(),
        place: Place::Door,
        word: "malformed",
        code: None,
        subcode: None,
        path: path.to_owned().into(),
    }
}

fn seen(kind: Kind, event_id: &str, value: &str) -> Seen {
    let json = format!(r#"{{"custom_data":{{"value":{value},"currency":"EUR"}}}}"#);
    Seen {
        kind,
        events: 1,
        event_id: Some(event_id.to_owned()),
        money: RawEvent::parse(&json).unwrap().money(),
    }
}

fn later(clock: &Clock, span: Duration) {
    clock.set(clock.now().plus(span));
}

#[test]
fn what_is_alike_is_one_group_with_sum_ids_and_times() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    issues.note([
        seen(kind(1, "a"), "one", "10.10"),
        seen(kind(1, "a"), "two", "0.2"),
    ]);
    later(&clock, Duration::from_mins(50));
    issues.note([seen(kind(1, "a"), "two", "1")]);
    issues.note([
        seen(kind(1, "b"), "three", "5"),
        seen(kind(2, "a"), "four", "5"),
    ]);
    let all = issues.list(|kind| kind.path == "a" && kind.pixel.to_string() == "1");
    let [one] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!((one.events, one.last_hour), (3, 3));
    assert_eq!(one.money, BTreeMap::from([("EUR".to_owned(), 11.3)]));
    assert_eq!(one.event_ids, ["two", "one"]);
    assert_eq!(one.last_seen.since(one.first_seen), Duration::from_mins(50));
    assert_eq!(issues.list(|_| true).len(), 3);
    later(&clock, Duration::from_mins(20));
    assert_eq!(issues.get(one.id).unwrap().last_hour, 1);
    later(&clock, Duration::from_hours(5));
    assert_eq!(issues.get(one.id).unwrap().last_hour, 0);
    assert_eq!(issues.get(one.id).unwrap().events, 3);
}

#[test]
fn names_last_and_codes_are_found() {
    let one = Kind {
        place: Place::Meta,
        word: "refused",
        code: Some(100),
        subcode: Some(2_804_009),
        ..kind(1, "custom_data.value")
    };
    assert_eq!(one.id(), one.clone().id());
    assert_ne!(one.id(), kind(1, "custom_data.value").id());
    assert_eq!(one.id().to_string().parse(), Ok(one.id()));
    for code in ["refused", "100", "100/2804009"] {
        assert!(one.is_of(code), "{code}");
    }
    assert!(!one.is_of("2804009") && !one.is_of("10"));
    for wrong in ["", "xyz", "+123456789abcdef", "00"] {
        assert_eq!(wrong.parse::<IssueId>(), Err(IssueIdError));
    }
}

#[test]
fn one_pixel_never_takes_the_room_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    issues.note([seen(kind(1, "first"), "e", "1")]);
    for n in 0..MAX_PER_PIXEL + 5 {
        later(&clock, Duration::from_millis(1));
        issues.note([seen(kind(2, &n.to_string()), "e", "1")]);
    }
    let of = |pixel: &str| issues.list(|kind| kind.pixel.to_string() == pixel).len();
    assert_eq!((of("1"), of("2")), (1, MAX_PER_PIXEL));
    assert!(
        issues.list(|kind| kind.path == "0").is_empty(),
        "seen least lately"
    );
    for n in 0..MAX_ISSUES {
        later(&clock, Duration::from_millis(1));
        issues.note([seen(kind(10 + n as u64, "x"), "e", "1")]);
    }
    assert_eq!(issues.list(|_| true).len(), MAX_ISSUES);
    assert_eq!((of("1"), of("2")), (0, 0), "they were seen least lately");
}

#[test]
fn ids_currencies_and_paths_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, _) = open(dir.path());
    let long = "p".repeat(1000);
    for n in 0..50 {
        issues.note([seen(kind(1, &long), &format!("id-{n}"), "1")]);
    }
    issues.note([seen(kind(1, &long), &"x".repeat(MAX_EVENT_ID + 1), "1")]);
    let all = issues.list(|_| true);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].event_ids.len(), MAX_EVENT_IDS);
    assert_eq!(all[0].event_ids[0], "id-49");
    assert!(all[0].kind.path.len() < 100);
    assert_eq!(all[0].events, 51);
}

#[test]
fn what_was_said_holds_over_a_restart_and_ends_with_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    let (one, two) = (kind(1, "a"), kind(1, "b"));
    issues.note([seen(one.clone(), "e", "1"), seen(two.clone(), "e", "1")]);
    let nobody = issues.change(kind(9, "z").id(), Change::Acknowledge, "me");
    assert_eq!(nobody.unwrap_err().code(), "not_found");
    let known = issues.change(one.id(), Change::Acknowledge, "admin.keys[0]");
    assert_eq!(known.unwrap().acknowledged.unwrap().by, "admin.keys[0]");
    let muted = issues.change(two.id(), Change::Mute(Duration::from_hours(8)), "me");
    assert_eq!(muted.unwrap().state, State::Muted);
    assert_eq!(issues.list(|_| true)[0].state, State::Acknowledged);

    let again = Issues::open(dir.path(), clock.clone());
    assert!(again.list(|_| true).is_empty());
    again.note([seen(one.clone(), "e", "1"), seen(two.clone(), "e", "1")]);
    let state = |id| again.get(id).unwrap().state;
    assert_eq!(
        (state(one.id()), state(two.id())),
        (State::Acknowledged, State::Muted)
    );
    later(&clock, Duration::from_hours(8));
    assert_eq!(state(two.id()), State::Open);
    later(&clock, ACKNOWLEDGED_FOR);
    assert_eq!(state(one.id()), State::Open);
    again.change(one.id(), Change::Acknowledge, "me").unwrap();
    again
        .change(one.id(), Change::Mute(Duration::from_hours(1)), "me")
        .unwrap();
    again.change(one.id(), Change::Unmute, "me").unwrap();
    assert_eq!(state(one.id()), State::Acknowledged);
    again.change(one.id(), Change::Reopen, "me").unwrap();
    assert_eq!(state(one.id()), State::Open);
}

#[test]
fn a_file_that_cannot_be_read_costs_the_marks_only() {
    let dir = tempfile::tempdir().unwrap();
    private_write(dir.path(), b"{\"version\":9}");
    let (issues, _) = open(dir.path());
    issues.note([seen(kind(1, "a"), "e", "1")]);
    assert_eq!(issues.list(|_| true)[0].state, State::Open);
    issues
        .change(kind(1, "a").id(), Change::Acknowledge, "me")
        .unwrap();
}

fn private_write(dir: &Path, text: &[u8]) {
    crate::private_file::replace(&dir.join(FILE), text, 1000).unwrap();
}
