//! What is sent, to the byte.

use super::*;
use crate::graph::payload;

const FORM: &str = "application/x-www-form-urlencoded";

fn proof() -> String {
    payload::proof(&secret(APP_SECRET), &secret(TOKEN))
}

/// One request, all of it but what every client sends.
fn shape(asked: &Asked) -> (&str, Option<&str>, Option<&str>, &str) {
    let header = |name: &str| asked.headers.get(name).map(String::as_str);
    (
        &asked.line,
        header("authorization"),
        header("content-type"),
        &asked.body,
    )
}

/// What the one request of `call` looks like.
async fn sent<T>(answer: &str, call: impl AsyncFnOnce(OauthClient) -> T) -> (T, Asked) {
    let (got, mut asked) = talk(&[ok(answer)], call).await;
    (got, asked.remove(0))
}

const GRANT: &str = r#"{"access_token":"EAABnew","token_type":"bearer","expires_in":5183944}"#;

#[tokio::test]
async fn tokens_are_made_with_a_form() {
    let token_url = "POST /v26.0/oauth/access_token";
    let (got, asked) = sent(GRANT, async |client| {
        let code = secret(CODE);
        client
            .exchange_code(&app(), "http://localhost:8080/", &code)
            .await
    })
    .await;
    assert_eq!(got.unwrap().token.expose(), "EAABnew");
    let body = format!(
        "client_id=1234567890123456&client_secret={APP_SECRET}\
         &redirect_uri=http%3A%2F%2Flocalhost%3A8080%2F&code={CODE}"
    );
    assert_eq!(shape(&asked), (token_url, None, Some(FORM), body.as_str()));

    for (sixty_days, tail) in [(false, ""), (true, "&set_token_expires_in_60_days=true")] {
        let (got, asked) = sent(GRANT, async |client| {
            client.extend(&app(), &secret(TOKEN), sixty_days).await
        })
        .await;
        assert_eq!(got.unwrap().expires_in, Some(5_183_944));
        let body = format!(
            "grant_type=fb_exchange_token&client_id=1234567890123456\
             &client_secret={APP_SECRET}&fb_exchange_token={TOKEN}{tail}"
        );
        assert_eq!(shape(&asked), (token_url, None, Some(FORM), body.as_str()));
    }

    let (got, asked) = sent(r#"{"access_token":"1|x"}"#, async |client| {
        client.app_token(&app()).await
    })
    .await;
    assert_eq!(got.unwrap().expose(), "1|x");
    let body = format!(
        "grant_type=client_credentials&client_id=1234567890123456&client_secret={APP_SECRET}"
    );
    assert_eq!(shape(&asked), (token_url, None, Some(FORM), body.as_str()));
}

#[tokio::test]
async fn only_the_token_asked_about_is_in_the_address_of_an_inspection() {
    let target = format!("GET /v26.0/debug_token?input_token={TOKEN}");
    let app = app();
    let other = secret(OTHER);
    for (by, bearer) in [
        (
            Inspector::App(&app),
            format!("Bearer 1234567890123456|{APP_SECRET}"),
        ),
        (Inspector::Token(&other), format!("Bearer {OTHER}")),
        (Inspector::Itself, format!("Bearer {TOKEN}")),
    ] {
        let (got, asked) = sent(r#"{"data":{"is_valid":true}}"#, async |client| {
            client.inspect(&secret(TOKEN), by).await
        })
        .await;
        assert!(got.unwrap().is_valid);
        let want = (target.as_str(), Some(bearer.as_str()), None, "");
        assert_eq!(shape(&asked), want);
    }
}

