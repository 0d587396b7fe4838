//! Every fault, and the script.

use super::*;

fn fault(text: &str) -> Fault {
    let fault: Fault = serde_json::from_str(text).unwrap();
    fault.check().unwrap();
    fault
}

#[tokio::test]
async fn refusing_faults_accept_nothing_and_strike_once() {
    let rig = Rig::start().await;
    let cases = [
        (r#"{"do":"throttle","code":4}"#, 400, Some(4), None),
        (
            r#"{"do":"throttle","code":80004,"subcode":2446079,"status":429}"#,
            429,
            Some(80004),
            Some(2_446_079),
        ),
        (r#"{"do":"status","status":503}"#, 503, Some(2), None),
        (
            r#"{"do":"status","status":500,"code":1,"subcode":99}"#,
            500,
            Some(1),
            Some(99),
        ),
        (r#"{"do":"bad_token"}"#, 401, Some(190), None),
        (
            r#"{"do":"bad_token","subcode":463}"#,
            400,
            Some(190),
            Some(463),
        ),
    ];
    let events = ids(&["a"]);
    for (text, status, code, subcode) in cases {
        rig.sandbox.add_fault(fault(text));
        let answer = refusal(rig.post(&events).await).await;
        assert_eq!(answer, (status, code, subcode), "{text}");
        assert_eq!(rig.last().fault, Some(fault(text).action.name()));
        assert_eq!(rig.sandbox.faults(), []);
    }
    assert_eq!(rig.sandbox.totals().events_accepted, 0);
    assert_eq!(received(rig.post(&events).await).await, Some(1));
    assert_eq!(rig.last().fault, None);
}

#[tokio::test]
async fn headers_travel_with_throttling_and_with_success() {
    let rig = Rig::start().await;
    rig.sandbox.add_fault(fault(
        r#"{"do":"throttle","code":4,"retry_after":30,"headers":{"X-App-Usage":"{\"call_count\":100}"}}"#,
    ));
    rig.sandbox.add_fault(fault(
        r#"{"do":"headers","headers":{"x-app-usage":"{\"call_count\":80}"}}"#,
    ));
    let throttled = rig.post(&ids(&["a"])).await;
    assert_eq!(throttled.headers()["retry-after"], "30");
    assert_eq!(throttled.headers()["x-app-usage"], r#"{"call_count":100}"#);
    let accepted = rig.post(&ids(&["a"])).await;
    assert_eq!(accepted.headers()["x-app-usage"], r#"{"call_count":80}"#);
    assert_eq!(received(accepted).await, Some(1));
}

#[tokio::test]
async fn html_and_torn_json() {
    let rig = Rig::start().await;
    rig.sandbox.add_fault(fault(r#"{"do":"html"}"#));
    let page = rig.post(&ids(&["a"])).await;
    assert_eq!(page.status(), 502);
    assert!(
        page.headers()["content-type"]
            .as_bytes()
            .starts_with(b"text/html")
    );
    assert!(page.text().await.unwrap().starts_with('<'));

    rig.sandbox.add_fault(fault(r#"{"do":"wrong_json"}"#));
    let torn = rig.post(&ids(&["a"])).await;
    assert_eq!(torn.status(), 200);
    assert!(torn.json::<Value>().await.is_err());
    assert_eq!(rig.sandbox.totals().events_accepted, 0);

    rig.sandbox
        .add_fault(fault(r#"{"do":"wrong_json","accept":true}"#));
    assert!(rig.post(&ids(&["a"])).await.json::<Value>().await.is_err());
    assert_eq!(rig.sandbox.totals().events_accepted, 1);
}

#[tokio::test]
async fn a_cut_connection_is_not_answered() {
    for http2 in [false, true] {
        let mut rig = Rig::start().await;
        if http2 {
            rig.client = Client::builder().http2_prior_knowledge().build().unwrap();
        }
        rig.sandbox.add_fault(Fault::cut());
        assert!(rig.post_to(PIXEL, &ids(&["a"])).await.is_err());
        assert_eq!(rig.last().outcome, Outcome::Dropped);
        assert_eq!(rig.sandbox.totals().events_accepted, 0);

        rig.sandbox.add_fault(Fault::cut_after_accept());
        assert!(rig.post_to(PIXEL, &ids(&["a"])).await.is_err());
        assert_eq!(rig.sandbox.times_accepted(pixel(PIXEL), "a"), 1);
        // a sender that repeats itself is counted twice
        assert_eq!(received(rig.post(&ids(&["a"])).await).await, Some(1));
        assert_eq!(rig.sandbox.times_accepted(pixel(PIXEL), "a"), 2);
    }
}

#[tokio::test]
async fn slow_answers() {
    let rig = Rig::start().await;
    rig.sandbox.add_fault(fault(r#"{"do":"slow","ms":600000}"#));
    let (a, b) = (ids(&["a"]), ids(&["b"]));
    let taken = async {
        while !rig.sandbox.faults().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // the sender gives up once the sandbox has begun to wait
    tokio::select! {
        _ = rig.post(&a) => panic!("answered at once"),
        () = taken => {}
    }
    let heard = r#"{"do":"slow","ms":600000,"accept_first":true}"#;
    rig.sandbox.add_fault(fault(heard));
    tokio::select! {
        _ = rig.post(&b) => panic!("answered at once"),
        () = rig.sandbox.accepted_at_least(1) => {}
    }
    assert_eq!(rig.sandbox.times_accepted(pixel(PIXEL), "a"), 0);
    assert_eq!(rig.sandbox.times_accepted(pixel(PIXEL), "b"), 1);
    rig.sandbox.add_fault(fault(r#"{"do":"slow","ms":1}"#));
    assert_eq!(received(rig.post(&ids(&["c"])).await).await, Some(1));
    // stopping does not wait for the slow
    rig.sandbox.stop().await;
}

#[tokio::test]
async fn a_refused_event_spoils_every_batch_that_holds_it() {
    let rig = Rig::start().await;
    rig.sandbox
        .add_fault(Fault::refuse_event("bad", Some(2_804_017)));
    let refused = (400, Some(100), Some(2_804_017));
    for batch in [&["a", "bad"][..], &["bad"], &["b", "c", "bad", "d"]] {
        let response = rig.post(&ids(batch)).await;
        assert_eq!(refusal(response).await, refused);
    }
    let Outcome::Refused { event_index, .. } = rig.last().outcome else {
        panic!("refused");
    };
    assert_eq!(event_index, Some(2));
    assert_eq!(received(rig.post(&ids(&["a", "b"])).await).await, Some(2));
    rig.sandbox.clear_faults();
    assert_eq!(received(rig.post(&ids(&["bad"])).await).await, Some(1));

    let blame = r#"{"do":"refuse_event","index":1,"blame":true,"times":1}"#;
    rig.sandbox.add_fault(fault(blame));
    let answer: Value = rig.post(&ids(&["a", "b"])).await.json().await.unwrap();
    assert_eq!(answer["error"]["error_data"]["event_index"], 1);
}

#[tokio::test]
async fn the_ledger_knows_who_was_told() {
    let rig = Rig::start().await;
    for (script, told) in [
        (r#"{"do":"headers","headers":{}}"#, true),
        (r#"{"do":"short"}"#, true),
        (r#"{"do":"slow","ms":1,"accept_first":true}"#, true),
        (r#"{"do":"html_after_accept"}"#, false),
        (r#"{"do":"wrong_json","accept":true}"#, false),
        (r#"{"do":"cut_after_accept"}"#, false),
        (r#"{"do":"html"}"#, false),
    ] {
        rig.sandbox.add_fault(fault(script));
        let _answer = rig.post_to(PIXEL, &ids(&["a", "b"])).await;
        assert_eq!(rig.last().told_ms.is_some(), told, "{script}");
    }
    assert_eq!(rig.sandbox.times_accepted(pixel(PIXEL), "a"), 6);
}

#[tokio::test]
async fn short_answers_count_everything_in_the_ledger() {
    let rig = Rig::start().await;
    rig.sandbox
        .add_fault(fault(r#"{"do":"short","missing":2}"#));
    let response = rig.post(&ids(&["a", "b", "c"])).await;
    assert_eq!(received(response).await, Some(1));
    assert_eq!(rig.sandbox.totals().events_accepted, 3);
    assert_eq!(rig.last().outcome, Outcome::Accepted { events_received: 1 });
}

#[tokio::test]
async fn faults_of_one_pixel_leave_the_others_alone() {
    let settings = SandboxSettings {
        faults: vec![Fault::throttle(4).on(pixel(7)).forever()],
        latency: Duration::from_millis(1),
        ..SandboxSettings::default()
    };
    let rig = Rig::with(settings).await;
    for _ in 0..3 {
        let response = rig.post_to(7, &ids(&["a"])).await.unwrap();
        assert_eq!(refusal(response).await.1, Some(4));
        let response = rig.post_to(8, &ids(&["a"])).await.unwrap();
        assert_eq!(received(response).await, Some(1));
    }
}

#[tokio::test]
async fn a_script_that_cannot_be_used_does_not_start() {
    let settings = SandboxSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        faults: vec![Fault::status(99)],
        ..SandboxSettings::default()
    };
    let error = Sandbox::start(settings, Clock::Real).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
