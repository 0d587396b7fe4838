//! A day of arrears: a million events over 20 pixels are accepted while Graph is down, and then
//! drained. Prints the memory of the gateway process, the sizes of the batches, CPU time for each
//! event, disk against what lives on it, and the rate as a ratio to what a bare loop reaches that
//! posts ready-made batches of the same size to the same simulated Graph, before and after.
//!
//! Then one pixel is held at a low rate beside a busy one, and the disk is looked at again: it is
//! to stay within twice the live bytes and two segments.
//!
//! `cargo bench --bench arrears` takes about two minutes, `-- --test` runs a tiny version.
//! `ARREARS_EVENTS` is how many events wait.
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

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use capigate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use support::{Process, Site, sum};

const PIXELS: usize = 20;
/// Events in a request of a client.
const REQUEST: usize = 500;
/// Events in a batch to Graph.
const BATCH: usize = 1000;
const CLIENTS: usize = 4;
/// Requests at once of the bare loop; the gateway has as many batches in flight.
const IN_FLIGHT: usize = 16;
const MIB: f64 = 1_048_576.0;

struct Rig {
    site: Site,
    process: Process,
    http: reqwest::Client,
    segment: u64,
    /// How far the disk was above twice the live bytes and two segments, at most.
    worst_excess: i64,
    peak_memory: u64,
    peak_disk: u64,
}

/// What the gateway says of its journal.
struct Look {
    records: u64,
    live: u64,
    disk: u64,
}

fn pixel(n: usize) -> String {
    (1_000_000_000_000_000 + n).to_string()
}

impl Rig {
    fn start(graph: String, segment_mib: u64) -> Self {
        let mut site = Site::new(graph);
        let pixels: Vec<String> = (0..PIXELS).map(pixel).collect();
        let mut text = format!(
            "[listen]\ningest = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [journal]\ndir = \"{}\"\nsegment_bytes = \"{segment_mib}MiB\"\n\
             [lanes]\nmax_in_flight_batches = {IN_FLIGHT}\nrate = \"10000/s\"\nrate_per_pixel = \"10000/s\"\n\
             backoff_max = \"2s\"\nprobe_interval = \"1s\"\n\
             [graph]\nurl = \"{}\"\n[telemetry]\nlog_format = \"json\"\n[shutdown]\ngrace = \"0s\"\n\
             [sources.bench]\nkeys = [{{ env = \"TEST_KEY\" }}]\npixels = {pixels:?}\nrate = \"1000000/s\"\n",
            site.journal().display(),
            site.graph,
        );
        for pixel in &pixels {
            let pixel = format!("[pixels.{pixel}]\ntoken = {{ env = \"TEST_TOKEN\" }}\n");
            text.push_str(&pixel);
        }
        site.whole = Some(text);
        let process = site.start(None, "error,capigate::app=info").unwrap();
        Self {
            process,
            site,
            http: client(),
            segment: segment_mib << 20,
            worst_excess: i64::MIN,
            peak_memory: 0,
            peak_disk: 0,
        }
    }

    /// Looks at journal, disk and memory, and remembers the worst.
    async fn look(&mut self) -> Look {
        let url = format!("{}/metrics", self.process.admin);
        let page = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let look = Look {
            records: sum(&page, "capigate_journal_records"),
            live: sum(&page, "capigate_journal_bytes"),
            disk: sum(&page, "capigate_journal_disk_bytes"),
        };
        let allowed = 2 * look.live + 2 * self.segment;
        self.worst_excess = self.worst_excess.max(look.disk as i64 - allowed as i64);
        self.peak_disk = self.peak_disk.max(look.disk);
        self.peak_memory = self.peak_memory.max(self.process.memory());
        look
    }

    fn excess(&self) -> String {
        if self.worst_excess <= 0 {
            "never beyond twice the live bytes and two segments".to_owned()
        } else {
            let segments = self.worst_excess as f64 / self.segment as f64;
            format!("at most {segments:.1} segments beyond twice the live bytes and two segments")
        }
    }

