//! Whether cost grows no faster than what there is to do: many pixels, and many events waiting.
//!
//! A real process takes events over HTTP as in `ingest`, while a simulated Graph refuses all of
//! them, and then delivers them. Processor time is that of the gateway's process, user and
//! system. Client and simulated Graph share this machine's cores, so rates are lower bounds. Lanes
//! have the default paces and limits, but where a line says otherwise; for waiting events to be
//! tried soon after Graph is back, the backoff is short.
//!
//! - *pixels*: single events, all for one pixel, and spread over 200 of 1,000; 8,000 a second, and
//!   as many as are answered. Spread, batches are smaller: events wait at most the 200 ms of
//!   `lanes.linger` for others of their pixel.
//! - *backlog*: the price of an event with few and with many that wait already, taken and delivered;
//!   memory and disk; then the gateway is killed and started again on what it has.
//! - *drain*: how fast what waits is delivered to a Graph that takes 150 ms for a batch.
//!
//! Each part ends by comparing what Graph has taken with what was accepted: the number of events, and
//! the sum of the numbers they bear.
//!
//! `cargo bench --bench scale` takes about two minutes, `-- --part NAME` runs one part, `-- --test`
//! runs everything once with few events.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

mod load;

use std::path::Path;
use std::time::{Duration, Instant};

use load::client::{self, Template};
use load::process::{Options, Server, pixel};
use load::{EVENT, KEY, median};

const FREE: &str = "rate = \"10000/s\"\nrate_per_pixel = \"10000/s\"\n";
const SOON: &str = "[lanes]\nbackoff_min = \"200ms\"\nbackoff_max = \"300ms\"\n";
/// What Graph takes for a batch.
const DELAY: Duration = Duration::from_millis(150);
/// Longer than `journal.settle_sync`.
const NOTED: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 64;
/// Requests at once, and events in each, when many events are to wait.
const FILLERS: usize = 4;
const REQUEST: usize = 1000;
/// Pixels whose events wait in `backlog`.
const WAITING_PIXELS: usize = 20;
const MIB: f64 = 1_048_576.0;

#[derive(Clone, Copy)]
struct Plan {
    is_test: bool,
    pixels: usize,
    active_pixels: usize,
    rounds: usize,
    time: Duration,
    /// Single events a second.
    rate: f64,
    /// How many events wait, and how often that is repeated.
    levels: [(usize, usize); 3],
    /// Events of one pixel that are drained.
    drained: usize,
}

const PLAN: Plan = Plan {
    is_test: false,
    pixels: 1000,
    active_pixels: 200,
    rounds: 3,
    time: Duration::from_secs(3),
    rate: 8000.0,
    levels: [(10_000, 10), (100_000, 2), (1_000_000, 1)],
    drained: 120_000,
};

const TEST: Plan = Plan {
    is_test: true,
    pixels: 10,
    active_pixels: 5,
    rounds: 1,
    time: Duration::from_millis(100),
    rate: 200.0,
    levels: [(1000, 1), (2000, 2), (4000, 1)],
    drained: 2000,
};

fn main() {
    load::serve::if_asked();
    let plan = if load::once() { TEST } else { PLAN };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let is_wanted = |part| load::is_wanted(part, &["pixels", "backlog", "drain"]);
    if is_wanted("pixels") {
        runtime.block_on(pixels(plan));
    }
    if is_wanted("backlog") {
        runtime.block_on(backlog(plan));
    }
    if is_wanted("drain") {
        runtime.block_on(drain(plan));
    }
    if plan.is_test {
        println!("ran once with few events: the figures mean nothing");
    }
}

fn paths(pixels: usize) -> Vec<String> {
    let path = |number| format!("/v26.0/{}/events", pixel(number));
    (0..pixels).map(path).collect()
}

fn micros(cpu: Duration, events: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / events as f64
}

/// Waits until all that was sent is delivered, each event once.
async fn delivered(graph: &Server, template: &Template) {
    let (events, sum) = template.sent();
    graph.received_at_least(events).await;
    let taken = graph.taken().await;
    assert_eq!((taken.events, taken.sum), (events, sum), "each event once");
}

