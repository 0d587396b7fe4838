//! The whole gateway over loopback: a real process takes events over HTTP, makes them durable, and
//! delivers them to a simulated Graph. Prints the gateway's own CPU time for each event, from the
//! request to the delivery, and throughput.
//!
//! Side by side in the same run, as the floor: the same requests posted straight to the simulated
//! Graph, which parses them and answers from memory. Client and simulated Graph share this
//! machine's cores with the gateway, so throughput is a lower bound.
//!
//! `cargo bench --bench ingest` takes about half a minute, `-- --test` runs everything once.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use capigate::sandbox::{Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;

const PIXEL: &str = "1234567890123456";
const KEY: &str = "bench-key";
const TOKEN: &str = "bench-token";
/// A purchase of about 1.1 KB with eight values to hash.
const EVENT: &str = include_str!("event.json");
const ROUNDS: usize = 3;

/// A gateway process; killed when dropped.
struct Gateway {
    child: Child,
    ingest: String,
    _dir: tempfile::TempDir,
}

impl Gateway {
    fn start(graph: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("capigate.toml");
        let text = format!(
            "[listen]\ningest = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [journal]\ndir = \"{}\"\n\
             [lanes]\nrate = \"10000/s\"\nrate_per_pixel = \"10000/s\"\n\
             [graph]\nurl = \"{graph}\"\n[telemetry]\nlog_format = \"json\"\nlog_level = \"warn,capigate::app=info\"\n\
             [pixels.{PIXEL}]\ntoken = {{ env = \"BENCH_TOKEN\" }}\n\
             [sources.bench]\nkeys = [{{ env = \"BENCH_KEY\" }}]\npixels = [\"{PIXEL}\"]\nrate = \"1000000/s\"\n",
            dir.path().join("journal").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_capigate"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .env("BENCH_TOKEN", TOKEN)
            .env("BENCH_KEY", KEY)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let ingest = loop {
            line.clear();
            assert!(
                lines.read_line(&mut line).unwrap() > 0,
                "the gateway did not start"
            );
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(addr) = entry["listen.ingest"].as_str() {
                break format!("http://{addr}");
            }
        };
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self {
            child,
            ingest,
            _dir: dir,
        }
    }

    /// User and system time of the process so far, to 10 ms.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Posts `body` from `clients` connections for `time`; the requests answered with success.
async fn load(url: &str, key: &str, body: &Arc<Vec<u8>>, clients: usize, time: Duration) -> u64 {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let (done, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (http, url, key, body) = (
            http.clone(),
            url.to_owned(),
            key.to_owned(),
            Arc::clone(body),
        );
        let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
        tasks.spawn(async move {
            loop {
                let request = http
                    .post(&url)
                    .bearer_auth(&key)
                    .header("content-type", "application/json");
                let answer = request.body(body.as_ref().clone()).send().await.unwrap();
                let status = answer.status();
                let text = answer.bytes().await.unwrap();
                assert!(
                    status.is_success(),
                    "{status} {}",
                    String::from_utf8_lossy(&text)
                );
                answered.fetch_add(1, Ordering::Relaxed);
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
    }
    tokio::time::sleep(time).await;
    done.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    answered.load(Ordering::Relaxed)
}

fn body(events: usize) -> Arc<Vec<u8>> {
    let now = Clock::Real.now().secs();
    let mut event: serde_json::Value = serde_json::from_str(EVENT).unwrap();
    event["event_time"] = now.into();
    let event = event.to_string();
    Arc::new(format!("{{\"data\":[{}]}}", vec![event; events].join(",")).into_bytes())
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let once = has("--test") || !has("--bench");
    let (rounds, time) = if once {
        (1, Duration::ZERO)
    } else {
        (ROUNDS, Duration::from_secs(2))
    };
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("bench", TOKEN)],
        light: true,
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    for (events, clients) in [(1, 64), (10, 32), (200, 8)] {
        let body = body(events);
        let gateway = Gateway::start(&sandbox.url());
        let path = format!("/v26.0/{PIXEL}/events");
        let mut ratios = Vec::new();
        let (mut count, mut cpu, mut wall) = (0, Duration::ZERO, Duration::ZERO);
        for _ in 0..rounds {
            sandbox.clear_ledger();
            let (cpu_before, started) = (gateway.cpu(), Instant::now());
            let answered = load(
                &format!("{}{path}", gateway.ingest),
                KEY,
                &body,
                clients,
                time,
            )
            .await;
            let took = started.elapsed();
            let sent = answered * events as u64;
            let delivered = sandbox.accepted_at_least(sent);
            tokio::time::timeout(Duration::from_mins(1), delivered)
                .await
                .unwrap();
            count += sent;
            cpu += gateway.cpu().saturating_sub(cpu_before);
            wall += took;
            let started = Instant::now();
            let direct = load(
                &format!("{}{path}", sandbox.url()),
                TOKEN,
                &body,
                clients,
                time,
            )
            .await;
            let direct = direct as f64 / started.elapsed().as_secs_f64();
            ratios.push(answered as f64 / took.as_secs_f64() / direct);
        }
        if once {
            println!("{events} events a request: ran once, {count} delivered");
            continue;
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{events:>4} events a request, {clients} connections: {:6.1} us of CPU an event from request to delivery, {:.0} events/s, {:.2} of posting straight to the simulated Graph",
            cpu.as_secs_f64() * 1e6 / count as f64,
            count as f64 / wall.as_secs_f64(),
            ratios[ratios.len() / 2],
        );
    }
    sandbox.stop().await;
}
