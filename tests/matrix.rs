//! The table of what was asked of the tokens room: every row is there, every test that a row names
//! is a test, and every command that a row names is a command.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests may panic and use the file system as they like"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const MATRIX: &str = include_str!("../src/tokens/matrix.md");

/// The rows there must be: letter, first and last number.
const ROWS: [(char, u32, u32); 4] = [('A', 1, 52), ('B', 0, 17), ('C', 1, 23), ('D', 1, 35)];

struct Row {
    id: String,
    how: String,
    shown: String,
}

fn rows() -> Vec<Row> {
    let cells = |line: &str| -> Option<Row> {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        let [id, _asked, how, shown] = cells[..] else {
            panic!("a row of other than four cells: {line}");
        };
        let is_row = id.starts_with(['A', 'B', 'C', 'D']) && id[1..].parse::<u32>().is_ok();
        is_row.then(|| Row {
            id: id.to_owned(),
            how: how.to_owned(),
            shown: shown.to_owned(),
        })
    };
    MATRIX.lines().filter_map(cells).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_row_is_there_once() {
    let mut seen = BTreeMap::new();
    for row in rows() {
        *seen.entry(row.id).or_insert(0) += 1;
    }
    let wanted: BTreeSet<String> = ROWS
        .iter()
        .flat_map(|(letter, first, last)| (*first..=*last).map(move |n| format!("{letter}{n}")))
        .collect();
    assert_eq!(wanted.len(), 128);
    assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
}

#[test]
fn every_row_is_shown_by_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows() {
        if row.how.starts_with("Out of scope:") {
            assert_eq!(row.shown, "-", "{}", row.id);
            continue;
        }
        let mut count = 0;
        for reference in quoted(&row.shown) {
            count += 1;
            let Some((path, name)) = reference.split_once("::") else {
                wrong.push(format!("{}: {reference} is no file::test", row.id));
                continue;
            };
            let text = files
                .entry(path.to_owned())
                .or_insert_with(|| std::fs::read_to_string(root.join(path)).unwrap_or_default());
            if !has(path, text, name) {
                wrong.push(format!("{}: there is no {reference}", row.id));
            }
        }
        if count == 0 {
            wrong.push(format!("{}: nothing shows it", row.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a file has a test of this name that is run: a function with a test attribute, or a step
/// of a script.
fn has(path: &str, text: &str, name: &str) -> bool {
    if Path::new(path)
        .extension()
        .is_some_and(|ending| ending == "sh")
    {
        let step = format!("step \"{name}\"");
        return text
            .lines()
            .any(|line| line.trim_start().starts_with(&step));
    }
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") || line.starts_with("//") {
            attributes.push(line);
            continue;
        }
        let signature = line.trim_start_matches("pub ").trim_start_matches("async ");
        let is_named = signature
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('));
        if is_named {
            let is_test = attributes.iter().any(|attribute| {
                attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test")
            });
            let is_skipped = attributes.iter().any(|one| one.starts_with("#[ignore"));
            return is_test && !is_skipped;
        }
        attributes.clear();
    }
    false
}

/// Whether a help text names a flag, and not only a longer one.
fn names(help: &str, flag: &str) -> bool {
    help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .any(|word| word == flag)
}

#[test]
fn every_command_is_one() {
    let mut commands = BTreeSet::new();
    for row in rows() {
        for quote in quoted(&row.how) {
            if let Some(words) = quote.strip_prefix("capigate ") {
                let verbs = words.split(' ').take_while(|word| {
                    word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                        && !word.starts_with('-')
                });
                let verbs: Vec<&str> = verbs.collect();
                let flags = words.split(' ').filter(|word| word.starts_with("--"));
                let flags: Vec<&str> = flags.collect();
                commands.insert((verbs.join(" "), flags.join(" ")));
            }
        }
    }
    assert!(commands.len() > 20, "only {} commands", commands.len());
    let mut wrong = Vec::new();
    for (verbs, flags) in commands {
        let help = Command::new(env!("CARGO_BIN_EXE_capigate"))
            .args(verbs.split(' '))
            .arg("--help")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        if !help.status.success() {
            wrong.push(format!("capigate {verbs} is no command"));
        }
        for flag in flags.split(' ').filter(|flag| !flag.is_empty()) {
            if !names(&text, flag) {
                wrong.push(format!("capigate {verbs} has no {flag}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_flag_is_named_only_as_a_whole() {
    let help = "Options:\n      --name-all <NAME>  as --pixel=ID, or [--out FILE]\n";
    assert!(
        ["--name-all", "--pixel", "--out"]
            .iter()
            .all(|flag| names(help, flag))
    );
    assert!(!names(help, "--name") && !names(help, "--all"));
}

#[test]
fn a_test_is_found_only_where_it_is_one() {
    let text = "#[test]\nfn one() {\n}\nfn two() {}\n#[ignore]\n#[test]\nfn three() {}\n#[tokio::test(flavor = \"x\")]\nasync fn four() {}\n";
    let found = |name| has("a.rs", text, name);
    assert!(found("one") && found("four"));
    assert!(!found("two") && !found("three") && !found("on"));
    // `proptest!` runs only what has the attribute, and what comes after it is none of its own
    let text = "proptest! {\n    #[test]\n    fn one(n in 0..9) {\n    }\n    fn two(n in 0..9) {\n    }\n}\nfn three() {}\n";
    let found = |name| has("a.rs", text, name);
    assert!(found("one") && !found("two") && !found("three"));
    assert!(has("a.sh", "  step \"does it\" run\n", "does it"));
    assert!(!has("a.sh", "# step \"does it\"\n", "does it"));
}
