//! People, pages, pixels.

use super::super::proof::sign;
use super::*;

const BOTH: [&str; 2] = ["ads_management", "pages_show_list"];

async fn delete(rig: &Rig, path: &str, token: &str) -> Response {
    let request = rig.request(Method::DELETE, path).bearer_auth(token);
    request.send().await.unwrap()
}

#[tokio::test]
async fn who_i_am() {
    let rig = Rig::start().await;
    let alex = rig.of_alex(&[]);
    let dataset = rig.mint(json!({}));
    let page = rig.mint(json!({ "app": APP, "holder": ALEX, "kind": "page", "page": PAGE }));
    let cases = [
        (
            &alex,
            "/v26.0/me",
            json!({ "id": ALEX, "name": "Alex Example" }),
        ),
        (&alex, "/v26.0/me?fields=id", json!({ "id": ALEX })),
        (
            &alex,
            "/v26.0/3000000000000001?fields=name",
            json!({ "id": ALEX, "name": "Alex Example" }),
        ),
        (
            &page,
            "/v26.0/me?fields=id,name",
            json!({ "id": PAGE, "name": "Shop" }),
        ),
        (
            &dataset,
            "/v26.0/me",
            json!({ "id": DATASET_USER, "name": "Conversions API System User" }),
        ),
    ];
    for (token, path, expected) in cases {
        assert_eq!(body(rig.get(path, token).await).await, expected, "{path}");
    }
    let refused = [
        (
            "/v26.0/me?fields=shoe_size",
            alex.as_str(),
            (400, 100, None),
        ),
        ("/v26.0/3000000000000002", &alex, (400, 100, Some(33))),
        ("/v26.0/me", APP_TOKEN, (400, 2500, None)),
        ("/v26.0/me", "", (400, 104, None)),
        ("/v26.0/me", "EAAgarbage", (401, 190, None)),
    ];
    for (path, token, expected) in refused {
        assert_eq!(
            refusal(rig.get(path, token).await).await,
            expected,
            "{path}"
        );
    }
    let path = format!("/v26.0/me?access_token={alex}");
    let seen = rig.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(body(seen).await["id"], ALEX);
    assert_eq!(
        rig.violations(),
        [("token_in_url", "access_token".to_owned())]
    );
}

#[tokio::test]
async fn permissions_are_listed_and_taken_back() {
    let rig = Rig::start().await;
    let token = rig.of_alex(&BOTH);
    let list = async |token: &str| body(rig.get("/v26.0/me/permissions", token).await).await;
    let row = |name: &str, status: &str| json!({ "permission": name, "status": status });
    let expected = json!({ "data": [
        row("ads_management", "granted"), row("pages_show_list", "granted"),
        row("ads_read", "declined"),
    ]});
    assert_eq!(list(&token).await, expected);
    let path = format!("/v26.0/{ALEX}/permissions/ads_management");
    assert_eq!(
        body(delete(&rig, &path, &token).await).await,
        json!({ "success": true })
    );
    let expected = json!({ "data": [
        row("pages_show_list", "granted"), row("ads_management", "declined"),
        row("ads_read", "declined"),
    ]});
    assert_eq!(list(&token).await, expected);
    let other = rig.mint(json!({ "app": OTHER, "holder": ALEX, "kind": "user" }));
    body(delete(&rig, "/v26.0/me/permissions", &token).await).await;
    assert_eq!(refusal(rig.send(&token).await).await, (400, 190, Some(458)));
    // what another app was given stays
    let proof = sign("fedcba9876543210fedcba9876543210", &other);
    let path = format!("/v26.0/me?appsecret_proof={proof}");
    assert_eq!(body(rig.get(&path, &other).await).await["id"], ALEX);
    let path = "/v26.0/me/permissions/ads_read";
    let seen = rig.get(path, &rig.of_alex(&[])).await;
    assert_eq!(refusal(seen).await, (400, 100, Some(33)));
}

