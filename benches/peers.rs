//! The gateway beside what one would build or run instead, under the same load: bare hyper, which
//! reads and answers; a Node server on Meta's official SDK; Vector. Each but the first delivers to a
//! simulated Graph of its own.
//!
//! `benches/peers.sh` installs what the Node server needs and runs this. `PEERS_NODE` names the
//! directory with it, `VECTOR_BIN` the program of Vector; a peer without its variable does not run,
//! and the table says so. All processor time of a server counts, user and system, all its threads,
//! from the first request until the last event is at Graph.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench prints what it measures, and stops when something fails"
)]

mod load;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use load::client::{self, Answered, Template};
use load::process::{Options, Server};
use load::{EVENT, KEY, PIXEL, TOKEN, median};
use sha2::{Digest, Sha256};

const CONNECTIONS: usize = 64;
/// Paces that are not in the way of a measurement.
const FREE: &str = "[lanes]\nrate = \"10000/s\"\nrate_per_pixel = \"10000/s\"\n";
const VECTOR: &str = include_str!("peers/vector.yaml");
const NOTES: &str = include_str!("peers/notes.txt");
/// After so long without a further event, what is not at Graph is lost.
const GIVE_UP: Duration = Duration::from_secs(10);
/// The keys of the event whose values may not arrive as they were.
const HASHED: [&str; 8] = ["em", "ph", "fn", "ln", "ct", "st", "zp", "country"];

#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    warm: Duration,
    time: Duration,
}

enum Peer {
    Bare,
    /// The directory that `server.mjs` and its packages are in.
    Node(PathBuf),
    /// The program.
    Vector(PathBuf),
    Own,
}

/// A peer that can run, or why it cannot.
struct Row {
    name: &'static str,
    peer: Result<Peer, &'static str>,
}

/// What one round of one server came to.
struct Round {
    answered: Answered,
    events: u64,
    cpu_micros: f64,
    /// From the first request until the last event was at Graph.
    delivered_in: Duration,
    peak_mib: f64,
    lost: u64,
    twice: u64,
}

