use super::*;
use crate::alerts::MAX_CRITICAL;

const START: UnixMs = UnixMs(1_795_305_600_000);
const DAY: Duration = Duration::from_hours(24);
const LIMITS: Limits = Limits {
    repeat: DAY,
    max_per_hour: 3,
};

fn alert(key: &str, severity: Severity) -> Alert {
    Alert {
        key: key.to_owned(),
        severity,
        title: format!("about {key}"),
        text: String::new(),
        next: String::new(),
        pixels: Vec::new(),
        token: None,
        at: START,
    }
}

fn warning(key: &str) -> Alert {
    alert(key, Severity::Warning)
}

fn at(minutes: u64) -> UnixMs {
    START.plus(Duration::from_mins(minutes))
}

fn word(step: &Step) -> &'static str {
    match step {
        Step::Quiet => "quiet",
        Step::Log(_) => "log",
        Step::Send(message) if message.resolved => "resolved",
        Step::Send(_) => "send",
        Step::HoldBack(_) => "hold",
    }
}

#[test]
fn one_key_is_told_when_it_begins_grows_worse_lasts_and_ends() {
    let mut board = Board::new(Vec::new(), START);
    let mut raise =
        |severity, minutes| word(&board.raise(alert("a", severity), at(minutes), LIMITS));
    assert_eq!(raise(Severity::Warning, 0), "send");
    assert_eq!(raise(Severity::Warning, 1), "quiet");
    assert_eq!(raise(Severity::Info, 2), "quiet");
    // worse than the last time it was raised
    assert_eq!(raise(Severity::Critical, 3), "send");
    assert_eq!(raise(Severity::Critical, 1442), "quiet");
    assert_eq!(raise(Severity::Critical, 1443), "send");
    assert_eq!(board.raised(), 1);
    assert_eq!(word(&board.clear("a", at(1444), LIMITS)), "resolved");
    assert_eq!(word(&board.clear("a", at(1445), LIMITS)), "quiet");
    assert_eq!(board.raised(), 0);
    assert_eq!(word(&board.raise(warning("a"), at(1600), LIMITS)), "send");
}

#[test]
fn what_goes_up_and_down_is_told_at_its_worst_until_it_is_over_or_repeated() {
    let mut board = Board::new(Vec::new(), START);
    let raise = |board: &mut Board, severity, minutes| {
        word(&board.raise(alert("a", severity), at(minutes), LIMITS))
    };
    assert_eq!(raise(&mut board, Severity::Critical, 0), "send");
    for minutes in 1..9 {
        assert_eq!(raise(&mut board, Severity::Warning, minutes), "quiet");
        assert_eq!(raise(&mut board, Severity::Critical, minutes), "quiet");
    }
    assert_eq!(raise(&mut board, Severity::Warning, 10), "quiet");
    // so also after a restart
    board.delivered(&Message::raised(alert("a", Severity::Critical)));
    let mut again = Board::new(board.sent(), at(11));
    assert_eq!(raise(&mut again, Severity::Critical, 11), "log");
    // repeated as it is by then
    let steps = board.tick(at(1440), LIMITS);
    let [Step::Send(message)] = steps.as_slice() else {
        panic!("{steps:?}");
    };
    assert_eq!(message.alert.severity, Severity::Warning);
    assert_eq!(raise(&mut board, Severity::Critical, 1441), "send");
    board.clear("a", at(1442), LIMITS);
    assert_eq!(raise(&mut board, Severity::Warning, 1543), "send");
    assert_eq!(raise(&mut board, Severity::Critical, 1544), "send");
}

#[test]
fn what_lasts_is_told_again_without_being_raised_again() {
    let mut board = Board::new(Vec::new(), START);
    board.raise(warning("a"), at(0), LIMITS);
    assert!(board.tick(at(1439), LIMITS).is_empty());
    let steps = board.tick(at(1440), LIMITS);
    assert_eq!(steps.iter().map(word).collect::<Vec<_>>(), ["send"]);
    assert!(board.tick(at(1441), LIMITS).is_empty());
    board.clear("a", at(1500), LIMITS);
    assert!(board.tick(at(9999), LIMITS).is_empty());
}

