//! `GET /funnel`: what came, and how far it got.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Inner;
use super::call::Call;
use super::routes::Done;
use super::sift::{self, Sift};
use crate::lanes::Lanes;
use crate::lanes::snapshot::{BY_HAND, HELD};
use crate::pixel::PixelId;

/// Rows of source and event name.
const MAX_ROWS: usize = 500;

/// What came, and how far it got.
#[derive(Serialize)]
pub(super) struct Funnel {
    pub(super) pixel: Option<PixelId>,
    pub(super) source: Option<String>,
    pub(super) event_name: Option<String>,
    /// All that was asked for.
    #[serde(skip)]
    pub(super) sift: Sift,
    pub(super) window_seconds: u64,
    /// The time that the counts are of, in Unix milliseconds: the window by whole quarters of an hour, or
    /// whole hours where it is long ago; not before the start.
    pub(super) since: i64,
    pub(super) until: i64,
    pub(super) covered_seconds: u64,
    #[serde(flatten)]
    pub(super) came: Came,
    /// Events refused at the door, by word.
    pub(super) refused_by: BTreeMap<&'static str, u64>,
    /// Events that a policy has kept back, by its word.
    pub(super) filtered_by: BTreeMap<&'static str, u64>,
    pub(super) now: Now,
    /// Events that Graph has confirmed in that time; of all sources.
    pub(super) delivered: u64,
    /// Dead letters of that time; of all sources.
    pub(super) dead: u64,
    pub(super) dead_by: BTreeMap<&'static str, u64>,
    /// The same by source and event name, the busiest first.
    pub(super) rows: Vec<Row>,
    /// What may be chosen.
    pub(super) sources: Vec<String>,
    pub(super) event_names: Vec<String>,
}

/// What came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Came {
    pub(super) received: u64,
    pub(super) refused: u64,
    pub(super) filtered: u64,
    pub(super) duplicates: u64,
    /// Made durable.
    pub(super) accepted: u64,
}

/// What is in the journal at this moment: of the pixel, or of all; of every source and event name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Now {
    /// Waits for its turn.
    pub(super) waiting: u64,
    /// Waits, after a try that did not succeed or at a limit of Meta's, for the next try.
    pub(super) retrying: u64,
    /// Waits for a person.
    pub(super) held: u64,
    /// Is on its way to Meta.
    pub(super) sending: u64,
}

/// One source and event name. What became of events has no source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) source: Option<String>,
    pub(super) event_name: String,
    #[serde(flatten)]
    pub(super) came: Came,
    pub(super) delivered: u64,
    pub(super) dead: u64,
}

/// `GET /funnel`.
pub(super) fn show(call: Call) -> Done {
    sift::answer(call, look)
}

/// Adds it up.
pub(super) fn look(inner: &Inner, sift: Sift) -> Funnel {
    let found = sift.sift(inner);
    let mut funnel = Funnel {
        now: now(inner, sift.pixel),
        window_seconds: sift.window.as_secs(),
        since: found.stretch.since.0,
        until: found.stretch.until.0,
        covered_seconds: (found.stretch.until.since(found.stretch.since)).as_secs(),
        pixel: sift.pixel,
        source: sift.source.clone(),
        event_name: sift.event_name.clone(),
        sift,
        came: Came::default(),
        refused_by: BTreeMap::new(),
        filtered_by: BTreeMap::new(),
        delivered: 0,
        dead: 0,
        dead_by: BTreeMap::new(),
        rows: Vec::new(),
        sources: found.sources.into_iter().collect(),
        event_names: found.event_names.into_iter().collect(),
    };
    let mut rows: BTreeMap<(Option<String>, String), Row> = BTreeMap::new();
    for cell in found.cells {
        let refused = add(&mut funnel.refused_by, &cell.refused);
        let filtered = add(&mut funnel.filtered_by, &cell.filtered);
        let dead = add(&mut funnel.dead_by, &cell.dead);
        let came = Came {
            received: cell.taken + refused + filtered,
            refused,
            filtered,
            duplicates: cell.duplicates,
            accepted: cell.taken.saturating_sub(cell.duplicates),
        };
        funnel.came.add(came);
        funnel.delivered += cell.delivered;
        funnel.dead += dead;
        let key = (cell.source.clone(), cell.event_name.clone());
        let row = rows.entry(key).or_insert_with(|| Row {
            source: cell.source,
            event_name: cell.event_name,
            came: Came::default(),
            delivered: 0,
            dead: 0,
        });
        row.came.add(came);
        row.delivered += cell.delivered;
        row.dead += dead;
    }
    funnel.rows = rows.into_values().collect();
    (funnel.rows)
        .sort_by_key(|row| std::cmp::Reverse(row.came.received + row.delivered + row.dead));
    funnel.rows.truncate(MAX_ROWS);
    funnel
}

impl Came {
    fn add(&mut self, more: Self) {
        self.received += more.received;
        self.refused += more.refused;
        self.filtered += more.filtered;
        self.duplicates += more.duplicates;
        self.accepted += more.accepted;
    }
}

fn now(inner: &Inner, pixel: Option<PixelId>) -> Now {
    let is_meant = |of: PixelId| pixel.is_none_or(|pixel| pixel == of);
    let mut now = Now::default();
    for (key, depth) in inner.journal.lanes() {
        if is_meant(key.pixel) {
            now.sending += depth.leased;
            now.waiting += depth.records;
        }
    }
    for lane in inner.lanes.get().map(Lanes::snapshot).unwrap_or_default() {
        if is_meant(lane.pixel) {
            match lane.state {
                HELD | BY_HAND => now.held += lane.waiting,
                "backoff" | "throttled" | "probation" => now.retrying += lane.waiting,
                _ => {}
            }
        }
    }
    // looked at twice, a moment apart
    now.waiting = now.waiting.saturating_sub(now.held + now.retrying);
    now
}

fn add(sums: &mut BTreeMap<&'static str, u64>, counts: &BTreeMap<&'static str, u64>) -> u64 {
    for (word, count) in counts {
        *sums.entry(word).or_default() += count;
    }
    counts.values().sum()
}
