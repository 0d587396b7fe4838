//! The control API.

use super::*;

impl Rig {
    async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.sandbox.url());
        let response = self.client.get(url).send().await.unwrap();
        assert_eq!(response.headers()[NOT_META], "not Meta");
        response.json().await.unwrap()
    }

    async fn delete(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.sandbox.url());
        let response = self.client.delete(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn script(&self, fault: &Value) -> Response {
        let url = format!("{}/sandbox/faults", self.sandbox.url());
        self.client.post(url).json(fault).send().await.unwrap()
    }
}

#[tokio::test]
async fn it_says_what_it_is() {
    let rig = Rig::start().await;
    for path in ["/", "/sandbox", "/sandbox/"] {
        let url = format!("{}{path}", rig.sandbox.url());
        let response = rig.client.get(url).send().await.unwrap();
        let text = response.text().await.unwrap();
        assert!(text.contains("not Meta"), "{path}");
        assert!(text.contains("/sandbox/ledger"), "{path}");
    }
    assert_eq!(
        rig.get("/sandbox/nothing").await["error"]["code"],
        "no_such_route"
    );
    assert_eq!(rig.violations(), []);
}

#[tokio::test]
async fn every_route_of_the_banner_is_there() {
    let rig = Rig::start().await;
    let mut seen = 0;
    for line in Sandbox::banner().lines() {
        let mut words = line.split_whitespace();
        let (Some(method @ ("GET" | "DELETE")), Some(path)) = (words.next(), words.next()) else {
            continue;
        };
        // that of a token needs one
        if path.contains('{') {
            continue;
        }
        let url = format!("{}{path}", rig.sandbox.url());
        let request = rig.client.request(method.parse().unwrap(), url);
        assert_eq!(request.send().await.unwrap().status(), 200, "{line}");
        seen += 1;
    }
    assert_eq!(seen, 17);
}

#[tokio::test]
async fn the_ledger_answers_which_and_how_often() {
    let rig = Rig::start().await;
    rig.post(&ids(&["a", "b"])).await;
    rig.post_to(7, &ids(&["a"])).await.unwrap();
    rig.post(&ids(&["a"])).await;
    let one = rig
        .get(&format!("/sandbox/ledger?pixel={PIXEL}&event_id=a"))
        .await;
    assert_eq!(one["events"].as_array().unwrap().len(), 1);
    assert_eq!(one["events"][0]["times"], 2);
    assert_eq!(one["events"][0]["batches"], json!([1, 3]));
    assert_eq!(one["events"][0]["pixel"], PIXEL.to_string());
    assert_eq!(one["totals"]["events_accepted"], 4);
    let page = rig
        .get("/sandbox/ledger?event_name=Lead&offset=1&limit=1")
        .await;
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
    assert_eq!(page["events"][0]["event_id"], "b");
    for bad in ["?pixel=x", "?limit=-1", "?offset=a"] {
        let error = rig.get(&format!("/sandbox/ledger{bad}")).await;
        assert!(error["error"]["code"].is_string(), "{bad}");
    }

    let batches = rig.get("/sandbox/batches?limit=2").await;
    assert_eq!(batches["batches"][0]["number"], 3);
    assert_eq!(batches["batches"][0]["outcome"], "accepted");
    assert_eq!(batches["batches"].as_array().unwrap().len(), 2);

    let health = rig.delete("/sandbox/ledger").await;
    assert_eq!(health["totals"]["events_accepted"], 0);
    assert_eq!(rig.get("/sandbox/ledger").await["events"], json!([]));
}

#[tokio::test]
async fn test_events_are_listed_apart() {
    let rig = Rig::start().await;
    let body = json!({ "data": ids(&["a"]), "test_event_code": "TEST123", "upload_tag": "u" });
    let request = rig.edge(PIXEL).bearer_auth(TOKEN).json(&body);
    assert_eq!(received(request.send().await.unwrap()).await, Some(1));
    rig.post(&ids(&["b"])).await;
    let listed = rig.get("/sandbox/test_events").await;
    let events = listed["test_events"]["TEST123"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["event_id"], "a");
    assert_eq!(rig.sandbox.test_events("TEST123").len(), 1);
    assert_eq!(rig.sandbox.test_events("TEST124"), []);
    let options = &rig.sandbox.ledger().batches[0].options;
    assert_eq!(options["upload_tag"], "u");
    // they are accepted like any other
    assert_eq!(rig.sandbox.totals().events_accepted, 2);
}

#[tokio::test]
async fn the_script_is_written_over_http() {
    let rig = Rig::start().await;
    let one = rig
        .script(&json!({"do": "throttle", "code": 4, "times": 2}))
        .await;
    assert_eq!(one.status(), 200);
    rig.script(&json!([{"do": "cut", "pixel": "7"}, {"do": "html"}]))
        .await;
    let listed = rig.get("/sandbox/faults").await;
    let words: Vec<_> = (0..3).map(|n| listed["faults"][n]["do"].as_str()).collect();
    assert_eq!(words, ["throttle", "cut", "html"].map(Some));

    assert_eq!(refusal(rig.post(&ids(&["a"])).await).await.1, Some(4));
    assert_eq!(rig.get("/sandbox/faults").await["faults"][0]["times"], 1);
    assert_eq!(rig.delete("/sandbox/faults").await["faults"], json!([]));
    assert_eq!(received(rig.post(&ids(&["a"])).await).await, Some(1));

    for bad in [
        json!({"do": "explode"}),
        json!("cut"),
        json!([{"do": "cut"}, {"do": "html", "status": 1}]),
    ] {
        assert_eq!(rig.script(&bad).await.status(), 400, "{bad}");
    }
    assert_eq!(rig.sandbox.faults(), []);
}

#[tokio::test]
async fn violations_are_listed_and_cleared() {
    let rig = Rig::start().await;
    let url = format!("{}/v1.0/7/other?access_token={TOKEN}", rig.sandbox.url());
    rig.client.get(url).send().await.unwrap();
    let listed = rig.get("/sandbox/violations").await;
    assert_eq!(listed["total"], 2);
    assert_eq!(listed["violations"][0]["kind"], "unknown_route");
    assert_eq!(listed["violations"][1]["kind"], "token_in_url");
    assert!(!listed.to_string().contains(TOKEN));
    assert_eq!(rig.delete("/sandbox/violations").await["total"], 0);
    assert_eq!(rig.violations(), []);
}
