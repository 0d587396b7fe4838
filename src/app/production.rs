//! What a gateway for production does not do: hold a test code.

use std::path::PathBuf;

use super::{Profile, wiring};
use crate::config::Config;
use crate::test_mode;
use crate::time::UnixMs;

/// A test code is set, and the gateway is for production.
#[derive(Debug, thiserror::Error)]
#[error(
    "this gateway is for production (--profile production), and a test event code is set:\n  {}",
    .0.join("\n  ")
)]
pub struct TestCodeSet(Vec<String>);

/// Refuses a gateway for production while a test code is set, in the configuration or at run time.
/// Reads a small file. What that holds when it cannot be read is not in force.
///
/// `files` are those of the configuration, for the command that ends a code.
pub(super) fn look(
    config: &Config,
    files: &[PathBuf],
    profile: Profile,
    now: UnixMs,
) -> Result<(), TestCodeSet> {
    if profile != Profile::Production {
        return Ok(());
    }
    let mut set = configured(config);
    let started = test_mode::started(&config.journal.dir, now).unwrap_or_default();
    let path = test_mode::path(&config.journal.dir);
    let mut with = String::new();
    for file in files {
        with.push_str(" --config ");
        with.push_str(&file.display().to_string());
    }
    set.extend(started.keys().map(|pixel| {
        format!(
            "{}: one was started for pixel {pixel}: end it with `capigate test-mode stop {pixel} --offline{with}`, or wait for its end",
            path.display()
        )
    }));
    if set.is_empty() {
        return Ok(());
    }
    Err(TestCodeSet(set))
}

/// A line for each code that stands in a configuration, over or not.
pub(super) fn configured(config: &Config) -> Vec<String> {
    let keys = wiring::test_mode(config).keys();
    keys.iter()
        .map(|key| format!("{key}: take it out, or start without --profile production"))
        .collect()
}

/// The sources whose requests may bring a code of their own, by the key that lets them.
pub(crate) fn open_sources(config: &Config) -> Vec<String> {
    let open = config.sources.iter();
    open.filter(|(_, source)| source.allow_test_event_code)
        .map(|(name, _)| format!("sources.{name}.allow_test_event_code"))
        .collect()
}
