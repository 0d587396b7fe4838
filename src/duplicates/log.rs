//! The keys of delivered events on disk: files of frames, each synced before it counts.
//!
//! A frame is a moment (8 bytes), the number of keys (4), a CRC-32 of both and the keys (4), and
//! the keys (16 each), little-endian. A file is read up to its first frame that does not verify;
//! nothing is written behind one, since a failed write or a start begins a new file.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::Settings;
use super::key::Key;
use super::window::PARTS;
use crate::journal::segment::disk::{Disk, DiskFile};
use crate::time::UnixMs;

const HEADER: usize = 16;

#[derive(Debug)]
pub(super) struct Log {
    settings: Settings,
    disk: Arc<dyn Disk>,
    /// Oldest first; the last one may be open.
    files: VecDeque<LogFile>,
    /// The last file, where its next frame goes, and when it was begun.
    open: Option<(Arc<dyn DiskFile>, u64, UnixMs)>,
    next_number: u64,
    has_failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct LogFile {
    number: u64,
    keys: usize,
    newest: UnixMs,
}

impl Log {
    /// Reads every key that is there, in the order they were written.
    pub(super) fn open(
        settings: Settings,
        disk: Arc<dyn Disk>,
        now: UnixMs,
        take: &mut dyn FnMut(Key, UnixMs),
    ) -> Self {
        let mut log = Self {
            settings,
            disk,
            files: VecDeque::new(),
            open: None,
            next_number: 1,
            has_failed: false,
        };
        if let Err(error) = log.read_all(take) {
            tracing::error!(error = %error, "the log of delivered events cannot be read; those in it are not held to duplicates");
        }
        log.tidy(now);
        log
    }

    /// Makes `keys` durable. An error is told here, once until it is over.
    pub(super) fn append(&mut self, keys: &[Key], now: UnixMs) {
        if keys.is_empty() {
            return;
        }
        match self.try_append(keys, now) {
            Ok(()) if self.has_failed => {
                self.has_failed = false;
                tracing::warn!("the log of delivered events is written again");
            }
            Ok(()) => {}
            Err(error) => {
                if !self.has_failed {
                    tracing::error!(error = %error, "the log of delivered events cannot be written; after a restart their duplicates would be taken");
                }
                self.has_failed = true;
            }
        }
    }

    fn try_append(&mut self, keys: &[Key], now: UnixMs) -> io::Result<()> {
        let part = self.settings.max_entries / PARTS as usize;
        let span = self.settings.window / PARTS;
        let is_full = self.files.back().is_some_and(|last| last.keys >= part);
        // taken out: a file whose write or sync failed is not used again
        let open = self.open.take();
        let open = open.filter(|(_, _, begun)| !is_full && now.since(*begun) < span);
        let (file, at, begun) = if let Some(open) = open {
            open
        } else {
            self.tidy(now);
            (self.begin(now)?, 0, now)
        };
        let frame = encode(keys, now);
        if let Err(error) = file.write_at(&frame, at).and_then(|()| file.sync()) {
            self.remove_if_empty();
            return Err(error);
        }
        if let Some(last) = self.files.back_mut() {
            last.keys += keys.len();
            last.newest = now;
        }
        self.open = Some((file, at + frame.len() as u64, begun));
        Ok(())
    }

    fn begin(&mut self, now: UnixMs) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create_dir(&self.settings.dir)?;
        let number = self.next_number;
        self.next_number += 1;
        let file = self.disk.create(&self.path(number))?;
        self.files.push_back(LogFile {
            number,
            keys: 0,
            newest: now,
        });
        if let Err(error) = self.disk.sync_dir(&self.settings.dir) {
            self.remove_if_empty();
            return Err(error);
        }
        Ok(file)
    }

    /// So that a disk that stays full does not fill up with empty files.
    fn remove_if_empty(&mut self) {
        if let Some(last) = self.files.pop_back_if(|last| last.keys == 0) {
            self.remove(last.number);
        }
    }

    /// Drops files that are out of the window, or hold only what is beyond its bound.
    fn tidy(&mut self, now: UnixMs) {
        let mut keys: usize = self.files.iter().map(|file| file.keys).sum();
        while let Some(oldest) = self.files.front().copied() {
            let is_old = oldest.newest.plus(self.settings.window) <= now;
            keys -= oldest.keys;
            if !is_old && keys < self.settings.max_entries {
                break;
            }
            self.files.pop_front();
            self.remove(oldest.number);
        }
    }

    fn remove(&self, number: u64) {
        if let Err(error) = self.disk.remove(&self.path(number))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(error = %error, "a file of the log of delivered events cannot be removed");
        }
    }

    fn read_all(&mut self, take: &mut dyn FnMut(Key, UnixMs)) -> io::Result<()> {
        let names = match self.disk.list(&self.settings.dir) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| parse_name(name)).collect();
        numbers.sort_unstable();
        self.next_number = numbers.last().map_or(1, |last| last + 1);
        let mut result = Ok(());
        for number in numbers {
            match self.read(number, take) {
                Ok(file) => self.files.push_back(file),
                // the others may be whole
                Err(error) => result = Err(error),
            }
        }
        result
    }

    fn read(&self, number: u64, take: &mut dyn FnMut(Key, UnixMs)) -> io::Result<LogFile> {
        let file = self.disk.open_read_only(&self.path(number))?;
        let mut bytes = vec![0; file.size()? as usize];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        let mut found = LogFile {
            number,
            keys: 0,
            newest: UnixMs(0),
        };
        let mut rest = bytes.as_slice();
        while let Some((at, keys, behind)) = decode(rest) {
            for key in keys {
                take(Key(*key), at);
            }
            found.keys += keys.len();
            found.newest = found.newest.max(at);
            rest = behind;
        }
        if !rest.is_empty() {
            tracing::warn!(
                log.file = number,
                log.bytes = rest.len(),
                "the log of delivered events ends in the middle of a record, as after a crash"
            );
        }
        Ok(found)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.settings
            .dir
            .join(format!("delivered-{number:010}.keys"))
    }
}

fn parse_name(name: &str) -> Option<u64> {
    let number = name.strip_prefix("delivered-")?.strip_suffix(".keys")?;
    number.parse().ok()
}

fn encode(keys: &[Key], at: UnixMs) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + keys.len() * Key::BYTES);
    frame.extend(at.0.to_le_bytes());
    frame.extend((keys.len() as u32).to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&frame);
    for key in keys {
        crc.update(&key.0);
    }
    frame.extend(crc.finalize().to_le_bytes());
    for key in keys {
        frame.extend(key.0);
    }
    frame
}

type Keys<'b> = &'b [[u8; Key::BYTES]];

/// The first frame, and what is behind it; none if it does not verify.
fn decode(bytes: &[u8]) -> Option<(UnixMs, Keys<'_>, &[u8])> {
    let (at, rest) = bytes.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let len = (u32::from_le_bytes(*count) as usize).checked_mul(Key::BYTES)?;
    let (keys, behind) = rest.split_at_checked(len)?;
    let mut check = crc32fast::Hasher::new();
    check.update(at);
    check.update(count);
    check.update(keys);
    if check.finalize() != u32::from_le_bytes(*crc) {
        return None;
    }
    let (keys, _none_left) = keys.as_chunks();
    Some((UnixMs(i64::from_le_bytes(*at)), keys, behind))
}
