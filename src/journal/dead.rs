//! Dead letters: events that will not be sent, kept with the reason until an operator decides.
//!
//! They are lines of JSON in files of the directory `dead`, one object a line, each with its
//! format version `v` and its [`LetterId`].
//!
//! **Promises.** A letter is durable before [`DeadLetters::append`] returns `Ok`, so it can be
//! called before the lease is settled. What a crash leaves in both places is known by its number at
//! the next start ([`DeadLetters::buried`]).
//! Letters that are removed are there or gone after a crash, never damaged, and never take a
//! neighbour along. Looking at them neither waits for appends nor stops them for longer than a
//! moment, and takes memory for a page, however many there are. A line that was torn by a crash or
//! damaged since is passed over and counted; every start begins a new file, so nothing is ever
//! written behind a torn line.
//!
//! **Refuses.** A letter when the disk has no room. What a letter holds is what the journal held:
//! the hashed event, never a raw value; [`View::Masked`] hides the rest of what tells who it is
//! about.
//!
//! **Limits.** [`Settings::max_bytes`] and [`Settings::max_age`], told by metrics and a warning
//! before they are reached. Then the oldest file goes, whole, and is counted: a file has at most
//! an eighth of either bound, so what goes is a small part. [`DeadLetters::open`] reads every file
//! once.

mod bounds;
mod filter;
mod id;
mod letter;
mod line;
mod lines;
mod look;
mod mask;
mod remove;
mod shelf;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::filter::{Filter, NONE, Number};
pub use self::id::{LetterId, LetterIdError};
pub use self::letter::{Group, Kept, Letter, Page, Shown, View};
use self::line::Stored;
use self::lines::Lines;
pub use self::look::{Batch, MAX_PAGE};
pub use self::mask::masked as masked_json;
use self::shelf::{FileMeta, Open, Shelf};
pub use self::sums::{Alike, Sum};
use super::envelope::LaneKey;
use super::segment::disk::{Disk, is_full};
use super::segment::locked;
use crate::event::EncodedEvent;
use crate::telemetry::metrics::{DEAD_REASONS, Metrics};
use crate::time::{Clock, UnixMs};

/// Bytes after which a new file is begun, at most.
const FILE_BYTES: u64 = 8 << 20;
/// What part of each bound one file may take.
const FILE_SHARE: u32 = 8;
/// An event that will not be sent.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Where it belonged.
    pub lane: LaneKey,
    /// The event.
    pub event: EncodedEvent,
    /// Its number in the journal.
    pub seq: u64,
    /// When the gateway received it.
    pub received_at: UnixMs,
    /// When Meta would have begun to refuse it for its age.
    pub expires_at: UnixMs,
    /// When it was given up.
    pub dead_at: UnixMs,
    /// Why: a stable word. `expired`, `refused`, `too_large`, or `unconfirmed` (it may have been
    /// delivered, and Meta would count it twice).
    pub reason: &'static str,
    /// What Graph said, if it said something.
    pub refusal: Option<Refusal>,
}

/// What Graph said about an event it refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The error's code.
    pub code: i64,
    /// Its subcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// Its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The id under which Meta can trace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of all files; beyond it the oldest go.
    pub max_bytes: u64,
    /// How long after its death a letter is kept; an eighth longer for those that share a file
    /// with a younger one.
    pub max_age: Duration,
}

impl Default for Settings {
    /// 1 GiB, 90 days.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_age: Duration::from_hours(90 * 24),
        }
    }
}

