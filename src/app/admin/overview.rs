//! `GET /overview`: whether it works, a line a pixel; what needs a person comes first.

mod losses;
mod stray;
mod token;

use std::collections::BTreeMap;

use serde::Serialize;

use super::call::{Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use super::{Inner, pages};
use crate::custody::ladder::when;
use crate::lanes::Lanes;
use crate::lanes::by_hand::HandHold;
use crate::lanes::snapshot::{BY_HAND, HELD, HeldBy, LaneSnapshot};
use crate::pixel::PixelId;
use crate::text::counted;
use crate::time::UnixMs;
use crate::traffic::Totals;

use losses::{Loss, Losses};
use stray::Strays;

pub(super) use losses::Issues;
pub(super) use token::{NotesCache, Token};

/// Lines of one page.
pub(super) const PAGE: usize = 100;
/// Pixels that the first sentence names.
const NAMED: usize = 3;
/// Pages that may be asked for.
const MAX_PAGES: u64 = 1_000_000;

/// Whether it works.
#[derive(Serialize)]
pub(super) struct Overview {
    /// The answer in a sentence.
    pub(super) says: String,
    /// How grave it is.
    pub(super) rank: Rank,
    /// Why the gateway takes no events.
    pub(super) gateway: Vec<pages::Reason>,
    /// Pixels that need a person, of all there are.
    pub(super) needing: usize,
    /// Pixels that the search has found; all without one.
    pub(super) pixels: usize,
    /// This page, from 1.
    pub(super) page: u64,
    /// How many there are.
    pub(super) pages: u64,
    /// Since when there are counts, in Unix milliseconds: the start of the process.
    pub(super) since: i64,
    /// The version that is asked for.
    pub(super) graph_version: String,
    pub(super) rows: Vec<Row>,
}

/// One pixel.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) pixel: PixelId,
    pub(super) name: Option<String>,
    /// Whether it is in the configuration. One that is not has no counts, and is here while events of
    /// it wait.
    pub(super) configured: bool,
    pub(super) rank: Rank,
    /// What is to be done, or to be watched, the gravest first.
    pub(super) needs: Vec<Need>,
    pub(super) last_5_minutes: Totals,
    pub(super) last_24_hours: Totals,
    /// Issues of it that are not over.
    pub(super) issues: Issues,
    /// Events that wait.
    pub(super) waiting: u64,
    /// Seconds since the oldest of them came.
    pub(super) oldest_seconds: Option<u64>,
    pub(super) token: Token,
    pub(super) test_mode: Option<TestMode>,
    pub(super) lane: Lane,
    /// Who holds it, until when and why, where a person does.
    pub(super) by_hand: Option<HandHold>,
    /// Events made durable in each quarter of an hour of the last day, the oldest first.
    pub(super) accepted_by_quarter: Vec<u32>,
}

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rank {
    /// A person has to do something.
    NeedsPerson,
    /// It may pass by itself.
    Watch,
    Ok,
}

/// Something to be done.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Need {
    /// The stable word.
    pub(super) code: &'static str,
    pub(super) rank: Rank,
    pub(super) says: String,
    pub(super) next: String,
}

/// A test code in force.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TestMode {
    pub(super) code: String,
    /// In Unix milliseconds; none when it does not end by itself.
    pub(super) until: Option<i64>,
    pub(super) mirror: bool,
}

/// The lanes of a pixel, by the gravest of them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Lane {
    /// As of a lane; `idle` when it has none.
    pub(super) state: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) advice: Option<&'static str>,
    /// Seconds in this state.
    pub(super) seconds: u64,
    /// Seconds to the next try.
    pub(super) next_try: Option<u64>,
}

/// What part of it is asked for.
pub(super) struct Wanted {
    /// Part of an id or name, in lower case.
    pub(super) search: Option<String>,
    pub(super) page: u64,
}

/// `GET /overview`.
pub(super) fn show(mut call: Call) -> Done {
    Box::pin(async move {
        let wanted = Wanted::take(&mut call.members)?;
        call.members.end()?;
        let inner = call.admin.0;
        // it reads a file, and looks at every lane
        let overview = beside(move || look(&inner, &wanted)).await?;
        Ok(Reply::ok(&overview))
    })
}

