//! Looking at everything that sending depends on.

use capigate::sandbox::{App, Needs, SandboxToken, TokenKind, TokenState, World};
use capigate::secret::Secret;
use capigate::time::UnixMs;
use capigate::tokens::{Facts, Obtained, Slot, TokenRecord, VaultError};
use serde_json::json;

use crate::desk::{APP, APP_SECRET, Said, Site, world};
use crate::support::{OTHER, PIXEL};

const SYSTEM_USER: &str = "61550000000001";

const GOOD: &str = r#"
[pixels.1234567890123456]
name = "Example Shop, web"
site = "https://shop.example"
[sources.shop]
keys = [{ sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }]
pixels = ["1234567890123456"]
[alerts]
webhook_url = "https://hooks.example/capigate"
"#;

/// A token of the system user.
fn token() -> SandboxToken {
    SandboxToken {
        name: "good".to_owned(),
        kind: TokenKind::SystemUser,
        app: Some(APP.to_owned()),
        holder: Some(SYSTEM_USER.to_owned()),
        scopes: vec!["ads_management".to_owned()],
        ..SandboxToken::default()
    }
}

/// Puts a token into the vault, and into a slot.
fn put(site: &Site, token: SandboxToken, pixel: &str, slot: Slot) {
    let name = token.name.parse().unwrap();
    let record = TokenRecord {
        secret: Secret::new(site.sandbox.mint_token(token).unwrap()),
        obtained: Obtained::Pasted,
        added_at: UnixMs::from_secs(1_795_305_600),
        facts: Facts::default(),
    };
    let pixel = pixel.parse().unwrap();
    let put = site.vault().update(|contents| -> Result<_, VaultError> {
        contents.add(name, record)?;
        let name = contents.tokens.keys().next_back().unwrap().clone();
        contents.bind(pixel, slot, &name, UnixMs(1))?;
        Ok(())
    });
    put.unwrap();
}

/// A machine on which nothing is wrong.
async fn good(world: World) -> Site {
    let mut site = Site::new(world).await;
    GOOD.clone_into(&mut site.extra);
    site.add_app(APP, APP_SECRET);
    put(&site, token(), PIXEL, Slot::Current);
    site
}

fn check(site: &Site, more: &[&str]) -> Said {
    site.run(&[&["check"][..], more].concat(), "")
}

