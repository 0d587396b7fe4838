//! `capigate serve`: the gateway itself.

use std::io::Write;
use std::sync::Arc;

use crate::app::{App, Ended, Plan, logging, signals::Signals, sockets::Sockets};
use crate::config::Layers;
use crate::journal::RealDisk;
use crate::time::Clock;

use super::config::ConfigFiles;
use super::{FAILED, OK, USAGE};

/// Runs until a signal stops it. `sockets` are those that the process was started with.
pub(super) async fn run(files: ConfigFiles, sockets: Sockets) -> anyhow::Result<u8> {
    let mut signals = Signals::new()?;
    let layers = Layers {
        files: files.files,
        env: super::environment().collect(),
    };
    let (config, secrets) = match layers.load() {
        Ok((loaded, secrets)) => (loaded.config, secrets),
        Err(faults) => {
            let mut err = std::io::stderr();
            writeln!(err, "{faults}")?;
            writeln!(err, "the gateway does not start with this configuration")?;
            return Ok(USAGE);
        }
    };
    let log = logging::start(&config.telemetry)?;
    let clock = Clock::Real;
    for warning in config.warnings(clock.now()) {
        tracing::warn!("{warning}");
    }
    if config.sources.is_empty() {
        tracing::warn!(
            "no source is configured, so every request will be refused; add sources.<name>"
        );
    }
    let plan = Plan {
        config,
        secrets,
        layers: Some(layers),
        log: Some(log),
        sockets,
        clock,
        disk: Arc::new(RealDisk),
    };
    let running = tokio::select! {
        app = App::build_from(plan) => app?.start()?,
        // it may be waiting for another process to release the journal, and has taken nothing yet
        name = signals.stop() => {
            tracing::info!(signal = name, "stopped before it was ready");
            return Ok(OK);
        }
    };
    Ok(match running.run_until(signals).await {
        Ended::Clean => OK,
        Ended::Poisoned => FAILED,
    })
}
