//! What is found, for people.

use std::io::Write;

use crate::cli::records::RowFault;
use crate::cli::table::plain;
use crate::lint::{Finding, Linted, Totals};
use crate::text::counted;

/// One event; if brief, only what is wrong with it.
pub(super) fn event(
    linted: &Linted,
    line: Option<u64>,
    is_brief: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let place = line.map_or_else(String::new, |line| format!(" (line {line})"));
    let changed = if linted.changed { ", changed" } else { "" };
    writeln!(
        out,
        "event {}{place}: would be {}{changed}",
        linted.index + 1,
        linted.verdict.word()
    )?;
    findings(&linted.findings, out)?;
    if is_brief {
        return Ok(());
    }
    for seen in &linted.user_data {
        for value in &seen.values {
            writeln!(out, "  {}: {}", plain(&seen.path), plain(value))?;
        }
    }
    for request in &linted.requests {
        writeln!(out, "  {} {}", request.method, request.url)?;
        for (name, value) in &request.headers {
            writeln!(out, "    {name}: {value}")?;
        }
        // the JSON of an event has no control characters of its own
        writeln!(out, "    {}", request.body.get())?;
    }
    Ok(())
}

/// What is said of an event, or of a body as a whole.
pub(super) fn findings(findings: &[Finding], out: &mut dyn Write) -> anyhow::Result<()> {
    for finding in findings {
        print(finding, out)?;
    }
    Ok(())
}

fn print(finding: &Finding, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = match finding.path.as_str() {
        "" => "event",
        path => path,
    };
    let sign = if finding.kind == "warning" {
        "!"
    } else {
        "✗"
    };
    let (path, rule) = (plain(path), plain(&finding.rule));
    write!(out, "  {sign} {path}: {rule}")?;
    if let Some(example) = &finding.example {
        write!(out, "; for example {}", plain(example))?;
    }
    writeln!(out, " ({})", finding.code)?;
    if finding.kind == "warning" {
        return Ok(());
    }
    writeln!(out, "    → {}", finding.next)?;
    if let Some(page) = finding.meta {
        writeln!(out, "    Meta: {page}")?;
    }
    Ok(())
}

/// A record that is no event.
pub(super) fn fault(line: u64, fault: &RowFault, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = match fault.path.as_str() {
        "" => String::new(),
        path => format!("{path}: "),
    };
    let message = plain(&fault.message);
    writeln!(
        out,
        "line {line}: no event: {path}{message} ({})",
        fault.code
    )?;
    Ok(())
}

/// The counts.
pub(in crate::cli) fn totals(totals: &Totals, out: &mut dyn Write) -> anyhow::Result<()> {
    let parts: Vec<String> = totals
        .verdicts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    writeln!(
        out,
        "{}: {}",
        counted(totals.events, "event"),
        parts.join(", ")
    )?;
    for (code, count) in &totals.codes {
        writeln!(out, "  {count} × {code}")?;
    }
    Ok(())
}
