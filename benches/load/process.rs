//! Processes that are measured.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{KEY, PIXEL, TOKEN, client};

/// A server in a process of its own; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, as `address:port`.
    pub(crate) addr: String,
    /// Where a gateway's admin interface listens.
    pub(crate) admin: Option<String>,
    /// When it was started.
    pub(crate) started: Instant,
    dir: Option<tempfile::TempDir>,
}

/// What a simulated Graph has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) events: u64,
    pub(crate) batches: u64,
    /// Of the numbers that [`Template`](client::Template) gives events.
    pub(crate) sum: u64,
}

/// What a gateway is told beside what every bench needs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options<'a> {
    /// Further lines of the configuration.
    pub(crate) config: &'a str,
    /// The core it may run on, if it may not run on all.
    pub(crate) core: Option<usize>,
    /// The directory it keeps its journal in, if not a new one.
    pub(crate) dir: Option<&'a std::path::Path>,
    /// How many pixels it has beside [`PIXEL`], as [`pixel`] counts them.
    pub(crate) more_pixels: usize,
}

/// One of many pixels; [`PIXEL`] is number 0.
pub(crate) fn pixel(number: usize) -> String {
    (PIXEL.parse::<u64>().unwrap() + number as u64).to_string()
}

fn command(program: &str, core: Option<usize>) -> Command {
    match core {
        None => Command::new(program),
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string(), program]);
            command
        }
    }
}

impl Server {
    /// This program itself as another server.
    pub(crate) fn own(role: &str, delay: Duration, core: Option<usize>) -> Self {
        let this = std::env::current_exe().unwrap();
        let mut command = command(this.to_str().unwrap(), core);
        command.args([
            "--serve",
            role,
            "--delay-ms",
            &delay.as_millis().to_string(),
        ]);
        Self::start(command, &mut |line| {
            line.strip_prefix("listening on ").map(str::to_owned)
        })
    }

    /// Any program whose standard output has a line `listening on ADDRESS:PORT`.
    pub(crate) fn start(
        mut command: Command,
        listening: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Self {
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let addr = follow(out, listening);
        Self {
            child,
            addr,
            admin: None,
            started,
            dir: None,
        }
    }

    /// A gateway that sends to `graph`.
    pub(crate) fn gateway(graph: &str, options: Options<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("capigate.toml");
        let journal = options
            .dir
            .map_or_else(|| dir.path().join("journal"), Into::into);
        let pixels: Vec<String> = (0..=options.more_pixels).map(pixel).collect();
        let mut text = format!(
            "[listen]\ningest = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [journal]\ndir = \"{}\"\n\
             [graph]\nurl = \"http://{graph}\"\n\
             [telemetry]\nlog_format = \"json\"\nlog_level = \"warn,capigate::app=info\"\n\
             [sources.bench]\nkeys = [{{ env = \"BENCH_KEY\" }}]\npixels = {pixels:?}\nrate = \"1000000/s\"\n{}",
            journal.display(),
            options.config,
        );
        for pixel in &pixels {
            let section = format!("[pixels.{pixel}]\ntoken = {{ env = \"BENCH_TOKEN\" }}\n");
            text.push_str(&section);
        }
        std::fs::write(&config, text).unwrap();
        // two builds can be compared
        let program = std::env::var("CAPIGATE_BIN");
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_capigate").to_owned());
        let mut command = command(&program, options.core);
        command.arg("serve").arg("--config").arg(&config);
        command.env("BENCH_TOKEN", TOKEN).env("BENCH_KEY", KEY);
        let started = Instant::now();
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = child.stderr.take().unwrap();
        let mut admin = None;
        let addr = follow(log, &mut |line| {
            let entry: serde_json::Value = serde_json::from_str(line).ok()?;
            admin = entry["listen.admin"].as_str().map(str::to_owned);
            Some(entry["listen.ingest"].as_str()?.to_owned())
        });
        Self {
            child,
            addr,
            admin,
            started,
            dir: Some(dir),
        }
    }

    fn stat(&self) -> Vec<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let behind_name = stat.rsplit(')').next().unwrap();
        behind_name.split_whitespace().map(str::to_owned).collect()
    }

    /// User and system time of the process so far, to 10 ms.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.stat();
        let ticks: u64 = stat[11].parse::<u64>().unwrap() + stat[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// The same to a microsecond or so, but without threads that have ended.
    pub(crate) fn cpu_of_threads(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = threads.filter_map(|thread| {
            let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Memory of the process that is in RAM now, and the most there has been, in MiB.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let of = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// How many different events the simulated Graph that this is has received.
    pub(crate) async fn received_distinct(&self) -> u64 {
        client::get(&self.addr, "/distinct").await.parse().unwrap()
    }

    /// Waits until the simulated Graph that this is has received so many events; gives how many it
    /// has.
    pub(crate) async fn received_at_least(&self, events: u64) -> u64 {
        for _ in 0..12_000 {
            let received = self.taken().await.events;
            if received >= events {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the events did not arrive within a minute");
    }

    /// What the simulated Graph that this is has taken so far.
    pub(crate) async fn taken(&self) -> Taken {
        let page = client::get(&self.addr, "/count").await;
        let mut numbers = page.split(' ').map(|number| number.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Taken {
            events: next(),
            batches: next(),
            sum: next(),
        }
    }

    /// Makes the simulated Graph that this is refuse all with a 503, or take what comes.
    pub(crate) async fn set_down(&self, is_down: bool) {
        client::get(&self.addr, if is_down { "/down" } else { "/up" }).await;
    }
}

/// Reads what a process says until it says where it listens, and then on, for it not to block.
fn follow(
    out: impl Read + Send + 'static,
    listening: &mut dyn FnMut(&str) -> Option<String>,
) -> String {
    let mut lines = BufReader::new(out);
    let mut line = String::new();
    let addr = loop {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it did not start");
        if let Some(addr) = listening(line.trim()) {
            break addr;
        }
    };
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    addr
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
