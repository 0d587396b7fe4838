//! Every way in that Graph takes.

use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, KEY, PIXEL, purchase};

/// Posts a body of some type to the first pixel, without a key in the header.
async fn post(
    gateway: &Gateway,
    query: &str,
    kind: &str,
    body: impl Into<reqwest::Body>,
) -> Answer {
    let url = gateway.url(&format!("/v26.0/{PIXEL}/events{query}"));
    let request = gateway.http.post(url).header("content-type", kind);
    gateway.send(request.body(body)).await
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_taken_as_the_python_sdk_sends_them() {
    let gateway = Gateway::start().await;
    // EventRequest: an array of JSON texts, the token in the address
    let events = json!([purchase("py-1").to_string(), purchase("py-2").to_string()]).to_string();
    let body = form(&[
        ("data", &events),
        ("partner_agent", "shopsoft"),
        ("fields", ""),
    ]);
    let answer = post(
        &gateway,
        &format!("?access_token={KEY}&appsecret_proof=ab"),
        FORM,
        body,
    )
    .await;
    assert_eq!(
        (answer.status, &answer.body["events_received"]),
        (200, &json!(2)),
        "{}",
        answer.body
    );
    assert!(
        !answer.body["messages"]
            .to_string()
            .contains("Graph does not know")
    );
    // EventRequestAsync: an array of objects, the token in the form
    let events = json!([purchase("py-3")]).to_string();
    let body = form(&[("data", &events), ("access_token", KEY)]);
    assert_eq!(post(&gateway, "", FORM, body).await.status, 200);
    let body = form(&[("data", &events), ("access_token", "wrong")]);
    assert_eq!(post(&gateway, "", FORM, body).await.status, 401);
    gateway.delivered(3).await;
    let ledger = gateway.sandbox.ledger();
    let agents = ledger
        .batches
        .iter()
        .filter(|batch| batch.options.contains_key("partner_agent"));
    assert_eq!(agents.count(), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn multipart_is_taken_as_curl_sends_it() {
    let gateway = Gateway::start().await;
    let part = |head: &str, text: &str| {
        format!("--XyZ\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n")
    };
    let events = |id: &str| json!([purchase(id)]).to_string();
    // `-F data='[…]' -F access_token=…`, and `-F data=@events.json`
    for (id, head) in [
        ("curl-1", "name=\"data\""),
        (
            "curl-2",
            "name=\"data\"; filename=\"events.json\"\r\nContent-Type: application/json",
        ),
    ] {
        let body = part(head, &events(id)) + &part("name=\"access_token\"", KEY) + "--XyZ--\r\n";
        let answer = post(&gateway, "", "multipart/form-data; boundary=XyZ", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    gateway.delivered(2).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_every_place_reach_graph() {
    let gateway = Gateway::start().await;
    let options = json!({
        "platforms": [{"name": "shopsoft", "type": "ecommerce", "version": "2.1"}],
        "progress": {"start_inclusive": 0, "end_exclusive": 2},
        "trace": 7,
    });
    let mut body = options.clone();
    body["data"] = json!([purchase("in-json")]);
    assert_eq!(gateway.post_body(PIXEL, &body).await.status, 200);
    let events = json!([purchase("in-form")]).to_string();
    let platforms = options["platforms"].to_string();
    let progress = options["progress"].to_string();
    let fields = form(&[
        ("data", &events),
        ("platforms", &platforms),
        ("access_token", KEY),
    ]);
    let query = form(&[("progress", &progress), ("trace", "7")]);
    let answer = post(&gateway, &format!("?{query}"), FORM, fields).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    gateway.delivered(2).await;
    for batch in gateway.sandbox.ledger().batches {
        // the ledger keeps their texts
        let texts = batch.options.into_iter();
        let kept: Value = texts
            .map(|(name, text)| {
                (
                    name,
                    serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(),
                )
            })
            .collect();
        assert_eq!(kept, options);
    }
    gateway.finish().await;
}
