//! Which counts a page is about: pixel, source, event name and time; and what is there to choose from.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::call::{Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use super::{Admin, Inner};
use crate::config::units::Span;
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::traffic::{Cell, DAY};

/// Names and sources that a page offers.
const MAX_OFFERED: usize = 200;

/// What is asked for. Nothing means all.
pub(super) struct Sift {
    pub(super) pixel: Option<PixelId>,
    pub(super) source: Option<String>,
    pub(super) event_name: Option<String>,
    pub(super) window: Duration,
}

/// The cells that it has found.
pub(super) struct Sifted {
    /// Since when they are.
    pub(super) since: UnixMs,
    pub(super) cells: Vec<Cell>,
    /// Sources and event names that there are for the pixel, chosen or not.
    pub(super) sources: BTreeSet<String>,
    pub(super) event_names: BTreeSet<String>,
}

/// A route that answers with what `look` finds.
pub(super) fn answer<T: Serialize + Send + 'static>(
    call: Call,
    look: fn(&Inner, Sift) -> T,
) -> Done {
    Box::pin(async move {
        let sift = Sift::of(&call.admin, call.members)?;
        let found = beside(move || look(&call.admin.0, sift));
        Ok(Reply::ok(&found.await?))
    })
}

impl Sift {
    /// All that was asked for; the pixel is one of the configuration.
    pub(super) fn of(admin: &Admin, mut members: Members) -> Result<Self, Problem> {
        let sift = Self::take(&mut members)?;
        members.end()?;
        sift.check(&admin.0)?;
        Ok(sift)
    }

    fn take(members: &mut Members) -> Result<Self, Problem> {
        let pixel = members.parsed("pixel", "send a pixel id: 1 to 20 digits")?;
        let (source, event_name) = (members.text("source")?, members.text("event_name")?);
        let expected = "send a time in hours, such as 1h, 6h or 24h; at most 24h";
        let window = members.parsed::<Span>("window", expected)?;
        let window = window.map_or(DAY, Span::get);
        if !(Duration::from_mins(1)..=DAY).contains(&window) {
            return Err(Problem::bad("window", expected));
        }
        Ok(Self {
            pixel,
            source,
            event_name,
            window,
        })
    }

    /// Refuses a pixel that is not configured.
    fn check(&self, inner: &Inner) -> Result<(), Problem> {
        let in_force = inner.in_force();
        let is_known = |pixel| in_force.config.pixels.contains_key(pixel);
        if self.pixel.as_ref().is_none_or(is_known) {
            return Ok(());
        }
        Err(Problem::not_found(
            "the pixel is not configured",
            "name a pixel of the configuration, or add it under pixels.<id>",
        ))
    }

    /// What became of events is there whichever source is asked for, since nobody knows theirs.
    pub(super) fn sift(&self, inner: &Inner) -> Sifted {
        let (mut cells, mut sources, mut event_names) =
            (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut each = |_, cell: Cell| {
            let offer = |names: &mut BTreeSet<String>, name: &String| {
                if names.len() < MAX_OFFERED && !names.contains(name) {
                    names.insert(name.clone());
                }
            };
            offer(&mut event_names, &cell.event_name);
            if let Some(source) = &cell.source {
                offer(&mut sources, source);
            }
            let is_source = match (&self.source, &cell.source) {
                (Some(wanted), Some(source)) => wanted == source,
                // of cells that are for all others nobody knows what is in them
                (Some(_), None) => {
                    cell.taken == 0 && cell.refused.is_empty() && cell.filtered.is_empty()
                }
                (None, _) => true,
            };
            let mut names = self.event_name.iter();
            if is_source && names.all(|name| *name == cell.event_name) {
                cells.push(cell);
            }
        };
        let since = (inner.traffic).cells(self.pixel, self.window, &mut each);
        Sifted {
            since,
            cells,
            sources,
            event_names,
        }
    }
}
