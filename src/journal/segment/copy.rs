//! Copies a journal while a gateway may be using it, so that no event is missing in the copy.
//!
//! A sealed segment does not change as long as it has its name. So those are copied first; then,
//! quickly, in this order: the notes of what is settled, what the caller has besides (dead letters
//! above all), and the segments that have come since. If no segment has lost its name meanwhile,
//! every event that waited at the beginning is in the copy: one that was settled later has no note
//! there, one that was moved is still in its first place, one that died or was redriven is there
//! twice. Else it is done again.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::disk::Disk;
use super::file::Name;
use super::frame::HeaderError;
use super::read::read_whole;
use super::scan::scan;

/// How often it is tried, and the time between two tries.
const TRIES: usize = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Copies the segments and notes in `from` to the directory `to`, which has none, and calls
/// `besides` each time between the notes and the newest segments; what it copied before it may
/// copy again. False when the journal changed too fast. Blocks.
pub(crate) fn copy(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    besides: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<bool> {
    let mut copies = Copies {
        disk,
        from,
        to,
        sealed: BTreeSet::new(),
    };
    for round in 0..TRIES {
        if round > 0 {
            std::thread::sleep(PAUSE);
        }
        copies.add_all(&segments(disk, from)?)?;
        let before = segments(disk, from)?;
        copies.keep_only(&before)?;
        copies.notes(&before)?;
        besides()?;
        let now = segments(disk, from)?;
        let is_whole = copies.add_all(&now)?;
        if is_whole && before.is_subset(&segments(disk, from)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Copies<'a> {
    disk: &'a dyn Disk,
    from: &'a Path,
    to: &'a Path,
    /// What was copied and will not change any more.
    sealed: BTreeSet<u64>,
}

impl Copies<'_> {
    /// Copies those that may have changed since, oldest first. Whether all but the newest were at
    /// their end.
    fn add_all(&mut self, names: &BTreeSet<u64>) -> io::Result<bool> {
        let mut is_whole = true;
        for first_seq in names {
            if self.sealed.contains(first_seq) {
                continue;
            }
            if self.add(*first_seq)? {
                self.sealed.insert(*first_seq);
            } else {
                is_whole &= Some(first_seq) == names.last();
            }
        }
        Ok(is_whole)
    }

    /// Copies one; whether it is at its end.
    fn add(&self, first_seq: u64) -> io::Result<bool> {
        let name = Name::Segment(first_seq);
        let Some(bytes) = self.read(name)? else {
            return Ok(false);
        };
        // read as the newest: a write that is under way is no damage
        let (used, is_sealed) = match scan(&bytes, first_seq, true, &mut |_| {}) {
            Ok(found) if found.damage.is_empty() => (found.end as usize, found.sealed),
            Ok(_) | Err(HeaderError::Version(_) | HeaderError::Key(_) | HeaderError::Damaged) => {
                // as it is, unless it was becoming another one
                (
                    bytes.len(),
                    segments(self.disk, self.from)?.contains(&first_seq),
                )
            }
        };
        let file = self.disk.create(&name.path(self.to))?;
        file.write_at(bytes.get(..used).unwrap_or(&bytes), 0)?;
        if used < bytes.len() {
            // the rest is a hole
            file.write_at(&[0], bytes.len() as u64 - 1)?;
        }
        file.sync()?;
        Ok(is_sealed)
    }

    fn notes(&self, names: &BTreeSet<u64>) -> io::Result<()> {
        for first_seq in names {
            let name = Name::Done(*first_seq);
            if let Some(bytes) = self.read(name)? {
                let file = self.disk.create(&name.path(self.to))?;
                file.write_at(&bytes, 0)?;
                file.sync()?;
            }
        }
        Ok(())
    }

    /// Takes copies away whose originals are gone.
    fn keep_only(&mut self, names: &BTreeSet<u64>) -> io::Result<()> {
        for name in self.disk.list(self.to)? {
            if let Some(Name::Segment(n) | Name::Done(n)) = Name::parse(&name)
                && !names.contains(&n)
            {
                self.sealed.remove(&n);
                self.disk.remove(&self.to.join(name))?;
            }
        }
        Ok(())
    }

    fn read(&self, name: Name) -> io::Result<Option<Vec<u8>>> {
        let file = match self.disk.open_read_only(&name.path(self.from)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        read_whole(&*file, &mut bytes)?;
        Ok(Some(bytes))
    }
}

fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<BTreeSet<u64>> {
    let names = disk.list(dir)?;
    let number = |name: &String| match Name::parse(name) {
        Some(Name::Segment(first_seq)) => Some(first_seq),
        _ => None,
    };
    Ok(names.iter().filter_map(number).collect())
}

/// Whether a file of the journal's directory is its own business: one that is copied here, or is
/// not worth a copy.
pub(crate) fn is_own(name: &str) -> bool {
    name == super::file::LOCK || !matches!(Name::parse(name), None | Some(Name::Corrupt(_)))
}
