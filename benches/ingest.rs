//! The whole gateway over loopback: a real process takes events over HTTP, makes them durable,
//! answers, and delivers them to a simulated Graph that counts them.
//!
//! Side by side in the same run, as the floor: a server of bare hyper that reads the same requests
//! and gives a fixed answer. For both, all processor time of the process counts, user and system; the
//! gateway's until its last event is delivered. Client and simulated Graph share this machine's
//! cores, so rates are lower bounds.
//!
//! The gateway keeps all its promises meanwhile: every event is checked, hashed, and synced to disk
//! before its answer; duplicates, receipts, metrics, traffic counts and limits are as by default,
//! but for the paces of sources and lanes, which are out of the way.
//!
//! `cargo bench --bench ingest` takes about a minute and a half, `-- --part full` (or `memory`, or
//! `latency`) runs one part of it, `-- --events 100` (or 1) one row, `-- --test` everything once.
//! `TMPDIR` says on which disk; its sync time is printed.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

mod load;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use load::client::{self, Answered, Template};
use load::process::{Options, Server};
use load::{EVENT, KEY, PIXEL, median};

/// Paces that are not in the way of a measurement.
const FREE: &str = "[lanes]\nrate = \"10000/s\"\nrate_per_pixel = \"10000/s\"\n";
const CONNECTIONS: usize = 64;
/// Where the client and the simulated Graph run while the gateway has a core of its own.
const OTHER_CORE: usize = 1;

#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    time: Duration,
    latency_time: Duration,
}

/// What one round of one server came to.
struct Round {
    cpu_micros: f64,
    rate: f64,
    answered: Answered,
    peak_mib: f64,
}

