//! Traces and logs for a collector: the real program before one that takes them, and before one that
//! does not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use capigate::sandbox::{Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::json;

use crate::harness::purchases;
use crate::support::Site;

/// What a collector was sent: paths and bodies.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A collector that takes everything; its address.
async fn collector(seen: Seen) -> String {
    let take = async |State(seen): State<Seen>, uri: Uri, body: Bytes| {
        let all = (uri.path().to_owned(), body.to_vec());
        seen.lock().unwrap().push(all);
    };
    let router = Router::new().fallback(take).with_state(seen);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            let server =
                hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            tokio::spawn(async move { server.serve_connection(io, service).await.map_err(drop) });
        }
    });
    format!("http://{address}")
}

/// Posts three events, waits until Graph has them, and ends the program; gives its log.
async fn run(otlp_url: &str) -> String {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    site.env = vec![("TELEMETRY__OTLP_URL", otlp_url.to_owned())];
    let mut process = site.start(None, "info").unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let http = http.build().unwrap();
    for key in [site.key.as_str(), "a-wrong-key"] {
        let request = http.post(process.events_url()).bearer_auth(key);
        let body = json!({"data": purchases("canary", 3)});
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status() == 200, key == site.key);
    }
    let delivered = sandbox.accepted_at_least(3);
    let delivered = tokio::time::timeout(Duration::from_secs(20), delivered).await;
    assert!(delivered.is_ok(), "not delivered");
    // no collector may keep it from its end, nor what it says from being said
    let (code, log) =
        tokio::task::spawn_blocking(move || (process.terminate(), process.whole_log()))
            .await
            .unwrap();
    assert_eq!(code, 0, "{log}");
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_spans_and_lines_and_nothing_secret() {
    let seen = Seen::default();
    let url = collector(Arc::clone(&seen)).await;
    let log = run(&url).await;
    assert!(!log.contains("the collector takes no traces"), "{log}");
    let seen = seen.lock().unwrap();
    let of = |path: &str| -> Vec<u8> {
        let bodies = seen.iter().filter(|(to, _)| to == path);
        bodies.flat_map(|(_, body)| body.clone()).collect()
    };
    let (traces, logs) = (of("/v1/traces"), of("/v1/logs"));
    let has = |body: &[u8], text: &str| {
        let mut windows = body.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    };
    for text in [
        "capigate",
        "request",
        "batch",
        "unauthorized",
        "delivered",
        crate::support::PIXEL,
    ] {
        assert!(has(&traces, text), "no {text} in the traces");
    }
    for text in ["gateway is ready", "batch delivered", "service.version"] {
        assert!(has(&logs, text), "no {text} in the logs");
    }
    for body in [traces, logs] {
        for text in [
            "@example.com",
            "@Example.com",
            "sandbox-token",
            "the-ingest-key",
            "a-wrong-key",
        ] {
            assert!(!has(&body, text), "{text} was sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_or_never_answers_costs_no_event() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    // nothing listens on port 1
    for url in ["http://127.0.0.1:1", silent.as_str()] {
        let log = run(url).await;
        let told = log
            .matches("the collector takes no traces and logs")
            .count();
        // the other may not have been given up yet
        assert!(told == 1 || (told == 0 && url == silent), "{url}: {log}");
    }
}
