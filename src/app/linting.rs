//! What `lint` looks at events with: the configuration in force, or the defaults.

use anyhow::Context;

use super::wiring;
use crate::config::sources::Source;
use crate::config::{Config, Secrets};
use crate::lint::Desk;
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::test_mode::TestMode;
use crate::time::Clock;

/// The name of the source that stands for one that is not configured.
pub const UNNAMED: &str = "lint";

/// Sources, pixels and Graph's address of a configuration. A source with the defaults is added,
/// under [`UNNAMED`], that may post for `pixel`.
pub fn desk(mut config: Config, pixel: PixelId) -> anyhow::Result<Desk> {
    let unnamed = Source {
        pixels: [pixel].into(),
        allow_test_event_code: true,
        ..Source::default()
    };
    config.sources.insert(UNNAMED.to_owned(), unnamed);
    // who shows which key does not matter here
    let sources = wiring::sources(&config, &Secrets::default());
    let graph = wiring::graph(&config).context("the address of Graph")?;
    let max_events = config.ingest.max_events as usize;
    // what was started by hand is in force here, too
    let test_mode = TestMode::open(
        &config.journal.dir,
        wiring::test_mode(&config),
        false,
        Clock::Real,
        Metrics::new()?,
    );
    Ok(Desk::new(sources, test_mode, graph, max_events))
}

/// The source whose rules hold: the one that is named, else the only one that may post for the
/// pixel, else that with the defaults.
pub fn source_of(config: &Config, pixel: PixelId, named: Option<&str>) -> String {
    if let Some(name) = named {
        return name.to_owned();
    }
    let mut of_pixel = config
        .sources
        .iter()
        .filter(|(_, source)| source.pixels.contains(&pixel));
    match (of_pixel.next(), of_pixel.next()) {
        (Some((name, _)), None) => name.clone(),
        _ => UNNAMED.to_owned(),
    }
}