fn main() {
    load::serve::if_asked();
    let once = load::once();
    let plan = Plan {
        rounds: if once { 1 } else { 3 },
        warm: Duration::from_millis(if once { 0 } else { 1500 }),
        time: Duration::from_secs(if once { 0 } else { 3 }),
    };
    let rows = rows();
    if !once {
        print_what(&rows, plan);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for events in [1, 100] {
        runtime.block_on(table(&rows, events, plan, once));
    }
    if once {
        for row in rows {
            let what = row.peer.map_or_else(not_run, |_| "ran".to_owned());
            println!("{}: {what}", row.name);
        }
        println!("ran once, nothing is measured");
    } else {
        print!("\n{NOTES}");
    }
}

fn rows() -> [Row; 4] {
    let named = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    [
        Row {
            name: "bare hyper",
            peer: Ok(Peer::Bare),
        },
        Row {
            name: "Node, official SDK",
            peer: named("PEERS_NODE")
                .map(Peer::Node)
                .ok_or("benches/peers.sh installs it beside Node 20"),
        },
        Row {
            name: "Vector",
            peer: named("VECTOR_BIN")
                .map(Peer::Vector)
                .ok_or("VECTOR_BIN is not set"),
        },
        Row {
            name: "capigate",
            peer: Ok(Peer::Own),
        },
    ]
}

fn not_run(why: &str) -> String {
    format!("not run ({why})")
}

/// Prints what runs, and how.
fn print_what(rows: &[Row], plan: Plan) {
    println!(
        "{CONNECTIONS} keep-alive connections, {} bytes an event with {} match keys, {} cores for all; {} rounds side by side",
        EVENT.len(),
        HASHED.len(),
        std::thread::available_parallelism().unwrap(),
        plan.rounds,
    );
    println!(
        "of {:?} after {:?} to warm up, in which V8 compiles what runs often; medians",
        plan.time, plan.warm,
    );
    for row in rows {
        match &row.peer {
            Ok(Peer::Node(dir)) => println!(
                "Node {}, fastify {}, facebook-nodejs-business-sdk {}",
                version("node"),
                package(dir, "fastify"),
                package(dir, "facebook-nodejs-business-sdk"),
            ),
            Ok(Peer::Vector(program)) => println!("{}", version(program.to_str().unwrap())),
            _ => (),
        }
    }
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn package(dir: &std::path::Path, name: &str) -> String {
    let path = dir.join("node_modules").join(name).join("package.json");
    let package: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    package["version"].as_str().unwrap().to_owned()
}

/// Measures all peers in turn, round by round, and prints their part of the table.
async fn table(rows: &[Row], events: usize, plan: Plan, once: bool) {
    let mut rounds: Vec<Vec<Round>> = rows.iter().map(|_| Vec::new()).collect();
    for _ in 0..plan.rounds {
        for (row, rounds) in rows.iter().zip(&mut rounds) {
            if let Ok(peer) = &row.peer {
                rounds.push(round(peer, row.name, events, plan).await);
            }
        }
    }
    let own = rounds.last().unwrap();
    assert!(
        own.iter().all(|round| round.lost + round.twice == 0),
        "capigate delivers each event once"
    );
    if once {
        return;
    }
    println!(
        "\n{:<20} {:>10} {:>8} {:>10} {:>11} {:>8} {:>8} {:>9}  arrived",
        format!("{events} a request"),
        "CPU us/ev.",
        "ratio",
        "answered/s",
        "delivered/s",
        "p50 ms",
        "p99 ms",
        "peak MiB",
    );
    for (row, rounds) in rows.iter().zip(&rounds) {
        match &row.peer {
            Ok(peer) => print_row(row.name, peer, rounds, own),
            Err(why) => println!("{:<20} {}", row.name, not_run(why)),
        }
    }
}

fn print_row(name: &str, peer: &Peer, rounds: &[Round], own: &[Round]) {
    let of = |what: &dyn Fn(&Round) -> f64| median(rounds.iter().map(what).collect());
    let beside = rounds.iter().zip(own);
    let ratio = median(
        beside
            .map(|(round, own)| round.cpu_micros / own.cpu_micros)
            .collect(),
    );
    let (delivered, arrived) = if matches!(peer, Peer::Bare) {
        ("-".to_owned(), "it delivers nothing".to_owned())
    } else {
        let rate = of(&|round| round.events as f64 / round.delivered_in.as_secs_f64());
        let sum = |what: fn(&Round) -> u64| rounds.iter().map(what).sum::<u64>();
        let events = sum(|round| round.events);
        let (lost, twice) = (sum(|round| round.lost), sum(|round| round.twice));
        let arrived = if lost + twice == 0 {
            "each once".to_owned()
        } else {
            format!("of {events}: {lost} LOST, {twice} twice")
        };
        (format!("{rate:.0}"), arrived)
    };
    println!(
        "{name:<20} {:>10.1} {ratio:>7.2}x {:>10.0} {delivered:>11} {:>8.1} {:>8.1} {:>9.0}  {arrived}",
        of(&|round| round.cpu_micros),
        of(&|round| round.events as f64 / round.answered.took.as_secs_f64()),
        of(&|round| round.answered.millis(0.5)),
        of(&|round| round.answered.millis(0.99)),
        of(&|round| round.peak_mib),
    );
}

/// Starts a peer and loads it until all it answered for is at Graph.
async fn round(peer: &Peer, name: &str, events: usize, plan: Plan) -> Round {
    let graph = Server::own("graph", Duration::ZERO, None);
    let dir = tempfile::tempdir().unwrap();
    let server = start(peer, &graph.addr, dir.path()).await;
    let delivers = !matches!(peer, Peer::Bare);
    let path = format!("/v26.0/{PIXEL}/events");
    let template = Template::new(&server.addr, &path, KEY, EVENT, events);
    let warm = client::closed(&server.addr, &template, CONNECTIONS, plan.warm).await;
    let warm = warm.requests * events as u64;
    if delivers {
        settled(&graph, warm).await;
        check_hashed(name, &client::get(&graph.addr, "/first").await);
    }
    let (before, started) = (server.cpu(), Instant::now());
    let answered = client::closed(&server.addr, &template, CONNECTIONS, plan.time).await;
    let sent = answered.requests * events as u64;
    let (mut lost, mut twice) = (0, 0);
    let mut delivered_in = started.elapsed();
    if delivers {
        delivered_in = settled(&graph, warm + sent).await - started;
        let distinct = graph.received_distinct().await;
        lost = warm + sent - distinct;
        twice = graph.taken().await.events - distinct;
    }
    let cpu = server.cpu().saturating_sub(before);
    Round {
        answered,
        events: sent,
        cpu_micros: cpu.as_secs_f64() * 1e6 / sent as f64,
        delivered_in,
        peak_mib: server.memory().1,
        lost,
        twice,
    }
}

/// Waits until Graph has received so many events, or no more come; gives when the last one came.
async fn settled(graph: &Server, events: u64) -> Instant {
    let (mut received, mut last) = (graph.taken().await.events, Instant::now());
    while received < events && last.elapsed() < GIVE_UP {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = graph.taken().await.events;
        if now > received {
            (received, last) = (now, Instant::now());
        }
    }
    last
}

/// Stops unless the first event of a body has its match keys as SHA-256, the address as it must be.
fn check_hashed(name: &str, body: &str) {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let user = &body["data"][0]["user_data"];
    for key in HASHED {
        let values = user[key].as_array().cloned();
        let values = values.unwrap_or_else(|| vec![user[key].clone()]);
        let is_hash = |value: &serde_json::Value| {
            let text = value.as_str().unwrap_or_default();
            text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        assert!(values.iter().all(is_hash), "{name} does not hash {key}");
    }
    let expected = hex::encode(Sha256::digest("john_smith@gmail.com"));
    let em = user["em"].as_str().or_else(|| user["em"][0].as_str());
    assert_eq!(em, Some(expected.as_str()), "{name}: em");
}

async fn start(peer: &Peer, graph: &str, dir: &std::path::Path) -> Server {
    match peer {
        Peer::Bare => Server::own("bare", Duration::ZERO, None),
        Peer::Own => Server::gateway(
            graph,
            Options {
                config: FREE,
                ..Options::default()
            },
        ),
        Peer::Node(node) => {
            let mut command = Command::new("node");
            command
                .arg(node.join("server.mjs"))
                .env("NODE_ENV", "production")
                .env("no_proxy", "127.0.0.1")
                .env("PEER_GRAPH", format!("http://{graph}"))
                .env("PEER_TOKEN", TOKEN)
                .env("PEER_KEY", KEY);
            Server::start(command, &mut |line| {
                line.strip_prefix("listening on ").map(str::to_owned)
            })
        }
        Peer::Vector(program) => vector(program, graph, dir).await,
    }
}

async fn vector(program: &std::path::Path, graph: &str, dir: &std::path::Path) -> Server {
    // it does not tell the port that it took itself
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap().to_string();
    drop(free);
    let config = VECTOR
        .replace("DATA_DIR", dir.to_str().unwrap())
        .replace("LISTEN", &addr)
        .replace("GRAPH", graph)
        .replace("PIXEL", PIXEL)
        .replace("TOKEN", TOKEN);
    let path = dir.join("vector.yaml");
    std::fs::write(&path, config).unwrap();
    // wherever its log goes, as one stream
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
        .arg(program)
        .args(["--color", "never", "--config"])
        .arg(path)
        .env("no_proxy", "127.0.0.1");
    let server = Server::start(command, &mut |line| {
        if line.contains("ERROR") {
            eprintln!("{line}");
        }
        line.contains("Vector has started").then(|| addr.clone())
    });
    // its sources listen soon after that
    for _ in 0..1000 {
        if std::net::TcpStream::connect(&server.addr).is_ok() {
            return server;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("Vector does not listen");
}