fn main() {
    load::serve::if_asked();
    let once = load::once();
    let plan = if once {
        Plan {
            rounds: 1,
            time: Duration::ZERO,
            latency_time: Duration::ZERO,
        }
    } else {
        Plan {
            rounds: 3,
            time: Duration::from_secs(4),
            latency_time: Duration::from_secs(6),
        }
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let is_wanted = |part| load::is_wanted(part, &["full", "memory", "latency"]);
    if !once {
        sync_time();
    }
    if is_wanted("full") {
        runtime.block_on(full_path(plan));
    }
    if is_wanted("memory") {
        runtime.block_on(memory(plan));
    }
    if is_wanted("latency") {
        on_core(OTHER_CORE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(latencies(plan));
    }
    if once {
        println!("ran once, nothing is measured");
    }
}

fn path() -> String {
    format!("/v26.0/{PIXEL}/events")
}

/// Processor time and rate, from the request to the delivery, beside the floor.
async fn full_path(plan: Plan) {
    println!(
        "{CONNECTIONS} connections, {} bytes an event, {} rounds of {:?}, medians",
        EVENT.len(),
        plan.rounds,
        plan.time,
    );
    let wanted = load::argument("--events");
    let is_wanted = |events: &usize| wanted.as_ref().is_none_or(|w| *w == events.to_string());
    assert!([1, 100].iter().any(is_wanted), "--events is 1 or 100");
    for events in [1, 100].into_iter().filter(is_wanted) {
        let (mut bare, mut own) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            bare.push(
                round(
                    &Server::own("bare", Duration::ZERO, None),
                    None,
                    events,
                    plan,
                )
                .await,
            );
            let graph = Server::own("graph", Duration::ZERO, None);
            let options = Options {
                config: FREE,
                ..Options::default()
            };
            let gateway = Server::gateway(&graph.addr, options);
            own.push(round(&gateway, Some(&graph), events, plan).await);
        }
        if plan.time.is_zero() {
            continue;
        }
        let of =
            |rounds: &[Round], what: fn(&Round) -> f64| median(rounds.iter().map(what).collect());
        println!("{events} events a request");
        for (name, rounds) in [("bare hyper", &bare), ("capigate", &own)] {
            println!(
                "  {name:<10} {:7.2} us of CPU an event  {:8.0} events/s  p50 {:.2}  p99 {:.2}  p99.9 {:.2} ms  {:.0} MiB",
                of(rounds, |round| round.cpu_micros),
                of(rounds, |round| round.rate),
                of(rounds, |round| round.answered.millis(0.5)),
                of(rounds, |round| round.answered.millis(0.99)),
                of(rounds, |round| round.answered.millis(0.999)),
                of(rounds, |round| round.peak_mib),
            );
        }
        let ratios = own.iter().zip(&bare);
        let ratios = ratios.map(|(own, bare)| own.cpu_micros / bare.cpu_micros);
        println!(
            "  capigate takes {:.2} times the CPU of bare hyper",
            median(ratios.collect())
        );
    }
}

/// Loads a server; with a Graph, until what was accepted is delivered.
async fn round(server: &Server, graph: Option<&Server>, events: usize, plan: Plan) -> Round {
    let template = Template::new(&server.addr, &path(), KEY, EVENT, events);
    // connections and buffers are there, tables are warm
    let warm = client::closed(&server.addr, &template, CONNECTIONS, plan.time / 8).await;
    let mut expected = warm.requests * events as u64;
    if let Some(graph) = graph {
        expected = graph.received_at_least(expected).await;
    }
    let before = server.cpu();
    let answered = client::closed(&server.addr, &template, CONNECTIONS, plan.time).await;
    let sent = answered.requests * events as u64;
    if let Some(graph) = graph {
        let received = graph.received_at_least(expected + sent).await;
        assert_eq!(received, expected + sent, "each event once");
    }
    let cpu = server.cpu().saturating_sub(before);
    Round {
        cpu_micros: cpu.as_secs_f64() * 1e6 / sent as f64,
        rate: sent as f64 / answered.took.as_secs_f64(),
        answered,
        peak_mib: server.memory().1,
    }
}

/// Memory idle, and at full load while Graph takes 150 ms for an answer.
async fn memory(plan: Plan) {
    let graph = Server::own("graph", Duration::from_millis(150), None);
    let options = Options {
        config: FREE,
        ..Options::default()
    };
    let gateway = Server::gateway(&graph.addr, options);
    tokio::time::sleep(plan.time.min(Duration::from_secs(1))).await;
    let idle = gateway.memory().0;
    for events in [1, 100] {
        let template = Template::new(&gateway.addr, &path(), KEY, EVENT, events);
        let answered = client::closed(&gateway.addr, &template, CONNECTIONS, plan.time * 2).await;
        let (now, peak) = gateway.memory();
        if plan.time.is_zero() {
            continue;
        }
        println!(
            "memory: {idle:.1} MiB idle; {events} events a request, Graph takes 150 ms: {:.0} events/s, {now:.0} MiB, {peak:.0} MiB at most so far",
            answered.requests as f64 * events as f64 / answered.took.as_secs_f64(),
        );
    }
}

/// How long answers take when the gateway has one core.
async fn latencies(plan: Plan) {
    let graph = Server::own("graph", Duration::ZERO, None);
    let options = Options {
        config: FREE,
        core: Some(0),
        ..Options::default()
    };
    let gateway = Server::gateway(&graph.addr, options);
    let template = Template::new(&gateway.addr, &path(), KEY, EVENT, 1);
    client::closed(&gateway.addr, &template, 8, plan.latency_time / 8).await;
    for (name, connections, rate) in [
        ("one connection", 1, None),
        ("2,000 events/s offered", CONNECTIONS, Some(2_000.0)),
        ("4,000 events/s offered", CONNECTIONS, Some(4_000.0)),
        ("64 connections, saturated", CONNECTIONS, None),
    ] {
        let time = plan.latency_time;
        let answered = match rate {
            None => client::closed(&gateway.addr, &template, connections, time).await,
            Some(rate) => client::open(&gateway.addr, &template, connections, time, rate).await,
        };
        if plan.latency_time.is_zero() {
            continue;
        }
        println!(
            "{name}, one core for the gateway: {:.0} events/s, durable answer p50 {:.2}  p99 {:.2}  p99.9 {:.2} ms",
            answered.requests as f64 / answered.took.as_secs_f64(),
            answered.millis(0.5),
            answered.millis(0.99),
            answered.millis(0.999),
        );
    }
}

/// Keeps this process, and those it starts without a core of their own, on one core.
fn on_core(core: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(core);
    // on a machine of one core all share it
    let _ = sched_setaffinity(None, &set);
}

/// Prints how long this disk takes to sync 4 KiB of a file that has its size already.
fn sync_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = File::create(dir.path().join("file")).unwrap();
    file.write_all_at(&vec![1; 4 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let mut times: Vec<f64> = (0..1000)
        .map(|n| {
            let started = Instant::now();
            file.write_all_at(&[2; 4096], n * 4096).unwrap();
            file.sync_data().unwrap();
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "this disk syncs 4 KiB in {:.2} ms (p50), {:.2} ms (p99)",
        times[500], times[990],
    );
}
