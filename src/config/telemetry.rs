//! `[telemetry]`: the log, and what goes to a collector.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use tracing_subscriber::EnvFilter;

use super::graph::BaseUrl;
use super::units::from_text;

/// What the gateway says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// "text" for people, "json" for a log collector (one object a line).
    pub log_format: LogFormat,
    /// Least level that is logged: "error", "warn", "info", "debug" or "trace"; parts may differ,
    /// as in "info,capigate::lanes=debug".
    pub log_level: LogLevel,
    /// Where an OpenTelemetry collector takes traces and logs over OTLP/HTTP: its address, to which
    /// /v1/traces and /v1/logs are added; plain http only inside your own network. Traces have a
    /// span for each request and each batch that Meta was sent, logs are the lines of the log, both
    /// from the level "info" on. What the collector does not take in time is dropped; no event
    /// waits for it. Only in a program that was built with `--features otlp`.
    ///
    /// Example: `"http://127.0.0.1:4318"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_url: Option<BaseUrl>,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Filter directives of tracing that are known to parse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLevel(String);

/// Why a text is not a [`LogLevel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error, warn, info, debug or trace, or such a level for each part")]
pub struct LogLevelError;

impl LogLevel {
    /// The directives as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The filter they stand for.
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        // a lone word would also parse as the name of a module, so that a slip would mean silence
        let bare_words_are_levels = text
            .split(',')
            .filter(|part| !part.contains('='))
            .all(|part| LEVELS.contains(&part.trim()));
        if bare_words_are_levels && EnvFilter::try_new(text).is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(LogLevelError)
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for good in [
            "info",
            "warn",
            "info,h2=warn",
            "off",
            "capigate::lanes=debug",
        ] {
            assert_eq!(good.parse::<LogLevel>().unwrap().as_str(), good);
        }
        for bad in ["", "loud", "inof", "info,h2", "h2=loud", "info,"] {
            assert_eq!(bad.parse::<LogLevel>(), Err(LogLevelError), "{bad:?}");
        }
    }
}
