//! The admin listener: `/healthz`, `/readyz` with reasons, `/metrics`.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::journal::{Health, Journal};
use crate::lanes::Lanes;
use crate::lanes::snapshot::LaneSnapshot;
use crate::telemetry::metrics::Metrics;

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

/// What the admin pages show. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    journal: Journal,
    lanes: OnceLock<Lanes>,
    stage: AtomicU8,
}

/// Why the gateway should get no traffic.
#[derive(Clone, Debug, Serialize)]
struct Reason {
    /// The stable word.
    code: &'static str,
    /// The bound that is reached, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
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
}

impl Admin {
    /// The pages of a gateway that is starting.
    pub fn new(metrics: Metrics, journal: Journal) -> Self {
        Self(Arc::new(Inner {
            metrics,
            journal,
            lanes: OnceLock::new(),
            stage: AtomicU8::new(STARTING),
        }))
    }

    /// Lanes run from now on.
    pub fn show_lanes(&self, lanes: Lanes) {
        // set once, at start
        let _ = self.0.lanes.set(lanes);
    }

    /// The front door is open.
    pub fn ready(&self) {
        self.0.stage.store(READY, Ordering::Release);
    }

    /// The front door is about to close.
    pub fn stopping(&self) {
        self.0.stage.store(STOPPING, Ordering::Release);
    }

    /// The routes of the admin listener.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(index))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }

    fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        let mut add = |code, limit, advice| {
            reasons.push(Reason {
                code,
                limit,
                advice,
            });
        };
        match self.0.stage.load(Ordering::Acquire) {
            READY => {}
            STOPPING => add(
                "stopping",
                None,
                "the gateway is stopping; send traffic elsewhere",
            ),
            _ => add("starting", None, "the gateway is starting; wait"),
        }
        match self.0.journal.health() {
            Health::Ok => {}
            Health::Full(limit) => add("journal_full", Some(limit.name()), full(limit.name())),
            Health::Poisoned => add(
                "journal_poisoned",
                None,
                "a write or sync of the journal failed: check the disk, then restart the gateway; what was acknowledged is on disk",
            ),
        }
        let lanes = self.0.lanes.get().map(Lanes::snapshot).unwrap_or_default();
        let held = lanes
            .into_iter()
            .filter(|lane| lane.state == "held")
            .collect();
        Readiness {
            ready: reasons.is_empty(),
            reasons,
            held,
        }
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

async fn index() -> impl IntoResponse {
    Json(serde_json::json!({
        "name": "capigate",
        "version": env!("CARGO_PKG_VERSION"),
        "pages": ["/healthz", "/readyz", "/metrics"],
    }))
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let readiness = admin.readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

async fn metrics(
    State(admin): State<Admin>,
) -> Result<([(HeaderName, &'static str); 1], String), StatusCode> {
    let page = admin
        .0
        .metrics
        .page()
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok((
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        page,
    ))
}
