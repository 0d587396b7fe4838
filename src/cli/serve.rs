//! `capigate serve`: the gateway itself.

use std::io::Write;

use crate::app::{App, Ended, logging, signals::Signals};
use crate::config::Config;
use crate::time::Clock;

use super::config::ConfigFiles;
use super::{FAILED, OK, USAGE};

pub(super) async fn run(files: ConfigFiles) -> anyhow::Result<u8> {
    let env = super::environment().collect();
    let config = match Config::load_with_secrets(&files.files, &env) {
        Ok((loaded, _)) => loaded.config,
        Err(faults) => {
            let mut err = std::io::stderr();
            writeln!(err, "{faults}")?;
            writeln!(err, "the gateway does not start with this configuration")?;
            return Ok(USAGE);
        }
    };
    logging::start(&config.telemetry)?;
    let signals = Signals::new()?;
    let clock = Clock::Real;
    for warning in config.warnings(clock.now()) {
        tracing::warn!("{warning}");
    }
    if config.sources.is_empty() {
        tracing::warn!(
            "no source is configured, so every request will be refused; add sources.<name>"
        );
    }
    let running = App::build(config, clock).await?.start()?;
    Ok(match running.run_until(signals).await {
        Ended::Clean => OK,
        Ended::Poisoned => FAILED,
    })
}