/// Processor time of an event when the events of many pixels come mixed.
async fn pixels(plan: Plan) {
    println!(
        "pixels: single events, {CONNECTIONS} connections, Graph takes {DELAY:?}, {} rounds of {:?}, medians",
        plan.rounds, plan.time
    );
    let one = (1, 1);
    let many = (plan.pixels, plan.active_pixels);
    // a saturated gateway has more to send than the default rates let pass
    let cases = [(one, true), (many, true), (one, false), (many, false)];
    let mut rounds = vec![Vec::new(); cases.len()];
    for _ in 0..plan.rounds {
        for ((pixels, is_offered), rounds) in cases.iter().zip(&mut rounds) {
            rounds.push(mixed(*pixels, *is_offered, plan).await);
        }
    }
    let mut of_one = f64::NAN;
    for (((configured, active), is_offered), rounds) in cases.iter().zip(rounds) {
        let of = |what: fn(&Mixed) -> f64| median(rounds.iter().map(what).collect());
        let cpu = of(|round| round.cpu_micros);
        if *active == 1 {
            of_one = cpu;
        }
        println!(
            "  {configured:>4} pixels, {active:>3} active, {:<24}: {cpu:6.2} us of CPU an event ({:.2} times one pixel), {:6.0} events/s, {:4.0} events a batch",
            if *is_offered {
                "offered at a fixed rate"
            } else {
                "saturated, free rates"
            },
            cpu / of_one,
            of(|round| round.rate),
            of(|round| round.batch),
        );
    }
}

/// What one round of `pixels` came to.
#[derive(Clone, Copy)]
struct Mixed {
    cpu_micros: f64,
    /// Events a second.
    rate: f64,
    /// Events a batch.
    batch: f64,
}

async fn mixed((configured, active): (usize, usize), is_offered: bool, plan: Plan) -> Mixed {
    let graph = Server::own("graph", DELAY, None);
    let free = format!("[lanes]\n{FREE}");
    let options = Options {
        config: if is_offered { "" } else { &free },
        more_pixels: configured - 1,
        ..Options::default()
    };
    let gateway = Server::gateway(&graph.addr, options);
    let template = Template::over(&gateway.addr, paths(active), KEY, EVENT, 1);
    let load = async |time| {
        if is_offered {
            client::open(&gateway.addr, &template, CONNECTIONS, time, plan.rate).await
        } else {
            client::closed(&gateway.addr, &template, CONNECTIONS, time).await
        }
    };
    load(plan.time / 6).await;
    delivered(&graph, &template).await;
    let (before, taken) = (gateway.cpu(), graph.taken().await);
    let answered = load(plan.time).await;
    delivered(&graph, &template).await;
    let cpu = gateway.cpu().saturating_sub(before);
    let now = graph.taken().await;
    Mixed {
        cpu_micros: micros(cpu, answered.requests),
        rate: answered.requests as f64 / answered.took.as_secs_f64(),
        batch: answered.requests as f64 / (now.batches - taken.batches) as f64,
    }
}

/// What an event costs at one number of waiting events.
struct Level {
    waiting: usize,
    append: f64,
    drain: f64,
    batch: f64,
}

/// Processor time of an event by how many wait, and all that a million is about.
async fn backlog(plan: Plan) {
    println!(
        "backlog: {WAITING_PIXELS} pixels, {REQUEST} events a request while Graph is down, then drained at {DELAY:?} a batch"
    );
    let mut levels = Vec::new();
    for (waiting, rounds) in plan.levels {
        let dir = tempfile::tempdir().unwrap();
        let graph = Server::own("graph", DELAY, None);
        let options = Options {
            config: SOON,
            dir: Some(dir.path()),
            more_pixels: WAITING_PIXELS - 1,
            ..Options::default()
        };
        let gateway = Server::gateway(&graph.addr, options);
        let paths = paths(WAITING_PIXELS);
        let template = Template::over(&gateway.addr, paths, KEY, EVENT, REQUEST);
        // connections and buffers are there, tables are warm
        client::count(
            &gateway.addr,
            &template,
            FILLERS,
            2 * WAITING_PIXELS.min(waiting / 100),
        )
        .await;
        delivered(&graph, &template).await;
        let (mut append, mut drain) = (Duration::ZERO, Duration::ZERO);
        let before = graph.taken().await;
        let is_last = waiting == plan.levels[2].0;
        for _ in 0..rounds {
            graph.set_down(true).await;
            let cpu = gateway.cpu_of_threads();
            let idle = gateway.memory().0;
            let started = Instant::now();
            client::count(&gateway.addr, &template, FILLERS, waiting / REQUEST).await;
            let took = started.elapsed();
            let filled = gateway.cpu_of_threads();
            append += filled.saturating_sub(cpu);
            if is_last {
                let (now, peak) = gateway.memory();
                println!(
                    "  {waiting} events wait: accepted at {:.0} events/s; memory {idle:.0} MiB before, {now:.0} MiB now, {peak:.0} MiB at most; {:.0} MiB on disk",
                    waiting as f64 / took.as_secs_f64(),
                    disk_mib(dir.path()),
                );
                break;
            }
            graph.set_down(false).await;
            delivered(&graph, &template).await;
            drain += gateway.cpu_of_threads().saturating_sub(filled);
        }
        let mut after = graph.taken().await;
        if is_last {
            // what was delivered must be noted on disk, or it is delivered again
            tokio::time::sleep(NOTED).await;
            drop(gateway);
            drain = again(dir.path(), &graph, &template).await;
            after = graph.taken().await;
        }
        let events = (waiting * rounds) as u64;
        levels.push(Level {
            waiting,
            append: micros(append, events),
            drain: micros(drain, events),
            batch: events as f64 / (after.batches - before.batches) as f64,
        });
    }
    let least = &levels[0];
    for level in &levels {
        println!(
            "  {:>7} waiting: taken at {:5.2} us of CPU an event ({:.2} times), delivered at {:5.2} us ({:.2} times), {:.0} events a batch",
            level.waiting,
            level.append,
            level.append / least.append,
            level.drain,
            level.drain / least.drain,
            level.batch,
        );
    }
}