#[tokio::test]
async fn pages_come_with_their_tokens() {
    let rig = Rig::start().await;
    let token = rig.of_alex(&BOTH);
    let seen = body(rig.get("/v26.0/me/accounts", &token).await).await;
    let pages = seen["data"].as_array().unwrap();
    assert_eq!(pages.len(), 3);
    assert_eq!(pages[0]["name"], "Shop");
    assert_eq!(pages[0]["tasks"], json!(["MANAGE"]));
    assert_eq!(pages[1].get("access_token"), None);
    let page_token = text(&pages[0]["access_token"]);
    let path = format!("/v26.0/{PAGE}?fields=access_token");
    let seen = body(rig.get(&path, &token).await).await;
    assert_eq!(seen, json!({ "access_token": page_token, "id": PAGE }));
    let watched = path.replace(PAGE, "4000000000000002");
    let seen = body(rig.get(&watched, &token).await).await;
    assert_eq!(seen, json!({ "id": "4000000000000002" }));
    let plain = rig.get(&format!("/v26.0/{PAGE}"), &token).await;
    assert_eq!(body(plain).await, json!({ "id": PAGE, "name": "Shop" }));

    // a token without the scope sees none
    let blind = rig.of_alex(&["ads_management"]);
    let seen = body(rig.get("/v26.0/me/accounts", &blind).await).await;
    assert_eq!(seen, json!({ "data": [] }));
    let seen = refusal(rig.get(&path, &blind).await).await;
    assert_eq!(seen, (400, 100, Some(33)));

    let seen = body(rig.inspect(page_token, APP_TOKEN).await).await;
    assert_eq!(
        (&seen["data"]["type"], &seen["data"]["expires_at"]),
        (&json!("PAGE"), &json!(0))
    );
    // not for datasets
    assert_eq!(
        refusal(rig.send(page_token).await).await,
        (400, 100, Some(33))
    );
    // it dies with the token it came from
    rig.sandbox
        .set_token_state(&token, TokenState::PasswordChanged);
    let seen = rig.get("/v26.0/me", page_token).await;
    assert_eq!(refusal(seen).await, (400, 190, Some(460)));
}

#[tokio::test]
async fn a_page_token_of_a_short_lived_token_is_short_lived() {
    let rig = Rig::start().await;
    let life = ["1h", "60d"];
    let [short, long] = life.map(|life| {
        rig.mint(json!({
            "app": APP, "holder": ALEX, "kind": "user", "scopes": BOTH, "expires_in": life,
        }))
    });
    let path = format!("/v26.0/{PAGE}?fields=access_token");
    let mut tokens = Vec::new();
    for parent in [&short, &long] {
        let seen = body(rig.get(&path, parent).await).await;
        tokens.push(text(&seen["access_token"]).to_owned());
    }
    rig.sandbox.advance_clock(Duration::from_hours(61 * 24));
    let seen = rig.get("/v26.0/me", &tokens[0]).await;
    assert_eq!(refusal(seen).await, (400, 190, Some(463)));
    assert_eq!(
        body(rig.get("/v26.0/me", &tokens[1]).await).await["id"],
        PAGE
    );
}

