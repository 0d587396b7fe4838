//! Log lines to standard error, as text for people or JSON for collectors.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::Telemetry;
use crate::config::telemetry::LogFormat;

/// Libraries that could print request lines, headers or frames at `debug` and `trace`. They are
/// kept at `info` whatever `telemetry.log_level` says, because a caller's key may stand in a URL
/// and match keys in a body.
const QUIET: &[&str] = &[
    "axum",
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "tokio_rustls",
    "tower",
];

/// The filter for `telemetry.log_level`, with the quiet libraries capped.
pub fn filter(telemetry: &Telemetry) -> EnvFilter {
    let quiet = QUIET
        .iter()
        .filter_map(|name| format!("{name}=info").parse::<Directive>().ok());
    quiet.fold(telemetry.log_level.filter(), EnvFilter::add_directive)
}

/// Starts logging for the whole process; fails when something else already has.
pub fn start(telemetry: &Telemetry) -> Result<(), TryInitError> {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter(telemetry));
    match telemetry.log_format {
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init(),
    }
}