#[tokio::test]
async fn taking_back_is_all_in_the_address_as_meta_wants_it() {
    for yes in [
        r#"{"success":"true"}"#,
        r#"{"success":true}"#,
        r#"{"success":1}"#,
        "true",
    ] {
        let (got, asked) = sent(yes, async |client| {
            client.revoke(&app(), &secret(TOKEN), &secret(OTHER)).await
        })
        .await;
        assert_eq!(got, Ok(()), "{yes}");
        let target = format!(
            "GET /v26.0/oauth/revoke?client_id=1234567890123456&client_secret={APP_SECRET}\
             &revoke_token={TOKEN}&access_token={OTHER}"
        );
        assert_eq!(shape(&asked), (target.as_str(), None, None, ""));
    }
    for (no, want) in [
        (r#"{"success":"false"}"#, OauthError::NotDone),
        ("false", OauthError::NotDone),
        ("{}", OauthError::Missing("success")),
        (r#"{"success":"perhaps"}"#, OauthError::Missing("success")),
    ] {
        let (got, _) = sent(no, async |client| {
            client.revoke(&app(), &secret(TOKEN), &secret(OTHER)).await
        })
        .await;
        assert_eq!(got, Err(want), "{no}");
    }

    let bearer = format!("Bearer {TOKEN}");
    for (permission, path) in [(None, ""), (Some("ads_management"), "/ads_management")] {
        let (got, asked) = sent(r#"{"success":true}"#, async |client| {
            let token = secret(TOKEN);
            client.deauthorise(&token, None, "77", permission).await
        })
        .await;
        assert_eq!(got, Ok(()));
        let target = format!("DELETE /v26.0/77/permissions{path}");
        let want = (target.as_str(), Some(bearer.as_str()), None, "");
        assert_eq!(shape(&asked), want);
    }
}

#[tokio::test]
async fn reads_have_the_token_in_the_header_and_the_proof_where_the_secret_is_known() {
    let bearer = format!("Bearer {TOKEN}");
    let proofs = format!("&appsecret_proof={}", proof());
    for app_secret in [None, Some(secret(APP_SECRET))] {
        let app_secret = app_secret.as_ref();
        let tail = app_secret.map_or("", |_| proofs.as_str());
        let token = secret(TOKEN);
        let one = r#"{"id":"7","name":"N","access_token":"EAABpage"}"#;
        let (got, asked) = sent(one, async |client| client.me(&token, app_secret).await).await;
        assert_eq!(got.unwrap().id, "7");
        let target = format!("GET /v26.0/me?fields=id%2Cname{tail}");
        assert_eq!(
            shape(&asked),
            (target.as_str(), Some(bearer.as_str()), None, "")
        );

        let (got, asked) = sent(one, async |client| {
            client.page_token(&token, app_secret, "7").await
        })
        .await;
        assert_eq!(got.unwrap().expose(), "EAABpage");
        let target = format!("GET /v26.0/7?fields=access_token{tail}");
        assert_eq!(
            shape(&asked),
            (target.as_str(), Some(bearer.as_str()), None, "")
        );

        let list = r#"{"data":[]}"#;
        let (got, asked) = sent(list, async |client| {
            client.permissions(&token, app_secret).await
        })
        .await;
        assert_eq!(got, Ok(vec![]));
        let target =
            format!("GET /v26.0/me/permissions?fields=permission%2Cstatus&limit=100{tail}");
        assert_eq!(
            shape(&asked),
            (target.as_str(), Some(bearer.as_str()), None, "")
        );

        let (got, asked) = sent(list, async |client| {
            client.system_users(&token, app_secret, "99").await
        })
        .await;
        assert_eq!(got, Ok(vec![]));
        let target = format!("GET /v26.0/99/system_users?fields=id%2Cname%2Crole&limit=100{tail}");
        assert_eq!(
            shape(&asked),
            (target.as_str(), Some(bearer.as_str()), None, "")
        );
    }
}

#[tokio::test]
async fn a_list_is_read_by_its_cursors_and_never_by_the_address_of_its_next_page() {
    let next = format!(r#""next":"http://127.0.0.1:1/x?access_token={TOKEN}&after=evil""#);
    let page = |id: u8, paging: &str| {
        ok(&format!(
            r#"{{"data":[{{"id":"{id}","name":"P","tasks":["ADVERTISE"],"access_token":"EAABp{id}"}},{{"name":"no id"}}],"paging":{{{paging}}}}}"#
        ))
    };
    let answers = [
        page(
            1,
            &format!(r#""cursors":{{"before":"b","after":"c=1&"}},{next}"#),
        ),
        page(2, &format!(r#""cursors":{{"after":"c2"}},{next}"#)),
        page(3, r#""cursors":{"after":"c3"}"#),
    ];
    let token = secret(TOKEN);
    let (got, asked) = talk(&answers, async |client| client.pages(&token, None).await).await;
    let pages = got.unwrap();
    let ids: Vec<&str> = pages.iter().map(|page| page.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(pages[0].tasks, ["ADVERTISE"]);
    assert_eq!(pages[2].token.as_ref().unwrap().expose(), "EAABp3");
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    let first = "GET /v26.0/me/accounts?fields=id%2Cname%2Ctasks%2Caccess_token&limit=100";
    assert_eq!(
        lines,
        [
            first.to_owned(),
            format!("{first}&after=c%3D1%26"),
            format!("{first}&after=c2"),
        ]
    );

    // one with the token in it is no cursor
    let echo = page(1, &format!(r#""cursors":{{"after":"x{TOKEN}"}},{next}"#));
    let (got, _) = talk(&[echo], async |client| client.pages(&token, None).await).await;
    assert_eq!(
        got.unwrap_err(),
        OauthError::Missing("paging.cursors.after")
    );

    let endless = page(1, &format!(r#""cursors":{{"after":"same"}},{next}"#));
    let answers = vec![endless; MAX_LIST_ANSWERS];
    let (got, _) = talk(&answers, async |client| client.pages(&token, None).await).await;
    assert_eq!(got.unwrap_err(), OauthError::TooMuch);
}

#[tokio::test]
async fn system_users_get_apps_and_tokens_by_a_form() {
    let (token, app_secret) = (secret(TOKEN), secret(APP_SECRET));
    let tail = format!("&access_token={TOKEN}&appsecret_proof={}", proof());
    for yes in ["true", r#"{"success":true}"#] {
        let (got, asked) = sent(yes, async |client| {
            client
                .install_app(&token, Some(&app_secret), "61", "1234567890123456")
                .await
        })
        .await;
        assert_eq!(got, Ok(()));
        let body = format!("business_app=1234567890123456{tail}");
        let target = "POST /v26.0/61/applications";
        assert_eq!(shape(&asked), (target, None, Some(FORM), body.as_str()));
    }
    let scopes = ["ads_management".to_owned(), "ads_read".to_owned()];
    for (sixty_days, end) in [(false, ""), (true, "&set_token_expires_in_60_days=true")] {
        let (got, asked) = sent(r#"{"access_token":"EAABsu"}"#, async |client| {
            client
                .create_system_user_token(
                    &token,
                    &app_secret,
                    "61",
                    "1234567890123456",
                    &scopes,
                    sixty_days,
                )
                .await
        })
        .await;
        assert_eq!(got.unwrap().expose(), "EAABsu");
        let body =
            format!("business_app=1234567890123456&scope=ads_management%2Cads_read{tail}{end}");
        let target = "POST /v26.0/61/access_tokens";
        assert_eq!(shape(&asked), (target, None, Some(FORM), body.as_str()));
    }
}

#[tokio::test]
async fn a_pixel_is_asked_for_its_name_first() {
    let token = secret(TOKEN);
    let pixel: crate::pixel::PixelId = "1234567890123456".parse().unwrap();
    let answers = [
        ok(r#"{"id":1234567890123456,"name":"Shop"}"#),
        ok(
            r#"{"id":"1234567890123456","is_unavailable":false,"last_fired_time":"2026-01-02T03:04:05+0000","creation_time":"2025-01-02T03:04:05+01:00","owner_business":{"id":"8","name":"B"},"owner_ad_account":{"name":"no id"}}"#,
        ),
    ];
    let (got, asked) = talk(&answers, async |client| {
        client.pixel(&token, None, pixel).await
    })
    .await;
    let info = got.unwrap();
    assert_eq!(info.name.unwrap().as_str(), "Shop");
    let details = info.details.unwrap();
    assert_eq!(details.is_unavailable, Some(false));
    assert_eq!(details.last_fired, Some(UnixMs(1_767_323_045_000)));
    assert_eq!(details.created, Some(UnixMs(1_735_783_445_000)));
    assert_eq!(details.owner_business.unwrap().id, "8");
    assert_eq!(details.owner_ad_account, None);
    assert_eq!(
        asked[0].line,
        "GET /v26.0/1234567890123456?fields=id%2Cname"
    );
    assert!(asked[1].line.contains("is_unavailable%2Clast_fired_time"));

    let answers = [
        ok(r#"{"id":"1234567890123456"}"#),
        refused(r#"{"error":{"code":100,"message":"nonexisting field"}}"#),
    ];
    let (got, _) = talk(&answers, async |client| {
        client.pixel(&token, None, pixel).await
    })
    .await;
    assert_eq!(got.unwrap().details, None);

    let other = [ok(r#"{"id":"7"}"#)];
    let (got, _) = talk(&other, async |client| {
        client.pixel(&token, None, pixel).await
    })
    .await;
    assert_eq!(got, Err(OauthError::OtherObject));
}

#[tokio::test]
async fn a_test_event_has_its_code_beside_the_data() {
    let (token, app_secret) = (secret(TOKEN), secret(APP_SECRET));
    let event = serde_json::json!({"event_name": "GatewayTokenCheck"});
    let answer = r#"{"events_received":1,"messages":["m",5],"fbtrace_id":"Trace1"}"#;
    for (app_secret, proof) in [
        (None, String::new()),
        (
            Some(&app_secret),
            format!(r#""appsecret_proof":"{}","#, proof()),
        ),
    ] {
        let (got, asked) = sent(answer, async |client| {
            let pixel = "7".parse().unwrap();
            client
                .send_test(&token, app_secret, pixel, "TEST12345", &event)
                .await
        })
        .await;
        let sent = got.unwrap();
        assert_eq!(sent.events_received, 1);
        assert_eq!(sent.trace_id.unwrap().to_string(), "Trace1");
        assert_eq!(sent.messages.len(), 1);
        let body = format!(
            r#"{{{proof}"data":[{{"event_name":"GatewayTokenCheck"}}],"test_event_code":"TEST12345"}}"#
        );
        let bearer = format!("Bearer {TOKEN}");
        let want = (
            "POST /v26.0/7/events",
            Some(bearer.as_str()),
            Some("application/json"),
            body.as_str(),
        );
        assert_eq!(shape(&asked), want);
    }
}

#[tokio::test]
async fn what_cannot_stand_in_a_path_or_a_header_is_not_sent() {
    // nobody listens there
    let client = client("http://127.0.0.1:1");
    let token = secret(TOKEN);
    for id in ["", "7/accounts", "..", "me", "7?x", "１２", &"7".repeat(33)] {
        let got = client.page_token(&token, None, id).await;
        let Err(OauthError::BadValue { name, .. }) = got else {
            panic!("{got:?} of {id}");
        };
        assert_eq!(name, "the Page id");
    }
    for permission in ["", "Ads", "../x", "a b"] {
        let got = client
            .deauthorise(&token, None, "7", Some(permission))
            .await;
        assert!(
            matches!(got, Err(OauthError::BadValue { .. })),
            "{permission}"
        );
    }
    let got = client.me(&secret("EAA\ncanary"), None).await;
    assert_eq!(got, Err(OauthError::UnsendableToken));
}
