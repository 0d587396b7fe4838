//! The front door: what is taken, what is refused, and in which words.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{FOREIGN, Gateway, KEY, OTHER, PIXEL, purchase, purchases};

/// The stable word of a refusal.
fn code(body: &Value) -> &str {
    body["error"]["error_data"]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code in {body}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_event_is_hashed_and_delivered_once() {
    let gateway = Gateway::start().await;
    let answer = gateway.post(vec![purchase("a")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["events_received"], 1);
    assert!(
        answer.body["fbtrace_id"]
            .as_str()
            .is_some_and(|id| id.len() == 32)
    );
    gateway.delivered(1).await;
    let ledger = gateway.sandbox.ledger();
    let sent = ledger.events[0].body.clone().unwrap();
    // SHA-256 of a@example.com
    assert_eq!(
        sent["user_data"]["em"][0],
        "08168cd80dfd534ab0f10af10f1303fe00af2d43ab5c1432360d137f8197e17a"
    );
    assert_eq!(sent["event_id"], "a");
    assert_eq!(ledger.events[0].times, 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_event_does_not_cost_its_neighbours() {
    let gateway = Gateway::start().await;
    let mut bad = purchase("bad");
    bad["event_time"] = json!(bad["event_time"].as_i64().unwrap() - 8 * 86_400);
    let answer = gateway
        .post(vec![purchase("one"), bad, purchase("two")])
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["events_received"], 2);
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["index"], 1);
    assert_eq!(errors[0]["path"], "event_time");
    for key in ["code", "rule", "example"] {
        assert!(
            errors[0][key].as_str().is_some_and(|text| !text.is_empty()),
            "{key} of {errors:?}"
        );
    }
    assert!(
        answer.body["messages"][0]
            .as_str()
            .unwrap()
            .starts_with("data[1].event_time")
    );
    gateway.delivered(2).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_source_refuses_the_whole_request() {
    let gateway =
        Gateway::with(|config| config.sources.get_mut("shop").unwrap().strict = true).await;
    let answer = gateway
        .post(vec![purchase("one"), json!({"event_name": "Purchase"})])
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(code(&answer.body), "events");
    assert_eq!(answer.body["errors"][0]["index"], 1);
    assert_eq!(gateway.metric("capigate_accepted_total").await, 0);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_none_is_good_the_answer_is_graphs() {
    let gateway = Gateway::start().await;
    let mut stale = purchase("stale");
    stale["event_time"] = json!(stale["event_time"].as_i64().unwrap() - 8 * 86_400);
    let answer = gateway.post(vec![stale]).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["error"]["code"], 100);
    assert_eq!(answer.body["error"]["error_subcode"], 2_804_003);
    assert_eq!(answer.body["error"]["is_transient"], false);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_was_dropped_before() {
    let gateway = Gateway::start().await;
    let mut event = purchase("md5");
    event["user_data"] = json!({"em": "5d41402abc4b2a76b9719d911017c592"});
    let answer = gateway.post(vec![event]).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["errors"][0]["code"], "no_match_keys");
    let notes = answer.body["errors"][0]["notes"].as_array().unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note.as_str().unwrap().starts_with("user_data.em:")),
        "{notes:?}"
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_pixels_are_told_apart() {
    let gateway = Gateway::start().await;
    let body = json!({"data": [purchase("a")]});
    let post = |pixel: &str, key: Option<&str>| {
        let request = gateway
            .http
            .post(gateway.url(&format!("/v26.0/{pixel}/events")))
            .json(&body);
        gateway.send(match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    };
    for (pixel, key, status, graph, word) in [
        (PIXEL, None, 401, 190, "unauthorized"),
        (PIXEL, Some("wrong"), 401, 190, "unauthorized"),
        (PIXEL, Some("sandbox-token"), 401, 190, "unauthorized"),
        (FOREIGN, Some(KEY), 403, 200, "forbidden_pixel"),
        ("4444444444444444", Some(KEY), 400, 100, "unknown_pixel"),
        ("4444444444444444", Some("wrong"), 401, 190, "unauthorized"),
        ("12x", Some(KEY), 400, 100, "bad_pixel"),
    ] {
        let answer = post(pixel, key).await;
        assert_eq!(
            (answer.status, code(&answer.body)),
            (status, word),
            "{pixel} {key:?}"
        );
        assert_eq!(answer.body["error"]["code"], graph, "{pixel} {key:?}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_come_as_graph_clients_send_tokens() {
    let gateway = Gateway::start().await;
    let url = gateway.url(&format!("/v26.0/{PIXEL}/events"));
    let in_body =
        json!({"data": [purchase("body")], "access_token": KEY, "appsecret_proof": "theirs"});
    assert_eq!(
        gateway
            .send(gateway.http.post(&url).json(&in_body))
            .await
            .status,
        200
    );
    let in_query = gateway
        .http
        .post(format!("{url}?access_token={KEY}"))
        .json(&json!({"data": [purchase("query")]}));
    assert_eq!(gateway.send(in_query).await.status, 200);
    let capi = gateway
        .http
        .post(gateway.url(&format!("/capi/{PIXEL}/events")))
        .bearer_auth(KEY);
    assert_eq!(
        gateway
            .send(capi.json(&json!({"data": [purchase("capi")]})))
            .await
            .status,
        200
    );
    let wrong = gateway
        .http
        .post(&url)
        .json(&json!({"data": [purchase("x")], "access_token": "wrong"}));
    assert_eq!(gateway.send(wrong).await.status, 401);
    gateway.delivered(3).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_have_their_words_and_lose_nothing() {
    let gateway = Gateway::start().await;
    let deep = |n: usize| format!("{{\"data\":[{}{}]}}", "[".repeat(n), "]".repeat(n));
    let many = json!({"data": purchases("m", 1001)}).to_string();
    let good = purchase("good").to_string();
    for (body, status, word) in [
        (b"".to_vec(), 400, "bad_json"),
        (b"{\"data\":[".to_vec(), 400, "bad_json"),
        (
            b"{\"data\":[{\"event_name\":\"a\"}".to_vec(),
            400,
            "bad_json",
        ),
        (b"[1,2]".to_vec(), 400, "bad_json"),
        (b"\"text\"".to_vec(), 400, "bad_json"),
        (b"{\"data\":[\"\xff\xfe\"]}".to_vec(), 400, "not_utf8"),
        (b"{}".to_vec(), 400, "missing"),
        (b"{\"data\":[]}".to_vec(), 400, "no_events"),
        (b"{\"data\":7}".to_vec(), 400, "malformed"),
        (
            b"{\"data\":[1],\"data\":[2]}".to_vec(),
            400,
            "duplicate_key",
        ),
        (b"{\"data\":[1]}".to_vec(), 400, "events"),
        (b"{\"data\":[null]}".to_vec(), 400, "events"),
        (b"{\"data\":[{\"event_name\":{}}]}".to_vec(), 400, "events"),
        (deep(10_000).into_bytes(), 400, "events"),
        ("[".repeat(10_000).into_bytes(), 400, "bad_json"),
        (many.into_bytes(), 400, "too_many_events"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = gateway.post_bytes(body).await;
        assert_eq!(
            (answer.status, code(&answer.body)),
            (status, word),
            "{shown}"
        );
        assert!(
            answer.body["error"]["message"]
                .as_str()
                .is_some_and(|text| text.len() > 10),
            "{shown}"
        );
    }
    // a hostile neighbour costs a good event nothing
    for hostile in [
        "{\"event_name\":\"a\",\"event_name\":\"b\"}".to_owned(),
        format!(
            "{{\"custom_data\":{}1{}}}",
            "{\"a\":".repeat(10_000),
            "}".repeat(10_000)
        ),
        "{\"event_name\":\"\\ud800\"}".to_owned(),
        "[]".to_owned(),
        "1e999".to_owned(),
    ] {
        let answer = gateway
            .post_bytes(format!("{{\"data\":[{hostile},{good}]}}"))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["events_received"], 1);
        assert_eq!(answer.body["errors"][0]["index"], 0);
    }
    gateway.delivered(5).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_and_bombs_are_refused_at_the_bound() {
    let gateway = Gateway::with(|config| {
        config.ingest.max_body = "128KiB".parse().unwrap();
    })
    .await;
    let answer = gateway.post_bytes(vec![b' '; 128 * 1024 + 1]).await;
    assert_eq!((answer.status, code(&answer.body)), (413, "too_large"));
    assert_eq!(
        answer.body["error"]["error_data"]["limit"],
        "ingest.max_body"
    );

    // the same without a declared length
    let chunks = futures_chunks(vec![vec![b' '; 64 * 1024]; 3]);
    let answer = gateway.post_bytes(chunks).await;
    assert_eq!((answer.status, code(&answer.body)), (413, "too_large"));

    let packed = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let post_packed = async |bytes: Vec<u8>, encoding: &str| {
        let request = gateway
            .http
            .post(gateway.url(&format!("/v26.0/{PIXEL}/events")))
            .bearer_auth(KEY);
        gateway
            .send(request.header("content-encoding", encoding).body(bytes))
            .await
    };
    let bomb = packed(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 128 * 1024);
    let answer = post_packed(bomb, "gzip").await;
    assert_eq!((answer.status, code(&answer.body)), (413, "too_large"));

    let body = json!({"data": [purchase("packed")]}).to_string();
    let answer = post_packed(packed(body.as_bytes()), "gzip").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = post_packed(b"not gzip".to_vec(), "gzip").await;
    assert_eq!((answer.status, code(&answer.body)), (400, "bad_encoding"));
    let answer = post_packed(b"{}".to_vec(), "compress").await;
    assert_eq!(
        (answer.status, code(&answer.body)),
        (415, "content_encoding")
    );
    assert_eq!(gateway.metric("capigate_in_flight_bytes").await, 0);
    gateway.delivered(1).await;
    gateway.finish().await;
}

/// A body in chunks, without a length.
fn futures_chunks(chunks: Vec<Vec<u8>>) -> reqwest::Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::task::spawn(async move {
        for chunk in chunks {
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    });
    reqwest::Body::wrap(Chunks(receiver))
}

struct Chunks(tokio::sync::mpsc::Receiver<Vec<u8>>);

impl hyper::body::Body for Chunks {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, Self::Error>>> {
        self.0
            .poll_recv(context)
            .map(|chunk| chunk.map(|chunk| Ok(hyper::body::Frame::data(chunk.into()))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_methods_and_forms_are_refused_in_graphs_shape() {
    let gateway = Gateway::start().await;
    let url = gateway.url(&format!("/v26.0/{PIXEL}/events"));
    for (request, status, word) in [
        (gateway.http.get(&url), 405, "method"),
        (gateway.http.post(gateway.url("/")), 400, "missing"),
        (
            gateway
                .http
                .post(gateway.url(&format!("/26.0/{PIXEL}/events"))),
            404,
            "no_route",
        ),
        (
            gateway
                .http
                .post(gateway.url(&format!("/v26.0/{PIXEL}/event"))),
            404,
            "no_route",
        ),
        (
            gateway
                .http
                .post(&url)
                .bearer_auth(KEY)
                .header("content-type", "multipart/form-data; boundary=x")
                .body("x"),
            400,
            "bad_form",
        ),
        (
            gateway
                .http
                .post(&url)
                .bearer_auth(KEY)
                .header("content-type", "application/xml")
                .body("<data/>"),
            415,
            "content_type",
        ),
    ] {
        let answer = gateway.send(request).await;
        assert_eq!((answer.status, code(&answer.body)), (status, word));
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_over_its_rate_is_told_when_to_come_back() {
    let gateway = Gateway::with(|config| {
        let source = config.sources.get_mut("shop").unwrap();
        source.rate = "1/m".parse().unwrap();
        source.burst = Some(1000);
    })
    .await;
    assert_eq!(gateway.post(purchases("a", 999)).await.status, 200);
    let answer = gateway.post(purchases("b", 2)).await;
    assert_eq!((answer.status, code(&answer.body)), (429, "rate"));
    assert_eq!(answer.body["error"]["code"], 4);
    assert_eq!(answer.body["error"]["is_transient"], true);
    assert!(
        answer
            .retry_after
            .is_some_and(|seconds| (1..=61).contains(&seconds)),
        "{:?}",
        answer.retry_after
    );
    assert_eq!(gateway.post(purchases("c", 1)).await.status, 200);
    gateway.delivered(1000).await;
    assert_eq!(gateway.metric("capigate_limited_total").await, 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_options_travel_and_keep_batches_apart() {
    let gateway = Gateway::with(|config| {
        config
            .sources
            .get_mut("shop")
            .unwrap()
            .allow_test_event_code = true;
    })
    .await;
    let body = json!({"data": [purchase("coded")], "test_event_code": "TEST77", "partner_agent": "shopsoft"});
    assert_eq!(gateway.post_body(PIXEL, &body).await.status, 200);
    assert_eq!(gateway.post(vec![purchase("plain")]).await.status, 200);
    assert_eq!(
        gateway
            .post_body(OTHER, &json!({"data": [purchase("other")]}))
            .await
            .status,
        200
    );
    gateway.delivered(3).await;
    let ledger = gateway.sandbox.ledger();
    assert_eq!(ledger.batches.len(), 3, "{:?}", ledger.batches);
    let coded: Vec<_> = ledger
        .batches
        .iter()
        .filter(|batch| batch.options.contains_key("test_event_code"))
        .collect();
    assert_eq!(coded.len(), 1);
    assert_eq!(coded[0].options["test_event_code"], "TEST77");
    assert_eq!(coded[0].options["partner_agent"], "shopsoft");
    assert_eq!(gateway.sandbox.test_events("TEST77").len(), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixels_own_test_code_is_the_default() {
    let gateway = Gateway::with(|config| {
        config
            .pixels
            .get_mut(&PIXEL.parse().unwrap())
            .unwrap()
            .test_event_code = Some("TESTDEFAULT".to_owned());
    })
    .await;
    gateway.post(vec![purchase("a")]).await;
    gateway.delivered(1).await;
    assert_eq!(gateway.sandbox.test_events("TESTDEFAULT").len(), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_with_prior_knowledge_works() {
    let gateway = Gateway::start().await;
    let http2 = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let request = http2
        .post(gateway.url(&format!("/v26.0/{PIXEL}/events")))
        .bearer_auth(KEY);
    let response = request
        .json(&json!({"data": purchases("h2", 3)}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.status(), 200);
    gateway.delivered(3).await;
    gateway.finish().await;
}

/// Reads until the far end closes; what came.
async fn read_to_close(stream: &mut tokio::net::TcpStream) -> String {
    let mut got = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut got)).await;
    assert!(read.is_ok(), "the connection was not closed");
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off() {
    let gateway = Gateway::with(|config| {
        config.ingest.header_timeout = "300ms".parse().unwrap();
        config.ingest.body_timeout = "300ms".parse().unwrap();
    })
    .await;
    let addr = gateway.running().ingest_addr();
    // nothing, half a line, half of HTTP/2's preface, half a head
    for start in [
        "",
        "POS",
        "PRI * HT",
        "POST /x HTTP/1.1\r\nhost: a\r\nx-half: ",
    ] {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        read_to_close(&mut stream).await;
    }
    // a body that never comes
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let head = format!(
        "POST /v26.0/{PIXEL}/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_close(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("ingest.body_timeout"), "{answer}");
    assert_eq!(gateway.post(vec![purchase("after")]).await.status, 200);
    gateway.delivered(1).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_stay_for_their_time() {
    let gateway = Gateway::with(|config| {
        config.ingest.header_timeout = "200ms".parse().unwrap();
        config.ingest.idle_timeout = "1s".parse().unwrap();
    })
    .await;
    let mut stream = tokio::net::TcpStream::connect(gateway.running().ingest_addr())
        .await
        .unwrap();
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    let mut buffer = [0; 4096];
    for pause in [0, 500] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(
            buffer[..read].starts_with(b"HTTP/1.1 400"),
            "after {pause} ms"
        );
    }
    // half a head does not make it longer
    stream.write_all(b"POST / HTTP/1.1\r\nhost").await.unwrap();
    read_to_close(&mut stream).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_connection_limit_accepting_waits() {
    let gateway = Gateway::with(|config| config.ingest.max_connections = 1).await;
    let first = tokio::net::TcpStream::connect(gateway.running().ingest_addr())
        .await
        .unwrap();
    gateway
        .until("one connection", async |gateway| {
            (gateway.metric("capigate_connections").await == 1).then_some(())
        })
        .await;
    let mut second = tokio::net::TcpStream::connect(gateway.running().ingest_addr())
        .await
        .unwrap();
    second
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0; 1];
    let waiting = tokio::time::timeout(Duration::from_millis(200), second.peek(&mut byte)).await;
    assert!(waiting.is_err(), "it was answered over the limit");
    drop(first);
    assert!(read_to_close(&mut second).await.starts_with("HTTP/1.1 400"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_flight_are_bounded_and_given_back() {
    let gateway = Gateway::with(|config| {
        config.ingest.max_body = "64KiB".parse().unwrap();
        config.ingest.max_in_flight = "192KiB".parse().unwrap();
    })
    .await;
    let addr = gateway.running().ingest_addr();
    let head = format!(
        "POST /v26.0/{PIXEL}/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\ncontent-length: 65500\r\n\r\n"
    );
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; 65_400]).await.unwrap();
        slow.push(stream);
    }
    gateway
        .until("bytes in flight", async |gateway| {
            (gateway.metric("capigate_in_flight_bytes").await == 3 * 65_400).then_some(())
        })
        .await;
    let answer = gateway.post(purchases("x", 5)).await;
    assert_eq!((answer.status, code(&answer.body)), (503, "overloaded"));
    assert_eq!(
        answer.body["error"]["error_data"]["limit"],
        "ingest.max_in_flight"
    );
    assert_eq!(answer.retry_after, Some(1));
    drop(slow);
    gateway
        .until("no bytes in flight", async |gateway| {
            (gateway.metric("capigate_in_flight_bytes").await == 0).then_some(())
        })
        .await;
    assert_eq!(gateway.post(purchases("x", 5)).await.status, 200);
    gateway.delivered(5).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_from_files_with_http1_and_http2() {
    let file = |name: &str| {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/tls")
            .join(name)
    };
    let gateway = Gateway::with(|config| {
        config.listen.tls = Some(capigate::config::Tls {
            cert: file("cert.pem"),
            key: file("key.pem"),
        });
        config.ingest.header_timeout = "500ms".parse().unwrap();
    })
    .await;
    let addr = gateway.running().ingest_addr();
    let url = format!("https://{addr}/v26.0/{PIXEL}/events");
    // the certificate is one of the tests' own, which nobody vouches for
    let client = || {
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .danger_accept_invalid_certs(true)
    };
    for (client, version) in [
        (
            client().http1_only().build().unwrap(),
            reqwest::Version::HTTP_11,
        ),
        (client().build().unwrap(), reqwest::Version::HTTP_2),
    ] {
        let body = json!({"data": [purchase(&format!("{version:?}"))]});
        let response = client
            .post(&url)
            .bearer_auth(KEY)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(response.status(), 200);
    }
    // who never shakes hands is cut off; who speaks plainly is not answered
    for start in ["", "POST / HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        assert!(!read_to_close(&mut stream).await.contains("HTTP/1.1"));
    }
    gateway.delivered(2).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_certificate_names_its_key_and_file() {
    let mut config = capigate::config::Config::default();
    let dir = tempfile::tempdir().unwrap();
    config.journal.dir = dir.path().join("journal");
    config.listen.tls = Some(capigate::config::Tls {
        cert: "/nowhere/tls.crt".into(),
        key: "/nowhere/tls.key".into(),
    });
    let error = capigate::app::App::build(config, capigate::time::Clock::Real)
        .await
        .err()
        .unwrap();
    let error = format!("{error:#}");
    assert!(
        error.contains("listen.tls.cert") && error.contains("/nowhere/tls.crt"),
        "{error}"
    );
}