    /// Posts `count` events over all pixels.
    async fn accept(&self, count: usize) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (next, http, key) = (Arc::clone(&next), self.http.clone(), self.site.key.clone());
            let urls: Vec<String> = (0..PIXELS)
                .map(|n| self.process.events_url_of(&pixel(n)))
                .collect();
            clients.spawn(async move {
                loop {
                    let first = next.fetch_add(REQUEST, Ordering::Relaxed);
                    if first >= count {
                        return;
                    }
                    let body = body(first, REQUEST.min(count - first), raw);
                    post(&http, &urls[first / REQUEST % PIXELS], &key, body).await;
                }
            });
        }
        clients.join_all().await;
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap()
}

async fn post(http: &reqwest::Client, url: &str, key: &str, body: String) {
    let request = http
        .post(url)
        .bearer_auth(key)
        .header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status} {text}");
}

/// An event as a client sends it.
fn raw(n: usize, time: i64) -> String {
    event(n, time, "someone@shop.example", "+1 650 555 1212")
}

/// An event as it goes to Graph.
fn hashed(n: usize, time: i64) -> String {
    let digest = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
    event(n, time, digest, digest)
}

fn event(n: usize, time: i64, email: &str, phone: &str) -> String {
    format!(
        r#"{{"event_name":"Purchase","event_time":{time},"event_id":"order-{n}","action_source":"website","event_source_url":"https://shop.example/checkout/thank-you","user_data":{{"em":["{email}"],"ph":["{phone}"],"client_ip_address":"2001:db8::7334","client_user_agent":"Mozilla/5.0 (X11; Linux x86_64)","fbp":"fb.1.1795255200668.1116446470"}},"custom_data":{{"value":129.9,"currency":"USD","order_id":"{n}","content_ids":["sku-1","sku-2"],"num_items":2}}}}"#
    )
}

