//! One event a line.

use std::io::Read;

use super::bounded::{Bounded, Meter};
use super::{Each, MAX_EVENT, Record, RowFault, WRONG, failure};
use crate::codes;

/// Reads the lines; blank ones are passed over.
pub(super) fn read<R: Read>(
    mut input: Bounded<R>,
    meter: &Meter,
    each: &mut Each<'_>,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    loop {
        let number = meter.lines() + 1;
        let longer = input.line(&mut line, MAX_EVENT).map_err(|error| {
            let message = format!("line {number} cannot be read: {}", error.kind());
            failure(WRONG, message)
        })?;
        let Some(is_longer) = longer else {
            return Ok(());
        };
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let event = if is_longer {
            Err(RowFault::new(
                codes::TOO_LARGE,
                "",
                "an event may have 1 MiB at most",
            ))
        } else {
            event(text)
        };
        let record = Record {
            line: number,
            end: meter.total(),
            event_id: event.as_deref().ok().and_then(super::json::id_of),
            event,
        };
        if each(record).is_break() {
            return Ok(());
        }
    }
}

fn event(text: &[u8]) -> Result<String, RowFault> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let at = error.valid_up_to() + 1;
        RowFault::new(
            codes::NOT_UTF8,
            "",
            format!("byte {at} of the line is not UTF-8"),
        )
    })?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| {
        let what = if error.is_eof() {
            "the JSON ends too early"
        } else {
            "not JSON"
        };
        let at = error.column();
        RowFault::new(
            codes::BAD_JSON,
            "",
            format!("{what}, at column {at} of the line"),
        )
    })?;
    Ok(text.to_owned())
}
