//! Reads a request's body within its bounds, and unpacks it.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderMap, Version};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::sync::SemaphorePermit;

use super::Shared;
use super::admission::Reservation;
use super::answer::{Limit, Rejection};
use super::encoding::{self, Encoding};
use crate::codes;

/// For how long a refused body is read on.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// Most bytes that room is made for because a client says that they will come.
const EXPECTED_MAX: u64 = 256 * 1024;
/// Bodies that are unpacked at once: each may take some 16 MiB for the window of its decoder.
pub(super) const UNPACKERS: usize = 8;

/// The body of a request, as far as it has come.
pub(super) struct Arriving {
    body: Body,
    /// The client sends nothing before it is told to go on (`Expect: 100-continue`).
    waits: bool,
}

/// A whole body in memory, and its share of `ingest.max_in_flight`.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) reservation: Reservation,
}

/// A body as it came, perhaps compressed.
pub(super) struct Packed {
    held: Held,
    layers: Vec<Encoding>,
}

impl Arriving {
    /// The body that follows a head with these headers.
    pub(super) fn new(version: Version, headers: &HeaderMap, body: Body) -> Self {
        let expects = headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self {
            body,
            waits: expects && version == Version::HTTP_11,
        }
    }

    /// The next piece. The first call tells a client that waits to go on.
    async fn frame(&mut self) -> Option<Result<Frame<Bytes>, axum::Error>> {
        self.waits = false;
        self.body.frame().await
    }
}

/// Reads `body` to its end, at most `max_body` bytes of it, in `body_timeout`. `is_known` says
/// whether its caller has shown a good key already.
pub(super) async fn read(
    shared: &Shared,
    headers: &HeaderMap,
    body: &mut Arriving,
    is_known: bool,
) -> Result<Packed, Rejection> {
    let layers = encoding::encodings(headers)?;
    let max_body = shared.settings.max_body;
    if declared(headers).is_some_and(|length| length > max_body as u64) {
        return Err(Rejection::Limited(Limit::MaxBody, None));
    }
    let expected = declared(headers).map_or(0, |length| length.min(EXPECTED_MAX) as usize);
    let reading = collect(shared, body, expected, is_known);
    let held = tokio::time::timeout(shared.settings.body_timeout, reading)
        .await
        .map_err(|_| Rejection::Limited(Limit::BodyTimeout, None))??;
    Ok(Packed { held, layers })
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
        !self.layers.is_empty() || self.held.bytes.len() >= plain
    }

    /// Waits for a turn to unpack it, if it is packed.
    pub(super) async fn turn<'s>(&self, shared: &'s Shared) -> Option<SemaphorePermit<'s>> {
        if self.layers.is_empty() {
            return None;
        }
        shared.unpackers.acquire().await.ok()
    }

    /// The body as it was meant, at most `max_body` bytes of it.
    pub(super) fn unpack(self, shared: &Shared) -> Result<Held, Rejection> {
        let Self { mut held, layers } = self;
        if !layers.is_empty() {
            let packed = std::mem::take(&mut held.bytes);
            let mut room = |bytes| held.grow(shared, bytes);
            let max_body = shared.settings.max_body;
            held.bytes = encoding::unpack(&packed, &layers, max_body, &mut room)?.into();
            held.reservation.shrink_to(held.bytes.len());
        }
        Ok(held)
    }
}

/// Reads what is left of a refused body and forgets it, for a while and up to `max_body`: a client
/// that is still writing when the connection closes would never see the answer. One that waits to be
/// told to go on has written nothing, and is told nothing.
pub(super) async fn drain(shared: &Shared, body: &mut Arriving) {
    if body.waits {
        return;
    }
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

/// `expected` is what to make room for at first.
async fn collect(
    shared: &Shared,
    body: &mut Arriving,
    expected: usize,
    is_known: bool,
) -> Result<Held, Rejection> {
    let mut held = Held {
        bytes: Bytes::new(),
        reservation: shared.admission.open(is_known),
    };
    // a body that comes in one piece is not copied
    let (mut first, mut joined) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::Body {
            code: codes::CUT_BODY,
            path: "",
            rule: "it ended before it was whole; send it again".to_owned(),
        })?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if first.len() + joined.len() + piece.len() > shared.settings.max_body {
            return Err(Rejection::Limited(Limit::MaxBody, None));
        }
        held.grow(shared, piece.len())?;
        if first.is_empty() && joined.is_empty() {
            first = piece;
        } else {
            if joined.is_empty() {
                joined.reserve(expected);
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&piece);
        }
    }
    held.bytes = if joined.is_empty() {
        first
    } else {
        joined.into()
    };
    Ok(held)
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
