//! Unpacks a compressed body, within bounds.

use std::io::{self, Read};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use super::answer::{Limit, Rejection};
use crate::codes;

/// What is taken, for answers.
pub(super) const TAKEN: &str = "gzip, deflate, br, zstd";
/// How often a body may be packed.
const MAX_LAYERS: usize = 2;
/// Bytes that are unpacked at a time.
const PIECE: usize = 64 * 1024;
/// The least window that a zstd decoder must offer (RFC 9659), as a power of two.
const MIN_WINDOW_LOG: u32 = 23;
/// The largest window that is offered for the sake of large bodies.
const MAX_WINDOW_LOG: u32 = 27;

/// One way in which a body may be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `gzip`, one member or several.
    Gzip,
    /// `deflate`: the zlib format, as the standard says, or raw deflate, as many clients send.
    Deflate,
    /// `br`, with a window of at most 16 MiB.
    Brotli,
    /// `zstd`, one frame or several, with a window of at most 8 MiB or the bound of the body.
    Zstd,
}

/// The encodings that the header names, in the order they were applied: at most two.
pub fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, Rejection> {
    let mut layers = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| Rejection::ContentEncoding)?;
        for name in value.split(',') {
            layers.push(match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "deflate" => Encoding::Deflate,
                "br" => Encoding::Brotli,
                "zstd" => Encoding::Zstd,
                _ => return Err(Rejection::ContentEncoding),
            });
        }
    }
    if layers.len() > MAX_LAYERS {
        return Err(Rejection::ContentEncoding);
    }
    Ok(layers)
}

/// Undoes `layers`, the last first. What each gives is at most `max_body` bytes, however much a
/// bomb would unpack to; `room` is asked before so many more bytes are held.
pub fn unpack(
    packed: &[u8],
    layers: &[Encoding],
    max_body: usize,
    room: &mut dyn FnMut(usize) -> Result<(), Rejection>,
) -> Result<Vec<u8>, Rejection> {
    let mut bytes: Option<Vec<u8>> = None;
    for layer in layers.iter().rev() {
        let source = bytes.as_deref().unwrap_or(packed);
        let mut to = Unpacked {
            bytes: Vec::new(),
            max_body,
            room,
        };
        match layer {
            Encoding::Gzip => to.fill(MultiGzDecoder::new(source))?,
            Encoding::Deflate => to.inflate(source)?,
            Encoding::Brotli => to.unbrotli(source)?,
            Encoding::Zstd => to.fill(zstd(source, max_body).map_err(|_| bad())?)?,
        }
        bytes = Some(to.bytes);
    }
    Ok(bytes.unwrap_or_else(|| packed.to_vec()))
}

struct Unpacked<'r> {
    bytes: Vec<u8>,
    max_body: usize,
    room: &'r mut dyn FnMut(usize) -> Result<(), Rejection>,
}

impl Unpacked<'_> {
    fn push(&mut self, piece: &[u8]) -> Result<(), Rejection> {
        if self.bytes.len() + piece.len() > self.max_body {
            return Err(Rejection::Limited(Limit::MaxBody, None));
        }
        (self.room)(piece.len())?;
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn fill(&mut self, mut reader: impl Read) -> Result<(), Rejection> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = reader.read(&mut piece).map_err(|_| bad())?;
            if read == 0 {
                return Ok(());
            }
            self.push(&piece[..read])?;
        }
    }

    /// By hand, since the library's reader takes a stream that was cut for one that has ended.
    fn inflate(&mut self, source: &[u8]) -> Result<(), Rejection> {
        let mut stream = Decompress::new(is_zlib(source));
        let mut piece = vec![0; PIECE];
        loop {
            let (before_in, before_out) = (stream.total_in(), stream.total_out());
            let rest = source.get(before_in as usize..).unwrap_or_default();
            let status = stream.decompress(rest, &mut piece, FlushDecompress::None);
            let status = status.map_err(|_| bad())?;
            let wrote = (stream.total_out() - before_out) as usize;
            self.push(&piece[..wrote])?;
            match status {
                Status::StreamEnd if stream.total_in() == source.len() as u64 => return Ok(()),
                // more behind it
                Status::StreamEnd => return Err(bad()),
                _ if wrote == 0 && stream.total_in() == before_in => return Err(bad()),
                _ => {}
            }
        }
    }

    /// By hand, since the library's reader does not say whether there is more behind the stream.
    fn unbrotli(&mut self, source: &[u8]) -> Result<(), Rejection> {
        let alloc = StandardAlloc::default;
        // strict: without the extension that lets a client choose a window of up to 1 GiB
        let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
        // the last byte comes by itself, since the decoder takes bytes behind the end with it
        let (mut left, mut at, mut total) = (source.len().saturating_sub(1), 0, 0);
        let mut piece = vec![0; PIECE];
        loop {
            let (mut room, mut wrote) = (piece.len(), 0);
            let result = BrotliDecompressStream(
                &mut left, &mut at, source, &mut room, &mut wrote, &mut piece, &mut total,
                &mut state,
            );
            self.push(piece.get(..wrote).unwrap_or_default())?;
            match result {
                BrotliResult::ResultSuccess if at == source.len() => return Ok(()),
                BrotliResult::NeedsMoreInput if left == 0 && at < source.len() => left = 1,
                BrotliResult::NeedsMoreOutput => {}
                _ => return Err(bad()),
            }
        }
    }
}

