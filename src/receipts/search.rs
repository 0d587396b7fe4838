//! Looks an id up in the files, without a lock: chunks only ever grow, are sealed, or go.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::entry::{Entry, IdDigest, Line, MAX_LINE};
use super::store::HEADER;
use super::{FindError, Receipt};
use crate::journal::segment::disk::{Disk, DiskFile};
use crate::time::UnixMs;

/// An entry of the id, and the file its line is in.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) lines: Arc<dyn DiskFile>,
    pub(super) entry: Entry,
}

/// A sealed chunk.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) ids: PathBuf,
    pub(super) lines: PathBuf,
    pub(super) entries: u64,
}

/// The receipts of `event_id` from after `oldest`, newest first. A line that cannot be
/// read is passed over.
pub(super) fn receipts(
    disk: &dyn Disk,
    event_id: &str,
    oldest: UnixMs,
    (mut hits, sealed): (Vec<Hit>, Vec<Sealed>),
) -> Result<Vec<Receipt>, FindError> {
    let id = IdDigest::of(event_id);
    for chunk in &sealed {
        match chunk.hits(disk, id) {
            Ok(found) => hits.extend(found),
            // dropped since
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut receipts = Vec::with_capacity(hits.len());
    let mut text = vec![0; MAX_LINE];
    for hit in hits {
        let read = hit
            .lines
            .read_at(&mut text, u64::from(hit.entry.offset()))?;
        let text = text.get(..read).unwrap_or_default();
        let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let line = text.get(..end).unwrap_or_default();
        if let Ok(line) = serde_json::from_slice::<Line<'_>>(line)
            && line.at > oldest.0
        {
            receipts.push(line.receipt(hit.entry, event_id));
        }
    }
    receipts.sort_by_key(|receipt| std::cmp::Reverse((receipt.at, receipt.batch)));
    Ok(receipts)
}

impl Sealed {
    /// Its entries of this id, found by halving.
    fn hits(&self, disk: &dyn Disk, id: IdDigest) -> io::Result<Vec<Hit>> {
        let ids = disk.open_read_only(&self.ids)?;
        let entry = |at: u64| -> io::Result<Entry> {
            let mut bytes = [0; Entry::BYTES as usize];
            ids.read_at(&mut bytes, HEADER + at * Entry::BYTES)?;
            Ok(Entry::from_bytes(bytes))
        };
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            if entry(middle)? < id.first() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut hits = Vec::new();
        let mut lines = None;
        while low < self.entries {
            let entry = entry(low)?;
            if !entry.is_of(id) {
                break;
            }
            let lines = match &lines {
                Some(lines) => Arc::clone(lines),
                None => Arc::clone(lines.insert(disk.open_read_only(&self.lines)?)),
            };
            hits.push(Hit { lines, entry });
            low += 1;
        }
        Ok(hits)
    }
}
