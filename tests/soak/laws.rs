//! What must hold in the end.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use capigate::journal::{Journal, LeaseLimits, RealDisk, Settings};
use capigate::sandbox::{BatchRecord, LedgerEvent, LedgerSnapshot, Violation};
use capigate::telemetry::metrics::Metrics;
use capigate::time::{Clock, UnixMs};
use serde_json::Value;

use super::books::{Books, Entry, Fate, Kind, pixel_id};
use super::lives::Found;
use super::load::{CANARY, CANARY_PHONE};
use super::place::TIMEOUT;
use super::support::{all_bytes, sum};

const TIMEOUT_MS: i64 = TIMEOUT.as_millis() as i64;
/// An answer that took longer may have been given up on.
const HEARD_MS: i64 = TIMEOUT_MS / 2;
/// What was settled so long before a kill is on disk: `settle_sync`, and time for a slow disk.
pub(crate) const SETTLED: Duration = Duration::from_millis(1100);
/// Examples of one law that are told.
const EXAMPLES: usize = 5;

/// A time around the end of a life, in which what Graph took may not have been noted on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubt {
    from: UnixMs,
    to: UnixMs,
}

impl Doubt {
    /// Around an end; deliveries could not be noted for as long as the disk had been full.
    pub(crate) fn around(ended: UnixMs, full_for: Duration, restarted: UnixMs) -> Self {
        let before = (SETTLED + full_for).as_millis() as i64;
        Self {
            from: UnixMs(ended.0 - before),
            to: restarted,
        }
    }

    fn holds(&self, batch: &BatchRecord) -> bool {
        let until = batch.told_ms.unwrap_or(batch.at_ms + TIMEOUT_MS);
        batch.at_ms <= self.to.0 && until >= self.from.0
    }
}

/// The counters of one life.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    accepted: u64,
    recovered: u64,
    delivered: u64,
    dead: u64,
    pub(crate) in_journal: u64,
    /// Poisoned journals, damaged places and dropped leases.
    pub(crate) defects: u64,
}

impl Figures {
    pub(crate) fn read(page: &str) -> Self {
        Self {
            accepted: sum(page, "capigate_accepted_total"),
            recovered: sum(page, "capigate_journal_recovered"),
            delivered: sum(page, "capigate_delivered_total"),
            dead: sum(page, "capigate_dead_total"),
            in_journal: sum(page, "capigate_journal_records"),
            defects: sum(page, "capigate_journal_poisoned")
                + sum(page, "capigate_journal_corrupt_total")
                + sum(page, "capigate_journal_leases_dropped_total"),
        }
    }

    pub(crate) fn balance(&self) -> bool {
        self.accepted + self.recovered == self.delivered + self.dead + self.in_journal
    }
}

/// What a log must not hold.
pub(crate) fn read_log(log: &str) -> Vec<String> {
    let panics = log.lines().filter(|line| line.contains("panic"));
    let mut found: Vec<String> = panics
        .take(EXAMPLES)
        .map(|line| format!("the log tells of a panic: {line}"))
        .collect();
    found.extend(canary(log.as_bytes()).map(|around| format!("the log holds a canary: {around}")));
    found
}

/// Where a canary is, with a little of what stands around it.
fn canary(bytes: &[u8]) -> Option<String> {
    let is_at = |at: usize, what: &str| {
        let found = bytes.get(at..at + what.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(what.as_bytes()))
    };
    let first = [CANARY.as_bytes()[0], CANARY_PHONE.as_bytes()[0]];
    let at = bytes.iter().enumerate().position(|(at, byte)| {
        first.contains(&byte.to_ascii_lowercase()) && (is_at(at, CANARY) || is_at(at, CANARY_PHONE))
    })?;
    let around = &bytes[at.saturating_sub(60)..bytes.len().min(at + 60)];
    Some(String::from_utf8_lossy(around).into_owned())
}

/// A dead letter, as far as it matters here.
struct Letter {
    pixel: u64,
    event_id: String,
    reason: String,
}

