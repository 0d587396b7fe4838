//! `GET /quality/meta`: what Meta says of a pixel's events, beside what the gateway has seen of them.

mod reader;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::call::{Call, Members};
use super::problem::Problem;
use super::quality::{self, Brought};
use super::reply::Reply;
use super::routes::Done;
use super::sift::Sift;
use super::work::beside;
use super::{Admin, Inner};
use crate::graph::oauth::{DatasetQuality, EventQuality};
use crate::pixel::PixelId;
use crate::traffic::DAY;

pub(in crate::app) use reader::Meta;
pub(super) use reader::{Kept, Reader};
pub(super) use trouble::Trouble;

/// What there is to say about a pixel.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) pixel: PixelId,
    /// The address of Graph is not Meta's: what it says is made up by a sandbox.
    pub(super) simulated: bool,
    /// `read`, `empty` (Meta has no figures) or `not_read`.
    pub(super) state: &'static str,
    /// When Meta was asked, in Unix milliseconds; none when it was not.
    pub(super) asked_at: Option<i64>,
    /// Before that moment it is not asked again.
    pub(super) again_at: Option<i64>,
    /// Why it could not be read.
    pub(super) trouble: Option<Box<Trouble>>,
    /// By event name, as Meta has them.
    pub(super) events: Vec<Event>,
    /// Event names that were not read.
    pub(super) left_out: usize,
    /// Since when the gateway's own counts are, in Unix milliseconds.
    pub(super) gateway_since: i64,
}

/// What Meta and the gateway say of one event name.
#[derive(Serialize)]
pub(super) struct Event {
    #[serde(flatten)]
    pub(super) meta: EventQuality,
    /// None when the gateway has seen no such event.
    pub(super) gateway: Option<Own>,
}

/// What the gateway has seen.
#[derive(Serialize)]
pub(super) struct Own {
    pub(super) events: u64,
    /// The share of events that have each match key, in per cent, to a tenth, rounded down; keys that
    /// none has are not there.
    pub(super) match_keys: BTreeMap<&'static str, f64>,
}

/// `GET /quality/meta`.
pub(super) fn show(mut call: Call) -> Done {
    Box::pin(async move {
        let pixel = pixel(&mut call.members)?;
        call.members.end()?;
        is_configured(&call.admin.0, pixel)?;
        Ok(Reply::ok(&ask(&call.admin, pixel).await?))
    })
}

/// Which pixel is meant.
pub(super) fn pixel(members: &mut Members) -> Result<PixelId, Problem> {
    let expected = "send the id of one pixel, such as 1234567890123456";
    let pixel = members.parsed("pixel", expected)?;
    pixel.ok_or_else(|| Problem::bad("pixel", expected))
}

/// Refuses a pixel that is not.
pub(super) fn is_configured(inner: &Inner, pixel: PixelId) -> Result<(), Problem> {
    if inner.in_force().config.pixels.contains_key(&pixel) {
        return Ok(());
    }
    Err(Problem::not_found(
        "the pixel is not configured",
        "name a pixel of the configuration, or add it under pixels.<id>",
    ))
}

/// Asks Meta, unless it was asked a short time ago.
pub(super) async fn ask(admin: &Admin, pixel: PixelId) -> Result<Shown, Problem> {
    let said = reader::ask(&admin.0, pixel).await?;
    let inner = Arc::clone(&admin.0);
    beside(move || Shown::of(&inner, pixel, said)).await
}

impl Shown {
    fn of(inner: &Inner, pixel: PixelId, said: Result<Kept, Box<Trouble>>) -> Self {
        let own = quality::look(inner, day(pixel));
        let (times, said) = match said {
            Ok(kept) => (Some((kept.at.0, kept.until.0)), kept.said),
            Err(trouble) => (None, Err(trouble)),
        };
        let (said, trouble) = match said {
            Ok(said) => (said, None),
            Err(trouble) => (Arc::new(DatasetQuality::default()), Some(trouble)),
        };
        Self {
            pixel,
            simulated: inner.is_simulated(),
            state: match (&trouble, said.events.is_empty()) {
                (Some(_), _) => "not_read",
                (None, true) => "empty",
                (None, false) => "read",
            },
            asked_at: times.map(|(at, _)| at),
            again_at: times.map(|(_, until)| until),
            trouble,
            events: (said.events.iter())
                .map(|meta| Event {
                    gateway: Own::of(&own, meta.event_name.as_str()),
                    meta: meta.clone(),
                })
                .collect(),
            left_out: said.left_out,
            gateway_since: own.since,
        }
    }
}

fn day(pixel: PixelId) -> Sift {
    Sift {
        pixel: Some(pixel),
        source: None,
        event_name: None,
        window: DAY,
        until: None,
    }
}

impl Own {
    /// Of all sources.
    fn of(own: &quality::Quality, event_name: &str) -> Option<Self> {
        let mut all = Brought::default();
        for row in own.rows.iter().filter(|row| row.event_name == event_name) {
            all.add(&row.brought);
        }
        let percent = |with: u64| (with.min(all.events) * 1000 / all.events) as f64 / 10.0;
        (all.events > 0).then(|| Self {
            events: all.events,
            match_keys: (all.match_keys.iter())
                .map(|(key, with)| (*key, percent(*with)))
                .collect(),
        })
    }
}
