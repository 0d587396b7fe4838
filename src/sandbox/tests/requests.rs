//! Accepting and refusing.

use super::super::samples;
use super::*;

#[tokio::test]
async fn good_events_are_accepted_and_counted() {
    let rig = Rig::start().await;
    let events = samples::good();
    assert_eq!(received(rig.post(&events).await).await, Some(9));
    let again = rig.post(&events[..1]).await;
    assert_eq!(received(again).await, Some(1));

    let ledger = rig.sandbox.ledger();
    assert_eq!(ledger.totals.events_accepted, 10);
    let purchase = &ledger.events[0];
    assert_eq!(purchase.event_id.as_deref(), Some("Purchase-1"));
    // the sample from the till has the same name and id
    assert_eq!(purchase.times, 4);
    assert_eq!(purchase.batches, [1, 1, 1, 2]);
    assert!(purchase.body.is_some());
    assert_eq!(rig.sandbox.times_accepted(pixel(PIXEL), "Lead-1"), 1);
    assert_eq!(rig.sandbox.times_accepted(pixel(7), "Lead-1"), 0);
    let batch = rig.last();
    assert_eq!((batch.number, batch.size, batch.http), (2, 1, "1.1"));
    assert_eq!(batch.token.as_deref(), Some("any"));
    assert_eq!(batch.token_place, Some("header"));
    assert_eq!(batch.at_ms, NOW.0);
    assert_eq!(rig.violations(), []);
    rig.sandbox.stop().await;
}

#[tokio::test]
async fn one_bad_event_refuses_all_and_each_row_answers_its_code() {
    let rig = Rig::start().await;
    for (reason, bad) in samples::bad() {
        let row = REFUSALS.iter().find(|row| row.reason == reason).unwrap();
        let response = rig.post(&[with_id("good"), bad]).await;
        assert_eq!(
            refusal(response).await,
            (row.status, Some(row.code), row.subcode),
            "{reason}"
        );
        assert_eq!(
            rig.last().outcome,
            Outcome::Refused {
                status: row.status,
                code: Some(row.code),
                subcode: row.subcode,
                reason: row.reason,
                event_index: Some(1),
            }
        );
    }
    let totals = rig.sandbox.totals();
    assert_eq!(totals.events_accepted, 0);
    assert_eq!(totals.batches_refused, samples::bad().len() as u64);
    assert_eq!(rig.sandbox.ledger().events, []);
}

#[tokio::test]
async fn a_moved_clock_makes_events_stale() {
    let rig = Rig::start().await;
    let event = [with_id("a")];
    assert_eq!(received(rig.post(&event).await).await, Some(1));
    rig.clock.set(NOW.plus(Duration::from_hours(7 * 24)));
    let stale = refusal(rig.post(&event).await).await;
    assert_eq!(stale, (400, Some(100), Some(2_804_003)));
}

#[tokio::test]
async fn a_batch_holds_a_thousand() {
    let rig = Rig::start().await;
    let many = vec![with_id("a"); MAX_BATCH + 1];
    let full = rig.post(&many[..MAX_BATCH]).await;
    assert_eq!(received(full).await, Some(1000));
    let over = refusal(rig.post(&many).await).await;
    assert_eq!(over, (400, Some(100), None));
    assert_eq!(refusal(rig.post(&[]).await).await, (400, Some(100), None));
}