/// Everything there is to judge by.
pub(crate) struct Case<'a> {
    pub(crate) books: &'a Books,
    pub(crate) ledger: LedgerSnapshot,
    pub(crate) violations: Vec<Violation>,
    pub(crate) doubts: &'a [Doubt],
    pub(crate) journal: &'a Path,
    pub(crate) drained: bool,
}

impl Case<'_> {
    pub(crate) fn judge(self) -> Found {
        let mut broken = self.books.problems();
        if !self.drained {
            broken.push("the gateway does not drain".to_owned());
        }
        for (path, bytes) in all_bytes(self.journal) {
            if let Some(around) = canary(&bytes) {
                broken.push(format!("{} holds a canary: {around}", path.display()));
            }
        }
        if !self.violations.is_empty() {
            let few: Vec<_> = self.violations.iter().take(EXAMPLES).collect();
            broken.push(format!("{} violations: {few:?}", self.violations.len()));
        }
        if self.ledger.totals.events_forgotten + self.ledger.totals.batches_forgotten > 0 {
            broken.push("the ledger has forgotten some of it: soak for a shorter time".to_owned());
        }

        let mut delivered = HashSet::new();
        let mut unknown = Examples::new("events that were never sent, or not like this");
        for event in &self.ledger.events {
            match self.sent(event) {
                Some((number, _)) => {
                    delivered.insert(number);
                }
                None => unknown.add(|| format!("{event:?}")),
            }
        }
        let repeated = self.repeated();
        let mut dead = HashSet::new();
        let mut wrongly = Examples::new("dead letters of good events");
        for letter in letters(self.journal) {
            let Some((number, entry)) = self.books.find(letter.pixel, &letter.event_id) else {
                unknown.add(|| letter.event_id.clone());
                continue;
            };
            if !may_die(entry.kind, &letter.reason) {
                wrongly.add(|| {
                    format!(
                        "{} of {} ({})",
                        letter.event_id, letter.pixel, letter.reason
                    )
                });
            }
            dead.insert(number);
        }
        let waiting = if self.drained {
            HashSet::new()
        } else {
            self.waiting()
        };

        let entries = self.books.entries();
        let accepted: Vec<(usize, &Entry)> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.fate == Fate::Accepted)
            .collect();
        let mut lost = Examples::new("events lost");
        let (mut now_dead, mut now_waiting, mut now_delivered) = (0, 0, 0);
        for (number, entry) in &accepted {
            if delivered.contains(number) {
                now_delivered += 1;
            } else if dead.contains(number) {
                now_dead += 1;
            } else if waiting.contains(number) {
                now_waiting += 1;
            } else {
                lost.add(|| {
                    format!(
                        "{} of {}",
                        entry.kind.event_id(*number),
                        pixel_id(entry.pixel)
                    )
                });
            }
        }
        let mut refused = Examples::new("events delivered that were refused at the door");
        for number in &delivered {
            let entry = entries[*number];
            if entry.fate == Fate::Open {
                refused.add(|| entry.kind.event_id(*number));
            }
        }
        if now_delivered == 0 {
            broken.push("nothing was delivered".to_owned());
        }
        let summary = format!(
            "accepted={} delivered={now_delivered} dead={now_dead} in_journal={now_waiting} lost={} repeated_unambiguously={}",
            accepted.len(),
            lost.count,
            repeated.count,
        );
        for examples in [lost, repeated, wrongly, unknown, refused] {
            broken.extend(examples.told());
        }
        Found { broken, summary }
    }

    /// The entry of a delivered event, if it is what was sent.
    fn sent(&self, event: &LedgerEvent) -> Option<(usize, Entry)> {
        let id = event.event_id.as_deref()?;
        let body_fits = |body: &Value| body["custom_data"]["order_id"] == id;
        if !event.body.as_ref().is_none_or(body_fits) {
            return None;
        }
        self.books.find(event.pixel.get(), id)
    }

    /// Events that were sent again after an acceptance the gateway must have known of.
    fn repeated(&self) -> Examples {
        let batches: HashMap<u64, &BatchRecord> = self
            .ledger
            .batches
            .iter()
            .map(|batch| (batch.number, batch))
            .collect();
        let mut found = Examples::new("events repeated though they were known to be delivered");
        for event in self.ledger.events.iter().filter(|event| event.times > 1) {
            let mut seen: Vec<&BatchRecord> = event
                .batches
                .iter()
                .filter_map(|number| batches.get(number).copied())
                .collect();
            seen.sort_unstable_by_key(|batch| batch.number);
            let last = seen.pop();
            // what must not arrive twice is not sent again, whatever happened the first time
            let once =
                matches!(self.sent(event), Some((_, entry)) if entry.kind == Kind::Messaging);
            let must_be_known =
                |batch: &&&BatchRecord| once || !(self.is_in_doubt(batch) || is_ambiguous(batch));
            if let Some(known) = seen.iter().find(must_be_known) {
                found.add(|| {
                    let last = last.map(brief);
                    format!(
                        "{:?} of {}: {}, then {last:?}",
                        event.event_id,
                        event.pixel,
                        brief(known)
                    )
                });
            }
        }
        if found.count > 0 {
            found.few.push(format!("kills around {:?}", self.doubts));
        }
        found
    }

    /// Whether the gateway may have died before it knew, or had noted, that it was accepted.
    fn is_in_doubt(&self, batch: &BatchRecord) -> bool {
        self.doubts.iter().any(|doubt| doubt.holds(batch))
    }

    /// What is left in the journal of a gateway that has stopped.
    fn waiting(&self) -> HashSet<usize> {
        let metrics = Metrics::new().unwrap();
        let settings = Settings {
            segment_bytes: 1 << 20,
            ..Settings::new(self.journal)
        };
        let journal = Journal::open(settings, Arc::new(RealDisk), Clock::Real, &metrics).unwrap();
        let limits = LeaseLimits {
            max_events: usize::MAX,
            max_bytes: usize::MAX,
        };
        let mut found = HashSet::new();
        for key in journal.woken() {
            for lease in journal.lease(&key, limits) {
                let event: Value = serde_json::from_slice(lease.event().as_bytes()).unwrap();
                let id = event["event_id"].as_str().unwrap_or_default();
                found.extend(
                    self.books
                        .find(key.pixel.get(), id)
                        .map(|(number, _)| number),
                );
            }
        }
        found
    }
}

