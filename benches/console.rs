//! What the pages of the console cost that have the most to look through: processor time of a page.
//!
//! - *overview*: a real gateway with 10,000 pixels, each with a token, a lane and traffic of the day;
//!   the first page of the Overview, a later one, and a search; and the same as JSON. Processor time is
//!   that of the gateway's process, user and system, nobody else asking it for anything.
//! - *counts*: what is added to the cost of a request so that there are numbers to show.
//! - *receipts*: a search for an id among a million receipts on disk, in this process.
//!
//! `cargo bench --bench console` takes about a minute, `-- --part NAME` runs one part, `-- --test`
//! runs everything once with little.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

mod load;

use std::sync::Arc;
use std::time::Duration;

use capigate::event::{EncodedEvent, RawEvent, Rules};
use capigate::journal::segment::disk::RealDisk;
use capigate::pixel::PixelId;
use capigate::receipts::{Ending, Outcome, Receipts, Settings};
use capigate::telemetry::metrics::Metrics;
use capigate::time::{Clock, UnixMs};
use capigate::traffic::{Tally, Traffic};
use load::client::{self, Template};
use load::process::{Options, Server, pixel};
use load::{EVENT, KEY, median};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

const NOW: UnixMs = UnixMs(1_795_341_600_000);
const ADMIN_KEY: &str = "bench-admin-key";
const CONNECTIONS: usize = 16;
/// Longer than all that runs by itself at the start.
const REST: Duration = Duration::from_secs(2);

fn main() {
    load::serve::if_asked();
    let is_test = load::once();
    let is_wanted = |part| load::is_wanted(part, &["overview", "counts", "receipts"]);
    if is_wanted("overview") {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(overview(
            if is_test { 150 } else { 10_000 },
            if is_test { 1 } else { 11 },
        ));
    }
    if is_wanted("counts") {
        counts(if is_test { 1_000 } else { 1_000_000 });
    }
    if is_wanted("receipts") {
        receipts(if is_test { 2_000 } else { 1_000_000 });
    }
    if is_test {
        println!("ran once with little: the figures mean nothing");
    }
}

