//! The form that says which counts a page is about.

use askama::Template;

use super::super::Inner;
use super::super::sift::Sift;
use super::super::work::beside;
use super::shell::Shell;
use super::{Done, View, Visit};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Times to look back that are offered.
const WINDOWS: [(&str, &str, u64); 3] = [
    ("1h", "1 hour", 3600),
    ("6h", "6 hours", 6 * 3600),
    ("24h", "24 hours", 24 * 3600),
];
/// Pixels that are offered in a list; of more, one writes the id.
const MAX_PIXELS: usize = 200;

/// The field in which one chooses a pixel, for `pixel_field.html`.
pub(super) struct Pixels {
    /// Id and name of each; none when there are too many.
    pub(super) all: Vec<(String, String)>,
    /// The id, or nothing for all.
    pub(super) chosen: String,
}

/// The fields of the form.
pub(super) struct Choice {
    pub(super) pixels: Pixels,
    pub(super) sources: Vec<String>,
    pub(super) source: String,
    pub(super) event_names: Vec<String>,
    pub(super) event_name: String,
    pub(super) windows: &'static [(&'static str, &'static str, u64)],
    pub(super) window: u64,
}

/// A page of what `look` finds.
pub(super) fn show<Found, Page>(
    visit: Visit,
    look: fn(&Inner, Sift) -> Found,
    page: fn(Shell, Choice, Found, UnixMs) -> Page,
) -> Done
where
    Found: 'static,
    Page: Template + Send + 'static,
{
    Box::pin(async move {
        let sift = Sift::of(&visit.admin, visit.members)?;
        let (inner, shell) = (visit.admin.0, visit.shell);
        let page = beside(move || {
            let choice = Choice::of(&inner, &sift);
            let now = inner.clock.now();
            page(shell, choice, look(&inner, sift), now)
        });
        View::of(&page.await?)
    })
}

impl Pixels {
    /// One that is configured no more can be chosen, too.
    pub(super) fn of(inner: &Inner, chosen: Option<PixelId>) -> Self {
        let in_force = inner.in_force();
        let pixels = &in_force.config.pixels;
        let mut all: Vec<(String, String)> = (pixels.iter())
            .filter(|_| pixels.len() <= MAX_PIXELS)
            .map(|(id, pixel)| {
                let name = pixel.name.as_ref();
                let shown = name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"));
                (id.to_string(), shown)
            })
            .collect();
        let chosen = chosen.map(|id| id.to_string()).unwrap_or_default();
        let is_offered = all.is_empty() || all.iter().any(|(id, _)| *id == chosen);
        if !chosen.is_empty() && !is_offered {
            all.push((chosen.clone(), chosen.clone()));
        }
        Self { all, chosen }
    }
}

impl Choice {
    fn of(inner: &Inner, sift: &Sift) -> Self {
        Self {
            pixels: Pixels::of(inner, sift.pixel),
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
