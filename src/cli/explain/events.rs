//! What Graph's errors mean as an answer to events, from the table by which the lanes act.

use std::io::Write;

use serde_json::{Value, json};

use crate::graph::verdict::explain::{Explained, Subcodes};

/// `190/463`, `613 alone`, `200-299`; of several subcodes all.
pub(super) fn codes(row: &Explained) -> String {
    let range = |(first, last): (i64, i64)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let code = range(row.codes);
    match &row.subcodes {
        Subcodes::Any => code,
        Subcodes::Absent => format!("{code}/-"),
        Subcodes::Only(ranges) => {
            let all: Vec<String> = ranges
                .iter()
                .map(|one| format!("{code}/{}", range(*one)))
                .collect();
            all.join(", ")
        }
    }
}

/// One row for people.
pub(super) fn print(row: &Explained, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}  {}", codes(row), row.title)?;
    if let Some(names) = row.names {
        writeln!(out, "  words:   Meta's message has \"{names}\"")?;
    }
    writeln!(out, "  means:   {}", row.says)?;
    writeln!(out, "  gateway: {}", row.does)?;
    writeln!(out, "  known:   {}", known(row.grade))?;
    writeln!(out, "  → {}", row.next)?;
    Ok(())
}

/// One row for other programs.
pub(super) fn case(row: &Explained) -> Value {
    let subcodes: Vec<Value> = match &row.subcodes {
        Subcodes::Only(ranges) => ranges
            .iter()
            .map(|(first, last)| json!({ "first": first, "last": last }))
            .collect(),
        Subcodes::Any | Subcodes::Absent => Vec::new(),
    };
    let subcode = match row.subcodes {
        Subcodes::Any => "any",
        Subcodes::Absent => "absent",
        Subcodes::Only(_) => "only",
    };
    json!({
        "about": "events",
        "word": codes(row),
        "codes": [{ "first": row.codes.0, "last": row.codes.1 }],
        "subcode": subcode,
        "subcodes": subcodes,
        "names": row.names,
        "outcome": row.outcome,
        "cause": row.cause,
        "scope": row.scope,
        "evidence": row.grade,
        "title": row.title,
        "says": row.says,
        "does": row.does,
        "next": row.next,
    })
}

fn known(grade: &str) -> String {
    let how = match grade {
        "documented" => "Meta documents it",
        "reported" => "others have published answers of Graph with it",
        "told" => "other programs act on it; no answer was published",
        _ => "a guess from what is around it",
    };
    format!("{grade}: {how}")
}
