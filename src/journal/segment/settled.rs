//! Which records of a segment have met their end, in memory and in its `.done` file.
//!
//! ```text
//! header  magic 8 | first_seq 8 | salt 8 | crc 4 | 0 4
//! frame   runs 4 | crc 4 | (ordinal 4, count 4)…        one per flush
//! ```
//!
//! The file may lose its tail, or all of it: the records it named are then delivered once more.
//! The salt ties it to one life of its segment, so it can never settle another's records.

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Adds `n`; false if it was there.
    pub(crate) fn set(&mut self, n: u32) -> bool {
        let at = n as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        let Some(word) = self.0.get_mut(at) else {
            return false;
        };
        let bit = 1 << (n % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether `n` is in the set.
    pub(crate) fn has(&self, n: u32) -> bool {
        self.0
            .get(n as usize / 64)
            .is_some_and(|word| word & (1 << (n % 64)) != 0)
    }
}

/// Bytes before the first frame.
pub(crate) const DONE_HEADER_BYTES: usize = 32;

const MAGIC: [u8; 8] = *b"capidone";

/// The head of a `.done` file.
pub(crate) fn done_header(first_seq: u64, salt: u64) -> Vec<u8> {
    let mut buf = Vec::with_capacity(DONE_HEADER_BYTES);
    buf.extend_from_slice(&MAGIC);
    buf.extend_from_slice(&first_seq.to_le_bytes());
    buf.extend_from_slice(&salt.to_le_bytes());
    let crc = crc32fast::hash(&buf);
    buf.extend_from_slice(&crc.to_le_bytes());
    buf.resize(DONE_HEADER_BYTES, 0);
    buf
}

/// Adds one frame that names `ordinals` to `buf`.
pub(crate) fn push_done_frame(buf: &mut Vec<u8>, salt: u64, ordinals: &mut [u32]) {
    ordinals.sort_unstable();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for ordinal in ordinals {
        match runs.last_mut() {
            Some((start, count)) if start.wrapping_add(*count) == *ordinal => *count += 1,
            _ => runs.push((*ordinal, 1)),
        }
    }
    let mut body = Vec::with_capacity(runs.len() * 8);
    for (start, count) in &runs {
        body.extend_from_slice(&start.to_le_bytes());
        body.extend_from_slice(&count.to_le_bytes());
    }
    buf.extend_from_slice(&(runs.len() as u32).to_le_bytes());
    buf.extend_from_slice(&frame_crc(salt, &body).to_le_bytes());
    buf.extend_from_slice(&body);
}

/// Reads a `.done` file of the segment with this `first_seq` and `salt`, calling `each` with every
/// ordinal below `records`. Returns where the next frame may be written: behind the last whole
/// frame, or 0 when the file is none of this segment's.
pub(crate) fn read_done(
    bytes: &[u8],
    first_seq: u64,
    salt: u64,
    records: u32,
    each: &mut dyn FnMut(u32),
) -> usize {
    let head = done_header(first_seq, salt);
    if bytes.get(..head.len()) != Some(head.as_slice()) {
        return 0;
    }
    let mut at = head.len();
    while let Some((body, next)) = frame(bytes, at, salt) {
        let (runs, _) = body.as_chunks::<4>();
        for run in runs.chunks_exact(2) {
            if let [start, count] = run {
                let start = u32::from_le_bytes(*start);
                let end = start.saturating_add(u32::from_le_bytes(*count));
                (start..end.min(records)).for_each(&mut *each);
            }
        }
        at = next;
    }
    at
}

fn frame(bytes: &[u8], at: usize, salt: u64) -> Option<(&[u8], usize)> {
    let (runs, rest) = bytes.get(at..)?.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let len = (u32::from_le_bytes(*runs) as usize).checked_mul(8)?;
    let body = rest.get(..len)?;
    // no frame is empty, and zeros are no frame
    (len > 0 && frame_crc(salt, body) == u32::from_le_bytes(*crc)).then_some((body, at + 8 + len))
}

fn frame_crc(salt: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&(body.len() as u64).to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], salt: u64) -> (Vec<u32>, usize) {
        let mut found = Vec::new();
        let end = read_done(bytes, 100, salt, 1000, &mut |n| found.push(n));
        (found, end)
    }

    #[test]
    fn bits_remember_what_was_set() {
        let mut bits = Bits::default();
        assert!(!bits.has(0));
        assert!(bits.set(0) && bits.set(64) && bits.set(200));
        assert!(!bits.set(64));
        assert!(bits.has(200) && !bits.has(199) && !bits.has(9999));
    }

    #[test]
    fn frames_come_back_and_a_torn_tail_is_dropped() {
        let mut bytes = done_header(100, 5);
        push_done_frame(&mut bytes, 5, &mut [3, 1, 2, 9]);
        let whole = bytes.len();
        push_done_frame(&mut bytes, 5, &mut [4, 2000]);
        assert_eq!(read(&bytes, 5), (vec![1, 2, 3, 9, 4], bytes.len()));
        for cut in whole..bytes.len() {
            assert_eq!(read(&bytes[..cut], 5), (vec![1, 2, 3, 9], whole));
        }
        bytes.truncate(whole);
        bytes.resize(whole + 64, 0);
        assert_eq!(read(&bytes, 5), (vec![1, 2, 3, 9], whole));
    }

    #[test]
    fn another_life_settles_nothing() {
        let mut bytes = done_header(100, 5);
        push_done_frame(&mut bytes, 5, &mut [1]);
        assert_eq!(read(&bytes, 6), (vec![], 0));
        // frames of a former life behind a new head
        let mut mixed = done_header(100, 6);
        mixed.extend_from_slice(&bytes[DONE_HEADER_BYTES..]);
        assert_eq!(read(&mixed, 6), (vec![], DONE_HEADER_BYTES));
        assert_eq!(read(&[], 5), (vec![], 0));
    }
}
