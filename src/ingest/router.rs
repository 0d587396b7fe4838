//! The routes, and the way of one request through them.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Request, Response};
use axum::routing::post;
use tokio::time::Instant;

use super::answer::{Accepted, Limit, Rejection};
use super::{Ingest, body, cors, take};
use crate::codes;
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;

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
    let shared = ingest.shared();
    let (method, headers) = (request.method(), request.headers());
    match cors::preflight(&shared, method, headers) {
        Some(Ok(mut answer)) => {
            cors::let_read(&shared, headers, &mut answer);
            return answer;
        }
        Some(Err(rejection)) => return ingest.answer(Err(rejection), request).await,
        None => {}
    }
    ingest.answer(Err(Rejection::Method), request).await
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

impl Ingest {
    async fn answer(
        &self,
        pixel: Result<PixelId, Rejection>,
        request: Request<Body>,
    ) -> Response<Body> {
        let started = Instant::now();
        let trace = uuid::Uuid::new_v4().simple().to_string();
        let (head, mut body) = request.into_parts();
        let shared = self.shared();
        let result = match pixel {
            Ok(pixel) => take::take(&shared, pixel, &head, &mut body).await,
            Err(rejection) => Err(rejection),
        };
        if result.is_err() {
            body::drain(&shared, &mut body).await;
        }
        count(&shared.metrics, &result, &trace, started.elapsed());
        let mut answer = match result {
            Ok(accepted) => accepted.into_response(&trace),
            Err(rejection) => rejection.into_response(&trace),
        };
        cors::let_read(&shared, &head.headers, &mut answer);
        answer
    }
}

fn count(metrics: &Metrics, result: &Result<Accepted, Rejection>, trace: &str, took: Duration) {
    let duration_ms = took.as_millis() as u64;
    metrics.request_seconds.observe(took.as_secs_f64());
    let (code, faults) = match result {
        Ok(accepted) => {
            for (_, warning) in &accepted.warnings {
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
                Rejection::Events(faults) => (code, faults.as_slice()),
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
