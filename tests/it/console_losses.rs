//! The overview is not green while events are lost: refused by Meta, refused at the door, or of a pixel
//! that was taken out of the configuration.

use capigate::sandbox::Fault;
use serde_json::{Value, json};

use crate::console::{self, ADMIN, Browser, VIEW};
use crate::console_numbers::{ask, bare, row};
use crate::harness::{Gateway, OTHER, PIXEL, purchase, purchases};

/// Says that somebody knows of every issue of a pixel.
async fn acknowledge(gateway: &Gateway, pixel: &str) {
    let page = ask(gateway, &format!("/issues?pixel={pixel}")).await;
    let admin = gateway.running().admin_addr();
    for issue in page["issues"].as_array().unwrap() {
        let id = issue["id"].as_str().unwrap();
        let url = format!("http://{admin}/issues/{id}/acknowledge");
        let request = gateway.http.post(url).bearer_auth(ADMIN).json(&json!({}));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
}

/// The overview once its row of a pixel has this rank.
async fn ranked(gateway: &Gateway, pixel: &str, rank: &str) -> Value {
    gateway
        .until("another rank", async |gateway| {
            let overview = ask(gateway, "/overview").await;
            (row(&overview, pixel)["rank"] == rank).then_some(overview)
        })
        .await
}

fn said(overview: &Value) -> &str {
    overview["says"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_whose_events_meta_refuses_is_red_until_somebody_knows() {
    let gateway = Gateway::with(console::keyed).await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    for at in 0..6 {
        let refused = Fault::refuse_event(&format!("lost-{at}"), Some(2_804_009));
        gateway.sandbox.add_fault(refused.forever());
    }
    let events = (0..6).map(|at| purchase(&format!("lost-{at}"))).collect();
    assert_eq!(gateway.post(events).await.status, 200);
    let lost = "6 dead letters to look at, and Meta has taken nothing in the last hour";
    let overview = gateway
        .until("six dead letters", async |gateway| {
            let overview = ask(gateway, "/overview").await;
            let needs = &row(&overview, PIXEL)["needs"];
            (needs[0]["says"] == lost).then_some(overview)
        })
        .await;
    assert_eq!(overview["rank"], "needs_person");
    assert_eq!(
        said(&overview),
        format!("1 pixel needs you: {PIXEL} ({lost}).")
    );
    let own = row(&overview, PIXEL);
    assert_eq!(own["needs"][0]["code"], "dead");
    assert_eq!(own["last_24_hours"]["dead"], 6);
    assert_eq!(own["issues"], json!({"open": 1, "known": 0}));
    let page = browser.get("/console").await.text;
    for part in [
        "<tr class=\"bad\">".to_owned(),
        format!("<a href=\"/console/dead?pixel={PIXEL}\" aria-label=\"Dead: 6\">6</a>"),
        format!("<a href=\"/console/issues?pixel={PIXEL}\" aria-label=\"Open issues: 1\">1</a>"),
    ] {
        assert!(page.contains(&part), "{part}: {page}");
    }
    // nothing of what ended was delivered
    assert!(bare(&page).contains("6 100 % 0 0 %"), "{}", bare(&page));
    for link in [
        format!("/console/dead?pixel={PIXEL}"),
        format!("/console/issues?pixel={PIXEL}"),
        format!("/console/pixels?pixel={PIXEL}"),
    ] {
        assert_eq!(browser.get(&link).await.status, 200, "{link}");
    }

    acknowledge(&gateway, PIXEL).await;
    let overview = ranked(&gateway, PIXEL, "watch").await;
    assert_eq!(overview["needing"], 0);
    assert_eq!(overview["rank"], "watch");
    assert_eq!(
        row(&overview, PIXEL)["needs"][0]["says"],
        "6 dead letters, which somebody knows of"
    );
    assert_eq!(
        row(&overview, PIXEL)["issues"],
        json!({"open": 0, "known": 1})
    );
    let page = browser.get("/console").await.text;
    assert!(!page.contains("<tr class=\"bad\">"), "{page}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_of_which_all_is_refused_at_the_door_is_red_and_one_of_which_some_is_to_be_watched()
{
    let gateway = Gateway::with(console::keyed).await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    let bad = || json!({"event_name": "Lead"});
    let body = json!({"data": (0..6).map(|_| bad()).collect::<Vec<_>>()});
    assert_eq!(gateway.post_body(OTHER, &body).await.status, 400);
    assert_eq!(
        gateway.post(vec![purchase("good"), bad()]).await.status,
        200
    );
    gateway.delivered(1).await;
    let overview = ranked(&gateway, OTHER, "needs_person").await;
    let all = "6 of 6 events of the last hour refused at the door";
    assert_eq!(
        said(&overview),
        format!("1 pixel needs you: {OTHER} ({all}).")
    );
    assert_eq!(overview["rows"][0]["needs"][0]["code"], "refused");
    let some = row(&overview, PIXEL);
    assert_eq!(some["rank"], "watch");
    assert_eq!(
        some["needs"][0]["says"],
        "1 of 2 events of the last hour refused at the door"
    );
    let page = browser.get("/console").await.text;
    let link = format!("/console/stopped?pixel={OTHER}&amp;stage=refused&amp;window=24h");
    assert!(
        page.contains(&format!(
            "<a href=\"{link}\" aria-label=\"Refused: 6\">6</a>"
        )),
        "{page}"
    );
    let list = browser.get(&link.replace("&amp;", "&")).await;
    assert!(bare(&list.text).contains("All 6 events"), "{}", list.text);
    acknowledge(&gateway, OTHER).await;
    let overview = ranked(&gateway, OTHER, "watch").await;
    assert_eq!(
        row(&overview, OTHER)["needs"][0]["says"],
        format!("{all}, which somebody knows of")
    );
    assert!(said(&overview).starts_with("Nothing needs you"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_that_is_taken_out_while_events_wait_is_named_until_it_is_back() {
    let mut gateway = Gateway::with(console::keyed).await;
    let browser = Browser::signed_in(&gateway, ADMIN).await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    assert_eq!(gateway.post(purchases("waits", 7)).await.status, 200);
    gateway
        .until("events that wait", async |gateway| {
            let overview = ask(gateway, "/overview").await;
            (row(&overview, PIXEL)["waiting"] == 7).then_some(())
        })
        .await;
    let mut removed = None;
    let report = gateway
        .reload(|config| {
            let id = PIXEL.parse().unwrap();
            removed = config.pixels.remove(&id);
            config.sources.get_mut("shop").unwrap().pixels.remove(&id);
        })
        .await
        .unwrap();
    let warning = format!(
        "pixels.{PIXEL} is gone, and 7 events of it wait on disk: put pixels.{PIXEL} back, or they expire"
    );
    assert_eq!(report.warnings, std::slice::from_ref(&warning));
    let config = ask(&gateway, "/config").await;
    assert_eq!(config["last"]["warnings"], json!([warning]));

    let overview = ask(&gateway, "/overview").await;
    assert_eq!(overview["rank"], "needs_person");
    assert_eq!(
        said(&overview),
        format!("1 pixel needs you: {PIXEL} (not in the configuration, and 7 events wait).")
    );
    let own = row(&overview, PIXEL);
    assert_eq!(own["configured"], false);
    assert_eq!(own["waiting"], 7);
    let needs = own["needs"].as_array().unwrap();
    assert_eq!(
        (needs.len(), &needs[0]["code"]),
        (1, &json!("not_configured"))
    );
    let next = needs[0]["next"].as_str().unwrap();
    let back = format!(
        "put pixels.{PIXEL} back into the configuration, or the first of them expires at 2"
    );
    assert!(next.starts_with(&back), "{next}");
    let page = browser.get("/console").await.text;
    assert!(bare(&page).contains("not configured"), "{page}");
    assert!(bare(&page).contains(&back), "{page}");
    let found = ask(&gateway, &format!("/overview?search={PIXEL}")).await;
    assert_eq!(found["pixels"], 1);
    gateway.sandbox.clear_faults();
    let holds = gateway
        .until("a hold", async |gateway| {
            let page = ask(gateway, "/holds").await;
            let holds = page["holds"].as_array().unwrap().clone();
            let own = holds.into_iter().find(|hold| hold["cause"] == "no_token");
            own.map(|hold| hold["advice"].as_str().unwrap().to_owned())
        })
        .await;
    assert!(holds.contains("put pixels.<id> back"), "{holds}");

    let report = gateway
        .reload(|config| {
            let id = PIXEL.parse().unwrap();
            config.pixels.insert(id, removed.take().unwrap());
            config.sources.get_mut("shop").unwrap().pixels.insert(id);
        })
        .await
        .unwrap();
    assert_eq!(report.warnings, [""; 0]);
    gateway.delivered(7).await;
    let overview = ranked(&gateway, PIXEL, "ok").await;
    assert_eq!(row(&overview, PIXEL)["configured"], true);
    gateway.finish().await;
}