/// What matters of a batch.
fn brief(batch: &BatchRecord) -> String {
    format!(
        "batch {} of {} at {} (told {:?}, {:?})",
        batch.number, batch.size, batch.at_ms, batch.told_ms, batch.fault
    )
}

/// Whether the answer left open that this batch was accepted.
fn is_ambiguous(batch: &BatchRecord) -> bool {
    batch
        .told_ms
        .is_none_or(|told| told - batch.at_ms > HEARD_MS)
}

/// Whether an event of this kind may become a dead letter for this reason.
fn may_die(kind: Kind, reason: &str) -> bool {
    match kind {
        Kind::Poison(_) => !reason.is_empty(),
        Kind::Messaging => reason == "unconfirmed",
        Kind::Old => reason == "expired",
        Kind::Purchase | Kind::PageView => false,
    }
}

fn letters(journal: &Path) -> Vec<Letter> {
    let mut found = Vec::new();
    for (_, bytes) in all_bytes(&journal.join("dead")) {
        // the last line may be torn by a kill; it was never counted
        for line in bytes
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
        {
            let Ok(line) = serde_json::from_slice::<Value>(line) else {
                continue;
            };
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            found.push(Letter {
                pixel: text(&line["pixel"]).parse().unwrap_or_default(),
                event_id: text(&line["event"]["event_id"]),
                reason: text(&line["reason"]),
            });
        }
    }
    found
}

/// How often a law is broken, and the first few cases.
struct Examples {
    what: &'static str,
    count: usize,
    few: Vec<String>,
}

impl Examples {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            count: 0,
            few: Vec::new(),
        }
    }

    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.few.len() < EXAMPLES {
            self.few.push(example());
        }
    }

    fn told(self) -> Option<String> {
        (self.count > 0).then(|| {
            format!(
                "{} {}, such as {}",
                self.count,
                self.what,
                self.few.join("; ")
            )
        })
    }
}
