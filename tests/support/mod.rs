//! The real binary as a child process, for tests that kill it.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// The pixel of all tests with the real binary.
pub(crate) const PIXEL: &str = "1234567890123456";

/// Another one, for tests that need two.
pub(crate) const OTHER: &str = "2222222222222222";

/// SIGABRT, by which a failpoint ends the process.
const ABORTED: i32 = 6;

/// Where the gateway of a test finds things; they outlive its process.
pub(crate) struct Site {
    /// Holds the journal and the configuration.
    pub(crate) dir: tempfile::TempDir,
    /// Where the simulated Graph listens.
    pub(crate) graph: String,
    /// The ingest key.
    pub(crate) key: String,
    /// The access token.
    pub(crate) token: String,
    /// More lines of configuration.
    pub(crate) extra: String,
    /// The whole configuration, in place of the usual one.
    pub(crate) whole: Option<String>,
    /// Variables of the environment, by their whole names.
    pub(crate) vars: Vec<(String, String)>,
    /// The name of the journal's directory and of the configuration's file: what two gateways side
    /// by side must not share.
    pub(crate) name: &'static str,
    /// Bound already, and handed over as systemd does.
    pub(crate) socket: Option<std::net::TcpListener>,
    /// Settings that win over those of the file, such as `SHUTDOWN__GRACE`.
    pub(crate) env: Vec<(&'static str, String)>,
}

/// A running gateway process. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// `http://…` of the ingest listener.
    pub(crate) ingest: String,
    /// `http://…` of the admin listener.
    pub(crate) admin: String,
    log: Arc<Mutex<String>>,
    is_deaf: Arc<AtomicBool>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Site {
    pub(crate) fn new(graph: String) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            graph,
            key: "the-ingest-key".to_owned(),
            token: "sandbox-token".to_owned(),
            extra: String::new(),
            whole: None,
            vars: Vec::new(),
            name: "journal",
            socket: None,
            env: Vec::new(),
        }
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    /// The file the gateway reads.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.dir.path().join(format!("{}.toml", self.name))
    }

    /// Writes the configuration the process runs with: small segments, so that they roll and
    /// recycle.
    pub(crate) fn write_config(&self) -> PathBuf {
        let path = self.config_file();
        let usual = || {
            format!(
                r#"
[listen]
ingest = "127.0.0.1:0"
admin = "127.0.0.1:0"
[journal]
dir = "{journal}"
segment_bytes = "1MiB"
max_bytes = "512MiB"
[lanes]
linger = "20ms"
max_events = 50
rate = "10000/s"
rate_per_pixel = "10000/s"
backoff_min = "20ms"
backoff_max = "200ms"
throttle_min = "20ms"
throttle_max = "200ms"
probe_interval = "1s"
[graph]
url = "{graph}"
[telemetry]
log_format = "json"
[shutdown]
grace = "0s"
[pixels.{PIXEL}]
token = {{ env = "TEST_TOKEN" }}
[pixels.{OTHER}]
token = {{ env = "TEST_TOKEN" }}
[sources.test]
keys = [{{ env = "TEST_KEY" }}]
pixels = ["{PIXEL}", "{OTHER}"]
rate = "1000000/s"
{extra}
"#,
                journal = self.journal().display(),
                graph = self.graph,
                extra = self.extra,
            )
        };
        let text = self.whole.clone().unwrap_or_else(usual);
        // whole or not at all, since a running gateway looks at it
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path
    }

    /// The program, or a shell that becomes the program with the socket as its descriptor 3.
    fn command(&self) -> Command {
        const HAND_OVER: &str =
            r#"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ingest exec "$0" "$@" 3<&0 </dev/null"#;
        let Some(socket) = &self.socket else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_capigate"));
            command.stdin(Stdio::null());
            return command;
        };
        let socket = OwnedFd::from(socket.try_clone().unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", HAND_OVER, env!("CARGO_BIN_EXE_capigate")]);
        command.stdin(Stdio::from(socket));
        command
    }

    /// Starts the gateway. `failpoints` as for the `fail` crate; None when it died before it was
    /// ready, which a failpoint in recovery may cause.
    pub(crate) fn start(&self, failpoints: Option<&str>, log_level: &str) -> Option<Process> {
        let mut command = self.command();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CAPIGATE_") {
                command.env_remove(name);
            }
        }
        command
            .arg("serve")
            .arg("--config")
            .arg(self.write_config())
            .env("TEST_TOKEN", &self.token)
            .env("TEST_KEY", &self.key)
            .env_remove("FAILPOINTS")
            .envs(self.vars.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        for (name, value) in &self.env {
            command.env(format!("CAPIGATE__{name}"), value);
        }
        // where it is not set, a test may change it in the file
        if !log_level.is_empty() {
            command.env("CAPIGATE__TELEMETRY__LOG_LEVEL", log_level);
        }
        if let Some(failpoints) = failpoints {
            command.env("FAILPOINTS", failpoints);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let copy = Arc::clone(&log);
        let is_deaf = Arc::new(AtomicBool::new(false));
        let deaf = Arc::clone(&is_deaf);
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                copy.lock().unwrap().push_str(&line);
                if let Some(addresses) = ready(&line) {
                    let _ = tell.try_send(addresses);
                }
                if deaf.load(Ordering::SeqCst) {
                    // dropping the pipe: from now on the process writes into nothing
                    return;
                }
                line.clear();
            }
        });
        match told.recv_timeout(Duration::from_mins(1)) {
            Ok((ingest, admin)) => Some(Process {
                child,
                ingest,
                admin,
                log,
                is_deaf,
                reader: Some(reader),
            }),
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().unwrap();
                let log = log.lock().unwrap();
                assert!(
                    failpoints.is_some() && status.signal() == Some(ABORTED),
                    "the gateway did not start ({status}): {log}"
                );
                None
            }
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                panic!("the gateway is not ready: {}", log.lock().unwrap());
            }
        }
    }
}

