//! What Meta says of a dataset, however much of it is there.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::graph::client::MAX_ANSWER;
use crate::graph::scrub::MAX_TEXT;
use crate::pixel::PixelId;

const DATASET: u64 = 1_234_567_890_123_456;

/// What comes of these answers, and what was asked.
async fn asked(answers: &[String]) -> (Result<DatasetQuality, OauthError>, Vec<Asked>) {
    let dataset = PixelId::from_u64(DATASET).unwrap();
    talk(answers, async |client| {
        let (token, app_secret) = (secret(TOKEN), secret(APP_SECRET));
        let asked = client.dataset_quality(&token, Some(&app_secret), dataset);
        asked.await
    })
    .await
}

async fn read(body: &Value) -> Result<DatasetQuality, OauthError> {
    asked(&[ok(&body.to_string())]).await.0
}

/// An event name with all that Meta may say of it.
fn whole() -> Value {
    json!({
        "event_name": "Purchase",
        "event_match_quality": {
            "composite_score": 6.2,
            "match_key_feedback": [
                {"identifier": "email", "coverage": {"percentage": 58.5},
                 "potential_aly_acr_increase": {"percentage": 12, "description": "Others saw more."}},
                {"identifier": "user_agent", "coverage": {"percentage": 100}},
                {"identifier": "palm_print", "coverage": {}},
            ],
            "diagnostics": [{
                "name": "Mismatched IP addresses", "description": "They differ.", "solution": "Send the customer's.",
                "percentage": 61.5, "affected_event_count": 19567, "total_event_count": 31830,
            }],
        },
        "event_coverage": {"percentage": 34.1, "goal_percentage": 75, "description": "Of 7 days."},
        "dedupe_key_feedback": [{
            "dedupe_key": "event_id",
            "browser_events_with_dedupe_key": {"percentage": 100},
            "server_events_with_dedupe_key": {"percentage": 99.5},
            "overall_browser_coverage_from_dedupe_key": {"percentage": 97},
        }],
        "data_freshness": {"upload_frequency": "real_time", "description": "At once."},
        "acr": {"percentage": 21.5, "description": "More is reported."},
        "event_potential_aly_acr_increase": {"percentage": 3},
    })
}

