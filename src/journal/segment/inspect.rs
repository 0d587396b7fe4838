//! Looks at the files of a journal without touching them: read-only, without the lock, also
//! beside a running gateway. What that one is writing just then may be missing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::disk::Disk;
use super::file::Name;
use super::frame::HeaderError;
use super::read::read_whole;
use super::scan::scan;
use super::settled::{Bits, read_done};
use crate::pixel::PixelId;

/// Events and payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not sealed: being written, or left so by a crash.
    Open,
    /// Complete.
    Sealed,
    /// Ready for use.
    Spare,
    /// Put aside, because some of it cannot be read.
    SetAside,
    /// Of another version of the program, or sealed with a key.
    Foreign,
}

/// One file of the log.
#[derive(Clone, Debug)]
pub(crate) struct FileReport {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) size: u64,
    /// Bytes used.
    pub(crate) used: u64,
    /// Records that can be read.
    pub(crate) records: u64,
    /// Of these, settled.
    pub(crate) settled: u64,
    /// Offsets of damaged places.
    pub(crate) damage: Vec<u64>,
}

/// The whole journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) files: Vec<FileReport>,
    /// What is not settled, by pixel. A record that was being moved may be counted twice.
    pub(crate) pixels: BTreeMap<PixelId, Tally>,
}

impl Report {
    /// Whether something cannot be read.
    pub(crate) fn damaged(&self) -> bool {
        let bad = |file: &FileReport| {
            !file.damage.is_empty() || matches!(file.state, State::SetAside | State::Foreign)
        };
        self.files.iter().any(bad)
    }
}

/// Reads all that is in `dir`.
pub(crate) fn inspect(disk: &dyn Disk, dir: &Path) -> io::Result<Report> {
    let names: Vec<Name> = disk
        .list(dir)?
        .iter()
        .filter_map(|name| Name::parse(name))
        .collect();
    let newest = names.iter().filter_map(segment_number).max();
    let mut report = Report::default();
    for name in names {
        let counted = report.pixels.clone();
        let (first_seq, newest) = match name {
            Name::Segment(n) => (n, Some(n) == newest),
            Name::Corrupt(n) => (n, false),
            Name::Spare(_) => (0, false),
            Name::Done(_) | Name::Making(_) => continue,
        };
        match look(disk, dir, name, first_seq, newest, &mut report.pixels) {
            // a running gateway has begun to use it for something else
            Ok(file) if !file.damage.is_empty() && !disk.list(dir)?.contains(&file.name) => {
                report.pixels = counted;
            }
            Ok(file) => report.files.push(file),
            // or has just renamed it
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    report.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(report)
}

fn segment_number(name: &Name) -> Option<u64> {
    match name {
        Name::Segment(n) => Some(*n),
        _ => None,
    }
}

fn look(
    disk: &dyn Disk,
    dir: &Path,
    name: Name,
    first_seq: u64,
    newest: bool,
    pixels: &mut BTreeMap<PixelId, Tally>,
) -> io::Result<FileReport> {
    let file = disk.open_read_only(&name.path(dir))?;
    let mut report = FileReport {
        name: name.to_string(),
        state: State::Spare,
        size: file.size()?,
        used: 0,
        records: 0,
        settled: 0,
        damage: Vec::new(),
    };
    if matches!(name, Name::Spare(_)) {
        return Ok(report);
    }
    let mut bytes = Vec::new();
    read_whole(&*file, &mut bytes)?;
    let mut settled = Bits::default();
    let mut records = 0;
    let mut found = Vec::new();
    let scanned = scan(&bytes, first_seq, newest, &mut |one| {
        records += 1;
        let pixel = PixelId::from_u64(one.record.pixel);
        let ordinal = (one.record.seq - first_seq) as u32;
        found.push((pixel, ordinal, one.record.payload.len() as u64));
    });
    match scanned {
        Err(HeaderError::Version(_) | HeaderError::Key(_) | HeaderError::Damaged) => {
            report.state = State::Foreign;
            return Ok(report);
        }
        Ok(scan) => {
            report.used = scan.end;
            report.state = if matches!(name, Name::Corrupt(_)) {
                State::SetAside
            } else if scan.sealed {
                State::Sealed
            } else {
                State::Open
            };
            if let Some(salt) = scan.salt {
                let total = (scan.next_seq - first_seq) as u32;
                notes(disk, dir, first_seq, salt, total, &mut settled)?;
            }
            report.damage = scan.damage;
        }
    }
    report.records = records;
    for (pixel, ordinal, bytes) in found {
        if settled.has(ordinal) {
            report.settled += 1;
        } else if let (Some(pixel), false) = (pixel, report.state == State::SetAside) {
            let tally = pixels.entry(pixel).or_default();
            tally.records += 1;
            tally.bytes += bytes;
        }
    }
    Ok(report)
}

fn notes(
    disk: &dyn Disk,
    dir: &Path,
    first_seq: u64,
    salt: u64,
    records: u32,
    settled: &mut Bits,
) -> io::Result<()> {
    let file = match disk.open_read_only(&Name::Done(first_seq).path(dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    read_whole(&*file, &mut bytes)?;
    read_done(&bytes, first_seq, salt, records, &mut |ordinal| {
        settled.set(ordinal);
    });
    Ok(())
}