#[test]
fn what_is_only_good_to_know_is_told_once() {
    let mut board = Board::new(Vec::new(), START);
    let info = || alert("a", Severity::Info);
    assert_eq!(word(&board.raise(info(), at(0), LIMITS)), "send");
    board.delivered(&Message::raised(info()));
    assert!(board.tick(at(1440), LIMITS).is_empty());
    assert_eq!(word(&board.raise(info(), at(3000), LIMITS)), "quiet");
    assert_eq!(word(&board.raise(warning("a"), at(3001), LIMITS)), "send");
}

#[test]
fn what_nobody_got_is_told_again_also_if_it_is_only_good_to_know() {
    let mut board = Board::new(Vec::new(), START);
    board.raise(alert("a", Severity::Info), at(0), LIMITS);
    assert!(board.tick(at(1439), LIMITS).is_empty());
    assert_eq!(board.tick(at(1440), LIMITS).len(), 1);
    board.delivered(&Message::raised(alert("a", Severity::Info)));
    assert!(board.tick(at(2880), LIMITS).is_empty());
    // that it was a warning is known, that it is critical is not
    board.raise(warning("b"), at(2881), LIMITS);
    board.raise(alert("b", Severity::Critical), at(2882), LIMITS);
    board.delivered(&Message::raised(warning("b")));
    assert_eq!(board.sent().len(), 1);
    board.delivered(&Message::raised(alert("b", Severity::Critical)));
    assert_eq!(board.sent().len(), 2);
}

#[test]
fn beyond_the_limit_one_message_says_how_many() {
    let mut board = Board::new(Vec::new(), START);
    for key in ["a", "b", "c"] {
        assert_eq!(word(&board.raise(warning(key), at(0), LIMITS)), "send");
    }
    for n in 0..7 {
        let severity = if n == 6 {
            Severity::Warning
        } else {
            Severity::Info
        };
        let step = board.raise(alert(&format!("x{n}"), severity), at(1), LIMITS);
        assert_eq!(word(&step), "hold");
    }
    assert!(board.tick(at(1), LIMITS).is_empty());
    let steps = board.tick(at(2), LIMITS);
    let [Step::Send(summary)] = steps.as_slice() else {
        panic!("{steps:?}");
    };
    assert_eq!(summary.alert.title, "7 more alerts held back, see the log");
    assert_eq!(summary.alert.severity, Severity::Warning);
    assert!(
        summary.alert.text.ends_with("about x4\n…"),
        "{}",
        summary.alert.text
    );
    // one in an hour, then the next
    assert_eq!(word(&board.raise(warning("y"), at(3), LIMITS)), "hold");
    assert!(board.tick(at(59), LIMITS).is_empty());
    // nobody was told of it, so nobody is told that it is over
    assert_eq!(word(&board.clear("y", at(59), LIMITS)), "log");
    let steps = board.tick(at(62), LIMITS);
    let Some(Step::Send(summary)) = steps.last() else {
        panic!("{steps:?}");
    };
    assert_eq!(summary.alert.title, "1 more alerts held back, see the log");
}

