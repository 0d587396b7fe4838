//! The parts of a `multipart/form-data` body; a file counts as the text in it.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use multer::Multipart;

use super::{Members, fault};
use crate::codes;
use crate::ingest::answer::Rejection;

/// Bytes that the library is handed at a time, so that the body is not copied as a whole.
const PIECE: usize = 64 * 1024;
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Reads a body whose parts are between `boundary` lines. `max_events` is `ingest.max_events`.
pub fn parse_multipart(
    body: &[u8],
    boundary: &str,
    max_events: usize,
) -> Result<Members<'static>, Rejection> {
    let pieces = body.chunks(PIECE).map(Bytes::copy_from_slice);
    let parts = Multipart::new(stream::iter(pieces.map(Ok::<_, Infallible>)), boundary);
    // all of it is here, so that it never waits
    collect(parts, max_events)
        .now_or_never()
        .unwrap_or_else(|| Err(bad("it ends too early")))
}

async fn collect(
    mut parts: Multipart<'_>,
    max_events: usize,
) -> Result<Members<'static>, Rejection> {
    let mut members = Members::default();
    while let Some(mut part) = parts.next_field().await.map_err(|error| of(&error))? {
        let name = part.name().unwrap_or_default().to_owned();
        let mut bytes = Vec::new();
        while let Some(piece) = part.chunk().await.map_err(|error| of(&error))? {
            bytes.extend_from_slice(&piece);
        }
        // files of some editors begin with a mark
        if bytes.starts_with(BOM) {
            bytes.drain(..BOM.len());
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| fault(codes::NOT_UTF8, "", "its parts must be UTF-8"))?;
        members.add(name.into(), text.into(), max_events)?;
    }
    Ok(members)
}

pub(super) fn bad(what: &str) -> Rejection {
    fault(codes::BAD_FORM, "", what)
}

/// The library's own words may quote names.
fn of(error: &multer::Error) -> Rejection {
    match error {
        multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders
        | multer::Error::IncompleteStream => bad(
            "it has no end: a line of its boundary is missing, or is not the one of its Content-Type",
        ),
        _ => bad("the head of a part cannot be read"),
    }
}
