//! The trail of an event on the console: issues, receipts and the live tail, from real traffic.

use std::time::Duration;

use capigate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::{Value, json};

use crate::console::{ADMIN, Browser, Seen, VIEW, keyed};
use crate::harness::{Gateway, OTHER, PIXEL, purchase};
use crate::support::{Site, all_bytes};

async fn ask(gateway: &Gateway, path: &str) -> Value {
    let url = format!("http://{}{path}", gateway.running().admin_addr());
    let request = gateway.http.get(url).bearer_auth(VIEW);
    request.send().await.unwrap().json().await.unwrap()
}

/// One event that is delivered, one that Meta refuses, one that is refused at the door.
async fn with_trouble(gateway: &Gateway) {
    let fault = Fault::refuse_event("bad", Some(2_804_009));
    gateway.sandbox.add_fault(fault);
    let mut broken = purchase("broken");
    broken["custom_data"]["currency"] = json!("none at all");
    let events = vec![purchase("good"), purchase("bad"), broken];
    assert_eq!(gateway.post(events).await.status, 200);
    gateway
        .until("a dead letter", async |gateway| {
            (gateway.metric("capigate_dead_letters").await == 1).then_some(())
        })
        .await;
    gateway.delivered(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_says_what_is_wrong_what_it_costs_and_what_to_do() {
    let mut gateway = Gateway::with(keyed).await;
    with_trouble(&gateway).await;
    let all = ask(&gateway, "/issues").await;
    let issues = all["issues"].as_array().unwrap();
    assert_eq!(issues.len(), 2, "{all}");
    let of = |place: &str| {
        let found = issues.iter().find(|issue| issue["place"] == place);
        found.unwrap_or_else(|| panic!("{place}: {all}"))
    };
    let (door, meta) = (of("door"), of("meta"));
    assert_eq!(door["word"], "without_currency");
    assert_eq!(door["path"], "custom_data.currency");
    assert_eq!(door["event_ids"], json!(["broken"]));
    assert_eq!(door["redrive"], Value::Null);
    assert_eq!(meta["word"], "refused");
    assert_eq!(
        (&meta["code"], &meta["subcode"]),
        (&json!(100), &json!(2_804_009))
    );
    assert_eq!(meta["path"], "custom_data.value");
    assert_eq!(meta["events"], 1);
    assert_eq!(meta["money"], json!({"EUR": 12.5}));
    assert_eq!(meta["event_ids"], json!(["bad"]));
    assert_eq!(meta["state"], "open");
    // of three that came
    assert_eq!(meta["share"], json!(0.3333));
    for (query, count) in [
        (format!("pixel={PIXEL}"), 2),
        (format!("pixel={OTHER}"), 0),
        ("code=without_currency".to_owned(), 1),
        ("code=100%2F2804009".to_owned(), 1),
        ("where=policy".to_owned(), 0),
        ("state=muted".to_owned(), 0),
    ] {
        let found = ask(&gateway, &format!("/issues?{query}")).await;
        assert_eq!(found["issues"].as_array().unwrap().len(), count, "{query}");
    }

    let browser = Browser::signed_in(&gateway, ADMIN).await;
    let page = browser.get("/console/issues?pixel=&code=").await;
    assert_eq!(page.status, 200, "{page:?}");
    for says in [
        "without_currency",
        "100/2804009",
        "12.50 EUR",
        "capigate explain 100/2804009",
        "/console/receipt?event_id=bad",
        "33.33 %",
    ] {
        assert!(page.text.contains(says), "{says}: {}", page.text);
    }
    let id = meta["id"].as_str().unwrap();
    let at = |what: &str| format!("/console/issues/{id}/{what}");
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    assert!(
        !viewer
            .get("/console/issues")
            .await
            .text
            .contains("Acknowledge")
    );
    assert_eq!(viewer.post(&at("acknowledge"), &[]).await.status, 403);

    assert_eq!(browser.post(&at("acknowledge"), &[]).await.status, 303);
    let page = browser.get("/console/issues?state=acknowledged").await;
    assert!(page.text.contains("by admin.keys[0]"), "{}", page.text);
    assert_eq!(
        browser.post(&at("mute"), &[("for", "31d")]).await.status,
        400
    );
    assert_eq!(
        browser.post(&at("mute"), &[("for", "8h")]).await.status,
        303
    );
    let muted = ask(&gateway, "/issues?state=muted").await;
    assert_eq!(muted["issues"][0]["id"], id);
    assert_eq!(muted["issues"][0]["muted"]["by"], "admin.keys[0]");

    // the dry run changes nothing; the redrive sends it again
    let dry = browser.post(&at("redrive"), &[("dry_run", "true")]).await;
    assert_eq!(dry.status, 200, "{dry:?}");
    assert!(dry.text.contains("Redrive 1 event<"), "{}", dry.text);
    assert_eq!(gateway.metric("capigate_dead_letters").await, 1);
    gateway.sandbox.clear_faults();
    assert_eq!(browser.post(&at("redrive"), &[]).await.status, 303);
    let page = browser.get("/console/issues").await;
    assert!(
        page.text.contains("On their way again: 1."),
        "{}",
        page.text
    );
    gateway.delivered(2).await;
    let door = door["id"].as_str().unwrap().to_owned();
    let door = format!("/console/issues/{door}/redrive");
    let none = browser.post(&door, &[("dry_run", "true")]).await;
    assert_eq!(none.status, 409);

    // what was said holds over a restart
    gateway.drained().await;
    gateway.down().await;
    gateway.up().await;
    let all = ask(&gateway, "/issues").await;
    let again = &all["issues"][1];
    assert_eq!(
        (&again["id"], &again["state"]),
        (&json!(id), &json!("muted")),
        "{all}"
    );
    assert!(!again["acknowledged"].is_null());
    assert_eq!(
        (&again["events"], &again["letters"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(all["issues"][0]["place"], "door");
    assert_eq!(all["issues"][0]["event_ids"], json!(["broken"]));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_sees_what_happens_and_no_value() {
    let gateway = Gateway::with(keyed).await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    let page = browser.get("/console/live").await;
    assert!(
        page.text.contains("data-stream=\"/console/live/stream\""),
        "{}",
        page.text
    );
    let url = format!(
        "http://{}/tail?pixel={PIXEL}",
        gateway.running().admin_addr()
    );
    let mut rows = gateway
        .http
        .get(url)
        .bearer_auth(VIEW)
        .send()
        .await
        .unwrap();
    assert_eq!(rows.headers()["content-type"], "application/x-ndjson");
    with_trouble(&gateway).await;
    let (mut text, mut seen) = (String::new(), Vec::new());
    while seen.len() < 5 {
        let chunk = rows.chunk().await.unwrap().expect("more rows");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        seen = text
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect();
    }
    let verdict = |id: &str| {
        let of = seen.iter().filter(|row| row["event_id"] == id);
        of.map(|row| row["verdict"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(verdict("good"), ["accepted", "delivered"], "{text}");
    assert_eq!(verdict("bad"), ["accepted", "dead"], "{text}");
    assert_eq!(verdict("broken"), ["refused"], "{text}");
    let accepted = seen.iter().find(|row| row["event_id"] == "good").unwrap();
    assert_eq!(accepted["source"], "shop");
    assert_eq!(accepted["keys"], json!(["em", "client_user_agent"]));
    assert!(
        !text.contains("xample.com") && !text.contains("tests"),
        "{text}"
    );
    drop(rows);

    // the page's stream, and no more of them than there are places
    let base = format!("http://{}", gateway.running().admin_addr());
    let mut open = Vec::new();
    for _ in 0..capigate::tail::MAX_WATCHERS {
        // the place of the one that was dropped is free when the gateway has noticed
        let stream = gateway.until("a place", async |_| {
            let stream = browser.open(&format!("{base}/console/live/stream")).await;
            (stream.status() == 200).then_some(stream)
        });
        open.push(stream.await);
    }
    assert_eq!(browser.get("/console/live/stream").await.status, 429);
    gateway.post(vec![purchase("watched")]).await;
    let mut text = String::new();
    while !text.contains("watched") {
        let chunk = open[0].chunk().await.unwrap().expect("more events");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.contains("event: rows"), "{text}");
    assert!(
        text.contains("aria-label=\\\"em, client_user_agent\\\""),
        "{text}"
    );
    drop(open);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_tells_the_way_of_an_event_and_sends_a_dead_one_again() {
    let gateway = Gateway::with(keyed).await;
    with_trouble(&gateway).await;
    gateway.drained().await;
    let browser = Browser::signed_in(&gateway, ADMIN).await;
    let typed = async |text: &str| browser.post("/console/receipt", &[("q", text)]).await;
    let page = browser.get("/console/receipt").await;
    assert_eq!(page.status, 200, "{page:?}");
    let seen = typed(" good ").await;
    assert_eq!(
        (seen.status, seen.goes_to()),
        (303, "/console/receipt?event_id=good")
    );
    let page = browser.get("/console/receipt?event_id=good").await.text;
    for says in [
        "Purchase",
        "delivered",
        "Meta confirmed the batch",
        "Trace id:",
        "Nothing to resend: Meta has confirmed it",
        "/events/good",
        "$CAPIGATE_ADMIN_KEY",
        "Its requests to Graph",
        "What was changed, and why",
        "user_data.em",
        "trimmed; lower-cased, then hashed, since Meta matches",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let page = browser.get("/console/receipt?event_id=bad").await.text;
    for says in [
        "dead letter",
        "Its requests to Graph",
        "100/2804009",
        "What to do:",
        "Resend",
        "[masked]",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let digest = capigate_digest("bad@example.com");
    assert!(
        !page.contains(&digest) && page.contains(&digest[..8]),
        "{page}"
    );
    let page = browser.get("/console/receipt?event_id=broken").await.text;
    for says in ["was not accepted", "without_currency", "What to do"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let page = browser
        .get("/console/receipt?event_id=nobody-knows")
        .await
        .text;
    assert!(
        page.contains("No event with this event_id is known"),
        "{page}"
    );
    assert!(!page.contains("nobody-knows"), "{page}");

    // by address and by order, in the page and in the API
    let page = typed("Bad@Example.com").await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("/console/receipt?event_id=bad"),
        "{}",
        page.text
    );
    assert!(page.text.contains("the 1 dead letter,"), "{}", page.text);
    let page = typed("not an address @").await;
    assert_eq!(page.status, 400);
    let url = format!("http://{}/search", gateway.running().admin_addr());
    let request = gateway.http.post(url).bearer_auth(VIEW);
    let body = json!({"email": " BAD@example.com "});
    let found: Value = request
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(found["dead"][0]["event_id"], "bad", "{found}");
    assert_eq!(
        found["dead"][0]["event"]["user_data"]["em"][0],
        format!("{}…", &digest[..8])
    );
    assert!(!found.to_string().contains(&digest));
    let attempts = ask(&gateway, &format!("/attempts/{PIXEL}")).await;
    let outcomes: Vec<&str> = (attempts["attempts"].as_array().unwrap().iter())
        .map(|one| one["outcome"].as_str().unwrap())
        .collect();
    assert!(
        outcomes.contains(&"delivered") && outcomes.contains(&"split"),
        "{attempts}"
    );

    // a viewer may look and ask, but not send
    let letter = found["dead"][0]["letter"].as_str().unwrap();
    let fields = [("letter", letter), ("event_id", "bad")];
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    let seen = viewer
        .post("/console/receipt", &[("q", "bad@example.com")])
        .await;
    assert_eq!(seen.status, 200);
    assert_eq!(
        viewer.post("/console/receipt/resend", &fields).await.status,
        403
    );
    gateway.sandbox.clear_faults();
    let seen = browser.post("/console/receipt/resend", &fields).await;
    assert_eq!(
        (seen.status, seen.goes_to()),
        (303, "/console/receipt?event_id=bad")
    );
    let page = browser.get("/console/receipt?event_id=bad").await.text;
    assert!(page.contains("It is on its way again."), "{page}");
    gateway.delivered(2).await;
    let seen = browser.post("/console/receipt/resend", &fields).await;
    assert_eq!(seen.status, 303);
    let page = browser.get("/console/receipt?event_id=bad").await.text;
    assert!(page.contains("no such dead letter any more"), "{page}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_is_told_whole_after_a_restart() {
    let mut gateway = Gateway::with(keyed).await;
    gateway.sandbox.add_fault(Fault::status(503).times(2));
    let mut first = purchase("first");
    first["custom_data"]["order_id"] = json!("order-17");
    first["event_time"] = json!(first["event_time"].as_i64().unwrap() * 1000);
    let mut second = purchase("second");
    second["user_data"]["em"] = json!("first@example.com");
    assert_eq!(gateway.post(vec![first, second]).await.status, 200);
    // while it is tried again, too
    let trying = gateway
        .until("a failure", async |gateway| {
            let known = ask(gateway, "/events/first").await;
            let is_tried = known["events"][0]["attempts"].is_array();
            is_tried.then_some(known)
        })
        .await;
    let early = &trying["events"][0];
    assert!(early["changes"].is_array(), "{early}");
    gateway.delivered(2).await;
    gateway.drained().await;
    gateway.down().await;
    gateway.up().await;

    let known = ask(&gateway, "/events/first").await;
    let event = &known["events"][0];
    assert_eq!(event["state"], "delivered", "{event}");
    let attempts = event["attempts"].as_array().unwrap();
    let of = |name: &str| {
        attempts
            .iter()
            .map(|one| one[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("outcome"), ["delivered", "transient", "transient"]);
    assert_eq!(of("events"), [2, 2, 2]);
    assert_eq!(of("of_batch"), [2, 2, 2]);
    assert_eq!(attempts[0]["trace_id"], event["trace_id"]);
    assert!(of("took_ms").iter().all(Value::is_number));
    assert_eq!(event["changes"], early["changes"]);
    let changes = event["changes"].as_array().unwrap();
    let did = |path: &str| {
        let own = changes.iter().find(|one| one["path"] == path);
        own.map(|one| one["did"].clone()).unwrap_or_default()
    };
    assert_eq!(
        did("user_data.em"),
        json!(["trimmed", "normalised", "hashed"])
    );
    assert_eq!(did("event_time"), json!(["normalised"]));

    // by the order and by the address
    let search = async |body: Value| -> Value {
        let url = format!("http://{}/search", gateway.running().admin_addr());
        let request = gateway.http.post(url).bearer_auth(VIEW);
        let answer = request.json(&body).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let found = search(json!({"order_id": "order-17"})).await;
    let ended = found["ended"].as_array().unwrap();
    assert_eq!(ended.len(), 1, "{found}");
    for same in ["at", "batch", "pixel", "changes", "attempts", "trace_id"] {
        assert_eq!(ended[0][same], event[same], "{same}");
    }
    let found = search(json!({"email": "First@example.com"})).await;
    assert_eq!(found["ended"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found["more"], false);
    let text = found.to_string().to_lowercase();
    for canary in ["first@", &capigate_digest("first@example.com")] {
        assert!(!text.contains(canary), "{found}");
    }
    let browser = Browser::signed_in(&gateway, ADMIN).await;
    let page = browser
        .post("/console/receipt", &[("q", " First@Example.com ")])
        .await;
    assert_eq!(page.status, 200);
    for says in [
        "Found 2 events of this address",
        "Ended",
        "Its requests to Graph",
        "transient",
    ] {
        assert!(page.text.contains(says), "{says}: {}", page.text);
    }
    assert!(
        !page.text.to_lowercase().contains("first@"),
        "{}",
        page.text
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_what_was_changed_and_the_search_that_found_it() {
    let gateway = Gateway::with(keyed).await;
    let fault = Fault::refuse_event("bad", Some(2_804_009));
    gateway.sandbox.add_fault(fault);
    let mut events: Vec<Value> = (0..7).map(|n| purchase(&format!("good-{n}"))).collect();
    events.insert(3, purchase("bad"));
    assert_eq!(gateway.post(events).await.status, 200);
    gateway.delivered(7).await;
    gateway.drained().await;
    let known = ask(&gateway, "/events/bad").await;
    let event = &known["events"][0];
    assert_eq!(event["state"], "dead", "{event}");
    let attempts = event["attempts"].as_array().unwrap();
    assert!(attempts.len() >= 2, "{event}");
    for one in attempts {
        let said = (
            &one["outcome"],
            &one["code"],
            &one["subcode"],
            &one["of_batch"],
        );
        assert_eq!(
            said,
            (&json!("split"), &json!(100), &json!(2_804_009), &json!(1))
        );
        assert!(one["trace_id"].is_string(), "{one}");
    }
    assert_eq!(attempts[0]["events"], 1);
    let changes = event["changes"].clone();
    assert_eq!(changes[0]["path"], "user_data.em");

    // sent again, it is told as it first came
    gateway.sandbox.clear_faults();
    let url = format!("http://{}/dead/redrive", gateway.running().admin_addr());
    let search = format!("http://{}/search", gateway.running().admin_addr());
    let search = gateway.http.post(search).bearer_auth(VIEW);
    let found = search.json(&json!({"event_id": "bad"})).send().await;
    let found: Value = found.unwrap().json().await.unwrap();
    let body = json!({"ids": [found["dead"][0]["letter"]], "dry_run": false});
    let sent = gateway.http.post(url).bearer_auth(ADMIN).json(&body);
    let sent: Value = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(sent["redriven"], 1, "{sent}");
    gateway.delivered(8).await;
    gateway.drained().await;
    let known = ask(&gateway, "/events/bad").await;
    let event = &known["events"][0];
    assert_eq!(
        (&event["state"], &event["changes"]),
        (&json!("delivered"), &changes)
    );
    gateway.finish().await;
}

fn capigate_digest(text: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(text.as_bytes()))
}

const EMAIL: &str = "typed.person@canary-mail.example";
const ORDER: &str = "canary-order-4711";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_into_the_box_is_kept_nowhere() {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    sandbox.add_fault(Fault::status(503).forever());
    let mut site = Site::new(sandbox.url());
    site.extra = "[admin]\nkeys = [{ env = \"TEST_ADMIN\" }]\n".to_owned();
    site.vars = vec![("TEST_ADMIN".to_owned(), ADMIN.to_owned())];
    let mut process = site.start(None, "trace").unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut event = purchase("held");
    event["user_data"]["em"] = json!(EMAIL);
    let post = http
        .post(process.events_url())
        .bearer_auth("the-ingest-key");
    let answer = post.json(&json!({"data": [event]})).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    let mut browser = Browser::at(&process.admin);
    browser.sign_in(ADMIN).await;
    let clean = |what: &str, text: &str| {
        let lower = text.to_lowercase();
        for canary in [EMAIL, "typed.person", ORDER, &capigate_digest(EMAIL)] {
            assert!(!lower.contains(canary), "{canary} is in {what}");
        }
    };
    let typed = async |text: &str| -> Seen {
        let seen = browser.post("/console/receipt", &[("q", text)]).await;
        clean("a page", &seen.text);
        clean("a header", &format!("{:?}", seen.headers));
        seen
    };
    let found = typed(&EMAIL.to_uppercase()).await;
    assert!(found.text.contains("event_id=held"), "{}", found.text);
    assert_eq!(typed(ORDER).await.status, 200);
    assert_eq!(typed(&format!("{EMAIL} {ORDER}")).await.status, 400);
    for path in [
        "/console/receipt",
        "/console/issues",
        "/console/live",
        "/console/receipt?event_id=held",
    ] {
        clean(path, &browser.get(path).await.text);
    }
    for body in [
        json!({"email": EMAIL}),
        json!({"order_id": ORDER}),
        json!({"email": EMAIL, "order_id": ORDER}),
    ] {
        let post = http
            .post(format!("{}/search", process.admin))
            .bearer_auth(ADMIN);
        let said = post.json(&body).send().await.unwrap().text().await.unwrap();
        clean("an answer", &said);
    }
    // and once it is delivered, when no more than a part of another digest is kept
    sandbox.clear_faults();
    let found = async || typed(EMAIL).await.text.contains("(delivered)");
    for _ in 0..300 {
        if found().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let last = typed(EMAIL).await.text;
    assert!(found().await, "{last}");
    assert_eq!(process.terminate(), 0);
    let log = process.whole_log();
    assert!(log.contains("events accepted"), "{log}");
    clean("the log", &log);
    for (path, bytes) in all_bytes(&site.dir.path().join("journal").join("receipts")) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains(&capigate_digest(EMAIL)),
            "{}",
            path.display()
        );
    }
    for (path, bytes) in all_bytes(site.dir.path()) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for canary in [EMAIL, "typed.person", ORDER] {
            assert!(!text.contains(canary), "{canary} is in {}", path.display());
        }
    }
}
