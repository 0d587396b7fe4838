//! The form that says which counts a page is about.

use super::super::Inner;
use super::super::sift::Sift;

/// Times to look back that are offered.
const WINDOWS: [(&str, &str, u64); 3] = [
    ("1h", "1 hour", 3600),
    ("6h", "6 hours", 6 * 3600),
    ("24h", "24 hours", 24 * 3600),
];
/// Pixels that are offered in a list; of more, one writes the id.
const MAX_PIXELS: usize = 200;

/// The fields of the form.
pub(super) struct Choice {
    /// Id and name of each pixel; none when there are too many.
    pub(super) pixels: Vec<(String, String)>,
    pub(super) pixel: String,
    pub(super) sources: Vec<String>,
    pub(super) source: String,
    pub(super) event_names: Vec<String>,
    pub(super) event_name: String,
    pub(super) windows: &'static [(&'static str, &'static str, u64)],
    pub(super) window: u64,
}

impl Choice {
    pub(super) fn of(inner: &Inner, sift: &Sift) -> Self {
        let in_force = inner.in_force();
        let pixels = &in_force.config.pixels;
        let offered = pixels.iter().filter(|_| pixels.len() <= MAX_PIXELS);
        Self {
            pixels: offered
                .map(|(id, pixel)| {
                    let name = pixel.name.as_ref();
                    let shown =
                        name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"));
                    (id.to_string(), shown)
                })
                .collect(),
            pixel: sift
                .pixel
                .map(|pixel| pixel.to_string())
                .unwrap_or_default(),
            sources: Vec::new(),
            source: sift.source.clone().unwrap_or_default(),
            event_names: Vec::new(),
            event_name: sift.event_name.clone().unwrap_or_default(),
            windows: &WINDOWS,
            window: sift.window.as_secs(),
        }
    }

    /// With what was found to choose from, and what is chosen.
    pub(super) fn with(mut self, sources: &[String], event_names: &[String]) -> Self {
        let offered = |found: &[String], chosen: &String| {
            let mut all = found.to_vec();
            if !chosen.is_empty() && !all.contains(chosen) {
                all.push(chosen.clone());
            }
            all
        };
        self.sources = offered(sources, &self.source);
        self.event_names = offered(event_names, &self.event_name);
        self
    }
}
