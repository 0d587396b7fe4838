//! Reads a request's body within its bounds, and unpacks it.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use bytes::Bytes;
use http_body_util::BodyExt;

use super::Shared;
use super::admission::Reservation;
use super::answer::{Limit, Rejection};
use crate::codes;

/// For how long a refused body is read on.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A whole body in memory, and its share of `ingest.max_in_flight`.
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    pub(super) reservation: Reservation,
}

/// A body as it came, perhaps compressed.
pub(super) struct Packed {
    held: Held,
    encoding: Encoding,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
    Deflate,
}

/// Reads `body` to its end, at most `max_body` bytes of it, in `body_timeout`. `is_known` says
/// whether its caller has shown a good key already.
pub(super) async fn read(
    shared: &Shared,
    headers: &HeaderMap,
    body: &mut Body,
    is_known: bool,
) -> Result<Packed, Rejection> {
    let encoding = encoding(headers)?;
    let max_body = shared.settings.max_body;
    if declared(headers).is_some_and(|length| length > max_body as u64) {
        return Err(Rejection::Limited(Limit::MaxBody, None));
    }
    let reading = collect(shared, body, is_known);
    let held = tokio::time::timeout(shared.settings.body_timeout, reading)
        .await
        .map_err(|_| Rejection::Limited(Limit::BodyTimeout, None))??;
    Ok(Packed { held, encoding })
}

impl Held {
    /// Counts `bytes` more that are held for this body.
    pub(super) fn grow(&mut self, shared: &Shared, bytes: usize) -> Result<(), Rejection> {
        shared
            .admission
            .grow(&mut self.reservation, bytes)
            .map_err(|_| Rejection::Limited(Limit::MaxInFlight, Some(1)))
    }
}

impl Packed {
    /// Whether working on it would take long.
    pub(super) fn is_large(&self, plain: usize) -> bool {
        self.encoding != Encoding::Plain || self.held.bytes.len() >= plain
    }

    /// The body as it was meant, at most `max_body` bytes of it.
    pub(super) fn unpack(self, shared: &Shared) -> Result<Held, Rejection> {
        match self.encoding {
            Encoding::Plain => Ok(self.held),
            packed => unpack(shared, self.held, packed),
        }
    }
}

/// Reads what is left of a refused body and forgets it, for a while and up to `max_body`: a client
/// that is still writing when the connection closes would never see the answer.
pub(super) async fn drain(shared: &Shared, body: &mut Body) {
    let mut left = shared.settings.max_body;
    let discard = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else {
                return;
            };
            left = rest;
        }
    };
    // whether it ends or not, the answer goes out now
    let _ = tokio::time::timeout(DRAIN_TIME, discard).await;
}

async fn collect(shared: &Shared, body: &mut Body, is_known: bool) -> Result<Held, Rejection> {
    let mut held = Held {
        bytes: Vec::new(),
        reservation: shared.admission.open(is_known),
    };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::Body {
            code: codes::CUT_BODY,
            path: "",
            rule: "it ended before it was whole; send it again".to_owned(),
        })?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if held.bytes.len() + chunk.len() > shared.settings.max_body {
            return Err(Rejection::Limited(Limit::MaxBody, None));
        }
        held.grow(shared, chunk.len())?;
        held.bytes.extend_from_slice(&chunk);
    }
    Ok(held)
}

/// Stops one byte past `max_body`, however much a bomb would unpack to.
fn unpack(shared: &Shared, packed: Held, encoding: Encoding) -> Result<Held, Rejection> {
    let max_body = shared.settings.max_body;
    let mut reservation = packed.reservation;
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut reader: Box<dyn Read> = match encoding {
        Encoding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(
            packed.bytes.as_slice(),
        )),
        _ => Box::new(flate2::bufread::ZlibDecoder::new(packed.bytes.as_slice())),
    };
    loop {
        let read = reader.read(&mut chunk).map_err(|_| Rejection::Body {
            code: codes::BAD_ENCODING,
            path: "",
            rule: "it is not what its Content-Encoding says (gzip or deflate)".to_owned(),
        })?;
        if read == 0 {
            break;
        }
        if bytes.len() + read > max_body {
            return Err(Rejection::Limited(Limit::MaxBody, None));
        }
        let full = |_| Rejection::Limited(Limit::MaxInFlight, Some(1));
        shared
            .admission
            .grow(&mut reservation, read)
            .map_err(full)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
    drop(reader);
    Ok(Held { bytes, reservation })
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Rejection> {
    match headers
        .get(CONTENT_ENCODING)
        .map(|value| value.as_bytes().to_ascii_lowercase())
        .as_deref()
    {
        None | Some(b"" | b"identity") => Ok(Encoding::Plain),
        Some(b"gzip" | b"x-gzip") => Ok(Encoding::Gzip),
        Some(b"deflate") => Ok(Encoding::Deflate),
        Some(_) => Err(Rejection::ContentType),
    }
}
