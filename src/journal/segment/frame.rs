//! Records, commits and segment headers as bytes. All numbers are little-endian.
//!
//! ```text
//! header  magic 8 | version 2 | 0 2 | key id 4 | first_seq 8 | salt 8 | created 8 | size 8 | crc 4
//! commit  magic 4 | crc 4 | salt 8 | first_seq 8 | records 4 | bytes 4 | records… | 0 to a multiple of 8
//! record  len 4 | crc 4 | seq 8 | origin 8 | pixel 8 | received 8 | expires 8 | options 4 | options… | payload…
//! ```
//!
//! The header fills a sector of its own. A commit with no records is the *seal*: the segment ends
//! there. The salt is new for each life of a file and is part of every checksum, so bytes of a
//! former life do not verify. `seq` is the place in the log; `origin` is the `seq` the event had
//! when it was first written, which evacuation keeps. What stands as options is more than those:
//! see [`extras`](crate::journal::extras).

use crate::time::UnixMs;

/// Bytes before the first commit.
pub(crate) const HEADER_BYTES: u64 = 512;
/// Bytes of a commit before its records; also the size of a seal.
pub(crate) const COMMIT_BYTES: usize = 32;
/// Bytes of a record before its options.
pub(crate) const RECORD_BYTES: usize = 52;
/// The version this program writes and reads.
pub(crate) const VERSION: u16 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"capiseg\n";
const COMMIT_MAGIC: [u8; 4] = *b"cmt\x01";
const HEADER_CRC_AT: usize = 48;

/// The head of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The sequence number of the segment's first record.
    pub(crate) first_seq: u64,
    /// New for each life of the file.
    pub(crate) salt: u64,
    /// When this life began.
    pub(crate) created: UnixMs,
    /// The size of the file.
    pub(crate) size: u64,
}

/// Why bytes are not the head of a segment this program can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// They are damaged, or no header.
    Damaged,
    /// A sound header of another format version.
    Version(u16),
    /// A sound header of a segment sealed with a key, which this version cannot open.
    Key(u32),
}

/// One record, borrowed from where its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) seq: u64,
    pub(crate) origin: u64,
    pub(crate) pixel: u64,
    pub(crate) received_at: UnixMs,
    pub(crate) expires_at: UnixMs,
    pub(crate) options: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// One commit whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit<'a> {
    pub(crate) first_seq: u64,
    pub(crate) records: u32,
    /// The records, one behind the other.
    pub(crate) body: &'a [u8],
    /// Bytes from the start of this commit to where the next may start.
    pub(crate) len: usize,
}

/// Builds commits in one buffer that is used again and again.
#[derive(Debug, Default)]
pub(crate) struct CommitWriter {
    buf: Vec<u8>,
    salt: u64,
    first_seq: u64,
    records: u32,
}

/// Takes numbers off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().copied().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().copied().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().copied().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<UnixMs> {
        self.array().copied().map(i64::from_le_bytes).map(UnixMs)
    }
}

impl SegmentHeader {
    /// The header as the first sector of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buf = Vec::with_capacity(HEADER_BYTES as usize);
        buf.extend_from_slice(&SEGMENT_MAGIC);
        buf.extend_from_slice(&VERSION.to_le_bytes());
        buf.extend_from_slice(&0u16.to_le_bytes());
        // key id 0: the records are not sealed with a key
        buf.extend_from_slice(&0u32.to_le_bytes());
        buf.extend_from_slice(&self.first_seq.to_le_bytes());
        buf.extend_from_slice(&self.salt.to_le_bytes());
        buf.extend_from_slice(&self.created.0.to_le_bytes());
        buf.extend_from_slice(&self.size.to_le_bytes());
        let crc = crc32fast::hash(&buf);
        buf.extend_from_slice(&crc.to_le_bytes());
        buf.resize(HEADER_BYTES as usize, 0);
        buf
    }

    /// Reads a header from the start of a file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        Self::parse(bytes).ok_or(HeaderError::Damaged)?
    }

    fn parse(bytes: &[u8]) -> Option<Result<Self, HeaderError>> {
        let crc = crc32fast::hash(bytes.get(..HEADER_CRC_AT)?);
        let mut fields = Fields(bytes);
        if fields.array()? != &SEGMENT_MAGIC {
            return None;
        }
        let version = fields.u16()?;
        let _reserved = fields.u16()?;
        let key_id = fields.u32()?;
        let header = Self {
            first_seq: fields.u64()?,
            salt: fields.u64()?,
            created: fields.time()?,
            size: fields.u64()?,
        };
        if fields.u32()? != crc {
            return None;
        }
        Some(if version != VERSION {
            Err(HeaderError::Version(version))
        } else if key_id != 0 {
            Err(HeaderError::Key(key_id))
        } else {
            Ok(header)
        })
    }
}

