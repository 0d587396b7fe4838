//! What is raised, what was told of it, and so what is to be told now.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::message::Message;
use super::{Alert, MAX_KEYS, Severity};
use crate::time::UnixMs;

/// The key of the message about what was held back.
pub(super) const HELD_BACK: &str = "alerts:held_back";

const HOUR: Duration = Duration::from_hours(1);
/// How long what is held back is gathered before one message tells of it.
const GATHER: Duration = Duration::from_mins(1);
/// How long what an earlier process told is remembered if nobody raises it again.
const MEMORY: Duration = Duration::from_hours(30 * 24);
/// Titles in the message about what was held back.
const MAX_TITLES: usize = 5;

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
    /// When messages of the last hour were sent.
    window: VecDeque<UnixMs>,
    held: Option<Held>,
    /// When the last message about what was held back was sent.
    held_told: Option<UnixMs>,
}

#[derive(Debug)]
struct Entry {
    alert: Alert,
    /// When it was last told or held back.
    at: UnixMs,
    /// A message of its own was made.
    told: bool,
    /// Someone has that message.
    delivered: bool,
    /// Raised in this process, not only in one before.
    live: bool,
}

#[derive(Debug)]
struct Held {
    since: UnixMs,
    count: usize,
    worst: Severity,
    titles: Vec<String>,
}

/// Whether it is time to tell again what lasts; what is only good to know is told once.
fn is_due_again(alert: &Alert, told: UnixMs, now: UnixMs, limits: Limits) -> bool {
    alert.severity > Severity::Info && now.since(told) >= limits.repeat
}

impl Board {
    pub(super) fn new(sent: Vec<Sent>, now: UnixMs) -> Self {
        let entry = |sent: Sent| {
            let entry = Entry {
                // a clock that has gone back must not silence anything
                at: sent.at.min(now),
                told: true,
                delivered: true,
                live: false,
                alert: sent.alert,
            };
            (entry.alert.key.clone(), entry)
        };
        Self {
            entries: sent.into_iter().take(MAX_KEYS).map(entry).collect(),
            window: VecDeque::new(),
            held: None,
            held_told: None,
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
                if alert.severity <= known.alert.severity
                    && !is_due_again(&alert, known.at, now, limits) =>
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
        let is_due =
            |entry: &&Entry| entry.live && is_due_again(&entry.alert, entry.at, now, limits);
        let due: Vec<Alert> = (self.entries.values().filter(is_due))
            .map(|entry| entry.alert.clone())
            .collect();
        let mut steps: Vec<Step> = due
            .into_iter()
            .map(|alert| self.tell(alert, now, limits))
            .collect();
        steps.extend(self.held_back(now, limits));
        steps
    }

    /// Someone has the message.
    pub(super) fn delivered(&mut self, message: &Message) {
        if let Some(entry) = self.entries.get_mut(&message.alert.key)
            && !message.resolved
        {
            entry.delivered = true;
        }
    }

    /// What people know, to be written down.
    pub(super) fn sent(&self) -> Vec<Sent> {
        let known = self.entries.values().filter(|entry| entry.delivered);
        let sent = |entry: &Entry| Sent {
            alert: entry.alert.clone(),
            at: entry.at,
        };
        known.map(sent).collect()
    }

    fn tell(&mut self, alert: Alert, now: UnixMs, limits: Limits) -> Step {
        let step = self.emit(Message::raised(alert.clone()), now, limits);
        let before = self.entries.remove(&alert.key);
        if self.entries.len() >= MAX_KEYS {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.entries.remove(&key);
            }
        }
        let entry = Entry {
            at: now,
            told: matches!(step, Step::Send(_)) || before.is_some_and(|before| before.told),
            delivered: false,
            live: true,
            alert,
        };
        self.entries.insert(entry.alert.key.clone(), entry);
        step
    }

