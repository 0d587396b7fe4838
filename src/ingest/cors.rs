//! What browsers ask before they let a page post to another host, and read the answer.

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::Shared;
use super::answer::Rejection;

/// Seconds for which a browser may remember the answer to its question.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The `Origin` of a request; none when it is there more than once.
pub(super) fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(ORIGIN).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// The answer to the OPTIONS of a browser that asks whether a page may post; none when that is not
/// what is asked, or no source is for browsers. The pixel is not looked at: the page can read the answer about it.
pub(super) fn preflight(
    shared: &Shared,
    headers: &HeaderMap,
) -> Option<Result<Response<Body>, Rejection>> {
    let asks = headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || !shared.sources.has_pages() {
        return None;
    }
    if !origin(headers).is_some_and(|origin| shared.sources.allow(origin)) {
        return Some(Err(Rejection::ForbiddenOrigin));
    }
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let said = answer.headers_mut();
    said.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST"),
    );
    said.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("content-type"),
    );
    said.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Some(Ok(answer))
}

/// Lets the page that asked read the answer, if it is one of those that may post. With cookies,
/// since those of the site are wanted; the gateway itself has none that would open anything.
pub(super) fn let_read(shared: &Shared, headers: &HeaderMap, answer: &mut Response<Body>) {
    if !shared.sources.has_pages() {
        return;
    }
    let said = answer.headers_mut();
    said.append(VARY, HeaderValue::from_static("Origin"));
    let allowed = origin(headers).filter(|origin| shared.sources.allow(origin));
    let Some(origin) = allowed.and_then(|origin| HeaderValue::from_str(origin).ok()) else {
        return;
    };
    said.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    said.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    said.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("retry-after"),
    );
}
