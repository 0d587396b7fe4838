//! The pages of numbers: they say what has happened, and the admin API says the same.

use capigate::config::Config;
use capigate::config::duplicates::Covers;
use capigate::sandbox::{Action, Fault};
use serde_json::{Value, json};

use crate::console::{self, ADMIN, Browser, VIEW};
use crate::harness::{Gateway, OTHER, PIXEL, purchase};

/// With keys, and no event sent twice.
fn keyed(config: &mut Config) {
    console::keyed(config);
    config.duplicates.events = Covers::All;
}

/// What the admin API answers.
pub(crate) async fn ask(gateway: &Gateway, path: &str) -> Value {
    let admin = gateway.running().admin_addr();
    let request = gateway.http.get(format!("http://{admin}{path}"));
    let response = request.bearer_auth(VIEW).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

pub(crate) fn row<'v>(overview: &'v Value, pixel: &str) -> &'v Value {
    let rows = overview["rows"].as_array().unwrap();
    rows.iter().find(|row| row["pixel"] == pixel).unwrap()
}

/// Two good events, one of them twice, and one without a time.
async fn some_traffic(gateway: &Gateway) {
    let mut without_id = purchase("b");
    without_id.as_object_mut().unwrap().remove("event_id");
    let bad = json!({"event_name": "Lead"});
    let call = vec![purchase("a"), without_id, bad];
    assert_eq!(gateway.post(call).await.status, 200);
    assert_eq!(gateway.post(vec![purchase("a")]).await.status, 200);
    gateway.delivered(2).await;
    gateway
        .until("the counts of what was delivered", async |gateway| {
            let overview = ask(gateway, "/overview").await;
            let delivered = &row(&overview, PIXEL)["last_5_minutes"]["delivered"];
            (delivered == 2).then_some(())
        })
        .await;
}

