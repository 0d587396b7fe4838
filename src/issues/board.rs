//! The groups, in memory.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::recent::Recent;
use super::snapshot::{Amount, Group};
use super::{
    Brief, Issue, IssueId, Kind, Level, LevelOf, MAX_EVENT_ID, MAX_EVENT_IDS, MAX_ISSUES,
    MAX_PER_PIXEL, Place, Seen, State,
};
use crate::event::Money;
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Bytes of a path.
const MAX_PATH: usize = 96;

/// All groups.
#[derive(Default)]
pub(super) struct Board {
    /// No list is empty.
    pixels: HashMap<PixelId, Vec<Entry>>,
    count: usize,
    /// Whether something was changed that a [`Group`] has.
    changed: bool,
}

struct Entry {
    id: IssueId,
    kind: Kind,
    /// What was noted, one after the other.
    noted: Amount,
    /// What stands at this moment, and the most that stood since it was opened: of what is looked up
    /// they count in place of what was noted.
    level: Option<Level>,
    most: Option<Amount>,
    recent: Recent,
    first_seen: UnixMs,
    last_seen: UnixMs,
    over: Option<UnixMs>,
    /// The newest last.
    event_ids: VecDeque<String>,
}

impl Board {
    /// The groups of an earlier life.
    pub(super) fn of(groups: Vec<Group>) -> Self {
        let mut board = Self::default();
        for group in groups.into_iter().take(MAX_ISSUES) {
            let entry = Entry::from(group);
            let (kind, at) = (entry.kind.clone(), entry.first_seen);
            *board.entry(&kind, at) = entry;
        }
        board.changed = false;
        board
    }

    /// All groups, if anything has changed since this was asked last.
    pub(super) fn changes(&mut self) -> Option<Vec<Group>> {
        let all = self.pixels.values().flatten();
        std::mem::take(&mut self.changed).then(|| all.map(Group::from).collect())
    }

    /// What was told of changes did not get to its end.
    pub(super) fn forget_told(&mut self) {
        self.changed = true;
    }

    pub(super) fn note(&mut self, mut seen: Seen, now: UnixMs) {
        self.changed = true;
        seen.kind.path = shortened(seen.kind.path);
        self.entry(&seen.kind, now).add(seen, now);
    }

    /// Takes over what stands; gives the groups of which nothing does any more, though they are not
    /// over, with when each was last seen.
    pub(super) fn stand(&mut self, mut levels: Vec<Level>) -> Vec<(IssueId, Kind, UnixMs)> {
        let stands: HashSet<IssueId> = levels.iter().map(|level| level.kind.id()).collect();
        // those beyond the bound are the ones that were seen least lately
        levels.sort_by_key(|level| std::cmp::Reverse(level.last));
        levels.truncate(MAX_ISSUES);
        for level in levels {
            let entry = self.entry(&level.kind, level.first);
            let is_new = entry.stand(level);
            self.changed |= is_new;
        }
        let mut rest = Vec::new();
        for entry in self.pixels.values_mut().flatten() {
            if !stands.contains(&entry.id) {
                entry.level = None;
                if entry.over.is_none() {
                    rest.push((entry.id, entry.kind.clone(), entry.last_seen));
                }
            }
        }
        rest
    }

    /// A group is over, unless it was seen since.
    pub(super) fn end(&mut self, id: IssueId, last_seen: UnixMs, now: UnixMs) {
        let mut all = self.pixels.values_mut().flatten();
        let entry = all.find(|one| one.id == id && one.last_seen == last_seen);
        if let Some(entry) = entry.filter(|one| one.level.is_none()) {
            entry.over = Some(now);
            self.changed = true;
        }
    }

    /// Adds ids of events from before the others of a group that is there.
    pub(super) fn recall(&mut self, kind: &Kind, ids: VecDeque<String>) {
        self.changed = true;
        let all = self.pixels.get_mut(&kind.pixel);
        let entry = all.and_then(|all| all.iter_mut().find(|one| one.kind == *kind));
        let Some(entry) = entry else { return };
        for id in ids.into_iter().rev() {
            if entry.event_ids.len() < MAX_EVENT_IDS && is_kept(&id, &entry.event_ids) {
                entry.event_ids.push_front(id);
            }
        }
    }

