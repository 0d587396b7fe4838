//! The checklist before going live, from real traffic.

use capigate::config::{KeyRef, SecretRef};
use capigate::sandbox::Fault;
use serde_json::{Value, json};

use crate::harness::{Gateway, OTHER, PIXEL, purchase, purchases};
use crate::test_mode::{capigate, keyed, tell};

fn without_id(mut event: Value) -> Value {
    event.as_object_mut().unwrap().remove("event_id");
    event
}

/// A number of `GET /go-live`.
fn number(found: &Value, name: &str) -> u64 {
    found[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {found}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_traffic_is_told_line_by_line_and_keeps_the_code() {
    let gateway = Gateway::with(keyed).await;
    let said = tell(&gateway, &["go-live", PIXEL]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.out
            .contains("✗ no event came since the gateway started"),
        "{}",
        said.out
    );

    let start = [
        "test-mode",
        "start",
        PIXEL,
        "--code",
        "TEST1",
        "--for",
        "2h",
    ];
    assert_eq!(tell(&gateway, &start).code, 0);
    gateway
        .sandbox
        .add_fault(Fault::refuse_event("bad", Some(2_804_009)).forever());
    let mut nobody = purchase("nobody");
    nobody["user_data"] = json!({"client_user_agent": "tests"});
    let mut alias = purchase("alias");
    alias["user_data"] = json!({"email": "jane@example.com"});
    let call = vec![purchase("bad"), without_id(purchase("good")), nobody, alias];
    assert_eq!(gateway.post(call).await.status, 200);
    let nothing = json!({"data": [{"event_name": "Lead"}]});
    assert_eq!(gateway.post_body(PIXEL, &nothing).await.status, 400);
    gateway.delivered(2).await;
    gateway
        .until("a dead letter", async |gateway| {
            (gateway.metric("capigate_dead_total").await == 1).then_some(())
        })
        .await;
    let said = tell(&gateway, &["go-live", PIXEL, "--yes"]);
    assert_eq!(said.code, 1, "{}", said.err);
    for line in [
        "✓ 3 events came since the gateway started",
        "✓ events: Purchase 3",
        "✗ refused at the door: ",
        "README.md#code-",
        "✗ 1 event given up, as dead letters: refused, Meta's code 100/2804009",
        "`capigate explain 100/2804009`",
        "! warnings: alias 1",
        "! 66 % of events brought an event_id",
        "em 100 %",
        "the next to send is ph",
        "! events go out with TEST1 until",
        "the test event code stays (`capigate test-mode stop",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    assert!(!said.out.contains("jane"), "{}", said.out);
    let found = tell(&gateway, &["go-live", PIXEL, "--json"]).json();
    assert_eq!(found["ready"], false);
    assert_eq!((number(&found, "events"), number(&found, "coded")), (3, 3));
    assert_eq!(
        (number(&found, "delivered"), number(&found, "with_event_id")),
        (2, 2)
    );
    assert_eq!(found["match_keys"]["em"], 3);
    let refused = found["refused"].as_object().unwrap().values();
    assert_eq!(refused.map(|count| count.as_u64().unwrap()).sum::<u64>(), 2);
    let dead = json!([{"reason": "refused", "code": 100, "subcode": 2_804_009, "events": 1}]);
    assert_eq!(found["dead"], dead);
    // another pixel's are others, and a stranger's are none
    let other = tell(&gateway, &["go-live", OTHER, "--json"]).json();
    assert_eq!(number(&other, "events"), 0);
    let said = tell(&gateway, &["go-live", "7"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("the pixel is not configured"),
        "{}",
        said.err
    );
    let said = tell(&gateway, &["go-live", PIXEL, "--window", "2h"]);
    assert_eq!(said.code, 64);
    assert!(said.err.contains("at most 1h"), "{}", said.err);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_traffic_passes_and_a_yes_ends_test_mode() {
    let gateway = Gateway::with(|config| {
        keyed(config);
        let pixel = config.pixels.get_mut(&PIXEL.parse().unwrap()).unwrap();
        pixel.test_event_code = Some("TEST1".to_owned());
    })
    .await;
    gateway.post(purchases("rehearsal", 4)).await;
    gateway.delivered(4).await;
    assert_eq!(gateway.sandbox.test_events("TEST1").len(), 4);
    let said = tell(&gateway, &["go-live", PIXEL]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    for line in [
        "✓ 4 events came since the gateway started",
        "✓ events: Purchase 4",
        "✓ nothing was refused at the door",
        "✓ Meta has confirmed 4 events",
        "✓ no warning was given",
        "✓ 100 % of events brought an event_id",
        "✓ match keys: client_user_agent 100 %, em 100 %",
        "! events go out with TEST1 without an end",
        "the test event code stays",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    let said = tell(&gateway, &["go-live", PIXEL, "--yes", "--window", "10m"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let key = format!("pixels.{PIXEL}.test_event_code still stands in the configuration");
    assert!(
        said.out.contains("stopped: TEST1") && said.out.contains(&key),
        "{}",
        said.out
    );
    gateway.post(vec![purchase("live")]).await;
    gateway.delivered(5).await;
    assert_eq!(gateway.sandbox.test_events("TEST1").len(), 4);
    let said = tell(&gateway, &["go-live", PIXEL, "--yes", "--json"]);
    assert_eq!(said.code, 0);
    let found = said.json();
    assert_eq!(
        (&found["ready"], &found["stopped"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!((number(&found, "events"), number(&found, "coded")), (5, 4));
    assert_eq!(found["test_codes"], json!([]));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_only_view_sees_the_list_and_ends_nothing() {
    let gateway = Gateway::with(|config| {
        config.admin.view_keys = vec![KeyRef::Secret(SecretRef::Env("OTHER_KEY".to_owned()))];
        let pixel = config.pixels.get_mut(&PIXEL.parse().unwrap()).unwrap();
        pixel.test_event_code = Some("TEST1".to_owned());
    })
    .await;
    gateway.post(vec![purchase("a")]).await;
    gateway.delivered(1).await;
    assert_eq!(tell(&gateway, &["go-live", PIXEL]).code, 0);
    let said = tell(&gateway, &["go-live", PIXEL, "--yes"]);
    assert_eq!(said.code, 64, "{}", said.out);
    assert!(said.err.contains("(view_only)"), "{}", said.err);
    gateway.post(vec![purchase("b")]).await;
    gateway.delivered(2).await;
    assert_eq!(gateway.sandbox.test_events("TEST1").len(), 2);
    gateway.finish().await;
    let nobody = capigate(&["go-live", PIXEL, "--admin", "http://127.0.0.1:1"]);
    assert_eq!(nobody.code, 1);
}
