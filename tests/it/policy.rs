//! What an operator lets pass, keeps back and changes.

use std::path::Path;

use capigate::config::{Config, Policy};
use capigate::sandbox::{Action, Fault, Times};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Answer, Gateway, OTHER, PIXEL, purchase, purchases};

/// Reads a policy as it would stand in a file.
fn policy(text: &str) -> Policy {
    toml::from_str(text).unwrap()
}

/// Gives the source a policy.
fn of_source(text: &'static str) -> impl FnOnce(&mut Config) {
    |config| config.sources.get_mut("shop").unwrap().policy = policy(text)
}

/// Gives the first pixel a policy.
fn of_pixel(id: &str, text: &'static str) -> impl FnOnce(&mut Config) {
    let id = id.parse().unwrap();
    move |config| config.pixels.get_mut(&id).unwrap().policy = policy(text)
}

/// A purchase with some members of its own; `null` takes one out.
fn event(id: &str, members: Value) -> Value {
    let mut event = purchase(id);
    let Value::Object(members) = members else {
        panic!("{members} is no object");
    };
    for (path, value) in members {
        let (section, name) = path.split_once('.').unwrap_or(("", &path));
        let section = match section {
            "" => &mut event,
            section => &mut event[section],
        };
        if value.is_null() {
            section.as_object_mut().unwrap().remove(name);
        } else {
            section[name] = value;
        }
    }
    event
}

/// The SHA-256 of a text in hex.
fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// What the answer says was kept back: places and policies.
fn filtered(answer: &Answer) -> Vec<(u64, &str)> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let Some(all) = answer.body["filtered"].as_array() else {
        return Vec::new();
    };
    all.iter()
        .map(|one| {
            (
                one["index"].as_u64().unwrap(),
                one["policy"].as_str().unwrap(),
            )
        })
        .collect()
}

fn received(answer: &Answer) -> u64 {
    answer.body["events_received"].as_u64().unwrap()
}

/// The event as Graph got it.
fn sent(gateway: &Gateway, pixel: &str, id: &str) -> Value {
    let pixel = pixel.parse().unwrap();
    let ledger = gateway.sandbox.ledger();
    let found = ledger
        .events
        .into_iter()
        .find(|event| event.pixel == pixel && event.event_id.as_deref() == Some(id));
    found
        .unwrap_or_else(|| panic!("{id} did not go out"))
        .body
        .unwrap()
}

/// What is known of an event, by the admin API: state, reason and policies, by pixel.
async fn receipts(gateway: &Gateway, id: &str) -> Vec<Value> {
    let receipts = gateway.running().receipts().clone();
    let id = id.to_owned();
    let found = tokio::task::spawn_blocking(move || receipts.find(&id, 100)).await;
    let all = capigate::receipts::gathered(found.unwrap().unwrap());
    let mut all: Vec<Value> = all
        .iter()
        .map(|receipt| {
            let receipt = serde_json::to_value(receipt).unwrap();
            json!({
                "pixel": receipt["pixel"],
                "state": receipt["state"],
                "reason": receipt["reason"],
                "policies": receipt["policies"],
            })
        })
        .collect();
    all.sort_by_key(ToString::to_string);
    all
}

