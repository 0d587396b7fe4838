//! The form that says which counts a page is about.

use std::fmt;

use askama::Template;

use super::super::Inner;
use super::super::sift::Sift;
use super::super::work::beside;
use super::shell::Shell;
use super::words::{Moment, span};
use super::{Done, View, Visit};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::traffic::QUARTER;

/// Times to look back that are offered.
const WINDOWS: [(&str, u64); 6] = [
    ("15 min", 15 * 60),
    ("1 hour", 3600),
    ("3 hours", 3 * 3600),
    ("6 hours", 6 * 3600),
    ("12 hours", 12 * 3600),
    ("24 hours", 24 * 3600),
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
    /// Name and minutes of each time that is offered.
    pub(super) windows: Vec<(String, u64)>,
    pub(super) window: u64,
    /// The end of it, as a form has it; nothing for now.
    pub(super) until: String,
    /// What may be written there: when the present quarter began.
    pub(super) example: String,
    /// The time that is counted, in words.
    pub(super) counted: Counted,
}

/// From when to when something was counted.
pub(super) struct Counted {
    since: Moment,
    /// Nothing for now.
    until: Option<Moment>,
}

/// Writes it with its `<time>` elements.
impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = "whole quarters of an hour, of what is more than 6 hours ago whole hours, and not before the gateway started";
        match &self.until {
            None => write!(f, "since {} ({what})", self.since),
            Some(until) => write!(f, "from {} until {until} ({what})", self.since),
        }
    }
}

// nothing in it comes from outside
impl askama::filters::HtmlSafe for Counted {}

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
    pub(super) fn of(inner: &Inner, sift: &Sift) -> Self {
        let window = sift.window.as_secs().div_ceil(60);
        let mut windows: Vec<(String, u64)> = (WINDOWS.iter())
            .map(|(name, seconds)| ((*name).to_owned(), seconds / 60))
            .collect();
        if windows.iter().all(|(_, minutes)| *minutes != window) {
            windows.push((span(sift.window.as_secs()), window));
        }
        let now = inner.clock.now();
        let quarter = QUARTER.as_secs() as i64;
        Self {
            pixels: Pixels::of(inner, sift.pixel),
            sources: Vec::new(),
            source: sift.source.clone().unwrap_or_default(),
            event_names: Vec::new(),
            event_name: sift.event_name.clone().unwrap_or_default(),
            windows,
            window,
            until: sift.until.map(minute).unwrap_or_default(),
            example: minute(UnixMs::from_secs(now.secs() / quarter * quarter)),
            counted: Counted {
                since: Moment::of(now, now),
                until: sift.until.map(|until| Moment::of(until, now)),
            },
        }
    }

    /// With what was found to choose from, and what is chosen, and the time it is of.
    pub(super) fn with(
        mut self,
        sources: &[String],
        event_names: &[String],
        (since, until): (i64, i64),
        now: UnixMs,
    ) -> Self {
        let moment = |at| Moment::of(UnixMs(at), now);
        self.counted = Counted {
            since: moment(since),
            until: self.counted.until.map(|_| moment(until)),
        };
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

/// A moment of UTC, to the minute.
fn minute(at: UnixMs) -> String {
    let utc = at.to_rfc3339();
    utc.get(..16).unwrap_or_default().to_owned()
}
