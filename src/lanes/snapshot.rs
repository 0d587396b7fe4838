//! What others may see of lanes and of what stops them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::by_hand::HandHold;
use super::circuits::{Key, Standing};
use super::{Lanes, Shared};
use crate::graph::{Answer, Cause, Scope};
use crate::journal::{Class, LaneDepth, LaneKey};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Why nothing is sent until a probe succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// Graph's answer.
    Graph(Cause),
    /// No token is configured for the pixel.
    NoToken,
    /// Dead letters cannot be written.
    DeadLetters,
    /// What is sent at most once cannot be noted before it is sent.
    Intents,
    /// A person.
    Hand,
}

impl HeldBy {
    /// The stable word for logs, metrics and `/readyz`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Graph(cause) => cause.code(),
            Self::NoToken => "no_token",
            Self::DeadLetters => "dead_letters",
            Self::Intents => "intents",
            Self::Hand => "by_hand",
        }
    }

    /// What a person should do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Graph(Cause::Token) => {
                "the access token is refused: look at it with `capigate token inspect`, then put a valid one in its place with `capigate token rotate` (or where the configuration points to); events go out by themselves then"
            }
            Self::Graph(Cause::App) => {
                "the app's secret or the proof made with it is refused, or the app does not take calls from this machine: see whether the app wants a proof (App settings, Advanced), and put the right secret in place with `capigate token app add`"
            }
            Self::Graph(Cause::Permission) => {
                "the token may not post to this pixel, or the pixel does not exist: check both in Events Manager"
            }
            Self::Graph(Cause::Blocked) => {
                "Meta has blocked the account for a while: look into Account Quality; it is asked again by itself"
            }
            Self::Graph(Cause::Account) => {
                "Meta wants something settled first, such as terms to be accepted: look into Events Manager"
            }
            Self::Graph(Cause::Configuration) => {
                "the API version, the path or the dataset's set-up is wrong: look up graph.code and graph.subcode"
            }
            Self::NoToken => {
                "there is no token for this pixel: run `capigate token add --pixel <id>`, or set pixels.<id>.token; if it was taken out of the configuration, put pixels.<id> back"
            }
            Self::DeadLetters => {
                "dead letters cannot be written: free disk space, or raise journal.dead_max_bytes"
            }
            Self::Intents => {
                "what is sent at most once cannot be noted on disk first: free disk space, see the log"
            }
            Self::Hand => {
                "a person holds this pixel: its events wait until it is released, under Pixels or with `capigate holds release`, and Meta refuses those older than 7 days"
            }
        }
    }
}

/// The state of what is held until a probe succeeds.
pub const HELD: &str = "held";
/// The state of what a person holds.
pub const BY_HAND: &str = "held_by_hand";
const THROTTLED: &str = "throttled";
const SLOW_DOWN: &str =
    "a limit of Meta is reached: nothing to do, unless it happens often; then send less";

/// What Graph answered: the part that is of use to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Graph's `code`.
    pub code: Option<i64>,
    /// Graph's `error_subcode`.
    pub subcode: Option<i64>,
    /// Graph's `fbtrace_id`.
    pub trace_id: Option<String>,
}

impl Seen {
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        let trace_id = answer.trace_id.as_ref().map(ToString::to_string);
        if answer.error.is_none() && trace_id.is_none() {
            return None;
        }
        Some(Self {
            code: answer.error.as_ref().map(|error| error.code),
            subcode: answer.error.as_ref().and_then(|error| error.subcode),
            trace_id,
        })
    }

    /// Code and subcode as people write them, such as `190/463`.
    pub fn codes(&self) -> String {
        match (self.code, self.subcode) {
            (Some(code), Some(subcode)) => format!("{code}/{subcode}"),
            (Some(code), None) => code.to_string(),
            (None, _) => "none".to_owned(),
        }
    }
}

/// One lane at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct LaneSnapshot {
    /// The lane's pixel.
    pub pixel: PixelId,
    /// The request-wide `test_event_code` of its batches, if any.
    pub test_event_code: Option<String>,
    /// What kind of events: `rest`, `app`, `physical_store` or `business_messaging`.
    pub class: &'static str,
    /// `open`, `backoff`, `throttled`, `probation`, `held_by_hand` or `held`: the gravest state of
    /// what its batches have to pass.
    pub state: &'static str,
    /// Why it is held or throttled.
    pub reason: Option<&'static str>,
    /// What to do about that.
    pub advice: Option<&'static str>,
    /// Whose state it is: an id as in [`HoldSnapshot::id`]; none when the lane's own.
    pub circuit: Option<String>,
    /// Seconds in this state.
    pub seconds: u64,
    /// Seconds to the next try, if it has to wait for one.
    pub next_try: Option<u64>,
    /// Events that wait.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Seconds since the oldest of them was received.
    pub oldest_seconds: Option<u64>,
    /// The share of the configured pace that is left, up to 1.
    pub pace_factor: f64,
}

