//! The admin API, in process: who may do what, every route and its description, and that none of
//! it is where events are posted.

use std::collections::BTreeSet;
use std::sync::Arc;

use capigate::app::admin::{DOCUMENT, MAX_BODY, MAX_GUESSES, OPEN, routes};
use capigate::config::{Config, KeyRef};
use capigate::journal::segment::disk::RealDisk;
use capigate::sandbox::{Action, Fault};
use capigate::time::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Gateway, KEY, OTHER, PIXEL, purchase, purchases};

const ADMIN: &str = "the-admin-key";
const VIEW: &str = "the-view-key";

fn keyed(config: &mut Config) {
    let digest = |key: &str| KeyRef::Sha256(Sha256::digest(key).into());
    config.admin.keys = vec![digest(ADMIN)];
    config.admin.view_keys = vec![digest(VIEW)];
}

/// What the admin API answered.
#[derive(Debug)]
struct Said {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

async fn send(request: reqwest::RequestBuilder) -> Said {
    let response = request.send().await.unwrap();
    Said {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

fn request(
    gateway: &Gateway,
    method: &str,
    path: &str,
    key: Option<&str>,
) -> reqwest::RequestBuilder {
    let url = format!("http://{}{path}", gateway.running().admin_addr());
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = gateway.http.request(method, url);
    match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    }
}

async fn ask(gateway: &Gateway, path: &str) -> Said {
    send(request(gateway, "GET", path, Some(VIEW))).await
}

async fn tell(gateway: &Gateway, path: &str, body: Value) -> Said {
    send(request(gateway, "POST", path, Some(ADMIN)).json(&body)).await
}

/// A path with something in the place of its parameter.
fn filled(path: &str) -> String {
    let path = path.replace("{id}", "1-0").replace("{event_id}", "a%2Fb");
    let path = path.replace("{pixel}", PIXEL);
    if path == "/tail" {
        // it lasts as long as it is told to
        return "/tail?for=1s".to_owned();
    }
    path
}

/// Two events of one pixel that Graph refuses, and one of another whose token it refuses.
async fn with_trouble(gateway: &Gateway) {
    for id in ["bad-1", "bad-2"] {
        let fault = Fault::refuse_event(id, Some(2_804_019));
        gateway.sandbox.add_fault(fault);
    }
    let bad_token = Fault {
        edge: None,
        pixel: Some(OTHER.parse().unwrap()),
        times: None,
        action: Action::BadToken { subcode: None },
    };
    gateway.sandbox.add_fault(bad_token.forever());
    let events = ["bad-1", "good", "bad-2"].map(purchase).to_vec();
    assert_eq!(gateway.post(events).await.status, 200);
    let body = json!({"data": [purchase("held")]});
    assert_eq!(gateway.post_body(OTHER, &body).await.status, 200);
    gateway
        .until("two dead letters and a hold", async |gateway| {
            let dead = gateway.metric("capigate_dead_letters").await;
            let held = !gateway.running().lanes().holds().is_empty();
            (dead == 2 && held).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_in_the_configuration_nothing_is_open() {
    let gateway = Gateway::start().await;
    for (method, path) in routes() {
        for key in [None, Some(ADMIN), Some("")] {
            let said = send(request(&gateway, method, &filled(path), key)).await;
            assert_eq!((said.status, said.code().as_str()), (403, "no_keys"));
            assert!(said.text.contains("admin.keys"), "{said:?}");
        }
    }
    for path in OPEN {
        let said = send(request(&gateway, "GET", path, None)).await;
        assert_eq!(said.status, 200, "{path}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_key_reads_and_an_admin_key_changes() {
    let gateway = Gateway::with_disk(keyed, Arc::new(RealDisk), stopped_clock()).await;
    for (method, path) in routes() {
        let path = filled(path);
        let without = send(request(&gateway, method, &path, None)).await;
        assert_eq!(without.status, 401, "{method} {path}");
        assert_eq!(without.headers["www-authenticate"], "Bearer");
        let view = send(request(&gateway, method, &path, Some(VIEW))).await;
        let is_look = method == "GET" && path != "/dead/export";
        if is_look || ["/lint", "/search"].contains(&path.as_str()) {
            assert!(![401, 403].contains(&view.status), "{path}: {view:?}");
        } else {
            assert_eq!((view.status, view.code().as_str()), (403, "view_only"));
        }
        let admin = request(&gateway, method, &path, Some(ADMIN));
        let admin = send(admin.json(&json!({"dry_run": true}))).await;
        assert!(![401, 403].contains(&admin.status), "{path}: {admin:?}");
        assert_eq!(admin.headers["cache-control"], "no-store");
    }
    // neither is an ingest key an admin key, nor the other way round
    let said = send(request(&gateway, "GET", "/lanes", Some(KEY))).await;
    assert_eq!((said.status, said.code().as_str()), (401, "unauthorized"));
    let url = gateway.url(&format!("/v26.0/{PIXEL}/events"));
    let body = json!({"data": [purchase("x")]});
    let posted = gateway.http.post(url).bearer_auth(ADMIN).json(&body);
    assert_eq!(gateway.send(posted).await.status, 401);
    gateway.finish().await;
}

/// In the middle of a minute, so that no count of wrong keys begins anew.
fn stopped_clock() -> Clock {
    Clock::manual(Clock::Real.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_bounded() {
    let clock = stopped_clock();
    let gateway = Gateway::with_disk(keyed, Arc::new(RealDisk), clock.clone()).await;
    for guess in 0..MAX_GUESSES {
        let key = format!("guess-{guess}");
        let said = send(request(&gateway, "GET", "/lanes", Some(&key))).await;
        assert_eq!(said.status, 401);
    }
    let said = ask(&gateway, "/lanes").await;
    assert_eq!(
        (said.status, said.code().as_str()),
        (429, "too_many_wrong_keys")
    );
    let seconds: u64 = said.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(gateway.page("/healthz").await.0, 200);
    clock.set(clock.now().plus(std::time::Duration::from_secs(seconds)));
    assert_eq!(ask(&gateway, "/lanes").await.status, 200);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_where_events_are_posted() {
    let gateway = Gateway::with(keyed).await;
    let open = OPEN.iter().map(|path| ("GET", *path));
    for (method, path) in routes().chain(open) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let at_the_front_door = async |path: &str| {
            let request = gateway.http.request(method.clone(), gateway.url(path));
            let mut answer = gateway.send(request.bearer_auth(ADMIN)).await;
            answer.body["error"]["fbtrace_id"] = Value::Null;
            (answer.status, answer.body)
        };
        let unknown = at_the_front_door("/there/is/no/such/page/here").await;
        assert_eq!(unknown.0, 404);
        let answer = at_the_front_door(&filled(path)).await;
        if path == "/" {
            // Graph's batches are posted there
            assert_eq!(answer.1["error"]["error_data"]["code"], "method");
            continue;
        }
        assert_eq!(answer, unknown, "{path}");
    }
    gateway.finish().await;
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let open = OPEN.iter().map(|path| ("GET", *path));
    let real: BTreeSet<(String, String)> = routes()
        .chain(open)
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(described, real);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let is_open = operation["security"] == json!([]);
            assert_eq!(is_open, OPEN.contains(&path.as_str()), "{path}");
            let parameters = operation["parameters"].as_array();
            let named = |place: &str| {
                let all = parameters.into_iter().flatten();
                let all = all.filter(|one| one["in"] == place);
                all.map(|one| one["name"].as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            for name in named("path") {
                assert!(path.contains(&format!("{{{name}}}")), "{path}");
            }
            assert_eq!(named("path").len(), path.matches('{').count(), "{path}");
        }
    }
    no_dangling(&document, &document);
}

fn no_dangling(value: &Value, document: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(to) = members.get("$ref") {
                let to = to.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(document.pointer(to).is_some(), "{to}");
            }
            members
                .values()
                .for_each(|value| no_dangling(value, document));
        }
        Value::Array(all) => all.iter().for_each(|value| no_dangling(value, document)),
        _ => {}
    }
}

/// Holds a value to a schema of the document: types, and exactly the members that are named.
pub(crate) fn hold(value: &Value, schema: &Value, document: &Value, at: &str) {
    if let Some(to) = schema["$ref"].as_str() {
        let to = document.pointer(to.strip_prefix('#').unwrap()).unwrap();
        return hold(value, to, document, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = any
            .iter()
            .find(|one| value.is_null() == (one["type"] == "null"));
        return hold(value, fits.unwrap(), document, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |wanted: &Value| wanted == kind || (wanted == "number" && kind == "integer");
    match &schema["type"] {
        Value::Array(kinds) => assert!(kinds.iter().any(fits), "{at}: {value}"),
        wanted => assert!(fits(wanted), "{at}: {value} is no {wanted}"),
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value}");
    }
    if let (Some(all), false) = (value.as_array(), schema["items"].is_null()) {
        for one in all {
            hold(one, &schema["items"], document, &format!("{at}[]"));
        }
    }
    let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    else {
        return;
    };
    for (name, value) in members {
        let at = format!("{at}.{name}");
        let known = properties.get(name);
        hold(
            value,
            known.unwrap_or_else(|| panic!("{at} is not described")),
            document,
            &at,
        );
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        assert!(members.contains_key(name), "{at}.{name} is missing");
    }
}

pub(crate) fn described<'d>(
    document: &'d Value,
    method: &str,
    path: &str,
    status: u16,
) -> &'d Value {
    let operation = &document["paths"][path][method.to_lowercase()];
    let mut answer = &operation["responses"][status.to_string()];
    if let Some(to) = answer["$ref"].as_str() {
        answer = document.pointer(to.strip_prefix('#').unwrap()).unwrap();
    }
    let schema = &answer["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} {status}");
    schema
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_members_its_schema_names() {
    let mut gateway = Gateway::with(|config| {
        keyed(config);
        config.reload.watch = false;
    })
    .await;
    with_trouble(&gateway).await;
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let letters = ask(&gateway, "/dead").await.json();
    let letter = letters["letters"][0]["id"].as_str().unwrap().to_owned();
    let issues = ask(&gateway, "/issues?where=meta").await.json();
    let issue = issues["issues"][0]["id"].as_str().unwrap().to_owned();
    let hold_id = ask(&gateway, "/holds").await.json()["holds"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let tokens = ask(&gateway, "/tokens").await.json();
    let token = tokens["tokens"][0]["id"].as_str().unwrap().to_owned();
    let by_hand = format!("by_hand:{PIXEL}");
    let file = gateway.config_file();
    let good = std::fs::read_to_string(&file).unwrap();
    let fixed = good.replace("max_lanes = 10000", "max_lanes = 500");
    assert_ne!(good, fixed);
    std::fs::write(&file, fixed).unwrap();
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (method, path, real, body, status) in [
        ("GET", "/", "/", json!({}), 200),
        ("GET", "/readyz", "/readyz", json!({}), 200),
        ("GET", "/openapi.json", "/openapi.json", json!({}), 200),
        ("GET", "/lanes", "/lanes", json!({}), 200),
        ("GET", "/lanes", "/lanes?limit=0", json!({}), 400),
        ("GET", "/holds", "/holds", json!({}), 200),
        (
            "POST",
            "/holds",
            "/holds",
            json!({"pixel": PIXEL, "for": "2h", "reason": "the shop moves"}),
            200,
        ),
        ("POST", "/holds", "/holds", json!({"pixel": "7"}), 404),
        (
            "POST",
            "/holds",
            "/holds",
            json!({"pixel": PIXEL, "reason": "two\nlines"}),
            400,
        ),
        ("GET", "/holds", "/holds", json!({}), 200),
        ("GET", "/overview", "/overview", json!({}), 200),
        (
            "POST",
            "/holds/{id}/release",
            &format!("/holds/{by_hand}/release"),
            json!({}),
            200,
        ),
        (
            "POST",
            "/holds/{id}/release",
            &format!("/holds/{by_hand}/release"),
            json!({}),
            404,
        ),
        ("GET", "/tokens", "/tokens", json!({}), 200),
        (
            "POST",
            "/tokens/{id}/verify",
            &format!("/tokens/{token}/verify"),
            json!({}),
            200,
        ),
        (
            "POST",
            "/tokens/{id}/verify",
            "/tokens/none/verify",
            json!({}),
            404,
        ),
        (
            "POST",
            "/tokens/rotate",
            "/tokens/rotate",
            json!({"pixel": PIXEL, "token": "EAAcanary"}),
            409,
        ),
        (
            "POST",
            "/tokens/rotate",
            "/tokens/rotate",
            json!({"pixel": "7", "token": "EAAcanary"}),
            404,
        ),
        ("GET", "/overview", "/overview", json!({}), 200),
        ("GET", "/overview", "/overview?page=0", json!({}), 400),
        ("GET", "/funnel", "/funnel", json!({}), 200),
        ("GET", "/funnel", "/funnel?pixel=7", json!({}), 404),
        ("GET", "/stopped", "/stopped", json!({}), 200),
        ("GET", "/stopped", "/stopped?stage=lost", json!({}), 400),
        ("GET", "/quality", "/quality", json!({}), 200),
        (
            "GET",
            "/quality/meta",
            &format!("/quality/meta?pixel={PIXEL}"),
            json!({}),
            200,
        ),
        ("GET", "/quality/meta", "/quality/meta", json!({}), 400),
        (
            "GET",
            "/quality/meta",
            "/quality/meta?pixel=7",
            json!({}),
            404,
        ),
        (
            "POST",
            "/holds/{id}/release",
            &format!("/holds/{hold_id}/release"),
            json!({}),
            200,
        ),
        (
            "POST",
            "/holds/{id}/release",
            "/holds/pixel:7/release",
            json!({}),
            404,
        ),
        ("GET", "/limits", "/limits", json!({}), 200),
        ("GET", "/system", "/system", json!({}), 200),
        (
            "POST",
            "/test-mode",
            "/test-mode",
            json!({"pixel": PIXEL, "code": "TEST1", "for": "2h", "mirror": true}),
            200,
        ),
        ("POST", "/test-mode", "/test-mode", json!({}), 400),
        (
            "POST",
            "/test-mode",
            "/test-mode",
            json!({"pixel": "7", "code": "TEST1", "for": "2h"}),
            404,
        ),
        ("GET", "/test-mode", "/test-mode", json!({}), 200),
        ("GET", "/readyz", "/readyz", json!({}), 200),
        (
            "GET",
            "/go-live/{pixel}",
            &format!("/go-live/{PIXEL}?window=10m"),
            json!({}),
            200,
        ),
        ("GET", "/go-live/{pixel}", "/go-live/7", json!({}), 404),
        (
            "GET",
            "/go-live/{pixel}",
            &format!("/go-live/{PIXEL}?window=2h"),
            json!({}),
            400,
        ),
        (
            "POST",
            "/test-mode/stop",
            "/test-mode/stop",
            json!({"pixel": PIXEL}),
            200,
        ),
        ("GET", "/dead", "/dead", json!({}), 200),
        ("GET", "/dead/summary", "/dead/summary", json!({}), 200),
        (
            "GET",
            "/dead/{id}",
            &format!("/dead/{letter}"),
            json!({}),
            200,
        ),
        ("GET", "/dead/{id}", "/dead/999-9", json!({}), 404),
        ("GET", "/dead/{id}", "/dead/nine", json!({}), 400),
        ("GET", "/events/{event_id}", "/events/held", json!({}), 200),
        ("GET", "/events/{event_id}", "/events/never", json!({}), 404),
        ("GET", "/config", "/config", json!({}), 200),
        ("POST", "/config/reload", "/config/reload", json!({}), 409),
        ("GET", "/config", "/config", json!({}), 200),
        (
            "POST",
            "/dead/redrive",
            "/dead/redrive",
            json!({"dry_run": true}),
            200,
        ),
        (
            "POST",
            "/dead/redrive",
            "/dead/redrive",
            json!({"dry_run": 1}),
            400,
        ),
        (
            "POST",
            "/dead/purge",
            "/dead/purge",
            json!({"all": true, "dry_run": true}),
            200,
        ),
        ("POST", "/dead/purge", "/dead/purge", json!({}), 400),
        (
            "POST",
            "/search",
            "/search",
            json!({"email": " BAD-1@example.com"}),
            200,
        ),
        (
            "POST",
            "/search",
            "/search",
            json!({"email": "nobody", "order_id": "x"}),
            400,
        ),
        (
            "GET",
            "/attempts/{pixel}",
            &format!("/attempts/{PIXEL}"),
            json!({}),
            200,
        ),
        ("GET", "/issues", "/issues", json!({}), 200),
        ("GET", "/issues", "/issues?state=x", json!({}), 400),
        (
            "POST",
            "/issues/{id}/acknowledge",
            &format!("/issues/{issue}/acknowledge"),
            json!({}),
            200,
        ),
        (
            "POST",
            "/issues/{id}/acknowledge",
            "/issues/0123456789abcdef/acknowledge",
            json!({}),
            404,
        ),
        (
            "POST",
            "/issues/{id}/mute",
            &format!("/issues/{issue}/mute"),
            json!({"for": "8h"}),
            200,
        ),
        (
            "POST",
            "/issues/{id}/mute",
            &format!("/issues/{issue}/mute"),
            json!({"for": "31d"}),
            400,
        ),
        (
            "POST",
            "/lint",
            &format!("/lint?pixel={PIXEL}"),
            json!({"data": [purchase("linted"), {"event_name": "Lead"}]}),
            200,
        ),
        ("POST", "/lint", "/lint?pixel=9", json!({}), 404),
        (
            "POST",
            "/lint",
            &format!("/lint?pixel={PIXEL}"),
            json!({}),
            400,
        ),
    ] {
        let request = request(&gateway, method, real, Some(ADMIN));
        let said = send(if method == "GET" {
            request
        } else {
            request.json(&body)
        })
        .await;
        assert_eq!(said.status, status, "{method} {real}: {said:?}");
        let schema = described(&document, method, path, status);
        hold(&said.json(), schema, &document, real);
        all.push(said.text);
        seen.insert((method.to_owned(), path.to_owned()));
    }
    let live = good.replace("sends = \"30s\"", "sends = \"29s\"");
    assert_ne!(good, live);
    std::fs::write(&file, live).unwrap();
    let reloaded = tell(&gateway, "/config/reload", json!({})).await;
    let schema = described(&document, "POST", "/config/reload", 200);
    hold(&reloaded.json(), schema, &document, "/config/reload");
    assert_eq!(reloaded.json()["changed"], json!(["shutdown.sends"]));
    for (id, state) in [("good", "delivered"), ("bad-1", "dead")] {
        let said = ask(&gateway, &format!("/events/{id}")).await;
        let schema = described(&document, "GET", "/events/{event_id}", 200);
        hold(&said.json(), schema, &document, id);
        assert_eq!(said.json()["events"][0]["state"], state, "{said:?}");
    }
    let tail = ask(&gateway, "/tail?for=1s").await;
    assert_eq!(tail.headers["content-type"], "application/x-ndjson");
    seen.insert(("GET".to_owned(), "/tail".to_owned()));
    let export = send(request(&gateway, "GET", "/dead/export", Some(VIEW))).await;
    assert_eq!(export.status, 403, "{export:?}");
    let export = send(request(&gateway, "GET", "/dead/export", Some(ADMIN))).await;
    assert_eq!(export.headers["content-type"], "application/x-ndjson");
    assert_eq!(export.text.lines().count(), 2);
    seen.insert(("GET".to_owned(), "/dead/export".to_owned()));
    for (method, path) in routes() {
        let route = (method.to_owned(), path.to_owned());
        assert!(seen.contains(&route), "{method} {path} was not looked at");
    }
    all.push(export.text);
    for text in all {
        for secret in [
            ADMIN,
            VIEW,
            KEY,
            "sandbox-token",
            "second-token",
            "the-app-secret",
        ] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    // the lane that is held keeps its event
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_named() {
    let gateway = Gateway::with(keyed).await;
    for (path, names) in [
        ("/lanes?colour=red", "colour"),
        ("/lanes?limit=1001", "limit"),
        ("/lanes?limit=ten", "limit"),
        ("/lanes?pixel=x", "pixel"),
        ("/lanes?limit=1&limit=2", "limit"),
        ("/holds?limit=-1", "limit"),
        ("/limits?x=1", "x"),
        ("/dead?after=7", "after"),
        ("/dead?pixel=seven", "pixel"),
        ("/dead?older_than=soon", "older_than"),
        ("/dead?code=x", "code"),
        ("/dead/export?limit=7", "limit"),
        ("/tail?for=1h", "for"),
        ("/issues?where=x", "where"),
        ("/dead/summary?pixel=7", "pixel"),
        ("/events/a?limit=1", "limit"),
        ("/config?x=1", "x"),
        ("/openapi.json?x=1", "x"),
    ] {
        let said = send(request(&gateway, "GET", path, Some(ADMIN))).await;
        assert_eq!(said.status, 400, "{path}: {said:?}");
        let error = &said.json()["error"];
        let text = format!("{}: {}", error["message"], error["next"]);
        assert!(text.contains(names), "{path}: {text}");
    }
    for (path, body, names) in [
        ("/dead/purge", json!({"all": true, "colour": 1}), "colour"),
        (
            "/dead/purge",
            json!({"pixel": "7", "dry_run": "x"}),
            "dry_run",
        ),
        ("/dead/purge", json!({"ids": []}), "ids"),
        ("/dead/purge", json!({"ids": ["x"]}), "ids"),
        ("/dead/purge", json!({"ids": vec!["1-1"; 10_001]}), "ids"),
        ("/dead/redrive", json!({"all": true}), "all"),
        ("/dead/redrive?dry_run=true", json!({}), "dry_run"),
        ("/dead/redrive", json!({"older_than": {}}), "filter"),
        ("/holds/pixel:7/release", json!({"now": 1}), "now"),
        ("/config/reload", json!({"x": 1}), "x"),
        ("/dead/purge", json!({}), "all"),
        ("/dead/purge", json!({"pixel": ""}), "all"),
        ("/dead/purge", json!([]), "object"),
    ] {
        let said = tell(&gateway, path, body).await;
        assert_eq!(said.status, 400, "{path}: {said:?}");
        let error = &said.json()["error"];
        let text = format!("{}: {}", error["message"], error["next"]);
        assert!(text.contains(names), "{path}: {text}");
    }
    for (body, status) in [
        (vec![b' '; MAX_BODY + 1], 413),
        (b"{\"pixel\":".to_vec(), 400),
        (b"\xff\xfe".to_vec(), 400),
        ("[".repeat(10_000).into_bytes(), 400),
    ] {
        let purge = request(&gateway, "POST", "/dead/purge", Some(ADMIN));
        assert_eq!(send(purge.body(body)).await.status, status);
    }
    let long = format!("/events/{}", "x".repeat(1025));
    assert_eq!(ask(&gateway, &long).await.status, 400);
    assert_eq!(ask(&gateway, "/events/%ff").await.status, 400);
    // no such page and no such method are said in the same form, and need no key
    for (method, path, status) in [("GET", "/nowhere", 404), ("DELETE", "/dead", 405)] {
        let said = send(request(&gateway, method, path, None)).await;
        assert_eq!(said.status, status);
        assert!(said.json()["error"]["next"].is_string());
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_paged_redriven_and_purged() {
    let gateway = Gateway::with(keyed).await;
    for n in 0..5 {
        let fault = Fault::refuse_event(&format!("bad-{n}"), Some(2_804_019));
        gateway.sandbox.add_fault(fault);
    }
    gateway.post(purchases("bad", 5)).await;
    gateway
        .until("five dead letters", async |gateway| {
            (gateway.metric("capigate_dead_letters").await == 5).then_some(())
        })
        .await;
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = ask(&gateway, &format!("/dead?limit=2{after}")).await.json();
        for letter in page["letters"].as_array().unwrap() {
            assert_eq!(letter["reason"], "refused");
            assert_eq!(letter["code"], 100);
            ids.push(letter["id"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 5);
    for (query, count) in [
        ("reason=refused", 5),
        ("reason=expired", 0),
        (&format!("pixel={OTHER}"), 0),
        (&format!("pixel={PIXEL}&event_name=Purchase"), 5),
        ("event_name=Lead", 0),
        ("older_than=1h", 0),
        ("newer_than=1h", 5),
        (&format!("ids={},{}", ids[0], ids[3]), 2),
    ] {
        let page = ask(&gateway, &format!("/dead?{query}")).await.json();
        assert_eq!(page["letters"].as_array().unwrap().len(), count, "{query}");
        let export = format!("/dead/export?{query}");
        let export = send(request(&gateway, "GET", &export, Some(ADMIN)))
            .await
            .text;
        assert_eq!(export.lines().count(), count, "{query}");
    }
    let shown = ask(&gateway, &format!("/dead/{}", ids[0])).await.json();
    assert_eq!(shown["event"]["event_name"], "Purchase");
    assert_eq!(shown["event"]["user_data"]["client_user_agent"], "[masked]");

    let dry = tell(
        &gateway,
        "/dead/purge",
        json!({"ids": [ids[0]], "dry_run": true}),
    )
    .await;
    assert_eq!(dry.json(), json!({"dry_run": true, "letters": 1}));
    let purged = tell(&gateway, "/dead/purge", json!({"ids": [ids[0]]})).await;
    assert_eq!(purged.json(), json!({"dry_run": false, "letters": 1}));
    assert_eq!(
        ask(&gateway, &format!("/dead/{}", ids[0])).await.status,
        404
    );

    gateway.sandbox.clear_faults();
    let dry = tell(&gateway, "/dead/redrive", json!({"dry_run": true}))
        .await
        .json();
    assert_eq!(
        (&dry["would_redrive"], &dry["redriven"]),
        (&json!(4), &json!(0))
    );
    let done = tell(&gateway, "/dead/redrive", json!({"pixel": PIXEL}))
        .await
        .json();
    assert_eq!(done["redriven"], 4, "{done}");
    gateway.delivered(4).await;
    let summary = ask(&gateway, "/dead/summary").await.json();
    assert_eq!(
        (&summary["letters"], &summary["groups"]),
        (&json!(0), &json!([]))
    );
    let nothing = tell(&gateway, "/dead/purge", json!({"all": true}))
        .await
        .json();
    assert_eq!(nothing["letters"], 0);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_listed_and_released_and_limits_fill() {
    let gateway = Gateway::with(|config| {
        keyed(config);
        config.lanes.probe_interval = "1h".parse().unwrap();
    })
    .await;
    with_trouble(&gateway).await;
    let holds = ask(&gateway, "/holds").await.json();
    let hold = &holds["holds"][0];
    assert_eq!(
        (&hold["state"], &hold["cause"]),
        (&json!("held"), &json!("token"))
    );
    assert_eq!(hold["pixels"], json!([OTHER]));
    let lanes = ask(&gateway, &format!("/lanes?pixel={OTHER}")).await.json();
    assert_eq!(lanes["lanes"][0]["state"], "held", "{lanes}");
    assert_eq!(lanes["lanes"][0]["waiting"], 1);
    let event = ask(&gateway, "/events/held").await.json();
    assert_eq!(event["events"][0]["state"], "held", "{event}");
    assert_eq!(event["events"][0]["reason"], "token");

    let limits = ask(&gateway, "/limits").await.json();
    let limits = limits["limits"].as_array().unwrap();
    let used = |name: &str| {
        let found = limits.iter().find(|limit| limit["name"] == name);
        found.unwrap_or_else(|| panic!("{name}"))["used"].as_u64()
    };
    assert_eq!(used("journal.max_lanes"), Some(1));
    assert!(used("journal.max_bytes").is_some_and(|bytes| bytes > 0));
    assert!(used("journal.dead_max_bytes").is_some_and(|bytes| bytes > 0));
    assert_eq!(used("ingest.max_body"), None);
    // each is a key of the configuration
    let reference = capigate::config::reference();
    for limit in limits {
        let name = limit["name"].as_str().unwrap().rsplit('.').next().unwrap();
        assert!(reference.contains(&format!("{name} = ")), "{limit}");
    }

    gateway.sandbox.clear_faults();
    let id = hold["id"].as_str().unwrap();
    let released = tell(&gateway, &format!("/holds/{id}/release"), json!({})).await;
    assert_eq!(released.json(), json!({"released": id}));
    gateway.drained().await;
    assert_eq!(ask(&gateway, "/holds").await.json()["holds"], json!([]));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_no_health_check_out() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let gateway = Gateway::start().await;
    let admin = gateway.running().admin_addr();
    let ask = async {
        let mut idle = Vec::new();
        for _ in 0..200 {
            let mut stream = tokio::net::TcpStream::connect(admin).await.unwrap();
            let head = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            idle.push(stream);
        }
    };
    let asked = tokio::time::timeout(std::time::Duration::from_secs(30), ask).await;
    assert!(asked.is_ok(), "a connection was not taken");
    gateway.finish().await;
}
