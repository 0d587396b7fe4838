//! The real binary: how it stops, and how one process takes over from another.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capigate::app::Ended;
use capigate::sandbox::{Action, Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{Gateway, purchase};
use crate::support::{PIXEL, Process, Site};

const LOG: &str = "warn,capigate::app=info";

async fn sandbox() -> Sandbox {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("test", "sandbox-token")],
        ..SandboxSettings::default()
    };
    Sandbox::start(settings, Clock::Real).await.unwrap()
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still waiting for: {what}");
}

/// Clients that post without a pause, and without a second try of anything.
#[derive(Clone, Default)]
struct Load {
    done: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    accepted: Arc<Mutex<HashSet<String>>>,
}

/// One answer.
struct Answer {
    status: u16,
    /// Whether the connection is to be used again.
    stays: bool,
}

/// HTTP by hand: a library would quietly try again where a connection was closed under it.
fn request(id: &str, stays: bool) -> String {
    let body = json!({"data": [purchase(id)]}).to_string();
    let connection = if stays { "keep-alive" } else { "close" };
    let head = format!(
        "POST /v26.0/{PIXEL}/events HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer the-ingest-key\r\n\
         content-type: application/json\r\nconnection: {connection}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    head + &body
}

/// Sends one request and reads its answer.
async fn ask(stream: &mut TcpStream, id: &str, stays: bool) -> std::io::Result<Answer> {
    stream.write_all(request(id, stays).as_bytes()).await?;
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(read.drain(..end + 4).collect()).unwrap();
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = head.to_ascii_lowercase();
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let length: usize = field("content-length:").unwrap().parse().unwrap();
    while read.len() < length {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        stays: field("connection:").as_deref() != Some("close"),
    })
}

impl Load {
    /// Starts `writers` clients; every other one keeps its connection for as long as it may. Each
    /// goes on until the load is done, or its first request that is not answered with success.
    fn start(&self, writers: usize, addr: &str) -> JoinSet<Result<(), String>> {
        let mut clients = JoinSet::new();
        for writer in 0..writers {
            let (load, addr) = (self.clone(), addr.to_owned());
            clients.spawn(async move { load.post(writer, writer % 2 == 0, &addr).await });
        }
        clients
    }

    async fn post(&self, writer: usize, stays: bool, addr: &str) -> Result<(), String> {
        let mut kept = None;
        let mut count = 0;
        while !self.done.load(Ordering::SeqCst) {
            count += 1;
            let id = format!("w{writer}-{count}");
            let is_new = kept.is_none();
            let told = |error| format!("{id}, on a new connection: {is_new}: {error}");
            let mut stream = match kept.take() {
                Some(stream) => stream,
                None => TcpStream::connect(addr).await.map_err(told)?,
            };
            let answer = ask(&mut stream, &id, stays).await.map_err(told)?;
            if answer.status != 200 {
                return Err(format!("{id}: {}", answer.status));
            }
            self.accepted.lock().unwrap().insert(id);
            self.answered.fetch_add(1, Ordering::SeqCst);
            kept = (stays && answer.stays).then_some(stream);
        }
        Ok(())
    }

    /// Waits for so many more answers.
    async fn more(&self, answers: usize) {
        let before = self.answered.load(Ordering::SeqCst);
        until("answers", async || {
            self.answered.load(Ordering::SeqCst) >= before + answers
        })
        .await;
    }

    /// Every event that was answered with success is in the ledger.
    async fn all_in(&self, sandbox: &Sandbox) {
        let pixel = PIXEL.parse().unwrap();
        let accepted = self.accepted.lock().unwrap().clone();
        assert!(!accepted.is_empty());
        until("all that was accepted to be delivered", async || {
            accepted
                .iter()
                .all(|id| sandbox.times_accepted(pixel, id) > 0)
        })
        .await;
    }
}

