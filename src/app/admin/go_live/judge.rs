//! From numbers to a checklist.

use std::collections::BTreeMap;

use super::super::quality::{ENOUGH, WANTED};
use crate::custody::ladder::{Finding, Mark, when};
use crate::lanes::snapshot::{BY_HAND, HELD, HoldSnapshot, Seen};
use crate::pixel::PixelId;
use crate::test_mode::{Entry, Standing};
use crate::text::counted;
use crate::time::UnixMs;
use crate::traffic::Report;

/// Those that identify a person by themselves.
const IDENTIFYING: usize = 3;

/// What is judged.
pub(super) struct Facts<'a> {
    pub(super) pixel: PixelId,
    pub(super) report: &'a Report,
    pub(super) now: UnixMs,
    /// What is known of its token.
    pub(super) token: Vec<Finding>,
    /// What holds its events back.
    pub(super) holds: &'a [HoldSnapshot],
    /// Every code for it, active or not.
    pub(super) codes: &'a [Entry],
    /// The sources that may bring a code for it.
    pub(super) open_sources: Vec<String>,
}

/// The checklist: a failure has to be mended before going live.
pub(super) fn judge(facts: Facts<'_>) -> Vec<Finding> {
    let mut list = vec![traffic(&facts)];
    if facts.report.events > 0 {
        let names = format!("events: {}", counts(&facts.report.names));
        list.push(Finding::new("names", Mark::Pass, names));
    }
    list.extend(refused(facts.report));
    list.extend(filtered(facts.report));
    list.extend(by_meta(&facts));
    list.extend(facts.holds.iter().map(hold));
    list.push(warnings(facts.report));
    if facts.report.events > 0 {
        list.push(event_ids(facts.report));
        list.push(match_keys(facts.report));
    }
    list.extend(facts.token);
    list.extend(codes(facts.codes, &facts.open_sources, facts.now));
    list
}

fn traffic(facts: &Facts<'_>) -> Finding {
    let report = facts.report;
    let minutes = report.covered_seconds.div_ceil(60);
    let span = if report.covered_seconds < report.window_seconds {
        format!("since the gateway started {minutes} min ago")
    } else {
        format!("in the last {minutes} min")
    };
    if report.events == 0 {
        let next = format!(
            "send some as the site will: `capigate test-mode start {} --code CODE --for 1h` shows them under Test events",
            facts.pixel
        );
        return Finding::new("traffic", Mark::Fail, format!("no event came {span}")).next(next);
    }
    let coded = match report.coded {
        0 => String::new(),
        coded => format!(", {coded} of them with a test event code"),
    };
    let says = format!("{} came {span}{coded}", counted(report.events, "event"));
    Finding::new("traffic", Mark::Pass, says)
}

fn refused(report: &Report) -> Option<Finding> {
    let Some(first) = most(&report.refused) else {
        let says = "nothing was refused at the door";
        return (report.events > 0).then(|| Finding::new("refused", Mark::Pass, says));
    };
    let says = format!("refused at the door: {}", counts(&report.refused));
    let next = format!(
        "mend it at the source: each answer names the field and the rule, README.md#code-{first} says more"
    );
    Some(Finding::new("refused", Mark::Fail, says).next(next))
}

fn filtered(report: &Report) -> Option<Finding> {
    let first = most(&report.filtered)?;
    let says = format!("kept back by policies: {}", counts(&report.filtered));
    let next = format!(
        "look whether that is meant: `capigate lint FILE --config FILE --source NAME` shows what a policy does, README.md#code-{first} says more"
    );
    Some(Finding::new("filtered", Mark::Warn, says).next(next))
}

fn by_meta(facts: &Facts<'_>) -> Vec<Finding> {
    let report = facts.report;
    let mut list = Vec::new();
    if report.delivered > 0 {
        let says = format!("Meta has confirmed {}", counted(report.delivered, "event"));
        list.push(Finding::new("delivered", Mark::Pass, says));
    } else if report.events > 0 {
        let says = "Meta has confirmed none of them yet";
        let finding = Finding::new("delivered", Mark::Warn, says);
        list.push(
            finding.next("look again in a minute; `capigate lanes` shows what they wait for"),
        );
    }
    for dead in &report.dead {
        let codes = Seen {
            code: dead.death.code,
            subcode: dead.death.subcode,
            trace_id: None,
        };
        let (what, explain) = match codes.code {
            Some(_) => {
                let codes = codes.codes();
                let explain = format!(", and `capigate explain {codes}` what it means");
                (
                    format!("{}, Meta's code {codes}", dead.death.reason),
                    explain,
                )
            }
            None => (dead.death.reason.to_owned(), String::new()),
        };
        let says = format!(
            "{} given up, as dead letters: {what}",
            counted(dead.events, "event")
        );
        let next = format!(
            "`capigate dead list --pixel {}` shows them{explain}",
            facts.pixel
        );
        list.push(Finding::new("dead", Mark::Fail, says).next(next));
    }
    list
}