    fn emit(&mut self, message: Message, now: UnixMs, limits: Limits) -> Step {
        self.window.retain(|at| *at <= now && now.since(*at) < HOUR);
        if self.window.len() < limits.max_per_hour {
            self.window.push_back(now);
            return Step::Send(message);
        }
        let severity = message.severity();
        let held = self.held.get_or_insert_with(|| Held {
            since: now,
            count: 0,
            worst: severity,
            titles: Vec::new(),
        });
        held.count += 1;
        held.worst = held.worst.max(severity);
        if held.titles.len() < MAX_TITLES {
            held.titles.push(message.headline());
        }
        Step::HoldBack(message)
    }

    /// The message about what was held back, once an hour and beyond the limit.
    fn held_back(&mut self, now: UnixMs, limits: Limits) -> Option<Step> {
        let held = self.held.as_ref()?;
        let is_early = now.since(held.since) < GATHER
            || self
                .held_told
                .is_some_and(|at| at <= now && now.since(at) < HOUR);
        if is_early {
            return None;
        }
        let held = self.held.take()?;
        self.held_told = Some(now);
        let more = if held.count > held.titles.len() {
            "\n…"
        } else {
            ""
        };
        Some(Step::Send(Message::raised(Alert {
            key: HELD_BACK.to_owned(),
            severity: held.worst,
            title: format!("{} more alerts held back, see the log", held.count),
            text: format!(
                "More than {} alerts an hour (alerts.max_per_hour) came up. These were only logged:\n{}{more}",
                limits.max_per_hour,
                held.titles.join("\n")
            ),
            next: "read the lines of the log that have the field alert.key; if this many is usual, raise alerts.max_per_hour".to_owned(),
            pixels: Vec::new(),
            token: None,
            at: now,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMs = UnixMs(1_795_305_600_000);
    const DAY: Duration = Duration::from_hours(24);
    const LIMITS: Limits = Limits {
        repeat: DAY,
        max_per_hour: 3,
    };

    fn alert(key: &str, severity: Severity) -> Alert {
        Alert {
            key: key.to_owned(),
            severity,
            title: format!("about {key}"),
            text: String::new(),
            next: String::new(),
            pixels: Vec::new(),
            token: None,
            at: START,
        }
    }

    fn warning(key: &str) -> Alert {
        alert(key, Severity::Warning)
    }

    fn at(minutes: u64) -> UnixMs {
        START.plus(Duration::from_mins(minutes))
    }

    fn word(step: &Step) -> &'static str {
        match step {
            Step::Quiet => "quiet",
            Step::Log(_) => "log",
            Step::Send(message) if message.resolved => "resolved",
            Step::Send(_) => "send",
            Step::HoldBack(_) => "hold",
        }
    }

    #[test]
    fn one_key_is_told_when_it_begins_grows_worse_lasts_and_ends() {
        let mut board = Board::new(Vec::new(), START);
        let mut raise =
            |severity, minutes| word(&board.raise(alert("a", severity), at(minutes), LIMITS));
        assert_eq!(raise(Severity::Warning, 0), "send");
        assert_eq!(raise(Severity::Warning, 1), "quiet");
        assert_eq!(raise(Severity::Info, 2), "quiet");
        // worse than the last time it was raised
        assert_eq!(raise(Severity::Critical, 3), "send");
        assert_eq!(raise(Severity::Critical, 1442), "quiet");
        assert_eq!(raise(Severity::Critical, 1443), "send");
        assert_eq!(board.raised(), 1);
        assert_eq!(word(&board.clear("a", at(1444), LIMITS)), "resolved");
        assert_eq!(word(&board.clear("a", at(1445), LIMITS)), "quiet");
        assert_eq!(board.raised(), 0);
        assert_eq!(word(&board.raise(warning("a"), at(1600), LIMITS)), "send");
    }

    #[test]
    fn what_lasts_is_told_again_without_being_raised_again() {
        let mut board = Board::new(Vec::new(), START);
        board.raise(warning("a"), at(0), LIMITS);
        assert!(board.tick(at(1439), LIMITS).is_empty());
        let steps = board.tick(at(1440), LIMITS);
        assert_eq!(steps.iter().map(word).collect::<Vec<_>>(), ["send"]);
        assert!(board.tick(at(1441), LIMITS).is_empty());
        board.clear("a", at(1500), LIMITS);
        assert!(board.tick(at(9999), LIMITS).is_empty());
    }

    #[test]
    fn what_is_only_good_to_know_is_told_once() {
        let mut board = Board::new(Vec::new(), START);
        let info = || alert("a", Severity::Info);
        assert_eq!(word(&board.raise(info(), at(0), LIMITS)), "send");
        assert!(board.tick(at(1440), LIMITS).is_empty());
        assert_eq!(word(&board.raise(info(), at(3000), LIMITS)), "quiet");
        assert_eq!(word(&board.raise(warning("a"), at(3001), LIMITS)), "send");
    }

    #[test]
    fn beyond_the_limit_one_message_says_how_many() {
        let mut board = Board::new(Vec::new(), START);
        for key in ["a", "b", "c"] {
            assert_eq!(word(&board.raise(warning(key), at(0), LIMITS)), "send");
        }
        for n in 0..7 {
            let severity = if n == 6 {
                Severity::Critical
            } else {
                Severity::Info
            };
            let step = board.raise(alert(&format!("x{n}"), severity), at(1), LIMITS);
            assert_eq!(word(&step), "hold");
        }
        assert!(board.tick(at(1), LIMITS).is_empty());
        let steps = board.tick(at(2), LIMITS);
        let [Step::Send(summary)] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        assert_eq!(summary.alert.title, "7 more alerts held back, see the log");
        assert_eq!(summary.alert.severity, Severity::Critical);
        assert!(
            summary.alert.text.ends_with("about x4\n…"),
            "{}",
            summary.alert.text
        );
        // one in an hour, then the next
        assert_eq!(word(&board.raise(warning("y"), at(3), LIMITS)), "hold");
        assert!(board.tick(at(59), LIMITS).is_empty());
        assert_eq!(word(&board.raise(warning("z"), at(60), LIMITS)), "send");
        assert_eq!(board.tick(at(62), LIMITS).len(), 1);
        // nobody was told of it, so nobody is told that it is over
        assert_eq!(word(&board.clear("x0", at(63), LIMITS)), "log");
    }

    #[test]
    fn a_restart_tells_nothing_again_that_someone_has() {
        let mut board = Board::new(Vec::new(), START);
        for key in ["has", "waits"] {
            board.raise(warning(key), at(0), LIMITS);
        }
        board.delivered(&Message::raised(warning("has")));
        let sent = board.sent();
        assert_eq!(sent.len(), 1);
        let mut board = Board::new(sent, at(10));
        assert_eq!(board.raised(), 0);
        assert_eq!(word(&board.raise(warning("has"), at(10), LIMITS)), "log");
        assert_eq!(word(&board.raise(warning("has"), at(11), LIMITS)), "quiet");
        assert_eq!(word(&board.raise(warning("waits"), at(11), LIMITS)), "send");
        assert_eq!(word(&board.clear("has", at(12), LIMITS)), "resolved");
    }

    #[test]
    fn what_nobody_raises_again_is_not_repeated_and_is_forgotten() {
        let sent = |key: &str, at| Sent {
            alert: warning(key),
            at,
        };
        let mut board = Board::new(vec![sent("old", at(0))], at(1));
        assert!(board.tick(at(2000), LIMITS).is_empty());
        assert_eq!(board.sent().len(), 1);
        assert!(board.tick(START.plus(MEMORY), LIMITS).is_empty());
        assert!(board.sent().is_empty());
        // written down by a clock that was ahead
        let mut board = Board::new(vec![sent("ahead", at(999_999))], at(0));
        assert_eq!(
            word(&board.raise(warning("ahead"), at(1440), LIMITS)),
            "send"
        );
    }

    #[test]
    fn keys_are_bounded_and_the_oldest_goes() {
        let mut board = Board::new(Vec::new(), START);
        for n in 0..=MAX_KEYS {
            board.raise(warning(&format!("k{n}")), at(n as u64), LIMITS);
        }
        assert_eq!(board.raised(), MAX_KEYS);
        assert_eq!(word(&board.clear("k0", at(9999), LIMITS)), "quiet");
        assert_ne!(word(&board.clear("k1", at(9999), LIMITS)), "quiet");
    }
}
