//! The commands that talk to a running gateway, as processes of their own.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use capigate::sandbox::{Action, Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::{Value, json};

use crate::harness::purchase;
use crate::support::{OTHER, PIXEL, Process, Site};

const ADMIN: &str = "canary-admin-key";
const VIEW: &str = "canary-view-key";

/// What a command said, and its exit code.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs `capigate` with the key given, as a script would: nobody can be asked.
fn capigate(key: &str, args: &[&str]) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_capigate"))
        .args(args)
        .env("CAPIGATE_ADMIN_KEY", key)
        // the key is not for a proxy
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = Said {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    };
    assert!(!format!("{said:?}").contains("canary"), "{said:?}");
    said
}

/// Runs it against a gateway, and expects it to succeed.
fn good(gateway: &Process, args: &[&str]) -> String {
    let said = capigate(ADMIN, &[args, &["--admin", &gateway.admin]].concat());
    assert_eq!(said.code, 0, "{args:?}: {said:?}");
    said.out
}

/// The same for a command that does not.
fn bad(gateway: &Process, key: &str, args: &[&str]) -> (i32, String) {
    let said = capigate(key, &[args, &["--admin", &gateway.admin]].concat());
    assert!(said.err.starts_with("capigate: "), "{args:?}: {said:?}");
    (said.code, said.err)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(found) = ready() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("still waiting for: {what}");
}