fn hold(hold: &HoldSnapshot) -> Finding {
    let mark = if [HELD, BY_HAND].contains(&hold.state) {
        Mark::Fail
    } else {
        Mark::Warn
    };
    let says = format!(
        "{} waiting: {} is {} ({})",
        counted(hold.waiting, "event"),
        hold.id,
        hold.state,
        hold.cause
    );
    Finding::new("hold", mark, says).next(hold.advice)
}

fn warnings(report: &Report) -> Finding {
    let Some(first) = most(&report.warnings) else {
        return Finding::new("warnings", Mark::Pass, "no warning was given");
    };
    let says = format!("warnings: {}", counts(&report.warnings));
    let next = format!(
        "mend them at the source: the answers name the fields, README.md#code-{first} says more"
    );
    Finding::new("warnings", Mark::Warn, says).next(next)
}

fn event_ids(report: &Report) -> Finding {
    let share = percent(report.with_event_id, report.events);
    let says = format!("{share} % of events brought an event_id");
    if report.with_event_id == report.events {
        return Finding::new("event_id", Mark::Pass, says);
    }
    Finding::new("event_id", Mark::Warn, says).next(
        "where the browser's pixel sends the same event, give both one event_id, or Meta counts both",
    )
}

fn match_keys(report: &Report) -> Finding {
    let share = |key: &str| {
        let count = report.match_keys.get(key).copied().unwrap_or_default();
        percent(count, report.events)
    };
    let mut keys: Vec<(&String, &u64)> = report.match_keys.iter().collect();
    keys.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    let shares: Vec<String> = keys
        .iter()
        .map(|(key, _)| format!("{key} {} %", share(key)))
        .collect();
    let says = format!("match keys: {}", shares.join(", "));
    let wanted = WANTED.iter().map(|(key, _)| *key);
    let missing = wanted.clone().find(|key| share(key) < ENOUGH);
    let mut identifying = wanted.take(IDENTIFYING);
    let mark = if identifying.any(|key| share(key) >= ENOUGH) {
        Mark::Pass
    } else {
        Mark::Warn
    };
    let finding = Finding::new("match_keys", mark, says);
    match missing {
        None => finding,
        Some(key) => finding.next(format!(
            "the next to send is {key}: {} % of events have it",
            share(key)
        )),
    }
}

fn codes(codes: &[Entry], open_sources: &[String], now: UnixMs) -> Vec<Finding> {
    let check = "test_event_code";
    let mut list = Vec::new();
    for entry in codes {
        let key = entry.key.as_deref();
        match entry.state {
            Standing::Active => {
                let until = entry.until.map_or_else(
                    || "without an end".to_owned(),
                    |until| format!("until {}", when(UnixMs(until), now)),
                );
                let copy = if entry.mirror { " on a copy," } else { "" };
                let says = format!("events go out with {}{copy} {until}", entry.code);
                list.push(Finding::new(check, Mark::Warn, says).next("going live ends it"));
            }
            Standing::Ended | Standing::Stopped => {
                let Some(key) = key else { continue };
                let says = format!("{key} still stands in the configuration, out of force");
                list.push(Finding::new(check, Mark::Warn, says).next("take it out"));
            }
        }
    }
    for source in open_sources {
        let says = format!("requests of {source} may bring a test event code");
        let next = format!("set sources.{source}.allow_test_event_code to false");
        list.push(Finding::new(check, Mark::Warn, says).next(next));
    }
    if list.is_empty() {
        let says = "no test event code is in force";
        list.push(Finding::new(check, Mark::Pass, says));
    }
    list
}

/// The label with the highest count.
fn most(counts: &BTreeMap<String, u64>) -> Option<&String> {
    counts
        .iter()
        .max_by_key(|(_, count)| **count)
        .map(|(label, _)| label)
}

/// `Lead 3, Purchase 2`, the highest first.
fn counts(counts: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<(&String, &u64)> = counts.iter().collect();
    all.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    let all: Vec<String> = all
        .iter()
        .map(|(label, count)| format!("{label} {count}"))
        .collect();
    all.join(", ")
}

