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
        word: "malformed".into(),
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
fn letters_are_told_at_once_and_then_as_they_were_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    let looked = Duration::from_secs(20);
    let died = Kind {
        place: Place::Meta,
        ..kind(1, "")
    };
    issues.note([
        seen(died.clone(), "one", "1"),
        seen(died.clone(), "two", "1"),
        seen(kind(1, "a"), "three", "1"),
    ]);
    let told = || {
        let mut all = issues.briefs(looked);
        all.sort_by_key(|one| one.place);
        let told = |one: &Brief| (one.place, one.state, one.letters, one.last_hour);
        all.iter().map(told).collect::<Vec<_>>()
    };
    let door = (Place::Door, State::Open, 0, 1);
    assert_eq!(told(), [door, (Place::Meta, State::Open, 2, 2)]);
    issues.stand(
        vec![Level {
            kind: died.clone(),
            of: LevelOf::Letters,
            events: 7,
            last_hour: None,
            first: START,
            last: START,
            valued: 0,
            money: BTreeMap::new(),
            event_ids: Vec::new(),
        }],
        |_, _| false,
    );
    assert_eq!(told(), [door, (Place::Meta, State::Open, 7, 2)]);
    let change = Change::Acknowledge;
    issues.change(died.id(), change, "admin.keys[0]").unwrap();
    assert_eq!(told(), [door, (Place::Meta, State::Acknowledged, 7, 2)]);
    // sent again: there for a while, with no letters left
    later(&clock, looked);
    issues.stand(Vec::new(), |_, _| false);
    assert_eq!(told(), [door, (Place::Meta, State::Acknowledged, 0, 2)]);
    issues.stand(Vec::new(), |_, _| true);
    assert_eq!(told(), []);
}

#[test]
fn names_last_and_codes_are_found() {
    let one = Kind {
        place: Place::Meta,
        word: "refused".into(),
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
    assert!(again.list(|_| true).is_empty(), "they were not kept");
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

fn letters(events: u64, last: UnixMs) -> Level {
    Level {
        kind: Kind {
            place: Place::Meta,
            word: "refused".into(),
            code: Some(100),
            ..kind(1, "")
        },
        of: LevelOf::Letters,
        events,
        last_hour: None,
        first: last,
        last,
        valued: events,
        money: BTreeMap::from([("EUR".to_owned(), 2.0 * events as f64)]),
        event_ids: Vec::new(),
    }
}

const NEVER: fn(&Kind, UnixMs) -> bool = |_, _| false;
const ALWAYS: fn(&Kind, UnixMs) -> bool = |_, _| true;

#[test]
fn what_stands_counts_once_however_often_it_was_noted() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    let level = letters(3, START);
    for id in ["one", "two", "three", "one", "two"] {
        issues.note([seen(level.kind.clone(), id, "1")]);
    }
    issues.stand(vec![level.clone()], NEVER);
    let one = issues.get(level.kind.id()).unwrap();
    assert_eq!((one.events, one.letters, one.waiting), (3, 3, 0));
    assert_eq!(one.last_hour, 3, "two of them have died twice");
    assert_eq!(one.money, BTreeMap::from([("EUR".to_owned(), 6.0)]));
    assert_eq!(one.event_ids, ["three", "two", "one"]);

    let waiting = Level {
        kind: Kind {
            word: "token".into(),
            code: Some(190),
            ..level.kind.clone()
        },
        of: LevelOf::Waiting,
        last_hour: Some(7),
        event_ids: vec!["w".to_owned()],
        ..letters(50, START)
    };
    for _ in 0..10 {
        later(&clock, Duration::from_secs(1));
        issues.stand(vec![waiting.clone(), level.clone()], NEVER);
    }
    let held = issues.get(waiting.kind.id()).unwrap();
    assert_eq!((held.events, held.letters, held.waiting), (50, 0, 50));
    assert_eq!((held.last_hour, held.event_ids.len()), (7, 1));
}

#[test]
fn a_group_is_over_when_nothing_of_it_is_left_and_open_when_it_is_seen_again() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    let level = letters(16, START);
    let (id, door) = (level.kind.id(), kind(1, "door"));
    issues.note([seen(door.clone(), "d", "1")]);
    issues.stand(vec![level.clone()], ALWAYS);
    let state = |id| issues.get(id).unwrap().state;
    assert_eq!((state(id), state(door.id())), (State::Open, State::Over));
    issues.change(id, Change::Acknowledge, "me").unwrap();

    // a redrive takes them, some first
    issues.stand(vec![letters(6, START)], NEVER);
    later(&clock, Duration::from_secs(1));
    issues.stand(Vec::new(), NEVER);
    let left = issues.get(id).unwrap();
    assert_eq!(
        (left.state, left.events, left.letters),
        (State::Acknowledged, 16, 0)
    );
    issues.stand(Vec::new(), |kind, last_seen| {
        assert_eq!((kind, last_seen), (&level.kind, START), "the door is over");
        true
    });
    let over = issues.get(id).unwrap();
    assert_eq!((over.state, over.events), (State::Over, 16));
    assert_eq!(over.over_since, Some(clock.now()));
    assert_eq!(over.money, BTreeMap::from([("EUR".to_owned(), 32.0)]));
    assert!(over.acknowledged.is_some(), "what somebody said stays");
    let all: Vec<State> = issues.list(|_| true).iter().map(|one| one.state).collect();
    assert_eq!(all, [State::Over, State::Over]);
    assert_eq!(issues.states(), BTreeMap::from([(State::Over, 2)]));

    later(&clock, Duration::from_mins(1));
    issues.note([seen(door.clone(), "e", "1")]);
    issues.stand(vec![letters(1, clock.now())], NEVER);
    assert_eq!(
        (state(id), state(door.id())),
        (State::Acknowledged, State::Open)
    );
    let again = issues.get(id).unwrap();
    assert_eq!(
        (again.events, again.first_seen, again.over_since),
        (1, START, None)
    );
    assert_eq!(issues.get(door.id()).unwrap().events, 2);
    assert_eq!(issues.list(|_| true)[0].kind, door, "the open ones first");
}