/// A raw stream cannot begin like this one: its first block would be empty and stored, with bits
/// set that are zero.
fn is_zlib(source: &[u8]) -> bool {
    matches!(source, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

fn zstd(source: &[u8], max_body: usize) -> io::Result<impl Read> {
    let mut reader = zstd::Decoder::with_buffer(source)?;
    // a frame whose size is known has a window as large as itself
    let log = max_body
        .checked_next_power_of_two()
        .map_or(MAX_WINDOW_LOG, usize::ilog2);
    reader.window_log_max(log.clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG))?;
    Ok(reader)
}

fn bad() -> Rejection {
    Rejection::Body {
        code: codes::BAD_ENCODING,
        path: "",
        rule: format!("it is not whole, or not what its Content-Encoding says ({TAKEN})"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::Compression;

    use super::*;

    const ALL: [Encoding; 4] = [
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Brotli,
        Encoding::Zstd,
    ];

    fn pack(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        let level = Compression::best();
        match encoding {
            Encoding::Gzip => {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
            Encoding::Deflate => {
                let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), level);
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
            Encoding::Brotli => {
                let mut packed = Vec::new();
                let mut packer = brotli::CompressorWriter::new(&mut packed, 4096, 9, 24);
                packer.write_all(bytes).unwrap();
                drop(packer);
                packed
            }
            Encoding::Zstd => zstd::encode_all(bytes, 19).unwrap(),
        }
    }

    fn unpacked(packed: &[u8], layers: &[Encoding], max: usize) -> Result<Vec<u8>, &'static str> {
        let mut held = 0;
        let mut room = |bytes| {
            held += bytes;
            Ok(())
        };
        let result = unpack(packed, layers, max, &mut room);
        assert!(held <= max * layers.len().max(1), "{held} bytes held");
        result.map_err(|rejection| rejection.code().word())
    }

    #[test]
    fn what_was_packed_comes_out() {
        let text = br#"{"data":[{"event_name":"Purchase"}]}"#.repeat(5000);
        for first in ALL {
            let once = pack(first, &text);
            assert_eq!(unpacked(&once, &[first], text.len()), Ok(text.clone()));
            for second in ALL {
                let twice = pack(second, &once);
                let layers = [first, second];
                assert_eq!(
                    unpacked(&twice, &layers, text.len()),
                    Ok(text.clone()),
                    "{layers:?}"
                );
            }
        }
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(&text).unwrap();
        let raw = raw.finish().unwrap();
        assert_eq!(
            unpacked(&raw, &[Encoding::Deflate], text.len()),
            Ok(text.clone())
        );
        let members = [pack(Encoding::Gzip, b"{}"), pack(Encoding::Gzip, b"[]")].concat();
        assert_eq!(
            unpacked(&members, &[Encoding::Gzip], 4),
            Ok(b"{}[]".to_vec())
        );
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let text = vec![b' '; 16 << 20];
        for encoding in ALL {
            let bomb = pack(encoding, &text);
            assert!(bomb.len() < 100_000);
            assert_eq!(
                unpacked(&bomb, &[encoding], 1 << 20),
                Err("too_large"),
                "{encoding:?}"
            );
            let nested = pack(Encoding::Gzip, &bomb);
            let layers = [encoding, Encoding::Gzip];
            assert_eq!(unpacked(&nested, &layers, 1 << 20), Err("too_large"));
        }
    }

    #[test]
    fn what_is_cut_or_something_else_is_refused() {
        let text = br#"{"data":[{"event_name":"Purchase"}]}"#.repeat(100);
        for encoding in ALL {
            let packed = pack(encoding, &text);
            for cut in [1, packed.len() / 2, packed.len() - 1] {
                let result = unpacked(&packed[..cut], &[encoding], 1 << 20);
                assert_eq!(
                    result.err(),
                    Some("bad_encoding"),
                    "{encoding:?} cut at {cut}"
                );
            }
            for junk in [&b"x"[..], b"junk", b"more behind it"] {
                let more = [packed.as_slice(), junk].concat();
                let result = unpacked(&more, &[encoding], 1 << 20);
                assert_eq!(result.err(), Some("bad_encoding"), "{encoding:?} with more");
            }
            let result = unpacked(b"{\"data\":[]}", &[encoding], 1 << 20);
            assert_eq!(result, Err("bad_encoding"), "{encoding:?}");
        }
    }

    #[test]
    fn a_window_beyond_the_bound_is_refused() {
        let text = vec![7; 1000];
        let mut packer = zstd::Encoder::new(Vec::new(), 3).unwrap();
        packer.window_log(26).unwrap();
        packer.write_all(&text).unwrap();
        let wide = packer.finish().unwrap();
        assert_eq!(
            unpacked(&wide, &[Encoding::Zstd], 1 << 20),
            Err("bad_encoding")
        );
        // the mark of a large window, and a window of 2^30 bytes
        assert_eq!(
            unpacked(&[0x11, 0x1e, 0x03], &[Encoding::Brotli], 1 << 20),
            Err("bad_encoding")
        );
    }

    #[test]
    fn the_header_names_at_most_two() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            encodings(&headers).map_err(|rejection| rejection.code().word())
        };
        assert_eq!(of(&[]), Ok(vec![]));
        assert_eq!(of(&["identity"]), Ok(vec![]));
        assert_eq!(
            of(&["GZIP , br"]),
            Ok(vec![Encoding::Gzip, Encoding::Brotli])
        );
        assert_eq!(
            of(&["zstd", "deflate"]),
            Ok(vec![Encoding::Zstd, Encoding::Deflate])
        );
        for bad in ["compress", "gzip, gzip, gzip", "gzip;q=1"] {
            assert_eq!(of(&[bad]), Err("content_encoding"), "{bad}");
        }
    }
}
