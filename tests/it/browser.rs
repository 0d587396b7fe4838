//! Pages that post without a key, and what their events get from the request.

use capigate::config::Config;
use capigate::config::sources::{ExternalIdRule, SourceKind};
use capigate::config::{KeyRef, SecretRef, Source};
use capigate::sandbox::{Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::{FOREIGN, Gateway, KEY, OTHER, PIXEL, purchase};
use crate::support::{Site, all_bytes};

const PAGE: &str = "https://shop.example";
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) a-browser";

/// A source for the pages of the shop, beside the server's.
fn pages(config: &mut Config) {
    let source = Source {
        kind: SourceKind::Browser,
        pixels: [PIXEL.parse().unwrap()].into(),
        origins: [
            PAGE.parse().unwrap(),
            "https://*.shop.example".parse().unwrap(),
        ]
        .into(),
        ..Source::default()
    };
    config.sources.insert("pages".to_owned(), source);
}

fn behind_a_proxy(config: &mut Config) {
    pages(config);
    config.ingest.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

/// A page view that says nothing about its visitor.
fn view(id: &str) -> Value {
    json!({
        "event_name": "PageView",
        "event_time": Clock::Real.now().secs(),
        "event_id": id,
        "action_source": "website",
        "event_source_url": "https://shop.example/",
        "user_data": {"external_id": "customer-1"},
    })
}

fn request(gateway: &Gateway, pixel: &str, origin: Option<&str>) -> RequestBuilder {
    let url = gateway.url(&format!("/v26.0/{pixel}/events"));
    let request = gateway.http.post(url).header("user-agent", AGENT);
    match origin {
        Some(origin) => request.header("origin", origin),
        None => request,
    }
}

/// A page's post: `fetch` with JSON, and with the cookies of the site.
fn page(gateway: &Gateway, events: &[Value]) -> RequestBuilder {
    request(gateway, PIXEL, Some(PAGE)).json(&json!({ "data": events }))
}

/// Status, code and headers of an answer.
async fn ask(request: RequestBuilder) -> (u16, String, HeaderMap) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let code = body["error"]["error_data"]["code"].as_str();
    (status, code.unwrap_or_default().to_owned(), headers)
}

fn may_read(headers: &HeaderMap, origin: &str) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    is("access-control-allow-origin", origin)
        && is("access-control-allow-credentials", "true")
        && is("vary", "Origin")
}

