//! The webhook: what it gets, and what its answers mean.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_post_is_signed_and_sent_to_the_address_only() {
    let (url, mut web) = server::web(|_| web_answer("200 OK", "ok")).await;
    let settings = Settings {
        webhook: Some(webhook::Settings {
            url: secret(&url),
            secret: Some(secret("whsec-canary")),
        }),
        ..settings()
    };
    alerts(settings, None).tested().await.unwrap();
    let request = web.recv().await.unwrap();
    let head = request.head.to_lowercase();
    assert!(
        head.starts_with("post /hook/canary-path-0123 http/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\ncontent-type: application/json"),
        "{head}"
    );
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("x-capigate-signature: t="));
    let (at, signature) = line.unwrap().split_once(",v1=").unwrap();
    assert_eq!(at, START.secs().to_string());
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"whsec-canary");
    let signed = format!("{at}.{}", request.raw);
    aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &hex::decode(signature).unwrap()).unwrap();
    assert_eq!(request.body["key"], "alerts:test");
    assert_eq!(request.body["instance"], "shop-eu");
    assert!(
        request.body["text"]
            .as_str()
            .unwrap()
            .contains("test alert")
    );
}

#[tokio::test]
async fn answers_are_quoted_without_the_address() {
    for (status, body, code, says) in [
        (
            "404 Not Found",
            "no_service\r\nat /hook/canary-path-0123",
            "status",
            "404: no_service at [redacted]",
        ),
        (
            "302 Found",
            "",
            "status",
            "302; it wants to send us elsewhere",
        ),
        ("500 Oops", "", "status", "500; its server has trouble"),
        ("nonsense", "", "broken", "does not speak the protocol"),
    ] {
        let (url, _web) = server::web(move |_| web_answer(status, body)).await;
        let settings = Settings {
            webhook: Some(hook(&url)),
            ..settings()
        };
        let error = alerts(settings, None).tested().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(says), "{shown}");
        assert!(!shown.contains("canary-path"), "{shown}");
    }
}

#[tokio::test]
async fn no_answer_is_a_plain_fault() {
    // a port that was free a moment ago
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}/canary-path", silent.local_addr().unwrap());
    for (url, code) in [
        (format!("http://{gone}/canary-path"), "connect"),
        (silent_url, "timeout"),
        ("ftp://canary-path.example/".to_owned(), "address"),
        ("canary-path".to_owned(), "address"),
    ] {
        let settings = Settings {
            webhook: Some(hook(&url)),
            timeout: Duration::from_millis(300),
            ..settings()
        };
        let error = alerts(settings, None).tested().await.unwrap_err();
        assert_eq!(error.code(), code, "{url}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_can_be_named() {
    for (roots, want) in [(vec![], Err("certificate")), (vec![certificate()], Ok(()))] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = Settings {
            webhook: Some(hook(&format!(
                "https://{}/",
                listener.local_addr().unwrap()
            ))),
            roots,
            ..settings()
        };
        let served = async {
            let (stream, _) = listener.accept().await.unwrap();
            // fails where the certificate is refused
            if let Ok(mut stream) = server::acceptor().accept(stream).await {
                server::read_request(&mut stream).await;
                let answer = web_answer("200 OK", "");
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        };
        let alerts = alerts(settings, None);
        let (came, ()) = tokio::join!(alerts.tested(), served);
        assert_eq!(came.map_err(|error| error.code()), want);
    }
}

#[tokio::test]
async fn a_busy_webhook_is_tried_again_and_a_closed_one_is_given_up() {
    let (url, mut web) = server::web(|n| match n {
        1 => web_answer("503 Busy", ""),
        2 => web_answer("200 OK", ""),
        _ => web_answer("410 Gone", ""),
    })
    .await;
    let alerts = alerts(
        Settings {
            webhook: Some(hook(&url)),
            ..settings()
        },
        None,
    );
    alerts.start();
    alerts.raise(alert("a"));
    alerts.raise(alert("b"));
    for key in ["a", "a", "b"] {
        assert_eq!(web.recv().await.unwrap().body["key"], key);
    }
    assert!(alerts.stop(Duration::from_secs(5)).await);
    assert_eq!(alerts.counted("webhook", "sent"), 1);
    assert_eq!(alerts.counted("webhook", "failed"), 1);
}
