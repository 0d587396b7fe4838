//! `capigate backup`, `restore` and `health` with the real binary.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use capigate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::secret::Secret;
use capigate::time::Clock;
use capigate::tokens::{Facts, Obtained, Slot, TokenRecord, Vault, VaultError};
use serde_json::{Value, json};

use crate::harness::purchase;
use crate::support::{OTHER, PIXEL, Process, Site, all_bytes};

async fn sandbox() -> Sandbox {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    Sandbox::start(settings, Clock::Real).await.unwrap()
}

fn capigate(args: &[&str]) -> (i32, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_capigate"))
        .args(args)
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code().unwrap(), String::from_utf8(said).unwrap())
}

async fn post(gateway: &Process, site: &Site, pixel: &str, ids: &[String]) {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let event = |id: &String| {
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

fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n}")).collect()
}

/// The configuration of a gateway whose second pixel has its token in a vault.
fn vault_site(graph: String) -> Site {
    let mut site = Site::new(graph);
    let dir = site.dir.path().to_owned();
    let key = "cd".repeat(32);
    let key_file = dir.join("vault.key");
    std::fs::write(&key_file, &key).unwrap();
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    site.whole = Some(format!(
        r#"
[listen]
ingest = "127.0.0.1:0"
admin = "127.0.0.1:0"
[journal]
dir = "{dir}/journal"
segment_bytes = "1MiB"
[tokens]
vault = "{dir}/tokens.vault"
vault_key = {{ file = "{dir}/vault.key" }}
[lanes]
linger = "20ms"
backoff_min = "20ms"
backoff_max = "200ms"
[graph]
url = "{graph}"
[telemetry]
log_format = "json"
[shutdown]
grace = "0s"
[pixels.{PIXEL}]
token = {{ env = "TEST_TOKEN" }}
[pixels.{OTHER}]
[sources.test]
keys = [{{ env = "TEST_KEY" }}]
pixels = ["{PIXEL}", "{OTHER}"]
"#,
        dir = dir.display(),
        graph = site.graph,
    ));
    site
}

