//! What the targets in `fuzz/` need of what is nobody's business otherwise.

use crate::graph::reply;
use crate::graph::scrub::Scrubber;
use crate::journal::RequestOptions;
use crate::journal::segment::frame::{CommitWriter, Record, SegmentHeader, seal};
use crate::journal::segment::scan::{Scan, scan};
use crate::time::UnixMs;

/// Stands for a token in a body of Graph's.
const TOKEN: &str = "EAAcanarytoken";
const SALT: u64 = 7;
const FIRST: u64 = 1000;

/// Reads what may be an answer of Graph; nothing that is kept of it has the token.
pub fn graph_answer(body: &[u8]) {
    let kept = reply::read(body, &Scrubber::new([TOKEN]));
    assert!(!format!("{kept:?}").contains(TOKEN), "{kept:?}");
}

/// Reads what may be a segment: the bytes as they are, and a sound segment made of them, whole and
/// with one byte changed.
pub fn segment(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else {
        return;
    };
    let newest = how & 1 != 0;
    look(rest, newest);
    let Some((at, rest)) = rest.split_first_chunk::<2>() else {
        return;
    };
    let (mut bytes, records) = sound(rest);
    let (scanned, found) = look(&bytes, newest);
    assert_eq!(found, records.len());
    assert!(scanned.is_some_and(|scan| scan.sealed && scan.damage.is_empty()));
    let at = usize::from(u16::from_le_bytes(*at)) % bytes.len();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= how | 1;
    }
    let (_, found) = look(&bytes, newest);
    assert!(found <= records.len());
}

/// Scans bytes, and looks at each record. Gives how many there are.
fn look(bytes: &[u8], newest: bool) -> (Option<Scan>, usize) {
    let (mut found, mut last) = (0, None);
    let scanned = scan(bytes, FIRST, newest, &mut |one| {
        let end = one.offset + one.len as u64;
        assert!(end <= bytes.len() as u64, "a record ends at {end}");
        assert!(
            last < Some(one.record.seq),
            "{last:?} before {}",
            one.record.seq
        );
        last = Some(one.record.seq);
        found += 1;
        let _ = RequestOptions::from_stored(one.record.options);
    });
    let scanned = scanned.ok();
    if let Some(scan) = &scanned {
        assert!(scan.end <= bytes.len().max(512) as u64);
    }
    (scanned, found)
}

/// A sealed segment with the pieces of `input` as payloads: of each, its first byte says how long
/// it is, and whether a commit ends with it.
fn sound(mut input: &[u8]) -> (Vec<u8>, Vec<&[u8]>) {
    let header = SegmentHeader {
        first_seq: FIRST,
        salt: SALT,
        created: UnixMs(1),
        size: 1 << 20,
    };
    let (mut bytes, mut payloads) = (header.encode(), Vec::new());
    let (mut writer, mut seq) = (CommitWriter::default(), FIRST);
    writer.begin(SALT, seq);
    while let Some((how, rest)) = input.split_first() {
        let (payload, rest) = rest.split_at(usize::from(how & 0x7f).min(rest.len()));
        input = rest;
        let record = Record {
            seq: 0,
            origin: 0,
            pixel: 7,
            received_at: UnixMs(1),
            expires_at: UnixMs(2),
            options: payload.get(..payload.len() / 2).unwrap_or_default(),
            payload,
        };
        writer.push(record, None);
        payloads.push(payload);
        seq += 1;
        if how & 0x80 != 0 {
            bytes.extend_from_slice(writer.finish());
            writer.begin(SALT, seq);
        }
    }
    if writer.records() > 0 {
        bytes.extend_from_slice(writer.finish());
    }
    bytes.extend_from_slice(&seal(SALT, seq));
    (bytes, payloads)
}