#[test]
fn one_that_is_seen_while_it_is_judged_is_not_over() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    let door = kind(1, "a");
    issues.note([seen(door.clone(), "d", "1")]);
    issues.stand(Vec::new(), |kind, _| {
        later(&clock, Duration::from_secs(1));
        issues.note([seen(kind.clone(), "e", "1")]);
        true
    });
    assert_eq!(issues.get(door.id()).unwrap().state, State::Open);
}

#[test]
fn what_is_over_makes_room_first() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    issues.note([seen(kind(1, "old"), "e", "1")]);
    for n in 1..MAX_PER_PIXEL {
        later(&clock, Duration::from_millis(1));
        issues.note([seen(kind(1, &n.to_string()), "e", "1")]);
    }
    issues.stand(Vec::new(), |kind, _| kind.path == "50");
    issues.note([seen(kind(1, "new"), "e", "1")]);
    assert!(issues.get(kind(1, "50").id()).is_none());
    assert!(issues.get(kind(1, "old").id()).is_some());
}

#[test]
fn ids_from_before_stand_behind_those_that_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, _) = open(dir.path());
    let one = kind(1, "a");
    let before: VecDeque<String> = (0..MAX_EVENT_IDS).map(|n| n.to_string()).collect();
    issues.recall(&one, before.clone());
    assert!(issues.list(|_| true).is_empty(), "no group is made of ids");
    issues.note([seen(one.clone(), "new", "1"), seen(one.clone(), "9", "1")]);
    issues.recall(&one, before);
    let ids = issues.get(one.id()).unwrap().event_ids;
    assert_eq!(ids[..4], ["9", "new", "8", "7"]);
    assert_eq!(ids.len(), MAX_EVENT_IDS);
}

#[test]
fn several_currencies_are_summed_apart_and_events_without_a_value_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, _) = open(dir.path());
    let one = kind(1, "a");
    for currency in ["EUR", "USD", "EUR", "JPY"] {
        let json = format!(r#"{{"custom_data":{{"value":1.5,"currency":"{currency}"}}}}"#);
        issues.note([Seen {
            money: RawEvent::parse(&json).unwrap().money(),
            ..seen(one.clone(), "e", "1")
        }]);
    }
    issues.note([Seen {
        money: None,
        ..seen(one.clone(), "e", "1")
    }]);
    let one = issues.get(one.id()).unwrap();
    assert_eq!((one.events, one.valued), (5, 4));
    let sums = [("EUR", 3.0), ("JPY", 1.5), ("USD", 1.5)];
    let sums = sums.map(|(currency, sum)| (currency.to_owned(), sum));
    assert_eq!(one.money, BTreeMap::from(sums));
}

#[test]
fn groups_are_there_after_a_restart_as_they_were_kept_last() {
    let dir = tempfile::tempdir().unwrap();
    let (issues, clock) = open(dir.path());
    let (door, level) = (kind(1, "a"), letters(4, START));
    issues.keep(false);
    assert!(!dir.path().join(SEEN_FILE).exists(), "nothing to write");
    issues.note([seen(door.clone(), "d", "1.5"), seen(kind(2, "b"), "e", "1")]);
    issues.stand(vec![level.clone()], |kind, _| kind.path == "b");
    issues.keep(false);
    let before = issues.list(|_| true);
    // what a crash loses
    issues.note([seen(door.clone(), "late", "1")]);
    later(&clock, Duration::from_hours(1));

    let again = Issues::open(dir.path(), clock.clone());
    assert_eq!(again.since(), START);
    again.stand(vec![level.clone()], NEVER);
    let after = again.list(|_| true);
    let told = |all: &[Issue]| -> Vec<_> {
        let told = |one: &Issue| {
            let times = (one.first_seen, one.last_seen, one.over_since);
            (one.id, one.events, one.money.clone(), times)
        };
        let mut all: Vec<_> = all.iter().map(told).collect();
        all.sort_by_key(|one| one.0);
        all
    };
    assert_eq!(told(&after), told(&before));
    assert_eq!(again.get(door.id()).unwrap().event_ids, ["d"]);

    // the letters went meanwhile: what they came to is still told
    again.stand(Vec::new(), NEVER);
    let left = again.get(level.kind.id()).unwrap();
    assert_eq!((left.events, left.letters), (4, 0));
    again.note([seen(door.clone(), "x", "1")]);
    again.keep(true);
    again.note([seen(door.clone(), "y", "1")]);
    again.keep(false);
    let last = Issues::open(dir.path(), clock);
    assert_eq!(last.get(door.id()).unwrap().events, 2, "it had ended");
}

#[test]
fn a_file_of_groups_that_cannot_be_read_costs_the_groups_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SEEN_FILE);
    crate::private_file::replace(&path, b"{\"version\":9,\"since\":1,\"groups\":[]}", 1000)
        .unwrap();
    let (issues, _) = open(dir.path());
    assert_eq!(issues.since(), START);
    issues.note([seen(kind(1, "a"), "e", "1")]);
    issues.keep(false);
    assert_eq!(open(dir.path()).0.list(|_| true).len(), 1);
}