fn put_token(site: &Site) {
    let key = Secret::new("cd".repeat(32));
    let vault = Vault::new(site.dir.path().join("tokens.vault"), &key).unwrap();
    let put = vault.update(|contents| -> Result<(), VaultError> {
        let at = Clock::Real.now();
        let name: capigate::tokens::Name = "other".parse().unwrap();
        let record = TokenRecord {
            secret: Secret::new("sandbox-token".to_owned()),
            obtained: Obtained::Pasted,
            added_at: at,
            facts: Facts::default(),
        };
        contents.add(name.clone(), record)?;
        contents.bind(OTHER.parse().unwrap(), Slot::Current, &name, at)?;
        Ok(())
    });
    put.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_restored_delivers_what_waited_when_the_backup_was_taken() {
    let sandbox = sandbox().await;
    let first = vault_site(sandbox.url());
    put_token(&first);
    sandbox.add_fault(Fault::refuse_event("bad", Some(2_804_019)));
    let gateway = first.start(None, "").unwrap();
    post(
        &gateway,
        &first,
        PIXEL,
        &["bad".to_owned(), "good".to_owned()],
    )
    .await;
    // until it is noted on disk that nothing waits, a copy would have them as waiting
    let journal = first.dir.path().join("journal");
    let is_settled = || {
        let (code, said) = capigate(&[
            "journal",
            "stats",
            "--json",
            "--dir",
            journal.to_str().unwrap(),
        ]);
        assert_eq!(code, 0, "{said}");
        let told: Value = serde_json::from_str(&said).unwrap();
        told["files"][0]["settled"] == 2
    };
    for _ in 0..400 {
        if is_settled() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_settled(), "{}", gateway.log());
    sandbox.clear_faults();
    sandbox.add_fault(Fault::status(503).forever());
    post(&gateway, &first, PIXEL, &ids("one", 40)).await;
    post(&gateway, &first, OTHER, &ids("two", 20)).await;

    let config = first.config_file();
    let config = config.to_str().unwrap();
    let out = first.dir.path().join("backup");
    let out = out.to_str().unwrap();
    let (code, said) = capigate(&["backup", "--config", config, "--out", out, "--json"]);
    assert_eq!(code, 0, "{said}");
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["events"], 60, "{said}");
    assert_eq!(told["waiting"][PIXEL], 40);
    assert_eq!(
        (&told["dead_letters"], &told["vault"]),
        (&json!(1), &json!(true))
    );
    for (path, bytes) in all_bytes(first.dir.path().join("backup").as_path()) {
        let is_in = |secret: &str| memchr::memmem::find(&bytes, secret.as_bytes()).is_some();
        assert!(
            !is_in("sandbox-token") && !is_in(&"cd".repeat(32)),
            "{}",
            path.display()
        );
    }
    let (code, said) = capigate(&["backup", "--config", config, "--out", out]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("is there already"), "{said}");
    let (code, said) = capigate(&["restore", "--config", config, "--from", out]);
    assert_eq!(code, 64, "{said}");
    // what comes later is not in it, and neither is the first machine any more
    post(&gateway, &first, PIXEL, &ids("later", 5)).await;
    drop(gateway);

    let second = vault_site(sandbox.url());
    second.write_config();
    let config = second.config_file();
    let config = config.to_str().unwrap();
    let (code, said) = capigate(&["restore", "--config", config, "--from", out]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("60 waiting events of 2 pixels, and 1 dead letter"),
        "{said}"
    );
    assert!(said.contains("its key is not"), "{said}");
    let journal = second.dir.path().join("journal");
    let (code, said) = capigate(&["journal", "check", "--dir", journal.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    let listed = ["dead", "list", "--offline", "--config", config, "--json"];
    let ran = Command::new(env!("CARGO_BIN_EXE_capigate"))
        .args(listed)
        .output()
        .unwrap();
    let letters: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(letters["letters"].as_array().unwrap().len(), 1);

    sandbox.clear_faults();
    let mut gateway = second.start(None, "").unwrap();
    let delivered = sandbox.accepted_at_least(61);
    let delivered = tokio::time::timeout(Duration::from_secs(20), delivered).await;
    assert!(
        delivered.is_ok(),
        "{:?}\n{}",
        sandbox.totals(),
        gateway.log()
    );
    let seen: BTreeSet<String> = (sandbox.ledger().events.into_iter())
        .filter_map(|event| event.event_id)
        .collect();
    let wanted: BTreeSet<String> = [ids("one", 40), ids("two", 20), vec!["good".to_owned()]]
        .concat()
        .into_iter()
        .collect();
    assert_eq!(seen, wanted);
    assert_eq!(gateway.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_gateway_is_an_exit_code() {
    let sandbox = sandbox().await;
    let site = Site::new(sandbox.url());
    let mut gateway = site.start(None, "").unwrap();
    let admin = gateway.admin.clone();
    for (args, says) in [
        (&["health"][..], "ready\n"),
        (&["health", "--live"], "alive\n"),
    ] {
        let (code, said) = capigate(&[args, &["--admin", &admin]].concat());
        assert_eq!((code, said.as_str()), (0, says));
    }
    let (code, said) = capigate(&["health", "--json", "--admin", &admin]);
    assert_eq!(code, 0, "{said}");
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["ready"], true);
    assert_eq!(gateway.terminate(), 0);
    let (code, said) = capigate(&["health", "--admin", &admin]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no gateway answers at"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_of_ready_reload_and_stop() {
    let sandbox = sandbox().await;
    let mut site = Site::new(sandbox.url());
    let path = site.dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let patience = Some(Duration::from_secs(20));
    manager.set_read_timeout(patience).unwrap();
    let heard = || {
        let mut buf = [0; 4096];
        let read = manager.recv(&mut buf).unwrap();
        String::from_utf8(buf[..read].to_vec()).unwrap()
    };
    let socket = ("NOTIFY_SOCKET".to_owned(), path.display().to_string());
    site.vars.push(socket);
    let mut gateway = site.start(None, "").unwrap();
    let said = heard();
    assert!(
        said.starts_with("READY=1\nSTATUS=taking events, generation 1"),
        "{said}"
    );
    site.extra = "[pixels.3333333333333333]\ntoken = { env = \"TEST_TOKEN\" }\n".to_owned();
    site.write_config();
    gateway.signal("HUP");
    let said = heard();
    assert!(said.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{said}");
    let said = heard();
    assert!(
        said.starts_with("READY=1\nSTATUS=taking events, generation 2"),
        "{said}"
    );
    site.extra = "[lanes.x]\n".to_owned();
    site.write_config();
    gateway.signal("HUP");
    assert!(heard().starts_with("RELOADING=1\n"));
    let said = heard();
    assert!(
        said.contains("READY=1\n") && said.contains("as it was"),
        "{said}"
    );
    gateway.signal("TERM");
    assert!(heard().starts_with("STOPPING=1\n"));
    assert_eq!(gateway.exit_code(), 0);
}
