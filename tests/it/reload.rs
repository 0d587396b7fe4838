//! A configuration that changes while the gateway runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use capigate::app::reload::{Outcome, ReloadError, Trigger};
use capigate::config::{KeyRef, Pixel, SecretRef, Source};
use capigate::sandbox::Fault;
use serde_json::json;

use crate::harness::{FOREIGN, Gateway, KEY, OTHER, OTHER_KEY, PIXEL, purchase, purchases};

const FOURTH: &str = "4444444444444444";

fn source(key: &str, pixels: &[&str]) -> Source {
    Source {
        keys: vec![KeyRef::Secret(SecretRef::Env(key.to_owned()))],
        pixels: pixels.iter().map(|id| id.parse().unwrap()).collect(),
        rate: "1000000/s".parse().unwrap(),
        ..Source::default()
    }
}

fn pixel(token: SecretRef) -> Pixel {
    Pixel {
        token: Some(token),
        ..Pixel::default()
    }
}

/// How a pixel that is not configured is refused.
const UNKNOWN_PIXEL: (u16, i64) = (400, 33);

/// Posts one event with a key of the test's choice, and gives the status and Graph's subcode.
async fn post(gateway: &Gateway, pixel: &str, key: &str, id: &str) -> (u16, i64) {
    let url = gateway.url(&format!("/v26.0/{pixel}/events"));
    let body = json!({"data": [purchase(id)]});
    let request = gateway.http.post(url).bearer_auth(key).json(&body);
    let answer = gateway.send(request).await;
    let subcode = answer.body["error"]["error_subcode"].as_i64();
    (answer.status, subcode.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_and_a_source_that_are_added_work_at_once() {
    let mut gateway = Gateway::start().await;
    assert_eq!(post(&gateway, FOURTH, KEY, "a").await, UNKNOWN_PIXEL);
    assert_eq!(post(&gateway, FOURTH, OTHER_KEY, "b").await.0, 401);
    let report = gateway
        .reload(|config| {
            let token = SecretRef::Env("FIRST_TOKEN".to_owned());
            config.pixels.insert(FOURTH.parse().unwrap(), pixel(token));
            let late = source("OTHER_KEY", &[FOURTH]);
            config.sources.insert("late".to_owned(), late);
        })
        .await
        .unwrap();
    assert_eq!(report.result, Outcome::Applied);
    assert_eq!(report.generation, 2);
    assert_eq!(
        report.changed,
        [format!("pixels.{FOURTH}"), "sources.late".to_owned()]
    );
    assert_eq!(post(&gateway, FOURTH, OTHER_KEY, "c").await.0, 200);
    assert_eq!(post(&gateway, FOURTH, KEY, "d").await.0, 403);
    gateway.delivered(1).await;
    let shown = format!("capigate_accepted_total{{pixel=\"{FOURTH}\"}} 1");
    assert!(gateway.page("/metrics").await.1.contains(&shown));

    let again = gateway.reload(|_| ()).await.unwrap();
    assert_eq!((again.result, again.generation), (Outcome::Unchanged, 2));
    assert_eq!(again.changed, [""; 0]);
    assert_eq!(gateway.metric("capigate_config_generation").await, 2);
    let page = gateway.page("/metrics").await.1;
    for line in ["applied\"} 1", "unchanged\"} 1", "refused\"} 0"] {
        let line = format!("capigate_config_reloads_total{{result=\"{line}");
        assert!(page.contains(&line), "{line}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_pixel_that_is_removed_stays_until_it_is_back() {
    let mut gateway = Gateway::start().await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    gateway.post(purchases("waiting", 3)).await;
    let mut removed = None;
    gateway
        .reload(|config| {
            let id = PIXEL.parse().unwrap();
            removed = config.pixels.remove(&id);
            config.sources.get_mut("shop").unwrap().pixels.remove(&id);
        })
        .await
        .unwrap();
    assert_eq!(post(&gateway, PIXEL, KEY, "late").await, UNKNOWN_PIXEL);
    gateway.sandbox.clear_faults();
    gateway
        .until("a lane that is held", async |gateway| {
            let lanes = gateway.running().lanes().snapshot();
            lanes
                .iter()
                .any(|lane| lane.reason == Some("no_token"))
                .then_some(())
        })
        .await;
    assert_eq!(gateway.running().journal().depth().records, 3);
    assert_eq!(post(&gateway, OTHER, KEY, "other").await.0, 200);
    gateway.delivered(1).await;
    gateway
        .reload(|config| {
            let id = PIXEL.parse().unwrap();
            config.pixels.insert(id, removed.take().unwrap());
            config.sources.get_mut("shop").unwrap().pixels.insert(id);
        })
        .await
        .unwrap();
    gateway.delivered(4).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_counts_at_once() {
    let mut gateway = Gateway::start().await;
    assert_eq!(post(&gateway, PIXEL, KEY, "a").await.0, 200);
    let report = gateway
        .reload(|config| {
            let shop = config.sources.get_mut("shop").unwrap();
            shop.keys = vec![KeyRef::Secret(SecretRef::Env("OTHER_KEY".to_owned()))];
        })
        .await
        .unwrap();
    assert_eq!(report.changed, ["sources.shop.keys"]);
    assert_eq!(post(&gateway, PIXEL, KEY, "b").await.0, 401);
    assert_eq!(post(&gateway, PIXEL, OTHER_KEY, "c").await.0, 200);
    gateway.delivered(2).await;
    gateway.finish().await;
}

/// As Kubernetes does: the file is a link through `..data`, which is swapped by a rename.
fn swap(dir: &Path, version: &str, token: &str) {
    std::fs::create_dir(dir.join(version)).unwrap();
    std::fs::write(dir.join(version).join("token"), token).unwrap();
    std::os::unix::fs::symlink(version, dir.join("..new")).unwrap();
    std::fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_rotated_by_a_symlink_is_taken_up_by_itself() {
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("token");
    swap(secrets.path(), "v1", "a-token-that-graph-refuses");
    std::os::unix::fs::symlink("..data/token", &file).unwrap();
    let id = PIXEL.parse().unwrap();
    let gateway = Gateway::with(|config| {
        config.reload.watch = true;
        config.pixels.get_mut(&id).unwrap().token = Some(SecretRef::File(file));
    })
    .await;
    gateway.post(purchases("rotated", 3)).await;
    gateway
        .until("a lane that is held", async |gateway| {
            let lanes = gateway.running().lanes().snapshot();
            lanes.iter().any(|lane| lane.state == "held").then_some(())
        })
        .await;
    swap(secrets.path(), "v2", "sandbox-token");
    gateway.delivered(3).await;
    // the token is in force a moment before the reload is told
    let last = gateway
        .until("the reload is told", async |gateway| {
            gateway.running().reloader().last()
        })
        .await;
    assert_eq!(
        (last.trigger, last.result),
        (Trigger::Watch, Outcome::Applied)
    );
    assert_eq!(last.changed, [format!("pixels.{PIXEL}.token")]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_or_mended_is_taken_up_by_itself() {
    let secrets = tempfile::tempdir().unwrap();
    let late = secrets.path().join("late");
    let mut gateway = Gateway::with(|config| config.reload.watch = true).await;
    let token = SecretRef::File(late.clone());
    gateway
        .config
        .pixels
        .insert(FOURTH.parse().unwrap(), pixel(token));
    let shop = gateway.config.sources.get_mut("shop").unwrap();
    shop.pixels.insert(FOURTH.parse().unwrap());
    // replaced by a rename, as editors do
    let new = gateway.config_file().with_extension("new");
    std::fs::write(&new, toml::to_string(&gateway.config).unwrap()).unwrap();
    std::fs::rename(&new, gateway.config_file()).unwrap();
    let last = gateway
        .until("a refusal", async |gateway| {
            gateway.running().reloader().last()
        })
        .await;
    assert_eq!(
        (last.trigger, last.result),
        (Trigger::Watch, Outcome::Refused)
    );
    assert_eq!(post(&gateway, FOURTH, KEY, "early").await, UNKNOWN_PIXEL);
    // the secret that was missing, in a directory that was of no interest before
    std::fs::write(&late, "sandbox-token").unwrap();
    gateway
        .until("the new pixel", async |gateway| {
            (post(gateway, FOURTH, KEY, "once").await.0 == 200).then_some(())
        })
        .await;
    assert_eq!(gateway.running().reloader().generation(), 2);
    gateway.delivered(1).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_faults_is_refused_with_all_of_them() {
    let mut gateway = Gateway::start().await;
    let good = std::fs::read_to_string(gateway.config_file()).unwrap();
    let bad = good.replace("max_events = 1000", "max_events = 5000")
        + "\n[pixels.4]\ntoken = { file = \"/nowhere/token\" }\n[lane]\nlinger = \"1s\"\n";
    std::fs::write(gateway.config_file(), bad).unwrap();
    let reloader = gateway.running().reloader().clone();
    let error = reloader.reload(Trigger::Admin).await.unwrap_err();
    assert_eq!(error.code(), "bad_config");
    let ReloadError::BadConfig { faults } = &error else {
        panic!("{error}");
    };
    for key in [
        "ingest.max_events",
        "lanes.max_events",
        "pixels.4.token",
        "lane",
    ] {
        let named = |fault: &String| fault.contains(&format!(": {key}"));
        assert!(faults.iter().any(named), "{key}: {faults:#?}");
    }
    assert_eq!(faults.len(), 4);
    let last = serde_json::to_value(reloader.last().unwrap()).unwrap();
    assert_eq!(last["result"], "refused");
    assert_eq!(last["trigger"], "admin");
    assert_eq!(last["error"]["code"], "bad_config");
    assert_eq!(last["generation"], 1);
    assert_eq!(post(&gateway, PIXEL, KEY, "a").await.0, 200);
    std::fs::remove_file(gateway.config_file()).unwrap();
    assert!(reloader.reload(Trigger::Admin).await.is_err());
    // the next good one is taken
    let report = gateway
        .reload(|config| config.sources.get_mut("shop").unwrap().strict = true)
        .await
        .unwrap();
    assert_eq!(report.changed, ["sources.shop.strict"]);
    gateway.delivered(1).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_key_is_refused_by_name_and_takes_the_rest_with_it() {
    let mut gateway = Gateway::start().await;
    let before = gateway.config.clone();
    let error = gateway
        .reload(|config| {
            config.journal.dir = "/elsewhere".into();
            config.listen.ingest = "127.0.0.1:1".parse().unwrap();
            config.sources.remove("shop");
        })
        .await
        .unwrap_err();
    let ReloadError::NeedsRestart { keys } = &error else {
        panic!("{error}");
    };
    assert_eq!(keys, &["journal.dir", "listen.ingest"]);
    assert!(!error.to_string().contains("elsewhere"));
    assert_eq!(post(&gateway, PIXEL, KEY, "a").await.0, 200);
    assert_eq!(gateway.running().reloader().generation(), 1);
    let back = gateway.reload(|config| *config = before).await.unwrap();
    assert_eq!(back.result, Outcome::Unchanged);
    gateway.delivered(1).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_change_and_a_rate_that_stays_is_no_free_burst() {
    let mut gateway = Gateway::with(|config| {
        let shop = config.sources.get_mut("shop").unwrap();
        shop.rate = "1/h".parse().unwrap();
        shop.burst = Some(1000);
    })
    .await;
    assert_eq!(gateway.post(purchases("burst", 1000)).await.status, 200);
    assert_eq!(gateway.post(purchases("more", 1)).await.status, 429);
    let limits = gateway.reload(|config| {
        config.ingest.max_events = 2;
        config.ingest.max_event_bytes = "1KiB".parse().unwrap();
        config.ingest.max_body = "2KiB".parse().unwrap();
        config.ingest.max_in_flight = "6KiB".parse().unwrap();
        config.sources.get_mut("shop").unwrap().strict = true;
    });
    assert_eq!(limits.await.unwrap().changed.len(), 5);
    assert_eq!(gateway.post(purchases("more", 1)).await.status, 429);
    assert_eq!(gateway.post(purchases("many", 3)).await.status, 400);
    assert_eq!(gateway.post_bytes(vec![b' '; 3000]).await.status, 413);
    let other = gateway.reload(|config| {
        config.sources.get_mut("shop").unwrap().rate = "100/s".parse().unwrap();
    });
    assert_eq!(other.await.unwrap().changed, ["sources.shop.rate"]);
    assert_eq!(gateway.post(purchases("more", 1)).await.status, 200);
    gateway.delivered(1001).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_go_on_with_other_settings() {
    let mut gateway = Gateway::start().await;
    gateway.post(purchases("together", 5)).await;
    gateway.delivered(5).await;
    assert_eq!(gateway.sandbox.totals().batches_accepted, 1);
    let report = gateway.reload(|config| config.lanes.max_events = 1).await;
    assert_eq!(report.unwrap().changed, ["lanes.max_events"]);
    gateway.post(purchases("alone", 5)).await;
    gateway.delivered(10).await;
    assert_eq!(gateway.sandbox.totals().batches_accepted, 6);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_code_that_is_taken_out_goes_with_no_event_from_then_on() {
    let id = PIXEL.parse().unwrap();
    let mut gateway = Gateway::with(|config| {
        config.pixels.get_mut(&id).unwrap().test_event_code = Some("TEST77".to_owned());
    })
    .await;
    gateway.post(purchases("rehearsal", 2)).await;
    gateway.delivered(2).await;
    assert_eq!(gateway.sandbox.test_events("TEST77").len(), 2);
    let report = gateway
        .reload(|config| config.pixels.get_mut(&id).unwrap().test_event_code = None)
        .await;
    let key = format!("pixels.{PIXEL}.test_event_code");
    assert_eq!(report.unwrap().changed, [key]);
    gateway.post(purchases("real", 3)).await;
    gateway.delivered(5).await;
    assert_eq!(gateway.sandbox.test_events("TEST77").len(), 2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_reloads_under_load_lose_nothing() {
    let mut gateway = Gateway::start().await;
    let (done, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (done, sent, http) = (Arc::clone(&done), Arc::clone(&sent), gateway.http.clone());
        let url = gateway.url(&format!("/v26.0/{PIXEL}/events"));
        writers.spawn(async move {
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                round += 1;
                let body = json!({"data": purchases(&format!("w{writer}-{round}"), 2)});
                let request = http.post(&url).bearer_auth(KEY).json(&body);
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
                sent.fetch_add(2, Ordering::Relaxed);
            }
        });
    }
    for round in 0..50 {
        let token = SecretRef::Env(["FIRST_TOKEN", "SECOND_TOKEN"][round % 2].to_owned());
        let before = sent.load(Ordering::Relaxed);
        let report = gateway
            .reload(|config| {
                config.sources.get_mut("shop").unwrap().strict = round % 2 == 0;
                config.pixels.insert(FOREIGN.parse().unwrap(), pixel(token));
                config.ingest.max_in_flight = format!("{}MiB", 100 + round).parse().unwrap();
            })
            .await
            .unwrap();
        assert_eq!(report.result, Outcome::Applied);
        gateway
            .until("load between two reloads", async |_| {
                (sent.load(Ordering::Relaxed) > before).then_some(())
            })
            .await;
    }
    done.store(true, Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert_eq!(gateway.running().reloader().generation(), 51);
    let sent = sent.load(Ordering::Relaxed) as u64;
    gateway.delivered(sent).await;
    gateway.drained().await;
    assert_eq!(gateway.sandbox.totals().events_distinct, sent);
    gateway.finish().await;
}
