//! Reads a segment commit by commit, a window at a time, so that it need not be held as a whole.

use std::io;
use std::ops::ControlFlow;

use super::file::SegmentFile;
use super::frame::{COMMIT_BYTES, Commit, HEADER_BYTES};

/// Bytes read in one call, and held, unless one commit is larger.
const WINDOW: u64 = 1 << 20;

/// How far the commits could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To their end, or to where `each` broke.
    All,
    /// Not further than to the record of this number: what should follow is no commit.
    Damaged(u64),
}

/// Gives every commit up to `end`, with the place of its records, to `each` until it breaks.
pub(crate) fn commits(
    file: &SegmentFile,
    end: u64,
    each: &mut dyn FnMut(Commit<'_>, u64) -> ControlFlow<()>,
) -> io::Result<Reach> {
    let mut buf = Vec::new();
    // where the bytes in `buf` start, and where the next commit does
    let (mut start, mut at) = (0, HEADER_BYTES);
    let mut next_seq = file.first_seq;
    while at < end {
        let held = buf.get((at - start) as usize..).unwrap_or_default();
        let whole = Commit::len_of(held).is_some_and(|len| len <= held.len());
        if !whole {
            start = at;
            read_into(&mut buf, file, at, WINDOW.min(end - at))?;
            let len = Commit::len_of(&buf).unwrap_or(COMMIT_BYTES) as u64;
            if len > WINDOW && len <= end - at {
                read_into(&mut buf, file, at, len)?;
            }
        }
        let held = buf.get((at - start) as usize..).unwrap_or_default();
        let commit = Commit::decode(held, file.salt).filter(|c| c.first_seq == next_seq);
        let Some(commit) = commit else {
            return Ok(Reach::Damaged(next_seq));
        };
        let records_at = at + COMMIT_BYTES as u64;
        at += commit.len as u64;
        next_seq += u64::from(commit.records);
        if each(commit, records_at).is_break() {
            break;
        }
    }
    Ok(Reach::All)
}

/// Reads `len` bytes from `at` into `buf`, or what there is of them.
pub(crate) fn read_into(
    buf: &mut Vec<u8>,
    file: &SegmentFile,
    at: u64,
    len: u64,
) -> io::Result<()> {
    buf.resize(len as usize, 0);
    let read = file.file.read_at(buf, at)?;
    buf.truncate(read);
    Ok(())
}
