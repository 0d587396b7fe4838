//! The desk of the console: dead letters, pixels with their tokens, the test lab, the first run.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use capigate::config::SecretRef;
use capigate::journal::segment::disk::RealDisk;
use capigate::sandbox::{Action, Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::console::{ADMIN, Browser, Seen, VIEW, keyed};
use crate::harness::{Gateway, OTHER, PIXEL, purchase};
use crate::support::{Site, all_bytes};

/// The page says all of these.
pub(crate) fn says(seen: &Seen, parts: &[&str]) {
    assert_eq!(seen.status, 200, "{seen:?}");
    for part in parts {
        assert!(seen.text.contains(part), "{part}: {}", seen.text);
    }
}

/// A change has come to its end; what the next page says of it.
pub(crate) async fn done(browser: &Browser, seen: Seen) -> String {
    assert_eq!(seen.status, 303, "{seen:?}");
    let page = browser.get(seen.goes_to()).await;
    assert_eq!(page.status, 200, "{page:?}");
    let said = page.text.split("class=\"notice\">").nth(1).unwrap();
    said.split('<').next().unwrap().to_owned()
}

/// What is refused to a key that may only look, to a form without the session's token, and to one
/// from elsewhere.
pub(crate) async fn is_guarded(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) {
    let viewer = Browser::signed_in(gateway, VIEW).await;
    let seen = viewer.post(path, fields).await;
    assert_eq!(seen.status, 403, "{seen:?}");
    assert!(seen.text.contains("view_only"), "{}", seen.text);
    let admin = Browser::signed_in(gateway, ADMIN).await;
    for csrf in [None, Some(("csrf", "0123"))] {
        let all: Vec<(&str, &str)> = csrf.into_iter().chain(fields.iter().copied()).collect();
        let seen = admin.post_raw(path, &all).await;
        assert_eq!(seen.status, 403, "{seen:?}");
        assert!(seen.text.contains("foreign_form"), "{}", seen.text);
    }
}

/// A gateway with so many dead letters of purchases that Meta has refused.
async fn with_letters(ids: &[&str]) -> Gateway {
    let gateway = Gateway::with(keyed).await;
    for id in ids {
        let fault = Fault::refuse_event(id, Some(2_804_009)).forever();
        gateway.sandbox.add_fault(fault);
    }
    let events = ids.iter().map(|id| purchase(id)).collect();
    gateway.post(events).await;
    let count = ids.len() as u64;
    gateway
        .until("dead letters", async |gateway| {
            (gateway.metric("capigate_dead_letters").await == count).then_some(())
        })
        .await;
    gateway
}

/// The ids of the letters on a page, in order.
fn letters(seen: &Seen) -> Vec<String> {
    let links = seen.text.split("href=\"/console/dead/").skip(1);
    let ids = links.map(|rest| rest.split('"').next().unwrap().to_owned());
    ids.filter(|id| id.starts_with(|c: char| c.is_ascii_digit()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_looked_at_and_filtered() {
    let gateway = with_letters(&["one", "two"]).await;
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    let seen = viewer.get("/console/dead").await;
    says(&seen, &["100/2804009", "Purchase", PIXEL, "refused"]);
    assert!(!seen.text.contains("/console/dead/redrive"), "for admins");
    let ids = letters(&seen);
    assert_eq!(ids.len(), 2, "{}", seen.text);
    for (query, count) in [
        (format!("pixel={PIXEL}&reason=refused&code=100"), 2),
        ("subcode=2804009&event_name=Purchase&code=".to_owned(), 2),
        (format!("pixel={OTHER}"), 0),
        ("event_name=Lead".to_owned(), 0),
        ("older_than=1h".to_owned(), 0),
        (format!("ids={}", ids[1]), 1),
    ] {
        let seen = viewer.get(&format!("/console/dead?{query}")).await;
        says(&seen, &["Dead letters"]);
        assert_eq!(letters(&seen).len(), count, "{query}: {}", seen.text);
    }
    for bad in ["code=secret", "pixel=secret", "nonsense=secret"] {
        let seen = viewer.get(&format!("/console/dead?{bad}")).await;
        assert_eq!(seen.status, 400);
        assert!(!seen.text.contains("secret"), "{}", seen.text);
    }

    let seen = viewer.get(&format!("/console/dead/{}", ids[0])).await;
    says(&seen, &["Purchase", "[masked]", "…&#34;"]);
    let longest = seen
        .text
        .split(|c: char| !c.is_ascii_hexdigit())
        .map(str::len);
    // the page has its session's token, which is as long
    let digests = longest.filter(|len| *len == 64).count();
    let tokens = seen.text.matches("name=\"csrf\"").count();
    assert_eq!(digests, tokens, "{}", seen.text);
    assert!(!seen.text.contains("one@Example.com"));
    assert_eq!(viewer.get("/console/dead/9-9").await.status, 404);
    let list = viewer.get("/console/dead").await.text;
    assert!(!list.contains("Download as NDJSON") && list.contains("needs an admin key"));
    let seen = viewer.get("/console/dead/export?reason=refused").await;
    assert_eq!(seen.status, 403);
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    says(&admin.get("/console/dead").await, &["Download as NDJSON"]);
    let seen = admin.get("/console/dead/export?reason=refused").await;
    says(&seen, &["\"event_id\":\"one\"", "\"event_id\":\"two\""]);
    let name = seen.headers["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment"), "{name}");
    assert_eq!(viewer.get("/console/dead/redrive").await.status, 403);
    gateway.finish().await;
}

/// A tail and streams are read for so long.
const LISTENED: Duration = Duration::from_secs(2);

/// What an answer says, also of one that does not end.
async fn heard(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), rest(response).await)
}

async fn rest(mut response: reqwest::Response) -> String {
    let mut said = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            said.extend_from_slice(&chunk);
        }
    };
    // it has said what it has to say
    let _ended = tokio::time::timeout(LISTENED, reading).await;
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_key_gets_no_digest_of_an_address() {
    let mut gateway = with_letters(&["one"]).await;
    let address = "one@example.com";
    let digest = hex::encode(Sha256::digest(address));
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let seen = admin
        .post("/console/pixels/hold", &[("pixel", OTHER)])
        .await;
    assert_eq!(seen.status, 303, "{seen:?}");
    let base = format!("http://{}", gateway.running().admin_addr());
    let ask = |path: &str| gateway.http.get(format!("{base}{path}")).bearer_auth(VIEW);
    let tail = ask("/tail?for=1s").send().await.unwrap();
    // one that waits, and one that goes out with the address in its id
    let mut named = purchase("one");
    named["event_id"] = json!(address);
    gateway.post(vec![named.clone()]).await;
    let mut waits = purchase("one");
    waits["event_id"] = json!("waits");
    waits["custom_data"]["email_hash"] = json!(digest);
    gateway.post_body(OTHER, &json!({"data": [waits]})).await;
    gateway.delivered(1).await;

    let letters = heard(ask("/dead")).await.1;
    let letters: Value = serde_json::from_str(&letters).unwrap();
    let id = letters["letters"][0]["id"].as_str().unwrap().to_owned();
    let marked = gateway.sandbox.ledger().events.into_iter();
    let marked: Vec<String> = marked.filter_map(|event| event.event_id).collect();
    let marked = marked
        .iter()
        .find(|id| id.starts_with("redacted-"))
        .unwrap();
    assert!(!marked.contains(&digest[..8]), "{marked}");

    let mut all = vec![("/tail".to_owned(), rest(tail).await)];
    for path in [
        "/dead".to_owned(),
        format!("/dead/{id}"),
        "/events/one".to_owned(),
        "/events/waits".to_owned(),
        format!("/events/{marked}"),
        format!("/attempts/{PIXEL}"),
        "/issues".to_owned(),
        "/stopped".to_owned(),
        "/holds".to_owned(),
        "/overview".to_owned(),
        "/quality".to_owned(),
        "/funnel".to_owned(),
    ] {
        let (status, said) = heard(ask(&path)).await;
        assert_eq!(status, 200, "{path}: {said}");
        all.push((path, said));
    }
    let search = gateway
        .http
        .post(format!("{base}/search"))
        .bearer_auth(VIEW);
    let (status, said) = heard(search.json(&json!({"email": address}))).await;
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status, 200, "{said}");
    let beginning = json!([format!("{}…", &digest[..8])]);
    assert_eq!(found["waiting"][0]["event"]["user_data"]["em"], beginning);
    assert_eq!(found["dead"][0]["event"]["user_data"]["em"], beginning);
    all.push(("/search".to_owned(), said));
    let (status, said) = heard(ask("/dead/export")).await;
    assert_eq!(status, 403, "{said}");

    let viewer = Browser::signed_in(&gateway, VIEW).await;
    for path in [
        "/console".to_owned(),
        "/console/funnel".to_owned(),
        "/console/stopped".to_owned(),
        "/console/issues".to_owned(),
        "/console/dead".to_owned(),
        format!("/console/dead/{id}"),
        "/console/receipt?event_id=one".to_owned(),
        "/console/receipt?event_id=waits".to_owned(),
        "/console/quality".to_owned(),
        "/console/pixels".to_owned(),
        "/console/live".to_owned(),
    ] {
        let seen = viewer.get(&path).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.text);
        all.push((path, seen.text));
    }
    let seen = viewer.post("/console/receipt", &[("q", address)]).await;
    all.push(("a search".to_owned(), seen.text));
    assert!(all[0].1.contains(marked), "{}", all[0].1);
    for (path, said) in all {
        assert!(!said.contains(&digest[..16]), "{path}: {said}");
    }
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_there_with_a_slash_behind_it() {
    let gateway = Gateway::with(keyed).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let seen = admin.get("/console/").await;
    assert_eq!((seen.status, seen.goes_to()), (303, "/console"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_redriven_and_purged_after_a_look() {
    let gateway = with_letters(&["one", "two", "three"]).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let ids = letters(&admin.get("/console/dead").await);
    is_guarded(&gateway, "/console/dead/redrive", &[]).await;
    is_guarded(&gateway, "/console/dead/purge", &[("all", "true")]).await;
    assert_eq!(gateway.metric("capigate_dead_letters").await, 3);

    // the look changes nothing
    let plan = format!("/console/dead/redrive?ids={}", ids[0]);
    let seen = admin.get(&plan).await;
    says(
        &seen,
        &["Nothing was done yet", "Redrive 1 letter", &ids[0]],
    );
    let seen = admin.get("/console/dead/purge").await;
    says(
        &seen,
        &["Every letter is meant", "Remove 3 letters for good"],
    );
    assert_eq!(gateway.metric("capigate_dead_letters").await, 3);

    gateway.sandbox.clear_faults();
    let seen = admin
        .post("/console/dead/redrive", &[("ids", &ids[0])])
        .await;
    let said = done(&admin, seen).await;
    assert_eq!(said, "Back in the journal: 1 letter.");
    gateway.delivered(1).await;
    assert_eq!(gateway.metric("capigate_redriven_total").await, 1);

    let fields = [("reason", "refused"), ("pixel", PIXEL)];
    let seen = admin.post("/console/dead/purge", &fields).await;
    assert_eq!(done(&admin, seen).await, "Gone for good: 2 letters.");
    assert_eq!(gateway.metric("capigate_dead_letters").await, 0);
    // everything at once has to be said
    let seen = admin.post("/console/dead/purge", &[]).await;
    assert_eq!(seen.status, 400, "{seen:?}");
    says(
        &admin.get("/console/dead").await,
        &["There is no dead letter"],
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pixels_show_their_tokens_and_what_is_held() {
    let mut gateway = Gateway::with(keyed).await;
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let seen = viewer.get("/console/pixels").await;
    says(&seen, &[PIXEL, OTHER, "current", "every lane sends"]);
    assert!(!seen.text.contains("sandbox-token"), "{}", seen.text);
    assert!(!seen.text.contains("Verify…"), "for admins");
    let seen = viewer.get(&format!("/console/pixels?pixel={OTHER}")).await;
    says(&seen, &[OTHER]);
    assert!(!seen.text.contains(PIXEL));

    // a token that is refused holds its lane
    gateway.sandbox.add_fault(Fault {
        edge: None,
        pixel: Some(PIXEL.parse().unwrap()),
        times: None,
        action: Action::BadToken { subcode: Some(463) },
    });
    gateway.post(vec![purchase("held")]).await;
    let hold = gateway
        .until("a hold", async |gateway| {
            let holds = gateway.running().lanes().holds();
            holds.into_iter().next().map(|hold| hold.id)
        })
        .await;
    let seen = viewer.get("/console/pixels").await;
    says(&seen, &[&hold, "190/463", "capigate token rotate"]);
    assert!(!seen.text.contains("Release"), "for admins");
    is_guarded(&gateway, "/console/pixels/release", &[("id", &hold)]).await;
    gateway.sandbox.clear_faults();
    let seen = admin
        .post("/console/pixels/release", &[("id", &hold)])
        .await;
    let said = done(&admin, seen).await;
    assert!(said.starts_with(&hold), "{said}");
    gateway.delivered(1).await;
    let seen = admin
        .post("/console/pixels/release", &[("id", "pixel:1")])
        .await;
    assert_eq!(seen.status, 404, "{seen:?}");

    // verifying asks first, and sends no event
    let seen = admin.get(&format!("/console/pixels?pixel={OTHER}")).await;
    let id = seen.text.split("verify?token=").nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let before = gateway.sandbox.account_calls().len();
    let seen = admin
        .get(&format!("/console/pixels/verify?token={id}"))
        .await;
    says(&seen, &["No event is sent", "Ask Meta"]);
    assert_eq!(gateway.sandbox.account_calls().len(), before);
    is_guarded(&gateway, "/console/pixels/verify", &[("token", id)]).await;
    let batches = gateway.sandbox.ledger().batches.len();
    let seen = admin.post("/console/pixels/verify", &[("token", id)]).await;
    says(&seen, &["pixel_id", "Ask Meta again"]);
    assert!(!seen.text.contains("second-token"), "{}", seen.text);
    assert!(gateway.sandbox.account_calls().len() > before);
    assert_eq!(gateway.sandbox.ledger().batches.len(), batches);
    let seen = admin.get("/console/pixels/verify?token=none").await;
    assert_eq!(seen.status, 404);
    let seen = viewer
        .get(&format!("/console/pixels/rotate?pixel={PIXEL}"))
        .await;
    says(&seen, &["FIRST_TOKEN", "put the new token there"]);
    assert!(!seen.text.contains("capigate token add"), "{}", seen.text);
    assert!(!seen.text.contains("type=\"password\""), "{}", seen.text);
    gateway.drained().await;
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn test_codes_are_started_and_stopped() {
    let gateway = Gateway::with(keyed).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    says(
        &admin.get("/console/lab").await,
        &["No test code is set", "Put it into the box"],
    );
    let start = [
        ("pixel", PIXEL),
        ("code", "TEST12"),
        ("for", "90m"),
        ("mirror", "true"),
    ];
    is_guarded(&gateway, "/console/lab/start", &start).await;
    is_guarded(&gateway, "/console/lab/stop", &[("pixel", PIXEL)]).await;
    let seen = admin.post("/console/lab/start", &start).await;
    let said = done(&admin, seen).await;
    assert!(said.contains("TEST12") && said.contains("copy"), "{said}");
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    let seen = viewer.get("/console/lab").await;
    says(&seen, &["TEST12", "1 h 30 min", "active", "<td>on</td>"]);
    assert!(!seen.text.contains("/console/lab/stop"), "for admins");
    let bad = [("pixel", PIXEL), ("code", "TEST12"), ("for", "secret")];
    let seen = admin.post("/console/lab/start", &bad).await;
    assert_eq!(seen.status, 400);
    assert!(!seen.text.contains("secret"), "{}", seen.text);
    let seen = admin.post("/console/lab/stop", &[("pixel", PIXEL)]).await;
    let said = done(&admin, seen).await;
    assert_eq!(said, "Stopped, 1 codes were active.");
    gateway.finish().await;
}

/// The text of a box, as a browser would read it.
fn unescaped(text: &str) -> String {
    text.replace("&#34;", "\"")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
        .replace("&quot;", "\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_preset_is_good_and_can_be_sent() {
    let gateway = Gateway::with(keyed).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let page = admin.get("/console/lab").await.text;
    let list = page.split("<select id=\"preset\"").nth(1).unwrap();
    let list = list.split("</select>").next().unwrap();
    let names: Vec<&str> = list
        .split("<option")
        .skip(1)
        .map(|rest| rest.split(['>', '<']).nth(1).unwrap())
        .collect();
    assert!(names.len() >= 17, "{names:?}");
    for name in &names {
        let path = format!("/console/lab?preset={name}&pixel={PIXEL}");
        let page = admin.get(&path).await;
        says(&page, &["Before going live", name]);
        let body = page.text.split("<textarea").nth(1).unwrap();
        let body = body.split_once('>').unwrap().1;
        let body = unescaped(body.split("</textarea>").next().unwrap());
        let fields = [("pixel", PIXEL), ("payload", body.as_str())];
        let seen = admin.post("/console/lab/check", &fields).await;
        says(&seen, &["✓ accepted", "POST http", "[masked]"]);
        assert!(!seen.text.contains("✗ refused"), "{name}: {}", seen.text);
        if *name == "Purchase" || *name == "Contact" {
            let fields = [fields[0], fields[1], ("sure", "true")];
            let seen = admin.post("/console/lab/send", &fields).await;
            says(&seen, &["Taken: 1 event", "as source shop"]);
        }
    }
    gateway.delivered(2).await;
    let seen = admin.get("/console/lab?preset=Buy").await;
    assert_eq!(seen.status, 404);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pasted_is_judged_and_sent_only_when_one_is_sure() {
    let gateway = Gateway::with(keyed).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    let mut bad = purchase("bad");
    bad["custom_data"] = json!({"currency": "EUR"});
    // one event, a list, a whole body
    for (body, count) in [
        (bad.to_string(), 1),
        (json!([bad, purchase("good")]).to_string(), 2),
        (json!({"data": [bad, purchase("good")]}).to_string(), 2),
    ] {
        let fields = [("pixel", PIXEL), ("payload", body.as_str())];
        let seen = viewer.post("/console/lab/check", &fields).await;
        says(&seen, &["✗ refused", "without_value", "custom_data.value"]);
        assert_eq!(seen.text.matches("<section").count(), count);
    }
    let fields = [("pixel", PIXEL), ("payload", "{\"data\": nonsense")];
    let seen = viewer.post("/console/lab/check", &fields).await;
    assert_eq!(seen.status, 400, "{seen:?}");
    assert!(!seen.text.contains("nonsense"), "{}", seen.text);

    let body = purchase("sure").to_string();
    let mut fields = vec![("pixel", PIXEL), ("payload", body.as_str())];
    let seen = admin.post("/console/lab/send", &fields).await;
    assert_eq!(seen.status, 400, "{seen:?}");
    assert!(seen.text.contains("Meta counts an event"), "{}", seen.text);
    fields.push(("sure", "true"));
    is_guarded(&gateway, "/console/lab/send", &fields).await;
    // with the code that is active
    let start = [("pixel", PIXEL), ("code", "TEST7"), ("for", "1h")];
    assert_eq!(admin.post("/console/lab/start", &start).await.status, 303);
    let seen = admin.post("/console/lab/send", &fields).await;
    says(&seen, &["Taken: 1 event"]);
    gateway.delivered(1).await;
    let ledger = gateway.sandbox.ledger();
    let batch = &ledger.batches[ledger.batches.len() - 1];
    assert!(
        serde_json::to_string(batch).unwrap().contains("TEST7"),
        "{batch:?}"
    );
    // a source that may not post for the pixel
    let foreign = [
        ("pixel", crate::harness::FOREIGN),
        ("source", "shop"),
        ("payload", body.as_str()),
        ("sure", "true"),
    ];
    let seen = admin.post("/console/lab/send", &foreign).await;
    says(&seen, &["Nothing was taken (status 403)"]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_leads_from_nothing_to_the_first_event() {
    let mut kept = None;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("vault.key");
    std::fs::write(&key, "01".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let clock = Clock::Real;
    let mut gateway = Gateway::with_disk(
        |config| {
            keyed(config);
            kept = Some((config.pixels.clone(), config.sources.clone()));
            config.pixels.clear();
            config.sources.clear();
            config.tokens.vault = dir.path().join("tokens.vault");
            config.tokens.vault_key = Some(SecretRef::File(key));
        },
        std::sync::Arc::new(RealDisk),
        clock,
    )
    .await;
    let (pixels, sources) = kept.unwrap();
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let seen = admin.get("/console/first").await;
    says(
        &seen,
        &[
            "Pixel: next",
            "Token: later",
            "[pixels.1234567890123456]",
            "capigate.toml",
        ],
    );
    is_guarded(&gateway, "/console/first/reload", &[]).await;

    let pixel = PIXEL.parse().unwrap();
    let mut bare = pixels[&pixel].clone();
    let token = bare.token.take();
    gateway.config.pixels.insert(pixel, bare);
    gateway.write_config();
    let seen = admin.post("/console/first/reload", &[]).await;
    let said = done(&admin, seen).await;
    assert_eq!(said, "The changed configuration is in force.");
    says(
        &admin.get("/console/first").await,
        &[
            "Pixel: done",
            "Token: next",
            "capigate token add --pixel 1234567890123456",
            "/console/pixels/rotate?pixel=1234567890123456",
        ],
    );
    gateway.config.pixels.get_mut(&pixel).unwrap().token = token;
    gateway.write_config();
    assert_eq!(admin.post("/console/first/reload", &[]).await.status, 303);
    let seen = admin.get("/console/first").await;
    says(&seen, &["Token: done", "Source key: next", "openssl rand"]);
    let mut source = sources["shop"].clone();
    source.pixels = [pixel].into();
    gateway.config.sources.insert("shop".to_owned(), source);
    gateway.write_config();
    assert_eq!(admin.post("/console/first/reload", &[]).await.status, 303);
    let seen = admin.get("/console/first").await;
    says(
        &seen,
        &["Source key: done", "First event: next", "curl -sS"],
    );
    gateway.post(vec![purchase("first")]).await;
    gateway.delivered(1).await;
    gateway.drained().await;
    gateway
        .until("the last step", async |_| {
            let seen = admin.get("/console/first").await;
            seen.text.contains("Go live: done").then_some(())
        })
        .await;
    gateway.finish().await;
}

/// A person in every form in which one may be pasted; none of it may be found anywhere.
const CANARIES: &[&str] = &[
    "canary.person",
    "canary-mail",
    "9876543210",
    "Canaryperson",
    "198.51.100.77",
    "canary-agent",
];

fn search(what: &str, bytes: &[u8]) {
    for canary in CANARIES {
        let mut windows = bytes.windows(canary.len());
        let found = windows.any(|window| window.eq_ignore_ascii_case(canary.as_bytes()));
        assert!(!found, "{canary} is in {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_person_is_found_nowhere_and_each_change_leaves_one_line() {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("first", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    site.extra = "[admin]\nkeys = [{ env = \"ADMIN_KEY\" }]".to_owned();
    site.vars = vec![("ADMIN_KEY".to_owned(), ADMIN.to_owned())];
    let mut process = site.start(None, "trace").unwrap();
    let mut admin = Browser::at(&process.admin);
    admin.sign_in(ADMIN).await;
    for id in ["gone", "kept"] {
        let fault = Fault::refuse_event(id, Some(2_804_009)).forever();
        sandbox.add_fault(fault);
    }
    let mut person = purchase("gone");
    person["event_source_url"] =
        json!("https://shop.example/?mail=canary.person@canary-mail.example");
    person["user_data"] = json!({
        "em": "Canary.Person@Canary-Mail.example",
        "ph": "+49 9876543210",
        "fn": "Canaryperson",
        "nickname": "Canaryperson",
        "client_ip_address": "198.51.100.77",
        "client_user_agent": "canary-agent/1.0",
    });
    let body = person.to_string();
    let fields = [("pixel", PIXEL), ("payload", &*body), ("sure", "true")];
    for path in ["/console/lab/check", "/console/lab/send"] {
        let fields = &fields[..if path.ends_with("send") { 3 } else { 2 }];
        let seen = admin.post(path, fields).await;
        says(&seen, &[PIXEL]);
        search(path, seen.text.as_bytes());
    }
    let wrong = body.replace("\"event_name\"", "\"canary.person");
    for payload in [wrong.as_str(), "canary.person@canary-mail.example"] {
        let fields = [("pixel", PIXEL), ("payload", payload)];
        let seen = admin.post("/console/lab/check", &fields).await;
        search("a refusal", seen.text.as_bytes());
    }
    let kept = purchase("kept").to_string();
    let fields = [("pixel", PIXEL), ("payload", &*kept), ("sure", "true")];
    says(&admin.post("/console/lab/send", &fields).await, &[PIXEL]);
    let mut ids = Vec::new();
    for _ in 0..800 {
        let seen = admin.get("/console/dead").await;
        ids = letters(&seen);
        if ids.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(ids.len(), 2, "{}", process.log());
    let letter = format!("/console/dead/{}", ids[0]);
    for path in [
        "/console/dead",
        &letter,
        "/console/pixels",
        "/console/lab",
        "/console/first",
    ] {
        let seen = admin.get(path).await;
        says(&seen, &["capigate"]);
        search(path, seen.text.as_bytes());
    }
    sandbox.clear_faults();
    let seen = admin
        .post("/console/dead/redrive", &[("ids", &ids[0])])
        .await;
    assert_eq!(done(&admin, seen).await, "Back in the journal: 1 letter.");
    let seen = admin.post("/console/dead/purge", &[("ids", &ids[1])]).await;
    assert_eq!(done(&admin, seen).await, "Gone for good: 1 letter.");
    says(&admin.get("/console/dead/export").await, &[]);
    sandbox.accepted_at_least(1).await;
    assert_eq!(process.terminate(), 0);
    let log = process.whole_log();
    search("the log", log.as_bytes());
    for (path, bytes) in all_bytes(site.dir.path()) {
        // what Meta gets in clear waits in the journal, and in no other place
        let is_journal = path.ends_with("segments") || path.extension().is_some_and(|e| e == "seg");
        if !is_journal {
            search(&path.display().to_string(), &bytes);
        }
    }
    let audited = |route: &str| {
        let of = |line: &&str| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            line["admin.route"] == route
        };
        log.lines().filter(of).count()
    };
    for (route, subject) in [
        ("/console/dead/redrive", format!("ids={}", ids[0])),
        ("/console/dead/purge", format!("ids={}", ids[1])),
        ("/console/lab/send", format!("pixel={PIXEL}")),
    ] {
        let subject = format!("\"admin.subject\":\"{subject}\"");
        let mut lines = log
            .lines()
            .filter(|line| line.contains(&format!("\"admin.route\":\"{route}\"")));
        assert!(lines.all(|line| line.contains(&subject)), "{route}: {log}");
    }
    for (route, count) in [
        ("/console/dead/redrive", 1),
        ("/console/dead/purge", 1),
        ("/console/dead/export", 1),
        ("/console/lab/send", 2),
        ("/console/lab/check", 0),
    ] {
        assert_eq!(audited(route), count, "{route}");
    }
}