#[tokio::test]
async fn tokens() {
    let mut few = SandboxToken::new("few", "token-for-few");
    few.pixels = vec![pixel(7)];
    let mut expired = SandboxToken::new("expired", "token-expired");
    expired.state = TokenState::Expired;
    let mut revoked = SandboxToken::new("revoked", "token-revoked");
    revoked.state = TokenState::Revoked;
    let mut proven = SandboxToken::new("proven", "access-token-example");
    proven.app_secret = Some("app-secret-example".into());
    let any = SandboxToken::new("any", TOKEN);
    let tokens = vec![few, expired, revoked, proven, any];
    let rig = Rig::with(SandboxSettings {
        tokens,
        ..SandboxSettings::default()
    })
    .await;
    let good = "a07d8938fd56e73319dae7552f1e35da10c36d6d2f326529ab50393f6943e8c7";
    let bad = &good.replace('a', "b");
    let proven = "access-token-example";
    let cases = [
        (7, "token-for-few", None, None),
        (8, "token-for-few", None, Some((400, Some(100), Some(33)))),
        (7, "token-expired", None, Some((400, Some(190), Some(463)))),
        (7, "token-revoked", None, Some((400, Some(190), Some(467)))),
        (7, "token-unknown", None, Some((401, Some(190), None))),
        (7, "", None, Some((401, Some(190), None))),
        (7, proven, None, Some((400, Some(100), None))),
        (7, proven, Some(bad.as_str()), Some((400, Some(100), None))),
        (7, proven, Some(good), None),
    ];
    for (id, token, proof, expected) in cases {
        let body = json!({
            "data": [with_id("a")], "access_token": token, "appsecret_proof": proof,
        });
        let response = rig.edge(id).json(&body).send().await.unwrap();
        match expected {
            None => assert_eq!(received(response).await, Some(1), "{token}"),
            Some(expected) => assert_eq!(refusal(response).await, expected, "{token}"),
        }
    }
    let none = json!({ "data": [with_id("a")] });
    let response = rig.edge(7).json(&none).send().await.unwrap();
    assert_eq!(refusal(response).await, (401, Some(190), None));
    assert_eq!(rig.violations(), []);

    let needless = json!({
        "data": [with_id("a")], "access_token": TOKEN, "appsecret_proof": good,
    });
    rig.edge(7).json(&needless).send().await.unwrap();
    assert_eq!(rig.violations()[0].0, "proof_without_secret");
    let kept = serde_json::to_string(&rig.sandbox.ledger()).unwrap();
    for secret in [TOKEN, "token-", proven, good] {
        assert!(!kept.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn raw_personal_data_is_refused_and_noted_without_its_value() {
    let rig = Rig::start().await;
    let mut event = with_id("a");
    event["user_data"]["ph"] = json!("16505551212");
    event["custom_data"]["note"] = json!("from canary@shop.example");
    let refused = refusal(rig.post(&[with_id("b"), event]).await).await;
    assert_eq!(refused, (400, Some(100), None));
    let paths = rig.violations();
    assert!(paths.contains(&("unhashed_match_key", "data[1].user_data.ph".into())));
    assert!(paths.contains(&("email_in_body", "data[1].custom_data.note".into())));

    // an address outside the match keys is a violation, yet Meta would take the event
    let mut event = with_id("c");
    event["event_source_url"] = json!("https://shop.example/?m=canary%40shop.example");
    assert_eq!(received(rig.post(&[event]).await).await, Some(1));
    let seen = format!("{:?}{:?}", rig.sandbox.ledger(), rig.sandbox.violations());
    assert!(!seen.contains("canary"));
}

#[tokio::test]
async fn a_light_sandbox_counts_and_checks_tokens_only() {
    let rig = Rig::with(SandboxSettings {
        light: true,
        ..SandboxSettings::default()
    })
    .await;
    let mut event = with_id("a");
    event["event_time"] = json!("long ago");
    assert_eq!(received(rig.post(&[event]).await).await, Some(1));
    let body = json!({ "data": ids(&["b"]), "access_token": "wrong" });
    let response = rig.edge(PIXEL).json(&body).send().await.unwrap();
    assert_eq!(refusal(response).await, (401, Some(190), None));
    rig.sandbox.add_fault(Fault::refuse_event("b", None));
    let refused = refusal(rig.post(&ids(&["a", "b"])).await).await;
    assert_eq!(refused, (400, Some(100), None));
    let events = rig.sandbox.ledger().events;
    assert_eq!((events.len(), events[0].times), (1, 1));
    assert_eq!(events[0].body, None);
}

#[tokio::test]
async fn forms_and_json_strings_are_read() {
    let rig = Rig::start().await;
    let data = json!([with_id("a").to_string(), with_id("b")]).to_string();
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("access_token", TOKEN)
        .append_pair("data", &data)
        .finish();
    let form = "application/x-www-form-urlencoded";
    let request = rig.edge(PIXEL).header("content-type", form).body(body);
    assert_eq!(received(request.send().await.unwrap()).await, Some(2));
    assert_eq!(rig.last().token_place, Some("form"));
    assert_eq!(rig.sandbox.times_accepted(pixel(PIXEL), "a"), 1);
}

#[tokio::test]
async fn a_token_in_the_url_works_and_is_a_violation() {
    let rig = Rig::start().await;
    let edge = format!("{}/v26.0/{PIXEL}/events", rig.sandbox.url());
    let request = rig.client.post(format!("{edge}?access_token={TOKEN}"));
    let request = request.json(&json!({ "data": [with_id("a")] }));
    assert_eq!(received(request.send().await.unwrap()).await, Some(1));
    assert_eq!(rig.last().token_place, Some("query"));
    assert_eq!(rig.violations(), [("token_in_url", "access_token".into())]);
}

#[tokio::test]
async fn other_routes_are_violations() {
    let rig = Rig::start().await;
    let url = rig.sandbox.url();
    let cases = [
        ("GET", "/v26.0/7/events", "wrong_method", 100),
        ("POST", "/7/events", "unknown_route", 2500),
        ("POST", "/v26/7/events", "bad_version", 2500),
        ("POST", "/v26.0/abc/events", "bad_pixel_id", 100),
        ("POST", "/v26.0/7/events/", "unknown_route", 2500),
        ("GET", "/v26.0/7/stats", "unknown_route", 2500),
        ("POST", "/v26.0/debug_token", "wrong_method", 100),
        ("GET", "/v26/debug_token", "bad_version", 2500),
    ];
    for (method, path, kind, code) in cases {
        let method = method.parse().unwrap();
        let request = rig.client.request(method, format!("{url}{path}?x=1"));
        let answer = refusal(request.send().await.unwrap()).await;
        assert_eq!((answer.0, answer.1), (400, Some(code)), "{path}");
        let (seen, place) = rig.violations().pop().unwrap();
        assert_eq!(seen, kind);
        assert!(place.ends_with(path), "{place}");
    }
    assert_eq!(rig.violations().len(), cases.len());
    // browsers ask for it on their own
    let icon = rig.client.get(format!("{url}/favicon.ico")).send().await;
    assert_eq!(icon.unwrap().status(), 404);
    assert_eq!(rig.violations().len(), cases.len());
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_the_next_request_works() {
    let rig = Rig::start().await;
    let bombs = [
        String::new(),
        "[".repeat(1 << 20),
        format!("{{\"data\":[{}", "{\"a\":".repeat(1 << 18)),
        "{\"data\":[1e999999]}".to_owned(),
        "{\"data\":[null,true,0]}".to_owned(),
        "{\"data\":[{\"event_time\":99999999999999999999999}]}".to_owned(),
    ];
    for bomb in bombs {
        let request = rig.edge(PIXEL).bearer_auth(TOKEN).body(bomb);
        let answer = refusal(request.send().await.unwrap()).await;
        assert_eq!(answer, (400, Some(100), None));
    }
    let large = vec![b' '; MAX_BODY + 1];
    let request = rig.edge(PIXEL).bearer_auth(TOKEN).body(large);
    // the answer may come before the body is out, which a client may take for a lost connection
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), 413);
    }
    let Outcome::Refused { status, reason, .. } = rig.last().outcome else {
        panic!("it was refused");
    };
    assert_eq!((status, reason), (413, "body_too_large"));
    assert_eq!(received(rig.post(&ids(&["a"])).await).await, Some(1));
}

#[tokio::test]
async fn http_2_without_tls_is_spoken_on_the_same_port() {
    let mut rig = Rig::start().await;
    rig.client = Client::builder().http2_prior_knowledge().build().unwrap();
    let mut posts = tokio::task::JoinSet::new();
    for n in 0..50 {
        let body = json!({ "data": ids(&[&n.to_string()]) });
        posts.spawn(rig.edge(PIXEL).bearer_auth(TOKEN).json(&body).send());
    }
    for response in posts.join_all().await {
        assert_eq!(received(response.unwrap()).await, Some(1));
    }
    assert_eq!(rig.sandbox.totals().events_distinct, 50);
    assert_eq!(rig.last().http, "2");
}

#[tokio::test]
async fn dropping_it_closes_the_port() {
    let rig = Rig::start().await;
    assert_eq!(received(rig.post(&ids(&["a"])).await).await, Some(1));
    let url = rig.sandbox.url();
    rig.sandbox.stop().await;
    assert!(rig.client.get(url).send().await.is_err());
}
