//! Reads the bytes of one segment: what is whole, where it ends, what is damaged.
//!
//! A commit counts if its checksum holds under the segment's salt and it starts with exactly the
//! next number; so zeros, torn writes and bytes of a former life all read as the end. A sound
//! segment ends with its seal. The newest segment has none yet: there a bad commit with no whole
//! one behind it is the torn last write, which nobody was told of. Anything else is damage; then
//! every single record that still verifies is kept.

use super::frame::{
    COMMIT_BYTES, Commit, HEADER_BYTES, HeaderError, RECORD_BYTES, Record, SegmentHeader,
};

/// What [`scan`] found out about a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Of this life; none when it cannot be told.
    pub(crate) salt: Option<u64>,
    /// The number after the last record.
    pub(crate) next_seq: u64,
    /// Bytes of the file that are used, the seal included.
    pub(crate) end: u64,
    /// Where the last commit with records starts; nothing before it can be unsynced.
    pub(crate) last_commit: u64,
    /// It ends with a seal.
    pub(crate) sealed: bool,
    /// Offsets at which something is damaged.
    pub(crate) damage: Vec<u64>,
}

/// A whole record and where it starts in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) record: Record<'a>,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// Reads a segment whose name says that its first record is number `first_seq`, and gives every
/// whole record to `each`. `newest`: no segment has a higher number.
pub(crate) fn scan(
    bytes: &[u8],
    first_seq: u64,
    newest: bool,
    each: &mut dyn FnMut(Found<'_>),
) -> Result<Scan, HeaderError> {
    let mut found = Scan {
        next_seq: first_seq,
        end: HEADER_BYTES,
        last_commit: HEADER_BYTES,
        ..Scan::default()
    };
    let salt = match SegmentHeader::decode(bytes) {
        Ok(header) if header.first_seq == first_seq => header.salt,
        Ok(_) | Err(HeaderError::Damaged) => {
            found.damage.push(0);
            // the first commit knows the salt as well
            let first = bytes.get(HEADER_BYTES as usize..).unwrap_or_default();
            match Commit::salt_of(first) {
                Some(salt) => salt,
                None => return Ok(found),
            }
        }
        Err(other) => return Err(other),
    };
    found.salt = Some(salt);
    loop {
        let at = found.end as usize;
        let rest = bytes.get(at..).unwrap_or_default();
        match Commit::decode(rest, salt).filter(|c| c.first_seq == found.next_seq) {
            Some(commit) => {
                let start = found.end;
                found.end += commit.len as u64;
                found.next_seq += u64::from(commit.records);
                if commit.records == 0 {
                    found.sealed = true;
                    return Ok(found);
                }
                found.last_commit = start;
                let start = at + COMMIT_BYTES;
                records(commit.body, salt, start as u64, each);
            }
            None => match next_commit(bytes, at, salt, found.next_seq) {
                Some((later, seq)) => {
                    found.damage.push(at as u64);
                    salvage(bytes, at..later, salt, found.next_seq..seq, each);
                    found.end = later as u64;
                    found.next_seq = seq;
                }
                None if newest => return Ok(found),
                None => {
                    found.damage.push(at as u64);
                    let known = found.next_seq..u64::MAX;
                    let last = salvage(bytes, at..bytes.len(), salt, known, each);
                    found.next_seq = last.map_or(found.next_seq, |seq| seq + 1);
                    return Ok(found);
                }
            },
        }
    }
}

/// Every record of a commit, whose body starts at `offset`.
pub(crate) fn records<'a>(
    mut body: &'a [u8],
    salt: u64,
    mut offset: u64,
    each: &mut dyn FnMut(Found<'a>),
) {
    while let Some((record, len)) = Record::decode(body, salt) {
        each(Found {
            record,
            offset,
            len,
        });
        offset += len as u64;
        body = body.get(len..).unwrap_or_default();
    }
}

/// The next whole commit of this life that starts behind `from`, and its first number.
fn next_commit(bytes: &[u8], from: usize, salt: u64, expected: u64) -> Option<(usize, u64)> {
    let salt_bytes = salt.to_le_bytes();
    (from + 8..bytes.len().saturating_sub(COMMIT_BYTES - 1))
        .step_by(8)
        .filter(|at| bytes.get(at + 8..at + 16) == Some(&salt_bytes))
        .find_map(|at| {
            let commit = Commit::decode(bytes.get(at..)?, salt)?;
            (commit.first_seq >= expected).then_some((at, commit.first_seq))
        })
}

/// Every record in a damaged stretch that verifies by itself; returns the last number.
fn salvage(
    bytes: &[u8],
    stretch: std::ops::Range<usize>,
    salt: u64,
    known: std::ops::Range<u64>,
    each: &mut dyn FnMut(Found<'_>),
) -> Option<u64> {
    let mut last = None;
    let mut at = stretch.start;
    while at + RECORD_BYTES <= stretch.end {
        let rest = bytes.get(at..stretch.end).unwrap_or_default();
        let seq = rest.get(8..16).and_then(|s| s.first_chunk().copied());
        let likely = seq.is_some_and(|seq| known.contains(&u64::from_le_bytes(seq)));
        match likely.then(|| Record::decode(rest, salt)).flatten() {
            Some((record, len)) => {
                each(Found {
                    record,
                    offset: at as u64,
                    len,
                });
                last = Some(record.seq);
                at += len;
            }
            None => at += 1,
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::frame::{CommitWriter, seal};
    use super::*;
    use crate::time::UnixMs;

    const SALT: u64 = 77;

    fn header(salt: u64) -> Vec<u8> {
        SegmentHeader {
            first_seq: 10,
            salt,
            created: UnixMs(0),
            size: 4096,
        }
        .encode()
    }

    fn commit(salt: u64, first_seq: u64, count: u64) -> Vec<u8> {
        let mut writer = CommitWriter::default();
        writer.begin(salt, first_seq);
        for _ in 0..count {
            let record = Record {
                seq: 0,
                origin: 0,
                pixel: 1,
                received_at: UnixMs(0),
                expires_at: UnixMs(0),
                options: b"",
                payload: b"payload of a record",
            };
            writer.push(record, None);
        }
        writer.finish().to_vec()
    }

    /// A header, commits 10..12 and 12..15, and whatever `tail` is, in 4 KiB.
    fn file(tail: &[u8]) -> (Vec<u8>, usize) {
        let mut bytes = header(SALT);
        bytes.extend(commit(SALT, 10, 2));
        bytes.extend(commit(SALT, 12, 3));
        let end = bytes.len();
        bytes.extend_from_slice(tail);
        bytes.resize(4096, 0);
        (bytes, end)
    }

    fn run(bytes: &[u8], newest: bool) -> (Vec<u64>, Scan) {
        let mut seqs = Vec::new();
        let found = scan(bytes, 10, newest, &mut |f| {
            let (again, len) = Record::decode(&bytes[f.offset as usize..], SALT).unwrap();
            assert_eq!((again, len), (f.record, f.len));
            seqs.push(f.record.seq);
        });
        (seqs, found.unwrap())
    }

    #[test]
    fn a_sealed_segment_ends_at_its_seal() {
        let mut tail = seal(SALT, 15);
        tail.extend(commit(SALT, 15, 1));
        let (bytes, end) = file(&tail);
        let (seqs, found) = run(&bytes, false);
        assert_eq!(seqs, [10, 11, 12, 13, 14]);
        assert!(found.sealed && found.damage.is_empty());
        assert_eq!((found.end, found.next_seq), (end as u64 + 32, 15));
    }

    #[test]
    fn a_torn_last_write_is_the_end_of_the_newest_and_damage_elsewhere() {
        let mut torn = commit(SALT, 15, 4);
        let last = torn.len() - 9;
        torn[last] ^= 1;
        let (bytes, end) = file(&torn);
        let (seqs, found) = run(&bytes, true);
        assert_eq!(seqs, [10, 11, 12, 13, 14]);
        assert_eq!((found.end, found.next_seq), (end as u64, 15));
        assert!(found.damage.is_empty() && !found.sealed);

        let (seqs, found) = run(&bytes, false);
        assert_eq!(seqs, [10, 11, 12, 13, 14, 15, 16, 17]);
        assert_eq!(found.damage, [end as u64]);
    }

    #[test]
    fn bytes_of_a_former_life_are_the_end() {
        // the number fits, the salt does not
        let (bytes, end) = file(&commit(SALT + 1, 15, 2));
        let (seqs, found) = run(&bytes, true);
        assert_eq!(seqs, [10, 11, 12, 13, 14]);
        assert_eq!((found.end, found.damage), (end as u64, vec![]));
        // the salt fits, the number does not
        let (bytes, _) = file(&commit(SALT, 12, 3));
        assert_eq!(run(&bytes, true).0, [10, 11, 12, 13, 14]);
    }

    #[test]
    fn a_bad_commit_before_a_good_one_is_damage_and_its_good_records_are_kept() {
        let (mut bytes, _) = file(&seal(SALT, 15));
        let first = HEADER_BYTES as usize;
        bytes[first + COMMIT_BYTES + RECORD_BYTES + 3] ^= 1;
        for newest in [true, false] {
            let (seqs, found) = run(&bytes, newest);
            assert_eq!(seqs, [11, 12, 13, 14]);
            assert_eq!(found.damage, [HEADER_BYTES]);
            assert!(found.sealed);
        }
    }

    #[test]
    fn a_damaged_header_does_not_hide_the_records() {
        let (mut bytes, _) = file(&seal(SALT, 15));
        bytes[20] ^= 1;
        let (seqs, found) = run(&bytes, false);
        assert_eq!(seqs.len(), 5);
        assert_eq!((found.damage, found.salt), (vec![0], Some(SALT)));
        let (seqs, found) = run(&[0; 4096], false);
        assert_eq!((seqs.len(), found.salt), (0, None));
    }

    #[test]
    fn a_version_of_the_future_is_not_touched() {
        let (mut bytes, _) = file(&[]);
        bytes[8] = 9;
        let crc = crc32fast::hash(&bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
        let found = scan(&bytes, 10, true, &mut |_| {});
        assert_eq!(found, Err(HeaderError::Version(9)));
    }
}
