//! Log lines to standard error, as text for people or JSON for collectors.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use super::export::Export;
use crate::config::Telemetry;
use crate::config::telemetry::{LogFormat, LogLevel};
use crate::telemetry::SPANS;

/// Changes what is logged while the process runs.
#[derive(Clone)]
pub struct LogFilter(Arc<dyn Fn(EnvFilter) + Send + Sync>);

impl LogFilter {
    /// Logs what `level` says from now on.
    pub fn set(&self, level: &LogLevel) {
        (self.0)(level.filter());
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogFilter")
    }
}

/// Starts logging for the whole process, and what goes to a collector; fails when something else
/// already has. Within a runtime, which the collector is spoken to from.
pub fn start(telemetry: &Telemetry) -> anyhow::Result<(LogFilter, Export)> {
    let export = Export::new(telemetry)?;
    let has_spans = export.is_on();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // it would tell standard error that standard error cannot be written, and panic
        .log_internal_errors(false);
    let lines = match telemetry.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    let (level, handle) = reload::Layer::new(telemetry.log_level.filter());
    tracing_subscriber::registry()
        .with(lines)
        .with(export.layer())
        .with(level)
        // a span that nobody gets costs nothing
        .with(filter_fn(move |line| {
            is_ours_or_coarse(line) && (has_spans || line.target() != SPANS)
        }))
        .try_init()?;
    let filter = LogFilter(Arc::new(move |filter| {
        // fails only when logging has ended
        let _ = handle.reload(filter);
    }));
    Ok((filter, export))
}

/// Below `info` only our own lines are written, whatever `telemetry.log_level` says: libraries
/// may print request lines, headers and frames there, a caller's key stands in some URLs, and
/// match keys in every body.
fn is_ours_or_coarse(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::INFO || line.target().split("::").next() == Some("capigate")
}
