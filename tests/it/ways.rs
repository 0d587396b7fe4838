//! Every way in that Graph takes.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Answer, FOREIGN, Gateway, KEY, OTHER, PIXEL, purchase};

/// Posts a body of some type to the first pixel, without a key in the header.
async fn post(
    gateway: &Gateway,
    query: &str,
    kind: &str,
    body: impl Into<reqwest::Body>,
) -> Answer {
    let url = gateway.url(&format!("/v26.0/{PIXEL}/events{query}"));
    let request = gateway.http.post(url).header("content-type", kind);
    gateway.send(request.body(body)).await
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_taken_as_the_python_sdk_sends_them() {
    let gateway = Gateway::start().await;
    // EventRequest: an array of JSON texts, the token in the address
    let events = json!([purchase("py-1").to_string(), purchase("py-2").to_string()]).to_string();
    let body = form(&[
        ("data", &events),
        ("partner_agent", "shopsoft"),
        ("fields", ""),
    ]);
    let answer = post(
        &gateway,
        &format!("?access_token={KEY}&appsecret_proof=ab"),
        FORM,
        body,
    )
    .await;
    assert_eq!(
        (answer.status, &answer.body["events_received"]),
        (200, &json!(2)),
        "{}",
        answer.body
    );
    assert!(
        !answer.body["messages"]
            .to_string()
            .contains("Graph does not know")
    );
    // EventRequestAsync: an array of objects, the token in the form
    let events = json!([purchase("py-3")]).to_string();
    let body = form(&[("data", &events), ("access_token", KEY)]);
    assert_eq!(post(&gateway, "", FORM, body).await.status, 200);
    let body = form(&[("data", &events), ("access_token", "wrong")]);
    assert_eq!(post(&gateway, "", FORM, body).await.status, 401);
    gateway.delivered(3).await;
    let ledger = gateway.sandbox.ledger();
    let agents = ledger
        .batches
        .iter()
        .filter(|batch| batch.options.contains_key("partner_agent"));
    assert_eq!(agents.count(), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn multipart_is_taken_as_curl_sends_it() {
    let gateway = Gateway::start().await;
    let part = |head: &str, text: &str| {
        format!("--XyZ\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n")
    };
    let events = |id: &str| json!([purchase(id)]).to_string();
    // `-F data='[…]' -F access_token=…`, and `-F data=@events.json`
    for (id, head) in [
        ("curl-1", "name=\"data\""),
        (
            "curl-2",
            "name=\"data\"; filename=\"events.json\"\r\nContent-Type: application/json",
        ),
    ] {
        let body = part(head, &events(id)) + &part("name=\"access_token\"", KEY) + "--XyZ--\r\n";
        let answer = post(&gateway, "", "multipart/form-data; boundary=XyZ", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    gateway.delivered(2).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_every_place_reach_graph() {
    let gateway = Gateway::start().await;
    let options = json!({
        "platforms": [{"name": "shopsoft", "type": "ecommerce", "version": "2.1"}],
        "progress": {"start_inclusive": 0, "end_exclusive": 2},
        "trace": 7,
    });
    let mut body = options.clone();
    body["data"] = json!([purchase("in-json")]);
    assert_eq!(gateway.post_body(PIXEL, &body).await.status, 200);
    let events = json!([purchase("in-form")]).to_string();
    let platforms = options["platforms"].to_string();
    let progress = options["progress"].to_string();
    let fields = form(&[
        ("data", &events),
        ("platforms", &platforms),
        ("access_token", KEY),
    ]);
    let query = form(&[("progress", &progress), ("trace", "7")]);
    let answer = post(&gateway, &format!("?{query}"), FORM, fields).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    gateway.delivered(2).await;
    for batch in gateway.sandbox.ledger().batches {
        // the ledger keeps their texts
        let texts = batch.options.into_iter();
        let kept: Value = texts
            .map(|(name, text)| {
                (
                    name,
                    serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(),
                )
            })
            .collect();
        assert_eq!(kept, options);
    }
    gateway.finish().await;
}

/// An answer to an operation of a batch.
fn items(answer: &Answer) -> Vec<(u64, Value)> {
    let items = answer
        .body
        .as_array()
        .unwrap_or_else(|| panic!("{}", answer.body));
    let item = |item: &Value| {
        let body = serde_json::from_str(item["body"].as_str().unwrap()).unwrap();
        (item["code"].as_u64().unwrap(), body)
    };
    items.iter().map(item).collect()
}

fn operation(pixel: &str, id: &str) -> Value {
    let events = json!([purchase(id)]).to_string();
    json!({"method": "POST", "relative_url": format!("v26.0/{pixel}/events"), "body": form(&[("data", &events)])})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_an_answer_for_each_operation() {
    let gateway = Gateway::start().await;
    let mut own_key = operation(PIXEL, "own-key");
    own_key["body"] = json!(form(&[
        ("data", &json!([purchase("own-key")]).to_string()),
        ("access_token", "wrong"),
    ]));
    let batch = json!([
        operation(PIXEL, "one"),
        operation(FOREIGN, "two"),
        operation(OTHER, "three"),
        {"method": "POST", "relative_url": format!("{PIXEL}/events"), "body": {"data": [{"event_name": "Lead"}]}},
        {"method": "GET", "relative_url": "me"},
        {"method": "POST", "relative_url": "act_1/campaigns", "body": "name=x"},
        own_key,
    ]);
    let expected = [
        (200, ""),
        (403, "forbidden_pixel"),
        (200, ""),
        (400, "events"),
        (405, "method"),
        (404, "no_route"),
        (401, "unauthorized"),
    ];
    let check = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{}", answer.body);
        for ((code, body), (status, word)) in items(answer).into_iter().zip(expected) {
            assert_eq!(code, status, "{body}");
            if status == 200 {
                assert_eq!(body["events_received"], 1);
            } else {
                assert_eq!(body["error"]["error_data"]["code"], word, "{body}");
            }
        }
        assert_eq!(items(answer).len(), expected.len());
    };
    // a form to the root, multipart to the version, JSON with a slash at its end
    let text = batch.to_string();
    let url = gateway.url("/");
    let fields = form(&[("batch", &text), ("access_token", KEY)]);
    let request = gateway
        .http
        .post(url)
        .header("content-type", FORM)
        .body(fields);
    let answer = gateway.send(request).await;
    check(&answer);
    assert_eq!(
        answer.body[0]["headers"][0],
        json!({"name": "content-type", "value": "application/json"})
    );
    let again = text.replace("one", "four").replace("three", "five");
    let part = format!(
        "--b\r\nContent-Disposition: form-data; name=\"batch\"\r\n\r\n{again}\r\n--b--\r\n"
    );
    let url = gateway.url(&format!("/v26.0?access_token={KEY}"));
    let request = gateway
        .http
        .post(url)
        .header("content-type", "multipart/form-data; boundary=b");
    check(&gateway.send(request.body(part)).await);
    let again: Value =
        serde_json::from_str(&text.replace("one", "six").replace("three", "seven")).unwrap();
    let request = gateway.http.post(gateway.url("/v26.0/")).bearer_auth(KEY);
    let answer = gateway
        .send(request.json(&json!({"batch": again, "include_headers": false})))
        .await;
    check(&answer);
    assert!(answer.body[0].get("headers").is_none());
    gateway.delivered(6).await;
    assert_eq!(gateway.metric("capigate_accepted_total").await, 6);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_refused_as_a_whole_for_what_is_its_own() {
    let gateway = Gateway::start().await;
    let batch = |count| json!({"batch": vec![operation(PIXEL, "x"); count]});
    for (key, body, status, word) in [
        (Some("wrong"), batch(1), 401, "unauthorized"),
        (Some(KEY), batch(51), 400, "too_many_operations"),
        (Some(KEY), json!({}), 400, "missing"),
        (Some(KEY), json!({"batch": 7}), 400, "malformed"),
        (
            None,
            json!({"batch": [operation(PIXEL, "x")], "access_token": "wrong"}),
            401,
            "unauthorized",
        ),
    ] {
        let request = gateway.http.post(gateway.url("/v26.0")).json(&body);
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let answer = gateway.send(request).await;
        let code = &answer.body["error"]["error_data"]["code"];
        assert_eq!((answer.status, code), (status, &json!(word)));
    }
    // without a key at all, each operation is answered by itself
    let request = gateway.http.post(gateway.url("/")).json(&batch(2));
    let answer = gateway.send(request).await;
    let codes: Vec<u64> = items(&answer).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [401, 401]);
    gateway.finish().await;
}

fn packed(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    match encoding {
        "gzip" => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        }
        "deflate" => {
            let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), level);
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        }
        "br" => {
            let mut packed = Vec::new();
            brotli::CompressorWriter::new(&mut packed, 4096, 5, 22)
                .write_all(bytes)
                .unwrap();
            packed
        }
        _ => zstd::encode_all(bytes, 3).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_bodies_are_unpacked_within_the_bound() {
    let gateway = Gateway::with(|config| {
        config.ingest.max_body = "128KiB".parse().unwrap();
        config.ingest.max_event_bytes = "128KiB".parse().unwrap();
    })
    .await;
    let url = gateway.url(&format!("/v26.0/{PIXEL}/events"));
    let send = |encoding: &str, body: Vec<u8>| {
        let request = gateway.http.post(&url).bearer_auth(KEY);
        request
            .header("content-encoding", encoding)
            .body(body)
            .send()
    };
    let all = ["gzip", "deflate", "br", "zstd"];
    for encoding in all {
        let body = json!({"data": [purchase(encoding)]}).to_string();
        let answer = send(encoding, packed(encoding, body.as_bytes()))
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{encoding}");
        let bomb = packed(encoding, &vec![b' '; 16 << 20]);
        assert_eq!(
            send(encoding, bomb).await.unwrap().status(),
            413,
            "{encoding}"
        );
    }
    let body = json!({"data": [purchase("twice")]}).to_string();
    let twice = packed("zstd", &packed("br", body.as_bytes()));
    assert_eq!(send("br, zstd", twice).await.unwrap().status(), 200);
    let answer = send("compress", vec![1]).await.unwrap();
    assert_eq!(answer.status(), 415);
    assert_eq!(
        answer.headers()["accept-encoding"],
        "gzip, deflate, br, zstd"
    );
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["error_data"]["code"], "content_encoding");
    assert_eq!(gateway.metric("capigate_in_flight_bytes").await, 0);
    gateway.delivered(5).await;
    gateway.finish().await;
}

/// Everything the gateway says to these bytes, until it closes or has said nothing for a while.
async fn said(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(Ok(read)) = timeout(Duration::from_millis(500), stream.read(&mut piece)).await {
        if read == 0 {
            said.extend_from_slice(b"<closed>");
            break;
        }
        said.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(said).unwrap()
}

async fn connected(gateway: &Gateway) -> TcpStream {
    TcpStream::connect(gateway.running().ingest_addr())
        .await
        .unwrap()
}

fn raw(start: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{start}\r\nHost: gateway\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_100_gets_it_only_when_the_body_is_wanted() {
    let gateway = Gateway::start().await;
    let body = json!({"data": [purchase("expected")]}).to_string();
    let path = format!("POST /v26.0/{PIXEL}/events HTTP/1.1");
    let head = |key: &str, extra: &str| {
        let headers = format!("Authorization: Bearer {key}\r\nExpect: 100-continue\r\n{extra}");
        let whole = raw(&path, &headers, &body);
        whole[..whole.len() - body.len()].to_owned()
    };
    let mut stream = connected(&gateway).await;
    stream.write_all(head(KEY, "").as_bytes()).await.unwrap();
    assert_eq!(said(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(said(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    // refused by its head alone, it is never asked for the body
    for (head, status) in [
        (head("wrong", ""), "401"),
        (head(KEY, "Content-Encoding: compress\r\n"), "415"),
        (head(KEY, "").replace("/events", "/insights"), "404"),
        (head(KEY, "").replace("POST", "PUT"), "405"),
        (
            head(KEY, "").replace("Content-Length: ", "Content-Length: 99999"),
            "413",
        ),
    ] {
        let mut stream = connected(&gateway).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let said = said(&mut stream).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        assert!(!said.contains("100 Continue"), "{said}");
        assert!(said.ends_with("<closed>"), "{said}");
    }
    gateway.delivered(1).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_closes_unless_asked_to_stay() {
    let gateway = Gateway::start().await;
    let path = format!("POST /v26.0/{PIXEL}/events HTTP/1.0");
    let auth = format!("Authorization: Bearer {KEY}\r\n");
    let post = |id: &str, headers: &str| {
        let body = json!({"data": [purchase(id)]}).to_string();
        raw(&path, &format!("{auth}{headers}"), &body)
    };
    let mut stream = connected(&gateway).await;
    stream
        .write_all(post("old-1", "").as_bytes())
        .await
        .unwrap();
    let closed = said(&mut stream).await;
    assert!(closed.starts_with("HTTP/1.0 200 OK\r\n"), "{closed}");
    assert!(closed.ends_with("<closed>"), "{closed}");
    let mut stream = connected(&gateway).await;
    for id in ["old-2", "old-3"] {
        let post = post(id, "Connection: keep-alive\r\n");
        stream.write_all(post.as_bytes()).await.unwrap();
        let stays = said(&mut stream).await;
        assert!(stays.starts_with("HTTP/1.0 200 OK\r\n"), "{stays}");
        assert!(!stays.ends_with("<closed>"), "{stays}");
    }
    gateway.delivered(3).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let gateway = Gateway::start().await;
    let auth = format!("Authorization: Bearer {KEY}\r\n");
    let post = |pixel: &str, id: &str| {
        let body = json!({"data": [purchase(id)]}).to_string();
        raw(
            &format!("POST /v26.0/{pixel}/events HTTP/1.1"),
            &auth,
            &body,
        )
    };
    // answers that need the disk stand before ones that do not
    let all = [
        post(PIXEL, "first"),
        post(FOREIGN, "second"),
        post(PIXEL, "third"),
        raw("GET / HTTP/1.1", "", ""),
        post(OTHER, "fourth"),
    ];
    let mut stream = connected(&gateway).await;
    stream.write_all(all.concat().as_bytes()).await.unwrap();
    let said = said(&mut stream).await;
    let statuses: Vec<&str> = said
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["200", "403", "200", "405", "200"], "{said}");
    gateway.delivered(3).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_and_head_say_what_a_path_takes() {
    let gateway = Gateway::start().await;
    let call = async |method: &str, path: &str| {
        let mut stream = connected(&gateway).await;
        let request = raw(
            &format!("{method} {path} HTTP/1.1"),
            "Connection: close\r\n",
            "",
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        said(&mut stream).await
    };
    let events = format!("/v26.0/{PIXEL}/events");
    let capi = format!("/capi/{PIXEL}/events");
    for path in [events.as_str(), &capi, "/", "/v26.0"] {
        let options = call("OPTIONS", path).await;
        assert!(
            options.starts_with("HTTP/1.1 204 No Content\r\n"),
            "{options}"
        );
        assert!(options.contains("allow: OPTIONS, POST\r\n"), "{options}");
        let head = call("HEAD", path).await;
        assert!(
            head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"),
            "{head}"
        );
        assert!(head.contains("allow: OPTIONS, POST\r\n"), "{head}");
        assert!(head.ends_with("\r\n\r\n<closed>"), "a body: {head}");
        let get = call("GET", path).await;
        assert!(
            get.contains("allow: OPTIONS, POST\r\n") && get.contains("\"method\""),
            "{get}"
        );
    }
    let nothing = call("HEAD", "/healthz").await;
    assert!(
        nothing.starts_with("HTTP/1.1 404 Not Found\r\n"),
        "{nothing}"
    );
    gateway.finish().await;
}