/// Starts a gateway on what another has left behind, and lets it drain; gives the processor time that
/// took.
async fn again(dir: &Path, graph: &Server, template: &Template) -> Duration {
    let before = graph.taken().await;
    graph.set_down(false).await;
    let options = Options {
        config: SOON,
        dir: Some(dir),
        more_pixels: WAITING_PIXELS - 1,
        ..Options::default()
    };
    let gateway = Server::gateway(&graph.addr, options);
    let ready = gateway.started.elapsed();
    let start = gateway.cpu_of_threads();
    let idle = gateway.memory().1;
    graph.received_at_least(before.events + 1).await;
    let (first, since) = (gateway.started.elapsed(), Instant::now());
    let at_first = graph.taken().await;
    delivered(graph, template).await;
    let rate =
        (graph.taken().await.events - at_first.events) as f64 / since.elapsed().as_secs_f64();
    println!(
        "  killed and started again: ready after {:.2} s and {:.2} s of CPU, at {idle:.0} MiB; first batch taken after {:.2} s ({DELAY:?} of it Graph's)",
        ready.as_secs_f64(),
        start.as_secs_f64(),
        first.as_secs_f64(),
    );
    println!(
        "  drained at {rate:.0} events/s, {:.0} MiB at most",
        gateway.memory().1,
    );
    gateway.cpu_of_threads().saturating_sub(start)
}

fn disk_mib(dir: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let bytes = |entry: std::io::Result<std::fs::DirEntry>| {
        let metadata = entry.ok()?.metadata().ok()?;
        Some(metadata.blocks() * 512)
    };
    let all: u64 = std::fs::read_dir(dir).unwrap().filter_map(bytes).sum();
    all as f64 / MIB
}

/// The rate at which what waits is delivered.
async fn drain(plan: Plan) {
    println!("drain: Graph takes {DELAY:?} a batch, default limits in flight");
    let free = format!("{SOON}{FREE}");
    for (pixels, config, events) in [
        (1, SOON, plan.drained),
        (1, &free, plan.drained),
        (WAITING_PIXELS, &free, plan.drained * 2),
    ] {
        let graph = Server::own("graph", DELAY, None);
        let options = Options {
            config,
            more_pixels: pixels - 1,
            ..Options::default()
        };
        let gateway = Server::gateway(&graph.addr, options);
        graph.set_down(true).await;
        let template = Template::over(&gateway.addr, paths(pixels), KEY, EVENT, REQUEST);
        client::count(&gateway.addr, &template, FILLERS, events / REQUEST).await;
        graph.set_down(false).await;
        graph.received_at_least(1).await;
        let (first, since) = (graph.taken().await, Instant::now());
        delivered(&graph, &template).await;
        let all = graph.taken().await;
        println!(
            "  {pixels:>2} pixels, {} rates: {:.0} events/s, {:.0} events a batch",
            if config == SOON { "default" } else { "free" },
            (all.events - first.events) as f64 / since.elapsed().as_secs_f64(),
            all.events as f64 / all.batches as f64,
        );
    }
}
