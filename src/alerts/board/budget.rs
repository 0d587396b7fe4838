//! How much is told in an hour, and what is said about the rest.

use std::collections::VecDeque;
use std::time::Duration;

use super::Limits;
use crate::alerts::message::Message;
use crate::alerts::{Alert, MAX_CRITICAL, Severity};
use crate::time::UnixMs;

/// The key of the message about what was held back.
const HELD_BACK: &str = "alerts:held_back";

const HOUR: Duration = Duration::from_hours(1);
/// How long what is held back is gathered before one message tells of it.
const GATHER: Duration = Duration::from_mins(1);
/// Titles in the message about what was held back.
const MAX_TITLES: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Budget {
    /// When messages of the last hour were sent.
    usual: VecDeque<UnixMs>,
    /// When those beyond the limit were, since they were critical.
    critical: VecDeque<UnixMs>,
    held: Option<Held>,
    /// When the last message about what was held back was sent.
    held_told: Option<UnixMs>,
}

#[derive(Debug)]
struct Held {
    since: UnixMs,
    count: usize,
    worst: Severity,
    titles: Vec<String>,
}

impl Budget {
    /// Takes a place for a message, if there is one.
    pub(super) fn take(&mut self, severity: Severity, now: UnixMs, limits: Limits) -> bool {
        for places in [&mut self.usual, &mut self.critical] {
            places.retain(|at| *at <= now && now.since(*at) < HOUR);
        }
        let places = if self.usual.len() < limits.max_per_hour {
            &mut self.usual
        } else if severity == Severity::Critical && self.critical.len() < MAX_CRITICAL {
            &mut self.critical
        } else {
            return false;
        };
        places.push_back(now);
        true
    }

    /// Counts a message that found no place.
    pub(super) fn hold(&mut self, message: &Message, now: UnixMs) {
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
    }

    /// The message about what was held back, once an hour and beyond the limit.
    pub(super) fn summary(&mut self, now: UnixMs, limits: Limits) -> Option<Message> {
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
        Some(Message::raised(Alert {
            key: HELD_BACK.to_owned(),
            severity: held.worst,
            title: format!("{} more alerts held back, see the log", held.count),
            text: format!(
                "More than {} alerts an hour (alerts.max_per_hour) came up. These were only logged so far; what is still raised is sent when there is room:\n{}{more}",
                limits.max_per_hour,
                held.titles.join("\n")
            ),
            next: "read the lines of the log that have the field alert.key; if this many is usual, raise alerts.max_per_hour".to_owned(),
            pixels: Vec::new(),
            token: None,
            at: now,
        }))
    }
}
