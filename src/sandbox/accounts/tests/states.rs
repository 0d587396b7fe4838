//! Tokens that no longer work, and proofs.

use super::super::proof::sign;
use super::super::states::spoils_token;
use super::*;

#[tokio::test]
async fn every_state_is_answered_on_every_edge() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({ "name": "one", "app": APP, "holder": ADMIN }));
    for row in &STATES {
        assert!(rig.sandbox.set_token_state("one", row.state));
        let expected = (row.refusal.status, row.refusal.code, row.refusal.subcode);
        let word = row.refusal.reason;
        assert_eq!(refusal(rig.send(&token).await).await, expected, "{word}");
        let me = rig.get("/v26.0/me", &token).await;
        assert_eq!(refusal(me).await, expected, "{word}");
        assert_eq!(rig.last().outcome.reason, word);
        let seen = body(rig.inspect(&token, APP_TOKEN).await).await;
        let data = &seen["data"];
        let spoiled = spoils_token(row.refusal.code);
        assert_eq!(data["is_valid"], !spoiled, "{word}");
        if spoiled {
            assert_eq!(data["error"]["code"], row.refusal.code);
            assert_eq!(data["error"]["subcode"].as_i64(), row.refusal.subcode);
        }
        let said = seen.to_string();
        assert_eq!(said.contains(&token), word == "malformed", "{word}");
        for hole in ["{app}", "{expiry}", "{now}", "{token}"] {
            assert!(!said.contains(hole), "{said}");
        }
    }
    rig.sandbox.set_token_state("one", TokenState::Valid);
    assert_eq!(rig.send(&token).await.status(), 200);
    assert!(!rig.sandbox.set_token_state("two", TokenState::Valid));
    assert_eq!(rig.violations(), []);
}

#[tokio::test]
async fn a_message_may_echo_the_token() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({ "name": "one", "app": APP, "holder": ADMIN }));
    let change = r#"{"state":"revoked","message":"no more {token}","omit_subcode":true}"#;
    let change: TokenChange = serde_json::from_str(change).unwrap();
    rig.sandbox.change_token("one", &change);
    let seen: Value = rig.send(&token).await.json().await.unwrap();
    assert_eq!(seen["error"]["message"], format!("no more {token}"));
    assert_eq!(seen["error"].get("error_subcode"), None);
    rig.sandbox.set_token_state("one", TokenState::Valid);
    let echo =
        r#"{"do":"status","status":400,"code":190,"message":"Malformed access token {token}"}"#;
    for edge in [Edge::Events, Edge::Me] {
        let fault: Fault = serde_json::from_str(echo).unwrap();
        rig.sandbox.add_fault(fault.at(edge));
    }
    for response in [rig.send(&token).await, rig.get("/v26.0/me", &token).await] {
        let seen: Value = response.json().await.unwrap();
        assert_eq!(
            seen["error"]["message"],
            format!("Malformed access token {token}")
        );
    }
}

#[tokio::test]
async fn a_checkpoint_says_where_to_go() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({ "app": APP, "holder": ALEX, "state": "checkpointed" }));
    let seen: Value = rig.get("/v26.0/me", &token).await.json().await.unwrap();
    assert_eq!(
        seen["error"]["error_data"]["url"],
        "https://www.facebook.com/"
    );
}

#[tokio::test]
async fn proofs_are_wanted_by_some_apps_and_looked_at_by_all() {
    let rig = Rig::start().await;
    let other_secret = "fedcba9876543210fedcba9876543210";
    let lax = rig.mint(json!({ "app": APP, "holder": ADMIN }));
    let strict = rig.mint(json!({ "app": OTHER, "holder": ADMIN }));
    let now = NOW.secs();
    let timed = |at: i64| (sign(other_secret, &format!("{strict}|{at}")), Some(at));
    let cases = [
        (&lax, None, true),
        (&lax, Some((sign(SECRET, &lax), None)), true),
        (&lax, Some((sign(other_secret, &lax), None)), false),
        (&strict, None, false),
        (&strict, Some((sign(other_secret, &strict), None)), true),
        (&strict, Some((sign(SECRET, &strict), None)), false),
        (&strict, Some(timed(now)), true),
        (&strict, Some(timed(now - 300)), true),
        (&strict, Some(timed(now - 301)), false),
        (
            &strict,
            Some((sign(other_secret, &strict), Some(now))),
            false,
        ),
    ];
    for (token, proof, good) in cases {
        let mut members = json!({ "data": [with_id("a")], "access_token": token });
        let mut query = String::new();
        if let Some((value, at)) = &proof {
            members["appsecret_proof"] = json!(value);
            query = format!("?appsecret_proof={value}");
            if let Some(at) = at {
                members["appsecret_time"] = json!(at);
                query = format!("{query}&appsecret_time={at}");
            }
        }
        let events = rig.request(Method::POST, &format!("/v26.0/{PIXEL}/events"));
        let events = events.json(&members).send().await.unwrap();
        let me = rig.get(&format!("/v26.0/me{query}"), token).await;
        for response in [events, me] {
            if good {
                assert_eq!(response.status(), 200, "{proof:?}");
            } else {
                let seen: Value = response.json().await.unwrap();
                assert_eq!(seen["error"]["type"], "GraphMethodException");
                assert_eq!(seen["error"]["code"], 100);
                assert!(text(&seen["error"]["message"]).contains("appsecret_proof"));
            }
        }
    }
    assert_eq!(rig.violations(), []);
    // time moves on for proofs too
    let (value, at) = timed(now);
    rig.sandbox.advance_clock(Duration::from_mins(6));
    let path = format!(
        "/v26.0/me?appsecret_proof={value}&appsecret_time={}",
        at.unwrap()
    );
    assert_eq!(
        refusal(rig.get(&path, &strict).await).await,
        (400, 100, None)
    );
    // a proof for a token whose app nobody knows is a mistake
    let dataset = rig.mint(json!({}));
    rig.get("/v26.0/me?appsecret_proof=x", &dataset).await;
    assert_eq!(rig.violations()[0].0, "proof_without_secret");
}
