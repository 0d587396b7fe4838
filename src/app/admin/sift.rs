//! Which counts a page is about: pixel, source, event name and time; and what is there to choose from.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use url::form_urlencoded::Serializer;

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
use crate::traffic::{Cell, DAY, QUARTER, Stretch};

/// Names and sources that a page offers.
const MAX_OFFERED: usize = 200;

const UNTIL: &str = "send a time in UTC of the last 24 hours, such as 2026-11-30T14:45Z";

/// A moment in UTC, with or without seconds and a `Z`, as a form sends it; the next whole quarter of
/// an hour.
struct Until(UnixMs);

impl FromStr for Until {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let at: jiff::Timestamp = if let Ok(at) = text.parse() {
            at
        } else {
            let local: jiff::civil::DateTime = text.trim_end_matches('Z').parse()?;
            jiff::tz::Offset::UTC.to_timestamp(local)?
        };
        let quarter = QUARTER.as_millis() as i64;
        let quarters = at
            .as_millisecond()
            .saturating_add(quarter - 1)
            .div_euclid(quarter);
        Ok(Self(UnixMs(quarters.saturating_mul(quarter))))
    }
}

/// What is asked for. Nothing means all.
pub(super) struct Sift {
    pub(super) pixel: Option<PixelId>,
    pub(super) source: Option<String>,
    pub(super) event_name: Option<String>,
    pub(super) window: Duration,
    /// The end of the window, a whole quarter of an hour; now without one.
    pub(super) until: Option<UnixMs>,
}

/// The cells that it has found.
pub(super) struct Sifted {
    /// The time they are of.
    pub(super) stretch: Stretch,
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
        let sift = Self::take(admin, &mut members)?;
        members.end()?;
        Ok(sift)
    }

    /// The same, where there may be more.
    pub(super) fn take(admin: &Admin, members: &mut Members) -> Result<Self, Problem> {
        let sift = Self::read(members)?;
        sift.check(&admin.0)?;
        Ok(sift)
    }

    fn read(members: &mut Members) -> Result<Self, Problem> {
        let pixel = members.parsed("pixel", "send a pixel id: 1 to 20 digits")?;
        let (source, event_name) = (members.text("source")?, members.text("event_name")?);
        let expected =
            "send a time such as 15m, 1h or 24h; quarters of an hour count, and 24h is the most";
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
            until: members
                .parsed::<Until>("until", UNTIL)?
                .map(|until| until.0),
        })
    }

    /// The same as a query.
    pub(super) fn query(&self) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        if let Some(pixel) = self.pixel {
            query.append_pair("pixel", &pixel.to_string());
        }
        if let Some(source) = &self.source {
            query.append_pair("source", source);
        }
        if let Some(name) = &self.event_name {
            query.append_pair("event_name", name);
        }
        query.append_pair(
            "window",
            &format!("{}m", self.window.as_secs().div_ceil(60)),
        );
        if let Some(until) = self.until {
            query.append_pair("until", &until.to_rfc3339());
        }
        query
    }

    /// The time that it is about.
    pub(super) fn stretch(&self, inner: &Inner) -> Stretch {
        inner.traffic.stretch(self.window, self.until)
    }

    /// Refuses a pixel that is not configured, and a time of which nothing is known.
    fn check(&self, inner: &Inner) -> Result<(), Problem> {
        let in_force = inner.in_force();
        let is_known = |pixel| in_force.config.pixels.contains_key(pixel);
        if !self.pixel.as_ref().is_none_or(is_known) {
            return Err(Problem::not_found(
                "the pixel is not configured",
                "name a pixel of the configuration, or add it under pixels.<id>",
            ));
        }
        let now = inner.clock.now();
        let is_near = |until: UnixMs| now.since(until) <= DAY && until.since(now) <= QUARTER;
        if !self.until.is_none_or(is_near) {
            return Err(Problem::bad("until", UNTIL));
        }
        Ok(())
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
        let stretch = self.stretch(inner);
        inner.traffic.cells(self.pixel, &stretch, &mut each);
        Sifted {
            stretch,
            cells,
            sources,
            event_names,
        }
    }
}
