//! The control API of the accounts, the script on their edges, and the ledger.

use super::*;

impl Rig {
    async fn told(&self, path: &str, body: &Value) -> Value {
        let request = self.request(Method::POST, path).json(body);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn listed(&self, path: &str) -> Value {
        let request = self.request(Method::GET, path);
        request.send().await.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn tokens_are_made_spoiled_and_mended() {
    let rig = Rig::start().await;
    let spec = json!({
        "name": "gateway", "app": APP, "holder": ADMIN, "scopes": ["ads_management"],
        "expires_in": "60d",
    });
    let made = rig.told("/sandbox/tokens", &spec).await;
    let token = text(&made["access_token"]).to_owned();
    let print = text(&made["fingerprint"]).to_owned();
    assert_eq!(print, super::super::tokens::fingerprint(&token));
    assert_eq!(rig.send(&token).await.status(), 200);
    let spoil = format!("/sandbox/tokens/{print}");
    let cases = [
        (
            json!({ "state": "checkpointed" }),
            Some((400, 190, Some(459))),
        ),
        (
            json!({ "subcode": 477, "message": "made up" }),
            Some((400, 190, Some(477))),
        ),
        (
            json!({ "state": "expired", "omit_subcode": true }),
            Some((400, 190, None)),
        ),
        (json!({ "state": "valid" }), None),
        (
            json!({ "pixels": ["1234567890123457"] }),
            Some((400, 100, Some(33))),
        ),
        (json!({ "pixels": [PIXEL] }), None),
        (json!({ "expires_in": "0s" }), Some((400, 190, Some(463)))),
        (json!({ "expires_in": "1h" }), None),
    ];
    for (change, expected) in cases {
        let listed = rig.told(&spoil, &change).await;
        assert_eq!(listed["tokens"][0]["name"], "gateway", "{listed}");
        let response = rig.send(&token).await;
        match expected {
            None => assert_eq!(response.status(), 200, "{change}"),
            Some(expected) => assert_eq!(refusal(response).await, expected, "{change}"),
        }
    }
    let value = rig.listed("/sandbox/tokens/gateway/value").await;
    assert_eq!(value["access_token"], token);
    for path in [
        "/sandbox/accounts",
        "/sandbox/tokens",
        "/sandbox/calls",
        "/sandbox/health",
    ] {
        let shown = rig.listed(path).await.to_string();
        assert!(!shown.contains(&token) && !shown.contains(SECRET), "{path}");
    }
    assert_eq!(
        rig.listed("/sandbox/tokens").await["tokens"][0]["state"],
        "valid"
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_said_without_the_value() {
    let rig = Rig::start().await;
    rig.mint(json!({ "name": "one" }));
    let cases = [
        ("/sandbox/tokens", json!({ "app": "canary" }), "unknown"),
        ("/sandbox/tokens", json!({ "holder": "canary" }), "unknown"),
        ("/sandbox/tokens", json!({ "expires_in": "canary" }), "body"),
        ("/sandbox/tokens", json!({ "scopes": "canary" }), "body"),
        ("/sandbox/tokens/one", json!({ "state": "canary" }), "body"),
        ("/sandbox/tokens/one", json!({ "status": 200 }), "status"),
        (
            "/sandbox/tokens/canary",
            json!({ "state": "valid" }),
            "no_such_token",
        ),
        ("/sandbox/clock", json!({ "advance": "canary" }), "advance"),
        ("/sandbox/dialog", json!({ "person": "canary" }), "person"),
        (
            "/sandbox/quirks",
            json!({ "numeric_ids": "canary" }),
            "body",
        ),
    ];
    for (path, body, code) in cases {
        let said = rig.told(path, &body).await;
        assert_eq!(said["error"]["code"], code, "{body}");
        assert!(!said.to_string().contains("canary"), "{said}");
        assert!(!text(&said["error"]["message"]).is_empty());
    }
}

#[tokio::test]
async fn time_moods_and_quirks_are_set_over_http() {
    let rig = Rig::start().await;
    let seen = rig
        .told("/sandbox/clock", &json!({ "advance": "61d" }))
        .await;
    assert_eq!(seen["now"], NOW.secs() + 61 * 86_400);
    let mood = json!({ "outcome": "deny", "decline": ["ads_read"] });
    assert_eq!(rig.told("/sandbox/dialog", &mood).await["outcome"], "deny");
    assert_eq!(
        rig.listed("/sandbox/dialog").await["decline"],
        json!(["ads_read"])
    );
    let quirks = json!({ "omit_expires_in": true });
    assert_eq!(
        rig.told("/sandbox/quirks", &quirks).await["omit_expires_in"],
        true
    );
    assert_eq!(
        rig.told("/sandbox/quirks", &json!({})).await["omit_expires_in"],
        false
    );
    // an event is as old as it is
    let token = rig.mint(json!({}));
    assert_eq!(rig.send(&token).await.status(), 200);
}

#[tokio::test]
async fn faults_strike_the_edge_they_name() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({ "app": APP, "holder": ADMIN }));
    let script = async |fault: &str| {
        let fault: Value = serde_json::from_str(fault).unwrap();
        let seen = rig.told("/sandbox/faults", &fault).await;
        assert!(seen["faults"].is_array(), "{seen}");
    };
    script(r#"{"do":"throttle","code":4,"edge":"debug_token"}"#).await;
    assert_eq!(body(rig.get("/v26.0/me", &token).await).await["id"], ADMIN);
    assert_eq!(
        refusal(rig.inspect(&token, APP_TOKEN).await).await,
        (400, 4, None)
    );
    assert_eq!(rig.last().fault, Some("throttle"));
    assert_eq!(rig.inspect(&token, APP_TOKEN).await.status(), 200);

    script(r#"{"do":"status","status":500,"code":1,"subcode":99,"edge":"oauth"}"#).await;
    assert_eq!(refusal(rig.oauth(&[]).await).await, (500, 1, Some(99)));
    script(r#"{"do":"status","status":400,"code":10,"edge":"pixel","pixel":"1234567890123456"}"#)
        .await;
    let path = format!("/v26.0/{PIXEL}");
    assert_eq!(refusal(rig.get(&path, &token).await).await, (400, 10, None));
    script(r#"{"do":"bad_token","subcode":460,"edge":"me"}"#).await;
    assert_eq!(
        refusal(rig.get("/v26.0/me", &token).await).await,
        (400, 190, Some(460))
    );
    script(r#"{"do":"html","edge":"me"}"#).await;
    let page = rig.get("/v26.0/me", &token).await;
    assert_eq!(page.status(), 502);
    assert!(page.text().await.unwrap().starts_with('<'));
    script(r#"{"do":"wrong_json","edge":"me"}"#).await;
    assert!(
        rig.get("/v26.0/me", &token)
            .await
            .json::<Value>()
            .await
            .is_err()
    );
    script(r#"{"do":"slow","ms":1,"edge":"me"}"#).await;
    assert_eq!(rig.get("/v26.0/me", &token).await.status(), 200);
    assert_eq!(rig.last().fault, Some("slow"));
    script(r#"{"do":"cut","edge":"me"}"#).await;
    let request = rig.request(Method::GET, "/v26.0/me").bearer_auth(&token);
    assert!(request.send().await.is_err());
    assert_eq!(rig.last().outcome.reason, "cut");
    assert_eq!(rig.sandbox.faults(), []);

    // without an edge it is the events edge, as it always was
    script(r#"{"do":"throttle","code":4}"#).await;
    assert_eq!(rig.get("/v26.0/me", &token).await.status(), 200);
    assert_eq!(refusal(rig.send(&token).await).await, (400, 4, None));
}

#[tokio::test]
async fn an_answer_that_is_lost_has_used_the_code_up() {
    let rig = Rig::start().await;
    for fault in [
        r#"{"do":"cut_after_accept","edge":"oauth"}"#,
        r#"{"do":"html_after_accept","edge":"oauth"}"#,
        r#"{"do":"wrong_json","accept":true,"edge":"oauth"}"#,
    ] {
        let code = rig.code("http://localhost:8080/").await;
        rig.sandbox.add_fault(serde_json::from_str(fault).unwrap());
        let form = [
            ("client_id", APP),
            ("client_secret", SECRET),
            ("redirect_uri", "http://localhost:8080/"),
            ("code", &code),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = rig.request(Method::POST, "/oauth/access_token");
        let kind = "application/x-www-form-urlencoded";
        let _lost = request.header("content-type", kind).body(body).send().await;
        assert_eq!(rig.last().outcome.status, 200, "{fault}");
        let seen = refusal(rig.oauth(&form).await).await;
        assert_eq!(seen, (400, 100, Some(36_009)), "{fault}");
    }
}

#[tokio::test]
async fn the_ledger_knows_how_a_call_travelled() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({ "name": "gateway", "app": APP, "holder": ADMIN }));
    rig.get("/v26.0/me?fields=id&EAAcanary=1", &token).await;
    rig.oauth(&[("client_id", APP), ("client_secret", "canary")])
        .await;
    let calls = rig.sandbox.account_calls();
    let seen: Vec<_> = calls[0]
        .params
        .iter()
        .map(|p| (p.name.as_str(), p.place))
        .collect();
    let expected = [
        ("access_token", Place::Header),
        ("fields", Place::Query),
        ("?", Place::Query),
    ];
    assert_eq!(seen, expected);
    assert_eq!(calls[0].token.as_deref(), Some("gateway"));
    assert_eq!(calls[0].version.as_deref(), Some("v26.0"));
    assert_eq!((calls[1].number, calls[1].outcome.code), (2, Some(191)));
    assert!(!format!("{calls:?}").contains("canary"));
    let listed = rig.listed("/sandbox/calls").await;
    assert_eq!(listed["calls"][1]["reason"], "redirect_uri_missing");
    let request = rig.request(Method::DELETE, "/sandbox/calls");
    let cleared: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(cleared, json!({ "total": 2, "calls": [] }));
}

#[tokio::test]
async fn a_world_that_does_not_hold_together_does_not_start() {
    let world = toml::from_str("[[system_users]]\nid='1'\nname='x'\nbusiness='2'").unwrap();
    let settings = SandboxSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        world,
        ..SandboxSettings::default()
    };
    let error = Sandbox::start(settings, Clock::Real).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("system_users[0].business"));
}

#[tokio::test]
async fn test_events_of_a_token_check_are_events_like_others() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({ "app": APP, "holder": ADMIN }));
    let mut event = with_id("check-1");
    event["event_name"] = json!("GatewayTokenCheck");
    let members = json!({ "data": [event], "test_event_code": "TEST12345" });
    let request = rig.request(Method::POST, &format!("/v26.0/{PIXEL}/events"));
    let seen = request
        .bearer_auth(&token)
        .json(&members)
        .send()
        .await
        .unwrap();
    assert_eq!(body(seen).await["events_received"], 1);
    assert_eq!(rig.sandbox.test_events("TEST12345").len(), 1);
    // a probe without events tells a bad token from a good one
    let probe = json!({ "data": [] });
    for (token, expected) in [
        (token.as_str(), (400, 100, None)),
        ("EAAbad", (401, 190, None)),
    ] {
        let request = rig.request(Method::POST, &format!("/v26.0/{PIXEL}/events"));
        let seen = request
            .bearer_auth(token)
            .json(&probe)
            .send()
            .await
            .unwrap();
        assert_eq!(refusal(seen).await, expected);
    }
}