/// A lane, pixel, token or app that is held or throttled.
#[derive(Clone, Debug, Serialize)]
pub struct HoldSnapshot {
    /// `lane:123:business_messaging` (a pixel's events of one class), `pixel:123`, `token:ab12cd34`
    /// (its fingerprint), `app:123`: what [`Lanes::release`] takes; `by_hand:123` of a pixel that a
    /// person holds.
    pub id: String,
    /// `app`, `token`, `pixel` or `lane`.
    pub scope: &'static str,
    /// `held`, `held_by_hand` or `throttled`.
    pub state: &'static str,
    /// Why: the stable word.
    pub cause: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Who holds it, until when and why, where a person does.
    pub by_hand: Option<HandHold>,
    /// What Graph answered.
    pub graph: Option<Seen>,
    /// Since when, in Unix milliseconds.
    pub since: i64,
    /// For how long, in seconds.
    pub seconds: u64,
    /// Seconds to the next try, if there will be one.
    pub next_probe: Option<u64>,
    /// The pixels whose events wait.
    pub pixels: Vec<PixelId>,
    /// Events that wait, of all those pixels; of a lane, those of its class.
    pub waiting: u64,
    /// Seconds until the first of them expires, as [`crate::journal::Journal::next_expiry`] knows it.
    pub first_expiry: Option<u64>,
}

/// What stops a lane and no other: shared between its task and who looks at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stuck(Arc<StuckInner>);

#[derive(Debug, Default)]
struct StuckInner {
    by: Mutex<Option<(HeldBy, UnixMs)>>,
    freed: Notify,
}

impl Stuck {
    pub(super) fn set(&self, by: HeldBy, at: UnixMs) {
        let mut stuck = super::lock(&self.0.by);
        let since = stuck
            .filter(|(was, _)| *was == by)
            .map_or(at, |(_, since)| since);
        *stuck = Some((by, since));
    }

    pub(super) fn clear(&self) {
        *super::lock(&self.0.by) = None;
    }

    /// This does not stop it any more; something else may.
    pub(super) fn ends(&self, by: HeldBy) {
        super::lock(&self.0.by).take_if(|(was, _)| *was == by);
    }

    pub(super) fn get(&self) -> Option<(HeldBy, UnixMs)> {
        *super::lock(&self.0.by)
    }

    /// Lets the lane try again at once, if something stops it.
    pub(super) fn free(&self) {
        if self.get().is_some() {
            self.0.freed.notify_one();
        }
    }

    /// Waits for [`Stuck::free`].
    pub(super) async fn freed(&self) {
        self.0.freed.notified().await;
    }
}

impl Shared {
    /// The state of a lane, as the metric shows it.
    pub(super) fn state_of(&self, key: &LaneKey, stuck: &Stuck) -> &'static str {
        if stuck.get().is_some() {
            return HELD;
        }
        let gravest = self.circuits.gravest(key.pixel, key.class);
        gravest.map_or("open", |standing| standing.state.code())
    }

    fn show(&self, key: &LaneKey, stuck: &Stuck, depth: LaneDepth) -> LaneSnapshot {
        let (now, wall) = (Instant::now(), self.tools.clock.now());
        let gravest = self.circuits.gravest(key.pixel, key.class);
        let held_by = match stuck.get() {
            Some((by, _)) => Some(by),
            None => gravest.as_ref().and_then(Standing::held_by),
        };
        let state = self.state_of(key, stuck);
        let since = match stuck.get() {
            Some((_, since)) => since,
            None => gravest.as_ref().map_or(wall, |standing| standing.since),
        };
        let gravest = gravest.filter(|_| stuck.get().is_none());
        let is_throttled = state == THROTTLED;
        LaneSnapshot {
            pixel: key.pixel,
            test_event_code: key.options.test_event_code.clone(),
            class: key.class.code(),
            state,
            reason: held_by
                .map(HeldBy::code)
                .or(is_throttled.then_some(THROTTLED)),
            advice: held_by
                .map(HeldBy::advice)
                .or(is_throttled.then_some(SLOW_DOWN)),
            circuit: gravest
                .as_ref()
                .filter(|standing| standing.state.rank() > 0)
                .map(|standing| standing.key.to_string()),
            seconds: wall.since(since).as_secs(),
            next_try: gravest.as_ref().and_then(|standing| standing.next_try(now)),
            waiting: depth.records,
            waiting_bytes: depth.bytes,
            oldest_seconds: depth.oldest_received_at.map(|at| wall.since(at).as_secs()),
            pace_factor: self.circuits.factor(key.pixel),
        }
    }
}

impl Lanes {
    /// What each lane does now, in the order of pixel and options.
    pub fn snapshot(&self) -> Vec<LaneSnapshot> {
        self.states().into_iter().map(|(_, shown)| shown).collect()
    }

