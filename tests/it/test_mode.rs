//! Test codes: who may set one, for how long, and what goes out with and without one.

use std::process::{Command, Stdio};
use std::time::Duration;

use capigate::app::Profile;
use capigate::app::production::TestCodeSet;
use capigate::app::reload::ReloadError;
use capigate::config::duplicates::Covers;
use capigate::config::{Config, KeyRef, SecretRef, Source};
use capigate::journal::segment::disk::RealDisk;
use capigate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::{Value, json};

use crate::harness::{Answer, Gateway, OTHER, OTHER_KEY, PIXEL, purchase, purchases};
use crate::support::Site;

/// What a command said, and its exit code.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{} {}", self.out, self.err))
    }
}

/// Runs `capigate` with the admin key, as a script would.
pub(crate) fn capigate(args: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_capigate"))
        .args(args)
        .envs([
            ("CAPIGATE_ADMIN_KEY", OTHER_KEY),
            ("FIRST_TOKEN", "sandbox-token"),
            ("SECOND_TOKEN", "second-token"),
            ("APP_SECRET", "the-app-secret"),
            ("KEY", "the-ingest-key"),
            ("OTHER_KEY", OTHER_KEY),
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs it against a gateway in this process.
pub(crate) fn tell(gateway: &Gateway, args: &[&str]) -> Said {
    let admin = format!("http://{}", gateway.running().admin_addr());
    capigate(&[args, &["--admin", &admin]].concat())
}

/// Lets the commands in.
pub(crate) fn keyed(config: &mut Config) {
    config.admin.keys = vec![KeyRef::Secret(SecretRef::Env("OTHER_KEY".to_owned()))];
}

fn shop(config: &mut Config) -> &mut Source {
    config.sources.get_mut("shop").unwrap()
}

fn set_code(config: &mut Config, pixel: &str, code: Option<&str>) {
    let pixel = config.pixels.get_mut(&pixel.parse().unwrap()).unwrap();
    pixel.test_event_code = code.map(str::to_owned);
}

/// Each event that Graph has taken, by id, and the code it came with; sorted.
fn arrivals(gateway: &Gateway) -> Vec<(String, Option<String>)> {
    let ledger = gateway.sandbox.ledger();
    let mut all = Vec::new();
    for event in &ledger.events {
        for number in &event.batches {
            let batch = ledger.batches.iter().find(|batch| batch.number == *number);
            let code = batch.unwrap().options.get("test_event_code");
            let code = code.map(|code| code.as_str().unwrap().to_owned());
            all.push((event.event_id.clone().unwrap(), code));
        }
    }
    all.sort();
    all
}

fn plain(id: &str) -> (String, Option<String>) {
    (id.to_owned(), None)
}

fn coded(id: &str, code: &str) -> (String, Option<String>) {
    (id.to_owned(), Some(code.to_owned()))
}

fn messages(answer: &Answer) -> Vec<&str> {
    let messages = answer.body["messages"].as_array().unwrap();
    messages.iter().map(|text| text.as_str().unwrap()).collect()
}

/// A purchase in a chat, of which Meta drops no duplicates.
fn chat(id: &str) -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": Clock::Real.now().secs() - 5,
        "event_id": id,
        "action_source": "business_messaging",
        "messaging_channel": "whatsapp",
        "user_data": {
            "whatsapp_business_account_id": "100000000000001",
            "ctwa_clid": "ARAkLkA8rmlFeiCktEJQ"
        },
        "custom_data": {"value": 5, "currency": "EUR"}
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_code_is_left_out_unless_its_source_may_bring_one() {
    let mut gateway = Gateway::start().await;
    let body = json!({"data": [purchase("a")], "test_event_code": "TEST1"});
    let answer = gateway.post_body(PIXEL, &body).await;
    assert_eq!(
        (answer.status, &answer.body["events_received"]),
        (200, &json!(1))
    );
    let says = messages(&answer).join("\n");
    assert!(
        says.starts_with("test_event_code: not taken from this source"),
        "{says}"
    );
    assert!(
        says.contains("sources.shop.allow_test_event_code"),
        "{says}"
    );
    assert!(!says.contains("TEST1"), "{says}");
    gateway.delivered(1).await;
    let change = |config: &mut Config| shop(config).allow_test_event_code = true;
    gateway.reload(change).await.unwrap();
    let body = json!({"data": [purchase("b")], "test_event_code": "TEST1"});
    let answer = gateway.post_body(PIXEL, &body).await;
    assert_eq!(messages(&answer), [""; 0]);
    gateway.delivered(2).await;
    gateway.drained().await;
    assert_eq!(arrivals(&gateway), [plain("a"), coded("b", "TEST1")]);
    assert_eq!(gateway.metric("capigate_test_events_total").await, 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sources_code_goes_before_its_pixels_and_each_ends_at_its_time() {
    let clock = Clock::manual(Clock::Real.now());
    let now = clock.now();
    let hour = Duration::from_hours(1);
    let change = |config: &mut Config| {
        set_code(config, PIXEL, Some("PIXEL"));
        let pixel = config.pixels.get_mut(&PIXEL.parse().unwrap()).unwrap();
        pixel.test_event_code_until = Some(now.plus(hour * 2).into());
        shop(config).test_event_code = Some("SHOP".to_owned());
        shop(config).test_event_code_until = Some(now.plus(hour).into());
    };
    let disk = std::sync::Arc::new(RealDisk);
    let gateway = Gateway::with_disk(change, disk, clock.clone()).await;
    let mut sent = 0;
    for (id, pixel) in [("a", PIXEL), ("b", OTHER)] {
        gateway
            .post_body(pixel, &json!({"data": [purchase(id)]}))
            .await;
        sent += 1;
    }
    let active = |page: &str, pixel: &str, value: u8| {
        let line = format!("capigate_test_mode_active{{pixel=\"{pixel}\"}} {value}");
        assert!(page.contains(&line), "{line}");
    };
    let page = gateway.page("/metrics").await.1;
    active(&page, PIXEL, 1);
    active(&page, OTHER, 1);
    let (status, ready) = gateway.readyz().await;
    assert_eq!((status, ready["notes"].as_array().unwrap().len()), (200, 3));
    assert_eq!(ready["notes"][0]["code"], "test_mode");
    assert_eq!(ready["notes"][0]["source"], "shop");
    assert!(
        !ready.to_string().contains("SHOP"),
        "the page needs no key: {ready}"
    );
    for (hours, id) in [(1, "c"), (2, "d")] {
        clock.set(now.plus(hour * hours));
        gateway.post(vec![purchase(id)]).await;
        sent += 1;
    }
    gateway.delivered(sent).await;
    gateway.drained().await;
    let expected = [
        coded("a", "SHOP"),
        coded("b", "SHOP"),
        coded("c", "PIXEL"),
        plain("d"),
    ];
    assert_eq!(arrivals(&gateway), expected);
    active(&gateway.page("/metrics").await.1, PIXEL, 0);
    assert_eq!(gateway.readyz().await.1["notes"], json!([]));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mirror_sends_each_event_without_the_code_and_a_copy_with_it() {
    let mut gateway = Gateway::with(|config| {
        config.duplicates.events = Covers::All;
        set_code(config, PIXEL, Some("TEST1"));
        let pixel = config.pixels.get_mut(&PIXEL.parse().unwrap()).unwrap();
        pixel.test_event_mirror = true;
    })
    .await;
    let answer = gateway.post(vec![purchase("a"), purchase("b")]).await;
    assert_eq!(
        (answer.status, &answer.body["events_received"]),
        (200, &json!(2))
    );
    gateway.delivered(4).await;
    gateway.drained().await;
    let both = |id: &str| [plain(id), coded(id, "TEST1")];
    let mut expected = [both("a"), both("b")].concat();
    assert_eq!(arrivals(&gateway), expected);
    let ledger = gateway.sandbox.ledger();
    let with_code = |code: bool| {
        let batches = ledger.batches.iter();
        let batches = batches.filter(|one| one.options.contains_key("test_event_code") == code);
        batches.map(|one| one.size).sum::<usize>()
    };
    assert_eq!((with_code(false), with_code(true)), (2, 2));
    assert_eq!(gateway.metric("capigate_accepted_total").await, 4);
    assert_eq!(gateway.metric("capigate_test_events_total").await, 2);

    // a twin brings no copy, be it the copy's or the event's
    let answer = gateway.post(vec![purchase("a"), purchase("c")]).await;
    assert_eq!(answer.body["events_received"], 2);
    assert_eq!(messages(&answer).len(), 1, "{answer:?}");
    gateway.delivered(6).await;
    gateway.drained().await;
    expected.extend(both("c"));
    assert_eq!(arrivals(&gateway), expected);
    assert_eq!(gateway.metric("capigate_duplicates_total").await, 1);

    // what waits across a restart goes as it was accepted, also when the code is gone by then
    gateway.sandbox.add_fault(Fault::status(503).forever());
    gateway.post(vec![purchase("d")]).await;
    gateway.down().await;
    set_code(&mut gateway.config, PIXEL, None);
    gateway.sandbox.clear_faults();
    gateway.up().await;
    gateway.delivered(8).await;
    gateway.drained().await;
    let answer = gateway.post(vec![purchase("d"), purchase("a")]).await;
    assert_eq!(messages(&answer).len(), 2, "{answer:?}");
    gateway.drained().await;
    expected.extend(both("d"));
    assert_eq!(arrivals(&gateway), expected);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_messaging_event_gets_no_copy_since_meta_would_count_it() {
    let gateway = Gateway::with(|config| {
        set_code(config, PIXEL, Some("TEST1"));
        let pixel = config.pixels.get_mut(&PIXEL.parse().unwrap()).unwrap();
        pixel.test_event_mirror = true;
    })
    .await;
    gateway.post(vec![chat("a"), purchase("b")]).await;
    gateway.delivered(3).await;
    gateway.drained().await;
    let expected = [plain("a"), plain("b"), coded("b", "TEST1")];
    assert_eq!(arrivals(&gateway), expected);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_started_listed_and_stopped_at_run_time_and_survives_a_restart() {
    let mut gateway = Gateway::with(|config| {
        keyed(config);
        set_code(config, PIXEL, Some("PIXEL"));
    })
    .await;
    let start = [
        "test-mode",
        "start",
        PIXEL,
        "--code",
        "TEST1",
        "--for",
        "2h",
    ];
    let said = tell(&gateway, &start);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.contains("count as real ones all the same"),
        "{}",
        said.out
    );
    gateway.post(vec![purchase("a")]).await;
    gateway.delivered(1).await;
    gateway.down().await;
    gateway.up().await;
    gateway.post(vec![purchase("b")]).await;
    gateway.delivered(2).await;
    let listed = tell(&gateway, &["test-mode", "list", "--json"]).json();
    let shown = |at: usize, name: &str| listed[at][name].clone();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(
        (shown(0, "code"), shown(0, "key")),
        (json!("TEST1"), Value::Null)
    );
    assert_eq!(shown(1, "key"), format!("pixels.{PIXEL}.test_event_code"));
    let listed = tell(&gateway, &["test-mode", "list"]).out;
    assert!(
        listed.contains("started at run time") && listed.contains("active"),
        "{listed}"
    );

    let said = tell(&gateway, &["test-mode", "stop", PIXEL]);
    assert_eq!(said.code, 0, "{}", said.err);
    let key = format!("pixels.{PIXEL}.test_event_code still stands in the configuration");
    assert!(
        said.out.contains("stopped: TEST1") && said.out.contains(&key),
        "{}",
        said.out
    );
    gateway.post(vec![purchase("c")]).await;
    gateway.delivered(3).await;
    // remembered across a restart and a reload, until its value is another one
    gateway.down().await;
    gateway.up().await;
    gateway
        .reload(|config| config.lanes.linger = "30ms".parse().unwrap())
        .await
        .unwrap();
    gateway.post(vec![purchase("d")]).await;
    gateway.delivered(4).await;
    gateway
        .reload(|config| set_code(config, PIXEL, Some("NEW")))
        .await
        .unwrap();
    gateway.post(vec![purchase("e")]).await;
    gateway.delivered(5).await;
    gateway.drained().await;
    let expected = [
        coded("a", "TEST1"),
        coded("b", "TEST1"),
        plain("c"),
        plain("d"),
        coded("e", "NEW"),
    ];
    assert_eq!(arrivals(&gateway), expected);
    for (args, code, says) in [
        (
            ["start", "7", "--code", "TEST1", "--for", "2h"].as_slice(),
            1,
            "unknown_pixel",
        ),
        (
            &["start", PIXEL, "--code", "TEST 1", "--for", "2h"],
            64,
            "1 to 64 letters",
        ),
        (
            &["start", PIXEL, "--code", "TEST1", "--for", "31d"],
            64,
            "at most 30d",
        ),
        (&["stop", "7"], 1, "unknown_pixel"),
    ] {
        let said = tell(&gateway, &[&["test-mode"], args].concat());
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        assert!(said.err.contains(says), "{args:?}: {}", said.err);
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_no_outage() {
    let mut gateway = Gateway::with(keyed).await;
    tell(
        &gateway,
        &[
            "test-mode",
            "start",
            PIXEL,
            "--code",
            "TEST1",
            "--for",
            "2h",
        ],
    );
    gateway.down().await;
    let file = gateway.journal_dir().join("test_mode.json");
    assert!(file.exists());
    std::fs::write(&file, "{").unwrap();
    gateway.up().await;
    assert_eq!(gateway.readyz().await.0, 200);
    gateway.post(vec![purchase("a")]).await;
    gateway.delivered(1).await;
    assert_eq!(arrivals(&gateway), [plain("a")]);
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
    gateway.post(vec![purchase("b")]).await;
    gateway.delivered(2).await;
    assert_eq!(arrivals(&gateway), [plain("a"), coded("b", "TEST1")]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_for_production_takes_no_code_from_anyone() {
    let mut gateway = Gateway::with(keyed).await;
    tell(
        &gateway,
        &[
            "test-mode",
            "start",
            PIXEL,
            "--code",
            "TEST1",
            "--for",
            "2h",
        ],
    );
    gateway.down().await;
    gateway.profile = Profile::Production;
    let refused = gateway.try_up().await.unwrap_err();
    assert!(refused.is::<TestCodeSet>(), "{refused:#}");
    let says = refused.to_string();
    let stop = format!("`capigate test-mode stop {PIXEL} --offline");
    assert!(
        says.contains("test_mode.json") && says.contains(&stop),
        "{says}"
    );
    gateway.write_config();
    let config = gateway.config_file();
    let config = config.to_str().unwrap();
    let check = [
        "check",
        "--offline",
        "--profile",
        "production",
        "--config",
        config,
    ];
    let said = capigate(&check);
    assert_eq!(said.code, 64, "{}", said.out);
    assert!(
        said.out.contains("✗ TEST1 was started for pixel"),
        "{}",
        said.out
    );
    // the command that is printed does it
    let serve = capigate(&["serve", "--profile", "production", "--config", config]);
    let stop = format!("`capigate test-mode stop {PIXEL} --offline --config {config}`");
    assert!(serve.err.contains(&stop), "{}", serve.err);
    let said = capigate(&["test-mode", "stop", PIXEL, "--offline", "--config", config]);
    assert_eq!(said.code, 0, "{}", said.err);

    shop(&mut gateway.config).test_event_code = Some("SHOP".to_owned());
    shop(&mut gateway.config).allow_test_event_code = true;
    let says = gateway.try_up().await.unwrap_err().to_string();
    assert!(
        says.contains("sources.shop.test_event_code: take it out"),
        "{says}"
    );
    gateway.write_config();
    let serve = capigate(&["serve", "--profile", "production", "--config", config]);
    assert_eq!(serve.code, 64, "{}", serve.err);
    assert!(
        serve
            .err
            .contains("sources.shop.test_event_code: take it out"),
        "{}",
        serve.err
    );
    assert!(
        serve
            .err
            .contains("sources.shop.allow_test_event_code lets requests"),
        "{}",
        serve.err
    );
    let said = capigate(&check).out;
    for line in [
        "✗ sources.shop.test_event_code is set",
        "! sources.shop.allow_test_event_code: its requests may bring",
    ] {
        assert!(said.contains(line), "{said}");
    }

    shop(&mut gateway.config).test_event_code = None;
    gateway.up().await;
    let said = tell(
        &gateway,
        &[
            "test-mode",
            "start",
            PIXEL,
            "--code",
            "TEST1",
            "--for",
            "2h",
        ],
    );
    assert_eq!(said.code, 1);
    assert!(said.err.contains("(production)"), "{}", said.err);
    let refused = gateway
        .reload(|config| set_code(config, PIXEL, Some("TEST1")))
        .await;
    let Err(ReloadError::BadConfig { faults }) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        faults[0].starts_with(&format!("pixels.{PIXEL}.test_event_code: ")),
        "{faults:?}"
    );
    set_code(&mut gateway.config, PIXEL, None);
    gateway.post(purchases("a", 2)).await;
    gateway.delivered(2).await;
    assert_eq!(gateway.metric("capigate_test_events_total").await, 0);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_so_at_the_start_and_at_each_change() {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(OTHER_KEY));
    site.extra = format!("[admin]\nkeys = [{{ sha256 = \"{hash}\" }}]\n");
    let key = format!("CAPIGATE__PIXELS__{PIXEL}__TEST_EVENT_CODE");
    site.vars = vec![(key, "TEST1".to_owned())];
    let mut process = site.start(None, "info").unwrap();
    let warned = |code: &str| {
        let log = process.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("TEST MODE: events go out"));
        lines.filter(|line| line.contains(code)).count()
    };
    let until = async |code: &str, times: usize| {
        for _ in 0..400 {
            if warned(code) == times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{code}: {}", process.log());
    };
    until("TEST1", 1).await;
    assert!(
        process.log().contains("has no end: give it one with"),
        "{}",
        process.log()
    );
    let admin = process.admin.clone();
    let tell = |args: &[&str]| {
        let said = capigate(&[args, &["--admin", &admin]].concat());
        assert_eq!(said.code, 0, "{args:?}: {}", said.err);
    };
    tell(&[
        "test-mode",
        "start",
        OTHER,
        "--code",
        "TEST2",
        "--for",
        "2h",
        "--mirror",
    ]);
    until("TEST2", 1).await;
    tell(&["test-mode", "stop", PIXEL]);
    for _ in 0..400 {
        if process.log().contains("test mode has ended") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(
        process.log().contains("test mode has ended"),
        "{}",
        process.log()
    );
    assert_eq!(process.terminate(), 0);
}
