//! The routes, and the way of one request through them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::ALLOW;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode};
use tokio::time::Instant;
use tower_service::Service;
use tracing::Span;
use tracing::field::Empty;

use super::answer::{Accepted, Limit, METHODS, Rejection};
use super::body::Arriving;
use super::{Ingest, Shared, batch, body, cors, take};
use crate::codes;
use crate::pixel::PixelId;
use crate::telemetry::SPANS;
use crate::telemetry::metrics::Metrics;

/// The front door has routes of its own, without a table to look them up in.
impl Service<Request<Body>> for Ingest {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = self.shared();
        Box::pin(async move { Ok(answer(&shared, request).await) })
    }
}

impl Ingest {
    /// Takes a JSON body as if the source of this name had posted it, for who runs the gateway and
    /// has no key of the source's. The answer is that of the front door.
    pub async fn post_as(&self, source: &str, pixel: PixelId, body: &[u8]) -> Response<Body> {
        let (started, shared) = (Instant::now(), self.shared());
        let span = span();
        let taken = take::take_as(&shared, source, pixel, body).await;
        finish(&shared.metrics, &span, taken, started.elapsed())
    }
}

/// What a path is for. One slash at its end changes nothing.
enum Target {
    Events(PixelId),
    Batch,
}

impl Target {
    fn of(path: &str) -> Result<Self, Rejection> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let is_batch = |path| matches!(path, "" | "me") || is_version(path);
        if is_batch(path.strip_suffix('/').unwrap_or(path)) {
            return Ok(Self::Batch);
        }
        let (first, rest) = path.split_once('/').ok_or(Rejection::NoRoute)?;
        if first != "capi" && !is_version(first) {
            return Err(Rejection::NoRoute);
        }
        of_pixel(rest).map(Self::Events)
    }
}

/// The pixel of an operation's path; a batch's client may have named the version for all of them.
pub(super) fn pixel(path: &str) -> Result<PixelId, Rejection> {
    match path.split_once('/') {
        Some((version, rest)) if is_version(version) => of_pixel(rest),
        _ => of_pixel(path),
    }
}

/// `{pixel_id}/events`.
fn of_pixel(path: &str) -> Result<PixelId, Rejection> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.split_once('/') {
        Some((pixel, "events")) => pixel.parse().map_err(|_| bad_pixel()),
        _ => Err(Rejection::NoRoute),
    }
}

async fn answer(shared: &Shared, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = Arriving::new(head.version, &head.headers, body);
    let mut answer = answer_to(shared, &head, body).await;
    cors::let_read(shared, &head.headers, &mut answer);
    answer
}

async fn answer_to(shared: &Shared, head: &Parts, mut body: Arriving) -> Response<Body> {
    let started = Instant::now();
    let span = span();
    let result = match (Target::of(head.uri.path()), &head.method) {
        (Err(rejection), _) => Err(rejection),
        (Ok(_), &Method::OPTIONS) => match cors::preflight(shared, &head.headers) {
            Some(Ok(answer)) => return answer,
            Some(Err(rejection)) => Err(rejection),
            None => return options(),
        },
        (Ok(Target::Events(pixel)), &Method::POST) => {
            let taken = take::take(shared, pixel, head, &mut body).await;
            taken.map(|accepted| (vec![Ok(accepted)], None))
        }
        (Ok(Target::Batch), &Method::POST) => {
            let taken = batch::take(shared, head, &mut body).await;
            taken.map(|answers| (answers.results, Some(answers.include_headers)))
        }
        _ => Err(Rejection::Method),
    };
    if result.is_err() {
        body::drain(shared, &mut body).await;
    }
    let (results, batch) = result.unwrap_or_else(|rejection| (vec![Err(rejection)], None));
    let mut answers = results
        .into_iter()
        .map(|result| finish(&shared.metrics, &span, result, started.elapsed()));
    match (batch, answers.next()) {
        (None, Some(answer)) => answer,
        (include_headers, first) => {
            let answers = first.into_iter().chain(answers);
            batch::join(answers, include_headers.unwrap_or(true)).await
        }
    }
}

/// What may be done with a path of ours.
fn options() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(ALLOW, METHODS);
    answer
}

