//! Dead letters: events that will not be sent, kept with the reason.
//!
//! They are lines of JSON in files of the directory `dead`, one object a line, each with its
//! format version `v`. A letter is durable before [`DeadLetters::append`] returns `Ok`, so it can
//! be called before the lease is settled: an event may then be a dead letter twice, never not at
//! all. A line that was torn by a crash is not counted; every start begins a new file, so nothing
//! is ever written behind a torn line.
//!
//! What a letter holds is what the journal held: the hashed event, never a raw value.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::value::RawValue;

use super::envelope::{LaneKey, RequestOptions};
use super::segment::disk::{Disk, DiskFile, is_full};
use super::segment::{locked, read};
use crate::event::EncodedEvent;
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Bytes after which a new file is begun.
const FILE_BYTES: u64 = 8 << 20;

/// An event that will not be sent.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Where it belonged.
    pub lane: LaneKey,
    /// The event.
    pub event: EncodedEvent,
    /// When the gateway received it.
    pub received_at: UnixMs,
    /// When Meta would have begun to refuse it for its age.
    pub expires_at: UnixMs,
    /// When it was given up.
    pub dead_at: UnixMs,
    /// Why: a stable word.
    pub reason: &'static str,
    /// What Graph said, if it was asked.
    pub refusal: Option<Refusal>,
}

/// Graph's answer that an event became a dead letter by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Graph's `code`.
    pub code: i64,
    /// Graph's `error_subcode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// Graph's text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Graph's `fbtrace_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// Why dead letters were not taken. The events must stay in the journal.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// They have reached their bound, or the disk has no room.
    #[error("no room for dead letters")]
    Full,
    /// The disk refused.
    #[error("the disk of the dead letters failed")]
    Io(#[from] std::io::Error),
}

impl DeadError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "dead_full",
            Self::Io(_) => "dead_io",
        }
    }
}

/// The dead letters of one gateway. All calls may block; appends take turns.
#[derive(Debug)]
pub struct DeadLetters {
    dir: PathBuf,
    max_bytes: u64,
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    bytes: u64,
    next_file: u64,
    open: Option<(Arc<dyn DiskFile>, u64)>,
}

/// A letter as its line.
#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    pixel: PixelId,
    #[serde(skip_serializing_if = "RequestOptions::is_empty")]
    options: &'a RequestOptions,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a Refusal>,
    received_at: i64,
    expires_at: i64,
    dead_at: i64,
    event: &'a RawValue,
}