#[tokio::test]
async fn it_is_asked_with_the_token_in_the_header() {
    let (got, asked) = asked(&[ok("{}")]).await;
    assert_eq!(got.unwrap(), DatasetQuality::default());
    let line = &asked[0].line;
    let start =
        format!("GET /v26.0/dataset_quality?dataset_id={DATASET}&fields=web%7Bevent_name%2C");
    assert!(line.starts_with(&start), "{line}");
    assert!(line.contains("%2Cdedupe_key_feedback%7B"), "{line}");
    assert!(line.contains("&appsecret_proof="), "{line}");
    for secret in [TOKEN, APP_SECRET, "access_token"] {
        assert!(!line.contains(secret), "{line}");
    }
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn a_whole_answer_is_read() {
    let got = read(&json!({"web": [whole()]})).await.unwrap();
    let read = serde_json::to_value(&got).unwrap();
    let want = json!({"left_out": 0, "events": [{
        "event_name": "Purchase",
        "score": 6.2,
        "match_keys": [
            {"identifier": "email", "key": "em", "percent": 58.5,
             "potential_acr": {"percent": 12.0, "description": "Others saw more."}},
            {"identifier": "user_agent", "key": "client_user_agent", "percent": 100.0, "potential_acr": null},
            {"identifier": "palm_print", "key": null, "percent": null, "potential_acr": null},
        ],
        "diagnostics": [{
            "name": "Mismatched IP addresses", "description": "They differ.", "solution": "Send the customer's.",
            "percent": 61.5, "affected_events": 19567, "total_events": 31830,
        }],
        "coverage": {"percent": 34.1, "goal_percent": 75.0, "description": "Of 7 days."},
        "dedup_keys": [
            {"key": "event_id", "browser_percent": 100.0, "server_percent": 99.5, "overall_percent": 97.0},
        ],
        "freshness": {"upload_frequency": "real_time", "description": "At once."},
        "acr": {"percent": 21.5, "description": "More is reported."},
        "potential_acr": {"percent": 3.0, "description": null},
    }]});
    assert_eq!(read, want);
}

#[tokio::test]
async fn both_spellings_and_bare_numbers_are_read() {
    let dedup = json!({
        "dedup_key": "fbp",
        "browser_events_with_dedup_key": 80,
        "server_events_with_dedup_key": {"percentage": "70.5"},
    });
    let event = json!({"event_name": "Lead", "dedup_key_feedback": [dedup], "acr": 4.5});
    let got = read(&json!({"web": [event]})).await.unwrap();
    let event = &got.events[0];
    let dedup = &event.dedup_keys[0];
    assert_eq!(
        (
            dedup.key.as_str(),
            dedup.browser_percent,
            dedup.server_percent,
            dedup.overall_percent
        ),
        ("fbp", Some(80.0), Some(70.5), None)
    );
    assert_eq!(event.acr.as_ref().unwrap().percent, Some(4.5));
    assert_eq!((event.score, &event.coverage), (None, &None));
}

#[tokio::test]
async fn what_is_missing_is_none_and_another_shape_is_an_error() {
    for body in [
        json!({}),
        json!({"web": null}),
        json!({"web": []}),
        json!({"offline": [1]}),
    ] {
        assert_eq!(
            read(&body).await.unwrap(),
            DatasetQuality::default(),
            "{body}"
        );
    }
    // an entry without a name is about nothing
    let body = json!({"web": [{}, 5, null, {"event_name": ""}, {"event_name": "A"}]});
    assert_eq!(read(&body).await.unwrap().events.len(), 1);
    for body in [
        json!([]),
        json!("web"),
        json!({"web": "no"}),
        json!({"web": {"event_name": "A"}}),
    ] {
        assert_eq!(
            read(&body).await.unwrap_err(),
            OauthError::Missing("web"),
            "{body}"
        );
    }
    for body in ["<html>", r#"{"web": ["#] {
        let got = asked(&[ok(body)]).await.0;
        assert_eq!(got.unwrap_err(), OauthError::Unreadable { status: 200 });
    }
}

#[tokio::test]
async fn what_is_too_much_is_cut() {
    let names = (0..MAX_EVENT_NAMES + 7).map(|n| json!({"event_name": format!("E{n}")}));
    let got = read(&json!({"web": names.collect::<Vec<_>>()}))
        .await
        .unwrap();
    assert_eq!((got.events.len(), got.left_out), (MAX_EVENT_NAMES, 7));

    let keys = vec![json!({"identifier": "email"}); MAX_ENTRIES + 1];
    let long = "é".repeat(5000);
    let diagnostics = vec![json!({"name": long, "solution": long}); MAX_ENTRIES + 1];
    let event = json!({"event_name": "A", "event_match_quality": {
        "match_key_feedback": keys, "diagnostics": diagnostics,
    }});
    let event = read(&json!({"web": [event]}))
        .await
        .unwrap()
        .events
        .remove(0);
    assert_eq!(
        (event.match_keys.len(), event.diagnostics.len()),
        (MAX_ENTRIES, MAX_ENTRIES)
    );
    let solution = event.diagnostics[0].solution.as_ref().unwrap();
    assert_eq!(solution.as_str().chars().count(), MAX_TEXT);

    let body = json!({"web": [], "more": "x".repeat(MAX_ANSWER)});
    assert_eq!(
        read(&body).await.unwrap_err(),
        OauthError::Unreadable { status: 200 }
    );
}

#[tokio::test]
async fn no_text_has_the_token_in_it() {
    let mut event = whole();
    for path in [
        "/event_name",
        "/event_match_quality/match_key_feedback/0/identifier",
        "/event_match_quality/diagnostics/0/solution",
        "/data_freshness/upload_frequency",
        "/acr/description",
    ] {
        *event.pointer_mut(path).unwrap() = json!(format!("see {TOKEN} of jane@example.com"));
    }
    let got = read(&json!({"web": [event]})).await.unwrap();
    let shown = format!("{got:?}{}", serde_json::to_string(&got).unwrap());
    assert!(
        !shown.contains(TOKEN) && !shown.contains("jane@"),
        "{shown}"
    );
    assert!(shown.contains("[redacted]"), "{shown}");
}

#[tokio::test]
async fn a_field_that_is_not_known_is_asked_for_no_more() {
    let unknown =
        r#"{"error":{"message":"(#100) Tried accessing nonexisting field (acr)","code":100}}"#;
    let event = r#"{"web":[{"event_name":"A"}]}"#;
    let (got, asked) = self::asked(&[refused(unknown), ok(event)]).await;
    assert_eq!(got.unwrap().events.len(), 1);
    assert!(asked[0].line.contains("acr%7B"), "{asked:?}");
    assert!(
        asked[1].line.contains("event_coverage%7D&") && !asked[1].line.contains("acr"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    for (code, subcode, message, slug) in [
        (
            10,
            0,
            "(#10) Application does not have permission for this action",
            "dataset-quality-denied",
        ),
        (200, 0, "(#200) Permissions error", "dataset-quality-denied"),
        (
            100,
            0,
            "(#100) Missing Permission",
            "dataset-quality-permission",
        ),
        (100, 2_044_055, "Invalid parameter", "dataset-unknown"),
        (2_044_055, 0, "", "dataset-unknown-bare"),
        (
            100,
            33,
            "Unsupported get request.",
            "dataset-quality-unseen",
        ),
        (4, 0, "(#4) Application request limit reached", "rate-limit"),
        (190, 463, "Session has expired", "token-expired"),
    ] {
        let error = json!({"error": {"code": code, "error_subcode": subcode, "message": message}});
        let error = asked(&[refused(&error.to_string())]).await.0.unwrap_err();
        let row = error.explain(Context::DatasetQuality);
        assert_eq!(row.slug, slug, "{code}/{subcode}");
        assert!(!row.next.is_empty());
    }
}

#[test]
fn what_a_token_lacks_is_named() {
    let lacks = |scopes: &[&str]| {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        lacking_scopes(&scopes)
    };
    assert_eq!(lacks(&["read_ads_dataset_quality"]), None);
    assert_eq!(lacks(&["ads_read", "ads_management"]), None);
    assert_eq!(lacks(&["business_management", "ads_read"]), None);
    assert_eq!(lacks(&["ads_management"]), Some("ads_read"));
    assert_eq!(
        lacks(&["ads_read"]),
        Some("ads_management or business_management")
    );
    let all = "ads_read, and ads_management or business_management";
    assert_eq!(lacks(&["public_profile"]), Some(all));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,9}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "web",
        "event_name",
        "event_match_quality",
        "composite_score",
        "match_key_feedback",
        "identifier",
        "coverage",
        "percentage",
        "diagnostics",
        "event_coverage",
        "dedupe_key_feedback",
        "dedup_key_feedback",
        "dedupe_key",
        "data_freshness",
        "acr",
        "description",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..5).prop_map(|all| {
                all.into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<Value>()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_answer_is_too_odd(body in anything()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // whatever comes of it, it is one of the two
        let _ = runtime.block_on(read(&body));
    }
}
