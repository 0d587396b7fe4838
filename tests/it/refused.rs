//! Requests that are refused as a whole: every event of them counts, and the funnel, the list of what
//! stopped, the issues and their pages say the same number.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::console::{ADMIN, Browser, VIEW, keyed};
use crate::harness::{FOREIGN, Gateway, KEY, OTHER, PIXEL, purchase, purchases};

async fn ask(gateway: &Gateway, path: &str) -> Value {
    let url = format!("http://{}{path}", gateway.running().admin_addr());
    let request = gateway.http.get(url).bearer_auth(ADMIN);
    request.send().await.unwrap().json().await.unwrap()
}

type Counts = BTreeMap<String, u64>;

fn counts<const N: usize>(counts: [(&str, u64); N]) -> Counts {
    let own = |(word, count): (&str, u64)| (word.to_owned(), count);
    counts.into_iter().map(own).collect()
}

/// How many events of a pixel were refused by which word: the same wherever one asks.
async fn refused(gateway: &Gateway, pixel: &str) -> Counts {
    let funnel = ask(gateway, &format!("/funnel?pixel={pixel}")).await;
    let said: Counts = serde_json::from_value(funnel["refused_by"].clone()).unwrap();
    let sum: u64 = said.values().sum();
    assert_eq!(funnel["refused"], sum);

    let stopped = format!("/stopped?pixel={pixel}&stage=refused&limit=1000");
    let stopped = ask(gateway, &stopped).await;
    assert_eq!(
        (&stopped["counted"], &stopped["kept"]),
        (&json!(sum), &json!(sum))
    );
    let mut listed = Counts::new();
    for row in stopped["rows"].as_array().unwrap() {
        assert_eq!(row["source"], "shop");
        let cause = row["cause"].as_str().unwrap().to_owned();
        *listed.entry(cause).or_default() += row["events"].as_u64().unwrap();
    }
    assert_eq!(listed, said);

    let issues = ask(gateway, &format!("/issues?pixel={pixel}&where=door")).await;
    let (mut events, mut lately) = (Counts::new(), 0);
    for one in issues["issues"].as_array().unwrap() {
        let word = one["word"].as_str().unwrap().to_owned();
        *events.entry(word).or_default() += one["events"].as_u64().unwrap();
        lately += one["last_hour"].as_u64().unwrap();
    }
    assert_eq!((events, lately), (said.clone(), sum));

    let overview = ask(gateway, "/overview").await;
    let rows = overview["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["pixel"] == pixel).unwrap();
    assert_eq!(row["last_24_hours"]["refused"], sum);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn all_events_of_a_strict_pixels_refused_request_count() {
    let gateway = Gateway::with(|config| {
        keyed(config);
        let pixel = config.pixels.get_mut(&PIXEL.parse().unwrap()).unwrap();
        pixel.strict = true;
    })
    .await;
    let mut events = purchases("good", 9);
    let mut bad = purchase("bad");
    bad["custom_data"]["currency"] = json!("none at all");
    events.insert(4, bad);
    let answer = gateway.post(events).await;
    assert_eq!(answer.status, 400);
    let cause = answer.body["errors"][0]["code"].as_str().unwrap();
    let said = refused(&gateway, PIXEL).await;
    assert_eq!(said, counts([("events", 9), (cause, 1)]));

    // each by its name and id, with what it is worth
    let funnel = ask(&gateway, &format!("/funnel?pixel={PIXEL}")).await;
    assert_eq!(funnel["received"], 10);
    assert_eq!(funnel["rows"][0]["event_name"], "Purchase");
    assert_eq!(funnel["rows"][0]["refused"], 10);
    let stopped = ask(&gateway, "/stopped?cause=events").await;
    let ids = stopped["rows"].as_array().unwrap().iter();
    let mut ids: Vec<&str> = ids.map(|row| row["event_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let all: Vec<String> = (0..9).map(|n| format!("good-{n}")).collect();
    assert_eq!(ids, all);
    let issues = ask(&gateway, "/issues?code=events").await;
    let issue = &issues["issues"][0];
    assert_eq!(
        (&issue["valued"], &issue["share"]),
        (&json!(9), &json!(0.9))
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_requests_count_by_their_events_or_as_one() {
    let gateway = Gateway::with(keyed).await;
    let to = |pixel: &str| {
        let url = gateway.url(&format!("/v26.0/{pixel}/events"));
        gateway.http.post(url)
    };
    let json = |pixel: &str, body: &Value| to(pixel).bearer_auth(KEY).json(body);
    let raw = |body: &'static str| {
        let request = to(PIXEL).header("content-type", "application/json");
        request.bearer_auth(KEY).body(body)
    };
    let many = json!({"data": purchases("many", 1003)});
    let by_body = |data: Value| to(PIXEL).json(&json!({"data": data, "access_token": KEY}));
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (at, event) in purchases("form", 1002).into_iter().enumerate() {
        form.append_pair(&format!("data[{at}]"), &event.to_string());
    }
    let form = (to(PIXEL).bearer_auth(KEY))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish());
    let wrong_encoding = raw("not packed").header("content-encoding", "gzip");
    for (request, word) in [
        (raw("{\"data\":["), "bad_json"),
        (raw("{\"data\":[]}"), "no_events"),
        (by_body(json!([])), "no_events"),
        (wrong_encoding, "bad_encoding"),
        (json(PIXEL, &many), "too_many_events"),
        (by_body(many["data"].clone()), "too_many_events"),
        // a form is read until it is too long
        (form, "too_many_events"),
        (
            json(FOREIGN, &json!({"data": purchases("f", 3)})),
            "forbidden_pixel",
        ),
        // nobody's
        (
            json("77", &json!({"data": purchases("u", 3)})),
            "unknown_pixel",
        ),
        (to(PIXEL).bearer_auth("wrong").json(&many), "unauthorized"),
        (to(PIXEL).json(&many), "too_many_events"),
    ] {
        let answer = gateway.send(request).await;
        assert_eq!(answer.body["error"]["error_data"]["code"], word);
    }
    let said = refused(&gateway, PIXEL).await;
    let expected = counts([
        ("bad_json", 1),
        ("no_events", 2),
        ("bad_encoding", 1),
        ("too_many_events", 1003 + 1003 + 1001),
    ]);
    assert_eq!(said, expected);
    let said = refused(&gateway, FOREIGN).await;
    assert_eq!(said, counts([("forbidden_pixel", 1)]));
    assert_eq!(refused(&gateway, OTHER).await, Counts::new());
    let issues = ask(&gateway, "/issues").await;
    assert_eq!(issues["issues"].as_array().unwrap().len(), 5, "{issues}");
    let all = ask(&gateway, "/funnel").await;
    assert_eq!(
        (&all["received"], &all["accepted"]),
        (&json!(3012), &json!(0))
    );
    let browser = Browser::signed_in(&gateway, VIEW).await;
    let page = browser.get("/console/funnel").await;
    for says in ["counts as one", "too_many_events: 3\u{202f}007"] {
        assert!(page.text.contains(says), "{says}: {}", page.text);
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_counts_its_operations_apart() {
    let gateway = Gateway::with(keyed).await;
    let operation = |pixel: &str, body: &str| json!({"method": "POST", "relative_url": format!("v26.0/{pixel}/events"), "body": body});
    let three = json!({"data": purchases("f", 3)}).to_string();
    let batch = json!({"batch": [
        operation(PIXEL, "{\"data\":["),
        operation(OTHER, "{\"data\":[]}"),
        operation(FOREIGN, &three),
    ]});
    let request = gateway.http.post(gateway.url("/")).bearer_auth(KEY);
    let answer = gateway.send(request.json(&batch)).await;
    assert_eq!(answer.status, 200);
    for (pixel, word, events) in [
        (PIXEL, "bad_json", 1),
        (OTHER, "no_events", 1),
        (FOREIGN, "forbidden_pixel", 3),
    ] {
        assert_eq!(refused(&gateway, pixel).await, counts([(word, events)]));
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_of_a_rate_counts_events_and_says_of_which_time() {
    let mut gateway = Gateway::with(|config| {
        keyed(config);
        let source = config.sources.get_mut("shop").unwrap();
        source.rate = "1/h".parse().unwrap();
        source.burst = Some(1000);
    })
    .await;
    assert_eq!(gateway.post(purchases("good", 900)).await.status, 200);
    assert_eq!(gateway.post(purchases("over", 300)).await.status, 429);
    assert_eq!(refused(&gateway, PIXEL).await, counts([("rate", 300)]));
    let issues = ask(&gateway, "/issues").await;
    let issue = &issues["issues"][0];
    assert_eq!(
        (&issue["events"], &issue["share"]),
        (&json!(300), &json!(0.25))
    );
    let since = issue["hour_since"].as_i64().unwrap();
    assert!(since <= issue["first_seen"].as_i64().unwrap(), "{issue}");
    gateway.delivered(900).await;

    gateway.down().await;
    gateway.up().await;
    let issues = ask(&gateway, "/issues").await;
    let issue = &issues["issues"][0];
    let told = ["events", "last_hour", "share"].map(|name| &issue[name]);
    assert_eq!(told, [&json!(300), &json!(0), &Value::Null]);
    let since = issue["hour_since"].as_i64().unwrap();
    assert!(since >= issue["last_seen"].as_i64().unwrap(), "{issue}");
    let browser = Browser::signed_in(&gateway, VIEW).await;
    let page = browser.get("/console/issues").await;
    let says = ", since the gateway started. First seen";
    assert!(page.text.contains(says), "{}", page.text);
    assert!(!page.text.contains("in the last hour"), "{}", page.text);
    gateway.finish().await;
}
