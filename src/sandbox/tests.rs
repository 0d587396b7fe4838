//! The sandbox over the wire, as a sender and as the one who writes its script.

mod any_event;
mod control;
mod faults;
mod requests;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::samples::{NOW, with_id};
use super::*;

const TOKEN: &str = "made-up-token";
const PIXEL: u64 = 1_234_567_890_123_456;

fn pixel(id: u64) -> PixelId {
    PixelId::from_u64(id).unwrap()
}

/// A sandbox with one token for every pixel, and a client that speaks to it.
struct Rig {
    sandbox: Sandbox,
    client: Client,
    clock: Clock,
}

impl Rig {
    async fn start() -> Self {
        Self::with(SandboxSettings::default()).await
    }

    async fn with(mut settings: SandboxSettings) -> Self {
        settings.listen.set_port(0);
        if settings.tokens.is_empty() {
            settings.tokens = vec![SandboxToken::new("any", TOKEN)];
        }
        let clock = Clock::manual(NOW);
        let sandbox = Sandbox::start(settings, clock.clone()).await.unwrap();
        Self {
            sandbox,
            client: Client::new(),
            clock,
        }
    }

    fn edge(&self, id: u64) -> RequestBuilder {
        let url = format!("{}/v26.0/{id}/events", self.sandbox.url());
        self.client.post(url).timeout(Duration::from_secs(20))
    }

    async fn post(&self, events: &[Value]) -> Response {
        self.post_to(PIXEL, events).await.unwrap()
    }

    async fn post_to(&self, id: u64, events: &[Value]) -> reqwest::Result<Response> {
        let body = json!({ "data": events });
        self.edge(id).bearer_auth(TOKEN).json(&body).send().await
    }

    /// The last batch of the ledger.
    fn last(&self) -> BatchRecord {
        self.sandbox.ledger().batches.pop().unwrap()
    }

    fn violations(&self) -> Vec<(&'static str, String)> {
        let seen = self.sandbox.violations();
        seen.into_iter().map(|v| (v.kind, v.path)).collect()
    }
}

/// HTTP status, code and subcode of a refusal.
async fn refusal(response: Response) -> (u16, Option<i64>, Option<i64>) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert!(error["fbtrace_id"].is_string(), "{body}");
    (
        status,
        error["code"].as_i64(),
        error["error_subcode"].as_i64(),
    )
}

async fn received(response: Response) -> Option<u64> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[NOT_META], "not Meta");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["messages"], json!([]));
    body["events_received"].as_u64()
}

fn ids(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| with_id(name)).collect()
}
