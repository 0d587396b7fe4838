//! Alerts of a whole gateway: to a webhook, across a reload and a restart.

use capigate::alerts::{Alert, Severity};
use capigate::config::WebhookUrl;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Gateway, PIXEL};

/// A webhook that takes everything.
struct Hook(TcpListener);

impl Hook {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self) -> WebhookUrl {
        let addr = self.0.local_addr().unwrap();
        WebhookUrl::Plain(format!("http://{addr}/hook"))
    }

    /// Key of the next message, and whether it says that it is over.
    async fn next(&self) -> (String, bool) {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut request = Vec::new();
        let body: Value = loop {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            let text = String::from_utf8_lossy(&request);
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
            if let Some(Ok(body)) = body.map(|body| serde_json::from_str(&body)) {
                break body;
            }
        };
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let key = body["key"].as_str().unwrap().to_owned();
        (key, body["resolved"].as_bool().unwrap())
    }
}

fn raise(gateway: &Gateway, key: &str) {
    gateway.running().alerts().raise(Alert {
        key: key.to_owned(),
        severity: Severity::Warning,
        title: "a token expires in 7 days".to_owned(),
        text: "It was made 53 days ago.".to_owned(),
        next: "make a new one".to_owned(),
        pixels: vec![PIXEL.parse().unwrap()],
        token: Some("sha256:9817945f".to_owned()),
        at: gateway.clock.now(),
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_follow_a_reload_and_survive_a_restart() {
    let (first, second) = (Hook::new().await, Hook::new().await);
    let mut gateway = Gateway::with(|config| config.alerts.webhook_url = Some(first.url())).await;
    raise(&gateway, "a");
    assert_eq!(first.next().await, ("a".to_owned(), false));
    assert_eq!(gateway.metric("capigate_alerts_raised").await, 1);
    gateway
        .until("the answer is counted", async |gateway| {
            let page = gateway.page("/metrics").await.1;
            let line = "capigate_alerts_total{channel=\"webhook\",outcome=\"sent\"} 1\n";
            page.contains(line).then_some(())
        })
        .await;

    let report = gateway
        .reload(|config| config.alerts.webhook_url = Some(second.url()))
        .await
        .unwrap();
    assert_eq!(report.changed, ["alerts.webhook_url"]);
    raise(&gateway, "b");
    assert_eq!(second.next().await, ("b".to_owned(), false));

    gateway.down().await;
    gateway.up().await;
    for key in ["a", "b", "c"] {
        raise(&gateway, key);
    }
    assert_eq!(second.next().await, ("c".to_owned(), false));
    gateway.running().alerts().clear("a");
    assert_eq!(second.next().await, ("a".to_owned(), true));
    gateway.finish().await;
}
