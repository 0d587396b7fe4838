//! The real binary where it matters that it is a process of its own.

use std::time::Duration;

use capigate::sandbox::{Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::json;

use crate::harness::purchases;
use crate::support::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let site = Site::new(sandbox.url());
    let mut process = site.start(None, "trace").unwrap();
    process.stop_listening();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    for round in 0..10 {
        let body = json!({"data": purchases(&format!("r{round}"), 3)});
        let request = http.post(process.events_url()).bearer_auth(&site.key);
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let refused = http.post(process.events_url()).send().await.unwrap();
        assert_eq!(refused.status(), 400);
        let delivered = sandbox.accepted_at_least(3 * (round + 1));
        let delivered = tokio::time::timeout(Duration::from_secs(20), delivered).await;
        assert!(delivered.is_ok(), "round {round} was not delivered");
    }
    assert_eq!(process.terminate(), 0);
}

#[test]
fn the_demo_ends_well_on_a_machine_without_certificates() {
    let demo = std::process::Command::new(env!("CARGO_BIN_EXE_capigate"))
        .args(["demo", "--once"])
        // what an operator has set for a real gateway, and a proxy, are not for the demo
        .env("CAPIGATE__GRAPH__URL", "http://127.0.0.1:1")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("SSL_CERT_FILE", "/nowhere")
        .env("SSL_CERT_DIR", "/nowhere")
        .output()
        .unwrap();
    let said = String::from_utf8(demo.stdout).unwrap();
    assert!(
        demo.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&demo.stderr)
    );
    assert!(said.contains("kill -9"), "{said}");
    assert!(said.contains("finds 3 events"), "{said}");
    assert!(
        said.contains("4 of 4 events ended as they should; 0 are left in the journal"),
        "{said}"
    );
    assert!(
        said.contains("REFUSED by the gateway: user_data:"),
        "{said}"
    );
    for raw in ["Jane", "Doe", "example.com", "555-1212", "Menlo"] {
        assert!(!said.contains(raw), "the demo shows {raw} unmasked: {said}");
    }
}

#[test]
fn a_variable_that_is_no_unicode_is_neither_shown_nor_a_panic() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"canary-secret\xff");
    let root = env!("CARGO_MANIFEST_DIR");
    let sandbox = format!("{root}/config/sandbox.toml");
    for args in [
        vec!["config", "check", "--config", &sandbox],
        vec!["serve", "--config", &sandbox],
    ] {
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_capigate"))
            .args(&args)
            .env("CAPIGATE_DEMO_TOKEN", "sandbox-token")
            .env("CAPIGATE_DEMO_KEY", odd)
            .env("UNRELATED", odd)
            .output()
            .unwrap();
        let said = [run.stdout, run.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(run.status.code(), Some(64), "{said}");
        assert!(
            said.contains("CAPIGATE_DEMO_KEY is not set, or is not Unicode"),
            "{said}"
        );
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn unusable_tls_files_are_told_with_the_rest_before_anything_starts() {
    let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls");
    for (cert, key, faults) in [
        ("cert.pem", "key.pem", 0),
        ("key.pem", "cert.pem", 2),
        ("nowhere.pem", "key.pem", 1),
        ("", "", 2),
    ] {
        let check = std::process::Command::new(env!("CARGO_BIN_EXE_capigate"))
            .args(["config", "check"])
            .env(
                "CAPIGATE__LISTEN__TLS",
                format!("{{ cert = \"{tls}/{cert}\", key = \"{tls}/{key}\" }}"),
            )
            .output()
            .unwrap();
        let said = String::from_utf8(check.stdout).unwrap();
        let told = said
            .lines()
            .filter(|line| line.contains("listen.tls."))
            .count();
        assert_eq!(told, faults, "{cert} {key}: {said}");
        assert_eq!(
            check.status.code(),
            Some(if faults == 0 { 0 } else { 64 }),
            "{said}"
        );
        assert!(
            faults == 0 || said.contains("CAPIGATE__LISTEN__TLS"),
            "{said}"
        );
    }
}

#[test]
fn secret_files_that_are_none_are_told_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    std::fs::write(file("marked"), "\u{feff}canary-token\n").unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(file("pipe"))
        .status()
        .unwrap();
    assert!(pipe.success());
    std::fs::create_dir(file("folder")).unwrap();
    for (name, wants) in [
        ("marked", "one word of ASCII"),
        ("pipe", "a regular file"),
        ("folder", "a regular file"),
        ("nothing", "cannot be read"),
    ] {
        let token = format!("{{ file = \"{}\" }}", file(name).display());
        let check = std::process::Command::new(env!("CARGO_BIN_EXE_capigate"))
            .args(["config", "check"])
            .env("CAPIGATE__PIXELS__123__TOKEN", token)
            .output()
            .unwrap();
        let said = String::from_utf8(check.stdout).unwrap();
        assert_eq!(check.status.code(), Some(64), "{name}: {said}");
        assert!(
            said.contains("pixels.123.token") && said.contains(wants),
            "{name}: {said}"
        );
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn a_directory_without_a_journal_is_no_healthy_journal() {
    let dir = tempfile::tempdir().unwrap();
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_capigate"))
        .args(["journal", "check", "--dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8(check.stderr).unwrap();
    assert_eq!(check.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no journal in"), "{said}");
}