#[tokio::test]
async fn lists_come_in_pages() {
    let rig = Rig::start().await;
    let token = rig.of_alex(&BOTH);
    let mut seen = Vec::new();
    let mut path = "/v26.0/me/accounts?limit=2".to_owned();
    for last in [false, true] {
        let page = body(rig.get(&path, &token).await).await;
        let rows = page["data"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| text(&row["name"]).to_owned()));
        let after = text(&page["paging"]["cursors"]["after"]).to_owned();
        match page["paging"].get("next") {
            Some(next) => {
                // as Meta's does, it holds the token
                assert!(text(next).contains(&token) && text(next).contains(&after));
                let follow = rig.client.get(text(next)).send().await.unwrap();
                assert_eq!(body(follow).await["data"][0]["name"], "Second shop");
            }
            None => assert!(last),
        }
        path = format!("/v26.0/me/accounts?limit=2&after={after}");
    }
    assert_eq!(seen, ["Shop", "Watched only", "Second shop"]);
    // who follows it puts a token into a URL
    assert_eq!(
        rig.violations(),
        [("token_in_url", "access_token".to_owned())]
    );
    assert_eq!(
        body(rig.get(&path, &token).await).await,
        json!({ "data": [] })
    );
    for bad in ["limit=0", "limit=101", "limit=x", "after=7"] {
        let path = format!("/v26.0/me/accounts?{bad}");
        assert_eq!(
            refusal(rig.get(&path, &token).await).await,
            (400, 100, None),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn pixels() {
    let rig = Rig::start().await;
    let token = rig.mint(json!({ "app": APP, "holder": ADMIN }));
    let path = format!("/v26.0/{PIXEL}");
    let plain = json!({ "id": PIXEL, "name": "Shop website" });
    assert_eq!(body(rig.get(&path, &token).await).await, plain);
    let fields = "?fields=id,name,is_unavailable,last_fired_time,owner_business%7Bid,name%7D";
    let full = format!("{path}{fields}");
    let seen = body(rig.get(&full, &token).await).await;
    let owner = json!({ "id": BUSINESS, "name": "Shop Inc." });
    let expected = json!({
        "id": PIXEL, "name": "Shop website", "is_unavailable": false, "owner_business": owner,
    });
    assert_eq!(seen, expected);
    assert_eq!(rig.send(&token).await.status(), 200);
    let seen = body(rig.get(&full, &token).await).await;
    assert_eq!(seen["last_fired_time"], "2026-11-22T10:00:00+0000");

    let any = rig.mint(json!({}));
    let broken = rig
        .get("/v26.0/1234567890123457?fields=is_unavailable", &any)
        .await;
    assert_eq!(body(broken).await["is_unavailable"], true);
    let refused = [
        (format!("{path}?fields=shoe_size"), &token, (400, 100, None)),
        (
            "/v26.0/1234567890123457".to_owned(),
            &token,
            (400, 100, Some(33)),
        ),
        ("/v26.0/7".to_owned(), &any, (400, 100, Some(33))),
    ];
    for (path, token, expected) in refused {
        assert_eq!(
            refusal(rig.get(&path, token).await).await,
            expected,
            "{path}"
        );
    }
    let seen: Value = rig.get("/v26.0/7", &any).await.json().await.unwrap();
    let said = text(&seen["error"]["message"]);
    assert!(said.starts_with("Unsupported get request. Object with ID '7' does not exist"));
    assert_eq!(seen["error"]["type"], "GraphMethodException");
    assert_eq!(rig.violations(), []);
}

#[tokio::test]
async fn scopes_may_be_needed() {
    let mut world: World = toml::from_str(WORLD).unwrap();
    world.needs = Needs {
        events: vec!["ads_management".to_owned()],
        pixel: vec!["ads_read".to_owned(), "ads_management".to_owned()],
    };
    let rig = Rig::with(world).await;
    let path = format!("/v26.0/{PIXEL}");
    let cases = [
        (json!([]), Err((400, 200, None)), Err((400, 10, None))),
        (json!(["ads_read"]), Err((400, 200, None)), Ok(())),
        (json!(["ads_management"]), Ok(()), Ok(())),
    ];
    for (scopes, sends, reads) in cases {
        let token = rig.mint(json!({ "app": APP, "holder": ADMIN, "scopes": scopes }));
        let answers = [
            (rig.send(&token).await, sends),
            (rig.get(&path, &token).await, reads),
        ];
        for (response, expected) in answers {
            match expected {
                Ok(()) => assert_eq!(response.status(), 200, "{scopes}"),
                Err(expected) => assert_eq!(refusal(response).await, expected, "{scopes}"),
            }
        }
    }
}
