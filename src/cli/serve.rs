//! `capigate serve`: the gateway itself.

use std::io::Write;
use std::sync::Arc;

use crate::app::production::{TestCodeSet, open_sources};
use crate::app::{App, Ended, Plan, Profile, logging, signals::Signals, sockets::Sockets};
use crate::config::Layers;
use crate::journal::RealDisk;
use crate::time::Clock;

use clap::Args;

use super::config::ConfigFiles;
use super::profile::ProfileArg;
use super::{FAILED, OK, USAGE};

/// What `capigate serve` takes.
#[derive(Clone, Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) config: ConfigFiles,

    /// What it is for; for production it does not start with a test code, and takes none
    #[arg(long, value_enum, default_value_t)]
    pub(super) profile: ProfileArg,
}

/// Runs until a signal stops it. `sockets` are those that the process was started with.
pub(super) async fn run(args: ServeArgs, sockets: Sockets) -> anyhow::Result<u8> {
    let mut signals = Signals::new()?;
    let layers = Layers {
        files: args.config.files,
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
    let (log, export) = logging::start(&config.telemetry)?;
    let clock = Clock::Real;
    for warning in config.warnings(clock.now()) {
        tracing::warn!("{warning}");
    }
    if config.sources.is_empty() {
        tracing::warn!(
            "no source is configured, so every request will be refused; add sources.<name>"
        );
    }
    let profile = Profile::from(args.profile);
    if profile == Profile::Production {
        for key in open_sources(&config) {
            tracing::warn!(
                "{key} lets requests bring a test event code into production; take it out"
            );
        }
    }
    let plan = Plan {
        config,
        secrets,
        layers: Some(layers),
        log: Some(log),
        sockets,
        clock,
        disk: Arc::new(RealDisk),
        profile,
    };
    let running = tokio::select! {
        app = App::build_from(plan) => match app {
            Err(error) if error.is::<TestCodeSet>() => {
                writeln!(std::io::stderr(), "{error}")?;
                return Ok(USAGE);
            }
            app => app?.start()?,
        },
        // it may be waiting for another process to release the journal, and has taken nothing yet
        name = signals.stop() => {
            tracing::info!(signal = name, "stopped before it was ready");
            return Ok(OK);
        }
    };
    let ended = running.run_until(signals).await;
    export.end().await;
    Ok(match ended {
        Ended::Clean => OK,
        Ended::Poisoned => FAILED,
    })
}
