//! `capigate lint` as a process of its own, and `POST /lint` of a gateway.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use capigate::sandbox::{Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::{Value, json};

use crate::support::{PIXEL, Site};

const NOW: &str = "2026-11-22T10:00:00Z";

/// An event of that moment that is in order.
fn event(id: &str) -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": 1_795_341_558,
        "event_id": id,
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "user_data": {"em": "Canary.Person@canary.example", "client_user_agent": "tests"},
        "custom_data": {"value": 12.5, "currency": "EUR"}
    })
}

fn lint(args: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_capigate"))
        .arg("lint")
        .args(args)
        .args(["--clock", NOW])
        .env_remove("CAPIGATE_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a command that has read enough closes its end
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    let all = format!("{out}{err}").to_lowercase();
    assert!(!all.contains("canary"), "{all}");
    (output.status.code().unwrap(), out, err)
}

#[test]
fn good_and_bad_events_are_told_apart_and_nobody_is_named() {
    let mut bad = event("bad");
    bad["custom_data"] = json!({"currency": "EUR"});
    let lines = format!("{}\n{bad}\n{{\"canary\n", event("good"));
    let (code, out, err) = lint(&["-", "--format", "ndjson"], lines.as_bytes());
    assert_eq!(code, 1, "{err}");
    for part in [
        "event 1 (line 1): would be accepted",
        "c***@***.example",
        "POST https://graph.facebook.com/v26.0/1234567890123456/events",
        "authorization: Bearer <the access token of the pixel>",
        "event 2 (line 2): would be refused",
        "(without_value)",
        "Meta: https://developers.facebook.com/",
        "line 3: no event: ",
        "3 events: 1 accepted, 1 error, 1 refused",
        "1 × without_value",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    // the same input at the same moment gives the same answer
    let again = lint(&["-", "--format", "ndjson"], lines.as_bytes());
    assert_eq!(again.1, out);
    let (code, out, _) = lint(&["-", "--format", "ndjson", "--brief"], lines.as_bytes());
    assert_eq!(code, 1);
    assert!(!out.contains("event 1 "), "{out}");
}

#[test]
fn json_and_forms_are_read_like_posts() {
    let body = json!({"data": [event("a")], "test_event_code": "TEST7"}).to_string();
    let (code, out, err) = lint(&["-", "--json", "--pixel", "7"], body.as_bytes());
    assert_eq!(code, 0, "{err}");
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let request = &lines[0]["requests"][0];
    assert_eq!(request["url"], "https://graph.facebook.com/v26.0/7/events");
    assert_eq!(request["body"]["test_event_code"], "TEST7");
    assert_eq!(request["body"]["data"][0]["event_id"], "a");
    assert_eq!(lines[1]["totals"]["verdicts"], json!({"accepted": 1}));

    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("data", &json!([event("b")]).to_string())
        .append_pair("test_event_code", "TEST8")
        .finish();
    let kind = "application/x-www-form-urlencoded";
    let (code, out, err) = lint(&["-", "--content-type", kind], form.as_bytes());
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("TEST8"), "{out}");
    let (code, _, err) = lint(&["-", "--content-type", "text/html"], form.as_bytes());
    assert_eq!(code, 1);
    assert!(err.contains("content_type"), "{err}");
    let odd = json!({"data": [event("c")], "upload_tag": "canary@x.example"}).to_string();
    let (code, _, err) = lint(&["-"], odd.as_bytes());
    assert_eq!(code, 1);
    assert!(err.contains("upload_tag"), "{err}");
}

#[test]
fn the_sample_of_offline_purchases_is_good() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events/offline-purchases.csv");
    let sample = sample.display().to_string();
    let (code, out, err) = lint(
        &[
            &sample,
            "--default",
            "action_source=physical_store",
            "--brief",
        ],
        b"",
    );
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("5 events: 5 accepted"), "{out}");
}

#[test]
fn a_source_and_a_pixel_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gw.toml");
    let text = r#"
