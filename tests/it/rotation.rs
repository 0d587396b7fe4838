//! Tokens change under a running gateway: rotated, revoked and put back by the commands, while
//! events come in.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use capigate::sandbox::{Sandbox, SandboxSettings, SandboxToken, TokenState, World};
use capigate::secret::Secret;
use capigate::time::Clock;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::harness::purchase;
use crate::support::{PIXEL, Process, Site, sum};

const APP: &str = "1000000000000001";
const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";
const SYSTEM_USER: &str = "61550000000001";

const WORLD: &str = r#"
[[apps]]
id = "1000000000000001"
secret = "0123456789abcdef0123456789abcdef"
name = "Shop events"
business = "2000000000000001"
[[businesses]]
id = "2000000000000001"
name = "Shop Inc."
[[system_users]]
id = "61550000000001"
name = "capi"
role = "ADMIN"
business = "2000000000000001"
apps = ["1000000000000001"]
pixels = ["1234567890123456"]
[[pixels]]
id = "1234567890123456"
name = "Example Shop"
business = "2000000000000001"
"#;

/// Requests a second.
const RATE: u64 = 200;

struct Shop {
    sandbox: Sandbox,
    site: Site,
    http: reqwest::Client,
}

impl Shop {
    /// A site whose pixel has its token in a vault that is still empty.
    async fn new() -> Self {
        let settings = SandboxSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            world: toml::from_str::<World>(WORLD).unwrap(),
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
        let mut site = Site::new(sandbox.url());
        let dir = site.dir.path().to_owned();
        site.whole = Some(format!(
            r#"
[listen]
ingest = "127.0.0.1:0"
admin = "127.0.0.1:0"
[journal]
dir = "{dir}/journal"
segment_bytes = "1MiB"
[lanes]
linger = "20ms"
backoff_min = "20ms"
backoff_max = "200ms"
[graph]
url = "{graph}"
dialog_url = "{graph}"
[tokens]
vault = "{dir}/tokens.vault"
vault_key = {{ file = "{dir}/vault.key" }}
[reload]
debounce = "20ms"
[telemetry]
log_format = "json"
[shutdown]
grace = "0s"
[pixels.{PIXEL}]
name = "Example Shop"
[sources.test]
keys = [{{ env = "TEST_KEY" }}]
pixels = ["{PIXEL}"]
rate = "1000000/s"
"#,
            dir = dir.display(),
            graph = sandbox.url(),
        ));
        site.write_config();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let shop = Self {
            sandbox,
            site,
            http: http.build().unwrap(),
        };
        let key = shop.site.dir.path().join("vault.key");
        shop.run(&["token", "init", "--key-file", key.to_str().unwrap()], "");
        shop.token(&["app", "add", "--app-id", APP], APP_SECRET);
        shop
    }

    fn mint(&self, name: &str) -> String {
        let token = SandboxToken {
            name: name.to_owned(),
            app: Some(APP.to_owned()),
            holder: Some(SYSTEM_USER.to_owned()),
            scopes: vec!["ads_management".to_owned()],
            ..SandboxToken::default()
        };
        self.sandbox.mint_token(token).unwrap()
    }

    /// Runs `capigate token …` with this site's configuration.
    fn token(&self, args: &[&str], input: &str) -> Value {
        let config = self.site.config_file();
        let mut all = vec!["token"];
        all.extend_from_slice(args);
        all.extend_from_slice(&["--config", config.to_str().unwrap(), "--json"]);
        let said = self.run(&all, input);
        serde_json::from_str(&said).unwrap()
    }

