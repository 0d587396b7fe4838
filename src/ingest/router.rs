//! The routes, and the way of one request through them.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Request, Response};
use axum::routing::post;
use tokio::time::Instant;

use super::answer::{Accepted, Limit, Rejection};
use super::auth::{KeyDigest, Source};
use super::events::{Checked, check};
use super::{Ingest, Shared, body, request};
use crate::pixel::PixelId;

/// Bodies from this size on are hashed on the blocking pool: at some 10 µs an event, a large
/// request would otherwise keep other requests of its worker waiting.
const HASH_APART: usize = 128 * 1024;

type Versioned = Result<Path<(String, String)>, PathRejection>;
type Unversioned = Result<Path<String>, PathRejection>;

impl Ingest {
    /// The routes of the front door.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/capi/{pixel_id}/events", post(capi))
            .route("/{version}/{pixel_id}/events", post(graph))
            .fallback(no_route)
            .method_not_allowed_fallback(method)
            .with_state(self.clone())
    }
}

async fn graph(
    State(ingest): State<Ingest>,
    path: Versioned,
    request: Request<Body>,
) -> Response<Body> {
    let pixel = match &path {
        Ok(Path((version, pixel))) if is_version(version) => pixel.parse().map_err(|_| bad_pixel()),
        _ => Err(Rejection::NoRoute),
    };
    ingest.answer(pixel, request).await
}

async fn capi(
    State(ingest): State<Ingest>,
    path: Unversioned,
    request: Request<Body>,
) -> Response<Body> {
    let pixel = match &path {
        Ok(Path(pixel)) => pixel.parse().map_err(|_| bad_pixel()),
        Err(_) => Err(Rejection::NoRoute),
    };
    ingest.answer(pixel, request).await
}

async fn no_route(State(ingest): State<Ingest>, request: Request<Body>) -> Response<Body> {
    ingest.answer(Err(Rejection::NoRoute), request).await
}

async fn method(State(ingest): State<Ingest>, request: Request<Body>) -> Response<Body> {
    ingest.answer(Err(Rejection::Method), request).await
}

fn bad_pixel() -> Rejection {
    Rejection::Body {
        code: "bad_pixel",
        path: "pixel_id",
        rule: "a pixel id in the path is 1 to 20 decimal digits, such as /v26.0/1234567890123456/events".to_owned(),
    }
}

/// `v` and two numbers, as Graph writes versions. Which one the caller names does not matter:
/// the gateway talks to Graph in the version of its own config.
fn is_version(text: &str) -> bool {
    let digits = |part: &str, most| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    text.strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| digits(major, 3) && digits(minor, 2))
}

impl Ingest {
    async fn answer(
        &self,
        pixel: Result<PixelId, Rejection>,
        request: Request<Body>,
    ) -> Response<Body> {
        let started = Instant::now();
        let trace = uuid::Uuid::new_v4().simple().to_string();
        let (head, mut body) = request.into_parts();
        let result = match pixel {
            Ok(pixel) => take(&self.0, pixel, &head, &mut body).await,
            Err(rejection) => Err(rejection),
        };
        if result.is_err() {
            body::drain(&self.0, &mut body).await;
        }
        self.count(&result, &trace, started.elapsed());
        match result {
            Ok(accepted) => accepted.into_response(&trace),
            Err(rejection) => rejection.into_response(&trace),
        }
    }