fn body(first: usize, count: usize, event: fn(usize, i64) -> String) -> String {
    let now = Clock::Real.now().secs();
    let events: Vec<String> = (first..first + count).map(|n| event(n, now)).collect();
    format!(r#"{{"data":[{}]}}"#, events.join(","))
}

async fn graph(listen: SocketAddr) -> Sandbox {
    let settings = SandboxSettings {
        listen,
        tokens: vec![SandboxToken::new("bench", "sandbox-token")],
        light: true,
        ..SandboxSettings::default()
    };
    Sandbox::start(settings, Clock::Real).await.unwrap()
}

/// Events a second that a bare loop of requests gets accepted.
async fn bare(sandbox: &Sandbox, batches: usize) -> f64 {
    sandbox.clear_ledger();
    let bodies: Vec<String> = (0..batches)
        .map(|n| body((n + 1) * 10_000_000, BATCH, hashed))
        .collect();
    let bodies = Arc::new(std::sync::Mutex::new(bodies));
    let http = client();
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..IN_FLIGHT {
        let (bodies, http) = (Arc::clone(&bodies), http.clone());
        let url = format!("{}/v26.0/{}/events", sandbox.url(), pixel(task));
        tasks.spawn(async move {
            loop {
                let Some(body) = bodies.lock().unwrap().pop() else {
                    return;
                };
                post(&http, &url, "sandbox-token", body).await;
            }
        });
    }
    tasks.join_all().await;
    (batches * BATCH) as f64 / started.elapsed().as_secs_f64()
}

fn micros(cpu: Duration, events: usize) -> f64 {
    cpu.as_secs_f64() * 1e6 / events as f64
}

async fn arrears(count: usize, bare_batches: usize) {
    // an address where nobody listens yet
    let addr = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut rig = Rig::start(format!("http://{addr}"), 64);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let idle = rig.process.memory();
    let (cpu, started) = (rig.process.cpu(), Instant::now());
    rig.accept(count).await;
    let accepting = (rig.process.cpu().saturating_sub(cpu), started.elapsed());
    println!(
        "accepted {count} events in {:.1} s while Graph is down: {:.0} events/s, {:.1} us of CPU an event",
        accepting.1.as_secs_f64(),
        count as f64 / accepting.1.as_secs_f64(),
        micros(accepting.0, count),
    );
    let before = {
        let sandbox = graph("127.0.0.1:0".parse().unwrap()).await;
        bare(&sandbox, bare_batches).await
    };
    let look = rig.look().await;
    let waiting = rig.process.memory();
    println!(
        "disk {:.0} MiB for {:.0} MiB of {} waiting events",
        look.disk as f64 / MIB,
        look.live as f64 / MIB,
        look.records
    );
    assert_eq!(look.records, count as u64);

    let sandbox = graph(addr).await;
    sandbox.accepted_at_least(1).await;
    let (cpu, started) = (rig.process.cpu(), Instant::now());
    rig.peak_memory = 0;
    loop {
        let look = rig.look().await;
        if look.records == 0 {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_mins(2),
            "not drained: {} are left",
            look.records
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (took, cpu) = (started.elapsed(), rig.process.cpu().saturating_sub(cpu));
    let ledger = sandbox.ledger();
    assert_eq!(
        ledger.totals.events_distinct, count as u64,
        "delivered is what was accepted"
    );
    let full = ledger
        .batches
        .iter()
        .filter(|batch| batch.size == BATCH)
        .count();
    let rate = count as f64 / took.as_secs_f64();
    let after = bare(&sandbox, bare_batches).await;
    println!(
        "drained in {:.1} s: {rate:.0} events/s, {:.2} of a bare loop of ready-made batches, {:.1} us of CPU an event",
        took.as_secs_f64(),
        rate / f64::midpoint(before, after),
        micros(cpu, count),
    );
    println!(
        "{} batches, {:.1} % of them full ({BATCH} events); {} repeated events",
        ledger.batches.len(),
        full as f64 * 100.0 / ledger.batches.len() as f64,
        ledger.totals.events_accepted - ledger.totals.events_distinct,
    );
    println!(
        "memory: idle {:.0} MiB, with all waiting {:.0} MiB, peak while draining {:.0} MiB; {:.1} bytes a waiting event",
        idle as f64 / MIB,
        waiting as f64 / MIB,
        rig.peak_memory as f64 / MIB,
        waiting.saturating_sub(idle) as f64 / count as f64,
    );
    println!("disk while draining: {}", rig.excess());
    assert_eq!(rig.process.terminate(), 0);
}

/// One pixel that is held takes an event a second, beside one that takes 5,000: the ruling case.
async fn held_beside_busy(time: Duration) {
    const SEGMENT_MIB: u64 = 16;
    let sandbox = graph("127.0.0.1:0".parse().unwrap()).await;
    let held: Fault = serde_json::from_value(serde_json::json!({
        "do": "status", "status": 403, "code": 200, "pixel": pixel(0), "times": "forever"
    }))
    .unwrap();
    sandbox.add_fault(held);
    let mut rig = Rig::start(sandbox.url(), SEGMENT_MIB);
    let ends = Instant::now() + time;
    let mut clients = tokio::task::JoinSet::new();
    for (n, every) in [(0, Duration::from_secs(1)), (1, Duration::from_millis(100))] {
        let (http, key) = (rig.http.clone(), rig.site.key.clone());
        let url = rig.process.events_url_of(&pixel(n));
        let (first, count) = (n * 100_000_000, if n == 0 { 1 } else { REQUEST });
        clients.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            for sent in (first..).step_by(count) {
                ticks.tick().await;
                if Instant::now() >= ends {
                    return;
                }
                post(&http, &url, &key, body(sent, count, raw)).await;
            }
        });
    }
    while Instant::now() < ends {
        rig.look().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    clients.join_all().await;
    let (under_load, peak) = (rig.excess(), rig.peak_disk);
    // the token is shared, and only the pixel is to be held
    assert!(
        sandbox.totals().events_accepted > 0,
        "the busy pixel is held, too"
    );
    // and once the busy one is quiet
    tokio::time::sleep(Duration::from_secs(4).min(time * 4)).await;
    rig.worst_excess = i64::MIN;
    let look = rig.look().await;
    println!(
        "one pixel held at 1 event/s beside one at 5000, segments of {SEGMENT_MIB} MiB, {} s: disk {:.0} MiB at most, {under_load}; once it is quiet {:.0} MiB, {}",
        time.as_secs(),
        peak as f64 / MIB,
        look.disk as f64 / MIB,
        rig.excess(),
    );
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let once = has("--test") || !has("--bench");
    let count = std::env::var("ARREARS_EVENTS")
        .ok()
        .and_then(|count| count.parse().ok());
    let (count, bare_batches, time) = if once {
        (count.unwrap_or(3000), 2, Duration::from_millis(500))
    } else {
        (count.unwrap_or(1_000_000), 150, Duration::from_secs(30))
    };
    arrears(count, bare_batches).await;
    held_beside_busy(time).await;
}
