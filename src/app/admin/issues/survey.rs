//! What stands of the issues at this moment: the events that wait since nothing is sent, and the dead
//! letters. It is looked up rather than counted, so that an event counts once however often it is
//! tried, and so that it is there after a restart, also after a crash.

mod worth;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::{Admin, Inner};
use super::{came, words};
use crate::event::EncodedEvent;
use crate::issues::{Kind, Level, LevelOf, MAX_EVENT_IDS, Place};
use crate::journal::dead::{Alike, Sum};
use crate::lanes::Lanes;
use crate::lanes::held::HeldLane;
use crate::lanes::snapshot::HeldBy;
use crate::pixel::PixelId;
use crate::telemetry::metrics::DEAD_REASONS;
use crate::time::UnixMs;

use worth::Worth;

/// For how long nothing of a kind may come, while the pixel's other events go on, until it is over.
pub(super) const QUIET: Duration = Duration::from_hours(1);
/// How often it is looked when nobody asks.
pub(in crate::app::admin) const EVERY: Duration = Duration::from_secs(10);
/// How old what held events are worth may be, for somebody who looks.
const FRESH: Duration = Duration::from_secs(5);
/// The same when nobody does.
const STALE: Duration = Duration::from_mins(1);
/// Surveys after which the issues are written down.
const KEPT_AFTER: u32 = 6;
/// Bytes of dead letters that are read for event ids after the start.
const RECALLED_BYTES: u64 = 32 << 20;

/// What was found out about held events last. Surveys take turns.
#[derive(Default)]
pub(in crate::app::admin) struct Survey(Mutex<Worth>);

impl Admin {
    /// Looks again and again, so that issues end also when nobody looks.
    pub(in crate::app) async fn survey(self) {
        let mut times = tokio::time::interval(EVERY);
        for turn in 0_u32.. {
            times.tick().await;
            let admin = self.clone();
            let job = move || {
                survey(&admin.0, STALE);
                if turn == 0 {
                    recall(&admin.0);
                } else if turn % KEPT_AFTER == 0 {
                    admin.0.issues.keep(false);
                }
            };
            // it does not panic; should it, the next time tries again
            let _done = tokio::task::spawn_blocking(job).await;
        }
    }
}

/// Looks for somebody who wants to know now. Blocks.
pub(super) fn now(inner: &Inner) {
    survey(inner, FRESH);
}

fn survey(inner: &Inner, age: Duration) {
    let mut worth = inner
        .survey
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let held = inner.lanes.get().map(Lanes::held).unwrap_or_default();
    let lanes = held.iter().map(|one| one.lane.clone()).collect();
    worth.renew(&inner.journal, lanes, inner.clock.now(), age);
    let mut levels = waiting(inner, held, &worth);
    levels.extend(letters(inner));
    let waits: BTreeSet<PixelId> = (inner.journal.lanes().into_iter())
        .filter(|(_, depth)| depth.records + depth.leased > 0)
        .map(|(lane, _)| lane.pixel)
        .collect();
    let mut goes_on = HashMap::new();
    let now = inner.clock.now();
    inner.issues.stand(levels, |kind, last_seen| {
        let pixel = kind.pixel;
        if words::is_hold(kind) {
            return !waits.contains(&pixel) || inner.attempts.delivered_after(pixel, last_seen);
        }
        now.since(last_seen) >= QUIET
            && *goes_on
                .entry(pixel)
                .or_insert_with(|| has_traffic(inner, pixel))
    });
}

/// Whether events of the pixel came or went in the last hour. Of one that is not configured any more
/// none ever will.
fn has_traffic(inner: &Inner, pixel: PixelId) -> bool {
    let report = inner.traffic.report(pixel, QUIET);
    report.is_none_or(|report| came(&report) + report.delivered > 0)
}

/// Events that wait, by why.
fn waiting(inner: &Inner, held: Vec<HeldLane>, worth: &Worth) -> Vec<Level> {
    let now = inner.clock.now();
    let mut levels: Vec<Level> = Vec::new();
    // lanes of one pixel are neighbours
    for one in held {
        let depth = inner.journal.waiting(&one.lane);
        let events = depth.records + depth.leased;
        if events == 0 {
            continue;
        }
        let level = level_of(&one, events, now, worth);
        let own = levels.iter_mut().rev();
        let mut own = own.take_while(|known| known.kind.pixel == level.kind.pixel);
        match own.find(|known| known.kind == level.kind) {
            Some(known) => add(known, level),
            None => levels.push(level),
        }
    }
    levels
}

fn level_of(held: &HeldLane, events: u64, now: UnixMs, worth: &Worth) -> Level {
    let graph = held.graph.as_ref();
    let place = match held.by {
        HeldBy::Graph(_) => Place::Meta,
        _ => Place::Lane,
    };
    let known = worth.of(&held.lane);
    Level {
        kind: Kind {
            pixel: held.lane.pixel,
            place,
            word: held.by.code().into(),
            code: graph.and_then(|graph| graph.code),
            subcode: graph.and_then(|graph| graph.subcode),
            path: "".into(),
        },
        of: LevelOf::Waiting,
        events,
        last_hour: Some(known.map_or(0, |known| known.last_hour).min(events)),
        first: held.since,
        last: now,
        valued: known.map_or(0, |known| known.valued).min(events),
        money: known.map(|known| known.money.clone()).unwrap_or_default(),
        event_ids: known
            .map(|known| known.event_ids.iter().cloned().collect())
            .unwrap_or_default(),
    }
}

/// Adds what waits in another lane of the same pixel.
fn add(level: &mut Level, other: Level) {
    level.events += other.events;
    level.valued += other.valued;
    level.first = level.first.min(other.first);
    level.last_hour = level
        .last_hour
        .zip(other.last_hour)
        .map(|(one, two)| one + two);
    for (currency, sum) in other.money {
        *level.money.entry(currency).or_default() += sum;
    }
    level.event_ids.extend(other.event_ids);
}

/// Dead letters, by what is alike.
fn letters(inner: &Inner) -> Vec<Level> {
    let sums = inner.dead.sums().into_iter();
    let level = |(alike, sum): (Alike, Sum)| Level {
        kind: kind_of(&alike),
        of: LevelOf::Letters,
        events: sum.letters,
        last_hour: None,
        first: sum.first,
        last: sum.last,
        valued: sum.valued,
        money: sum
            .money
            .into_iter()
            .map(|(currency, sum)| (currency.to_owned(), sum))
            .collect(),
        event_ids: Vec::new(),
    };
    sums.map(level).collect()
}

/// The issue that letters belong to: the same as when they died.
fn kind_of(alike: &Alike) -> Kind {
    let known = DEAD_REASONS.iter().find(|word| **word == alike.reason);
    Kind {
        pixel: alike.pixel,
        place: match alike.code {
            Some(_) => Place::Meta,
            None => Place::Lane,
        },
        word: known.map_or_else(|| alike.reason.clone().into(), |word| (*word).into()),
        code: alike.code,
        subcode: alike.subcode,
        path: alike
            .code
            .map_or("", |code| EncodedEvent::blamed(code, alike.subcode))
            .into(),
    }
}

/// Finds ids of events again that the life before knew.
fn recall(inner: &Inner) {
    match inner.dead.newest_ids(MAX_EVENT_IDS, RECALLED_BYTES) {
        Ok(found) => {
            for (alike, ids) in found {
                inner.issues.recall(&kind_of(&alike), ids);
            }
        }
        Err(error) => {
            tracing::warn!(error = %error, "the newest dead letters cannot be read: their issues name no events");
        }
    }
}