async fn overview(pixels: usize, rounds: usize) {
    let graph = Server::own("graph", Duration::ZERO, None);
    let digest = hex::encode(Sha256::digest(ADMIN_KEY));
    // two events a pixel are many batches for the default paces
    let config = format!(
        "[lanes]\nrate = \"10000/s\"\nrate_per_pixel = \"10000/s\"\n[admin]\nview_keys = [{{ sha256 = \"{digest}\" }}]\n"
    );
    let options = Options {
        config: &config,
        more_pixels: pixels - 1,
        ..Options::default()
    };
    let gateway = Server::gateway(&graph.addr, options);
    let paths = (0..pixels).map(|number| format!("/v26.0/{}/events", pixel(number)));
    let template = Template::over(&gateway.addr, paths.collect(), KEY, EVENT, 1);
    // two events a pixel
    client::count(&gateway.addr, &template, CONNECTIONS, pixels * 2).await;
    graph.received_at_least(pixels as u64 * 2).await;
    tokio::time::sleep(REST).await;

    let admin = gateway.admin.clone().unwrap();
    let client = reqwest::Client::builder().no_proxy();
    let client = client
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let base = format!("http://{admin}");
    let form = format!("key={ADMIN_KEY}&to=/console");
    let signed_in = client
        .post(format!("{base}/console/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let signed_in = signed_in.send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    println!(
        "overview: {pixels} pixels with a token, a lane and traffic; {rounds} rounds, median and worst"
    );
    let some = pixel(pixels / 2);
    for (what, path) in [
        ("the first page", "/console".to_owned()),
        (
            "the last page",
            format!("/console?page={}", pixels.div_ceil(100)),
        ),
        ("a search by id", format!("/console?search={some}")),
        ("the first page as JSON", "/overview".to_owned()),
    ] {
        let mut costs = Vec::new();
        let mut bytes = 0;
        for _ in 0..rounds {
            let before = gateway.cpu_of_threads();
            let page = client.get(format!("{base}{path}"));
            let page = page
                .header("cookie", &cookie)
                .header("accept", "text/html")
                .bearer_auth(ADMIN_KEY);
            let page = page.send().await.unwrap();
            assert_eq!(page.status(), 200, "{path}");
            let text = page.text().await.unwrap();
            bytes = text.len();
            assert!(path.contains("page=") || text.contains(&pixel(0)) || text.contains(&some));
            costs.push(
                gateway
                    .cpu_of_threads()
                    .saturating_sub(before)
                    .as_secs_f64()
                    * 1e3,
            );
        }
        let worst = costs.iter().copied().fold(0.0, f64::max);
        println!(
            "  {what:<24}: {:6.1} ms of CPU, {worst:6.1} at worst, {} KiB",
            median(costs),
            bytes / 1024
        );
    }
    println!("  memory of the gateway: {:.0} MiB", gateway.memory().0);
}

/// Of about 600 bytes, each with its own id.
fn event(pixel: PixelId, id: usize) -> EncodedEvent {
    let json = format!(
        r#"{{"event_name":"Purchase","event_time":1795341558,"event_id":"order-{id}",
"action_source":"website","event_source_url":"https://shop.example/checkout/thank-you",
"user_data":{{"em":["someone@shop.example"],"client_ip_address":"2001:db8::7334",
"client_user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}},"custom_data":{{"value":129.9,"currency":"USD"}}}}"#
    );
    let event = RawEvent::parse(&json).unwrap();
    let hashed = event.hash(pixel, &Rules::default(), NOW).unwrap();
    hashed.encode().unwrap()
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Requests of one event with eight match keys, over ten pixels and four names.
fn counts(requests: usize) {
    let pixels: Vec<PixelId> = (1..=10).map(|id| PixelId::from_u64(id).unwrap()).collect();
    let traffic = Traffic::new(pixels.iter().copied(), Clock::Real);
    let source: Arc<str> = "bench".into();
    let keys = [
        "em",
        "ph",
        "fn",
        "ln",
        "external_id",
        "client_ip_address",
        "client_user_agent",
        "fbp",
    ];
    let names = ["PageView", "ViewContent", "AddToCart", "Purchase"];
    let mut costs = Vec::new();
    for _ in 0..5 {
        let before = cpu();
        for (pixel, name) in pixels
            .iter()
            .cycle()
            .zip(names.iter().cycle())
            .take(requests)
        {
            let mut tally = Tally::of(Arc::clone(&source));
            tally.event(name, true, keys.iter().copied(), 2);
            traffic.taken(*pixel, tally);
        }
        costs.push((cpu() - before) * 1e9 / requests as f64);
    }
    println!(
        "counts: {:.0} ns of CPU a request of one event",
        median(costs)
    );
}

fn receipts(count: usize) {
    let (pixel, batch) = ("7".parse().unwrap(), 100);
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new().unwrap();
    let settings = Settings {
        dir: dir.path().to_owned(),
        keep: Duration::from_hours(168),
        max_bytes: 4 << 30,
        by_keys: true,
    };
    let clock = Clock::manual(NOW);
    let receipts = Receipts::open(settings, Arc::new(RealDisk), clock, &metrics);
    for first in (0..count).step_by(batch) {
        let events = (first..first + batch).map(|id| event(pixel, id).into());
        receipts.note(Ending {
            pixel,
            at: NOW,
            outcome: Outcome::Delivered {
                trace_id: Some("ABCdefGHIjklMNOpqrSTUvw".to_owned()),
                received: batch as u64,
            },
            batch_events: batch,
            events: events.collect(),
            attempts: Vec::new(),
        });
        // waits for the thread, so that the queue never overflows
        if (first / batch).is_multiple_of(20) {
            receipts.find("none", 1).unwrap();
        }
    }
    // answers after all that was noted before
    receipts.find("none", 1).unwrap();
    let kept = metrics.receipts.get();
    // by its id and by its address
    let entries = 2 * count as i64;
    let lost = metrics.receipts_lost.get();
    assert_eq!(kept, entries, "{lost} lost");
    println!(
        "receipts: {count} of them, {kept} entries, {} MiB",
        metrics.receipts_bytes.get() >> 20
    );
    for (what, id) in [
        ("the first", "order-0".to_owned()),
        ("one in the middle", format!("order-{}", count / 2)),
        ("the last", format!("order-{}", count - 1)),
        ("one that is not there", "order-x".to_owned()),
    ] {
        let mut costs = Vec::new();
        for _ in 0..11 {
            let before = cpu();
            let found = receipts.find(&id, 100).unwrap();
            costs.push((cpu() - before) * 1e3);
            assert_eq!(found.is_empty(), id == "order-x", "{id}");
        }
        let worst = costs.iter().copied().fold(0.0, f64::max);
        println!(
            "  a search for {what:<22}: {:8.3} ms of CPU, {worst:.3} at worst",
            median(costs)
        );
    }
    receipts.close(Duration::from_mins(1));
}
