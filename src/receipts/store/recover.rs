//! What an earlier run left: sealed chunks, and one that was growing.

use std::io;

use super::super::entry::{Entry, Line};
use super::parts::Part;
use super::seal::{HEADER, MAGIC};
use super::{Chunk, Store};
use crate::time::UnixMs;

impl Store {
    /// A chunk as an earlier run left it; none if there is nothing in it.
    pub(super) fn recover(&mut self, number: u64, parts: &[Part]) -> io::Result<Option<Chunk>> {
        let has = |part| parts.contains(&part);
        let lines = self.path(number, Part::Lines);
        if has(Part::Ids) {
            for part in [Part::Head, Part::New]
                .into_iter()
                .filter(|part| has(*part))
            {
                self.disk.remove(&self.path(number, part))?;
            }
            return self.recover_sealed(number).map(Some);
        }
        if !has(Part::Head) || !has(Part::Lines) {
            for part in parts {
                self.disk.remove(&self.path(number, *part))?;
            }
            return Ok(None);
        }
        let text = self.read_whole(number, Part::Lines)?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let text = text.get(..whole).unwrap_or_default();
        let batches = text.split_inclusive(|byte| *byte == b'\n').count() as u64;
        let last = text
            .split(|byte| *byte == b'\n')
            .rev()
            .nth(1)
            .unwrap_or_default();
        let last_at = serde_json::from_slice(last)
            .map_or_else(|_| self.clock.now(), |line: Line<'_>| UnixMs(line.at));
        let ids = self.read_whole(number, Part::Head)?;
        let (ids, _torn) = ids.as_chunks::<{ Entry::BYTES as usize }>();
        let mut entries: Vec<Entry> = ids
            .iter()
            .map(|bytes| Entry::from_bytes(*bytes))
            .filter(|entry| (entry.offset() as usize) < whole)
            .collect();
        self.next_batch = self.next_batch.max(number + batches);
        if entries.is_empty() {
            for part in parts {
                self.disk.remove(&self.path(number, *part))?;
            }
            return Ok(None);
        }
        self.disk.open(&lines)?.sync()?;
        self.write_sealed(number, last_at, batches, &mut entries)?;
        self.recover_sealed(number).map(Some)
    }

    fn recover_sealed(&mut self, number: u64) -> io::Result<Chunk> {
        let ids = self.disk.open_read_only(&self.path(number, Part::Ids))?;
        let mut header = [0; HEADER as usize];
        ids.read_at(&mut header, 0)?;
        let (fields, _) = header.as_chunks::<8>();
        let &[magic, last_at, entries, batches] = fields else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let (entries, batches) = (u64::from_le_bytes(entries), u64::from_le_bytes(batches));
        let size = entries
            .checked_mul(Entry::BYTES)
            .and_then(|bytes| bytes.checked_add(HEADER));
        if magic != MAGIC || size != Some(ids.size()?) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.next_batch = self.next_batch.max(number.saturating_add(batches));
        Ok(Chunk {
            number,
            bytes: ids.size()? + self.size(number, Part::Lines),
            entries,
            last_at: UnixMs(i64::from_le_bytes(last_at)),
            is_sealed: true,
        })
    }
}
