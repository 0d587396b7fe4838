//! Figures about what was received, and who may read them.

use super::*;
use crate::pixel::PixelId;

const FIELDS: &str = "web{event_name,event_match_quality{composite_score,match_key_feedback{identifier,coverage{percentage}}},dedupe_key_feedback{dedupe_key,server_events_with_dedupe_key{percentage}}}";

fn path(dataset: &str, fields: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("dataset_id", dataset), ("fields", fields)])
        .finish();
    format!("/v26.0/dataset_quality?{query}")
}

fn with_scopes(rig: &Rig, scopes: &[&str]) -> String {
    let token = SandboxToken {
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..SandboxToken::new(scopes.join(" "), "")
    };
    rig.sandbox.mint_token(token).unwrap()
}

async fn code(response: Response) -> (u16, Value, Value) {
    let status = response.status().as_u16();
    let error = response.json::<Value>().await.unwrap()["error"].clone();
    (
        status,
        error["code"].clone(),
        error["error_subcode"].clone(),
    )
}

#[tokio::test]
async fn scopes_and_datasets_decide() {
    let rig = Rig::start().await;
    for (scopes, may) in [
        (&["read_ads_dataset_quality"][..], true),
        (&["ads_read", "ads_management"], true),
        (&["ads_read", "business_management"], true),
        (&["ads_read"], false),
        (&["ads_management", "business_management"], false),
        (&[], false),
    ] {
        let token = with_scopes(&rig, scopes);
        let response = rig.get(&path(PIXEL, FIELDS), &token).await;
        assert_eq!(response.headers()[crate::sandbox::NOT_META], "not Meta");
        if may {
            assert_eq!(
                response.json::<Value>().await.unwrap(),
                json!({}),
                "{scopes:?}"
            );
        } else {
            assert_eq!(
                code(response).await,
                (400, json!(10), Value::Null),
                "{scopes:?}"
            );
        }
    }
    let token = with_scopes(&rig, &["read_ads_dataset_quality", "x"]);
    for dataset in ["7", "no-id"] {
        let refused = code(rig.get(&path(dataset, FIELDS), &token).await).await;
        assert_eq!(refused, (400, json!(100), json!(2_044_055)), "{dataset}");
    }
    let refused = code(rig.get("/v26.0/dataset_quality", &token).await).await;
    assert_eq!(refused, (400, json!(100), Value::Null));
    let refused = code(rig.get(&path(PIXEL, "web{no_such}"), &token).await).await;
    assert_eq!(refused, (400, json!(100), Value::Null));
    let refused = code(rig.get(&path(PIXEL, FIELDS), "nobody").await).await;
    assert_eq!(refused.1, json!(190));
    let calls = rig.sandbox.account_calls();
    assert!(calls.iter().all(|call| call.edge == Edge::DatasetQuality));
    assert_eq!(rig.sandbox.violations(), []);
}

#[tokio::test]
async fn what_was_received_is_counted() {
    let rig = Rig::start().await;
    let token = with_scopes(&rig, &["read_ads_dataset_quality"]);
    let mut plain = with_id("a");
    plain["user_data"] = json!({"client_user_agent": "tests", "client_ip_address": "192.0.2.1"});
    let mut shop = with_id("b");
    shop["action_source"] = json!("system_generated");
    let mut full = with_id("c");
    full["user_data"] = json!({"em": ["a".repeat(64)], "client_user_agent": "tests"});
    let url = format!("{}/v26.0/{PIXEL}/events", rig.sandbox.url());
    let body = json!({"data": [plain, shop, full]});
    let request = rig.client.post(url).bearer_auth(&token).json(&body);
    assert_eq!(request.send().await.unwrap().status(), 200);

    let asked = rig.get(&path(PIXEL, FIELDS), &token).await;
    let read: Value = asked.json().await.unwrap();
    let name = with_id("a")["event_name"].clone();
    let share = |of: u32| json!({ "percentage": f64::from(of) });
    let want = json!({"web": [{
        "event_name": name,
        "event_match_quality": {
            // half of 3.0 and of 0.8, and all of 0.7
            "composite_score": 2.6,
            "match_key_feedback": [
                {"identifier": "email", "coverage": share(50)},
                {"identifier": "ip_address", "coverage": share(50)},
                {"identifier": "user_agent", "coverage": share(100)},
            ],
        },
        "dedupe_key_feedback": [
            {"dedupe_key": "event_id", "server_events_with_dedupe_key": share(100)},
            {"dedupe_key": "external_id", "server_events_with_dedupe_key": share(0)},
            {"dedupe_key": "fbp", "server_events_with_dedupe_key": share(0)},
        ],
    }]});
    assert_eq!(read, want);
    // whatever is a text says whose it is
    let all = rig.get(&path(PIXEL, "web"), &token).await;
    let all: Value = all.json().await.unwrap();
    let says = all["web"][0]["event_coverage"]["description"]
        .as_str()
        .unwrap();
    assert!(
        says.starts_with("Simulated by the capigate sandbox"),
        "{says}"
    );
    // faults of the script are about the dataset
    let pixel: PixelId = PIXEL.parse().unwrap();
    rig.sandbox
        .add_fault(Fault::throttle(4).at(Edge::DatasetQuality).on(pixel));
    let refused = code(rig.get(&path(PIXEL, FIELDS), &token).await).await;
    assert_eq!(refused.1, json!(4));
}