async fn post(gateway: &Process, site: &Site, pixel: &str, ids: &[&str]) {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let event = |id: &&str| {
        let mut event = purchase("someone");
        event["event_id"] = json!(id);
        event
    };
    let events: Vec<Value> = ids.iter().map(event).collect();
    let post = http
        .post(gateway.events_url_of(pixel))
        .bearer_auth(&site.key);
    let answer = post.json(&json!({"data": events})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

async fn site(extra: &str) -> (Sandbox, Site) {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    let key = |name: &str, key: &str| {
        let path = site.dir.path().join(name);
        std::fs::write(&path, format!("{key}\n")).unwrap();
        path.display().to_string()
    };
    site.extra = format!(
        "[admin]\nkeys = [{{ file = \"{}\" }}]\nview_keys = [{{ file = \"{}\" }}]\n{extra}",
        key("admin-key", ADMIN),
        key("view-key", VIEW),
    );
    (sandbox, site)
}

fn refuse(sandbox: &Sandbox, id: &str) {
    sandbox.add_fault(Fault::refuse_event(id, Some(2_804_019)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_a_dead_letter_and_sends_it_again() {
    let (sandbox, site) = site("").await;
    for id in ["bad-1", "bad-2"] {
        refuse(&sandbox, id);
    }
    let gateway = site.start(None, "trace").unwrap();
    post(&gateway, &site, PIXEL, &["bad-1", "good", "bad-2"]).await;
    let letters = until("two dead letters", || {
        let page = json(&good(&gateway, &["dead", "list", "--json"]));
        let letters = page["letters"].as_array().unwrap().clone();
        (letters.len() == 2).then_some(letters)
    });
    let id = letters[0]["id"].as_str().unwrap();
    let list = good(&gateway, &["dead", "list", "--reason", "refused"]);
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.contains(id) && list.contains("bad-2"), "{list}");
    let shown = good(&gateway, &["dead", "show", id]);
    assert!(shown.contains("\"event_name\": \"Purchase\""), "{shown}");
    assert!(shown.contains("[masked]"), "{shown}");
    assert_eq!(good(&gateway, &["dead", "export"]).lines().count(), 2);
    let summary = good(&gateway, &["dead", "summary"]);
    assert!(summary.contains("refused"), "{summary}");

    // nobody can be asked, so nothing is done; the dry run is shown
    let asked = capigate(ADMIN, &["dead", "redrive", "--admin", &gateway.admin]);
    assert_eq!(asked.code, 64, "{asked:?}");
    assert!(asked.out.contains("to be sent again: 2 of 2 letters"));
    assert!(asked.err.contains("--yes"), "{asked:?}");
    let (code, _) = bad(&gateway, ADMIN, &["dead", "purge", "--all"]);
    assert_eq!(code, 64);
    let (code, said) = bad(&gateway, ADMIN, &["dead", "purge", "--yes"]);
    assert_eq!((code, said.contains("--all")), (64, true), "{said}");
    // ids that no letter has, and what is no id
    for verb in ["redrive", "purge"] {
        let (code, said) = bad(&gateway, ADMIN, &["dead", verb, "--yes", "99-99"]);
        assert_eq!((code, said.contains("99-99")), (1, true), "{said}");
    }
    for word in ["..", "summary"] {
        let said = capigate(ADMIN, &["dead", "show", word, "--admin", &gateway.admin]);
        assert!(said.code == 64 && said.out.is_empty(), "{said:?}");
    }
    let both = ["dead", "redrive", id, "99-99", "--dry-run", "--admin"];
    let said = capigate(ADMIN, &[&both[..], &[&gateway.admin]].concat());
    assert!(said.code == 1 && said.err.contains("99-99"), "{said:?}");
    assert!(said.out.contains("1 of 1 letter;"), "{said:?}");
    sandbox.clear_faults();
    let done = good(&gateway, &["dead", "redrive", id, "--yes"]);
    assert!(
        done.contains("in the journal again: 1 of 1 letter"),
        "{done}"
    );
    assert!(done.contains("refused, and they stay: 0"), "{done}");
    let delivered = sandbox.accepted_at_least(2);
    let delivered = tokio::time::timeout(Duration::from_secs(20), delivered).await;
    assert!(delivered.is_ok());
    let receipt = until("its receipt", || {
        let said = json(&good(&gateway, &["receipt", "bad-1", "--json"]));
        (said["events"][0]["state"] == "delivered").then_some(said)
    });
    // once dead, then sent again
    assert_eq!(receipt["events"][1]["state"], "dead", "{receipt}");
    let receipt = good(&gateway, &["receipt", "good"]);
    assert!(
        receipt.contains("delivered") && receipt.contains(PIXEL),
        "{receipt}"
    );
    let purged = good(&gateway, &["dead", "purge", "--all", "--yes", "--json"]);
    assert_eq!(json(&purged), json!({"dry_run": false, "letters": 1}));

    // what changed something is in the log, with the key's place and never the key
    let log = gateway.whole_log();
    let audited = |route: &str, outcome: &str| {
        log.lines().map(json).any(|line| {
            line["admin.route"] == route
                && line["admin.outcome"] == outcome
                && line["admin.key"] == "admin.keys[0]"
                && line["admin.fingerprint"]
                    .as_str()
                    .is_some_and(|print| print.len() == 8)
        })
    };
    for route in ["/dead/redrive", "/dead/purge", "/dead/export"] {
        assert!(audited(route, "ok"), "{route}: {log}");
    }
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_what_a_change_was_about_and_nothing_personal() {
    let (_sandbox, site) = site("").await;
    let mut gateway = site.start(None, "trace").unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let canary = "canary.person@canary-mail.example";
    let token = "EAACANARYTOKEN0123456789";
    let pixel = format!("pixel={PIXEL}");
    for (path, body, route, subject) in [
        (
            "/holds",
            json!({"pixel": PIXEL, "for": "1s", "reason": format!("ask {canary}")}),
            "/holds",
            format!("{pixel} for=1s"),
        ),
        (
            "/holds",
            json!({"pixel": OTHER, "reason": canary}),
            "/holds",
            format!("pixel={OTHER}"),
        ),
        (
            &format!("/holds/by_hand:{OTHER}/release"),
            json!({}),
            "/holds/{id}/release",
            format!("by_hand:{OTHER}"),
        ),
        (
            &format!("/holds/{canary}/release"),
            json!({}),
            "/holds/{id}/release",
            "?".to_owned(),
        ),
        (
            &format!("/tokens/{token}/verify"),
            json!({}),
            "/tokens/{id}/verify",
            "?".to_owned(),
        ),
        (
            "/tokens/rotate",
            json!({"pixel": PIXEL, "token": token}),
            "/tokens/rotate",
            pixel.clone(),
        ),
        (
            "/issues/0123456789abcdef/mute",
            json!({"for": "8h"}),
            "/issues/{id}/mute",
            "0123456789abcdef for=8h".to_owned(),
        ),
        (
            "/dead/redrive",
            json!({"pixel": token, "event_name": canary, "ids": ["1-2"]}),
            "/dead/redrive",
            "pixel=? event_name=? ids=1-2".to_owned(),
        ),
        (
            "/dead/purge",
            json!({"reason": "refused", "older_than": "2h"}),
            "/dead/purge",
            "reason=refused older_than=2h".to_owned(),
        ),
    ] {
        let asked = http
            .post(format!("{}{path}", gateway.admin))
            .bearer_auth(ADMIN);
        asked.json(&body).send().await.unwrap();
        until(&format!("the line of {route} about {subject}"), || {
            // the last line may not be whole yet
            gateway
                .log()
                .lines()
                .any(|line| {
                    let line: Value = serde_json::from_str(line).unwrap_or_default();
                    line["admin.route"] == route && line["admin.subject"] == subject.as_str()
                })
                .then_some(())
        });
    }
    until("the end of the hold", || {
        let log = gateway.log();
        let ended = log
            .lines()
            .filter(|line| line.contains("a hold by hand has ended at its time"));
        let ended: Vec<&str> = ended.collect();
        (ended.len() == 1 && ended[0].contains(PIXEL)).then_some(())
    });
    assert_eq!(gateway.terminate(), 0);
    let log = gateway.whole_log();
    assert!(!log.contains(canary) && !log.contains(token), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_is_held_and_takes_over_a_configuration() {
    let (sandbox, mut site) = site("").await;
    let bad_token = Fault {
        edge: None,
        pixel: Some(OTHER.parse().unwrap()),
        times: None,
        action: Action::BadToken { subcode: None },
    };
    sandbox.add_fault(bad_token.forever());
    let gateway = site.start(None, "info").unwrap();
    post(&gateway, &site, OTHER, &["an id/with ?ä\t%"]).await;
    let hold = until("a hold", || {
        let holds = json(&good(&gateway, &["holds", "list", "--json"]));
        holds[0]["id"].as_str().map(str::to_owned)
    });
    let list = good(&gateway, &["holds", "list"]);
    assert!(
        list.contains(&hold) && list.contains("the access token is refused"),
        "{list}"
    );
    let lanes = good(&gateway, &["lanes"]);
    assert!(lanes.contains(OTHER) && lanes.contains("held"), "{lanes}");
    let receipt = json(&good(&gateway, &["receipt", "an id/with ?ä\t%", "--json"]));
    assert_eq!(receipt["events"][0]["event_name"], "Purchase", "{receipt}");
    let (code, said) = bad(&gateway, ADMIN, &["receipt", "never"]);
    assert_eq!(code, 1);
    assert!(said.contains("never accepted here") && said.contains("receipts.keep"));
    sandbox.clear_faults();
    good(&gateway, &["holds", "release", &hold]);
    let delivered = sandbox.accepted_at_least(1);
    let delivered = tokio::time::timeout(Duration::from_secs(20), delivered).await;
    assert!(delivered.is_ok());

    let reload = good(&gateway, &["reload"]);
    assert!(reload.starts_with("unchanged, generation 1"), "{reload}");
    site.extra += "[ingest]\nmax_connections = 7\n";
    site.write_config();
    let (code, said) = bad(&gateway, ADMIN, &["reload"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("ingest.max_connections"), "{said}");

    // who may not, and where there is nobody
    for (key, args, code, words) in [
        (VIEW, &["reload"][..], 64, "view_only"),
        ("another", &["lanes"][..], 64, "unauthorized"),
        ("", &["lanes"][..], 64, "CAPIGATE_ADMIN_KEY"),
        (ADMIN, &["lanes", "--key-env", "NO_SUCH"][..], 64, "NO_SUCH"),
        (ADMIN, &["dead", "list", "--limit", "0"][..], 64, "limit"),
    ] {
        let (exit, said) = bad(&gateway, key, args);
        assert_eq!(exit, code, "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let view = site.dir.path().join("view-key").display().to_string();
    good(&gateway, &["lanes", "--key-file", &view]);
    let config = site.config_file().display().to_string();
    // the key is found where the configuration says; its port 0 is no address
    let said = capigate(
        "",
        &["lanes", "--config", &config, "--admin", &gateway.admin],
    );
    assert_eq!(said.code, 0, "{said:?}");
    let said = capigate(ADMIN, &["lanes", "--config", &config]);
    assert!(said.code == 64 && said.err.contains("--admin"), "{said:?}");
    let said = capigate(ADMIN, &["lanes", "--admin", "http://127.0.0.1:1"]);
    assert!(
        said.code == 1 && said.err.contains("capigate serve"),
        "{said:?}"
    );
    let said = capigate(ADMIN, &["lanes", "--admin", &gateway.ingest]);
    assert!(
        said.code == 1 && said.err.contains("no admin API"),
        "{said:?}"
    );
    let mut gateway = gateway;
    assert_eq!(gateway.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_can_be_worked_on_while_no_gateway_runs() {
    let (sandbox, site) = site("").await;
    for id in ["bad-1", "bad-2"] {
        refuse(&sandbox, id);
    }
    let mut gateway = site.start(None, "info").unwrap();
    post(&gateway, &site, PIXEL, &["bad-1", "bad-2"]).await;
    let letter = until("two dead letters", || {
        let page = json(&good(&gateway, &["dead", "list", "--json"]));
        let letters = page["letters"].as_array().unwrap();
        (letters.len() == 2).then(|| letters[0]["id"].as_str().unwrap().to_owned())
    });
    let config = site.config_file().display().to_string();
    let offline = |args: &[&str]| {
        let more = ["--offline", "--config", &config];
        capigate("", &[&["dead"], args, &more[..]].concat())
    };
    let said = offline(&["list"]);
    assert_eq!(said.code, 64, "{said:?}");
    assert!(said.err.contains("leave out --offline"), "{said:?}");
    assert_eq!(gateway.terminate(), 0);

    let said = offline(&["list"]);
    assert_eq!(said.out.lines().count(), 3, "{said:?}");
    assert_eq!(offline(&["export"]).out.lines().count(), 2);
    assert!(offline(&["show", &letter]).out.contains("[masked]"));
    assert_eq!(json(&offline(&["summary", "--json"]).out)["letters"], 2);
    let said = offline(&["redrive", &letter, "--yes"]);
    assert!(said.code == 0 && said.out.contains("1 of 1"), "{said:?}");
    let said = offline(&["purge", "--pixel", PIXEL, "--yes"]);
    assert!(
        said.code == 0 && said.out.contains("deleted: 1 letter"),
        "{said:?}"
    );

    sandbox.clear_faults();
    let mut gateway = site.start(None, "info").unwrap();
    let delivered = sandbox.accepted_at_least(1);
    let delivered = tokio::time::timeout(Duration::from_secs(20), delivered).await;
    assert!(delivered.is_ok());
    let page = json(&good(&gateway, &["dead", "list", "--json"]));
    assert_eq!(page["letters"], json!([]));
    assert_eq!(gateway.terminate(), 0);
}
