//! Whether trouble of some pixels reaches another: one pixel is held, one is throttled, one has
//! 10 % poison events, and beside them one is healthy. Measured is the healthy one's time from the
//! read 200 to Graph's answer, exactly and for each event, and its ratio to its value alone.
//!
//! Each phase has a gateway process of its own on an empty journal, so that no backlog of the one
//! reaches the other; alone and together take turns. Every pixel is sent the same 200 events a
//! second, at fixed times whatever the answers, which leaves both cores mostly idle: what shows is
//! what pixels share by design. The real process is measured, and client and simulated Graph share
//! the machine with it, alone as together. `linger` is 20 ms instead of 200, to hide less.
//!
//! `cargo bench --bench isolation` takes about a minute, `-- --test` runs everything once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

#[expect(dead_code, reason = "shared with the tests")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::time::Duration;

use capigate::pixel::PixelId;
use capigate::sandbox::{Action, Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use support::{Process, Site, sum};
use tokio::time::{Instant, MissedTickBehavior};

const HEALTHY: &str = "1000000000000001";
const HELD: &str = "1000000000000002";
const THROTTLED: &str = "1000000000000003";
const POISONED: &str = "1000000000000004";
const PIXELS: [&str; 4] = [HEALTHY, HELD, THROTTLED, POISONED];
/// Between two requests for one pixel.
const EVERY: Duration = Duration::from_millis(10);
/// Events in a request.
const EVENTS: usize = 2;
/// Until each pixel is in its state, and not measured.
const WARM_UP: Duration = Duration::from_secs(1);
const ROUNDS: usize = 7;

/// The times of the healthy pixel's events in one phase, in milliseconds, in order.
struct Times(Vec<f64>);

impl Times {
    fn at(&self, part: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[(last as f64 * part).round() as usize]
    }
}

fn config(site: &Site) -> String {
    let mut text = format!(
        "[listen]\ningest = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
         [journal]\ndir = \"{}\"\nsegment_bytes = \"8MiB\"\n\
         [lanes]\nlinger = \"20ms\"\nbackoff_min = \"50ms\"\nbackoff_max = \"1s\"\nprobe_interval = \"1s\"\n\
         [graph]\nurl = \"{}\"\n[telemetry]\nlog_format = \"json\"\n[shutdown]\ngrace = \"0s\"\n\
         [sources.bench]\nkeys = [{{ env = \"TEST_KEY\" }}]\npixels = {PIXELS:?}\nrate = \"1000000/s\"\n",
        site.journal().display(),
        site.graph,
    );
    for pixel in PIXELS {
        let pixel = format!("[pixels.{pixel}]\ntoken = {{ env = \"TOKEN_{pixel}\" }}\n");
        text.push_str(&pixel);
    }
    text
}

fn faults() -> Vec<Fault> {
    let on = |fault: Fault, pixel: &str| fault.on(pixel.parse::<PixelId>().unwrap()).forever();
    vec![
        on(Fault::from(Action::BadToken { subcode: Some(463) }), HELD),
        on(Fault::throttle(80_004), THROTTLED),
        on(Fault::refuse_event("poison-*", Some(2_804_050)), POISONED),
    ]
}

fn body(ids: &[String]) -> String {
    let now = Clock::Real.now().secs();
    let event = |id: &String| {
        serde_json::json!({
            "event_name": "Purchase", "event_time": now, "event_id": id, "action_source": "website",
            "event_source_url": "https://shop.example/thanks",
            "user_data": {"em": format!("{id}@shop.example"), "ph": "+1 650 555 1212", "client_user_agent": "bench"},
            "custom_data": {"value": 12.5, "currency": "EUR", "order_id": id}
        })
    };
    serde_json::json!({ "data": ids.iter().map(event).collect::<Vec<_>>() }).to_string()
}

/// Posts for one pixel at fixed times until `ends`; for each event of a request that began after
/// `counts`, when its 200 was read, in Unix milliseconds.
async fn load(
    http: reqwest::Client,
    url: String,
    key: String,
    prefix: impl Fn(usize) -> &'static str,
    counts: Instant,
    ends: Instant,
) -> HashMap<String, f64> {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = tokio::task::JoinSet::new();
    let mut next = 0;
    loop {
        let now = ticks.tick().await;
        if now >= ends {
            break;
        }
        let ids: Vec<String> = (next..next + EVENTS)
            .map(|n| format!("{}{n}", prefix(n)))
            .collect();
        next += EVENTS;
        let request = http
            .post(&url)
            .bearer_auth(&key)
            .header("content-type", "application/json");
        requests.spawn(async move {
            let answer = request.body(body(&ids)).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap();
            let at = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap();
            (ids, at.as_secs_f64() * 1000.0, now >= counts)
        });
    }
    let mut accepted = HashMap::new();
    for (ids, at, is_counted) in requests.join_all().await {
        if is_counted {
            accepted.extend(ids.into_iter().map(|id| (id, at)));
        }
    }
    accepted
}

async fn phase(together: bool, time: Duration) -> Times {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: PIXELS
            .map(|pixel| SandboxToken::new(pixel, format!("token-{pixel}")))
            .into(),
        faults: faults(),
        latency: Duration::from_millis(5),
        light: true,
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    site.vars = PIXELS
        .map(|pixel| (format!("TOKEN_{pixel}"), format!("token-{pixel}")))
        .into();
    site.whole = Some(config(&site));
    // at `info` a line is written for each batch; a bench of delivery wants the writing of none
    let process = site.start(None, "error,capigate::app=info").unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let counts = Instant::now() + WARM_UP.min(time);
    let ends = counts + time;
    let load = |pixel: &str, prefix: fn(usize) -> &'static str| {
        let url = process.events_url_of(pixel);
        tokio::spawn(load(
            http.clone(),
            url,
            site.key.clone(),
            prefix,
            counts,
            ends,
        ))
    };
    let mut others = Vec::new();
    if together {
        others.push(load(HELD, |_| "held-"));
        others.push(load(THROTTLED, |_| "throttled-"));
        others.push(load(POISONED, |n| {
            if n % 10 == 3 { "poison-" } else { "good-" }
        }));
    }
    let accepted = load(HEALTHY, |_| "healthy-").await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    let times = wait_for(&sandbox, &accepted).await;
    if together {
        check(&process, &http).await;
    }
    times
}