fn address(process: &Process) -> String {
    process.ingest.strip_prefix("http://").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_takes_over_from_another_and_no_request_is_lost() {
    let sandbox = sandbox().await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    let mut site = Site::new(sandbox.url());
    site.socket = Some(socket);
    site.env = vec![("SHUTDOWN__GRACE", "1s".to_owned())];
    site.name = "one";
    let mut old = site.start(None, LOG).unwrap();
    assert_eq!(address(&old), addr);
    let load = Load::default();
    let mut clients = load.start(8, &addr);
    for round in 0..3 {
        load.more(100).await;
        site.name = ["two", "one"][round % 2];
        // side by side, or one after the other while connections wait in the socket's queue
        if round == 1 {
            assert_eq!(tokio::task::block_in_place(|| old.terminate()), 0);
            old = site.start(None, LOG).unwrap();
        } else {
            let mut new = tokio::task::block_in_place(|| site.start(None, LOG).unwrap());
            assert_eq!(tokio::task::block_in_place(|| old.terminate()), 0);
            std::mem::swap(&mut old, &mut new);
        }
        if let Some(ended) = clients.try_join_next() {
            panic!("round {round}: {ended:?}");
        }
    }
    load.more(100).await;
    load.done.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        assert_eq!(client.unwrap(), Ok(()));
    }
    // what the other journal still holds
    site.name = "one";
    let _other = site.start(None, LOG).unwrap();
    load.all_in(&sandbox).await;
    assert_eq!(sandbox.violations(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_journal_goes_from_process_to_process_and_no_request_is_lost() {
    let sandbox = sandbox().await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    let mut site = Site::new(sandbox.url());
    site.socket = Some(socket);
    site.env = vec![
        ("SHUTDOWN__GRACE", "1s".to_owned()),
        ("JOURNAL__LOCK_WAIT", "1m".to_owned()),
    ];
    let mut old = site.start(None, LOG).unwrap();
    let load = Load::default();
    let mut clients = load.start(8, &addr);
    for round in 0..3 {
        load.more(100).await;
        // the new one waits for the journal while the old one stops
        old = tokio::task::block_in_place(|| {
            std::thread::scope(|threads| {
                let new = threads.spawn(|| site.start(None, LOG).unwrap());
                assert_eq!(old.terminate(), 0);
                new.join().unwrap()
            })
        });
        if let Some(ended) = clients.try_join_next() {
            panic!("round {round}: {ended:?}");
        }
    }
    load.more(100).await;
    load.done.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        assert_eq!(client.unwrap(), Ok(()));
    }
    load.all_in(&sandbox).await;
    assert_eq!(sandbox.violations(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_port_and_one_goes_on_alone() {
    // holds the port, and takes no connection, since it does not listen
    let holder = TcpSocket::new_v4().unwrap();
    holder.set_reuseport(true).unwrap();
    holder.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = holder.local_addr().unwrap().to_string();
    let sandbox = sandbox().await;
    let mut site = Site::new(sandbox.url());
    site.env = vec![
        ("LISTEN__INGEST", addr.clone()),
        ("LISTEN__REUSE_PORT", "true".to_owned()),
    ];
    site.name = "one";
    let mut one = site.start(None, LOG).unwrap();
    site.name = "two";
    let two = site.start(None, LOG).unwrap();
    let load = Load::default();
    let post = async |from: usize| {
        for n in from..from + 50 {
            let mut stream = TcpStream::connect(&addr).await.unwrap();
            let answer = ask(&mut stream, &format!("e{n}"), false).await.unwrap();
            assert_eq!(answer.status, 200);
            load.accepted.lock().unwrap().insert(format!("e{n}"));
        }
    };
    post(0).await;
    for process in [&one, &two] {
        let url = format!("{}/metrics", process.admin);
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let page = client.build().unwrap().get(url).send().await.unwrap();
        let page = page.text().await.unwrap();
        let line = page
            .lines()
            .find(|line| line.starts_with("capigate_requests_total"));
        assert!(line.is_some(), "one of the two was asked nothing");
    }
    assert_eq!(tokio::task::block_in_place(|| one.terminate()), 0);
    post(50).await;
    site.name = "one";
    let _again = site.start(None, LOG).unwrap();
    load.all_in(&sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_keeps_all_that_was_answered() {
    let sandbox = sandbox().await;
    let site = Site::new(sandbox.url());
    let mut process = site.start(None, LOG).unwrap();
    let load = Load::default();
    let mut clients = load.start(8, &address(&process));
    load.more(200).await;
    assert_eq!(tokio::task::block_in_place(|| process.terminate()), 0);
    // each ends at its first request that finds nobody
    while let Some(client) = clients.join_next().await {
        assert!(client.unwrap().is_err());
    }
    let _again = site.start(None, LOG).unwrap();
    load.all_in(&sandbox).await;
}

/// One thread, which the test keeps to itself until the stop begins: by then every connection
/// waits in the socket's queue with its request, and the gateway knows of none.
#[tokio::test]
async fn what_waits_in_the_queue_at_the_stop_is_still_answered() {
    let mut gateway = Gateway::start().await;
    let addr = gateway.running().ingest_addr();
    let mut clients = Vec::new();
    for n in 0..40 {
        let mut stream = std::net::TcpStream::connect(addr).unwrap();
        let request = request(&format!("queued-{n}"), false);
        stream.write_all(request.as_bytes()).unwrap();
        clients.push(stream);
    }
    assert_eq!(gateway.down().await, Ended::Clean);
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    gateway.up().await;
    gateway.delivered(40).await;
    gateway.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_it_waits_for_the_journal_ends_it() {
    let sandbox = sandbox().await;
    let site = Site::new(sandbox.url());
    let mut owner = site.start(None, LOG).unwrap();
    let mut waiting = std::process::Command::new(env!("CARGO_BIN_EXE_capigate"))
        .args(["serve", "--config"])
        .arg(site.config_file())
        .env("TEST_TOKEN", &site.token)
        .env("TEST_KEY", &site.key)
        // longer than the test waits for the end
        .env("CAPIGATE__JOURNAL__LOCK_WAIT", "10m")
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", waiting.id());
    until("it to listen to SIGTERM", async || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask & (1 << 14) != 0)
    })
    .await;
    crate::support::signal(waiting.id(), "TERM");
    let mut ended = None;
    until("its end", async || {
        ended = waiting.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    assert_eq!(ended.unwrap().code(), Some(0));
    assert_eq!(tokio::task::block_in_place(|| owner.terminate()), 0);
}

/// A gateway whose batch is under way, and stays so.
async fn stuck(sandbox: &Sandbox, site: &Site, load: &Load) -> Process {
    sandbox.add_fault(Fault {
        edge: None,
        pixel: None,
        times: None,
        action: Action::Slow {
            ms: 600_000,
            accept_first: false,
        },
    });
    let process = site.start(None, "info").unwrap();
    let mut stream = TcpStream::connect(address(&process)).await.unwrap();
    let answer = ask(&mut stream, "stuck", false).await.unwrap();
    assert_eq!(answer.status, 200);
    load.accepted.lock().unwrap().insert("stuck".to_owned());
    // it strikes once
    until("a batch under way", async || sandbox.faults().is_empty()).await;
    process
}

/// The log lines with this message.
fn said(log: &str, message: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| {
            line["message"]
                .as_str()
                .is_some_and(|m| m.contains(message))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_skips_to_closing_the_journal() {
    let sandbox = sandbox().await;
    let mut site = Site::new(sandbox.url());
    // longer than the test waits for the end
    site.env = vec![
        ("SHUTDOWN__SENDS", "1h".to_owned()),
        ("GRAPH__TIMEOUT", "1h".to_owned()),
    ];
    let load = Load::default();
    let mut process = stuck(&sandbox, &site, &load).await;
    process.signal("TERM");
    until("the first signal", async || {
        !said(&process.log(), "stopping").is_empty()
    })
    .await;
    // neither ends it nor hurries it
    process.signal("HUP");
    process.signal("INT");
    assert_eq!(tokio::task::block_in_place(|| process.exit_code()), 0);
    let log = process.whole_log();
    assert_eq!(
        said(&log, "at once, at the second signal").len(),
        1,
        "{log}"
    );
    assert_eq!(said(&log, "unsettled"), [] as [Value; 0], "{log}");
    let _again = site.start(None, LOG).unwrap();
    load.all_in(&sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_over_is_logged_with_what_was_left() {
    let sandbox = sandbox().await;
    let mut site = Site::new(sandbox.url());
    site.env = vec![
        ("SHUTDOWN__SENDS", "200ms".to_owned()),
        ("GRAPH__TIMEOUT", "1h".to_owned()),
    ];
    let load = Load::default();
    let mut process = stuck(&sandbox, &site, &load).await;
    assert_eq!(tokio::task::block_in_place(|| process.terminate()), 0);
    let log = process.whole_log();
    let left = said(&log, "batches were left unsettled");
    assert_eq!(left.len(), 1, "{log}");
    assert_eq!(left[0]["journal.leased"], 1);
    let _again = site.start(None, LOG).unwrap();
    load.all_in(&sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_file_again_and_moves_the_log_level() {
    let sandbox = sandbox().await;
    let mut site = Site::new(sandbox.url());
    site.extra = "[reload]\nwatch = false\n".to_owned();
    let mut process = site.start(None, "").unwrap();
    let level = |level: &str| {
        let text = std::fs::read_to_string(site.config_file()).unwrap();
        let text = text.replace(
            "log_format = \"json\"",
            &format!("log_format = \"json\"\nlog_level = \"{level}\""),
        );
        std::fs::write(site.config_file(), text).unwrap();
    };
    let post = async |id| {
        let mut stream = TcpStream::connect(address(&process)).await.unwrap();
        assert_eq!(ask(&mut stream, id, false).await.unwrap().status, 200);
    };
    post("before").await;
    level("capigate=debug");
    process.signal("HUP");
    until("the reload", async || {
        !said(&process.log(), "configuration applied").is_empty()
    })
    .await;
    let log = process.log();
    assert_eq!(said(&log, "events accepted"), [] as [Value; 0]);
    let applied = said(&log, "configuration applied");
    assert_eq!(applied[0]["config.changed"], "telemetry.log_level");
    assert_eq!(applied[0]["trigger"], "signal");
    post("after").await;
    until("a debug line", async || {
        !said(&process.log(), "events accepted").is_empty()
    })
    .await;

    std::fs::write(site.config_file(), "[journal]\ndir = \"/elsewhere\"\n").unwrap();
    process.signal("HUP");
    until("the refusal", async || {
        !said(&process.log(), "refused").is_empty()
    })
    .await;
    let refused = said(&process.log(), "configuration refused, the old one stays");
    assert_eq!(refused[0]["code"], "needs_restart");
    let named = refused[0]["error"].as_str().unwrap();
    assert!(
        named.contains("journal.dir") && !named.contains("elsewhere"),
        "{named}"
    );
    post("still").await;
    assert_eq!(tokio::task::block_in_place(|| process.terminate()), 0);
}