    pub(super) fn list(&self, wanted: &dyn Fn(&Kind) -> bool, now: UnixMs) -> Vec<Issue> {
        let all = self.pixels.values().flatten();
        all.filter(|one| wanted(&one.kind))
            .map(|one| one.shown(now))
            .collect()
    }

    /// All groups that are not over.
    pub(super) fn briefs(&self, now: UnixMs, looked: Duration) -> Vec<Brief> {
        let all = self.pixels.values().flatten();
        all.filter(|one| one.over.is_none())
            .map(|one| one.brief(now, looked))
            .collect()
    }

    /// All groups, each with whether it is over.
    pub(super) fn states(&self) -> Vec<(IssueId, bool)> {
        let all = self.pixels.values().flatten();
        all.map(|one| (one.id, one.over.is_some())).collect()
    }

    pub(super) fn get(&self, id: IssueId, now: UnixMs) -> Option<Issue> {
        let mut all = self.pixels.values().flatten();
        all.find(|one| one.id == id).map(|one| one.shown(now))
    }

    /// The group of this kind; a new one where there is none.
    fn entry(&mut self, kind: &Kind, at: UnixMs) -> &mut Entry {
        let place = |all: &Vec<Entry>| all.iter().position(|one| one.kind == *kind);
        if self.pixels.get(&kind.pixel).and_then(place).is_none() {
            self.make_room(kind.pixel);
            self.count += 1;
            let all = self.pixels.entry(kind.pixel).or_default();
            all.push(Entry::new(kind.clone(), at));
        }
        let all = self.pixels.entry(kind.pixel).or_default();
        let at = place(all).unwrap_or_default();
        &mut all[at]
    }

    /// Takes out one, of the pixel or of all, where there is none to spare: of those that are over,
    /// or else of all, the one that was seen least lately.
    fn make_room(&mut self, pixel: PixelId) {
        let order = |one: &Entry| (one.over.is_none(), one.last_seen);
        let own = self.pixels.get(&pixel).map_or(0, Vec::len);
        let from = if own >= MAX_PER_PIXEL {
            Some(pixel)
        } else if self.count >= MAX_ISSUES {
            let first = |all: &Vec<Entry>| all.iter().map(order).min();
            let all = self.pixels.iter();
            let first = all.min_by_key(|(_, all)| first(all));
            first.map(|(pixel, _)| *pixel)
        } else {
            None
        };
        let Some(from) = from else { return };
        let Some(all) = self.pixels.get_mut(&from) else {
            return;
        };
        let first = all.iter().enumerate().min_by_key(|(_, one)| order(one));
        if let Some((at, _)) = first {
            all.swap_remove(at);
            self.count -= 1;
        }
        if all.is_empty() {
            self.pixels.remove(&from);
        }
    }
}

impl Entry {
    fn new(kind: Kind, at: UnixMs) -> Self {
        Self {
            id: kind.id(),
            kind,
            noted: Amount::default(),
            level: None,
            most: None,
            recent: Recent::default(),
            first_seen: at,
            last_seen: at,
            over: None,
            event_ids: VecDeque::new(),
        }
    }

    fn add(&mut self, seen: Seen, now: UnixMs) {
        self.open();
        self.noted.add(seen.events, seen.money);
        self.recent.add(seen.events, now);
        self.last_seen = self.last_seen.max(now);
        self.keep(seen.event_id);
    }

    /// Whether that changes anything.
    fn stand(&mut self, mut level: Level) -> bool {
        self.open();
        self.first_seen = self.first_seen.min(level.first);
        self.last_seen = self.last_seen.max(level.last);
        for id in std::mem::take(&mut level.event_ids) {
            self.keep(Some(id));
        }
        let is_most = |most: &Amount| level.events >= most.events;
        if self.most.as_ref().is_none_or(is_most) {
            self.most = Some(Amount::from(&level));
        }
        let is_new = self.level.as_ref() != Some(&level);
        self.level = Some(level);
        is_new
    }