/// The text of a page without its tags.
pub(crate) fn bare(html: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for c in html.chars() {
        match c {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            c if !is_tag => text.push(c),
            _ => {}
        }
    }
    let text = text.replace("&#39;", "'");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_says_what_came_and_who_needs_somebody() {
    let mut gateway = Gateway::with(|config| {
        keyed(config);
        let own = config.pixels.get_mut(&PIXEL.parse().unwrap()).unwrap();
        own.name = Some("Shop <b>".to_owned());
    })
    .await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    let seen = browser.get("/console").await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert!(
        bare(&seen.text).contains("All is well with 3 pixels."),
        "{}",
        seen.text
    );
    some_traffic(&gateway).await;
    let overview = ask(&gateway, "/overview").await;
    let counts = json!({
        "received": 4, "refused": 1, "filtered": 0, "duplicates": 1, "accepted": 2,
        "coded": 0, "delivered": 2, "dead": 0,
    });
    assert_eq!(row(&overview, PIXEL)["last_5_minutes"], counts);
    assert_eq!(row(&overview, PIXEL)["last_24_hours"], counts);
    assert_eq!(row(&overview, OTHER)["last_24_hours"]["received"], 0);
    let seen = browser.get("/console").await;
    assert!(seen.text.contains("Shop &#60;b&#62;"), "{}", seen.text);
    assert!(seen.text.contains("<svg class=\"spark\""), "{}", seen.text);
    let text = bare(&seen.text);
    assert!(
        text.contains("2 50 % 2 100 % 2 50 % 2 100 % 1 1 in 5 min 0 1 0"),
        "{text}"
    );
    assert!(text.contains("no events yet"), "{text}");

    // a token that is refused: its pixels come first, in red
    let bad_token = Fault::from(Action::BadToken { subcode: None });
    let bad_token = bad_token.on(OTHER.parse().unwrap()).forever();
    gateway.sandbox.add_fault(bad_token);
    let body = json!({"data": [purchase("c")]});
    assert_eq!(gateway.post_body(OTHER, &body).await.status, 200);
    let overview = gateway
        .until("a held lane", async |gateway| {
            let overview = ask(gateway, "/overview").await;
            (overview["needing"] != 0).then_some(overview)
        })
        .await;
    assert_eq!(overview["rank"], "needs_person");
    let first = &overview["rows"][0];
    assert_eq!(
        (&first["pixel"], &first["lane"]["state"]),
        (&json!(OTHER), &json!("held"))
    );
    assert_eq!(first["waiting"], 1);
    let said = overview["says"].as_str().unwrap();
    assert!(
        said.starts_with(&format!("1 pixel needs you: {OTHER} (held: ")),
        "{said}"
    );
    let seen = browser.get("/console").await;
    assert!(bare(&seen.text).contains(said), "{}", seen.text);
    assert_eq!(seen.text.matches("<tr class=\"bad\">").count(), 1);
    let next = first["needs"][0]["next"].as_str().unwrap();
    assert!(
        seen.text.contains(&next.replace('\'', "&#39;")),
        "{}",
        seen.text
    );
    let found = bare(&browser.get("/console?search=sHoP").await.text);
    assert!(
        found.contains("1 pixel.") && found.contains("Shop"),
        "{found}"
    );
    assert!(!found.contains(&format!("{OTHER} needs")), "{found}");
    let none = browser.get("/console?search=nothing").await;
    assert!(none.text.contains("Show all"), "{}", none.text);
    let stream = browser.first_of("/console/overview/stream?page=1").await;
    assert!(
        stream.starts_with("retry: 500\nevent: page\ndata: \""),
        "{stream}"
    );
    assert!(stream.contains("1 pixel needs you"), "{stream}");
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_funnel_adds_up_and_its_numbers_lead_on() {
    let gateway = Gateway::with(keyed).await;
    let browser = Browser::signed_in(&gateway, ADMIN).await;
    let seen = browser.get("/console/funnel").await;
    assert!(seen.text.contains("Nothing of that came"), "{}", seen.text);
    gateway
        .sandbox
        .add_fault(Fault::refuse_event("dies", Some(2_804_009)).forever());
    some_traffic(&gateway).await;
    assert_eq!(gateway.post(vec![purchase("dies")]).await.status, 200);
    let funnel = gateway
        .until("a dead letter", async |gateway| {
            let funnel = ask(gateway, &format!("/funnel?pixel={PIXEL}")).await;
            (funnel["dead"] == 1).then_some(funnel)
        })
        .await;
    for (name, number) in [
        ("received", 5),
        ("refused", 1),
        ("filtered", 0),
        ("duplicates", 1),
        ("accepted", 3),
        ("delivered", 2),
    ] {
        assert_eq!(funnel[name], number, "{name}: {funnel}");
    }
    assert_eq!(funnel["refused_by"].as_object().unwrap().len(), 1);
    assert_eq!(funnel["dead_by"], json!({"refused": 1}));
    assert_eq!(funnel["sources"], json!(["shop"]));
    assert_eq!(funnel["event_names"], json!(["Lead", "Purchase"]));
    let seen = browser.get(&format!("/console/funnel?pixel={PIXEL}")).await;
    let text = bare(&seen.text);
    for said in [
        "Received 5 100 %",
        "Refused at the door 1 20 %",
        "Duplicates 1 20 %",
        "Accepted 3 60 %",
        "Dead 1",
        "Delivered 2 40 %",
        "Purchase shop 4 0 0 1 3",
        "Lead shop 1 1 0 0 0",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    for link in [
        format!("/console/dead?pixel={PIXEL}&#38;newer_than="),
        format!("/console/dead?pixel={PIXEL}&#38;reason=refused&#38;newer_than="),
        format!("/console/pixels?pixel={PIXEL}\""),
        format!("/console/stopped?pixel={PIXEL}&#38;window=1440m&#38;stage=duplicate\""),
        format!("/console/issues?pixel={PIXEL}&#38;code="),
    ] {
        assert!(
            seen.text.contains(&format!("href=\"{link}")),
            "{link}: {}",
            seen.text
        );
    }
    let of =
        async |query: &str| ask(&gateway, &format!("/funnel?{query}")).await["received"].clone();
    assert_eq!(of("source=shop&event_name=Lead&window=1h").await, 1);
    assert_eq!(of("source=nobody").await, 0);
    assert_eq!(of(&format!("pixel={OTHER}")).await, 0);
    // an empty field of the form is no choice
    let seen = browser
        .get("/console/funnel?pixel=&source=shop&event_name=&window=6h")
        .await;
    assert_eq!(seen.status, 200);
    assert!(
        bare(&seen.text).contains("is of every source"),
        "{}",
        seen.text
    );
    // no number that would be of more than was chosen
    for stage in ["Waiting –", "Retrying –", "Held –", "Dead –", "Delivered –"] {
        assert!(bare(&seen.text).contains(stage), "{stage}: {}", seen.text);
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quality_says_which_key_to_send_next() {
    let gateway = Gateway::with(keyed).await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    some_traffic(&gateway).await;
    let quality = ask(&gateway, "/quality").await;
    assert_eq!(
        (&quality["events"], &quality["with_event_id"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(quality["duplicates"], 1);
    assert_eq!(quality["match_keys"]["em"], 3);
    let missing = quality["missing"]["says"].as_str().unwrap();
    assert_eq!(quality["rows"].as_array().unwrap().len(), 1);
    let seen = browser.get("/console/quality?event_name=Purchase").await;
    let text = bare(&seen.text);
    assert!(text.contains(missing), "{missing}: {text}");
    assert!(text.contains("Purchase shop 3 100 %"), "{text}");
    assert!(text.contains("Without event_id 1 33.3 %"), "{text}");
    let seen = browser.get("/console/quality?pixel=7").await;
    assert_eq!(seen.status, 404);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pixel_the_console_leads_to_the_first() {
    let gateway = Gateway::with(|config| {
        keyed(config);
        config.pixels.clear();
        config.sources.clear();
    })
    .await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    let seen = browser.get("/console").await;
    assert_eq!((seen.status, seen.goes_to()), (303, "/console/first"));
    gateway.finish().await;
}

/// Every address of this beginning that a page links to.
fn links(html: &str, to: &str) -> Vec<String> {
    let parts = html.split("href=\"").skip(1);
    let links = parts.filter_map(|part| Some(part.split_once('"')?.0.replace("&#38;", "&")));
    links.filter(|link| link.starts_with(to)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_number_of_what_stopped_opens_its_list() {
    let gateway = Gateway::with(|config| {
        keyed(config);
        let own = config.pixels.get_mut(&PIXEL.parse().unwrap()).unwrap();
        own.policy.block_events.insert("Search".to_owned());
    })
    .await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    some_traffic(&gateway).await;
    let mut blocked = purchase("kept-back");
    blocked["event_name"] = "Search".into();
    let mut odd = purchase("o\u{202e}dd");
    odd["event_name"] = "Buy\u{202e}\u{1b}[2J".into();
    odd["event_time"] = 1.into();
    let call = vec![blocked, odd, purchase("late")];
    assert_eq!(gateway.post(call).await.status, 200);

    let funnel = ask(&gateway, "/funnel").await;
    for (stage, number, of) in [
        ("refused", 2, "refused"),
        ("filtered", 1, "filtered"),
        ("duplicate", 1, "duplicates"),
    ] {
        let list = ask(&gateway, &format!("/stopped?stage={stage}")).await;
        assert_eq!(funnel[of], number, "{funnel}");
        assert_eq!(
            (&list["counted"], &list["kept"]),
            (&funnel[of], &funnel[of])
        );
        assert_eq!(list["rows"].as_array().unwrap().len(), number);
        for row in list["rows"].as_array().unwrap() {
            assert_eq!(
                (&row["stage"], &row["source"]),
                (&json!(stage), &json!("shop"))
            );
        }
    }
    let list = ask(&gateway, "/stopped?event_name=Search").await;
    let row = &list["rows"][0];
    assert_eq!(row["event_id"], "kept-back");
    assert_eq!(row["cause"], "block_events");
    assert_eq!(list["causes"], json!(["block_events"]));
    assert_eq!(ask(&gateway, "/stopped?cause=consent").await["counted"], 0);
    assert_eq!(ask(&gateway, "/stopped?limit=1").await["more"], true);

    // the page has a link for each number, and behind it are as many as it says
    let seen = browser.get("/console/funnel").await;
    let all = links(&seen.text, "/console/stopped?");
    // three stages, four causes, and four cells of the rows
    assert!(all.len() >= 10, "{all:?}");
    for link in all {
        let query = link.split_once('?').unwrap().1;
        let list = ask(&gateway, &format!("/stopped?{query}")).await;
        assert!(list["kept"].as_u64().unwrap() > 0, "{link}: {list}");
        assert_eq!(list["kept"], list["counted"], "{link}");
        let page = browser.get(&link).await;
        assert_eq!(page.status, 200, "{link}");
        let rows = list["rows"].as_array().unwrap().len();
        assert_eq!(page.text.matches("<tr><td><time").count(), rows, "{link}");
        let events = match list["kept"].as_u64().unwrap() {
            1 => "All 1 event ,".to_owned(),
            many => format!("All {many} events ,"),
        };
        assert!(
            bare(&page.text).contains(&events),
            "{events}: {}",
            page.text
        );
    }
    // nothing hides in a name
    let page = browser.get("/console/stopped?stage=refused").await;
    assert!(!page.text.contains(['\u{202e}', '\u{1b}']), "{}", page.text);
    assert!(
        page.text.contains(r"Buy\u{202e}\u{1b}[2J</th>"),
        "{}",
        page.text
    );
    assert!(page.text.contains(r">o\u{202e}dd</a>"), "{}", page.text);
    let receipt = links(&page.text, "/console/receipt?event_id=o%E2%80%AEdd");
    assert_eq!(receipt.len(), 1, "{}", page.text);
    let seen = browser.get("/console/funnel").await;
    assert!(!seen.text.contains('\u{202e}'), "{}", seen.text);

    // what is no word is refused, with the field and what to do
    for (path, says) in [
        ("/stopped?stage=lost", "send refused, filtered or duplicate"),
        ("/stopped?cause=nonsense", "that the funnel counts"),
        ("/stopped?until=tomorrow", "send a time in UTC"),
        ("/stopped?until=2020-01-01T00:00Z", "send a time in UTC"),
        ("/funnel?window=25h", "24h is the most"),
        ("/funnel?nonsense=1", "open the page again"),
        ("/dead?reason=lost", "expected one of expired, refused"),
    ] {
        let page = browser.get(&format!("/console{path}")).await;
        assert_eq!(page.status, 400, "{path}");
        assert!(page.text.contains(says), "{path}: {}", page.text);
        assert!(
            !page.text.contains("GET /") && !page.text.contains("openapi"),
            "{path}"
        );
    }
    let admin = gateway.running().admin_addr();
    let request = gateway.http.get(format!("http://{admin}/dead?reason=lost"));
    let answer = request.bearer_auth(VIEW).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["message"], "reason is not usable");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_chosen_by_quarters_of_an_hour() {
    let gateway = Gateway::with(keyed).await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    some_traffic(&gateway).await;
    let of = async |query: &str| ask(&gateway, &format!("/funnel?{query}")).await;
    let funnel = of("window=15m").await;
    assert_eq!(
        (&funnel["received"], &funnel["window_seconds"]),
        (&json!(4), &json!(900))
    );
    assert!(
        funnel["until"].as_i64() >= funnel["since"].as_i64(),
        "{funnel}"
    );
    // an hour that had ended before anything came
    let now = jiff::Timestamp::now();
    let before = now.as_second() - 3600;
    let before = jiff::Timestamp::from_second(before).unwrap().to_string();
    let funnel = of(&format!("window=1h&until={before}")).await;
    assert_eq!(funnel["received"], 0, "{funnel}");
    // as the form sends it
    let local = &before[..16];
    let seen = browser
        .get(&format!(
            "/console/funnel?pixel=&source=&event_name=&window=15m&until={local}"
        ))
        .await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert!(
        seen.text.contains("<option value=\"15m\" selected>"),
        "{}",
        seen.text
    );
    assert!(bare(&seen.text).contains("Counted from"), "{}", seen.text);
    let seen = browser.get("/console/quality?window=15m").await;
    assert!(
        bare(&seen.text).contains("whole quarters of an hour"),
        "{}",
        seen.text
    );
    gateway.finish().await;
}
