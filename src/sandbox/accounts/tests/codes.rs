//! `oauth/access_token`: codes, longer lives, app tokens.

use super::*;

const HERE: &str = "http://localhost:8080/";

/// Status, code, subcode, the start of the message, and the class of the challenge.
async fn told(response: Response) -> (u16, i64, Option<i64>, String, Option<String>) {
    let challenge = response.headers().get("www-authenticate");
    let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
    let class = challenge.map(|value| {
        let rest = value
            .strip_prefix("OAuth \"Facebook Platform\" \"")
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    });
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert_eq!(error["type"], "OAuthException");
    (
        status,
        error["code"].as_i64().unwrap(),
        error["error_subcode"].as_i64(),
        text(&error["message"]).to_owned(),
        class,
    )
}

/// The usual form with one member replaced, or taken out by an empty value.
fn form<'a>(code: &'a str, change: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("client_id", APP),
        ("client_secret", SECRET),
        ("redirect_uri", HERE),
        ("code", code),
    ];
    form.retain(|(name, _)| *name != change.0);
    if !change.1.is_empty() {
        form.push(change);
    }
    form
}

#[tokio::test]
async fn each_fault_of_an_exchange_has_its_answer() {
    let rig = Rig::start().await;
    let code = rig.code(HERE).await;
    let (id, request) = (Some("invalid_code"), Some("invalid_request"));
    let cut = &code[..20];
    let cases = [
        (
            ("client_id", ""),
            101,
            None,
            "Missing client_id parameter.",
            None,
        ),
        (
            ("client_id", "77"),
            101,
            None,
            "Error validating application.",
            None,
        ),
        (
            ("redirect_uri", ""),
            191,
            None,
            "Missing redirect_uri",
            request,
        ),
        (
            ("redirect_uri", "null"),
            191,
            None,
            "redirect_uri isn't an absolute URI.",
            request,
        ),
        (
            ("redirect_uri", "http%3A%2F%2Flocalhost%3A8080%2F"),
            191,
            None,
            "redirect_uri isn't an absolute URI. Check RFC 3986.",
            request,
        ),
        (
            ("redirect_uri", "https://x.example/"),
            191,
            None,
            "Invalid redirect_uri:",
            request,
        ),
        (
            ("client_secret", ""),
            1,
            None,
            "Error validating client secret.",
            None,
        ),
        (
            ("client_secret", "wrong"),
            1,
            None,
            "Error validating client secret.",
            None,
        ),
        (("code", ""), 1, None, "Missing authorization code", None),
        (
            ("code", cut),
            100,
            None,
            "Invalid verification code format.",
            id,
        ),
        (
            ("code", "AQ#_=_"),
            100,
            None,
            "Invalid verification code format.",
            id,
        ),
        (
            ("redirect_uri", "http://localhost:8080"),
            100,
            Some(36_008),
            "Error validating verification code. Please make sure your redirect_uri is identical",
            id,
        ),
        (
            ("grant_type", "password"),
            100,
            None,
            "Invalid grant_type",
            id,
        ),
    ];
    for (change, code_of, subcode, start, class) in cases {
        let seen = told(rig.oauth(&form(&code, change)).await).await;
        assert_eq!(
            (seen.0, seen.1, seen.2),
            (400, code_of, subcode),
            "{change:?}"
        );
        assert!(seen.3.starts_with(start), "{}", seen.3);
        assert_eq!(seen.4.as_deref(), class, "{change:?}");
    }
    // none of it has used the code up
    let good = form(&code, ("", ""));
    assert!(body(rig.oauth(&good).await).await["access_token"].is_string());
    let used = told(rig.oauth(&good).await).await;
    assert_eq!((used.1, used.2), (100, Some(36_009)));
    assert_eq!(used.3, "This authorization code has been used.");
    assert_eq!(rig.last().outcome.reason, "code_used");
}

#[tokio::test]
async fn faults_are_looked_for_in_order() {
    let rig = Rig::start().await;
    let code = rig.code(HERE).await;
    rig.exchange(&code).await;
    rig.sandbox.advance_clock(Duration::from_hours(1));
    // everything is wrong; one by one it is mended
    let mut form = vec![
        ("client_id", "77"),
        ("redirect_uri", "null"),
        ("client_secret", "wrong"),
        ("code", "cut"),
    ];
    let mends = [
        (101, None, ("client_id", APP)),
        (191, None, ("redirect_uri", "http://localhost:1/")),
        (1, None, ("client_secret", SECRET)),
        (100, None, ("code", &code)),
        // used, expired and for another URI all at once
        (100, Some(36_009), ("code", &code)),
    ];
    for (code, subcode, mend) in mends {
        assert_eq!(refusal(rig.oauth(&form).await).await, (400, code, subcode));
        form.retain(|(name, _)| *name != mend.0);
        form.push(mend);
    }
    // expired comes before the URI
    let late = rig.code(HERE).await;
    rig.sandbox.advance_clock(Duration::from_mins(10));
    let elsewhere = ("redirect_uri", "http://localhost:1/");
    let seen = refusal(rig.oauth(&self::form(&late, elsewhere)).await).await;
    assert_eq!(seen, (400, 100, Some(36_007)));
}