    /// It is seen again, if it was over.
    fn open(&mut self) {
        if self.over.take().is_some() {
            self.most = None;
        }
    }

    fn keep(&mut self, id: Option<String>) {
        let Some(id) = id.filter(|id| is_kept(id, &self.event_ids)) else {
            return;
        };
        if self.event_ids.len() >= MAX_EVENT_IDS {
            self.event_ids.pop_front();
        }
        self.event_ids.push_back(id);
    }

    fn brief(&self, now: UnixMs, looked: Duration) -> Brief {
        let last_hour = self.recent.sum(now);
        let is_dead = matches!(self.kind.place, Place::Meta | Place::Lane);
        let is_fresh = now.since(self.last_seen) < looked;
        Brief {
            id: self.id,
            pixel: self.kind.pixel,
            place: self.kind.place,
            state: State::Open,
            letters: match &self.level {
                Some(level) if level.of == LevelOf::Letters => level.events,
                None if is_dead && is_fresh => last_hour,
                _ => 0,
            },
            last_hour,
        }
    }

    fn shown(&self, now: UnixMs) -> Issue {
        let cents =
            |(currency, sum): (&String, &f64)| (currency.clone(), (sum * 100.0).round() / 100.0);
        let of = |what| {
            let level = self.level.as_ref().filter(|level| level.of == what);
            level.map_or(0, |level| level.events)
        };
        let noted = self.recent.sum(now);
        // what has died twice is one letter
        let last_hour = |level: &Level| level.last_hour.unwrap_or(noted.min(level.events));
        let (events, valued, money) = match (&self.level, &self.most) {
            (Some(level), _) => (level.events, level.valued, &level.money),
            (None, Some(most)) => (most.events, most.valued, &most.money),
            (None, None) => (self.noted.events, self.noted.valued, &self.noted.money),
        };
        Issue {
            id: self.id,
            kind: self.kind.clone(),
            events,
            waiting: of(LevelOf::Waiting),
            letters: of(LevelOf::Letters),
            last_hour: self.level.as_ref().map_or(noted, last_hour),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            money: money.iter().map(cents).collect(),
            valued,
            event_ids: self.event_ids.iter().rev().cloned().collect(),
            state: State::Open,
            over_since: self.over,
            acknowledged: None,
            muted: None,
        }
    }
}

impl From<Group> for Entry {
    fn from(group: Group) -> Self {
        let mut entry = Self::new(group.kind, group.first_seen);
        entry.noted = group.noted;
        entry.most = group.most;
        entry.last_seen = group.last_seen;
        entry.over = group.over;
        for id in group.event_ids {
            entry.keep(Some(id));
        }
        entry
    }
}

impl From<&Entry> for Group {
    fn from(entry: &Entry) -> Self {
        Self {
            kind: entry.kind.clone(),
            noted: entry.noted.clone(),
            most: entry.most.clone(),
            first_seen: entry.first_seen,
            last_seen: entry.last_seen,
            over: entry.over,
            event_ids: entry.event_ids.clone(),
        }
    }
}

impl From<&Level> for Amount {
    fn from(level: &Level) -> Self {
        Self {
            events: level.events,
            valued: level.valued,
            money: level.money.clone(),
        }
    }
}

impl Amount {
    fn add(&mut self, events: u64, money: Option<Money>) {
        self.events = self.events.saturating_add(events);
        if let Some(money) = money {
            self.valued += 1;
            if let Some(sum) = self.money.get_mut(money.currency()) {
                *sum += money.value();
            } else {
                let currency = money.currency().to_owned();
                self.money.insert(currency, money.value());
            }
        }
    }
}

fn is_kept(id: &str, known: &VecDeque<String>) -> bool {
    id.len() <= MAX_EVENT_ID && !known.iter().any(|one| one == id)
}

fn shortened(path: Cow<'static, str>) -> Cow<'static, str> {
    if path.len() <= MAX_PATH {
        return path;
    }
    let end = path.floor_char_boundary(MAX_PATH);
    Cow::Owned(path.get(..end).unwrap_or_default().to_owned())
}