    fn count(&self, result: &Result<Accepted, Rejection>, trace: &str, took: Duration) {
        let metrics = &self.0.metrics;
        let duration_ms = took.as_millis() as u64;
        metrics.request_seconds.observe(took.as_secs_f64());
        let (code, faults) = match result {
            Ok(accepted) => {
                for (_, warning) in &accepted.warnings {
                    metrics.warnings.with_label_values(&[warning.code]).inc();
                }
                tracing::debug!(
                    request.trace_id = trace,
                    request.events = accepted.events,
                    duration_ms,
                    "events accepted"
                );
                ("ok", accepted.faults.as_slice())
            }
            Err(rejection) => {
                if let Some(limit) = rejection.limit() {
                    metrics.refused.with_label_values(&[limit.name()]).inc();
                }
                tracing::info!(
                    request.trace_id = trace,
                    status = rejection.status(),
                    code = rejection.code(),
                    limit = rejection.limit().map(Limit::name),
                    duration_ms,
                    "request refused"
                );
                match rejection {
                    Rejection::Events(faults) => (rejection.code(), faults.as_slice()),
                    _ => (rejection.code(), &[][..]),
                }
            }
        };
        metrics.requests.with_label_values(&[code]).inc();
        for fault in faults {
            metrics
                .rejected
                .with_label_values(&[fault.error.code()])
                .inc();
        }
    }
}

/// One request, from its head to the group commit that holds its events.
async fn take(
    shared: &Shared,
    pixel: PixelId,
    head: &Parts,
    body: &mut Body,
) -> Result<Accepted, Rejection> {
    let early = early_key(head);
    if let Some(key) = early {
        // a wrong key is answered before its body is read
        authorise(shared, Some(key), pixel)?;
    }
    let held = body::read(shared, &head.headers, body).await?;
    let parsed = request::parse(&held.bytes, shared.settings.max_events)?;
    let key = early.or_else(|| parsed.key.as_deref().map(KeyDigest::of));
    let source = authorise(shared, key, pixel)?;
    source
        .admit(parsed.events.len())
        .map_err(|seconds| Rejection::Limited(Limit::Rate, Some(seconds)))?;

    let mut options = parsed.options.clone();
    if options.test_event_code.is_none() {
        options.test_event_code = shared.sources.test_event_code(pixel).map(str::to_owned);
    }
    let now = shared.clock.now();
    let hash = || check(&parsed.events, pixel, options, &source.rules, now);
    let checked = if held.bytes.len() >= HASH_APART {
        apart(hash)
    } else {
        hash()
    };
    keep(shared, source, pixel, checked).await
}

/// Makes the good events durable, or refuses the request.
async fn keep(
    shared: &Shared,
    source: &Source,
    pixel: PixelId,
    checked: Checked,
) -> Result<Accepted, Rejection> {
    let Checked {
        envelopes,
        warnings,
        faults,
    } = checked;
    let refuse_all = envelopes.is_empty() || (source.strict && !faults.is_empty());
    if refuse_all {
        return Err(Rejection::Events(faults));
    }
    let events = envelopes.len();
    shared.journal.append(envelopes).await?;
    let pixel = pixel.to_string();
    shared
        .metrics
        .accepted
        .with_label_values(&[pixel.as_str()])
        .inc_by(events as u64);
    Ok(Accepted {
        events,
        warnings,
        faults,
    })
}

fn authorise(
    shared: &Shared,
    key: Option<KeyDigest>,
    pixel: PixelId,
) -> Result<&Source, Rejection> {
    let key = key.ok_or(Rejection::Unauthorized { shown: false })?;
    let source = shared
        .sources
        .find(key)
        .ok_or(Rejection::Unauthorized { shown: true })?;
    if !shared.sources.knows(pixel) {
        return Err(Rejection::UnknownPixel);
    }
    if !source.pixels.contains(&pixel) {
        return Err(Rejection::Forbidden);
    }
    Ok(source)
}

/// The key from the header or the query, where it can be seen before the body is read.
fn early_key(head: &Parts) -> Option<KeyDigest> {
    let header = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some((scheme, key)) = header.and_then(|value| value.split_once(' '))
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(KeyDigest::of(key.trim()));
    }
    let query = head.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "access_token")
        .map(|(_, key)| KeyDigest::of(&key))
}

/// Runs long work so that the other tasks of this worker move on.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    if flavor == tokio::runtime::RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_look_like_graphs() {
        for good in ["v26.0", "v1.0", "v999.99"] {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "26.0", "v26", "v.0", "v26.", "v1000.0", "v26.000", "capi", "v2a.0", "V26.0", "",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
