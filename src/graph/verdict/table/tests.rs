//! What each error must mean, row by row, apart from the table.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::graph::reply::Reply;
use crate::graph::usage::Usage;
use crate::graph::verdict::{Hold, Throttle, Verdict, judge};

fn retry(cause: Transient) -> Verdict {
    Verdict::Transient(cause, Some(Duration::from_secs(3)))
}

fn slow(scope: Scope, floor: u32) -> Verdict {
    Verdict::Throttled(Throttle {
        scope,
        wait: Some(Duration::from_secs(3)),
        floor,
    })
}

fn hold(scope: Scope, cause: Cause) -> Verdict {
    Verdict::Hold(Hold { scope, cause })
}

/// The status, the code, the subcodes (0 for none) and what the answer must mean, written
/// down from Meta's pages and the reports, not from the table.
fn expectations() -> Vec<(u16, i64, &'static [i64], Verdict)> {
    use Scope::{App, Lane, Pixel, Token};
    let token = || hold(Token, Cause::Token);
    let app = || hold(Token, Cause::App);
    let permission = || hold(Pixel, Cause::Permission);
    let configuration = || hold(Pixel, Cause::Configuration);
    let blocked = || hold(Pixel, Cause::Blocked);
    let account = || hold(Pixel, Cause::Account);
    let refused = || Verdict::Split(Split::Refused);
    vec![
        (500, 1, &[0, 99, 7], retry(Transient::Unknown)),
        (503, 2, &[0, 7], retry(Transient::Graph)),
        (400, 3, &[0, 7], permission()),
        (400, 4, &[0, 1_504_022, 1_504_039], slow(App, 1)),
        (403, 5, &[0, 7], app()),
        (400, 9, &[0], slow(Token, 1)),
        (403, 10, &[0, 7], permission()),
        (400, 17, &[0, 2_446_079, 1_885_172, 7], slow(Token, 1)),
        (400, 32, &[0, 7], slow(Token, 1)),
        (400, 100, &[2_804_003], Verdict::Split(Split::Expired)),
        (400, 100, &[33], permission()),
        (400, 100, &[0, 34, 38, 7], refused()),
        (400, 100, &[2_804_001, 2_804_007, 2_804_016], refused()),
        (400, 100, &[2_804_017, 2_804_048, 2_804_008], refused()),
        (400, 100, &[2_804_009], refused()),
        (400, 100, &[2_804_019], refused()),
        (400, 100, &[2_804_030], refused()),
        (400, 100, &[2_804_043], refused()),
        (400, 100, &[2_804_050], refused()),
        (400, 100, &[2_804_066], refused()),
        (400, 100, &[2_804_072], refused()),
        (400, 100, &[2_804_081], refused()),
        (400, 100, &[2_804_087], refused()),
        (400, 100, &[2_804_000, 2_804_555, 2_804_999], refused()),
        (400, 100, &[2_804_131], hold(Lane, Cause::Configuration)),
        (400, 102, &[0, 463, 7], token()),
        (400, 101, &[0], app()),
        (400, 104, &[0, 7], app()),
        (400, 105, &[0], refused()),
        (401, 190, &[0], token()),
        (400, 190, &[458], token()),
        (400, 190, &[459], token()),
        (400, 190, &[460], token()),
        (400, 190, &[463], token()),
        (400, 190, &[464], token()),
        (400, 190, &[467], token()),
        (500, 190, &[492, 7], token()),
        (403, 200, &[0, 7], permission()),
        (400, 294, &[0], permission()),
        (200, 299, &[0], permission()),
        (400, 341, &[0, 7], slow(App, 1)),
        (400, 368, &[0, 1_390_008, 7], blocked()),
        (400, 412, &[0], token()),
        (400, 450, &[0], token()),
        (400, 452, &[0], token()),
        (400, 506, &[0], refused()),
        (400, 613, &[0], slow(Token, 5)),
        (400, 613, &[1_487_742], slow(Pixel, 1)),
        (400, 613, &[1_996], slow(Token, 15)),
        (400, 613, &[5_044_001, 1_487_632], slow(Pixel, 1)),
        (400, 613, &[1_487_225], slow(Pixel, 1)),
        (400, 613, &[7], slow(Token, 1)),
        (404, 803, &[0], permission()),
        (400, 1_404_078, &[0], blocked()),
        (400, 2_859_015, &[0], blocked()),
        (400, 1_404_163, &[0], account()),
        (400, 1_870_090, &[0], account()),
        (400, 1_870_092, &[0], account()),
        (400, 2_500, &[0], configuration()),
        (400, 2_635, &[0], configuration()),
        (400, 3_910_001, &[0], retry(Transient::Graph)),
        (400, 5_000, &[0], retry(Transient::Graph)),
        (400, 21_009, &[0], retry(Transient::Graph)),
        (400, 80_000, &[0, 2_446_079], slow(Pixel, 1)),
        (400, 80_001, &[0], slow(Token, 1)),
        (400, 80_002, &[0], slow(Token, 1)),
        (400, 80_003, &[0, 2_446_079], slow(Pixel, 1)),
        (400, 80_004, &[0, 2_446_079], slow(Pixel, 1)),
        (400, 80_005, &[0], slow(Token, 1)),
        (400, 80_006, &[0], slow(Token, 1)),
        (429, 80_007, &[0], slow(Token, 1)),
        (400, 80_008, &[0], slow(Token, 1)),
        (400, 80_009, &[0], slow(Pixel, 1)),
        (400, 80_010, &[0], slow(Token, 1)),
        (400, 80_011, &[0], slow(Token, 1)),
        (400, 80_012, &[0], slow(Token, 1)),
        (400, 80_013, &[0], slow(Token, 1)),
        (400, 80_014, &[0], slow(Pixel, 1)),
        // in no row: the status decides
        (400, 987_654, &[0, 7], refused()),
        (401, 987_654, &[0], refused()),
        (403, 987_654, &[0], refused()),
        (404, 987_654, &[0], refused()),
        (413, 987_654, &[0], Verdict::Split(Split::TooLarge)),
        (429, 987_654, &[0], slow(Pixel, 1)),
        (503, 987_654, &[0], retry(Transient::Server)),
        (400, 0, &[0], refused()),
        (400, -1, &[0, 33], refused()),
        (400, 80_015, &[0], refused()),
        (400, 1_870_091, &[0], refused()),
        (400, i64::MAX, &[0, i64::MIN], refused()),
    ]
}