    /// The same, each with its key.
    pub fn states(&self) -> Vec<(LaneKey, LaneSnapshot)> {
        let running: Vec<(LaneKey, Stuck)> = super::lock(&self.0.lanes)
            .iter()
            .map(|(key, running)| (key.clone(), running.stuck.clone()))
            .collect();
        let show = |(key, stuck): (LaneKey, Stuck)| {
            let waiting = self.0.tools.journal.waiting(&key);
            let shown = self.0.show(&key, &stuck, waiting);
            (key, shown)
        };
        running.into_iter().map(show).collect()
    }

    /// Everything that is held or throttled: apps first, then tokens, pixels and lanes.
    /// Blocks on a few reads for each lane of theirs.
    pub fn holds(&self) -> Vec<HoldSnapshot> {
        let (now, wall) = (Instant::now(), self.0.tools.clock.now());
        let mut stopped = self.0.circuits.stopped();
        let mut by_hand = BTreeMap::new();
        for (standing, hold) in self.0.tools.by_hand.standings() {
            by_hand.insert(standing.key, hold);
            stopped.push(standing);
        }
        let stuck = self.0.stuck_lanes();
        if stopped.is_empty() && stuck.is_empty() {
            return Vec::new();
        }
        let stops = |pixel: &PixelId| stopped.iter().any(|s| s.pixels.contains(pixel));
        let journal = &self.0.tools.journal;
        let mut waiting: BTreeMap<(PixelId, Class), (u64, Option<UnixMs>)> = BTreeMap::new();
        for (key, depth) in journal.lanes() {
            if stops(&key.pixel) {
                let (records, first) = waiting.entry((key.pixel, key.class)).or_default();
                *records += depth.records;
                *first = earlier(*first, journal.next_expiry(&key));
            }
        }
        let show = |standing: &Standing| {
            let held_by = standing.held_by();
            let waits_for = |(pixel, class): &(PixelId, Class)| {
                standing.pixels.contains(pixel) && standing.key.concerns(*class)
            };
            let (records, first) = (waiting.iter().filter(|(of, _)| waits_for(of)))
                .fold((0, None), |(sum, first), (_, (n, next))| {
                    (sum + n, earlier(first, *next))
                });
            HoldSnapshot {
                id: standing.key.to_string(),
                scope: Scope::code(standing.key.scope()),
                state: standing.state.code(),
                cause: held_by.map_or(THROTTLED, HeldBy::code),
                advice: held_by.map_or(SLOW_DOWN, HeldBy::advice),
                by_hand: by_hand.get(&standing.key).cloned(),
                graph: standing.seen.clone(),
                since: standing.since.0,
                seconds: wall.since(standing.since).as_secs(),
                next_probe: standing.next_try(now),
                pixels: standing.pixels.clone(),
                waiting: records,
                first_expiry: first.map(|at| at.since(wall).as_secs()),
            }
        };
        let mut holds: Vec<HoldSnapshot> = stopped.iter().map(show).collect();
        for (key, (by, since)) in &stuck {
            let (waiting, first) = journal.lanes().iter().fold((0, None), |sum, (of, depth)| {
                if (of.pixel, of.class) != *key {
                    return sum;
                }
                (
                    sum.0 + depth.records,
                    earlier(sum.1, journal.next_expiry(of)),
                )
            });
            holds.push(HoldSnapshot {
                id: Key::Lane(key.0, key.1).to_string(),
                scope: Scope::code(Scope::Lane),
                state: HELD,
                cause: by.code(),
                advice: by.advice(),
                by_hand: None,
                graph: None,
                since: since.0,
                seconds: wall.since(*since).as_secs(),
                next_probe: None,
                pixels: vec![key.0],
                waiting,
                first_expiry: first.map(|at| at.since(wall).as_secs()),
            });
        }
        holds
    }
}

impl Shared {
    /// Lanes that something of ours stops, such as a disk that is full.
    fn stuck_lanes(&self) -> BTreeMap<(PixelId, Class), (HeldBy, UnixMs)> {
        let lanes = super::lock(&self.lanes);
        let stuck = |(key, running): (&LaneKey, &super::Running)| {
            Some(((key.pixel, key.class), running.stuck.get()?))
        };
        lanes.iter().filter_map(stuck).collect()
    }

    /// Lets lanes try again that something of ours stops; of this id, or all. True if there are.
    pub(super) fn free_stuck(&self, id: Option<&str>) -> bool {
        let lanes = super::lock(&self.lanes);
        let mut any = false;
        for (key, running) in lanes.iter() {
            let is_meant = id.is_none_or(|id| Key::Lane(key.pixel, key.class).to_string() == id);
            if is_meant && running.stuck.get().is_some() {
                running.stuck.free();
                any = true;
            }
        }
        any
    }
}

fn earlier(one: Option<UnixMs>, other: Option<UnixMs>) -> Option<UnixMs> {
    one.into_iter().chain(other).min()
}