impl Wanted {
    pub(super) fn take(members: &mut Members) -> Result<Self, Problem> {
        let search = members.text("search")?;
        Ok(Self {
            search: search.map(|search| search.trim().to_lowercase()),
            page: members.number("page", 1..=MAX_PAGES)?.unwrap_or(1),
        })
    }
}

/// What the lanes of one pixel come to.
#[derive(Clone, Copy, Default)]
struct Waiting {
    events: u64,
    oldest_seconds: Option<u64>,
}

/// Looks at all there is. Blocks.
pub(super) fn look(inner: &Inner, wanted: &Wanted) -> Overview {
    let in_force = inner.in_force();
    let now = inner.clock.now();
    let pixels = &in_force.config.pixels;
    let mut lanes: BTreeMap<PixelId, (LaneSnapshot, Waiting)> = BTreeMap::new();
    let mut strays = Strays::new();
    for (key, lane) in inner.lanes.get().map(Lanes::states).unwrap_or_default() {
        if lane.waiting > 0 && !pixels.contains_key(&key.pixel) {
            strays.entry(key.pixel).or_default().push(key);
        }
        let waiting = Waiting {
            events: lane.waiting,
            oldest_seconds: lane.oldest_seconds,
        };
        match lanes.get_mut(&lane.pixel) {
            None => {
                lanes.insert(lane.pixel, (lane, waiting));
            }
            Some((gravest, sum)) => {
                sum.events += waiting.events;
                sum.oldest_seconds = sum.oldest_seconds.max(waiting.oldest_seconds);
                if gravity(lane.state) > gravity(gravest.state) {
                    *gravest = lane;
                }
            }
        }
    }
    let notes = inner.notes.read(&in_force.config.journal.dir, now);
    let tokens = token::Tokens::of(&in_force, &notes, now);
    let losses = Losses::of(inner);
    let mut needing: Vec<(PixelId, String)> = Vec::new();
    let by_hand = inner.lanes.get().map(Lanes::by_hand).unwrap_or_default();
    let (mut watched, mut stopped) = (0, 0);
    let mut found: Vec<(Rank, PixelId)> = Vec::with_capacity(pixels.len());
    let has = |text: &str| {
        let search = wanted.search.as_ref();
        search.is_none_or(|search| text.to_lowercase().contains(search))
    };
    for id in strays.keys() {
        let (_, waiting) = lanes[id];
        let said = stray::need(*id, waiting, None, now).says;
        needing.push((*id, format!("{id} ({said})")));
        if has(&id.to_string()) {
            found.push((Rank::NeedsPerson, *id));
        }
    }
    for (id, pixel) in pixels {
        let lane = lanes.get(id).map(|(lane, _)| lane);
        let token = tokens.rank(*id);
        let hand = by_hand.get(id);
        stopped += usize::from(hand.is_some());
        let own = hand.map_or(Rank::Ok, |_| Rank::Watch);
        let loss = losses.of_pixel(*id);
        let rank = rank(lane).min(token).min(own).min(loss.rank());
        match rank {
            Rank::NeedsPerson if needing.len() < NAMED => {
                let name = pixel.name.clone().unwrap_or_else(|| id.to_string());
                let needs = needs(lane, hand, now, &tokens.of_pixel(*id), &loss);
                let why = needs.first().map(|need| need.says.clone());
                needing.push((*id, format!("{name} ({})", why.unwrap_or_default())));
            }
            Rank::NeedsPerson => needing.push((*id, String::new())),
            Rank::Watch => watched += usize::from(hand.is_none()),
            Rank::Ok => {}
        }
        if has(&id.to_string()) || pixel.name.as_deref().is_some_and(has) {
            found.push((rank, *id));
        }
    }
    found.sort_unstable();
    let gateway = inner.reasons();
    let page_count = (found.len().div_ceil(PAGE) as u64).max(1);
    let page = wanted.page.min(page_count);
    let active = codes(inner);
    let shown = (found.iter()).skip((page as usize - 1) * PAGE).take(PAGE);
    let rows = shown.map(|(rank, id)| {
        let (lane, waiting) = match lanes.get(id) {
            Some((lane, waiting)) => (Some(lane), *waiting),
            None => (None, Waiting::default()),
        };
        let token = tokens.of_pixel(*id);
        let (pulse, loss) = (inner.traffic.pulse(*id), losses.of_pixel(*id));
        let needs = match strays.get(id) {
            Some(lanes) => {
                let expiry = stray::expiry(&inner.journal, lanes);
                vec![stray::need(*id, waiting, expiry, now)]
            }
            None => needs(lane, by_hand.get(id), now, &token, &loss),
        };
        Row {
            pixel: *id,
            name: pixels.get(id).and_then(|pixel| pixel.name.clone()),
            configured: pixels.contains_key(id),
            rank: *rank,
            needs,
            issues: loss.issues,
            last_5_minutes: pulse.minutes,
            last_24_hours: pulse.day,
            waiting: waiting.events,
            oldest_seconds: waiting.oldest_seconds,
            token,
            test_mode: active.get(id).cloned(),
            lane: Lane::of(lane, by_hand.get(id), now),
            by_hand: by_hand.get(id).cloned(),
            accepted_by_quarter: pulse.accepted,
        }
    });
    let rows: Vec<Row> = rows.collect();
    let rank = if !gateway.is_empty() || !needing.is_empty() {
        Rank::NeedsPerson
    } else if watched + stopped > 0 {
        Rank::Watch
    } else {
        Rank::Ok
    };
    Overview {
        says: says(&gateway, &needing, (watched, stopped), pixels.len()),
        rank,
        gateway,
        needing: needing.len(),
        pixels: found.len(),
        page,
        pages: page_count,
        since: inner.traffic.since().0,
        graph_version: in_force.config.graph.version.to_string(),
        rows,
    }
}

