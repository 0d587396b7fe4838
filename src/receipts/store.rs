//! The files: the chunk that grows, and those that are sealed. Driven by calls; the thread and the
//! look-ups take turns.

mod parts;
mod recover;
mod seal;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Settings;
use super::entry::{Entry, IdDigest, Note};
use super::search::{Hits, Sealed};
use crate::journal::segment::disk::{Disk, DiskFile};
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};
use parts::{PARTS, Part, parse_name};
pub(super) use seal::HEADER;
use seal::bytes_of;

/// Entries of a chunk: 2 MiB of memory while it grows.
const CHUNK_ENTRIES: usize = 128 << 10;
/// A chunk is sealed at this share of the bytes and of the time, since chunks are dropped whole.
const CHUNK_SHARE: u32 = 8;
/// Bytes of lines after which they are written.
const WRITE_BYTES: usize = 64 << 10;
/// Rest after an error of the disk.
const REST: Duration = Duration::from_mins(1);
#[derive(Debug)]
pub(super) struct Store {
    settings: Settings,
    chunk_entries: usize,
    disk: Arc<dyn Disk>,
    clock: Clock,
    metrics: Metrics,
    head: Option<Head>,
    /// Oldest first.
    chunks: VecDeque<Chunk>,
    next_batch: u64,
    /// After an error: when to try again. Not by the wall clock, which may be set back.
    rest_until: Option<Instant>,
}

/// The chunk that grows.
#[derive(Debug)]
struct Head {
    number: u64,
    lines: Arc<dyn DiskFile>,
    ids: Arc<dyn DiskFile>,
    entries: Vec<Entry>,
    entries_written: usize,
    lines_written: u64,
    /// Lines that are not written yet.
    pending: Vec<u8>,
    first_at: UnixMs,
    last_at: UnixMs,
}

/// A chunk that does not change any more.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    number: u64,
    bytes: u64,
    entries: u64,
    last_at: UnixMs,
    /// False when it is damaged or was given up; it is left until its turn to go.
    is_sealed: bool,
}

