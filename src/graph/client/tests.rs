//! The client against a server that says one thing.

use super::*;
use crate::graph::{Split, Throttle};
use crate::time::UnixMs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TOKEN: &str = "EAABtokencanary0123456789";
const APP_SECRET: &str = "appsecretcanary0123456789";

fn client(url: &str, clock: Clock) -> GraphClient {
    let settings = Settings {
        url: url.parse().unwrap(),
        version: "v26.0".to_owned(),
        timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(20),
        token_in: TokenIn::Header,
    };
    GraphClient::new(settings, clock).unwrap()
}

/// Sends two events, the second of them `event`, to a server that says `answer` and hangs up.
async fn send(event: &'static str, answer: String) -> Answer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\"}") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    let events = ["{}", event]
        .map(|event| EncodedEvent::from_record(bytes::Bytes::from_static(event.as_bytes())));
    let (token, app_secret) = (
        Secret::new(TOKEN.to_owned()),
        Secret::new(APP_SECRET.to_owned()),
    );
    // 1994-11-06T08:49:37Z
    let client = client(&url, Clock::manual(UnixMs::from_secs(784_111_777)));
    let pixel = "7".parse().unwrap();
    let sent = client.send(pixel, &token, Some(&app_secret), events.iter(), b"");
    let (answer, ()) = tokio::join!(sent, served);
    answer
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

#[test]
fn the_path_of_the_base_is_kept() {
    for (base, want) in [
        (
            "https://graph.facebook.com",
            "https://graph.facebook.com/v26.0/7/events",
        ),
        (
            "https://relay.example/meta/",
            "https://relay.example/meta/v26.0/7/events",
        ),
    ] {
        let endpoint = client(base, Clock::Real)
            .settings
            .endpoint("7".parse().unwrap());
        assert_eq!(endpoint.as_str(), want);
    }
}

#[tokio::test]
async fn headers_and_body_make_one_answer() {
    let headers =
        "retry-after: Sun, 06 Nov 1994 08:51:07 GMT\r\nX-APP-USAGE: {\"call_count\":77}\r\n";
    let body = r#"{"error":{"code":4,"message":"slow down","error_data":{"event_index":1}}}"#;
    let got = send("{}", answer("400 Bad Request", headers, body)).await;
    let throttle = Throttle {
        scope: Scope::App,
        wait: Some(Duration::from_secs(90)),
        floor: 1,
    };
    assert_eq!(got.verdict, Verdict::Throttled(throttle));
    assert!((got.usage.worst(Scope::App).unwrap().percent - 77.0).abs() < 1e-9);
    let error = got.error.unwrap();
    assert_eq!(error.index, Some(1));
    assert_eq!(error.message.unwrap().as_str(), "slow down");

    let got = send("{}", answer("200 OK", "", r#"{"events_received":2}"#)).await;
    assert_eq!(got.verdict, Verdict::Delivered { received: 2 });
    assert_eq!(got.usage, Usage::default());

    let cut = answer("200 OK", "", r#"{"events_received":2}"#).replace("21", "22");
    let got = send("{}", cut).await;
    assert_eq!(got.verdict, Verdict::Transient(Transient::Broken, None));

    let got = send("{}", answer("503 Busy", "retry-after: 9\r\n", "<html>")).await;
    let nine = Some(Duration::from_secs(9));
    assert_eq!(got.verdict, Verdict::Transient(Transient::Server, nine));
}

#[tokio::test]
async fn no_secret_comes_back_in_an_answer() {
    let proof = payload::proof(
        &Secret::new(APP_SECRET.to_owned()),
        &Secret::new(TOKEN.to_owned()),
    );
    for secret in [TOKEN, APP_SECRET, &proof] {
        let body = format!(
            r#"{{"error":{{"code":100,"message":"m {secret}","error_user_title":"t {secret}","error_data":"{secret}","fbtrace_id":"{secret}"}}}}"#
        );
        let got = send("{}", answer("400 Bad Request", "", &body)).await;
        assert_eq!(got.verdict, Verdict::Split(Split::Refused));
        let shown = format!("{got:?}");
        assert!(shown.contains("m [redacted]"), "{shown}");
        assert!(shown.contains("t [redacted]"), "{shown}");
        assert!(!shown.contains(&secret[4..]), "{shown}");
    }
}

#[tokio::test]
async fn what_an_event_may_have_put_there_is_not_believed() {
    let body =
        r#"{"error":{"code":100,"message":"bad appsecret_proof","error_data":{"event_index":2}}}"#;
    let held = Verdict::Hold(Hold {
        scope: Scope::Token,
        cause: Cause::App,
    });
    for (event, want) in [
        (r#"{"event_name":"Lead"}"#, held),
        (
            r#"{"event_name":"appsecret_proof"}"#,
            Verdict::Split(Split::Refused),
        ),
        (
            r#"{"appsecret\u005fproof":"Lead"}"#,
            Verdict::Split(Split::Refused),
        ),
    ] {
        let got = send(event, answer("400 Bad Request", "", body)).await;
        assert_eq!(got.verdict, want, "{event}");
        // two events were sent
        assert_eq!(got.error.unwrap().index, None, "{event}");
    }
}
