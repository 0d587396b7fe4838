//! The pages that need no key: health, readiness, metrics, and where to go from there.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::gauges;
use super::reply::Reply;
use super::{Admin, Inner, READY, STOPPING, console};
use crate::journal::Health;
use crate::lanes::Lanes;
use crate::lanes::snapshot::LaneSnapshot;
use crate::pixel::PixelId;
use crate::test_mode::Entry;

/// Paths of the pages that need no key.
pub const OPEN: [&str; 4] = ["/", "/healthz", "/readyz", "/metrics"];

/// Why the gateway should get no traffic.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reason {
    /// The stable word.
    pub(super) code: &'static str,
    /// The bound that is reached, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<&'static str>,
    /// What to do.
    pub(super) advice: &'static str,
}

/// What does not make the gateway unready, and somebody should know.
#[derive(Clone, Debug, Serialize)]
struct Note {
    /// The stable word.
    code: &'static str,
    pixel: PixelId,
    /// The source whose events only it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// When it ends by itself, in milliseconds since 1970.
    until: Option<i64>,
    mirror: bool,
    /// What to do.
    advice: &'static str,
}

/// The body of `/readyz`.
#[derive(Clone, Debug, Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<Reason>,
    /// Lanes that wait for a person. They do not make the gateway unready: one bad pixel must not
    /// take the others down.
    held: Vec<LaneSnapshot>,
    notes: Vec<Note>,
}

pub(super) fn router(admin: &Admin) -> Router {
    let [start, health, ready, numbers] = OPEN;
    Router::new()
        .route(start, get(index))
        .route(health, get(healthz))
        .route(ready, get(readyz))
        .route(numbers, get(metrics))
        .with_state(admin.clone())
}

impl Inner {
    /// Why the gateway should get no traffic; nothing when it should.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut add = |code, limit, advice| {
            reasons.push(Reason {
                code,
                limit,
                advice,
            });
        };
        match self.stage.load(Ordering::Acquire) {
            READY => {}
            STOPPING => add(
                "stopping",
                None,
                "the gateway is stopping; send traffic elsewhere",
            ),
            _ => add("starting", None, "the gateway is starting; wait"),
        }
        match self.journal.health() {
            Health::Ok => {}
            Health::Full(limit) => add("journal_full", Some(limit.name()), full(limit.name())),
            Health::Poisoned => add(
                "journal_poisoned",
                None,
                "a write or sync of the journal failed: check the disk, then restart the gateway; what was acknowledged is on disk",
            ),
        }
        reasons
    }
}

impl Admin {
    /// The words of the reasons why the gateway should get no traffic.
    pub(super) fn unready(&self) -> impl Iterator<Item = &'static str> {
        self.0.reasons().into_iter().map(|reason| reason.code)
    }

    fn readiness(&self) -> Readiness {
        let reasons = self.0.reasons();
        let lanes = self.0.lanes.get().map(Lanes::snapshot).unwrap_or_default();
        let held = lanes
            .into_iter()
            .filter(|lane| lane.state == "held")
            .collect();
        Readiness {
            ready: reasons.is_empty(),
            reasons,
            held,
            notes: self.0.test_mode.active().into_iter().map(note).collect(),
        }
    }
}

/// This page needs no key, so the code itself is not on it.
fn note(entry: Entry) -> Note {
    Note {
        code: "test_mode",
        pixel: entry.pixel,
        source: entry.source,
        until: entry.until,
        mirror: entry.mirror,
        advice: "events go out with a test event code, and count as real ones all the same: end it with `capigate test-mode stop`, or `capigate go-live`",
    }
}

fn full(limit: &str) -> &'static str {
    match limit {
        "journal.disk" => {
            "the disk has no room for another segment: free some; taking events resumes by itself"
        }
        _ => {
            "events come faster than they go out: see held lanes and graph errors, or raise the limit"
        }
    }
}

async fn index(headers: HeaderMap) -> Response {
    if console::is_for_people(&headers) {
        return Redirect::to(console::HOME).into_response();
    }
    Json(serde_json::json!({
        "name": "capigate",
        "version": env!("CARGO_PKG_VERSION"),
        "pages": &OPEN[1..],
        "api": "/openapi.json",
        "console": console::HOME,
    }))
    .into_response()
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, Json<Readiness>) {
    let readiness = admin.readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

async fn metrics(State(admin): State<Admin>) -> axum::http::Response<axum::body::Body> {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    gauges::show(&admin);
    match admin.0.metrics.page() {
        Ok(page) => Reply::new(StatusCode::OK, kind, page),
        Err(_) => Reply::new(StatusCode::INTERNAL_SERVER_ERROR, kind, ""),
    }
    .into_response()
}
