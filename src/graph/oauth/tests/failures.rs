//! What is made of refusals, silence and noise, and that no secret comes out of them.

use super::*;
use crate::graph::payload;

async fn me(answer: String) -> Result<Identity, OauthError> {
    let (got, _) = talk(&[answer], async |client| {
        client.me(&secret(TOKEN), Some(&secret(APP_SECRET))).await
    })
    .await;
    got
}

async fn exchange(answer: String) -> Result<Granted, OauthError> {
    let (got, _) = talk(&[answer], async |client| {
        client
            .exchange_code(&app(), "http://localhost:8080/", &secret(CODE))
            .await
    })
    .await;
    got
}

fn meta(error: OauthError) -> MetaError {
    match error {
        OauthError::Meta(error) => *error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_error_is_read_with_its_headers() {
    let headers = "www-authenticate: OAuth \"Facebook Platform\" \"invalid_code\" \"This authorization code has been used.\"\r\nretry-after: Sun, 06 Nov 1994 08:51:07 GMT\r\n";
    let body = r#"{"error":{"message":"This authorization code has been used.","type":"OAuthException","code":100,"error_subcode":36009,"error_user_title":"T","error_user_msg":"M","is_transient":false,"error_data":{},"fbtrace_id":"AbC-1"}}"#;
    let error = exchange(answer("400 Bad Request", headers, body))
        .await
        .unwrap_err();
    assert_eq!(error.explain(Context::Code).slug, "code-used");
    let shown = error.to_string();
    assert!(
        shown.contains("100/36009") && !shown.contains("been used"),
        "{shown}"
    );
    let error = meta(error);
    assert_eq!(error.status, 400);
    assert_eq!((error.code, error.subcode), (100, Some(36_009)));
    assert_eq!(error.kind.as_deref(), Some("OAuthException"));
    assert_eq!(
        error.message.unwrap().as_str(),
        "This authorization code has been used."
    );
    assert_eq!(error.user_title.unwrap().as_str(), "T");
    assert_eq!(error.user_message.unwrap().as_str(), "M");
    assert_eq!(error.trace_id.unwrap().to_string(), "AbC-1");
    assert_eq!(error.class.as_deref(), Some("invalid_code"));
    assert_eq!(error.retry_after, Some(Duration::from_secs(90)));
    assert!(!error.transient);
}

#[tokio::test]
async fn an_error_is_read_in_all_its_forms() {
    for (status, body, want) in [
        (
            "400 Bad Request",
            r#"{"code":190,"message":"m","error_subcode":463}"#,
            "190/463",
        ),
        ("200 OK", r#"{"code":190,"message":"m"}"#, "190"),
        (
            "200 OK",
            r#"{"error":{"code":"4","error_subcode":null}}"#,
            "4",
        ),
        ("500 Oh", r#"{"error":{"code":1,"error_subcode":0}}"#, "1"),
        (
            "401 No",
            r#"{"error":{"code":190,"message":7,"type":{},"error_subcode":"460"}}"#,
            "190/460",
        ),
    ] {
        let error = meta(me(answer(status, "", body)).await.unwrap_err());
        assert_eq!(error.to_string(), want, "{body}");
        assert_eq!((error.class, error.retry_after), (None, None));
    }
    let transient = r#"{"error":{"code":190,"is_transient":"true"}}"#;
    let error = me(refused(transient)).await.unwrap_err();
    assert!(error.meta().unwrap().transient);
    assert_eq!(error.explain(Context::Any).slug, "meta-trouble");
    for odd in [
        "",
        "Basic",
        "OAuth \"a\" \"Not A Class\" \"m\"",
        "OAuth \"a\"",
    ] {
        let headers = format!("www-authenticate: {odd}\r\n");
        let body = r#"{"error":{"code":190}}"#;
        let error = meta(
            me(answer("400 Bad Request", &headers, body))
                .await
                .unwrap_err(),
        );
        assert_eq!(error.class, None, "{odd}");
    }
}

#[tokio::test]
async fn what_is_not_an_answer_of_meta_is_unreadable() {
    let long = format!(
        r#"{{"id":"7","name":"{}"}}"#,
        "x".repeat(client::MAX_ANSWER)
    );
    let moved = answer(
        "302 Found",
        "location: http://127.0.0.1:1/\r\n",
        r#"{"id":"7"}"#,
    );
    for (answer, status) in [
        (answer("502 Bad Gateway", "", "<html>"), 502),
        (ok("<html>"), 200),
        (ok(&long), 200),
        (moved, 302),
        (refused("{}"), 400),
        (refused(r#"{"error":"invalid_request"}"#), 400),
        (refused(r#"{"error":{"message":"no code"}}"#), 400),
    ] {
        let error = me(answer).await.unwrap_err();
        assert_eq!(error, OauthError::Unreadable { status });
    }
    assert_eq!(me(ok("{}")).await.unwrap_err(), OauthError::Missing("id"));
}

#[tokio::test]
async fn an_exchange_without_a_readable_answer_may_have_been_done() {
    let cut = ok(r#"{"access_token":"x"}"#).replace("20", "21");
    for answer in [
        ok("<html>"),
        answer("502 Bad Gateway", "", "<html>"),
        cut.clone(),
        String::new(),
    ] {
        let error = exchange(answer.clone()).await.unwrap_err();
        assert_eq!(error, OauthError::UnknownOutcome, "{answer}");
    }
    let error = exchange(refused("<html>")).await.unwrap_err();
    assert_eq!(error, OauthError::Unreadable { status: 400 });
    // a read has changed nothing
    for answer in [cut, String::new()] {
        let error = me(answer).await.unwrap_err();
        assert_eq!(error, OauthError::Unreachable(Unreachable::Broken));
    }
}

#[tokio::test]
async fn silence_and_deaf_ears_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let short = Duration::from_millis(200);
    let silent = client_within(&format!("http://{at}"), short);
    let got = silent.me(&secret(TOKEN), None).await;
    assert_eq!(got, Err(OauthError::Unreachable(Unreachable::Timeout)));
    let got = silent
        .exchange_code(&app(), "http://localhost/", &secret(CODE))
        .await;
    assert_eq!(got.unwrap_err(), OauthError::UnknownOutcome);
    let got = silent.reach().await;
    assert_eq!(got, Err(OauthError::Unreachable(Unreachable::Timeout)));

    // it talks, but not TLS; no request has gone out
    let noise = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    };
    let deaf = client_within(&format!("https://{at}"), Duration::from_secs(20));
    let call = async {
        let got = deaf
            .exchange_code(&app(), "http://localhost/", &secret(CODE))
            .await;
        assert_eq!(got.unwrap_err(), OauthError::Unreachable(Unreachable::Tls));
        deaf.me(&secret(TOKEN), None).await
    };
    tokio::select! {
        got = call => assert_eq!(got, Err(OauthError::Unreachable(Unreachable::Tls))),
        () = noise => {}
    }

    // nobody listens there any more
    let refusing = client_within(&format!("http://{at}"), Duration::from_secs(20));
    drop(listener);
    let got = refusing
        .exchange_code(&app(), "http://localhost/", &secret(CODE))
        .await;
    assert_eq!(
        got.unwrap_err(),
        OauthError::Unreachable(Unreachable::Connect)
    );
}

#[tokio::test]
async fn reach_tells_the_time_of_the_other_side() {
    let headers = "date: Sun, 06 Nov 1994 08:49:27 GMT\r\n";
    let body = r#"{"error":{"code":2500}}"#;
    let (got, asked) = talk(
        &[answer("400 Bad Request", headers, body)],
        async |client| client.reach().await,
    )
    .await;
    let reached = got.unwrap();
    assert_eq!(reached.status, 400);
    assert_eq!(reached.date, Some(UnixMs::from_secs(784_111_767)));
    let ahead = reached.ahead_ms().unwrap();
    assert_eq!(
        ahead,
        10_000 + i64::try_from((reached.took / 2).as_millis()).unwrap()
    );
    assert_eq!(asked[0].line, "GET /v26.0/me");
    assert_eq!(asked[0].headers.get("authorization"), None);

    let (got, _) = talk(&[ok("<html>")], async |client| client.reach().await).await;
    assert_eq!(got.unwrap().ahead_ms(), None);
}

/// Everything a server can say, with `echo` in all of it.
fn echoing(echo: &str) -> String {
    let headers = format!("www-authenticate: OAuth \"x\" \"{echo}\" \"{echo}\"\r\n");
    let body = serde_json::json!({"error": {
        "code": 190, "message": format!("m {echo} !"), "type": echo,
        "error_user_title": format!("t {echo}"), "error_user_msg": format!("u {echo}"),
        "error_data": echo, "fbtrace_id": echo,
    }});
    answer("400 Bad Request", &headers, &body.to_string())
}

#[tokio::test]
async fn no_secret_comes_back_in_an_error() {
    let token = secret(TOKEN);
    let proof = payload::proof(&secret(APP_SECRET), &token);
    let percent = |text: &str| text.replace("canary", "%63anary");
    for (kind, secrets) in [
        ("exchange", vec![APP_SECRET, CODE]),
        ("extend", vec![APP_SECRET, TOKEN]),
        ("inspect", vec![APP_SECRET, TOKEN]),
        ("revoke", vec![APP_SECRET, TOKEN, OTHER]),
        ("me", vec![APP_SECRET, TOKEN, &proof]),
        ("install", vec![APP_SECRET, TOKEN, &proof]),
        ("send", vec![APP_SECRET, TOKEN, &proof]),
    ] {
        let echoes = secrets
            .iter()
            .flat_map(|secret| [(*secret).to_owned(), percent(secret)]);
        for echo in echoes {
            let (error, _) = talk(&[echoing(&echo)], async |client| {
                let (app, app_secret) = (app(), secret(APP_SECRET));
                let known = Some(&app_secret);
                let event = serde_json::json!({});
                match kind {
                    "exchange" => client
                        .exchange_code(&app, "http://localhost/", &secret(CODE))
                        .await
                        .err(),
                    "extend" => client.extend(&app, &token, true).await.err(),
                    "inspect" => client.inspect(&token, Inspector::App(&app)).await.err(),
                    "revoke" => client.revoke(&app, &token, &secret(OTHER)).await.err(),
                    "me" => client.me(&token, known).await.err(),
                    "install" => client.install_app(&token, known, "7", "8").await.err(),
                    _ => client
                        .send_test(&token, known, "7".parse().unwrap(), "TEST1", &event)
                        .await
                        .err(),
                }
            })
            .await;
            let error = error.unwrap();
            let shown = format!("{error} {error:?} {error:#?}");
            for words in ["m [redacted] !", "t [redacted]", "u [redacted]"] {
                assert!(shown.contains(words), "{kind}: {shown}");
            }
            assert!(
                !shown.contains("anary") && !shown.contains(&echo[4..]),
                "{kind}: {shown}"
            );
        }
    }
}

#[tokio::test]
async fn no_secret_comes_back_in_an_answer() {
    let token = secret(TOKEN);
    let body = serde_json::json!({"data": {
        "is_valid": true, "app_id": TOKEN, "application": format!("app {TOKEN}"), "type": TOKEN,
        "user_id": APP_SECRET, "scopes": [TOKEN, "ads_read"],
        "granular_scopes": [{"scope": TOKEN}, {"scope": "x", "target_ids": [APP_SECRET]}],
    }});
    let (got, _) = talk(&[ok(&body.to_string())], async |client| {
        client.inspect(&token, Inspector::App(&app())).await
    })
    .await;
    let got = got.unwrap();
    assert_eq!(got.scopes, ["ads_read"]);
    assert_eq!(got.application.as_ref().unwrap().as_str(), "app [redacted]");
    let shown = format!("{got:?}");
    assert!(!shown.contains("canary"), "{shown}");
    // an app id is no secret, though the token of the app begins with it
    let body = r#"{"data":{"is_valid":true,"app_id":"1234567890123456"}}"#;
    let (got, _) = talk(&[ok(body)], async |client| {
        client.inspect(&token, Inspector::App(&app())).await
    })
    .await;
    assert_eq!(got.unwrap().app_id.as_deref(), Some("1234567890123456"));
}

#[test]
fn nothing_that_holds_secrets_shows_them() {
    let app = app();
    let inspector = Inspector::App(&app);
    let granted = Granted {
        token: secret(TOKEN),
        expires_in: None,
    };
    let shown = format!(
        "{app:?} {inspector:?} {granted:?} {:?}",
        client("http://127.0.0.1:1")
    );
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("1234567890123456"), "{shown}");
}
