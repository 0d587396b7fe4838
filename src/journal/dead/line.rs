//! A dead letter as its line of JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{DeadLetter, LetterId, Refusal};
use crate::event::Changes;
use crate::journal::envelope::RequestOptions;
use crate::pixel::PixelId;

/// The version of the format. Members may be added to it; readers pass over those they do not know.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    id: LetterId,
    pixel: PixelId,
    #[serde(skip_serializing_if = "RequestOptions::is_empty")]
    options: &'a RequestOptions,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a Refusal>,
    received_at: i64,
    expires_at: i64,
    dead_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    changes: &'a str,
    event: &'a RawValue,
}

/// A letter as it was read.
pub(super) struct Stored<'a> {
    pub(super) id: LetterId,
    /// Whether the line itself tells the id.
    pub(super) named: bool,
    pub(super) pixel: PixelId,
    pub(super) options: RequestOptions,
    pub(super) reason: Cow<'a, str>,
    pub(super) refusal: Option<Refusal>,
    pub(super) received_at: i64,
    pub(super) expires_at: i64,
    pub(super) dead_at: i64,
    pub(super) seq: Option<u64>,
    pub(super) changes: Changes,
    pub(super) event: &'a RawValue,
}

#[derive(Deserialize)]
struct Read<'a> {
    v: u32,
    #[serde(default)]
    id: Option<LetterId>,
    pixel: PixelId,
    #[serde(default)]
    options: RequestOptions,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(default)]
    refusal: Option<Refusal>,
    received_at: i64,
    expires_at: i64,
    dead_at: i64,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(borrow, default)]
    changes: Cow<'a, str>,
    #[serde(borrow)]
    event: &'a RawValue,
}

impl<'a> Stored<'a> {
    /// Reads the line at `offset` of file `file`; none if it is damaged, or of a later format.
    /// A line without an id, or with that of another file, is named after its place.
    pub(super) fn read(line: &'a [u8], file: u64, offset: u64) -> Option<Self> {
        // a line that lost its end may still be JSON only by chance: the line break is the seal
        let line = line.strip_suffix(b"\n")?;
        let read: Read<'a> = serde_json::from_slice(line).ok()?;
        if read.v != VERSION {
            return None;
        }
        let told = read.id.filter(|id| id.file == file);
        Some(Self {
            id: told.unwrap_or(LetterId { file, offset }),
            named: told.is_some(),
            pixel: read.pixel,
            options: read.options,
            reason: read.reason,
            refusal: read.refusal,
            received_at: read.received_at,
            expires_at: read.expires_at,
            dead_at: read.dead_at,
            seq: read.seq,
            changes: Changes::of_record(read.changes.as_bytes()),
            event: read.event,
        })
    }

    /// Writes `line`, of which this was read, so that it tells its id.
    pub(super) fn copy(&self, line: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.named {
            out.extend_from_slice(line);
            return Ok(());
        }
        let line = Line {
            v: VERSION,
            id: self.id,
            pixel: self.pixel,
            options: &self.options,
            reason: &self.reason,
            refusal: self.refusal.as_ref(),
            received_at: self.received_at,
            expires_at: self.expires_at,
            dead_at: self.dead_at,
            seq: self.seq,
            changes: self.changes.as_str(),
            event: self.event,
        };
        line.write(out)
    }
}

impl Line<'_> {
    fn write(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.push(b'\n');
        Ok(())
    }
}

/// Appends the line of a letter.
pub(super) fn write(out: &mut Vec<u8>, id: LetterId, letter: &DeadLetter) -> std::io::Result<()> {
    // JSON has no bare line break inside a string, so each one is a space between two tokens
    let event: Vec<u8> = letter
        .event
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => *other,
        })
        .collect();
    let line = Line {
        v: VERSION,
        id,
        pixel: letter.lane.pixel,
        options: &letter.lane.options,
        reason: letter.reason,
        refusal: letter.refusal.as_ref(),
        received_at: letter.received_at.0,
        expires_at: letter.expires_at.0,
        dead_at: letter.dead_at.0,
        seq: Some(letter.seq),
        changes: letter.event.changes().as_str(),
        event: serde_json::from_slice(&event)?,
    };
    line.write(out)
}
