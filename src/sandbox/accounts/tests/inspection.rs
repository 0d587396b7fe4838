//! `debug_token`, and taking tokens back.

use super::*;

#[tokio::test]
async fn who_may_look() {
    let rig = Rig::start().await;
    let alex = rig.of_alex(&[]);
    let kim = rig.mint(json!({ "app": APP, "holder": "3000000000000002", "kind": "user" }));
    let dataset = rig.mint(json!({ "name": "dataset" }));
    let ok = Ok(true);
    let not_privileged = Err((
        400,
        100,
        None,
        "(#100) You must provide an app access token",
    ));
    let foreign = Err((
        400,
        100,
        None,
        "(#100) The App_id in the input_token did not match",
    ));
    let wrong_app = "1000000000000009|0123456789abcdef0123456789abcdef";
    let wrong_secret = "1000000000000001|wrong";
    let cases = [
        (alex.as_str(), APP_TOKEN, ok),
        // a developer of the app, and the token itself
        (&kim, &alex, ok),
        (&kim, &kim, ok),
        (&dataset, &dataset, ok),
        (&alex, &kim, not_privileged),
        (&alex, OTHER_TOKEN, foreign),
        (&dataset, APP_TOKEN, foreign),
        (
            &alex,
            wrong_app,
            Err((400, 190, None, "Error validating application.")),
        ),
        (
            &alex,
            wrong_secret,
            Err((400, 190, None, "Invalid OAuth access token signature.")),
        ),
        (
            &alex,
            "EAAgarbage",
            Err((401, 190, None, "Invalid OAuth access token")),
        ),
        (
            &alex,
            "",
            Err((400, 104, None, "An access token is required")),
        ),
        (
            "",
            APP_TOKEN,
            Err((400, 100, None, "(#100) The parameter input_token")),
        ),
        ("EAAgarbage", APP_TOKEN, Ok(false)),
        (APP_TOKEN, APP_TOKEN, ok),
        (wrong_secret, APP_TOKEN, Ok(false)),
        (OTHER_TOKEN, APP_TOKEN, foreign),
        (APP_TOKEN, &alex, not_privileged),
    ];
    for (input, by, expected) in cases {
        let response = rig.inspect(input, by).await;
        let status = response.status().as_u16();
        let seen: Value = response.json().await.unwrap();
        match expected {
            Ok(valid) => {
                assert_eq!(
                    (status, &seen["data"]["is_valid"]),
                    (200, &json!(valid)),
                    "{seen}"
                );
                assert_eq!(seen["data"].get("error").is_some(), !valid);
            }
            Err((code, of, subcode, start)) => {
                let error = &seen["error"];
                let said = (
                    status,
                    error["code"].as_i64().unwrap(),
                    error["error_subcode"].as_i64(),
                );
                assert_eq!(said, (code, of, subcode), "{seen}");
                assert!(text(&error["message"]).starts_with(start), "{seen}");
            }
        }
    }
    assert_eq!(rig.violations(), []);
    rig.sandbox.set_quirks(Quirks {
        no_self_inspection: true,
        ..Quirks::default()
    });
    assert_eq!(
        refusal(rig.inspect(&kim, &kim).await).await,
        (400, 100, None)
    );
    // the parameter works as well, and is a violation
    let path = format!("/v26.0/debug_token?input_token={kim}&access_token={alex}");
    let seen = rig.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(body(seen).await["data"]["is_valid"], true);
    assert_eq!(
        rig.violations(),
        [("token_in_url", "access_token".to_owned())]
    );
}

#[tokio::test]
async fn what_is_said_of_a_token() {
    let rig = Rig::start().await;
    let now = NOW.secs();
    let token = rig.mint(json!({
        "app": APP, "holder": ADMIN, "scopes": ["ads_management", "ads_read"],
        "granular": { "ads_read": ["7"] }, "expires_in": "60d", "data_access_expires_in": "90d",
    }));
    let seen = body(rig.inspect(&token, APP_TOKEN).await).await;
    let expected = json!({
        "app_id": APP, "type": "SYSTEM_USER", "application": "Shop events",
        "data_access_expires_at": now + 90 * 86_400, "expires_at": now + 60 * 86_400,
        "is_valid": true, "issued_at": now, "scopes": ["ads_management", "ads_read"],
        "granular_scopes": [
            { "scope": "ads_management" }, { "scope": "ads_read", "target_ids": ["7"] },
        ],
        "user_id": ADMIN,
    });
    assert_eq!(seen["data"], expected);

    let short = json!({ "app": APP, "holder": ALEX, "kind": "user", "expires_in": "1h" });
    let seen = body(rig.inspect(&rig.mint(short), APP_TOKEN).await).await;
    assert_eq!(seen["data"].get("issued_at"), None);

    let page = json!({ "app": APP, "holder": ALEX, "kind": "page", "page": PAGE });
    let page = rig.mint(page);
    let seen = body(rig.inspect(&page, APP_TOKEN).await).await;
    assert_eq!(
        (&seen["data"]["type"], &seen["data"]["profile_id"]),
        (&json!("PAGE"), &json!(PAGE))
    );
    assert_eq!(seen["data"]["expires_at"], 0);
    assert_eq!(seen["data"]["data_access_expires_at"], 0);
    rig.sandbox.set_quirks(Quirks {
        numeric_ids: true,
        omit_expires_at: true,
        ..Quirks::default()
    });
    let seen = body(rig.inspect(&page, APP_TOKEN).await).await;
    assert_eq!(seen["data"].get("expires_at"), None);
    for key in ["app_id", "user_id", "profile_id"] {
        assert!(seen["data"][key].is_u64(), "{key}");
    }
}

