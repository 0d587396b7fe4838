//! Log lines to standard error, as text for people or JSON for collectors.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::Telemetry;
use crate::config::telemetry::LogFormat;

/// Starts logging for the whole process; fails when something else already has.
pub fn start(telemetry: &Telemetry) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // it would tell standard error that standard error cannot be written, and panic
        .log_internal_errors(false);
    let lines = match telemetry.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(telemetry.log_level.filter())
        .with(filter_fn(is_ours_or_coarse))
        .try_init()
}

/// Below `info` only our own lines are written, whatever `telemetry.log_level` says: libraries
/// may print request lines, headers and frames there, a caller's key stands in some URLs, and
/// match keys in every body.
fn is_ours_or_coarse(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::INFO || line.target().split("::").next() == Some("capigate")
}