/// Bytes a record takes.
pub(crate) fn record_len(options: usize, payload: usize) -> usize {
    RECORD_BYTES + options + payload
}

/// Bytes a commit takes whose records have `body` bytes.
pub(crate) fn commit_len(body: usize) -> usize {
    COMMIT_BYTES + body.next_multiple_of(8)
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`, if its checksum holds under `salt`.
    pub(crate) fn decode(bytes: &'a [u8], salt: u64) -> Option<(Self, usize)> {
        let mut fields = Fields(bytes);
        let len = fields.u32()? as usize;
        let crc = fields.u32()?;
        let seq = fields.u64()?;
        let origin = fields.u64()?;
        let pixel = fields.u64()?;
        let received_at = fields.time()?;
        let expires_at = fields.time()?;
        let options_len = fields.u32()? as usize;
        let rest = bytes.get(RECORD_BYTES..len)?;
        let (options, payload) = rest.split_at_checked(options_len)?;
        if checksum(salt, bytes.get(..4)?, bytes.get(8..len)?) != crc {
            return None;
        }
        let record = Self {
            seq,
            origin,
            pixel,
            received_at,
            expires_at,
            options,
            payload,
        };
        Some((record, len))
    }
}

impl<'a> Commit<'a> {
    /// Reads the commit at the start of `bytes`, if it was written under `salt` and is whole.
    pub(crate) fn decode(bytes: &'a [u8], salt: u64) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.array()? != &COMMIT_MAGIC {
            return None;
        }
        let crc = fields.u32()?;
        if fields.u64()? != salt {
            return None;
        }
        let first_seq = fields.u64()?;
        let records = fields.u32()?;
        let body_len = fields.u32()? as usize;
        let len = commit_len(body_len);
        let body = bytes.get(COMMIT_BYTES..COMMIT_BYTES.checked_add(body_len)?)?;
        if len > bytes.len() || crc32fast::hash(bytes.get(8..COMMIT_BYTES + body_len)?) != crc {
            return None;
        }
        Some(Self {
            first_seq,
            records,
            body,
            len,
        })
    }

    /// Bytes of the commit at the start of `bytes`, if its head is there; nothing is verified.
    pub(crate) fn len_of(bytes: &[u8]) -> Option<usize> {
        let body = Fields(bytes.get(COMMIT_BYTES - 4..COMMIT_BYTES)?).u32()?;
        Some(commit_len(body as usize))
    }

    /// The salt of the commit at the start of `bytes`, whatever it is, if the commit is whole.
    pub(crate) fn salt_of(bytes: &'a [u8]) -> Option<u64> {
        let salt = Fields(bytes.get(8..16)?).u64()?;
        Self::decode(bytes, salt).map(|_| salt)
    }
}

fn checksum(salt: u64, one: &[u8], two: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(one);
    hasher.update(two);
    hasher.finalize()
}

impl CommitWriter {
    /// Starts a commit; what was in the buffer is gone.
    pub(crate) fn begin(&mut self, salt: u64, first_seq: u64) {
        self.buf.clear();
        self.buf.resize(COMMIT_BYTES, 0);
        self.salt = salt;
        self.first_seq = first_seq;
        self.records = 0;
    }

    /// Records in the commit so far.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Bytes of records so far.
    pub(crate) fn body_len(&self) -> usize {
        self.buf.len().saturating_sub(COMMIT_BYTES)
    }

    /// Adds a record; returns where it starts, from the start of the commit, and its length.
    /// Its `seq` is the next in line, and so is its `origin` if it has none yet.
    pub(crate) fn push(&mut self, mut record: Record<'_>, origin: Option<u64>) -> (usize, usize) {
        let start = self.buf.len();
        let len = record_len(record.options.len(), record.payload.len());
        record.seq = self.first_seq + u64::from(self.records);
        record.origin = origin.unwrap_or(record.seq);
        let buf = &mut self.buf;
        buf.extend_from_slice(&(len as u32).to_le_bytes());
        buf.extend_from_slice(&[0; 4]);
        buf.extend_from_slice(&record.seq.to_le_bytes());
        buf.extend_from_slice(&record.origin.to_le_bytes());
        buf.extend_from_slice(&record.pixel.to_le_bytes());
        buf.extend_from_slice(&record.received_at.0.to_le_bytes());
        buf.extend_from_slice(&record.expires_at.0.to_le_bytes());
        buf.extend_from_slice(&(record.options.len() as u32).to_le_bytes());
        buf.extend_from_slice(record.options);
        buf.extend_from_slice(record.payload);
        if let Some((head, rest)) = buf.get_mut(start..).and_then(|r| r.split_at_mut_checked(8)) {
            let (len_bytes, crc_bytes) = head.split_at_mut(4);
            crc_bytes.copy_from_slice(&checksum(self.salt, len_bytes, rest).to_le_bytes());
        }
        self.records += 1;
        (start, len)
    }

    /// Completes the commit: its bytes, ready to be written.
    pub(crate) fn finish(&mut self) -> &[u8] {
        let body = self.body_len();
        let mut head = [0; COMMIT_BYTES];
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = head.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(0, &COMMIT_MAGIC);
        put(8, &self.salt.to_le_bytes());
        put(16, &self.first_seq.to_le_bytes());
        put(24, &self.records.to_le_bytes());
        put(28, &(body as u32).to_le_bytes());
        if let Some(place) = self.buf.get_mut(..COMMIT_BYTES) {
            place.copy_from_slice(&head);
        }
        let crc = crc32fast::hash(self.buf.get(8..).unwrap_or_default());
        if let Some(place) = self.buf.get_mut(4..8) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        self.buf.resize(commit_len(body), 0);
        &self.buf
    }
}

/// The seal: a commit without records, at `seq`, the number after the last record.
pub(crate) fn seal(salt: u64, seq: u64) -> Vec<u8> {
    let mut writer = CommitWriter::default();
    writer.begin(salt, seq);
    writer.finish().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> Record<'_> {
        Record {
            seq: 0,
            origin: 0,
            pixel: 7,
            received_at: UnixMs(1),
            expires_at: UnixMs(2),
            options: b"{}",
            payload,
        }
    }

    fn commit(salt: u64, first_seq: u64, payloads: &[&[u8]]) -> Vec<u8> {
        let mut writer = CommitWriter::default();
        writer.begin(salt, first_seq);
        for payload in payloads {
            writer.push(record(payload), None);
        }
        writer.finish().to_vec()
    }

    #[test]
    fn a_commit_comes_back_record_by_record() {
        let mut writer = CommitWriter::default();
        writer.begin(9, 100);
        writer.push(record(b"one"), None);
        let (at, len) = writer.push(record(b"twotwo"), Some(42));
        let bytes = writer.finish().to_vec();
        assert_eq!(bytes.len() % 8, 0);
        let found = Commit::decode(&bytes, 9).unwrap();
        assert_eq!((found.first_seq, found.records), (100, 2));
        assert_eq!(found.len, bytes.len());
        let (first, used) = Record::decode(found.body, 9).unwrap();
        assert_eq!(
            (first.seq, first.origin, first.payload),
            (100, 100, &b"one"[..])
        );
        let (second, _) = Record::decode(&found.body[used..], 9).unwrap();
        assert_eq!((second.seq, second.origin), (101, 42));
        let (alone, _) = Record::decode(&bytes[at..at + len], 9).unwrap();
        assert_eq!(alone, second);
        assert_eq!(Commit::salt_of(&bytes), Some(9));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let whole = commit(9, 100, &[b"payload", b""]);
        let body_end = COMMIT_BYTES + 2 * RECORD_BYTES + 4 + 7;
        for at in 0..body_end {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert!(Commit::decode(&bytes, 9).is_none(), "byte {at}");
        }
        for cut in 0..whole.len() {
            assert!(Commit::decode(&whole[..cut], 9).is_none(), "cut {cut}");
        }
    }

    #[test]
    fn a_former_life_does_not_verify() {
        let bytes = commit(9, 100, &[b"payload"]);
        assert!(Commit::decode(&bytes, 8).is_none());
        assert!(Record::decode(&bytes[COMMIT_BYTES..], 9).is_some());
        assert!(Record::decode(&bytes[COMMIT_BYTES..], 8).is_none());
        assert!(Commit::decode(&[0; 64], 0).is_none());
    }

    #[test]
    fn a_seal_is_a_commit_without_records() {
        let bytes = seal(9, 5);
        assert_eq!(bytes.len(), COMMIT_BYTES);
        let found = Commit::decode(&bytes, 9).unwrap();
        assert_eq!((found.first_seq, found.records), (5, 0));
    }

    #[test]
    fn a_header_says_its_version_and_key() {
        let header = SegmentHeader {
            first_seq: 3,
            salt: 4,
            created: UnixMs(5),
            size: 6,
        };
        let bytes = header.encode();
        assert_eq!(bytes.len() as u64, HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        let altered = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] = 2;
            SegmentHeader::decode(&bytes).unwrap_err()
        };
        assert_eq!(altered(8), HeaderError::Damaged);
        let sound = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] = 2;
            let crc = crc32fast::hash(&bytes[..HEADER_CRC_AT]);
            bytes[HEADER_CRC_AT..HEADER_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
            SegmentHeader::decode(&bytes).unwrap_err()
        };
        assert_eq!(sound(8), HeaderError::Version(2));
        assert_eq!(sound(12), HeaderError::Key(2));
        assert_eq!(SegmentHeader::decode(&[]), Err(HeaderError::Damaged));
    }
}
