//! The counts of one request, made without a lock.

use std::borrow::Cow;
use std::sync::Arc;

use super::day::Few;
use super::stopped::{Stage, Stop};
use super::{FRESHNESS, MAX_LABEL, MAX_LABELS, OTHER, REQUEST, UNNAMED};
use crate::codes;

/// Words of the events of one name that nearly every request has room for.
const USUAL_WORDS: usize = 12;

/// What one request has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub(super) source: Arc<str>,
    pub(super) coded: u32,
    pub(super) brought: Vec<Brought>,
    pub(super) warnings: Vec<(&'static str, u32)>,
    pub(super) stopped: Vec<Stop>,
}

/// What it has brought under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Brought {
    pub(super) name: String,
    pub(super) events: u32,
    pub(super) with_event_id: u32,
    pub(super) duplicates: u32,
    pub(super) freshness: [u32; FRESHNESS.len()],
    pub(super) words: Vec<(Kind, &'static str, u32)>,
}

/// What a word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    MatchKey,
    Refused,
    Filtered,
    Dead,
}

/// Where in its tally an event is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(usize);

impl Tally {
    /// Nothing yet, from the source of this name.
    pub fn of(source: Arc<str>) -> Self {
        Self {
            source,
            ..Self::default()
        }
    }

    /// The name of its source.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Counts an event that is taken, with the names of the fields of its `user_data`, and the seconds
    /// between its `event_time` and now.
    pub fn event(
        &mut self,
        name: &str,
        brought_id: bool,
        match_keys: impl Iterator<Item = &'static str>,
        age: i64,
    ) -> Place {
        let place = self.place(name);
        if let Some(brought) = self.brought.get_mut(place.0) {
            brought.events += 1;
            brought.with_event_id += u32::from(brought_id);
            let fresh = FRESHNESS.iter().position(|(_, most)| age <= *most);
            let fresh = fresh.and_then(|at| brought.freshness.get_mut(at));
            if let Some(count) = fresh {
                *count += 1;
            }
            let mut from = 0;
            for key in match_keys {
                from = brought.add(Kind::MatchKey, key, 1, from);
            }
        }
        place
    }

    /// The event counted there, with its id, was received before.
    pub fn duplicate(&mut self, place: Place, event_id: Option<String>) {
        if let Some(brought) = self.brought.get_mut(place.0) {
            brought.duplicates += 1;
            self.stopped.push(Stop {
                name: brought.name.clone(),
                event_id,
                stage: Stage::Duplicate,
                cause: codes::DUPLICATE.word(),
                events: 1,
            });
        }
    }

    /// The events taken get a test code.
    pub fn coded(&mut self) {
        self.coded = self.brought.iter().map(|brought| brought.events).sum();
    }

    /// Counts a warning by its word.
    pub fn warning(&mut self, word: &'static str) {
        match self.warnings.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => self.warnings.push((word, 1)),
        }
    }

    /// Counts an event with this id that is refused, by its word.
    pub fn refused(&mut self, name: &str, event_id: Option<&str>, word: &'static str) {
        self.stop(name, event_id, Stage::Refused, word, 1);
    }

    /// Counts a request of so many events that is refused as a whole, by its word.
    pub fn refused_whole(&mut self, word: &'static str, events: usize) {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        self.stop(REQUEST, None, Stage::Refused, word, events);
    }

    /// Counts an event with this id that a policy has kept back, by the policy's word.
    pub fn filtered(&mut self, name: &str, event_id: Option<&str>, word: &'static str) {
        self.stop(name, event_id, Stage::Filtered, word, 1);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.brought.is_empty() && self.warnings.is_empty()
    }

    /// The same without names and words.
    pub(super) fn few(&self) -> Few {
        let mut few = Few {
            coded: self.coded,
            ..Few::default()
        };
        for brought in &self.brought {
            few.add(Few {
                taken: brought.events,
                duplicates: brought.duplicates,
                refused: brought.count(Kind::Refused),
                filtered: brought.count(Kind::Filtered),
                ..Few::default()
            });
        }
        few
    }

    fn stop(
        &mut self,
        name: &str,
        event_id: Option<&str>,
        stage: Stage,
        cause: &'static str,
        events: u32,
    ) {
        let name = if name.is_empty() { UNNAMED } else { name };
        let place = self.place(name);
        if let Some(brought) = self.brought.get_mut(place.0) {
            let kind = match stage {
                Stage::Filtered => Kind::Filtered,
                Stage::Refused | Stage::Duplicate => Kind::Refused,
            };
            brought.add(kind, cause, events, 0);
        }
        self.stopped.push(Stop {
            name: cut(name).to_owned(),
            event_id: event_id.map(str::to_owned),
            stage,
            cause,
            events,
        });
    }

    fn place(&mut self, name: &str) -> Place {
        let name = cut(name);
        let is_it = |brought: &Brought| brought.name == name;
        if let Some(known) = self.brought.iter().position(is_it) {
            return Place(known);
        }
        if self.brought.len() < MAX_LABELS {
            self.brought.push(Brought::of(name));
            return Place(self.brought.len() - 1);
        }
        // the last is for all others
        if self.brought.len() == MAX_LABELS {
            self.brought.push(Brought::of(OTHER));
        }
        Place(MAX_LABELS)
    }
}

impl Brought {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            words: Vec::with_capacity(USUAL_WORDS),
            ..Self::default()
        }
    }

    /// Counts a word, looked for from the place `from`; gives the place behind it, where the next of
    /// the same order is likely to be. The words are constants: there are few.
    fn add(&mut self, kind: Kind, word: &'static str, count: u32, from: usize) -> usize {
        let is_it = |known: &(Kind, &'static str, u32)| known.0 == kind && known.1 == word;
        let ahead = self.words.iter().skip(from).position(is_it);
        let known = ahead.map(|ahead| from + ahead);
        let known = known.or_else(|| self.words.iter().take(from).position(is_it));
        if let Some((at, (_, _, sum))) = known.and_then(|at| Some((at, self.words.get_mut(at)?))) {
            *sum = sum.saturating_add(count);
            return at + 1;
        }
        self.words.push((kind, word, count));
        self.words.len()
    }

    fn count(&self, kind: Kind) -> u32 {
        let own = self.words.iter().filter(|(of, _, _)| *of == kind);
        own.map(|(_, _, count)| count).sum()
    }
}

/// Events that have ended together, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended<'a>(pub(super) Vec<(Cow<'a, str>, u32)>);

impl<'a> Ended<'a> {
    /// Counts the names.
    pub fn of(names: impl Iterator<Item = Cow<'a, str>>) -> Self {
        let mut all: Vec<(Cow<'a, str>, u32)> = Vec::new();
        for name in names {
            let name = if all.len() > MAX_LABELS {
                OTHER.into()
            } else {
                name
            };
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => all.push((name, 1)),
            }
        }
        Self(all)
    }

    pub(super) fn count(&self) -> u32 {
        let counts = self.0.iter().map(|(_, count)| *count);
        counts.fold(0, u32::saturating_add)
    }
}

/// As much of a name as is kept.
pub(super) fn cut(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_LABEL).map(|(at, _)| at);
    end.and_then(|end| name.get(..end)).unwrap_or(name)
}