/// Where the message's literal decides: without it, and with a subcode, it does not.
fn literals() -> Vec<(i64, i64, Literal, Verdict)> {
    let refused = || Verdict::Split(Split::Refused);
    let (proof, missing) = (Literal::AppsecretProof, Literal::MissingPermission);
    vec![
        (100, 0, proof, hold(Scope::Token, Cause::App)),
        (100, 0, missing, hold(Scope::Pixel, Cause::Permission)),
        (100, 2_804_050, proof, refused()),
        (100, 34, missing, refused()),
        (987_654, 0, proof, refused()),
    ]
}

fn error(code: i64, subcode: i64, literal: Option<Literal>) -> GraphError {
    GraphError {
        code,
        subcode: (subcode != 0).then_some(subcode),
        transient: false,
        literal,
        index: None,
        title: None,
        message: None,
    }
}

fn judged(status: u16, error: GraphError, usage: &Usage) -> Verdict {
    let asked = Some(Duration::from_secs(3));
    judge(status, &Reply::Error(error), asked, usage)
}

#[test]
fn every_answer_means_what_is_written_down() {
    let usage = Usage::default();
    for (status, code, subcodes, want) in expectations() {
        for subcode in subcodes {
            let got = judged(status, error(code, *subcode, None), &usage);
            assert_eq!(got, want, "{code}/{subcode} at {status}");
        }
    }
    for (code, subcode, literal, want) in literals() {
        let got = judged(400, error(code, subcode, Some(literal)), &usage);
        assert_eq!(got, want, "{code}/{subcode} naming {literal:?}");
    }
}

#[test]
fn what_is_about_the_token_never_buries_an_event() {
    let mut count = 0;
    for row in crate::graph::oauth::catalogue::rows() {
        let is_about_sending =
            row.contexts.is_empty() || row.contexts.contains(&crate::graph::oauth::Context::Send);
        if row.state == crate::graph::oauth::State::Unchanged || !is_about_sending {
            continue;
        }
        let subcode = match row.subcode {
            crate::graph::oauth::catalogue::Subcode::Is(subcode) => subcode,
            _ => 0,
        };
        for (first, last) in row.codes {
            for code in [*first, *last] {
                // the names in messages that decide are tried with them
                let literal = (code == 100 && subcode == 0).then_some(Literal::AppsecretProof);
                let got = judged(400, error(code, subcode, literal), &Usage::default());
                let is_split = matches!(got, Verdict::Split(_));
                assert!(!is_split, "{code}/{subcode} ({}): {got:?}", row.slug);
                count += 1;
            }
        }
    }
    assert!(count > 20, "only {count} cases");
}

#[test]
fn a_code_in_the_table_decides_at_every_status() {
    let usage = Usage::default();
    for (_, code, subcodes, want) in expectations() {
        for subcode in subcodes {
            if find(&error(code, *subcode, None)).is_none() {
                continue;
            }
            for status in [200, 302, 400, 401, 403, 404, 413, 429, 500, 503] {
                let mut error = error(code, *subcode, None);
                // upgrades only what is in no row
                error.transient = true;
                let got = judged(status, error, &usage);
                assert_eq!(got, want, "{code}/{subcode} at {status}");
            }
        }
    }
}

#[test]
fn the_limited_tier_waits_longer_where_it_is_known_to() {
    let limited = Usage {
        limited_tier: true,
        ..Usage::default()
    };
    for (code, subcode, scope, floor) in [
        (17, 2_446_079, Scope::Token, 5),
        (613, 1_487_742, Scope::Pixel, 5),
        (17, 0, Scope::Token, 1),
        (613, 1_996, Scope::Token, 15),
        (80_004, 2_446_079, Scope::Pixel, 1),
    ] {
        let got = judged(400, error(code, subcode, None), &limited);
        assert_eq!(got, slow(scope, floor), "{code}/{subcode}");
    }
}

#[test]
fn every_row_is_expected_by_some_line() {
    let lines = expectations();
    let plain = (lines.iter())
        .flat_map(|(_, code, subcodes, _)| subcodes.iter().map(|sub| error(*code, *sub, None)));
    let named = (literals().into_iter())
        .map(|(code, subcode, literal, _)| error(code, subcode, Some(literal)));
    let hit: BTreeSet<usize> = plain
        .chain(named)
        .filter_map(|error| TABLE.iter().position(|row| row.fits(&error)))
        .collect();
    let missed: Vec<&str> = (TABLE.iter().enumerate())
        .filter(|(at, _)| !hit.contains(at))
        .map(|(_, row)| row.note)
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