    /// Runs a command that has to go well.
    fn run(&self, args: &[&str], input: &str) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_capigate"))
            .args(args)
            .env("TEST_KEY", &self.site.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // one that asks for nothing may be gone already
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    async fn post(&self, process: &Process, id: &str) -> u16 {
        let request = self.http.post(process.events_url());
        let body = json!({"data": [purchase(id)]});
        let sent = request.bearer_auth(&self.site.key).json(&body).send().await;
        sent.map_or(0, |answer| answer.status().as_u16())
    }

    async fn metric(&self, process: &Process, name: &str) -> u64 {
        let page = self.http.get(format!("{}/metrics", process.admin));
        let page = page.send().await.unwrap().text().await.unwrap();
        sum(&page, name)
    }

    /// Waits until the books say that nothing is left to send.
    async fn drained(&self, process: &Process) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.metric(process, "capigate_journal_records").await > 0 {
            assert!(
                Instant::now() < deadline,
                "events still wait: {}",
                process.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !is_so().await {
            assert!(Instant::now() < deadline, "never: {what}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn print(token: &str) -> String {
    Secret::new(token.to_owned()).fingerprint()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_a_token_is_rotated_revoked_and_put_back_and_no_event_is_lost() {
    let shop = Shop::new().await;
    let first = shop.mint("first");
    shop.token(&["add", "--pixel", PIXEL, "--name", "first"], &first);
    let mut process = shop.site.start(None, "").unwrap();

    let second = shop.mint("second");
    let third = shop.mint("third");
    let mut accepted = BTreeSet::new();
    let story = async {
        sleep(Duration::from_secs(2)).await;
        shop.token(
            &["rotate", "--pixel", PIXEL, "--paste", "--name", "second"],
            &second,
        );
        shop.until("the new token is used", async || {
            let batches = shop.sandbox.ledger().batches;
            batches
                .iter()
                .any(|batch| batch.token.as_deref() == Some("second"))
        })
        .await;
        // nothing to fall back on, and then nothing to go on with
        shop.token(&["revoke", "first", "--yes"], "");
        sleep(Duration::from_secs(1)).await;
        let at_revocation = shop.sandbox.totals().events_accepted;
        shop.sandbox
            .set_token_state(&print(&second), TokenState::PasswordChanged);
        shop.until("the lane is held", async || {
            shop.metric(&process, "capigate_holds").await > 0
        })
        .await;
        sleep(Duration::from_secs(3)).await;
        let held = shop.sandbox.totals().events_accepted - at_revocation;
        let waiting = shop.metric(&process, "capigate_journal_records").await;
        shop.token(
            &["rotate", "--pixel", PIXEL, "--paste", "--name", "third"],
            &third,
        );
        shop.until("events go out again", async || {
            shop.metric(&process, "capigate_holds").await == 0
        })
        .await;
        sleep(Duration::from_secs(2)).await;
        (held, waiting)
    };
    let load = async {
        let mut ticks = interval(Duration::from_millis(1000 / RATE));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        // bounded, should the story never end
        for n in 0..RATE * 120 {
            ticks.tick().await;
            let id = format!("load-{n}");
            assert_eq!(shop.post(&process, &id).await, 200, "{id}");
            accepted.insert(id);
        }
    };
    let (held, waiting) = tokio::select! {
        told = story => told,
        () = load => panic!("the story did not end in time: {}", process.log()),
    };
    shop.drained(&process).await;

    // what was on its way when the token died may have arrived; after that, nothing
    assert!(held < RATE, "{held} events went out with a dead token");
    assert!(waiting > RATE, "only {waiting} events waited");
    assert!(accepted.len() as u64 > waiting, "{}", accepted.len());
    for id in &accepted {
        let times = shop.sandbox.times_accepted(PIXEL.parse().unwrap(), id);
        assert_eq!(times, 1, "{id}");
    }
    assert_eq!(shop.metric(&process, "capigate_dead_total").await, 0);
    let ledger = shop.sandbox.ledger();
    let used: BTreeSet<&str> = ledger
        .batches
        .iter()
        .filter_map(|batch| batch.token.as_deref())
        .collect();
    assert!(used.contains("third"), "{used:?}");
    assert_eq!(shop.sandbox.violations(), []);
    assert_eq!(process.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_goes_on_with_its_next_token_at_once() {
    let shop = Shop::new().await;
    let (current, next) = (shop.mint("current"), shop.mint("next"));
    shop.token(&["add", "--pixel", PIXEL, "--name", "current"], &current);
    shop.token(
        &["add", "--pixel", PIXEL, "--slot", "next", "--name", "next"],
        &next,
    );
    let mut process = shop.site.start(None, "").unwrap();
    assert_eq!(shop.post(&process, "one").await, 200);
    shop.drained(&process).await;
    shop.sandbox
        .set_token_state(&print(&current), TokenState::AppRemoved);
    // lanes.probe_interval is 15 minutes: without the next token it would wait for that
    assert_eq!(shop.post(&process, "two").await, 200);
    shop.drained(&process).await;
    assert_eq!(
        shop.sandbox.times_accepted(PIXEL.parse().unwrap(), "two"),
        1
    );
    // and what has happened is written down
    shop.until("the next token is current", async || {
        let list = shop.token(&["list"], "");
        list.to_string().contains("\"current\"")
            && slot_of(&list, "next").as_deref() == Some("current")
    })
    .await;
    assert_eq!(process.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_the_configuration_keeps_no_token_from_its_pixel() {
    let shop = Shop::new().await;
    let (first, second) = (shop.mint("first"), shop.mint("second"));
    shop.token(&["add", "--pixel", PIXEL, "--name", "first"], &first);
    let mut process = shop.site.start(None, "").unwrap();
    assert_eq!(shop.post(&process, "one").await, 200);
    shop.drained(&process).await;
    // someone is in the middle of editing
    let path = shop.site.config_file();
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("[lanes]", "[lanse]")).unwrap();
    shop.until("the fault is refused", async || {
        process.log().contains("configuration refused")
    })
    .await;
    // the command reads another copy of the configuration
    let copy = path.with_extension("copy.toml");
    std::fs::write(&copy, &good).unwrap();
    let copy = copy.to_str().unwrap();
    let rotate = [
        "token", "rotate", "--pixel", PIXEL, "--paste", "--name", "second",
    ];
    shop.run(&[&rotate[..], &["--config", copy]].concat(), &second);
    shop.until("the vault is taken over", async || {
        process.log().contains("the vault is taken over")
    })
    .await;
    assert_eq!(shop.post(&process, "two").await, 200);
    shop.drained(&process).await;
    let batches = shop.sandbox.ledger().batches;
    assert_eq!(batches.last().unwrap().token.as_deref(), Some("second"));
    assert_eq!(process.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_goes_takes_no_token_from_a_running_gateway() {
    let shop = Shop::new().await;
    shop.token(
        &["add", "--pixel", PIXEL, "--name", "first"],
        &shop.mint("first"),
    );
    let mut process = shop.site.start(None, "").unwrap();
    let vault = shop.site.dir.path().join("tokens.vault");
    let aside = vault.with_extension("aside");
    std::fs::rename(&vault, &aside).unwrap();
    shop.until("it is noticed", async || process.log().contains("is gone"))
        .await;
    assert_eq!(shop.post(&process, "without").await, 200);
    shop.drained(&process).await;
    std::fs::rename(&aside, &vault).unwrap();
    assert_eq!(shop.post(&process, "with").await, 200);
    shop.drained(&process).await;
    assert_eq!(process.terminate(), 0);
}

/// The slot that a listing says a token is in.
fn slot_of(list: &Value, name: &str) -> Option<String> {
    let token = list["tokens"]
        .as_array()?
        .iter()
        .find(|token| token["name"] == name)?;
    let slot = token["pixels"][0]["slot"].as_str()?;
    Some(slot.to_owned())
}
