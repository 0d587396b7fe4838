//! What pages load: a style, a script and a picture, all of our own.

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::routing::get;

use super::shell::guarded;

/// Path, type and text of each.
const ASSETS: &[(&str, &str, &str)] = &[
    (
        "/console/assets/console.css",
        "text/css; charset=utf-8",
        include_str!("assets/console.css"),
    ),
    (
        "/console/assets/console.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/console.js"),
    ),
    (
        "/console/assets/icon.svg",
        "image/svg+xml",
        include_str!("assets/icon.svg"),
    ),
];

/// Open to everyone: there is nothing of the gateway's in them.
pub(super) fn router() -> Router {
    ASSETS
        .iter()
        .fold(Router::new(), |router, (path, kind, text)| {
            let tag = format!("\"{:08x}\"", crc32fast::hash(text.as_bytes()));
            let answer = async move |headers: HeaderMap| {
                let is_known = headers
                    .get(IF_NONE_MATCH)
                    .is_some_and(|known| known.as_bytes() == tag.as_bytes());
                let mut response = Response::new(Body::from(if is_known { "" } else { *text }));
                if is_known {
                    *response.status_mut() = StatusCode::NOT_MODIFIED;
                }
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                guarded(headers);
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                if let Ok(tag) = HeaderValue::from_str(&tag) {
                    headers.insert(ETAG, tag);
                }
                response
            };
            router.route(path, get(answer))
        })
}