async fn count(gateway: &Gateway, metric: &str) -> u64 {
    let (_, page) = gateway.page("/metrics").await;
    let line = page.lines().find(|line| {
        line.strip_prefix(metric)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    line.unwrap_or_else(|| panic!("no {metric}"))
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// Whether any file below the directory holds the text.
fn holds(dir: &Path, text: &str) -> bool {
    let mut entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.any(|path| {
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn event_names_and_hosts_pass_by_list() {
    let gateway = Gateway::with(of_source(
        r#"allow_events = ["Purchase", "Lead"]
           block_events = ["PageView"]
           allow_hosts = ["shop.example", "*.shop.example"]
           block_hosts = ["staging.shop.example"]"#,
    ))
    .await;
    let events = vec![
        purchase("a"),
        event("b", json!({"event_name": "PageView"})),
        event("c", json!({"event_name": "purchase"})),
        event(
            "d",
            json!({"event_source_url": "https://staging.shop.example/"}),
        ),
        event("e", json!({"event_source_url": "https://evil.example/"})),
        event("f", json!({"event_source_url": null})),
        event(
            "g",
            json!({"event_source_url": null, "action_source": "physical_store"}),
        ),
        // what is kept back is not looked at further
        event(
            "h",
            json!({"event_name": "PageView", "event_time": "x", "user_data.em": 7}),
        ),
        // but what cannot be read is bad
        event("i", json!({"event_name": "PageView", "user_data": 7})),
    ];
    let answer = gateway.post(events).await;
    assert_eq!(
        filtered(&answer),
        [
            (1, "block_events"),
            (2, "allow_events"),
            (3, "block_hosts"),
            (4, "allow_hosts"),
            (5, "allow_hosts"),
            (7, "block_events"),
        ],
        "{}",
        answer.body
    );
    assert_eq!(answer.body["errors"][0]["index"], 8);
    assert_eq!(received(&answer), 2);
    let messages = answer.body["messages"].to_string();
    assert!(
        messages.contains("data[3]: not sent: block_hosts (sources.shop.policy.block_hosts)"),
        "{messages}"
    );
    gateway.delivered(2).await;
    for (policy, count_of) in [("block_events", 2), ("allow_hosts", 2), ("consent", 0)] {
        let metric = format!("capigate_filtered_total{{pixel=\"{PIXEL}\",policy=\"{policy}\"}}");
        assert_eq!(count(&gateway, &metric).await, count_of, "{policy}");
    }
    let want =
        json!({"pixel": PIXEL, "state": "filtered", "reason": "allow_events", "policies": null});
    assert_eq!(receipts(&gateway, "c").await, [want]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_said_no_is_not_in_any_file() {
    let gateway = Gateway::with(of_source(
        r#"consent = { field = "consent", denied = ["denied", false, 0] }"#,
    ))
    .await;
    let secret = |value: Value| {
        let mut event = event("never-stored-id", json!({"consent": value}));
        event["user_data"]["em"] = json!("never.stored@example.com");
        event["event_source_url"] = json!("https://never-stored.example/");
        event
    };
    for no in [
        json!("denied"),
        json!(false),
        json!(0),
        json!("Denied"),
        json!({"ads": "granted"}),
    ] {
        let answer = gateway.post(vec![secret(no)]).await;
        assert_eq!(filtered(&answer), [(0, "consent")]);
        assert_eq!(received(&answer), 0);
    }
    let yes = event("yes", json!({"consent": "granted"}));
    let silent = purchase("silent");
    let answer = gateway.post(vec![yes, silent]).await;
    assert_eq!((received(&answer), filtered(&answer)), (2, vec![]));
    gateway.delivered(2).await;
    gateway.drained().await;
    assert_eq!(gateway.sandbox.totals().events_accepted, 2);
    assert_eq!(sent(&gateway, PIXEL, "yes").get("consent"), None);
    let state = &receipts(&gateway, "never-stored-id").await[0];
    assert_eq!(
        (&state["state"], &state["reason"]),
        (&json!("filtered"), &json!("consent"))
    );
    let data = gateway.journal_dir();
    assert!(
        holds(&data, "\"silent\""),
        "the journal is there to be looked into"
    );
    let digest = digest("never.stored@example.com");
    for never in ["never-stored", "never.stored", digest.as_str()] {
        assert!(!holds(&data, never), "{never}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_required_and_stand_in_custom_data() {
    let gateway = Gateway::with(|config| {
        of_source(r#"consent = { field = "custom_data.agreed", required = true }"#)(config);
        of_pixel(
            PIXEL,
            r#"consent = { field = "custom_data.ads", denied = ["no"] }"#,
        )(config);
    })
    .await;
    let answer = gateway
        .post(vec![
            purchase("silent"),
            event(
                "yes",
                json!({"custom_data.agreed": true, "custom_data.ads": "yes"}),
            ),
            event(
                "ads",
                json!({"custom_data.agreed": true, "custom_data.ads": "NO"}),
            ),
        ])
        .await;
    assert_eq!(filtered(&answer), [(0, "consent"), (2, "consent")]);
    let keys: Vec<&Value> = answer.body["filtered"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["key"])
        .collect();
    let pixels = format!("pixels.{PIXEL}.policy.consent");
    assert_eq!(
        keys,
        [&json!("sources.shop.policy.consent"), &json!(pixels)]
    );
    gateway.delivered(1).await;
    let sent = sent(&gateway, PIXEL, "yes");
    assert_eq!(
        sent["custom_data"],
        json!({"value": 12.5, "currency": "EUR"})
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crawlers_are_dropped() {
    let gateway = Gateway::with(of_pixel(PIXEL, r#"crawlers = "drop""#)).await;
    let agent = |id: &str, agent: &str| event(id, json!({"user_data.client_user_agent": agent}));
    let answer = gateway
        .post(vec![
            agent(
                "bot",
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            ),
            agent(
                "person",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
            ),
        ])
        .await;
    assert_eq!(filtered(&answer), [(0, "crawlers")]);
    gateway.delivered(1).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limited_data_use_is_passed_exactly_and_has_a_default() {
    let gateway = Gateway::with(of_source(
        "limited_data_use = { country = 1, state = 1000 }",
    ))
    .await;
    let (options, country, state) = (
        "data_processing_options",
        "data_processing_options_country",
        "data_processing_options_state",
    );
    let events = vec![
        purchase("silent"),
        event("none", json!({options: []})),
        event("zeros", json!({options: ["LDU"], country: 0, state: 0})),
        event(
            "texts",
            json!({options: ["LDU"], country: "1", state: "1013"}),
        ),
        event("bare", json!({options: ["LDU"]})),
    ];
    let answer = gateway.post(events).await;
    assert_eq!(received(&answer), 5, "{}", answer.body);
    gateway.delivered(5).await;
    for (id, want) in [
        ("silent", json!([["LDU"], 1, 1000])),
        ("none", json!([[], null, null])),
        ("zeros", json!([["LDU"], 0, 0])),
        ("texts", json!([["LDU"], 1, 1013])),
        ("bare", json!([["LDU"], 0, 0])),
    ] {
        let sent = sent(&gateway, PIXEL, id);
        assert_eq!(
            json!([sent[options], sent[country], sent[state]]),
            want,
            "{id}"
        );
    }
    let label =
        format!("capigate_policy_applied_total{{pixel=\"{PIXEL}\",policy=\"limited_data_use\"}}");
    assert_eq!(count(&gateway, &label).await, 1);
    // the end of a batch is noted after it has ended
    let of = |id: &'static str| {
        gateway.until("a receipt", async |gateway| {
            receipts(gateway, id).await.into_iter().next()
        })
    };
    assert_eq!(of("silent").await["policies"], json!(["limited_data_use"]));
    assert_eq!(of("none").await["policies"], Value::Null);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_are_made_before_the_checks() {
    let gateway = Gateway::with(|config| {
        of_source(
            r#"rename_events = { "Order Completed" = "Purchase" }
               edits = [
                   { rename = "custom_data.total", to = "custom_data.value" },
                   { rename = "custom_data.mail", to = "user_data.em" },
                   { drop = "custom_data.note" },
                   { set = "custom_data.currency", value = "EUR", when = "absent" },
               ]"#,
        )(config);
        // that of the source is asked first
        of_pixel(
            PIXEL,
            r#"edits = [{ set = "custom_data.currency", value = "USD", when = "present" }]"#,
        )(config);
    })
    .await;
    let order = |id: &str| {
        event(
            id,
            json!({
                "event_name": "Order Completed",
                "user_data": {"external_id": "customer-1"},
                "custom_data": {"total": 7.5, "mail": "Jane@Example.com", "note": "gift"},
            }),
        )
    };
    let bad = event("bad", json!({"custom_data": {"total": "much"}}));
    let answer = gateway.post(vec![order("order"), bad]).await;
    assert_eq!(received(&answer), 1, "{}", answer.body);
    assert_eq!(answer.body["errors"][0]["path"], "custom_data.value");
    gateway.delivered(1).await;
    gateway.drained().await;
    let sent = sent(&gateway, PIXEL, "order");
    assert_eq!(sent["event_name"], "Purchase");
    assert_eq!(
        sent["custom_data"],
        json!({"value": 7.5, "currency": "USD"})
    );
    let digest = digest("jane@example.com");
    assert_eq!(sent["user_data"]["em"], json!([digest.as_str()]));
    assert_eq!(
        receipts(&gateway, "order").await,
        [
            json!({"pixel": PIXEL, "state": "delivered", "reason": null, "policies": ["edits", "rename_events"]})
        ]
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_takes_the_same_events_each_time() {
    let gateway = Gateway::with(of_source("sample = { PageView = 0.25 }")).await;
    let views: Vec<Value> = (0..1000)
        .map(|n| event(&format!("view-{n}"), json!({"event_name": "PageView"})))
        .collect();
    let first = gateway.post(views.clone()).await;
    let passed = received(&first);
    assert!((195..=305).contains(&passed), "{passed}");
    let again = gateway.post(views).await;
    assert_eq!(filtered(&again), filtered(&first));
    let leads = (0..100).map(|n| event(&format!("lead-{n}"), json!({"event_name": "Lead"})));
    assert_eq!(received(&gateway.post(leads.collect()).await), 100);
    gateway.delivered(2 * passed + 100).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_pixel_refuses_whole_requests_but_not_for_what_is_kept_back() {
    let gateway = Gateway::with(|config| {
        of_source(r#"block_events = ["PageView"]"#)(config);
        config
            .pixels
            .get_mut(&PIXEL.parse().unwrap())
            .unwrap()
            .strict = true;
    })
    .await;
    let blocked = event("blocked", json!({"event_name": "PageView"}));
    let bad = event("bad", json!({"event_time": null}));
    let answer = gateway.post(vec![purchase("a"), blocked.clone()]).await;
    assert_eq!(
        (received(&answer), filtered(&answer)),
        (1, vec![(1, "block_events")])
    );
    let answer = gateway
        .post(vec![purchase("b"), blocked.clone(), bad.clone()])
        .await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    // nothing was kept, so nothing was kept back either
    let label = format!("capigate_filtered_total{{pixel=\"{PIXEL}\",policy=\"block_events\"}}");
    assert_eq!(count(&gateway, &label).await, 1);
    let body = json!({"data": [purchase("c"), bad]});
    assert_eq!(received(&gateway.post_body(OTHER, &body).await), 1);
    let all = gateway.post(vec![blocked]).await;
    assert_eq!(
        (received(&all), filtered(&all)),
        (0, vec![(0, "block_events")])
    );
    assert!(all.body["fbtrace_id"].is_string() && all.body["messages"].is_array());
    gateway.delivered(2).await;
    gateway.finish().await;
}

/// A gateway whose source copies the events of the first pixel to the other.
async fn fanning(change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::with(|config| {
        let shop = config.sources.get_mut("shop").unwrap();
        shop.fan_out = [PIXEL.parse().unwrap(), OTHER.parse().unwrap()].into();
        shop.allow_test_event_code = true;
        change(config);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_to_the_other_pixel_under_the_same_id() {
    let gateway = fanning(|_| ()).await;
    let mut nameless = purchase("x");
    nameless.as_object_mut().unwrap().remove("event_id");
    let answer = gateway.post(vec![purchase("a"), nameless]).await;
    assert_eq!(received(&answer), 2, "{}", answer.body);
    // and the other way round, but never on and on
    let body = json!({"data": [purchase("b")]});
    assert_eq!(received(&gateway.post_body(OTHER, &body).await), 1);
    gateway.delivered(6).await;
    gateway.drained().await;
    assert_eq!(gateway.sandbox.totals().events_accepted, 6);
    let ledger = gateway.sandbox.ledger();
    let mut ids: Vec<_> = ledger
        .events
        .iter()
        .map(|event| event.event_id.clone().unwrap())
        .collect();
    ids.sort();
    assert_eq!(ids.len(), 6);
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    assert_eq!(
        receipts(&gateway, "a").await,
        [
            json!({"pixel": OTHER, "state": "delivered", "reason": null, "policies": ["fan_out"]}),
            json!({"pixel": PIXEL, "state": "delivered", "reason": null, "policies": null}),
        ]
        .map(|want| want)
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
    );
    for pixel in [PIXEL, OTHER] {
        let label = format!("capigate_accepted_total{{pixel=\"{pixel}\"}}");
        assert_eq!(count(&gateway, &label).await, 3, "{pixel}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_held_to_its_own_pixels_policy() {
    let gateway = fanning(|config| {
        of_pixel(
            OTHER,
            r#"block_events = ["Lead"]
               edits = [{ drop = "custom_data.currency" }, { set = "event_source_url", value = "https://other.example/" }]"#,
        )(config);
    })
    .await;
    let lead = event("lead", json!({"event_name": "Lead"}));
    let view = event("view", json!({"event_name": "PageView"}));
    let answer = gateway.post(vec![lead, view, purchase("buy")]).await;
    // the copy of the purchase has lost its currency, and the purchase itself has not
    assert_eq!(received(&answer), 3, "{}", answer.body);
    assert_eq!(answer.body["errors"], Value::Null);
    assert_eq!(answer.body["filtered"][0]["pixel"], OTHER);
    assert_eq!(filtered(&answer), [(0, "block_events")]);
    let warnings = answer.body["warnings"].as_array().unwrap();
    let refused: Vec<&Value> = warnings
        .iter()
        .filter(|one| one["code"] == "copy_refused")
        .collect();
    assert_eq!(refused.len(), 1, "{}", answer.body);
    assert_eq!(
        (&refused[0]["index"], &refused[0]["path"]),
        (&json!(2), &json!("custom_data.currency"))
    );
    gateway.delivered(4).await;
    gateway.drained().await;
    assert_eq!(
        sent(&gateway, OTHER, "view")["event_source_url"],
        "https://other.example/"
    );
    assert_eq!(
        sent(&gateway, PIXEL, "view")["event_source_url"],
        "https://shop.example/thanks"
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_waits_keeps_nothing_waiting() {
    let mut gateway = fanning(|_| ()).await;
    let fault = Fault {
        edge: None,
        pixel: Some(OTHER.parse().unwrap()),
        times: Some(Times::Forever),
        action: Action::BadToken { subcode: None },
    };
    gateway.sandbox.add_fault(fault);
    assert_eq!(received(&gateway.post(purchases("held", 5)).await), 5);
    gateway.delivered(5).await;
    gateway
        .until("only the copies wait", async |gateway| {
            let states = gateway.running().lanes().snapshot();
            let held = states.iter().any(|lane| lane.state == "held");
            (held && gateway.running().journal().depth().records == 5).then_some(())
        })
        .await;
    gateway.sandbox.clear_faults();
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_the_clients_is_not_copied() {
    let gateway = fanning(|config| {
        let other = config.pixels.get_mut(&OTHER.parse().unwrap()).unwrap();
        other.test_event_code = Some("TESTOTHER".to_owned());
    })
    .await;
    let body = json!({"data": [purchase("tested")], "test_event_code": "TEST1"});
    assert_eq!(received(&gateway.post_body(PIXEL, &body).await), 1);
    assert_eq!(received(&gateway.post(vec![purchase("real")]).await), 1);
    gateway.delivered(3).await;
    gateway.drained().await;
    let pixel: capigate::pixel::PixelId = OTHER.parse().unwrap();
    assert_eq!(gateway.sandbox.times_accepted(pixel, "tested"), 0);
    assert_eq!(gateway.sandbox.times_accepted(pixel, "real"), 1);
    // the copy has the code of its own pixel, and the event itself has none
    assert_eq!(gateway.sandbox.test_events("TESTOTHER").len(), 1);
    assert_eq!(gateway.sandbox.test_events("TEST1").len(), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_copy_is_held_for_duplicates_under_its_own_pixel() {
    let gateway = fanning(|config| {
        config.duplicates.events = capigate::config::duplicates::Covers::All;
    })
    .await;
    // its copy came first, and the event itself was the copy then
    let body = json!({"data": [purchase("a")]});
    assert_eq!(received(&gateway.post_body(OTHER, &body).await), 1);
    let answer = gateway.post(vec![purchase("a")]).await;
    assert_eq!(received(&answer), 1);
    let again = gateway.post(vec![purchase("a")]).await;
    assert_eq!(received(&again), 1);
    let warnings = again.body["warnings"].as_array().unwrap();
    assert_eq!(
        warnings
            .iter()
            .filter(|one| one["code"] == "duplicate")
            .count(),
        1
    );
    gateway.delivered(2).await;
    gateway.drained().await;
    assert_eq!(gateway.sandbox.totals().events_accepted, 2);
    for (pixel, want) in [(PIXEL, 2), (OTHER, 2)] {
        let label = format!("capigate_duplicates_total{{pixel=\"{pixel}\"}}");
        assert_eq!(count(&gateway, &label).await, want, "{pixel}");
    }
    // a copy that is a duplicate was not made
    for (pixel, want) in [(PIXEL, 1), (OTHER, 0)] {
        let label =
            format!("capigate_policy_applied_total{{pixel=\"{pixel}\",policy=\"fan_out\"}}");
        assert_eq!(count(&gateway, &label).await, want, "{pixel}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_policies() {
    let mut gateway = Gateway::start().await;
    assert_eq!(received(&gateway.post(vec![purchase("a")]).await), 1);
    let report = gateway
        .reload(|config| {
            of_source(r#"block_events = ["Purchase"]"#)(config);
            let shop = config.sources.get_mut("shop").unwrap();
            shop.fan_out = [OTHER.parse().unwrap()].into();
            config
                .pixels
                .get_mut(&PIXEL.parse().unwrap())
                .unwrap()
                .strict = true;
        })
        .await
        .unwrap();
    let strict = format!("pixels.{PIXEL}.strict");
    assert_eq!(
        report.changed,
        [
            strict.as_str(),
            "sources.shop.fan_out",
            "sources.shop.policy.block_events"
        ]
    );
    let answer = gateway
        .post(vec![
            purchase("b"),
            event("c", json!({"event_name": "Lead"})),
        ])
        .await;
    assert_eq!(
        (received(&answer), filtered(&answer)),
        (1, vec![(0, "block_events")])
    );
    gateway.delivered(3).await;
    gateway.reload(of_source("")).await.unwrap();
    assert_eq!(received(&gateway.post(vec![purchase("d")]).await), 1);
    gateway.delivered(5).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_says_why_an_event_was_not_sent() {
    let gateway = Gateway::with(|config| {
        of_source(r#"block_events = ["PageView"]"#)(config);
        let digest = digest("the-admin-key");
        config.admin.keys = vec![serde_json::from_value(json!({"sha256": digest})).unwrap()];
    })
    .await;
    let blocked = event("seen", json!({"event_name": "PageView"}));
    assert_eq!(
        filtered(&gateway.post(vec![blocked]).await),
        [(0, "block_events")]
    );
    let url = format!("http://{}/events/seen", gateway.running().admin_addr());
    let request = gateway.http.get(url).bearer_auth("the-admin-key");
    let answer = gateway.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let receipt = &answer.body["events"][0];
    assert_eq!(
        (&receipt["state"], &receipt["reason"]),
        (&json!("filtered"), &json!("block_events"))
    );
    assert_eq!(
        (&receipt["event_name"], &receipt["pixel"]),
        (&json!("PageView"), &json!(PIXEL))
    );
    assert!(receipt["at"].is_i64());
    gateway.finish().await;
}