/// Rounded down, so that 100 means all.
fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100) / whole.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{Dead, Death};

    fn report() -> Report {
        let counts = |pairs: &[(&str, u64)]| {
            let pairs = pairs
                .iter()
                .map(|(label, count)| ((*label).to_owned(), *count));
            pairs.collect()
        };
        Report {
            window_seconds: 3600,
            covered_seconds: 3600,
            events: 10,
            delivered: 10,
            with_event_id: 10,
            names: counts(&[("Lead", 3), ("Purchase", 7)]),
            match_keys: counts(&[("em", 9), ("client_user_agent", 10)]),
            ..Report::default()
        }
    }

    fn judged(report: &Report, codes: &[Entry], open: &[&str]) -> Vec<Finding> {
        judge(Facts {
            pixel: "1".parse().unwrap(),
            report,
            now: UnixMs::from_secs(1_800_000_000),
            token: Vec::new(),
            holds: &[],
            codes,
            open_sources: open.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    fn find<'a>(list: &'a [Finding], check: &str) -> &'a Finding {
        list.iter().find(|one| one.check == check).unwrap()
    }

    #[test]
    fn good_traffic_passes() {
        let list = judged(&report(), &[], &[]);
        assert!(list.iter().all(|one| one.mark == Mark::Pass), "{list:?}");
        assert_eq!(find(&list, "names").says, "events: Purchase 7, Lead 3");
        let keys = find(&list, "match_keys");
        assert_eq!(keys.says, "match keys: client_user_agent 100 %, em 90 %");
        let next = keys.next.as_deref();
        assert_eq!(next, Some("the next to send is ph: 0 % of events have it"));
    }

    #[test]
    fn each_trouble_has_its_mark_and_what_to_do() {
        let mut bad = report();
        bad.covered_seconds = 600;
        bad.with_event_id = 9;
        bad.delivered = 0;
        bad.match_keys.remove("em");
        bad.refused = [("missing".to_owned(), 2), ("too_old".to_owned(), 1)].into();
        bad.warnings = [("alias".to_owned(), 4)].into();
        bad.dead = vec![Dead {
            death: Death {
                reason: "refused",
                code: Some(100),
                subcode: Some(2_804_009),
            },
            events: 4,
        }];
        let code = |state, key: Option<&str>| Entry {
            pixel: "1".parse().unwrap(),
            source: None,
            code: "TEST1".to_owned(),
            until: Some(1_800_003_600_000),
            mirror: true,
            key: key.map(str::to_owned),
            state,
        };
        let codes = [
            code(Standing::Active, None),
            code(Standing::Ended, None),
            code(Standing::Stopped, Some("pixels.1.test_event_code")),
        ];
        let list = judged(&bad, &codes, &["shop"]);
        for (check, mark, says, next) in [
            (
                "traffic",
                Mark::Pass,
                "since the gateway started 10 min ago",
                "",
            ),
            (
                "refused",
                Mark::Fail,
                "missing 2, too_old 1",
                "README.md#code-missing",
            ),
            (
                "delivered",
                Mark::Warn,
                "none of them yet",
                "capigate lanes",
            ),
            (
                "dead",
                Mark::Fail,
                "4 events given up, as dead letters: refused, Meta's code 100/2804009",
                "`capigate explain 100/2804009`",
            ),
            ("warnings", Mark::Warn, "alias 4", "README.md#code-alias"),
            ("event_id", Mark::Warn, "90 %", "give both one event_id"),
            (
                "match_keys",
                Mark::Warn,
                "client_user_agent 100 %",
                "the next to send is em",
            ),
            (
                "test_event_code",
                Mark::Warn,
                "with TEST1 on a copy, until 2027-01-15T09:00:00Z (in 60 min)",
                "going live ends it",
            ),
        ] {
            let one = find(&list, check);
            assert_eq!(one.mark, mark, "{one:?}");
            assert!(one.says.contains(says), "{one:?}");
            assert!(
                one.next.clone().unwrap_or_default().contains(next),
                "{one:?}"
            );
        }
        let codes: Vec<&str> = (list.iter())
            .filter(|one| one.check == "test_event_code")
            .map(|one| &*one.says)
            .collect();
        assert_eq!(codes.len(), 3);
        assert!(codes[1].starts_with("pixels.1.test_event_code still stands"));
        assert!(codes[2].starts_with("requests of shop may bring"));
    }

    #[test]
    fn no_traffic_is_no_going_live() {
        let list = judged(&Report::default(), &[], &[]);
        assert_eq!(find(&list, "traffic").mark, Mark::Fail);
        assert!(list.iter().all(|one| one.check != "match_keys"));
    }
}
