//! What is told, and when.

use super::*;
use crate::graph::oauth::App;
use crate::secret::Secret;
use crate::tokens::{Obtained, TokenKey, Usage};

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn kept() -> Kept {
    let secret = Secret::new("EAAalarm-canary-0123456789".to_owned());
    Kept {
        label: "shop".to_owned(),
        key: TokenKey::of(&secret),
        secret,
        source: Source::Vault("shop".parse().unwrap()),
        app: None,
        pixels: vec![("1234567890123456".parse().unwrap(), Slot::Current)],
        added_at: Some(NOW),
        obtained: Some(Obtained::Pasted),
        noted: Facts::default(),
    }
}

fn good() -> Note {
    Note {
        facts: Facts {
            kind: Kind::SystemUser,
            state: State::Valid,
            expires: Expiry::Never,
            data_access: Expiry::Never,
            scopes: vec![NEEDED_SCOPE.to_owned()],
            checked_at: Some(NOW),
            ..Facts::default()
        },
        ..Note::default()
    }
}

fn told(kept: &Kept, note: &Note, now: UnixMs) -> Vec<(String, Severity)> {
    let alarms = alarms(kept, note, &Policy::default(), now);
    for alarm in &alarms {
        let all = format!("{alarm:?}");
        assert!(!all.contains("canary"), "{all}");
        assert!(!alarm.next.is_empty() && alarm.text.ends_with('.'), "{all}");
    }
    let what = |alarm: &Alert| alarm.key.rsplit(':').next().unwrap().to_owned();
    alarms
        .iter()
        .map(|alarm| (what(alarm), alarm.severity))
        .collect()
}

fn in_days(days: i64) -> UnixMs {
    UnixMs(NOW.0 + days * 86_400_000)
}

#[test]
fn of_what_only_retires_no_end_is_told() {
    let mut kept = kept();
    let mut note = good();
    note.facts.expires = Expiry::At(in_days(3));
    note.facts.data_access = Expiry::At(in_days(3));
    assert_eq!(told(&kept, &note, NOW).len(), 2);
    kept.pixels[0].1 = Slot::Retiring;
    assert_eq!(told(&kept, &note, NOW), []);
}

#[test]
fn a_good_token_is_no_news() {
    assert_eq!(told(&kept(), &good(), NOW), []);
}

#[test]
fn an_end_is_told_at_30_and_7_and_1_days() {
    let mut note = good();
    note.facts.expires = Expiry::At(in_days(60));
    for (day, expected) in [
        (0, None),
        (29, None),
        (30, Some(Severity::Info)),
        (52, Some(Severity::Info)),
        (53, Some(Severity::Warning)),
        (58, Some(Severity::Warning)),
        (59, Some(Severity::Critical)),
        (60, Some(Severity::Critical)),
        (90, Some(Severity::Critical)),
    ] {
        let found = told(&kept(), &note, in_days(day));
        let expected: Vec<_> = expected
            .map(|severity| ("expires".to_owned(), severity))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "day {day}");
    }
}

#[test]
fn the_end_of_what_only_retires_is_no_news() {
    let mut note = good();
    note.facts.kind = Kind::User;
    note.facts.expires = Expiry::At(in_days(1));
    note.facts.data_access = Expiry::At(in_days(1));
    let mut retiring = kept();
    retiring.pixels[0].1 = Slot::Retiring;
    let words = |found: Vec<(String, Severity)>| -> Vec<String> {
        found.into_iter().map(|(what, _)| what).collect()
    };
    assert_eq!(words(told(&retiring, &note, NOW)), ["kind"]);
    // another pixel still sends with it
    let pixel = "1234567890123456".parse().unwrap();
    retiring.pixels.push((pixel, Slot::Current));
    let found = words(told(&retiring, &note, NOW));
    assert_eq!(found, ["expires", "data_access", "kind"]);
}

#[test]
fn data_access_has_a_clock_of_its_own() {
    let mut note = good();
    note.facts.kind = Kind::User;
    note.facts.data_access = Expiry::At(in_days(90));
    let found = told(&kept(), &note, in_days(89));
    assert!(found.contains(&("data_access".to_owned(), Severity::Warning)));
    let found = told(&kept(), &note, in_days(10));
    assert!(!found.iter().any(|(what, _)| what == "data_access"));
}

#[test]
fn rotation_is_due_between_6_and_12_months() {
    for (day, expected) in [
        (179, None),
        (180, Some(Severity::Info)),
        (364, Some(Severity::Info)),
        (365, Some(Severity::Warning)),
    ] {
        let found = told(&kept(), &good(), in_days(day));
        assert_eq!(found.first().map(|(_, severity)| *severity), expected);
    }
    // when Meta made it counts more than when it came here
    let mut note = good();
    note.facts.issued_at = Some(in_days(-400));
    assert_eq!(told(&kept(), &note, NOW)[0].0, "age");
}

#[test]
fn what_the_token_is_and_may_do_is_looked_at() {
    let mut note = good();
    note.facts.kind = Kind::Page;
    note.facts.scopes = vec!["pages_manage_posts".to_owned()];
    let found = told(&kept(), &note, NOW);
    let words: Vec<&str> = found.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(words, ["kind", "scope_missing", "scopes"]);
    // what works is not missing anything
    note.usage = Usage {
        events: 1,
        ..Usage::default()
    };
    assert!(
        !told(&kept(), &note, NOW)
            .iter()
            .any(|(what, _)| what == "scope_missing")
    );
}

#[test]
fn a_dead_token_is_critical_where_it_is_current() {
    let mut note = good();
    note.facts.state = State::Revoked;
    note.facts.cause = Some("190/460".to_owned());
    note.facts.expires = Expiry::At(in_days(-1));
    assert_eq!(
        told(&kept(), &note, NOW),
        [("state".to_owned(), Severity::Critical)]
    );
    let mut next = kept();
    next.pixels[0].1 = Slot::Next;
    assert_eq!(
        told(&next, &note, NOW),
        [("state".to_owned(), Severity::Warning)]
    );
}

#[test]
fn a_shared_token_is_told_unless_that_is_allowed() {
    let mut shared = kept();
    shared
        .pixels
        .push(("2234567890123456".parse().unwrap(), Slot::Current));
    assert_eq!(
        told(&shared, &good(), NOW),
        [("shared".to_owned(), Severity::Info)]
    );
    let policy = Policy {
        allow_shared: true,
        ..Policy::default()
    };
    assert_eq!(alarms(&shared, &good(), &policy, NOW).len(), 0);
}

#[test]
fn the_remedy_is_a_command_that_fits() {
    let mut note = good();
    let fits = |kept: &Kept, note: &Note, part: &str| {
        let said = remedy(kept, &note.facts);
        assert!(said.contains(part), "{said}");
    };
    fits(&kept(), &note, "token rotate --pixel 1234567890123456");
    let with_app = Kept {
        app: Some(App {
            id: "42".to_owned(),
            secret: Secret::new("s".to_owned()),
        }),
        ..kept()
    };
    fits(&with_app, &note, "system-user refresh shop");
    note.facts.kind = Kind::User;
    fits(&kept(), &note, "token login --pixel 1234567890123456");
    note.facts.kind = Kind::Page;
    fits(&kept(), &note, "token page --page-id ID");
    let config = Kept {
        source: Source::Config,
        label: "pixels.1.token".to_owned(),
        ..kept()
    };
    fits(&config, &note, "where pixels.1.token points to");
}
