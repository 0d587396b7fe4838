//! A CSV file: one event a row.

use std::io::Read;

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::bounded::{Bounded, Meter};
use super::plan::Plan;
use super::quotes::watched;
use super::{Each, MAX_EVENT, Record, RowFault, WRONG, cell, failure, showable};
use crate::codes;

/// How all CSV files are read. Rows end at line feeds only, so that lines can be counted; the
/// carriage return before one is taken off the last cell.
pub(super) fn builder(delimiter: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .terminator(Terminator::Any(b'\n'));
    builder
}

/// Reads the rows behind the header; those with nothing in them are passed over.
pub(super) fn read<R: Read>(
    input: Bounded<R>,
    meter: &Meter,
    plan: &Plan,
    each: &mut Each<'_>,
) -> anyhow::Result<()> {
    let (input, quotes) = watched(input, plan.delimiter);
    let mut sheet = builder(plan.delimiter).from_reader(input);
    let mut row = ByteRecord::new();
    let mut is_header = true;
    loop {
        let begins = sheet.position().line();
        let more = sheet.read_byte_record(&mut row).map_err(|_| {
            let message = format!(
                "a row that begins near line {begins} has more than 8 MiB, or cannot be read: perhaps a quotation mark is not closed"
            );
            failure(WRONG, message)
        })?;
        if !more {
            return Ok(());
        }
        meter.next_record();
        let is_header = std::mem::take(&mut is_header);
        let is_empty = row.iter().all(|cell| cell.trim_ascii().is_empty());
        if is_header || is_empty && !quotes.borrow().is_left_open() {
            // a fault of the header was told before
            quotes.borrow_mut().is_faulty(sheet.position().byte());
            continue;
        }
        let position = sheet.position();
        let is_last = position.byte() == meter.total();
        let is_open = is_last && quotes.borrow().is_left_open();
        let has_no_end = is_open || is_last && !meter.is_at_line_end();
        let inside: usize = row
            .iter()
            .map(|cell| memchr::memchr_iter(b'\n', cell).count())
            .sum();
        let breaks = inside as u64 + u64::from(!has_no_end);
        let line = position.line().saturating_sub(breaks);
        if is_open {
            let message = format!(
                "the row that begins on line {line} has a quotation mark that is never closed, so all behind it is one cell: it was not taken. Close the mark, or write one that belongs to the text twice"
            );
            return Err(failure(WRONG, message));
        }
        let event = if quotes.borrow_mut().is_faulty(position.byte()) {
            Err(stray(line, line + inside as u64))
        } else {
            event(&row, plan)
        };
        let record = Record {
            line,
            end: position.byte(),
            event_id: id(&row, plan),
            event,
        };
        if each(record).is_break() {
            return Ok(());
        }
    }
}

/// A cell with text behind its closing quotation mark.
fn stray(first: u64, last: u64) -> RowFault {
    let lines = if last > first {
        format!("the row goes from line {first} to line {last}: is a quotation mark not closed? ")
    } else {
        String::new()
    };
    let message = format!(
        "{lines}a cell has text behind its closing quotation mark; a mark that belongs to the text is written twice; for example \"5\"\" nails\""
    );
    RowFault::new(codes::MALFORMED, "", message)
}

/// Its `event_id`, be the rest of the row as it may.
fn id(row: &ByteRecord, plan: &Plan) -> Option<String> {
    let slot = plan
        .slots
        .iter()
        .position(|slot| slot.target.section.is_empty() && slot.target.key == "event_id")?;
    let column = plan.columns.iter().position(|of| *of == Some(slot))?;
    let is_whole = row.len() == plan.columns.len();
    let cell = row.get(column).filter(|_| is_whole)?;
    showable(std::str::from_utf8(cell).ok()?.trim())
}

fn event(row: &ByteRecord, plan: &Plan) -> Result<String, RowFault> {
    if row.len() != plan.columns.len() {
        let (expected, found) = (plan.columns.len(), row.len());
        let message =
            format!("{expected} cells are expected, as in the header line, and {found} are there");
        return Err(RowFault::new(codes::MALFORMED, "", message));
    }
    let mut members: Vec<Vec<String>> = vec![Vec::new(); plan.slots.len()];
    for (at, slot) in plan.columns.iter().enumerate() {
        let Some(slot) = slot else { continue };
        let (Some(place), Some(into)) = (plan.slots.get(*slot), members.get_mut(*slot)) else {
            continue;
        };
        let name = plan.names.get(at).map_or("", String::as_str);
        let cell = row.get(at).unwrap_or_default();
        let path = || place.target.path();
        let cell = std::str::from_utf8(cell)
            .map_err(|_| RowFault::new(codes::NOT_UTF8, path(), format!("{name}: not UTF-8")))?
            .trim();
        if cell.is_empty() {
            continue;
        }
        let values = cell::values(cell, place.target.kind, plan.zone.as_ref());
        let values = values.map_err(|(rule, example)| {
            let message = format!("{name}: {rule}; for example {example}");
            RowFault::new(codes::MALFORMED, path(), message)
        })?;
        into.extend(values);
    }
    let event = written(&members, plan);
    if event.len() > MAX_EVENT {
        return Err(RowFault::new(
            codes::TOO_LARGE,
            "",
            "an event may have 1 MiB at most",
        ));
    }
    Ok(event)
}

fn written(members: &[Vec<String>], plan: &Plan) -> String {
    use super::columns::Kind;
    let mut event = String::from("{");
    let mut open = "";
    let mut is_first = true;
    for section in ["", "user_data", "custom_data", "app_data"] {
        for (slot, values) in plan.slots.iter().zip(members) {
            let values = if values.is_empty() {
                &slot.default
            } else {
                values
            };
            if slot.target.section != section || values.is_empty() {
                continue;
            }
            if open != section {
                if !open.is_empty() {
                    event.push('}');
                }
                let comma = if event.len() > 1 { "," } else { "" };
                event.extend([comma, "\"", section, "\":{"]);
                (open, is_first) = (section, true);
            }
            let comma = if is_first { "" } else { "," };
            event.extend([comma, "\"", &slot.target.key, "\":"]);
            is_first = false;
            match values.as_slice() {
                [one] if slot.target.kind != Kind::Ids => event.push_str(one),
                several => event.extend(["[", &several.join(","), "]"]),
            }
        }
    }
    event.push_str(if open.is_empty() { "}" } else { "}}" });
    event
}
