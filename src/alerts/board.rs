//! What is raised, what was told of it, and so what is to be told now.

mod budget;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::message::Message;
use super::{Alert, MAX_KEYS, Severity};
use crate::time::UnixMs;

use budget::Budget;

/// How long what an earlier process told is remembered if nobody raises it again.
const MEMORY: Duration = Duration::from_hours(30 * 24);

/// How much is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) repeat: Duration,
    pub(super) max_per_hour: usize,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Quiet,
    /// Log it, no more: people know.
    Log(Message),
    /// Log it and send it.
    Send(Message),
    /// Log it; there were too many in this hour.
    HoldBack(Message),
}

/// An alert that was told, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) alert: Alert,
    pub(super) at: UnixMs,
}

#[derive(Debug)]
pub(super) struct Board {
    entries: BTreeMap<String, Entry>,
    budget: Budget,
}

#[derive(Debug)]
struct Entry {
    /// As it was raised last.
    alert: Alert,
    /// How bad it was when it was last told or held back: to be that bad again is nothing new.
    worst: Severity,
    /// When it was last told or held back.
    at: UnixMs,
    /// A message of its own was made.
    told: bool,
    /// What became of it.
    fate: Fate,
    /// Raised in this process, not only in one before.
    live: bool,
}

/// What became of an alert when it was its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It waits for room in the hour.
    Held,
    /// It is on its way, or was given up.
    Sent,
    /// Someone has it.
    Delivered,
}

impl Entry {
    /// Whether it is time to tell again what lasts, now with this severity; what is only good to
    /// know is told until someone has it.
    fn is_due_again(&self, severity: Severity, now: UnixMs, limits: Limits) -> bool {
        let is_wanted = severity > Severity::Info || self.fate != Fate::Delivered;
        is_wanted && now.since(self.at) >= limits.repeat
    }
}

impl Board {
    pub(super) fn new(sent: Vec<Sent>, now: UnixMs) -> Self {
        let entry = |sent: Sent| {
            let entry = Entry {
                // a clock that has gone back must not silence anything
                at: sent.at.min(now),
                told: true,
                fate: Fate::Delivered,
                live: false,
                worst: sent.alert.severity,
                alert: sent.alert,
            };
            (entry.alert.key.clone(), entry)
        };
        Self {
            entries: sent.into_iter().take(MAX_KEYS).map(entry).collect(),
            budget: Budget::default(),
        }
    }

    /// Keys that are raised now.
    pub(super) fn raised(&self) -> usize {
        self.entries.values().filter(|entry| entry.live).count()
    }

    /// The keys that are like that.
    pub(super) fn keys(&self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        let keys = self.entries.keys().filter(|key| is_meant(key));
        keys.cloned().collect()
    }

    pub(super) fn raise(&mut self, alert: Alert, now: UnixMs, limits: Limits) -> Step {
        match self.entries.get_mut(&alert.key) {
            Some(known)
                if alert.severity <= known.worst
                    && !known.is_due_again(alert.severity, now, limits) =>
            {
                known.alert = alert;
                if std::mem::replace(&mut known.live, true) {
                    Step::Quiet
                } else {
                    Step::Log(Message::raised(known.alert.clone()))
                }
            }
            _ => self.tell(alert, now, limits),
        }
    }

    pub(super) fn clear(&mut self, key: &str, now: UnixMs, limits: Limits) -> Step {
        let Some(entry) = self.entries.remove(key) else {
            return Step::Quiet;
        };
        let alert = Alert {
            at: now,
            ..entry.alert
        };
        if entry.told {
            self.emit(Message::resolved(alert), now, limits)
        } else {
            Step::Log(Message::resolved(alert))
        }
    }

    /// What has become due.
    pub(super) fn tick(&mut self, now: UnixMs, limits: Limits) -> Vec<Step> {
        self.entries
            .retain(|_, entry| entry.live || now.since(entry.at) < MEMORY);
        let mut steps = self.tell_held(now, limits);
        let is_due = |entry: &&Entry| {
            entry.live
                && entry.fate != Fate::Held
                && entry.is_due_again(entry.alert.severity, now, limits)
        };
        let due: Vec<Alert> = (self.entries.values().filter(is_due))
            .map(|entry| entry.alert.clone())
            .collect();
        for alert in due {
            steps.push(self.tell(alert, now, limits));
        }
        steps.extend(self.budget.summary(now, limits).map(Step::Send));
        steps
    }

    /// Someone has the message.
    pub(super) fn delivered(&mut self, message: &Message) {
        if let Some(entry) = self.entries.get_mut(&message.alert.key)
            && !message.resolved
            // an earlier one says nothing about that it grew worse
            && message.alert.severity >= entry.worst
        {
            entry.fate = Fate::Delivered;
        }
    }

    /// What people know, to be written down.
    pub(super) fn sent(&self) -> Vec<Sent> {
        let known = self
            .entries
            .values()
            .filter(|entry| entry.fate == Fate::Delivered);
        let sent = |entry: &Entry| Sent {
            alert: Alert {
                severity: entry.worst,
                ..entry.alert.clone()
            },
            at: entry.at,
        };
        known.map(sent).collect()
    }

    fn tell(&mut self, alert: Alert, now: UnixMs, limits: Limits) -> Step {
        let step = self.emit(Message::raised(alert.clone()), now, limits);
        self.note(alert, now, matches!(step, Step::Send(_)));
        step
    }

    /// Tells what has waited, the worst and then the oldest first, as far as there is room.
    fn tell_held(&mut self, now: UnixMs, limits: Limits) -> Vec<Step> {
        let held = self
            .entries
            .values()
            .filter(|entry| entry.fate == Fate::Held);
        let mut held: Vec<(UnixMs, Alert)> =
            held.map(|entry| (entry.at, entry.alert.clone())).collect();
        held.sort_by_key(|(at, alert)| (Reverse(alert.severity), *at));
        let mut steps = Vec::new();
        for (_, alert) in held {
            if !self.budget.take(alert.severity, now, limits) {
                break;
            }
            self.note(alert.clone(), now, true);
            steps.push(Step::Send(Message::raised(alert)));
        }
        steps
    }

    /// Remembers that an alert was told, or held back.
    fn note(&mut self, alert: Alert, now: UnixMs, is_sent: bool) {
        let before = self.entries.remove(&alert.key);
        if self.entries.len() >= MAX_KEYS {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.entries.remove(&key);
            }
        }
        let entry = Entry {
            at: now,
            told: is_sent || before.is_some_and(|before| before.told),
            fate: if is_sent { Fate::Sent } else { Fate::Held },
            live: true,
            worst: alert.severity,
            alert,
        };
        self.entries.insert(entry.alert.key.clone(), entry);
    }

    fn emit(&mut self, message: Message, now: UnixMs, limits: Limits) -> Step {
        if self.budget.take(message.severity(), now, limits) {
            return Step::Send(message);
        }
        self.budget.hold(&message, now);
        Step::HoldBack(message)
    }
}

#[cfg(test)]
mod tests;
