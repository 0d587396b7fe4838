//! What is made of answers, whatever they look like.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

async fn inspected(body: &str) -> Result<Inspection, OauthError> {
    let (got, _) = talk(&[ok(body)], async |client| {
        client.inspect(&secret(TOKEN), Inspector::App(&app())).await
    })
    .await;
    got
}

async fn granted(body: &str) -> Result<Granted, OauthError> {
    let (got, _) = talk(&[ok(body)], async |client| {
        client.extend(&app(), &secret(TOKEN), false).await
    })
    .await;
    got
}

#[tokio::test]
async fn how_long_a_token_lives_is_read_in_all_its_forms() {
    for (member, want) in [
        (r#","expires_in":5183944"#, Some(5_183_944)),
        (r#","expires_in":"3600""#, Some(3_600)),
        (r#","expires":7200"#, Some(7_200)),
        (r#","expires_in":60,"expires":7200"#, Some(60)),
        ("", None),
        (r#","expires_in":null"#, None),
        (r#","expires_in":0"#, None),
        (r#","expires_in":-5"#, None),
        (r#","expires_in":"soon""#, None),
        (r#","expires_in":[1]"#, None),
    ] {
        let body = format!(r#"{{"access_token":"EAABx","token_type":"bearer"{member}}}"#);
        let got = granted(&body).await.unwrap();
        assert_eq!(got.expires_in, want, "{member}");
        assert!(!format!("{got:?}").contains("EAABx"));
    }
    for body in [
        "{}",
        r#"{"access_token":""}"#,
        r#"{"access_token":5}"#,
        r#"{"access_token":"a b"}"#,
        "[]",
        "true",
    ] {
        let error = granted(body).await.unwrap_err();
        assert_eq!(error, OauthError::Missing("access_token"), "{body}");
    }
}

#[tokio::test]
async fn an_inspection_is_read_whole() {
    let got = inspected(
        r#"{"data":{"app_id":"634974688087057","type":"SYSTEM_USER","application":"My App",
        "data_access_expires_at":0,"expires_at":0,"is_valid":true,"issued_at":1712099387,
        "scopes":["ads_management","business_management"],
        "granular_scopes":[{"scope":"ads_management","target_ids":["123",456]},{"scope":"business_management"},{"target_ids":[]}],
        "user_id":104169029247128,"profile_id":"9","metadata":{"sso":"x"}}}"#,
    )
    .await
    .unwrap();
    let name = |text: &Option<crate::graph::Text>| text.as_ref().unwrap().as_str().to_owned();
    assert_eq!(name(&got.application), "My App");
    assert_eq!(
        got,
        Inspection {
            is_valid: true,
            app_id: Some("634974688087057".to_owned()),
            application: got.application.clone(),
            kind: Some(TokenKind::SystemUser),
            user_id: Some("104169029247128".to_owned()),
            profile_id: Some("9".to_owned()),
            expires_at: Expiry::Never,
            data_access_expires_at: None,
            issued_at: Some(UnixMs::from_secs(1_712_099_387)),
            scopes: vec![
                "ads_management".to_owned(),
                "business_management".to_owned()
            ],
            granular: vec![
                Granular {
                    scope: "ads_management".to_owned(),
                    targets: Some(vec!["123".to_owned(), "456".to_owned()]),
                },
                Granular {
                    scope: "business_management".to_owned(),
                    targets: None,
                },
            ],
            error: None,
        }
    );
}

#[tokio::test]
async fn a_bad_token_is_a_good_answer() {
    let got = inspected(
        r#"{"data":{"app_id":"664","type":"USER","application":"x","data_access_expires_at":1647022311,
        "error":{"code":190,"message":"Error validating access token: Session has expired on Friday","subcode":463},
        "expires_at":1639227600,"is_valid":false,"scopes":["email"],"user_id":"1022"}}"#,
    )
    .await
    .unwrap();
    assert!(!got.is_valid);
    assert_eq!(got.expires_at, Expiry::At(UnixMs::from_secs(1_639_227_600)));
    assert_eq!(
        got.data_access_expires_at,
        Some(UnixMs::from_secs(1_647_022_311))
    );
    let error = got.error.as_ref().unwrap();
    assert_eq!(
        (error.status, error.code, error.subcode),
        (200, 190, Some(463))
    );
    assert_eq!(error.to_string(), "190/463");
    assert_eq!(got.explain().unwrap().slug, "token-expired");

    let sparse = inspected(r#"{"data":{"error":{"code":190},"is_valid":false,"scopes":[]}}"#)
        .await
        .unwrap();
    assert_eq!(
        (sparse.is_valid, sparse.expires_at),
        (false, Expiry::Unknown)
    );
    assert_eq!((sparse.kind, sparse.app_id), (None, None));
    let unsaid = inspected(r#"{"data":{"error":{"code":190}}}"#).await;
    assert!(!unsaid.unwrap().is_valid);
}

#[tokio::test]
async fn no_verdict_is_never_taken_for_a_bad_one() {
    for (body, want) in [
        ("{}", "data"),
        (r#"{"data":null}"#, "data"),
        (r#"{"data":{}}"#, "is_valid"),
        (r#"{"data":[]}"#, "is_valid"),
        (
            r#"{"data":{"is_valid":"perhaps","type":"USER"}}"#,
            "is_valid",
        ),
    ] {
        assert_eq!(
            inspected(body).await,
            Err(OauthError::Missing(want)),
            "{body}"
        );
    }
    for (member, want) in [
        (r#""expires_at":"0""#, Expiry::Never),
        (r#""expires_at":null"#, Expiry::Unknown),
        (r#""expires_at":-1"#, Expiry::Unknown),
        (
            r#""expires_at":"1639227600""#,
            Expiry::At(UnixMs::from_secs(1_639_227_600)),
        ),
        (
            r#""expires_at":9223372036854775807"#,
            Expiry::At(UnixMs(i64::MAX)),
        ),
        (r#""type":"NEW_KIND""#, Expiry::Unknown),
    ] {
        let body = format!(r#"{{"data":{{"is_valid":1,{member}}}}}"#);
        let got = inspected(&body).await.unwrap();
        assert_eq!(got.expires_at, want, "{member}");
        if let Some(kind) = got.kind {
            assert_eq!(kind, TokenKind::Other("NEW_KIND".to_owned()));
            assert_eq!(kind.as_str(), "NEW_KIND");
        }
    }
}

#[tokio::test]
async fn a_page_without_a_token_is_a_missing_permission() {
    let token = secret(TOKEN);
    for (body, want) in [
        (r#"{"id":"7"}"#, OauthError::NoPageToken),
        (r#"{"id":7,"access_token":null}"#, OauthError::NoPageToken),
        (
            r#"{"id":"8","access_token":"EAABx"}"#,
            OauthError::OtherObject,
        ),
        (r#"{"access_token":"EAABx"}"#, OauthError::OtherObject),
    ] {
        let (got, _) = talk(&[ok(body)], async |client| {
            client.page_token(&token, None, "7").await
        })
        .await;
        assert_eq!(got.unwrap_err(), want, "{body}");
    }
}

#[tokio::test]
async fn permissions_and_system_users_are_read_one_by_one() {
    let token = secret(TOKEN);
    let body = r#"{"data":[{"permission":"ads_management","status":"granted"},{"permission":"ads_read","status":"declined"},{"permission":"email","status":"expired"},{"permission":"x","status":"later"},{"permission":"y"},7]}"#;
    let (got, _) = talk(&[ok(body)], async |client| {
        client.permissions(&token, None).await
    })
    .await;
    let got: Vec<(String, PermissionStatus)> = (got.unwrap().into_iter())
        .map(|permission| (permission.name, permission.status))
        .collect();
    let want = [
        ("ads_management", PermissionStatus::Granted),
        ("ads_read", PermissionStatus::Declined),
        ("email", PermissionStatus::Expired),
        ("x", PermissionStatus::Other("later".to_owned())),
    ];
    assert_eq!(got, want.map(|(name, status)| (name.to_owned(), status)));

    let body = r#"{"data":[{"id":61,"name":"Sender","role":"EMPLOYEE"},{"id":"62"}]}"#;
    let (got, _) = talk(&[ok(body)], async |client| {
        client.system_users(&token, None, "9").await
    })
    .await;
    let got = got.unwrap();
    assert_eq!(
        (got[0].id.as_str(), got[0].role.as_deref()),
        ("61", Some("EMPLOYEE"))
    );
    assert_eq!((got[1].id.as_str(), &got[1].name), ("62", &None));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        r"\PC{0,12}".prop_map(Value::from),
        Just(json!(TOKEN)),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let name = prop_oneof![
            "data|error|code|subcode|message|is_valid|expires_at|scopes|granular_scopes|scope|target_ids|type|app_id|id|access_token|expires_in|success|paging|cursors",
            r"\PC{0,5}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_answer_makes_it_panic_or_comes_back_with_the_token(body in json_value(), error in json_value()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for body in [body.clone(), json!({"data": body}), json!({"error": error}), json!({"data": {"error": error, "is_valid": false}})] {
                let body = body.to_string();
                let inspected = inspected(&body).await;
                let granted = granted(&body).await;
                let shown = format!("{inspected:?} {granted:?}");
                assert!(!shown.contains("canary"), "{shown}");
            }
        });
    }
}
