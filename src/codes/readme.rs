//! The README's table of words, which is written from the rows and held to them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::{About, Row, all};

const BEGIN: &str = "<!-- codes: written by `README=write cargo test --lib codes` -->\n";
const END: &str = "<!-- end of codes -->\n";

/// One table a kind; a word that is said about several kinds stands with the first.
fn tables() -> String {
    let (mut text, mut pages) = (String::new(), BTreeSet::new());
    for (about, title) in [
        (About::Request, "Requests that are refused"),
        (About::Event, "Events that are refused"),
        (About::Warning, "Warnings"),
        (About::Policy, "Policies"),
    ] {
        let rows = all()
            .map(super::Code::row)
            .filter(|row| row.about.first() == Some(&about));
        let rows: Vec<&Row> = rows.collect();
        if rows.is_empty() {
            continue;
        }
        write!(text, "\n**{title}**\n\n| code | answer | what is expected | what to do |\n|---|---|---|---|\n").unwrap();
        for row in rows {
            let example = row.example.map_or_else(String::new, |example| {
                format!(", such as `{}`", example.replace('|', "\\|"))
            });
            let meta = row.meta.map_or_else(String::new, |page| {
                pages.insert(page);
                format!(" ([Meta][{}])", label(page))
            });
            writeln!(
                text,
                "| <a id=\"code-{0}\"></a>`{0}`{1} | {2} | {3}{example}{meta} | {4} |",
                row.word,
                others(row),
                answer(row),
                plain(row.rule),
                plain(row.next),
            )
            .unwrap();
        }
    }
    text.push('\n');
    for page in pages {
        writeln!(text, "[{}]: {page}", label(page)).unwrap();
    }
    text
}

/// The last part of a page's address.
fn label(page: &str) -> &str {
    page.rsplit('/').next().unwrap()
}

/// `sources.<name>` would be read as HTML.
fn plain(text: &str) -> String {
    text.replace('<', "\\<").replace('|', "\\|")
}

/// The kinds after the first.
fn others(row: &Row) -> String {
    let words: Vec<&str> = row.about.iter().skip(1).map(|about| about.word()).collect();
    if words.is_empty() {
        return String::new();
    }
    format!(" (also: {})", words.join(", "))
}

/// `400, 100/33`, and what a sender may count on.
fn answer(row: &Row) -> String {
    let graph = match (row.graph, row.subcode) {
        (0, _) => return format!("{}", row.status),
        (code, Some(subcode)) => format!("{code}/{subcode}"),
        (code, None) => code.to_string(),
    };
    let again = if row.is_transient {
        ", again later"
    } else {
        ""
    };
    format!("{}, {graph}{again}", row.status)
}

#[test]
fn the_readme_has_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (old, after) = rest.split_once(END).unwrap();
    let new = tables();
    if old == new {
        return;
    }
    if std::env::var("README").as_deref() == Ok("write") {
        #[allow(
            clippy::disallowed_methods,
            reason = "the README is no file of the journal"
        )]
        std::fs::write(&path, format!("{before}{BEGIN}{new}{END}{after}")).unwrap();
        return;
    }
    panic!("README.md differs from the table of codes: README=write cargo test --lib codes");
}