fn codes(inner: &Inner) -> BTreeMap<PixelId, TestMode> {
    let mut active = BTreeMap::new();
    for entry in inner.test_mode.active() {
        active.entry(entry.pixel).or_insert(TestMode {
            code: entry.code,
            until: entry.until,
            mirror: entry.mirror,
        });
    }
    active
}

/// The answer within five seconds.
fn says(
    gateway: &[pages::Reason],
    needing: &[(PixelId, String)],
    (watched, stopped): (usize, usize),
    pixels: usize,
) -> String {
    if let Some(reason) = gateway.first() {
        return format!(
            "The gateway takes no events ({}): {}.",
            reason.code, reason.advice
        );
    }
    let many = |count: usize| counted(count as u64, "pixel");
    if !needing.is_empty() {
        let verb = if needing.len() == 1 { "needs" } else { "need" };
        let named: Vec<&str> = (needing.iter().take(NAMED))
            .map(|(_, why)| why.as_str())
            .collect();
        let more = match needing.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = named.join(", ");
        return format!("{} {verb} you: {named}{more}.", many(needing.len()));
    }
    let held = match stopped {
        1 => "1 pixel is held by hand".to_owned(),
        _ => format!("{stopped} pixels are held by hand"),
    };
    match (watched, stopped) {
        (0, 0) => format!("All is well with {}.", many(pixels)),
        (0, _) => format!("Nothing needs you: of {pixels}, {held}."),
        _ => {
            let held = if stopped > 0 {
                format!("; {held}")
            } else {
                String::new()
            };
            format!(
                "Nothing needs you: {} of {pixels} to watch{held}.",
                many(watched)
            )
        }
    }
}

fn rank(lane: Option<&LaneSnapshot>) -> Rank {
    match lane.map(|lane| lane.state) {
        Some(HELD) => Rank::NeedsPerson,
        Some(BY_HAND | "throttled" | "backoff" | "probation") => Rank::Watch,
        _ => Rank::Ok,
    }
}

/// States from the lightest on.
fn gravity(state: &str) -> usize {
    let states = [
        "idle",
        "open",
        "probation",
        "backoff",
        "throttled",
        BY_HAND,
        HELD,
    ];
    states.iter().position(|known| *known == state).unwrap_or(0)
}