impl DeadLetters {
    /// Opens the dead letters below the journal's directory `dir`, at most `max_bytes` of them.
    /// The journal's lock keeps other processes out, so the journal must be open.
    pub fn open(
        dir: impl AsRef<Path>,
        max_bytes: u64,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, DeadError> {
        let dir = dir.as_ref().join("dead");
        disk.create_dir(&dir)?;
        let mut state = State {
            next_file: 1,
            ..State::default()
        };
        let mut text = Vec::new();
        for name in disk.list(&dir)? {
            let Some(number) = parse_name(&name) else {
                continue;
            };
            state.next_file = state.next_file.max(number + 1);
            read::read_whole(&*disk.open_read_only(&dir.join(&name))?, &mut text)?;
            state.bytes += text.len() as u64;
            state.count += text
                .split_inclusive(|b| *b == b'\n')
                .filter(|l| l.ends_with(b"\n"))
                .count() as u64;
        }
        Ok(Self {
            dir,
            max_bytes,
            disk,
            state: Mutex::new(state),
        })
    }

    /// Makes letters durable; all of them when `Ok`. After an error some may be there all the
    /// same, and are then there twice once it is tried again.
    pub fn append(&self, letters: &[DeadLetter]) -> Result<(), DeadError> {
        let mut text = Vec::new();
        for letter in letters {
            write_line(&mut text, letter)?;
        }
        if text.is_empty() {
            return Ok(());
        }
        // held across the sync: letters are few, and who appends one waits for it anyway
        let mut state = locked(&self.state);
        let size = text.len() as u64;
        if state.bytes + size > self.max_bytes {
            return Err(DeadError::Full);
        }
        // taken out: a file whose write or sync failed is not used again
        let (file, at) = match state.open.take().filter(|(_, at)| *at < FILE_BYTES) {
            Some(open) => open,
            None => (self.begin(&mut state)?, 0),
        };
        file.write_at(&text, at)
            .and_then(|()| file.sync())
            .map_err(full_or_io)?;
        state.open = Some((file, at + size));
        state.bytes += size;
        state.count += letters.len() as u64;
        Ok(())
    }

    /// Letters that are kept.
    pub fn count(&self) -> u64 {
        locked(&self.state).count
    }

    /// Bytes of their files.
    pub fn bytes(&self) -> u64 {
        locked(&self.state).bytes
    }

    fn begin(&self, state: &mut State) -> Result<Arc<dyn DiskFile>, DeadError> {
        let path = self
            .dir
            .join(format!("dead-{:010}.ndjson", state.next_file));
        state.next_file += 1;
        let file = self.disk.create(&path).map_err(full_or_io)?;
        self.disk.sync_dir(&self.dir).map_err(full_or_io)?;
        Ok(file)
    }
}

fn full_or_io(error: std::io::Error) -> DeadError {
    if is_full(&error) {
        DeadError::Full
    } else {
        DeadError::Io(error)
    }
}

fn parse_name(name: &str) -> Option<u64> {
    let number = name.strip_prefix("dead-")?.strip_suffix(".ndjson")?;
    number.parse().ok()
}

fn write_line(text: &mut Vec<u8>, letter: &DeadLetter) -> Result<(), DeadError> {
    // JSON has no bare line break inside a string, so each one is a space between two tokens
    let event: Vec<u8> = letter
        .event
        .as_bytes()
        .iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect();
    let event: &RawValue = serde_json::from_slice(&event).map_err(std::io::Error::from)?;
    let line = Line {
        v: 1,
        pixel: letter.lane.pixel,
        options: &letter.lane.options,
        reason: letter.reason,
        refusal: letter.refusal.as_ref(),
        received_at: letter.received_at.0,
        expires_at: letter.expires_at.0,
        dead_at: letter.dead_at.0,
        event,
    };
    serde_json::to_writer(&mut *text, &line).map_err(std::io::Error::from)?;
    text.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::segment::disk::RealDisk;
    use super::*;

    fn letter(event: &str) -> DeadLetter {
        DeadLetter {
            lane: LaneKey::plain(PixelId::from_u64(7).unwrap()),
            event: EncodedEvent::from_record(event.to_owned().into()),
            received_at: UnixMs(1),
            expires_at: UnixMs(2),
            dead_at: UnixMs(3),
            reason: "expired",
            refusal: None,
        }
    }

    #[test]
    fn letters_are_lines_of_json_and_are_counted_again_after_a_restart() {
        let base = tempfile::tempdir().unwrap();
        let open = || DeadLetters::open(base.path(), 10_000, Arc::new(RealDisk)).unwrap();
        let dead = open();
        dead.append(&[letter("{\"a\":1}"), letter("{\"b\":\n[1,\r\n2]}")])
            .unwrap();
        dead.append(&[letter("{}")]).unwrap();
        dead.append(&[]).unwrap();
        assert_eq!(dead.count(), 3);
        let path = base.path().join("dead/dead-0000000001.ndjson");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.len() as u64, dead.bytes());
        assert_eq!(
            text.lines().next().unwrap(),
            r#"{"v":1,"pixel":"7","reason":"expired","received_at":1,"expires_at":2,"dead_at":3,"event":{"a":1}}"#
        );
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["event"].is_object());
        }
        drop(dead);

        // a torn line at the end of the old file
        RealDisk
            .open(&path)
            .unwrap()
            .write_at(b"{\"v\":1,\"pix", text.len() as u64)
            .unwrap();
        let dead = open();
        assert_eq!(dead.count(), 3);
        dead.append(&[letter("{}")]).unwrap();
        assert_eq!(dead.count(), 4);
        assert!(base.path().join("dead/dead-0000000002.ndjson").exists());
        assert_eq!(open().count(), 4);
    }

    #[test]
    fn a_bound_is_a_bound() {
        let base = tempfile::tempdir().unwrap();
        let dead = DeadLetters::open(base.path(), 150, Arc::new(RealDisk)).unwrap();
        dead.append(&[letter("{}")]).unwrap();
        let error = dead.append(&[letter("{}")]).unwrap_err();
        assert_eq!(error.code(), "dead_full");
        assert_eq!(dead.count(), 1);
    }
}