impl Store {
    /// Reads the directory, and seals what the last run left growing.
    pub(super) fn open(
        settings: Settings,
        disk: Arc<dyn Disk>,
        clock: Clock,
        metrics: Metrics,
    ) -> io::Result<Self> {
        disk.create_dir(&settings.dir)?;
        let mut found: BTreeMap<u64, Vec<Part>> = BTreeMap::new();
        for name in disk.list(&settings.dir)? {
            if let Some((number, part)) = parse_name(&name) {
                found.entry(number).or_default().push(part);
            }
        }
        let mut store = Self {
            settings,
            chunk_entries: CHUNK_ENTRIES,
            disk,
            clock,
            metrics,
            head: None,
            chunks: VecDeque::new(),
            next_batch: 1,
            rest_until: None,
        };
        for (number, parts) in found {
            store.next_batch = store.next_batch.max(number + 1);
            match store.recover(number, &parts) {
                Ok(Some(chunk)) => store.chunks.push_back(chunk),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = %error, receipts.chunk = number, "a file of receipts is damaged; it is left aside");
                    let chunk = store.given_up(number);
                    store.chunks.push_back(chunk);
                }
            }
        }
        store.tidy();
        Ok(store)
    }

    /// Whether events are found by other keys than their id.
    pub(super) fn by_keys(&self) -> bool {
        self.settings.by_keys
    }

    /// Smaller chunks, for tests.
    #[cfg(test)]
    pub(super) fn with_chunks_of(mut self, entries: usize) -> Self {
        self.chunk_entries = entries;
        self
    }

    /// Has rested enough, for tests.
    #[cfg(test)]
    pub(super) fn rested(&mut self) {
        self.rest_until = self.rest_until.map(|_| Instant::now());
    }

    /// Whether nothing is in memory only.
    #[cfg(test)]
    pub(super) fn is_written(&self) -> bool {
        self.head
            .as_ref()
            .is_none_or(|head| head.pending.is_empty())
    }

    /// Takes in what one ending comes to. An error of the disk is handled here.
    pub(super) fn add(&mut self, note: Note) {
        let count = note.len() as u64;
        if self.rest_until.is_some_and(|until| Instant::now() < until) {
            self.metrics.receipts_lost.inc_by(count);
            return;
        }
        if let Err(error) = self.try_add(note) {
            self.metrics.receipts_lost.inc_by(count);
            self.fail(&error);
        }
    }

    fn try_add(&mut self, mut note: Note) -> io::Result<()> {
        let now = self.clock.now();
        let batch = self.next_batch;
        if self.head.is_none() {
            self.head = Some(self.begin(batch, now)?);
        }
        let Some(head) = &mut self.head else {
            return Ok(());
        };
        note.line.batch = batch;
        self.next_batch += 1;
        let offset = head.lines_written + head.pending.len() as u64;
        serde_json::to_writer(&mut head.pending, &note.line)?;
        head.pending.push(b'\n');
        // a chunk is sealed long before its offsets need more bits
        head.entries.extend(note.entries(offset as u32));
        head.last_at = now;
        let is_full = head.entries.len() >= self.chunk_entries
            || head.bytes() >= self.settings.max_bytes / u64::from(CHUNK_SHARE);
        if is_full {
            self.seal()
        } else if head.pending.len() >= WRITE_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// What is to be done about every second: writes, seals what is old, drops what is too old or
    /// too much.
    pub(super) fn tick(&mut self) {
        let share = self.settings.keep / CHUNK_SHARE;
        let now = self.clock.now();
        let is_old = self
            .head
            .as_ref()
            .is_some_and(|head| now.since(head.first_at) >= share);
        let done = if is_old { self.seal() } else { self.flush() };
        if let Err(error) = done {
            self.fail(&error);
        }
        self.tidy();
    }

    /// Writes what is in memory and seals the chunk.
    pub(super) fn close(&mut self) {
        if let Err(error) = self.seal() {
            self.fail(&error);
        }
        self.tidy();
    }

    /// Where the entries of this id are: the last `limit` of the growing chunk, and the chunks to
    /// search, newest first.
    pub(super) fn hits(&mut self, id: IdDigest, limit: usize) -> (Option<Hits>, Vec<Sealed>) {
        if let Err(error) = self.flush() {
            self.fail(&error);
        }
        let hits = self.head.as_ref().map(|head| {
            // in the order they came
            let own = head.entries.iter().rev().filter(|entry| entry.is_of(id));
            Hits {
                lines: Arc::clone(&head.lines),
                entries: own.copied().take(limit).collect(),
            }
        });
        let sealed = self.chunks.iter().rev().filter(|chunk| chunk.is_sealed);
        let sealed = sealed.map(|chunk| Sealed {
            ids: self.path(chunk.number, Part::Ids),
            lines: self.path(chunk.number, Part::Lines),
            entries: chunk.entries,
        });
        (hits, sealed.collect())
    }

    /// What a look-up needs besides.
    pub(super) fn searcher(&self) -> (Arc<dyn Disk>, UnixMs) {
        let now = self.clock.now();
        let oldest = UnixMs(now.0.saturating_sub(self.settings.keep.as_millis() as i64));
        (Arc::clone(&self.disk), oldest)
    }

    fn begin(&self, number: u64, now: UnixMs) -> io::Result<Head> {
        Ok(Head {
            number,
            lines: self.disk.create(&self.path(number, Part::Lines))?,
            ids: self.disk.create(&self.path(number, Part::Head))?,
            entries: Vec::new(),
            entries_written: 0,
            lines_written: 0,
            pending: Vec::new(),
            first_at: now,
            last_at: now,
        })
    }

    /// Writes what the growing chunk has in memory only: lines first, since entries point to them.
    fn flush(&mut self) -> io::Result<()> {
        let Some(head) = &mut self.head else {
            return Ok(());
        };
        if head.pending.is_empty() {
            return Ok(());
        }
        head.lines.write_at(&head.pending, head.lines_written)?;
        head.lines_written += head.pending.len() as u64;
        head.pending.clear();
        let fresh = head.entries.get(head.entries_written..).unwrap_or_default();
        let at = head.entries_written as u64 * Entry::BYTES;
        head.ids.write_at(&bytes_of(fresh), at)?;
        head.entries_written = head.entries.len();
        if self.rest_until.take().is_some() {
            self.metrics.receipts_failed.set(0);
            tracing::warn!("receipts are kept again");
        }
        self.show();
        Ok(())
    }

    /// What is left aside counts until it is dropped.
    fn given_up(&self, number: u64) -> Chunk {
        Chunk {
            number,
            bytes: PARTS.iter().map(|(part, _)| self.size(number, *part)).sum(),
            entries: 0,
            last_at: self.clock.now(),
            is_sealed: false,
        }
    }

    /// After an error of the disk: leaves the growing chunk to the next start, and rests.
    fn fail(&mut self, error: &io::Error) {
        if let Some(head) = self.head.take() {
            let unwritten = head.entries.len().saturating_sub(head.entries_written);
            self.metrics.receipts_lost.inc_by(unwritten as u64);
            let chunk = self.given_up(head.number);
            self.chunks.push_back(chunk);
        }
        let is_first = self.rest_until.is_none();
        self.rest_until = Some(Instant::now() + REST);
        if is_first {
            self.metrics.receipts_failed.set(1);
            tracing::error!(error = %error, "receipts cannot be written; they are tried again every minute");
        }
        self.show();
    }

    /// Drops the oldest chunks while they are too old or all is too much.
    fn tidy(&mut self) {
        let now = self.clock.now();
        let head = self.head.as_ref().map_or(0, Head::bytes);
        let mut bytes = head + self.chunks.iter().map(|chunk| chunk.bytes).sum::<u64>();
        while let Some(oldest) = self.chunks.front().copied() {
            let is_old = oldest.last_at.plus(self.settings.keep) <= now;
            if !is_old && bytes <= self.settings.max_bytes {
                break;
            }
            for (part, _) in PARTS {
                // the entries go last, so that what is half gone is found again
                let path = self.path(oldest.number, part);
                if let Err(error) = self.disk.remove(&path)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(error = %error, receipts.chunk = oldest.number, "a file of old receipts cannot be removed");
                }
            }
            bytes -= oldest.bytes;
            self.chunks.pop_front();
        }
        self.show();
    }

    fn show(&self) {
        let (mut entries, mut bytes) = self
            .head
            .as_ref()
            .map_or((0, 0), |head| (head.entries.len() as u64, head.bytes()));
        for chunk in &self.chunks {
            entries += chunk.entries;
            bytes += chunk.bytes;
        }
        self.metrics.receipts.set(entries as i64);
        self.metrics.receipts_bytes.set(bytes as i64);
    }

    fn path(&self, number: u64, part: Part) -> PathBuf {
        let name = PARTS.iter().find(|(known, _)| *known == part);
        let name = name.map_or("", |(_, name)| name);
        self.settings.dir.join(format!("{number:012}.{name}"))
    }

    fn size(&self, number: u64, part: Part) -> u64 {
        let file = self.disk.open_read_only(&self.path(number, part));
        file.and_then(|file| file.size()).unwrap_or(0)
    }

    fn read_whole(&self, number: u64, part: Part) -> io::Result<Vec<u8>> {
        let file = self.disk.open_read_only(&self.path(number, part))?;
        let mut bytes = vec![0; file.size()? as usize];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

impl Head {
    /// Bytes it has or will have on disk.
    fn bytes(&self) -> u64 {
        self.lines_written + self.pending.len() as u64 + self.entries.len() as u64 * Entry::BYTES
    }
}