fn needs(
    lane: Option<&LaneSnapshot>,
    by_hand: Option<&HandHold>,
    now: UnixMs,
    token: &Token,
    loss: &Loss,
) -> Vec<Need> {
    let mut needs = Vec::new();
    if let Some(hold) = by_hand {
        needs.push(Need {
            code: HeldBy::Hand.code(),
            rank: Rank::Watch,
            says: held_by_hand(hold, now),
            next: HeldBy::Hand.advice().to_owned(),
        });
    }
    let is_other = |lane: &&LaneSnapshot| lane.state != BY_HAND && rank(Some(lane)) != Rank::Ok;
    if let Some(lane) = lane.filter(is_other) {
        let reason = lane.reason.unwrap_or(lane.state);
        let waiting = "it is tried again by itself";
        needs.push(Need {
            code: reason,
            rank: rank(Some(lane)),
            says: if reason == lane.state {
                reason.to_owned()
            } else {
                format!("{}: {}", lane.state, reason.replace('_', " "))
            },
            next: lane.advice.unwrap_or(waiting).to_owned(),
        });
    }
    // of a token that holds the lane the lane has told already
    let about_token = ["token", "no_token"];
    let is_told = (needs.iter()).any(|need| about_token.contains(&need.code));
    needs.extend(token.need().filter(|_| !is_told));
    needs.extend(loss.needs());
    needs.sort_by_key(|need| need.rank);
    needs
}

/// Such as `held by hand, by admin.keys[0], for 3 min: the shop moves`.
fn held_by_hand(hold: &HandHold, now: UnixMs) -> String {
    let since = when(hold.at, now);
    let until = hold
        .until
        .map_or_else(String::new, |until| format!(", until {}", when(until, now)));
    let why = hold.reason.as_ref();
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!("held by hand, by {}, since {since}{until}{why}", hold.by)
}

impl Lane {
    fn of(lane: Option<&LaneSnapshot>, by_hand: Option<&HandHold>, now: UnixMs) -> Self {
        // a lane that has nothing to send says nothing of it
        if let Some(hold) = by_hand.filter(|_| lane.is_none_or(|lane| lane.state != HELD)) {
            return Self {
                state: BY_HAND,
                reason: Some(HeldBy::Hand.code()),
                advice: Some(HeldBy::Hand.advice()),
                seconds: now.since(hold.at).as_secs(),
                next_try: hold.until.map(|until| until.since(now).as_secs()),
            };
        }
        Self {
            state: lane.map_or("idle", |lane| lane.state),
            reason: lane.and_then(|lane| lane.reason),
            advice: lane.and_then(|lane| lane.advice),
            seconds: lane.map_or(0, |lane| lane.seconds),
            next_try: lane.and_then(|lane| lane.next_try),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_who_needs_somebody() {
        let need = |name: &str| {
            (
                PixelId::from_u64(7).unwrap(),
                format!("{name} (held: token)"),
            )
        };
        assert_eq!(says(&[], &[], (0, 0), 3), "All is well with 3 pixels.");
        assert_eq!(
            says(&[], &[need("a")], (0, 0), 3),
            "1 pixel needs you: a (held: token)."
        );
        let many: Vec<_> = ["a", "b", "c", "d", "e"].map(need).into();
        let said = says(&[], &many, (1, 0), 9);
        assert!(said.starts_with("5 pixels need you: a ("), "{said}");
        assert!(said.ends_with("c (held: token) and 2 more."), "{said}");
        assert_eq!(
            says(&[], &[], (0, 1), 3),
            "Nothing needs you: of 3, 1 pixel is held by hand."
        );
        let said = says(&[], &[], (2, 2), 9);
        assert!(said.ends_with("; 2 pixels are held by hand."), "{said}");
        assert!(
            said.starts_with("Nothing needs you: 2 pixels of 9"),
            "{said}"
        );
    }

    #[test]
    fn states_are_told_by_how_grave_they_are() {
        let all = [
            "idle",
            "open",
            "probation",
            "backoff",
            "throttled",
            BY_HAND,
            HELD,
        ];
        assert!(all.is_sorted_by_key(|state| gravity(state)));
    }
}