/// Checks that the word for what failed, and the exit code, are these.
fn fails(said: &Said, exit: i32, word: &str) {
    assert_eq!(said.code, exit, "{said:?}");
    let json = said.json();
    let findings = json["findings"].as_array().unwrap();
    let first = findings.iter().find(|one| one["mark"] == "fail").unwrap();
    assert_eq!(first["check"], json!(word), "{first}");
    assert!(first["next"].is_string() || word == "config", "{first}");
    assert_eq!(json["ok"], json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_well_it_says_so() {
    let site = good(world()).await;
    let said = check(&site, &["--profile", "production"]);
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&[
        "configuration\n✓",
        "the clock agrees",
        "id and secret belong together",
        "Example Shop, web, on https://shop.example",
        "✓ valid",
        "expires: never",
        "sees the pixel",
        "demands no proof",
        "alerts go by webhook",
        "0 failed; nothing has to be done",
    ]);
    assert_eq!(site.sandbox.violations(), []);
    assert_eq!(site.sandbox.ledger().batches.len(), 0, "an event was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_whole_and_without_a_secret() {
    let site = good(world()).await;
    site.sandbox.set_token_state("good", TokenState::Revoked);
    let said = check(&site, &["--json"]);
    fails(&said, 3, "token");
    let json = said.json();
    assert_eq!(json["capigate"], json!(env!("CARGO_PKG_VERSION")));
    assert_eq!(json["graph_version"], json!("v26.0"));
    assert_eq!(json["tokens"][0]["pixel"], json!(PIXEL));
    assert_eq!(json["tokens"][0]["slot"], json!("current"));
    assert!(json["tokens"][0]["fingerprint"].is_string());
    let findings = json["findings"].as_array().unwrap();
    let sum: u64 = ["pass", "skipped", "warn", "fail"]
        .map(|mark| json["summary"][mark].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!(sum, findings.len() as u64);
    assert!(findings.iter().all(|one| one["subject"].is_string()));
    let dead = findings.iter().find(|one| one["check"] == "token").unwrap();
    assert_eq!(dead["subject"], json!(format!("pixel {PIXEL}")));
    assert!(dead["code"].as_str().unwrap().starts_with("190"), "{dead}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dataset_token_may_not_read_is_no_failure() {
    let world = World {
        needs: Needs {
            pixel: vec!["ads_read".to_owned()],
            ..Needs::default()
        },
        ..world()
    };
    let mut site = Site::new(world).await;
    GOOD.clone_into(&mut site.extra);
    let dataset = SandboxToken {
        name: "dataset".to_owned(),
        scopes: vec!["ads_management".to_owned()],
        pixels: vec![PIXEL.parse().unwrap()],
        ..SandboxToken::default()
    };
    put(&site, dataset, PIXEL, Slot::Current);
    let said = check(&site, &[]);
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&["may not read the pixel"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_done_decides_the_exit_code() {
    let site = good(world()).await;
    site.sandbox.set_token_state("good", TokenState::Expired);
    fails(&check(&site, &["--json"]), 3, "token");

    let mut site = good(world()).await;
    site.extra = site
        .extra
        .replace("[sources", &format!("[pixels.{OTHER}]\n[sources"));
    let said = check(&site, &["--json"]);
    fails(&said, 3, "token");
    said.says(&[&format!("capigate token add --pixel {OTHER}")]);

    site.extra = GOOD.to_owned();
    site.add_app(APP, "ffffffffffffffffffffffffffffffff");
    fails(&check(&site, &["--json"]), 5, "app_secret");
    site.add_app(APP, APP_SECRET);
    assert_eq!(check(&site, &["--json"]).code, 0);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    site.vars = vec![("CAPIGATE__GRAPH__URL", nowhere)];
    fails(&check(&site, &["--json"]), 6, "graph");

    site.vars = vec![("CAPIGATE__LANES__LINGR", "1s".to_owned())];
    let said = check(&site, &["--json"]);
    fails(&said, 64, "config");
    said.says(&["did you mean lanes.linger?"]);

    site.vars = vec![(
        "CAPIGATE__PIXELS__1234567890123456__TEST_EVENT_CODE",
        "TEST1".to_owned(),
    )];
    assert_eq!(check(&site, &["--json"]).code, 0);
    fails(
        &check(&site, &["--json", "--profile", "production"]),
        64,
        "test_event_code",
    );

    site.vars = Vec::new();
    let key = site.dir.path().join("vault.key");
    std::fs::write(&key, format!("{}\n", "ab".repeat(32))).unwrap();
    let said = check(&site, &["--json"]);
    fails(&said, 64, "vault");
    said.says(&["cannot be told before the vault can be read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_a_token_that_does_not_send_stops_nothing() {
    let site = good(world()).await;
    let next = SandboxToken {
        name: "next".to_owned(),
        ..token()
    };
    put(&site, next, PIXEL, Slot::Next);
    site.sandbox.set_token_state("next", TokenState::Revoked);
    let said = check(&site, &[]);
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&[
        &format!("pixel {PIXEL}, next token next\n"),
        "nothing has to be done now",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_demanded_has_to_be_possible() {
    let strict = || {
        let mut world = world();
        let apps = std::mem::take(&mut world.apps).into_iter();
        world.apps = apps
            .map(|app| App {
                require_proof: true,
                ..app
            })
            .collect();
        world
    };
    let site = good(strict()).await;
    let said = check(&site, &[]);
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&["demands a proof of its secret, which is known"]);

    let mut site = Site::new(strict()).await;
    GOOD.clone_into(&mut site.extra);
    put(&site, token(), PIXEL, Slot::Current);
    let said = check(&site, &["--json"]);
    assert_eq!(said.code, 5, "{said:?}");
    said.says(&["the proof of the app secret is missing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_nobody_is_asked() {
    let site = good(world()).await;
    let said = check(&site, &["--offline"]);
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&[
        "was not asked (--offline)",
        "nobody has asked Meta about this token yet",
    ]);
    assert!(site.sandbox.account_calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_readable_here_is_no_failure_where_that_is_usual() {
    let mut site = Site::new(world()).await;
    for (token, exit, check_word) in [
        ("{ env = \"ONLY_THE_SERVICE\" }", 0, ""),
        ("{ file = \"/nowhere/token\" }", 64, "token"),
    ] {
        site.extra = GOOD.replace("[sources", &format!("token = {token}\n[sources"));
        let said = check(&site, &["--json"]);
        if exit == 0 {
            assert_eq!(said.code, 0, "{said:?}");
            said.says(&["ONLY_THE_SERVICE is not set"]);
        } else {
            fails(&said, exit, check_word);
        }
    }
}
