//! Processes that are measured.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{KEY, PIXEL, TOKEN, client};

/// A server in a process of its own; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, as `address:port`.
    pub(crate) addr: String,
    dir: Option<tempfile::TempDir>,
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
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let addr = follow(out, listening);
        Self {
            child,
            addr,
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
        let text = format!(
            "[listen]\ningest = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [journal]\ndir = \"{}\"\n\
             [graph]\nurl = \"http://{graph}\"\n\
             [telemetry]\nlog_format = \"json\"\nlog_level = \"warn,capigate::app=info\"\n\
             [pixels.{PIXEL}]\ntoken = {{ env = \"BENCH_TOKEN\" }}\n\
             [sources.bench]\nkeys = [{{ env = \"BENCH_KEY\" }}]\npixels = [\"{PIXEL}\"]\nrate = \"1000000/s\"\n{}",
            journal.display(),
            options.config,
        );
        std::fs::write(&config, text).unwrap();
        // two builds can be compared
        let program = std::env::var("CAPIGATE_BIN");
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_capigate").to_owned());
        let mut command = command(&program, options.core);
        command.arg("serve").arg("--config").arg(&config);
        command.env("BENCH_TOKEN", TOKEN).env("BENCH_KEY", KEY);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = child.stderr.take().unwrap();
        let addr = follow(log, &mut |line| {
            let entry: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(entry["listen.ingest"].as_str()?.to_owned())
        });
        Self {
            child,
            addr,
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

    /// How many events the simulated Graph that this is has received.
    pub(crate) async fn received(&self) -> u64 {
        client::get(&self.addr, "/count").await.parse().unwrap()
    }

    /// How many different events the simulated Graph that this is has received.
    pub(crate) async fn received_distinct(&self) -> u64 {
        client::get(&self.addr, "/distinct").await.parse().unwrap()
    }

    /// Waits until the simulated Graph that this is has received so many events; gives how many it
    /// has.
    pub(crate) async fn received_at_least(&self, events: u64) -> u64 {
        for _ in 0..12_000 {
            let received = self.received().await;
            if received >= events {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the events did not arrive within a minute");
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