#[tokio::test]
async fn a_code_is_good_for_its_app_while_the_person_wants_it() {
    let rig = Rig::start().await;
    let code = rig.code(HERE).await;
    let foreign = [
        ("client_id", OTHER),
        ("client_secret", "fedcba9876543210fedcba9876543210"),
        ("redirect_uri", "https://other.example/callback"),
        ("code", &code),
    ];
    let seen = told(rig.oauth(&foreign).await).await;
    assert_eq!(
        (seen.1, seen.2, rig.last().outcome.reason),
        (100, None, "code_format")
    );
    let token = rig.of_alex(&[]);
    let request = rig.request(Method::DELETE, "/v26.0/me/permissions");
    let done = body(request.bearer_auth(&token).send().await.unwrap()).await;
    assert_eq!(done, json!({ "success": true }));
    let lapsed = told(rig.oauth(&form(&code, ("", ""))).await).await;
    assert_eq!((lapsed.1, lapsed.2), (100, None));
    assert!(lapsed.3.starts_with("Code was invalid or expired."));
}

#[tokio::test]
async fn get_post_form_and_json_with_and_without_version() {
    let rig = Rig::start().await;
    for (method, path) in [
        (Method::POST, "/v26.0/oauth/access_token"),
        (Method::POST, "/oauth/access_token"),
        (Method::GET, "/oauth/access_token"),
    ] {
        let code = rig.code(HERE).await;
        let members = form(&code, ("", ""));
        let request = rig.request(method.clone(), path);
        let request = if method == Method::GET {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&members)
                .finish();
            rig.request(method, &format!("{path}?{query}"))
        } else {
            let object: serde_json::Map<_, _> = members
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            request.json(&object)
        };
        let seen = body(request.send().await.unwrap()).await;
        assert!(text(&seen["access_token"]).starts_with("EAA"));
    }
    let expected = [
        ("secret_in_url", "client_secret".to_owned()),
        ("secret_in_url", "code".to_owned()),
    ];
    assert_eq!(rig.violations(), expected);
    let call = rig.last();
    assert_eq!((call.edge, call.version), (Edge::Oauth, None));
    assert!(call.params.iter().all(|param| param.place == Place::Query));
}

#[tokio::test]
async fn longer_lives() {
    let rig = Rig::start().await;
    let user = |life: &str| json!({"app": APP, "holder": ALEX, "kind": "user", "expires_in": life});
    let system = |life: Value| {
        let mut spec = json!({"app": APP, "holder": ADMIN, "scopes": ["ads_management"]});
        if life.is_string() {
            spec["expires_in"] = life;
        }
        spec
    };
    let days = |days: i64| Some(days * 86_400);
    let flag = [("set_token_expires_in_60_days", "true")];
    let cases = [
        ("short user", user("1h"), &[][..], Ok(days(60))),
        ("long user", user("30d"), &[][..], Ok(days(30))),
        (
            "expiring system user",
            system(json!("10d")),
            &flag[..],
            Ok(days(60)),
        ),
        (
            "the same unasked",
            system(json!("10d")),
            &[][..],
            Err((100, None)),
        ),
        ("for ever", system(Value::Null), &[][..], Ok(None)),
        (
            "for ever no more",
            system(Value::Null),
            &flag[..],
            Ok(days(60)),
        ),
        (
            "a page",
            json!({"app": APP, "holder": ALEX, "kind": "page", "page": PAGE}),
            &[][..],
            Err((100, None)),
        ),
        (
            "another app",
            json!({"app": OTHER, "holder": ALEX, "kind": "user"}),
            &[][..],
            Err((100, None)),
        ),
        (
            "expired",
            json!({"app": APP, "holder": ALEX, "kind": "user", "state": "expired"}),
            &[][..],
            Err((190, Some(463))),
        ),
    ];
    for (what, spec, more, expected) in cases {
        let old = rig.mint(spec);
        let response = rig.extend(&old, more).await;
        match expected {
            Ok(life) => {
                let seen = body(response).await;
                assert_eq!(seen["expires_in"].as_i64(), life, "{what}");
                let new = text(&seen["access_token"]);
                assert_ne!(new, old);
                // both work for now
                for token in [new, old.as_str()] {
                    let data = body(rig.inspect(token, APP_TOKEN).await).await;
                    assert_eq!(data["data"]["is_valid"], true, "{what}");
                }
            }
            Err((code, subcode)) => {
                assert_eq!(refusal(response).await, (400, code, subcode), "{what}");
            }
        }
    }
    let garbage = rig.extend("EAAgarbage", &[]).await;
    assert_eq!(refusal(garbage).await, (401, 190, None));
    let nothing = rig.extend("", &[]).await;
    assert_eq!(refusal(nothing).await, (400, 100, None));
    let app = rig.extend(APP_TOKEN, &[]).await;
    assert_eq!(refusal(app).await, (401, 190, None));

    let long = rig.mint(user("30d"));
    rig.sandbox.set_quirks(Quirks {
        extend_long_lived: true,
        ..Quirks::default()
    });
    let seen = body(rig.extend(&long, &[]).await).await;
    assert_eq!(seen["expires_in"].as_i64(), days(60));
    rig.sandbox.set_quirks(Quirks {
        omit_expires_in: true,
        ..Quirks::default()
    });
    let seen = body(rig.extend(&long, &[]).await).await;
    assert_eq!(seen.get("expires_in"), None);
}

#[tokio::test]
async fn app_tokens() {
    let rig = Rig::start().await;
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("client_secret", SECRET),
    ];
    let seen = body(rig.oauth(&form).await).await;
    assert_eq!(
        seen,
        json!({ "access_token": APP_TOKEN, "token_type": "bearer" })
    );
    form[2].1 = "wrong";
    assert_eq!(refusal(rig.oauth(&form).await).await, (400, 1, None));
}

#[tokio::test]
async fn a_token_to_exchange_belongs_into_the_body() {
    let rig = Rig::start().await;
    let path = "/oauth/access_token?grant_type=fb_exchange_token&fb_exchange_token=x";
    rig.request(Method::GET, path).send().await.unwrap();
    let expected = [("token_in_url", "fb_exchange_token".to_owned())];
    assert_eq!(rig.violations(), expected);
}
