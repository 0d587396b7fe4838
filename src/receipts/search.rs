//! Looks an id up in the files, without a lock: chunks only ever grow, are sealed, or go.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::entry::{Entry, IdDigest, Line, MAX_LINE};
use super::store::HEADER;
use super::{FindError, Receipt};
use crate::event::Wanted;
use crate::journal::segment::disk::{Disk, DiskFile};
use crate::time::UnixMs;

/// Entries are read in blocks of so many.
const BLOCK: u64 = 4096;
/// Bytes that most lines fit in.
const USUAL_LINE: usize = 4096;

/// Entries of the id, newest first, and the file their lines are in.
#[derive(Debug)]
pub(super) struct Hits {
    pub(super) lines: Arc<dyn DiskFile>,
    pub(super) entries: Vec<Entry>,
}

/// A sealed chunk.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) ids: PathBuf,
    pub(super) lines: PathBuf,
    pub(super) entries: u64,
}

/// The receipts of what is wanted from after `oldest`, newest first, `limit` of them. A line that
/// cannot be read is passed over.
pub(super) fn receipts(
    disk: &dyn Disk,
    wanted: &Wanted,
    oldest: UnixMs,
    limit: usize,
    (head, sealed): (Option<Hits>, Vec<Sealed>),
) -> Result<Vec<Receipt>, FindError> {
    let id = IdDigest::of(wanted.key());
    let event_id = wanted.as_event_id();
    let mut receipts = Vec::new();
    if let Some(hits) = head {
        hits.read(event_id, oldest, &mut receipts)?;
    }
    for chunk in &sealed {
        let left = limit.saturating_sub(receipts.len());
        if left == 0 {
            break;
        }
        match chunk.hits(disk, id, left) {
            Ok(Some(hits)) => hits.read(event_id, oldest, &mut receipts)?,
            Ok(None) => {}
            // dropped since
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    receipts.sort_by_key(|receipt| std::cmp::Reverse((receipt.at, receipt.batch)));
    Ok(receipts)
}

impl Hits {
    /// Adds what their lines say, each line read once.
    fn read(
        &self,
        event_id: Option<&str>,
        oldest: UnixMs,
        to: &mut Vec<Receipt>,
    ) -> io::Result<()> {
        let mut text = vec![0; USUAL_LINE];
        // entries of one batch are neighbours
        for batch in self.entries.chunk_by(|a, b| a.offset() == b.offset()) {
            let Some(first) = batch.first() else { continue };
            let at = u64::from(first.offset());
            let mut read = self.lines.read_at(&mut text, at)?;
            let end = |text: &[u8]| memchr::memchr(b'\n', text);
            if read == USUAL_LINE && end(&text).is_none() {
                text.resize(MAX_LINE, 0);
                read = self.lines.read_at(&mut text, at)?;
            }
            let text = text.get(..read).unwrap_or_default();
            let line = text.get(..end(text).unwrap_or(0)).unwrap_or_default();
            if let Ok(line) = serde_json::from_slice::<Line<'_>>(line)
                && line.at > oldest.0
            {
                to.extend(batch.iter().map(|entry| line.receipt(*entry, event_id)));
            }
        }
        Ok(())
    }
}

impl Sealed {
    /// The last `limit` of its entries of this id, found by halving; none if it has none.
    fn hits(&self, disk: &dyn Disk, id: IdDigest, limit: usize) -> io::Result<Option<Hits>> {
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
        // they are sorted by id, then by name; a later line is a newer one
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = vec![0; (BLOCK * Entry::BYTES) as usize];
        while low < self.entries {
            let read = ids.read_at(&mut bytes, HEADER + low * Entry::BYTES)?;
            let (block, _) = bytes.get(..read).unwrap_or_default().as_chunks();
            let block = block.iter().map(|bytes| Entry::from_bytes(*bytes));
            let own: Vec<Entry> = block.take_while(|entry| entry.is_of(id)).collect();
            let is_last = (own.len() as u64) < BLOCK;
            low += own.len() as u64;
            entries.extend(own);
            entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.offset()));
            entries.truncate(limit);
            if is_last {
                break;
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let lines = disk.open_read_only(&self.lines)?;
        Ok(Some(Hits { lines, entries }))
    }
}