[pixels.1234567890123456]
token = { env = "ONE_TOKEN" }
[pixels.2222222222222222]
token = { env = "TWO_TOKEN" }
[sources.shop]
keys = [{ env = "SHOP_KEY" }]
pixels = ["1234567890123456"]
"#;
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let body = json!({"data": [event("x")]}).to_string();
    for (pixel, says) in [
        ("2222222222222222", "forbidden_pixel"),
        ("999", "pixel 999 is not one of the configuration"),
    ] {
        let args = [
            "-", "--config", &config, "--source", "shop", "--pixel", pixel,
        ];
        let (code, out, err) = lint(&args, body.as_bytes());
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(says), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_lints_with_the_rules_of_a_source_and_keeps_nothing() {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    let key = site.dir.path().join("view-key");
    std::fs::write(&key, "view-key\n").unwrap();
    site.extra = format!(
        "allow_user_data = [\"tier\"]\nevent_id = \"leave\"\n[admin]\nview_keys = [{{ file = \"{}\" }}]\n",
        key.display()
    );
    let gateway = site.start(None, "trace").unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let mut good = event("x");
    good["event_time"] = json!(Clock::Real.now().secs());
    good.as_object_mut().unwrap().remove("event_id");
    good["user_data"]["tier"] = json!("gold");
    let ask = async |query: &str, body: Value| {
        let url = format!("{}/lint{query}", gateway.admin);
        let post = http.post(url).bearer_auth("view-key").json(&body);
        let answer = post.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let body = json!({"data": [good, {"event_name": "Canary"}]});
    let (status, said) = ask(&format!("?pixel={PIXEL}"), body.clone()).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said["source"], "test");
    assert_eq!(
        said["totals"]["verdicts"],
        json!({"accepted": 1, "refused": 1})
    );
    let event = &said["events"][0]["requests"][0]["body"]["data"][0];
    assert_eq!(event["user_data"]["tier"], "gold");
    assert!(event.get("event_id").is_none(), "{event}");
    assert!(
        !said.to_string().to_lowercase().contains("canary"),
        "{said}"
    );
    for (query, status) in [("", 400), ("?pixel=9", 404), ("?pixel=x", 400)] {
        assert_eq!(ask(query, body.clone()).await.0, status, "{query}");
    }
    let unknown = format!("?pixel={PIXEL}&source=nobody");
    assert_eq!(ask(&unknown, body.clone()).await.0, 404);
    let (status, said) = ask(&format!("?pixel={PIXEL}"), json!({"canary": 1})).await;
    assert_eq!((status, &said["error"]["code"]), (400, &json!("missing")));
    let packed = zstd::encode_all(
        json!({"data": [{"event_name": "Lead"}], "foo": 1})
            .to_string()
            .as_bytes(),
        3,
    )
    .unwrap();
    for (encoding, status, word) in [
        ("zstd", 200, "unknown_member"),
        ("gzip", 400, "bad_encoding"),
        ("lzma", 415, "content_encoding"),
    ] {
        let post = http.post(format!("{}/lint?pixel={PIXEL}", gateway.admin));
        let post = post
            .bearer_auth("view-key")
            .header("content-type", "application/json")
            .header("content-encoding", encoding);
        let answer = post.body(packed.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{encoding}");
        let said = answer.text().await.unwrap();
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(sandbox.totals().events_accepted, 0);
    let log = gateway.whole_log();
    assert!(!log.to_lowercase().contains("canary"), "{log}");
}

#[test]
fn a_body_is_refused_as_the_front_door_refuses_it() {
    let many = vec!["{}"; 1001].join(",");
    let many = format!("{{\"data\":[{many}]}}");
    for (body, words) in [
        (r#"{"data":[{}],"platforms":["a"]}"#, "platforms"),
        (r#"{"data":[{}],"trace":"x"}"#, "trace"),
        (r#"{"data":[{}],"access_token":5}"#, "access_token"),
        (r#"{"data":[{}],"data":[{}]}"#, "data once"),
        (r#"{"data":[]}"#, "data"),
        (many.as_str(), "too_many_events"),
    ] {
        let (code, _, err) = lint(&["-", "--brief"], body.as_bytes());
        assert_eq!(code, 1, "{words}: {err}");
        assert!(err.contains(words), "{words}: {err}");
    }
    let (_, out, _) = lint(&["-"], br#"{"data":[{}],"odd":1}"#);
    assert!(out.contains("unknown_member"), "{out}");
}
