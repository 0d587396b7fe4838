//! How a chunk ends: sorted by what its events are found by, and synced.

use std::io;

use super::parts::Part;
use super::{Chunk, Store};
use crate::receipts::entry::Entry;
use crate::time::UnixMs;

/// The first bytes of a sealed file, with the version of its format.
pub(super) const MAGIC: [u8; 8] = *b"cgrcpt\x00\x01";
/// Magic, last moment, entries, batches: 8 bytes each.
pub(in crate::receipts) const HEADER: u64 = 32;

impl Store {
    /// Ends the growing chunk: sorted, synced, under its last name.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        self.flush()?;
        let Some(head) = &mut self.head else {
            return Ok(());
        };
        head.lines.sync()?;
        let (number, last_at) = (head.number, head.last_at);
        let mut entries = std::mem::take(&mut head.entries);
        let batches = self.next_batch - number;
        let bytes = head.lines_written;
        self.write_sealed(number, last_at, batches, &mut entries)?;
        self.head = None;
        self.chunks.push_back(Chunk {
            number,
            bytes: bytes + HEADER + entries.len() as u64 * Entry::BYTES,
            entries: entries.len() as u64,
            last_at,
            is_sealed: true,
        });
        self.tidy();
        Ok(())
    }

    pub(super) fn write_sealed(
        &self,
        number: u64,
        last_at: UnixMs,
        batches: u64,
        entries: &mut [Entry],
    ) -> io::Result<()> {
        entries.sort_unstable();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(last_at.0.to_le_bytes());
        bytes.extend((entries.len() as u64).to_le_bytes());
        bytes.extend(batches.to_le_bytes());
        bytes.extend(bytes_of(entries));
        let new = self.path(number, Part::New);
        let file = self.disk.create(&new)?;
        file.write_at(&bytes, 0)?;
        file.sync()?;
        self.disk.rename(&new, &self.path(number, Part::Ids))?;
        self.disk.sync_dir(&self.settings.dir)?;
        self.disk.remove(&self.path(number, Part::Head))
    }
}

pub(super) fn bytes_of(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.to_bytes()).collect()
}
