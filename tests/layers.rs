//! Who may use whom: reads every `crate::…` path in `src/` and compares it with the table.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "tests may panic, print, and use the file system as they like"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Anyone may use these; they use none of the rooms.
const COMMON: &[&str] = &[
    "codes",
    "loopback",
    "origin",
    "pixel",
    "private_file",
    "secret",
    "time",
    "telemetry::metrics",
    "telemetry::SPANS",
    "failpoint",
];

/// A room, and what it may use beyond [`COMMON`] and itself. `*` is everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("codes", &[]),
    ("loopback", &[]),
    ("origin", &[]),
    ("pixel", &[]),
    ("private_file", &[]),
    ("secret", &[]),
    ("time", &[]),
    ("failpoint", &[]),
    ("telemetry", &[]),
    ("config", &["event::policy"]),
    ("event", &[]),
    ("tokens", &[]),
    ("alerts", &[]),
    ("test_mode", &[]),
    ("traffic", &[]),
    // its tests read what events say to be worth
    ("issues", &["event::Money", "event::RawEvent"]),
    ("tail", &["event::MatchKeys"]),
    ("attempts", &[]),
    ("backup", &["journal", "tokens::vault::MAX_FILE"]),
    ("custody", &["tokens", "graph", "alerts"]),
    ("journal", &["event::EncodedEvent", "event::Money"]),
    (
        "receipts",
        &[
            "event::EncodedEvent",
            "event::Label",
            "journal::segment::disk",
        ],
    ),
    (
        "duplicates",
        &[
            "event::EncodedEvent",
            "journal::Class",
            "journal::Envelope",
            "journal::LaneKey",
            "journal::RequestOptions",
            "journal::segment::disk",
        ],
    ),
    ("graph", &["event::EncodedEvent"]),
    (
        "lanes",
        &[
            "event::EncodedEvent",
            "journal",
            "graph",
            "tokens",
            "receipts",
            "duplicates",
            "traffic",
            "issues",
            "tail",
            "attempts",
        ],
    ),
    (
        "lint",
        &[
            "event",
            "journal",
            "ingest",
            "test_mode",
            "graph::client",
            "graph::payload",
        ],
    ),
    (
        "ingest",
        &[
            "event",
            "journal",
            "duplicates",
            "receipts",
            "test_mode",
            "traffic",
            "issues",
            "tail",
        ],
    ),
    ("redrive", &["event", "journal", "duplicates"]),
    ("sandbox", &[]),
    // compiled for the fuzz targets only
    ("fuzzing", &["graph", "journal"]),
    ("app", &["*"]),
    (
        "cli",
        &[
            "app",
            "backup",
            "config",
            "event::EncodedEvent",
            "journal",
            "sandbox",
            "tokens",
            "alerts",
            "custody",
            "graph::oauth",
            "test_mode",
            "graph::verdict::explain",
            "lint",
            "ingest::answer::Rejection",
            "ingest::request",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

#[test]
fn every_arrow_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 30, "only {} files found", files.len());
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let room = first.trim_end_matches(".rs");
        let allowed = MAY_USE
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("src/{first} is a room without a row in the table"))
            .1;
        for (line, target) in targets(&fs::read_to_string(&file).unwrap()) {
            arrows += 1;
            let head = target.split("::").next().unwrap();
            let common = COMMON.iter().any(|path| covers(path, &target));
            let listed = allowed
                .iter()
                .any(|path| *path == "*" || covers(path, &target));
            if head != room && !common && !listed {
                wrong.push(format!(
                    "src/{}:{line}: {room} may not use crate::{target}",
                    inside.display()
                ));
            }
        }
    }
    assert!(
        arrows > 50,
        "only {arrows} uses found: does the test still read them?"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn groups_and_inline_paths_are_read() {
    let text = "use crate::event::{EncodedEvent, Rules};\nuse crate::{graph, config::{self, Config}};\n// crate::comment\nlet x: crate::pixel::PixelId;\nuse crate::journal::{\n    Envelope,\n    dead::DeadLetters,\n};\n";
    let found: BTreeSet<(usize, String)> = targets(text).into_iter().collect();
    let expected = [
        (1, "event::EncodedEvent"),
        (1, "event::Rules"),
        (2, "config::self"),
        (2, "config::Config"),
        (2, "graph"),
        (4, "pixel::PixelId"),
        (5, "journal::Envelope"),
        (5, "journal::dead::DeadLetters"),
    ];
    assert_eq!(
        found,
        expected
            .into_iter()
            .map(|(line, path)| (line, path.to_owned()))
            .collect()
    );
}

/// `journal` covers `journal::dead::DeadLetters`; `event::EncodedEvent` covers only itself.
fn covers(path: &str, target: &str) -> bool {
    target == path
        || target
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with("::"))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every path after `crate::`, groups opened, with its line; comments left out.
fn targets(text: &str) -> Vec<(usize, String)> {
    let code: String = text
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line.split(" // ").next().unwrap()
            }
        })
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let mut rest = &code[at + "crate::".len()..];
        open(&mut rest, "", &mut |path| found.push((line, path)));
    }
    found
}

fn open(rest: &mut &str, prefix: &str, found: &mut dyn FnMut(String)) {
    *rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        *rest = inside;
        loop {
            *rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                *rest = after;
                return;
            }
            if rest.is_empty() {
                return;
            }
            open(rest, prefix, found);
            *rest = rest
                .trim_start()
                .strip_prefix(',')
                .unwrap_or(rest.trim_start());
        }
    }
    let end = rest
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'))
        .unwrap_or(rest.len());
    let name = if prefix.is_empty() {
        rest[..end].to_owned()
    } else {
        format!("{prefix}::{}", &rest[..end])
    };
    *rest = &rest[end..];
    match rest.strip_prefix("::") {
        Some(after) if !after.starts_with('<') => {
            *rest = after;
            open(rest, &name, found);
        }
        _ => {
            if end == 0 {
                // not a path: step over one character so that a group always ends
                let mut chars = rest.chars();
                chars.next();
                *rest = chars.as_str();
                return;
            }
            found(name);
        }
    }
}