#[tokio::test]
async fn time_ends_tokens() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({
        "app": APP, "holder": ALEX, "kind": "user", "scopes": ["ads_management"],
        "expires_in": "60d", "data_access_expires_in": "1d",
    }));
    rig.sandbox.advance_clock(Duration::from_hours(59 * 24));
    // valid although its access to data has ended
    let seen = body(rig.inspect(&token, APP_TOKEN).await).await;
    assert_eq!(seen["data"]["is_valid"], true);
    rig.sandbox.advance_clock(Duration::from_hours(24));
    let seen = body(rig.inspect(&token, APP_TOKEN).await).await;
    let error = &seen["data"]["error"];
    assert_eq!(seen["data"]["is_valid"], false);
    assert_eq!(
        (&error["code"], &error["subcode"]),
        (&json!(190), &json!(463))
    );
    assert_eq!(error.get("error_subcode"), None);
    let said = text(&error["message"]);
    assert!(
        said.contains("Session has expired on Thursday, 21-Jan-27"),
        "{said}"
    );
    assert_eq!(refusal(rig.send(&token).await).await, (400, 190, Some(463)));
    assert_eq!(
        refusal(rig.inspect(&token, &token).await).await,
        (400, 190, Some(463))
    );
    rig.sandbox.set_quirks(Quirks {
        omit_subcode: true,
        ..Quirks::default()
    });
    let seen = body(rig.inspect(&token, APP_TOKEN).await).await;
    assert_eq!(seen["data"]["error"].get("subcode"), None);
    assert_eq!(refusal(rig.send(&token).await).await, (400, 190, None));
}

#[tokio::test]
async fn revoking() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({ "app": APP, "holder": ADMIN }));
    let foreign = rig.mint(json!({ "app": OTHER, "holder": ALEX, "kind": "user" }));
    let path = |client: &str, secret: &str, revoke: &str, by: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", client), ("client_secret", secret)])
            .extend_pairs([("revoke_token", revoke), ("access_token", by)])
            .finish();
        format!("/v26.0/oauth/revoke?{query}")
    };
    let cases = [
        (path("", SECRET, &token, &token), (400, 101, None)),
        (path("77", SECRET, &token, &token), (400, 101, None)),
        (path(APP, "wrong", &token, &token), (400, 1, None)),
        (path(APP, SECRET, &token, ""), (400, 104, None)),
        (path(APP, SECRET, "", &token), (400, 100, None)),
        (path(APP, SECRET, "EAAgarbage", &token), (401, 190, None)),
        (path(APP, SECRET, &foreign, &token), (400, 100, None)),
        (path(APP, SECRET, &token, OTHER_TOKEN), (400, 100, None)),
    ];
    for (path, expected) in cases {
        let response = rig.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(refusal(response).await, expected, "{path}");
    }
    assert_eq!(rig.send(&token).await.status(), 200);
    let path = path(APP, SECRET, &token, APP_TOKEN);
    let response = rig.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(body(response).await, json!({ "success": "true" }));
    assert_eq!(refusal(rig.send(&token).await).await, (400, 190, Some(466)));
    let seen = body(rig.inspect(&token, APP_TOKEN).await).await;
    assert_eq!(seen["data"]["error"]["subcode"], 466);
    // Meta wants all of them in the URL
    assert_eq!(rig.violations(), []);

    let other = rig.mint(json!({ "app": APP, "holder": ADMIN }));
    rig.sandbox.set_quirks(Quirks {
        bare_true: true,
        ..Quirks::default()
    });
    let path = path.replace(&token, &other);
    let response = rig.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(body(response).await, json!(true));
}