#[test]
fn what_was_held_back_is_told_when_there_is_room_the_worst_first() {
    let mut board = Board::new(Vec::new(), START);
    for key in ["a", "b", "c"] {
        board.raise(warning(key), at(0), LIMITS);
    }
    let held = [
        ("info", Severity::Info),
        ("late", Severity::Warning),
        ("over", Severity::Warning),
        ("early", Severity::Warning),
        ("more", Severity::Info),
    ];
    for (key, severity) in held {
        let minute = if key == "early" { 1 } else { 2 };
        let step = board.raise(alert(key, severity), at(minute), LIMITS);
        assert_eq!(word(&step), "hold", "{key}");
    }
    board.clear("over", at(3), LIMITS);
    let told = |steps: &[Step]| -> Vec<String> {
        let told = steps.iter().map(|step| match step {
            Step::Send(message) => message.alert.key.clone(),
            other => panic!("{other:?}"),
        });
        told.collect()
    };
    assert_eq!(told(&board.tick(at(4), LIMITS)), ["alerts:held_back"]);
    assert!(board.tick(at(59), LIMITS).is_empty());
    assert_eq!(told(&board.tick(at(60), LIMITS)), ["early", "late", "info"]);
    assert!(board.tick(at(61), LIMITS).is_empty());
    assert_eq!(told(&board.tick(at(120), LIMITS)), ["more"]);
    assert_eq!(word(&board.clear("early", at(121), LIMITS)), "resolved");
}

#[test]
fn what_is_critical_passes_the_limit_within_its_own() {
    let mut board = Board::new(Vec::new(), START);
    for key in ["a", "b", "c"] {
        board.raise(warning(key), at(0), LIMITS);
    }
    let mut raise = |n: usize, minutes| {
        let alert = alert(&format!("x{n}"), Severity::Critical);
        word(&board.raise(alert, at(minutes), LIMITS))
    };
    for n in 0..MAX_CRITICAL {
        assert_eq!(raise(n, 1), "send", "{n}");
    }
    assert_eq!(raise(MAX_CRITICAL, 2), "hold");
    // that it is over is not critical
    assert_eq!(word(&board.clear("x0", at(3), LIMITS)), "hold");
    assert_eq!(word(&board.raise(warning("d"), at(3), LIMITS)), "hold");
    assert_eq!(board.tick(at(60), LIMITS).len(), 3);
}

#[test]
fn a_restart_tells_nothing_again_that_someone_has() {
    let mut board = Board::new(Vec::new(), START);
    for key in ["has", "waits"] {
        board.raise(warning(key), at(0), LIMITS);
    }
    board.delivered(&Message::raised(warning("has")));
    let sent = board.sent();
    assert_eq!(sent.len(), 1);
    let mut board = Board::new(sent, at(10));
    assert_eq!(board.raised(), 0);
    assert_eq!(word(&board.raise(warning("has"), at(10), LIMITS)), "log");
    assert_eq!(word(&board.raise(warning("has"), at(11), LIMITS)), "quiet");
    assert_eq!(word(&board.raise(warning("waits"), at(11), LIMITS)), "send");
    assert_eq!(word(&board.clear("has", at(12), LIMITS)), "resolved");
}

#[test]
fn what_nobody_raises_again_is_not_repeated_and_is_forgotten() {
    let sent = |key: &str, at| Sent {
        alert: warning(key),
        at,
    };
    let mut board = Board::new(vec![sent("old", at(0))], at(1));
    assert!(board.tick(at(2000), LIMITS).is_empty());
    assert_eq!(board.sent().len(), 1);
    assert!(board.tick(START.plus(MEMORY), LIMITS).is_empty());
    assert!(board.sent().is_empty());
    // written down by a clock that was ahead
    let mut board = Board::new(vec![sent("ahead", at(999_999))], at(0));
    assert_eq!(
        word(&board.raise(warning("ahead"), at(1440), LIMITS)),
        "send"
    );
}

#[test]
fn keys_are_bounded_and_the_oldest_goes() {
    let mut board = Board::new(Vec::new(), START);
    for n in 0..=MAX_KEYS {
        board.raise(warning(&format!("k{n}")), at(n as u64), LIMITS);
    }
    assert_eq!(board.raised(), MAX_KEYS);
    assert_eq!(word(&board.clear("k0", at(9999), LIMITS)), "quiet");
    assert_ne!(word(&board.clear("k1", at(9999), LIMITS)), "quiet");
}
