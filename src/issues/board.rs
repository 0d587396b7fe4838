//! The groups, in memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::recent::Recent;
use super::{
    Issue, IssueId, Kind, MAX_CURRENCIES, MAX_EVENT_ID, MAX_EVENT_IDS, MAX_ISSUES, MAX_PER_PIXEL,
    Seen, State,
};
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
}

struct Entry {
    id: IssueId,
    kind: Kind,
    events: u64,
    recent: Recent,
    first_seen: UnixMs,
    last_seen: UnixMs,
    money: BTreeMap<String, f64>,
    /// The newest last.
    event_ids: VecDeque<String>,
}

impl Board {
    pub(super) fn note(&mut self, mut seen: Seen, now: UnixMs) {
        seen.kind.path = shortened(seen.kind.path);
        let known = self.pixels.get_mut(&seen.kind.pixel);
        let known = known.and_then(|all| all.iter_mut().find(|one| one.kind == seen.kind));
        if let Some(entry) = known {
            return entry.add(seen, now);
        }
        self.make_room(seen.kind.pixel);
        let mut entry = Entry::new(seen.kind.clone(), now);
        let pixel = seen.kind.pixel;
        entry.add(seen, now);
        self.pixels.entry(pixel).or_default().push(entry);
        self.count += 1;
    }

    /// Takes out the one that was seen least lately, of the pixel or of all, where there is none to
    /// spare.
    fn make_room(&mut self, pixel: PixelId) {
        let own = self.pixels.get(&pixel).map_or(0, Vec::len);
        let from = if own >= MAX_PER_PIXEL {
            Some(pixel)
        } else if self.count >= MAX_ISSUES {
            let oldest = |all: &Vec<Entry>| all.iter().map(|one| one.last_seen).min();
            let all = self.pixels.iter();
            let first = all.min_by_key(|(_, all)| oldest(all));
            first.map(|(pixel, _)| *pixel)
        } else {
            None
        };
        let Some(from) = from else { return };
        let Some(all) = self.pixels.get_mut(&from) else {
            return;
        };
        let oldest = all.iter().enumerate().min_by_key(|(_, one)| one.last_seen);
        if let Some((at, _)) = oldest {
            all.swap_remove(at);
            self.count -= 1;
        }
        if all.is_empty() {
            self.pixels.remove(&from);
        }
    }

    pub(super) fn list(&self, wanted: &dyn Fn(&Kind) -> bool, now: UnixMs) -> Vec<Issue> {
        let all = self.pixels.values().flatten();
        all.filter(|one| wanted(&one.kind))
            .map(|one| one.shown(now))
            .collect()
    }

    pub(super) fn get(&self, id: IssueId, now: UnixMs) -> Option<Issue> {
        let mut all = self.pixels.values().flatten();
        all.find(|one| one.id == id).map(|one| one.shown(now))
    }
}

impl Entry {
    fn new(kind: Kind, now: UnixMs) -> Self {
        Self {
            id: kind.id(),
            kind,
            events: 0,
            recent: Recent::default(),
            first_seen: now,
            last_seen: now,
            money: BTreeMap::new(),
            event_ids: VecDeque::new(),
        }
    }

    fn add(&mut self, seen: Seen, now: UnixMs) {
        self.events += seen.events;
        self.recent.add(seen.events, now);
        self.last_seen = now;
        if let Some(money) = seen.money {
            let has_room = self.money.len() < MAX_CURRENCIES;
            match self.money.get_mut(money.currency()) {
                Some(sum) => *sum += money.value(),
                None if has_room => {
                    let currency = money.currency().to_owned();
                    self.money.insert(currency, money.value());
                }
                None => {}
            }
        }
        if let Some(id) = seen.event_id.filter(|id| id.len() <= MAX_EVENT_ID)
            && !self.event_ids.contains(&id)
        {
            if self.event_ids.len() >= MAX_EVENT_IDS {
                self.event_ids.pop_front();
            }
            self.event_ids.push_back(id);
        }
    }

    fn shown(&self, now: UnixMs) -> Issue {
        let cents =
            |(currency, sum): (&String, &f64)| (currency.clone(), (sum * 100.0).round() / 100.0);
        Issue {
            id: self.id,
            kind: self.kind.clone(),
            events: self.events,
            last_hour: self.recent.sum(now),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            money: self.money.iter().map(cents).collect(),
            event_ids: self.event_ids.iter().rev().cloned().collect(),
            state: State::Open,
            acknowledged: None,
            muted: None,
        }
    }
}

fn shortened(path: Cow<'static, str>) -> Cow<'static, str> {
    if path.len() <= MAX_PATH {
        return path;
    }
    let end = path.floor_char_boundary(MAX_PATH);
    Cow::Owned(path.get(..end).unwrap_or_default().to_owned())
}