/// What a request takes, for a collector of traces.
fn span() -> Span {
    tracing::info_span!(
        target: SPANS,
        "request",
        otel.kind = "server",
        request.trace_id = Empty,
        code = Empty,
    )
}

/// Counts a result, and makes the answer of it. Of several, the span has the last.
fn finish(
    metrics: &Metrics,
    span: &Span,
    result: Result<Accepted, Rejection>,
    took: Duration,
) -> Response<Body> {
    // to find it in a log, not to keep it from being guessed
    let trace = format!("{:032x}", fastrand::u128(..));
    count(metrics, &result, &trace, took);
    span.record("request.trace_id", trace.as_str());
    span.record("code", word(&result));
    match result {
        Ok(accepted) => accepted.into_response(&trace),
        Err(rejection) => rejection.into_response(&trace),
    }
}

fn bad_pixel() -> Rejection {
    Rejection::Body {
        code: codes::BAD_PIXEL,
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

/// `ok`, or why the request was refused.
fn word(result: &Result<Accepted, Rejection>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(rejection) => rejection.code().word(),
    }
}

fn count(metrics: &Metrics, result: &Result<Accepted, Rejection>, trace: &str, took: Duration) {
    let duration_ms = took.as_millis() as u64;
    metrics.request_seconds.observe(took.as_secs_f64());
    let (code, faults) = match result {
        Ok(accepted) => {
            let of_events = accepted.warnings.iter().map(|(_, warning)| warning);
            for warning in of_events.chain(&accepted.request_warnings) {
                metrics
                    .warnings
                    .with_label_values(&[warning.code.word()])
                    .inc();
            }
            if accepted.unknown_members {
                let word = codes::UNKNOWN_MEMBER.word();
                metrics.warnings.with_label_values(&[word]).inc();
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
                metrics.limited.with_label_values(&[limit.name()]).inc();
            }
            let (status, code) = (rejection.status(), rejection.code().word());
            let limit = rejection.limit().map(Limit::name);
            if status >= 500 {
                tracing::warn!(
                    request.trace_id = trace,
                    status,
                    code,
                    limit,
                    duration_ms,
                    "request refused"
                );
            } else {
                // a caller's fault, which anyone on the network can repeat at will
                tracing::debug!(
                    request.trace_id = trace,
                    status,
                    code,
                    limit,
                    duration_ms,
                    "request refused"
                );
            }
            match rejection {
                Rejection::Events { faults, .. } => (code, faults.as_slice()),
                _ => (code, &[][..]),
            }
        }
    };
    metrics.requests.with_label_values(&[code]).inc();
    for fault in faults {
        metrics
            .rejected
            .with_label_values(&[fault.error.code().word()])
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_their_targets() {
        let of = |path| match Target::of(path) {
            Ok(Target::Events(pixel)) => pixel.to_string(),
            Ok(Target::Batch) => "batch".to_owned(),
            Err(rejection) => rejection.code().to_string(),
        };
        for (path, target) in [
            ("/", "batch"),
            ("", "batch"),
            ("/me", "batch"),
            ("/v26.0", "batch"),
            ("/v26.0/", "batch"),
            ("/v26.0/7/events", "7"),
            ("/v26.0/7/events/", "7"),
            ("/capi/7/events", "7"),
            ("/v26.0/7x/events", "bad_pixel"),
            ("/capi", "no_route"),
            ("/26.0", "no_route"),
            ("/v26.0//events", "bad_pixel"),
            ("/v26.0/7", "no_route"),
            ("/v26.0/7/events/x", "no_route"),
            ("/v26.0/7/events//", "no_route"),
            ("/7/events", "no_route"),
            ("*", "no_route"),
        ] {
            assert_eq!(of(path), target, "{path}");
        }
        for (path, expected) in [
            ("7/events", Some(7)),
            ("v26.0/7/events", Some(7)),
            ("v26.0/7/events/", Some(7)),
            ("7/insights", None),
            ("me", None),
            ("https://graph.example/v26.0/7/events", None),
        ] {
            assert_eq!(
                pixel(path).ok(),
                expected.and_then(PixelId::from_u64),
                "{path}"
            );
        }
    }

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
