//! Issues over time: an event counts once however often it is tried, a restart and a crash lose no
//! issue that has events left, a redrive takes the letters of its issue, and what is mended ends.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use capigate::journal::segment::disk::RealDisk;
use capigate::sandbox::{Action, Fault};
use capigate::time::{Clock, UnixMs};
use serde_json::{Value, json};

use crate::console::{ADMIN, Browser, keyed};
use crate::harness::{Gateway, PIXEL, purchase, purchases};

async fn asked(gateway: &Gateway, path: &str) -> Value {
    let url = format!("http://{}{path}", gateway.running().admin_addr());
    let request = gateway.http.get(url).bearer_auth(ADMIN);
    request.send().await.unwrap().json().await.unwrap()
}

async fn issues(gateway: &Gateway, query: &str) -> Vec<Value> {
    let page = asked(gateway, &format!("/issues?{query}")).await;
    page["issues"].as_array().unwrap().clone()
}

/// The only issue that is wanted.
async fn the_issue(gateway: &Gateway, query: &str) -> Value {
    let all = issues(gateway, query).await;
    assert_eq!(all.len(), 1, "{query}: {all:?}");
    all.into_iter().next().unwrap()
}

/// What the metrics page says of a state; set by the survey that runs by itself, too.
async fn counted(gateway: &Gateway, state: &str) -> u64 {
    let row = format!("issues{{state=\"{state}\"}}");
    let page = gateway.page("/metrics").await.1;
    let line = page.lines().find(|line| line.contains(&row)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

async fn dead(gateway: &Gateway, letters: u64) {
    gateway
        .until("dead letters", async |gateway| {
            (gateway.metric("capigate_dead_letters").await == letters).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_event_counts_once_however_often_it_is_tried_and_the_issue_ends_with_the_hold() {
    let gateway = Gateway::with(|config| {
        keyed(config);
        config.lanes.probe_interval = "30ms".parse().unwrap();
    })
    .await;
    let bad_token = Fault::from(Action::BadToken { subcode: Some(463) });
    gateway.sandbox.add_fault(bad_token.forever());
    let mut events = purchases("held", 50);
    events[7].as_object_mut().unwrap().remove("custom_data");
    events[7]["event_name"] = json!("Lead");
    events[8]["custom_data"]["currency"] = json!("USD");
    assert_eq!(gateway.post(events).await.status, 200);
    gateway
        .until("ten tries", async |gateway| {
            (gateway.sandbox.totals().batches_refused >= 10).then_some(())
        })
        .await;
    let held = the_issue(&gateway, "").await;
    assert_eq!(
        (&held["place"], &held["word"], &held["state"]),
        (&json!("meta"), &json!("token"), &json!("open"))
    );
    assert_eq!(
        (&held["code"], &held["subcode"]),
        (&json!(190), &json!(463))
    );
    let numbers = ["events", "waiting", "letters", "valued", "last_hour"];
    let numbers = numbers.map(|name| held[name].as_u64().unwrap());
    assert_eq!(numbers, [50, 50, 0, 49, 50], "{held}");
    assert_eq!(held["money"], json!({"EUR": 600.0, "USD": 12.5}));
    assert_eq!(held["event_ids"].as_array().unwrap().len(), 10);
    assert_eq!(held["event_ids"][0], "held-49");
    assert_eq!(held["share"], 1.0);
    assert_eq!(held["redrive"], Value::Null);
    assert_eq!(asked(&gateway, "/issues").await["open"], 1);
    assert_eq!(counted(&gateway, "open").await, 1);
    let browser = Browser::signed_in(&gateway, ADMIN).await;
    let page = browser.get("/console/issues").await;
    for says in [
        "50 events wait",
        "600.00 EUR + 12.50 USD",
        "49 of 50 say what they are worth",
        "/console/receipt?event_id=held-49",
    ] {
        assert!(page.text.contains(says), "{says}: {}", page.text);
    }

    // the token is good again: nobody has to say so
    gateway.sandbox.clear_faults();
    gateway.delivered(50).await;
    let over = gateway
        .until("the end of the issue", async |gateway| {
            let one = the_issue(gateway, "").await;
            (one["state"] == "over").then_some(one)
        })
        .await;
    assert_eq!(over["id"], held["id"]);
    assert!(over["over_since"].as_i64().unwrap() >= held["first_seen"].as_i64().unwrap());
    assert_eq!((&over["events"], &over["waiting"]), (&json!(50), &json!(0)));
    assert_eq!(asked(&gateway, "/issues").await["open"], 0);
    assert_eq!(
        (
            counted(&gateway, "open").await,
            counted(&gateway, "over").await
        ),
        (0, 1)
    );
    assert_eq!(issues(&gateway, "state=over").await.len(), 1);
    assert!(issues(&gateway, "state=open").await.is_empty());
    let page = browser.get("/console/issues").await;
    assert!(page.text.contains("(over since "), "{}", page.text);

    // and is seen again
    let bad_token = Fault::from(Action::BadToken { subcode: Some(463) });
    gateway.sandbox.add_fault(bad_token.forever());
    assert_eq!(gateway.post(purchases("again", 2)).await.status, 200);
    let again = gateway
        .until("the issue again", async |gateway| {
            let one = the_issue(gateway, "").await;
            (one["state"] == "open" && one["valued"] == 2).then_some(one)
        })
        .await;
    assert_eq!(
        (&again["id"], &again["events"], &again["first_seen"]),
        (&held["id"], &json!(2), &held["first_seen"])
    );
    gateway.sandbox.clear_faults();
    gateway.delivered(52).await;
    gateway.finish().await;
}

/// Letters of two issues: one has Meta's code alone, the other a subcode, too.
async fn with_letters(gateway: &Gateway) {
    for id in ["bare-0", "bare-1", "bare-2"] {
        gateway.sandbox.add_fault(Fault::refuse_event(id, None));
    }
    for id in ["sub-0", "sub-1"] {
        let fault = Fault::refuse_event(id, Some(2_804_009));
        gateway.sandbox.add_fault(fault);
    }
    assert_eq!(gateway.post(purchases("bare", 3)).await.status, 200);
    assert_eq!(gateway.post(purchases("sub", 2)).await.status, 200);
    dead(gateway, 5).await;
    gateway.drained().await;
}

fn told(issue: &Value) -> Value {
    let names = [
        "id",
        "place",
        "word",
        "path",
        "events",
        "letters",
        "money",
        "valued",
        "first_seen",
        "last_seen",
        "redrive",
        "state",
    ];
    names.iter().map(|name| issue[*name].clone()).collect()
}

fn ids(issue: &Value) -> BTreeSet<&str> {
    let ids = issue["event_ids"].as_array().unwrap();
    ids.iter().map(|id| id.as_str().unwrap()).collect()
}

/// The files as a crash leaves them.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_of_dead_letters_are_there_after_a_restart_and_after_a_crash() {
    let mut gateway = Gateway::with(keyed).await;
    with_letters(&gateway).await;
    let before = issues(&gateway, "").await;
    assert_eq!(before.len(), 2, "{before:?}");
    let crash = tempfile::tempdir().unwrap();
    copied(&gateway.journal_dir(), &crash.path().join("journal"));
    gateway.down().await;
    for dir in [gateway.journal_dir(), crash.path().join("journal")] {
        gateway.config.journal.dir = dir;
        gateway.up().await;
        let after = gateway
            .until("the ids of the life before", async |gateway| {
                let all = issues(gateway, "").await;
                all.iter().all(|one| !ids(one).is_empty()).then_some(all)
            })
            .await;
        assert_eq!(after.len(), 2, "{after:?}");
        for one in &before {
            let same = after.iter().find(|other| other["id"] == one["id"]).unwrap();
            assert_eq!(told(same), told(one));
            assert_eq!(ids(same), ids(one));
        }
        gateway.down().await;
    }
    gateway.up().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_takes_the_letters_of_its_issue_and_no_others() {
    let gateway = Gateway::with(keyed).await;
    with_letters(&gateway).await;
    gateway.sandbox.clear_faults();
    let all = issues(&gateway, "").await;
    let bare = all
        .iter()
        .find(|one| one["subcode"] == Value::Null)
        .unwrap();
    assert_eq!(bare["letters"], 3);
    assert_eq!(
        bare["redrive"],
        json!({"pixel": PIXEL, "reason": "refused", "code": 100, "subcode": "none"})
    );
    let browser = Browser::signed_in(&gateway, ADMIN).await;
    let page = browser.get("/console/issues").await;
    assert!(page.text.contains("3 dead letters"), "{}", page.text);
    let list =
        "/console/dead?code=100&amp;pixel=1234567890123456&amp;reason=refused&amp;subcode=none";
    let list = list.replace("&amp;", "&#38;");
    assert!(page.text.contains(&list), "{}", page.text);
    let page = browser.get(&list.replace("&#38;", "&")).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.text.matches("Purchase").count(), 3, "{}", page.text);

    let redrive = format!("/console/issues/{}/redrive", bare["id"].as_str().unwrap());
    let dry = browser.post(&redrive, &[("dry_run", "true")]).await;
    assert!(dry.text.contains("Redrive 3 events"), "{}", dry.text);
    assert_eq!(browser.post(&redrive, &[]).await.status, 303);
    let page = browser.get("/console/issues").await;
    assert!(page.text.contains("On their way again: 3."));
    gateway.delivered(3).await;
    dead(&gateway, 2).await;
    let page = browser.get("/console/issues").await;
    for says in ["Was at stake: <strong>37.50 EUR", "None of them waits"] {
        assert!(page.text.contains(says), "{says}: {}", page.text);
    }
    let left = issues(&gateway, "").await;
    let of = |id: &Value| left.iter().find(|one| one["id"] == *id).unwrap();
    assert_eq!(of(&bare["id"])["letters"], 0);
    assert_eq!(of(&bare["id"])["redrive"], Value::Null);
    let other = all.iter().find(|one| one["id"] != bare["id"]).unwrap();
    assert_eq!(of(&other["id"])["letters"], 2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_over_when_an_hour_brings_others_and_none_of_its_kind() {
    let clock = Clock::manual(Clock::Real.now());
    let gateway = Gateway::with_disk(keyed, Arc::new(RealDisk), clock.clone()).await;
    let later = |span: Duration| clock.set(UnixMs(clock.now().0 + span.as_millis() as i64));
    let fault = Fault::refuse_event("bad", Some(2_804_009));
    gateway.sandbox.add_fault(fault);
    let broken = |id: &str| {
        let mut event = purchase(id);
        event["custom_data"]["currency"] = json!("none at all");
        event
    };
    gateway
        .post(vec![broken("broken"), purchase("bad"), purchase("good")])
        .await;
    dead(&gateway, 1).await;
    gateway.delivered(1).await;
    let state = async |place: &str| {
        let one = the_issue(&gateway, &format!("where={place}")).await;
        one["state"].as_str().unwrap().to_owned()
    };
    gateway.drained().await;
    // nothing came at all: nobody knows
    later(Duration::from_mins(70));
    assert_eq!(state("door").await, "open");
    // others did; the letter is still to be decided about
    assert_eq!(gateway.post(vec![purchase("more")]).await.status, 200);
    assert_eq!(state("door").await, "over");
    assert_eq!(state("meta").await, "open");
    let purge = gateway
        .http
        .post(format!(
            "http://{}/dead/purge",
            gateway.running().admin_addr()
        ))
        .bearer_auth(ADMIN)
        .json(&json!({"all": true}));
    assert_eq!(purge.send().await.unwrap().status(), 200);
    assert_eq!(state("meta").await, "over");
    // both are seen again
    assert_eq!(
        gateway
            .post(vec![broken("again"), purchase("bad")])
            .await
            .status,
        200
    );
    dead(&gateway, 1).await;
    assert_eq!(state("door").await, "open");
    assert_eq!(state("meta").await, "open");
    assert_eq!(the_issue(&gateway, "where=door").await["events"], 2);
    gateway.finish().await;
}
