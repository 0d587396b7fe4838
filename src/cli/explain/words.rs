//! What the gateway's own words mean, from the table of its answers.

use std::io::Write;

use serde_json::{Value, json};

use crate::codes::{About, Code};

/// What it is said about, such as `event, warning`.
pub(super) fn about(code: Code) -> String {
    let words: Vec<&str> = code.row().about.iter().map(|one| one.word()).collect();
    words.join(", ")
}

/// One word for people.
pub(super) fn print(code: Code, out: &mut dyn Write) -> anyhow::Result<()> {
    let row = code.row();
    writeln!(out, "{code}  a word of this gateway about: {}", about(code))?;
    writeln!(out, "  rule:    {}", row.rule)?;
    if let Some(example) = row.example {
        writeln!(out, "  example: {example}")?;
    }
    let is_only_warning = row.about == [About::Warning];
    if is_only_warning {
        writeln!(out, "  answer:  200; nothing is refused for it")?;
    } else {
        let subcode = row
            .subcode
            .map_or_else(String::new, |sub| format!("/{sub}"));
        let again = if row.is_transient {
            "; the same request may do later"
        } else {
            ""
        };
        let (status, graph) = (row.status, row.graph);
        writeln!(
            out,
            "  answer:  HTTP {status}, as Graph's code {graph}{subcode}{again}"
        )?;
    }
    if let Some(page) = row.meta {
        writeln!(out, "  Meta:    {page}")?;
    }
    writeln!(out, "  more:    {}", code.docs())?;
    writeln!(out, "  → {}", row.next)?;
    Ok(())
}

/// One word for other programs.
pub(super) fn case(code: Code) -> Value {
    let row = code.row();
    let about: Vec<&str> = row.about.iter().map(|one| one.word()).collect();
    json!({
        "about": "gateway",
        "word": code,
        "said_about": about,
        "status": row.status,
        "graph": row.graph,
        "subcode": row.subcode,
        "is_transient": row.is_transient,
        "rule": row.rule,
        "example": row.example,
        "meta": row.meta,
        "docs": code.docs(),
        "next": row.next,
    })
}