/// Whether the troubles were there.
async fn check(process: &Process, http: &reqwest::Client) {
    let page = http
        .get(format!("{}/metrics", process.admin))
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    let of = |pixel: &str, outcome: &str| {
        sum(
            &page,
            &format!("capigate_batches_total{{outcome=\"{outcome}\",pixel=\"{pixel}\"}}"),
        )
    };
    assert!(of(HELD, "held") > 0, "the held pixel is not held");
    assert!(
        of(THROTTLED, "throttled") > 0,
        "the throttled pixel is not throttled"
    );
    assert!(
        of(POISONED, "split") > 0,
        "the poisoned pixel meets no poison"
    );
}

async fn wait_for(sandbox: &Sandbox, accepted: &HashMap<String, f64>) -> Times {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let ledger = sandbox.ledger();
        let told: HashMap<u64, f64> = ledger
            .batches
            .iter()
            .filter_map(|batch| Some((batch.number, batch.told_ms? as f64)))
            .collect();
        let mut times: Vec<f64> = ledger
            .events
            .iter()
            .filter_map(|event| {
                let since = accepted.get(event.event_id.as_deref()?)?;
                Some((told.get(event.batches.first()?)? - since).max(0.0))
            })
            .collect();
        if times.len() == accepted.len() {
            times.sort_by(f64::total_cmp);
            return Times(times);
        }
        assert!(
            Instant::now() < deadline,
            "the healthy pixel is not delivered"
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let once = has("--test") || !has("--bench");
    let (rounds, time) = if once {
        (1, Duration::from_millis(500))
    } else {
        (ROUNDS, Duration::from_secs(3))
    };
    let mut pairs = Vec::new();
    for round in 0..rounds {
        // the one that goes first takes turns, too
        let first = phase(round % 2 == 1, time).await;
        let second = phase(round % 2 == 0, time).await;
        pairs.push(if round % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        });
    }
    let ratio = |part: f64| {
        median(
            pairs
                .iter()
                .map(|(alone, both)| both.at(part) / alone.at(part))
                .collect(),
        )
    };
    let alone = |part: f64| median(pairs.iter().map(|(alone, _)| alone.at(part)).collect());
    let together = |part: f64| median(pairs.iter().map(|(_, both)| both.at(part)).collect());
    if once {
        println!("isolation: ran once, {} events", pairs[0].1.0.len());
        return;
    }
    println!(
        "alone p50 {:.0} ms, p99 {:.0} ms; together p50 {:.0} ms, p99 {:.0} ms; {} events a phase, {rounds} rounds",
        alone(0.5),
        alone(0.99),
        together(0.5),
        together(0.99),
        pairs[0].0.0.len(),
    );
    println!(
        "healthy p99 together/alone = {:.2} (p50 {:.2})",
        ratio(0.99),
        ratio(0.5)
    );
}