/// The addresses in the line that says that the gateway is ready.
fn ready(line: &str) -> Option<(String, String)> {
    let entry: Value = serde_json::from_str(line).ok()?;
    if entry["message"] != "gateway is ready" {
        return None;
    }
    let addr = |key: &str| entry[key].as_str().map(|addr| format!("http://{addr}"));
    Some((addr("listen.ingest")?, addr("listen.admin")?))
}

impl Process {
    /// The address events are posted to.
    pub(crate) fn events_url(&self) -> String {
        self.events_url_of(PIXEL)
    }

    /// The address events of `pixel` are posted to.
    pub(crate) fn events_url_of(&self, pixel: &str) -> String {
        format!("{}/v26.0/{pixel}/events", self.ingest)
    }

    /// `kill -9`, unless a failpoint was quicker.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Whether a failpoint has struck; any other end is a failure of the test.
    pub(crate) fn is_gone(&mut self) -> bool {
        let ended = self.child.try_wait().unwrap();
        if let Some(status) = ended {
            assert_eq!(
                status.signal(),
                Some(ABORTED),
                "the gateway ended by itself: {}",
                self.log()
            );
        }
        ended.is_some()
    }

    /// User and system time of the process so far, to 10 ms.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        let ticks: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Bytes of memory the process has now.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().split_whitespace().next().unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// SIGTERM, then the exit code.
    pub(crate) fn terminate(&mut self) -> i32 {
        self.signal("TERM");
        self.exit_code()
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for its end.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        while std::time::Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the gateway did not stop: {}", self.log());
    }

    /// Closes the far end of the process's standard error, at its next line.
    pub(crate) fn stop_listening(&self) {
        self.is_deaf.store(true, Ordering::SeqCst);
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Everything logged by a process that has ended.
    pub(crate) fn whole_log(mut self) -> String {
        self.kill();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.log()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal, by name.
pub(crate) fn signal(pid: u32, name: &str) {
    // the shell's own kill: a bare machine has no program of that name
    let kill = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .status();
    assert!(kill.unwrap().success());
}

/// The sum of a metric over all its labels; 0 where the page does not have it.
pub(crate) fn sum(page: &str, metric: &str) -> u64 {
    let of_name = |line: &&str| {
        line.strip_prefix(metric)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64;
    page.lines().filter(of_name).map(value).sum()
}

/// Every byte of every file below `dir`.
pub(crate) fn all_bytes(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_bytes(&path));
        } else {
            let mut bytes = Vec::new();
            std::fs::File::open(&path)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            found.push((path, bytes));
        }
    }
    found
}
