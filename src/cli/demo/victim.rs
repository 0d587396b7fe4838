//! A gateway as a process of its own, to be killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The process, and where it takes events. It dies with this value at the latest.
pub(super) struct Victim {
    child: Child,
    pub(super) ingest: String,
    pub(super) pid: u32,
}

impl Victim {
    /// Starts `capigate serve` with `config` and waits until it is ready.
    pub(super) async fn start(config: &Path, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found again")?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            // what the operator has set for a real gateway is not for this one
            if name.to_string_lossy().starts_with("CAPIGATE__") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .arg("serve")
            .arg("--config")
            .arg(config)
            .envs(env.iter().copied())
            .env("CAPIGATE__TELEMETRY__LOG_FORMAT", "json")
            .env("CAPIGATE__TELEMETRY__LOG_LEVEL", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the gateway process cannot be started")?;
        let pid = child.id().context("the gateway process ended at once")?;
        let stderr = child
            .stderr
            .take()
            .context("the gateway process has no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let ready = async {
            let mut last = String::new();
            while let Some(line) = lines.next_line().await? {
                if let Some(addr) = ready_addr(&line) {
                    return Ok(addr);
                }
                last = line;
            }
            bail!("the gateway process ended: {last}")
        };
        let addr = tokio::time::timeout(Duration::from_secs(20), ready)
            .await
            .context("the gateway process was not ready in 20 s")??;
        Ok(Self {
            child,
            ingest: format!("http://{addr}"),
            pid,
        })
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .await
            .context("the gateway process cannot be killed")
    }
}

fn ready_addr(line: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let is_ready = entry["message"] == "gateway is ready";
    is_ready
        .then(|| entry["listen.ingest"].as_str().map(str::to_owned))
        .flatten()
}
