//! Several requests in one: each is judged as if it had come alone, and has its own answer.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response};
use futures_util::future::join_all;
use http_body_util::{BodyExt, Collected};
use serde::Serialize;

use super::answer::{Accepted, Rejection};
use super::body::Arriving;
use super::caller::Caller;
use super::events::Checked;
use super::request::{self, Operation, parse_batch};
use super::{Shared, router, take};
use crate::pixel::PixelId;
use crate::secret::KeyDigest;

/// The answers to the operations of a batch, in order.
pub(super) struct Answers {
    pub(super) results: Vec<Result<Accepted, Rejection>>,
    pub(super) include_headers: bool,
}

/// Takes a batch: what is wrong with an operation is its answer, and hurts no other.
pub(super) async fn take(
    shared: &Shared,
    head: &Parts,
    body: &mut Arriving,
) -> Result<Answers, Rejection> {
    let caller = Caller::of(head);
    if let Some(key) = caller.key {
        known(shared, key)?;
    }
    let read = |query: &request::Members<'_>, body: &request::Members<'_>| {
        let batch = parse_batch(query, body)?;
        let key = caller.key.or_else(|| batch.key.map(KeyDigest::of));
        if let Some(key) = key {
            known(shared, key)?;
        }
        let one = |operation| check(shared, &caller, key, operation);
        let checked: Vec<_> = batch.operations.into_iter().map(one).collect();
        Ok::<_, Rejection>((checked, batch.include_headers))
    };
    let (read, reservation) = take::work(shared, &caller, head, body, read).await?;
    let (checked, include_headers) = read?;
    let reservation = Arc::new(reservation);
    // all in one group commit, if they can be
    let kept = checked.into_iter().map(async |checked| {
        let (pixel, checked) = checked?;
        take::keep(shared, pixel, checked, Arc::clone(&reservation)).await
    });
    Ok(Answers {
        results: join_all(kept).await,
        include_headers,
    })
}

/// Graph, too, refuses a whole batch for its own bad token.
fn known(shared: &Shared, key: KeyDigest) -> Result<(), Rejection> {
    match shared.sources.find(key) {
        Some(_) => Ok(()),
        None => Err(Rejection::Unauthorized { shown: true }),
    }
}

fn check(
    shared: &Shared,
    caller: &Caller<'_>,
    key: Option<KeyDigest>,
    operation: Result<Operation<'_>, Rejection>,
) -> Result<(PixelId, Checked), Rejection> {
    let operation = operation?;
    let pixel = router::pixel(operation.path())?;
    let max_events = shared.settings.max_events;
    // its own goes before that of the batch
    let of = |own: Option<&str>| {
        let own = own.or(operation.key.as_deref());
        own.map(KeyDigest::of).or(key)
    };
    let unread = |own, rejection: &Rejection| {
        take::unread(shared, pixel, caller, of(own), rejection);
    };
    let query = operation.query(max_events);
    let query = query.inspect_err(|rejection| unread(None, rejection))?;
    let body = operation.members(max_events);
    let body = body.inspect_err(|rejection| unread(query.key(), rejection))?;
    let parsed = request::read(&query, &body, max_events);
    let parsed = parsed.inspect_err(|rejection| unread(query.key().or(body.key()), rejection))?;
    let key = of(parsed.key);
    Ok((pixel, take::check_all(shared, pixel, caller, key, parsed)?))
}

#[derive(Serialize)]
struct Item {
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<Header>>,
    body: String,
}

#[derive(Serialize)]
struct Header {
    name: String,
    value: String,
}

/// The answer to the whole batch, from the answers to its operations.
pub(super) async fn join(
    answers: impl IntoIterator<Item = Response<Body>>,
    include_headers: bool,
) -> Response<Body> {
    let mut items = Vec::new();
    for answer in answers {
        let (head, body) = answer.into_parts();
        // it is in memory as a whole
        let body = body.collect().await.map(Collected::to_bytes);
        items.push(Item {
            code: head.status.as_u16(),
            headers: include_headers.then(|| headers(&head.headers)),
            body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
        });
    }
    let mut response = Response::new(Body::from(serde_json::to_vec(&items).unwrap_or_default()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn headers(headers: &HeaderMap) -> Vec<Header> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| Header {
        name: name.as_str().to_owned(),
        value: value.to_str().unwrap_or_default().to_owned(),
    };
    headers.iter().map(header).collect()
}