/// The `user_data` that Graph was sent of an event.
async fn user_data(gateway: &Gateway, id: &str) -> Value {
    gateway
        .until("the event at Graph", async |gateway| {
            let ledger = gateway.sandbox.ledger();
            let mut events = ledger.events.into_iter();
            let event = events.find(|event| event.event_id.as_deref() == Some(id))?;
            Some(event.body.unwrap()["user_data"].clone())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_needs_no_key() {
    let gateway = Gateway::with(pages).await;
    for (n, origin) in [PAGE, "https://www.shop.example"].into_iter().enumerate() {
        let body = json!({"data": [view(&format!("ok-{n}"))]});
        let (status, _, headers) = ask(request(&gateway, PIXEL, Some(origin)).json(&body)).await;
        assert_eq!(status, 200);
        assert!(may_read(&headers, origin), "{headers:?}");
    }
    let body = json!({"data": [view("never")]});
    for origin in [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://a.b.shop.example",
        "https://shop.example.evil.example",
        "null",
    ] {
        let (status, code, headers) = ask(request(&gateway, PIXEL, Some(origin)).json(&body)).await;
        assert_eq!(
            (status, code.as_str()),
            (403, "forbidden_origin"),
            "{origin}"
        );
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "{origin}"
        );
        assert_eq!(headers["vary"], "Origin");
    }
    // no origin at all, two of them, and a pixel that pages have nothing to do with
    let (status, code, _) = ask(request(&gateway, PIXEL, None).json(&body)).await;
    assert_eq!((status, code.as_str()), (403, "forbidden_origin"));
    let twice = request(&gateway, PIXEL, Some(PAGE)).header("origin", PAGE);
    assert_eq!(ask(twice.json(&body)).await.1, "forbidden_origin");
    let (status, code, _) = ask(request(&gateway, OTHER, None).json(&body)).await;
    assert_eq!((status, code.as_str()), (401, "unauthorized"));
    // what the page may read about its own mistakes
    for (pixel, told) in [
        (OTHER, (403, "forbidden_pixel")),
        (FOREIGN, (403, "forbidden_pixel")),
        ("4444444444444444", (400, "unknown_pixel")),
        ("x", (400, "bad_pixel")),
    ] {
        let (status, code, headers) = ask(request(&gateway, pixel, Some(PAGE)).json(&body)).await;
        assert_eq!((status, code.as_str()), told, "{pixel}");
        assert!(may_read(&headers, PAGE), "{pixel}");
    }
    gateway.delivered(2).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_asks_before_it_posts() {
    let gateway = Gateway::with(pages).await;
    let ask_first = |origin: Option<&str>| {
        let url = gateway.url(&format!("/v26.0/{PIXEL}/events"));
        let request = gateway.http.request(Method::OPTIONS, url);
        let request = request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    let (status, _, headers) = ask(ask_first(Some(PAGE))).await;
    assert_eq!(status, 204);
    assert!(may_read(&headers, PAGE), "{headers:?}");
    assert_eq!(headers["access-control-allow-methods"], "POST");
    assert_eq!(headers["access-control-allow-headers"], "content-type");
    assert!(headers.contains_key("access-control-max-age"));
    for origin in [Some("https://evil.example"), None] {
        let (status, code, headers) = ask(ask_first(origin)).await;
        assert_eq!((status, code.as_str()), (403, "forbidden_origin"));
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beacon_needs_no_question() {
    let gateway = Gateway::with(pages).await;
    // navigator.sendBeacon(url, text): text/plain, and nobody reads the answer
    let body = json!({"data": [view("beacon")]}).to_string();
    let beacon = request(&gateway, PIXEL, Some(PAGE))
        .header("content-type", "text/plain;charset=UTF-8")
        .header("cookie", "_fbp=fb.1.1596403881668.1116446470")
        .body(body);
    assert_eq!(ask(beacon).await.0, 200);
    let user_data = user_data(&gateway, "beacon").await;
    assert_eq!(user_data["fbp"], "fb.1.1596403881668.1116446470");
    assert_eq!(user_data["client_user_agent"], AGENT);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_gives_what_the_event_lacks() {
    let gateway = Gateway::with(|config| {
        behind_a_proxy(config);
        let pages = config.sources.get_mut("pages").unwrap();
        pages.cookie_domain = Some("www.shop.example".to_owned());
    })
    .await;
    let cookies = "session=secret; _fbc=fb.1.1554763741205.AbC.AQ; _fbp=fb.1.1596403881668.11%31";
    let mut clicked = view("clicked");
    clicked["event_source_url"] = "https://shop.example/?fbclid=NEW".into();
    let mut whole = view("whole");
    whole["user_data"] = json!({
        "client_ip_address": "8.8.8.8", "client_user_agent": "mine", "fbp": "fb.1.1.1"
    });
    let mut empty = view("empty");
    empty["user_data"] = Value::Null;
    let events = [view("plain"), clicked, whole, empty];
    let request = page(&gateway, &events)
        .header("cookie", cookies)
        .header("x-forwarded-for", "203.0.113.9");
    assert_eq!(ask(request).await.0, 200);
    for id in ["plain", "empty"] {
        let user_data = user_data(&gateway, id).await;
        assert_eq!(user_data["client_ip_address"], "203.0.113.9");
        assert_eq!(user_data["client_user_agent"], AGENT);
        assert_eq!(user_data["fbc"], "fb.1.1554763741205.AbC.AQ");
        assert_eq!(user_data["fbp"], "fb.1.1596403881668.111");
    }
    let fbc = user_data(&gateway, "clicked").await["fbc"].clone();
    let fbc = fbc.as_str().unwrap();
    let last = fbc.rsplit_once('.').map(|(_, last)| last);
    assert!(fbc.starts_with("fb.2.") && last == Some("NEW"), "{fbc}");
    let user_data = user_data(&gateway, "whole").await;
    assert_eq!(user_data["client_ip_address"], "8.8.8.8");
    assert_eq!(user_data["client_user_agent"], "mine");
    assert_eq!(user_data["fbp"], "fb.1.1.1");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_believed_from_trusted_proxies_only() {
    let mut gateway = Gateway::with(pages).await;
    let post = async |gateway: &Gateway, id: &str, forwarded: &str| {
        let request = page(gateway, &[view(id)]).header("x-forwarded-for", forwarded);
        assert_eq!(ask(request).await.0, 200);
        user_data(gateway, id).await["client_ip_address"].clone()
    };
    // not behind a proxy: the header is the client's, and its own address is not public
    assert_eq!(post(&gateway, "direct", "8.8.8.8").await, Value::Null);
    let report = gateway
        .reload(|config| {
            config.ingest.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await
        .unwrap();
    assert_eq!(report.changed, ["ingest.trusted_proxies"]);
    assert_eq!(
        post(&gateway, "proxied", "203.0.113.9").await,
        "203.0.113.9"
    );
    // the client has put an address in front; the proxy added the real one behind it
    let chain = "8.8.8.8, 203.0.113.9, 127.0.0.5";
    assert_eq!(post(&gateway, "forged", chain).await, "203.0.113.9");
    assert_eq!(post(&gateway, "inside", "10.0.0.7").await, Value::Null);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_spend_the_rate_of_all() {
    let gateway = Gateway::with(|config| {
        behind_a_proxy(config);
        let pages = config.sources.get_mut("pages").unwrap();
        pages.rate_per_address = "3/h".parse().unwrap();
    })
    .await;
    let post = async |id: &str, address: &str| {
        let request = page(&gateway, &[view(id)]).header("x-forwarded-for", address);
        ask(request).await
    };
    for n in 0..3 {
        assert_eq!(post(&format!("a-{n}"), "203.0.113.9").await.0, 200);
    }
    let (status, code, headers) = post("a-3", "203.0.113.9").await;
    assert_eq!((status, code.as_str()), (429, "rate"));
    assert!(headers.contains_key("retry-after"));
    assert!(may_read(&headers, PAGE));
    assert_eq!(headers["access-control-expose-headers"], "retry-after");
    // a forged first entry makes nobody another person
    assert_eq!(post("a-4", "9.9.9.9, 203.0.113.9").await.0, 429);
    assert_eq!(post("b-0", "203.0.113.10").await.0, 200);
    let shown = "capigate_limited_total{limit=\"sources.rate_per_address\"} 2";
    assert!(gateway.page("/metrics").await.1.contains(shown));
    // the server has a rate of its own
    let answer = gateway.post(vec![purchase("server")]).await;
    assert_eq!(answer.status, 200);
    gateway.delivered(5).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_events_get_nothing_from_its_request() {
    let gateway = Gateway::with(behind_a_proxy).await;
    let server = page(&gateway, &[view("server")])
        .bearer_auth(KEY)
        .header("x-forwarded-for", "203.0.113.9")
        .header(
            "cookie",
            "_fbp=fb.1.1596403881668.1; _fbc=fb.1.1.a; _fbi=8.8.8.8",
        );
    assert_eq!(ask(server).await.0, 200);
    let user_data = user_data(&gateway, "server").await;
    let keys: Vec<&String> = user_data.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["external_id"]);
    // a key that is wrong is not made good by the page
    let wrong = page(&gateway, &[view("wrong")]).bearer_auth("wrong");
    assert_eq!(ask(wrong).await.1, "unauthorized");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_post_is_one_event() {
    let gateway = Gateway::with(behind_a_proxy).await;
    let mut event = view("");
    event["event_id"] = Value::Null;
    event["event_source_url"] = "https://shop.example/?fbclid=AbC".into();
    for (address, cookie) in [
        ("203.0.113.9", "_fbp=fb.1.1.1"),
        ("203.0.113.10", "_fbp=fb.1.1.2"),
    ] {
        let request = page(&gateway, std::slice::from_ref(&event))
            .header("x-forwarded-for", address)
            .header("cookie", cookie);
        assert_eq!(ask(request).await.0, 200);
    }
    gateway.delivered(2).await;
    assert_eq!(gateway.sandbox.totals().events_distinct, 1);
    // nothing else tells these two visitors apart
    event["user_data"] = json!({});
    for cookie in ["_fbp=fb.1.1.1", "_fbp=fb.1.1.1", "_fbp=fb.1.1.2"] {
        let request = page(&gateway, std::slice::from_ref(&event)).header("cookie", cookie);
        assert_eq!(ask(request).await.0, 200);
    }
    gateway.delivered(5).await;
    assert_eq!(gateway.sandbox.totals().events_distinct, 3);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_their_rules_are_taken_over_while_it_runs() {
    let mut gateway = Gateway::start().await;
    let status = async |gateway: &Gateway, id: &str| ask(page(gateway, &[view(id)])).await.0;
    assert_eq!(status(&gateway, "a").await, 401);
    gateway.reload(pages).await.unwrap();
    assert_eq!(status(&gateway, "b").await, 200);
    let report = gateway
        .reload(|config| {
            let pages = config.sources.get_mut("pages").unwrap();
            pages.external_id = ExternalIdRule::Trim;
            pages.origins = ["https://other.example".parse().unwrap()].into();
            pages.rate_per_address = "1/h".parse().unwrap();
        })
        .await
        .unwrap();
    let keys = ["external_id", "origins", "rate_per_address"];
    assert_eq!(
        report.changed,
        keys.map(|key| format!("sources.pages.{key}"))
    );
    assert_eq!(status(&gateway, "c").await, 403);
    let other = |id: &str| {
        let request = request(&gateway, PIXEL, Some("https://other.example"));
        request.json(&json!({"data": [view(id)]}))
    };
    assert_eq!(ask(other("d")).await.0, 200);
    assert_eq!(ask(other("e")).await.0, 429);
    // two sources with one page would leave it open whose event it is
    let error = gateway
        .reload(|config| {
            let twin = config.sources["pages"].clone();
            config.sources.insert("twin".to_owned(), twin);
        })
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("sources.twin.origins"),
        "{error}"
    );
    // and a key in a page is none
    let error = gateway
        .reload(|config| {
            config.sources.remove("twin");
            let pages = config.sources.get_mut("pages").unwrap();
            pages.keys = vec![KeyRef::Secret(SecretRef::Env("OTHER_KEY".to_owned()))];
        })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("sources.pages.keys"), "{error}");
    gateway.delivered(2).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_and_addresses_are_in_no_log() {
    const CANARIES: [&str; 4] = [
        "203.0.113.77",
        "canaryclick",
        "canarysession",
        "canary-agent",
    ];
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("first", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    site.token = "sandbox-token".to_owned();
    site.extra = format!(
        "\n[ingest]\ntrusted_proxies = [\"127.0.0.1\"]\n[sources.pages]\nkind = \"browser\"\n\
         pixels = [\"{PIXEL}\"]\norigins = [\"{PAGE}\"]\nrate_per_address = \"2/h\"\n"
    );
    let mut process = site.start(None, "trace").unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let mut answers = String::new();
    // taken, taken, over the rate; and from a page that may not
    for (n, origin) in [PAGE, PAGE, PAGE, "https://evil.example"]
        .into_iter()
        .enumerate()
    {
        let request = http
            .post(process.events_url())
            .header("origin", origin)
            .header("user-agent", "canary-agent")
            .header("x-forwarded-for", "203.0.113.77")
            .header(
                "cookie",
                "_fbc=fb.1.1554763741205.canaryclick; s=canarysession",
            )
            .json(&json!({"data": [view(&format!("log-{n}"))]}));
        answers.push_str(&request.send().await.unwrap().text().await.unwrap());
    }
    let wait = sandbox.accepted_at_least(2);
    tokio::time::timeout(std::time::Duration::from_secs(30), wait)
        .await
        .unwrap();
    let sent = serde_json::to_string(&sandbox.ledger()).unwrap();
    assert!(sent.contains("203.0.113.77") && sent.contains("canaryclick"));
    let metrics = http.get(format!("{}/metrics", process.admin));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert_eq!(process.terminate(), 0);
    let log = process.whole_log();
    assert!(log.lines().count() > 10, "{log}");
    for canary in CANARIES {
        for (what, text) in [
            ("log", &log),
            ("metrics", &metrics),
            ("an answer", &answers),
        ] {
            assert!(!text.contains(canary), "{canary} is in the {what}");
        }
    }
    // of the cookies, those of Meta are kept and no other
    for (path, bytes) in all_bytes(site.dir.path()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("canarysession"), "{}", path.display());
    }
}