/// Why something could not be done with dead letters. Those that were to be written must stay in
/// the journal.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// The disk has no room, or one letter alone is larger than the bound.
    #[error("no room for dead letters")]
    Full,
    /// The disk refused.
    #[error("the disk of the dead letters failed")]
    Io(#[from] io::Error),
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

/// How long the journal may take to note on disk that an event is dead: beyond the largest
/// `journal.settle_sync`.
const UNNOTED: Duration = Duration::from_mins(2);
/// Letters that are looked for in the journal after a start; a few MiB of memory.
const MAX_UNNOTED: usize = 200_000;

/// The dead letters of one gateway. All calls may block; appends take turns, and so do removals.
#[derive(Debug)]
pub struct DeadLetters {
    dir: PathBuf,
    settings: Settings,
    disk: Arc<dyn Disk>,
    clock: Clock,
    metrics: Metrics,
    shelf: Mutex<Shelf>,
    /// Held by the one that rewrites files; always taken before `shelf`.
    removal: Mutex<()>,
    /// The last letters of the life before: when each was received and why it died, by its
    /// number in the journal.
    earlier: HashMap<u64, (UnixMs, &'static str)>,
}

impl DeadLetters {
    /// Opens the dead letters below the journal's directory `journal_dir`, and drops what is
    /// beyond the bound in bytes. The journal's lock keeps other processes out, so the journal must be
    /// open. Reads every file.
    pub fn open(
        journal_dir: impl AsRef<Path>,
        settings: Settings,
        disk: Arc<dyn Disk>,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, DeadError> {
        let dir = journal_dir.as_ref().join("dead");
        disk.create_dir(&dir)?;
        let mut dead = Self {
            dir,
            settings,
            disk,
            clock,
            metrics: metrics.clone(),
            shelf: Mutex::default(),
            removal: Mutex::default(),
            earlier: HashMap::new(),
        };
        let mut shelf = Shelf {
            next_file: 1,
            ..Shelf::default()
        };
        for name in dead.disk.list(&dead.dir)? {
            if is_draft(&name) {
                // of a removal that a crash cut short: the file it was to replace is whole
                dead.disk.remove(&dead.dir.join(&name))?;
            }
            let Some(number) = parse_name(&name) else {
                continue;
            };
            shelf.next_file = shelf.next_file.max(number + 1);
            let meta = match dead.scan(number) {
                Ok(meta) => meta,
                // the others can be used, and so can the gateway
                Err(error) => {
                    dead.metrics.dead_damaged.inc();
                    tracing::error!(error = %error, dead.file = name, "a file of dead letters cannot be read; it is left where it is");
                    continue;
                }
            };
            dead.metrics.dead_damaged.inc_by(meta.damaged);
            if meta.bytes == 0 {
                dead.disk.remove(&dead.path(number))?;
                continue;
            }
            shelf.files.insert(number, meta);
        }
        dead.earlier = dead.last_letters(&shelf).unwrap_or_else(|error| {
            tracing::warn!(error = %error, "the last dead letters cannot be read again; an event may get a second one");
            HashMap::new()
        });
        dead.make_room(&mut shelf, 0, None)?;
        dead.tell(&mut shelf);
        *locked(&dead.shelf) = shelf;
        Ok(dead)
    }

    /// Why this event of the journal is a dead letter already: the life before has written the
    /// letter, and did not come to noting in the journal that the event is dead.
    pub fn buried(&self, seq: u64, received_at: UnixMs) -> Option<&'static str> {
        let (received, reason) = self.earlier.get(&seq)?;
        (*received == received_at).then_some(*reason)
    }

    /// The letters of the last [`UNNOTED`] of the life before.
    fn last_letters(
        &self,
        shelf: &Shelf,
    ) -> Result<HashMap<u64, (UnixMs, &'static str)>, DeadError> {
        let mut found = HashMap::new();
        let newest = shelf
            .files
            .values()
            .filter_map(|file| file.span)
            .map(|s| s.1);
        let Some(newest) = newest.max() else {
            return Ok(found);
        };
        let is_late = |at: UnixMs| newest.since(at) <= UNNOTED;
        for (number, _) in shelf.files.iter().rev() {
            let is_old = |meta: &FileMeta| meta.span.is_none_or(|(_, last)| !is_late(last));
            if shelf.files.get(number).is_none_or(is_old) {
                continue;
            }
            let file = self.disk.open_read_only(&self.path(*number))?;
            let mut lines = Lines::new(file, u64::MAX);
            while let Some((offset, line)) = lines.next()? {
                if found.len() < MAX_UNNOTED
                    && let Some(letter) = Stored::read(line, *number, offset)
                    && let Some(seq) = letter.seq
                    && is_late(UnixMs(letter.dead_at))
                    && let Some(reason) = DEAD_REASONS.iter().find(|word| **word == letter.reason)
                {
                    found.insert(seq, (UnixMs(letter.received_at), *reason));
                }
            }
            // the letter may be all that is left of the event from now on
            self.disk.open(&self.path(*number))?.sync()?;
        }
        Ok(found)
    }

    /// Makes letters durable; all of them when `Ok`. After an error some may be there all the
    /// same, and are then there twice once it is tried again.
    ///
    /// Where the bound would be passed the oldest file goes first.
    pub fn append(&self, letters: &[DeadLetter]) -> Result<(), DeadError> {
        if letters.is_empty() {
            return Ok(());
        }
        // held across the sync: letters are few, and who appends one waits for it anyway
        let mut shelf = locked(&self.shelf);
        let done = self.append_to(&mut shelf, letters);
        self.tell(&mut shelf);
        done
    }

    /// Drops what is past its age and brings the metrics up to date. To be called now and then:
    /// once a minute will do. The first call purges nothing, and neither does one that finds that
    /// the wall clock has jumped: a clock that is wrong for a moment must not cost every letter.
    pub fn housekeep(&self) {
        let mut shelf = locked(&self.shelf);
        self.purge_by_age(&mut shelf);
        self.tell(&mut shelf);
    }

    fn append_to(&self, shelf: &mut Shelf, letters: &[DeadLetter]) -> Result<(), DeadError> {
        let file_bytes = FILE_BYTES.min(self.settings.max_bytes / u64::from(FILE_SHARE));
        // taken out: a file whose write or sync failed is not used again
        let mut open = match shelf.open.take().filter(|open| self.is_fresh(shelf, open)) {
            Some(open) => open,
            None => self.begin(shelf)?,
        };
        let mut text = Vec::new();
        let mut added = FileMeta::empty();
        for letter in letters {
            let start = text.len();
            line::write(&mut text, open.id(start), letter)?;
            let before = open.at + start as u64;
            if before > 0 && open.at + text.len() as u64 > file_bytes {
                text.truncate(start);
                self.write(shelf, &mut open, &text, std::mem::take(&mut added))?;
                text.clear();
                open = self.begin(shelf)?;
                line::write(&mut text, open.id(0), letter)?;
            }
            added.count(letter.into());
        }
        self.write(shelf, &mut open, &text, added)?;
        shelf.open = Some(open);
        Ok(())
    }

    /// Whether more may go into this file: not when it has its share of the greatest age.
    fn is_fresh(&self, shelf: &Shelf, open: &Open) -> bool {
        let first = shelf.files.get(&open.number).and_then(|file| file.span);
        let age = first.map_or(Duration::ZERO, |(first, _)| self.clock.now().since(first));
        age <= self.settings.max_age / FILE_SHARE
    }

    fn write(
        &self,
        shelf: &mut Shelf,
        open: &mut Open,
        text: &[u8],
        mut added: FileMeta,
    ) -> Result<(), DeadError> {
        if text.is_empty() {
            return Ok(());
        }
        added.bytes = text.len() as u64;
        let room = self.make_room(shelf, added.bytes, Some(open.number));
        let done = room.and_then(|()| {
            let written = open.file.write_at(text, open.at);
            written.and_then(|()| open.file.sync()).map_err(full_or_io)
        });
        if done.is_err() {
            self.look_after_failure(shelf, open);
            return done;
        }
        open.at += added.bytes;
        if let Some(file) = shelf.files.get_mut(&open.number) {
            file.join(added);
        }
        Ok(())
    }

    /// What a failed write has left is found out; if the file held nothing before, it goes.
    fn look_after_failure(&self, shelf: &mut Shelf, open: &Open) {
        if open.at == 0 {
            if self.disk.remove(&self.path(open.number)).is_ok() {
                shelf.files.remove(&open.number);
            }
        } else if let Ok(meta) = self.scan(open.number) {
            self.metrics.dead_damaged.inc_by(meta.damaged);
            shelf.files.insert(open.number, meta);
        }
    }

    fn begin(&self, shelf: &mut Shelf) -> Result<Open, DeadError> {
        let number = shelf.next_file;
        shelf.next_file += 1;
        let file = self.disk.create(&self.path(number)).map_err(full_or_io)?;
        self.disk.sync_dir(&self.dir).map_err(full_or_io)?;
        shelf.files.insert(number, FileMeta::empty());
        let at = 0;
        Ok(Open { number, file, at })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("dead-{number:010}.ndjson"))
    }

    /// Where a file is written anew before it takes the place of the old.
    fn draft_path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("dead-{number:010}.tmp"))
    }
}

/// An event without what tells who it is about, as [`View::Masked`] shows it.
pub fn masked(event: &EncodedEvent) -> String {
    let text = serde_json::from_slice(event.as_bytes());
    text.map_or_else(
        |_| String::new(),
        |event| mask::masked(event).get().to_owned(),
    )
}

fn full_or_io(error: io::Error) -> DeadError {
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

fn is_draft(name: &str) -> bool {
    name.starts_with("dead-") && Path::new(name).extension().is_some_and(|e| e == "tmp")
}
