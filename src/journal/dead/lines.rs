//! Reads a file line by line, in bounded memory.

use std::io;
use std::sync::Arc;

use crate::journal::segment::disk::DiskFile;

/// Bytes read in one call.
const CHUNK: usize = 256 << 10;
/// A longer line is damaged: an event has at most 1 MiB, its options far less.
const MAX_LINE: usize = 4 << 20;

/// The lines of a file, each with the offset at which it stands.
#[derive(Debug)]
pub(super) struct Lines {
    file: Arc<dyn DiskFile>,
    /// Where to stop.
    end: u64,
    /// Offset of `buf`'s first byte.
    start: u64,
    buf: Vec<u8>,
    /// Bytes of `buf` that were handed out.
    used: usize,
}

impl Lines {
    /// The lines of the first `end` bytes of the file.
    pub(super) fn new(file: Arc<dyn DiskFile>, end: u64) -> Self {
        Self {
            file,
            end,
            start: 0,
            buf: Vec::new(),
            used: 0,
        }
    }

    /// Begins again, with the first `end` bytes.
    pub(super) fn restart(&mut self, end: u64) {
        self.end = end;
        self.start = 0;
        self.used = 0;
        self.buf.clear();
    }

    /// Goes on at `offset`, if a line begins there; else nothing changes.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        let mut before = [0];
        if let Some(at) = offset.checked_sub(1)
            && self.file.read_at(&mut before, at)? == 1
            && before == *b"\n"
        {
            self.start = offset;
            self.buf.clear();
            self.used = 0;
        }
        Ok(())
    }

    /// The next line with its line break; the last may be without. A line that is longer than any
    /// letter comes in pieces, none of which reads as one.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let mut searched = 0;
        let len = loop {
            let rest = self.buf.get(self.used..).unwrap_or_default();
            let fresh = rest.get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|b| *b == b'\n') {
                break searched + at + 1;
            }
            searched = rest.len();
            if searched >= MAX_LINE || !self.fill()? {
                break searched;
            }
        };
        if len == 0 {
            return Ok(None);
        }
        let offset = self.start + self.used as u64;
        let line = self.buf.get(self.used..self.used + len).unwrap_or_default();
        self.used += len;
        Ok(Some((offset, line)))
    }

    /// Reads more behind what is not handed out; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buf.drain(..self.used);
        self.start += self.used as u64;
        self.used = 0;
        let have = self.buf.len();
        let at = self.start + have as u64;
        let want = self.end.saturating_sub(at).min(CHUNK as u64) as usize;
        self.buf.resize(have + want, 0);
        let into = self.buf.get_mut(have..).unwrap_or_default();
        let read = self.file.read_at(into, at);
        self.buf.truncate(have + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::segment::disk::{Disk, RealDisk};

    #[test]
    fn lines_come_whole_whatever_their_length() {
        let base = tempfile::tempdir().unwrap();
        let file = RealDisk.create(&base.path().join("f")).unwrap();
        let lengths = [
            0,
            1,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            3 * CHUNK,
            5,
            MAX_LINE + 7,
            2,
        ];
        let mut text = Vec::new();
        for length in lengths {
            text.resize(text.len() + length, b'x');
            text.push(b'\n');
        }
        text.extend_from_slice(b"torn");
        file.write_at(&text, 0).unwrap();

        let read = |end: u64, from: u64| {
            let mut lines = Lines::new(file.clone(), end);
            lines.seek(from).unwrap();
            let mut all = Vec::new();
            while let Some((offset, line)) = lines.next().unwrap() {
                assert_eq!(line, &text[offset as usize..offset as usize + line.len()]);
                assert!(line.len() <= MAX_LINE + CHUNK);
                all.push(line.len());
            }
            all
        };
        let all = read(u64::MAX, 0);
        assert_eq!(all.iter().sum::<usize>(), text.len());
        assert_eq!(
            all[..7],
            lengths[..7].iter().map(|n| n + 1).collect::<Vec<_>>()
        );
        assert_eq!(all[all.len() - 2..], [3, 4]);
        // a limit, a start at a line, and one in the middle of a line
        assert_eq!(read(3, 0), [1, 2]);
        assert_eq!(read(u64::MAX, 1)[0], 2);
        assert_eq!(read(u64::MAX, 2)[0], 1);
        assert_eq!(read(0, 0), [0; 0]);
    }
}
