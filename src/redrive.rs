//! Redrive: puts dead letters back into the journal, to be sent again.
//!
//! **Promises.** Every letter is checked again as an event of today ([`RawEvent`]), so that what
//! Meta is known to refuse does not go out a second time; what fails stays where it is, and the
//! report says why. What passes goes to the journal as it was stored: digests are not hashed
//! again, nothing is renamed, and above all the `event_id` stays. It is removed from the dead
//! letters only when the journal has it: after a crash in between a letter is in both places, and
//! goes out twice under the same `event_id`, which Meta counts once; of events that are held to
//! [`Duplicates`] the letter is then a duplicate. A redriven event counts as accepted again, so the
//! books balance, and its twins are held for duplicates as those of any other.
//!
//! **Refuses.** Letters `unconfirmed`, unless they are named by their id or asked for: they may
//! have been delivered, and Meta would count them twice. Letters whose twin was accepted meanwhile
//! (`duplicate`), where [`Duplicates`] cover them, also when they are named: they stay, to be
//! purged. Pixels that are not configured.
//!
//! **Limits.** Redrives take turns. One takes letters that were there when its turn came, so that
//! what is refused again does not go round. It holds at most [`CHUNK_LETTERS`] letters or
//! [`CHUNK_BYTES`] of events in memory. It stops where the journal takes no more, and says so;
//! what is left can be redriven later.
//!
//! [`RawEvent`]: crate::event::RawEvent

mod check;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::check::{Passed, check};
use crate::codes::{self, Code};
use crate::duplicates::{Claims, Duplicates, Turn};
use crate::journal::dead::{DeadError, DeadLetters, Filter, LetterId};
use crate::journal::{AppendError, Envelope, Journal};
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::Clock;

/// Letters in memory at once.
pub const CHUNK_LETTERS: usize = 1000;
/// Bytes of their events.
pub const CHUNK_BYTES: usize = 4 << 20;
/// Letters that a report names as refused.
pub const MAX_REFUSALS: usize = 100;

/// The reason of letters that may have been delivered.
const UNCONFIRMED: &str = "unconfirmed";

/// What is to be redriven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Which letters; an empty filter means all.
    pub filter: Filter,
    /// Also those that may have been delivered, though not named by id.
    pub include_unconfirmed: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Letters the filter meant, as far as they were looked at.
    pub matched: u64,
    /// Letters that are in the journal again; 0 in a dry run.
    pub redriven: u64,
    /// In a dry run, letters that would be; else 0.
    pub would_redrive: u64,
    /// Letters that did not pass and stay.
    pub refused: u64,
    /// The first [`MAX_REFUSALS`] of them.
    pub refusals: Vec<RefusedLetter>,
    /// Letters left out since they may have been delivered.
    pub unconfirmed: u64,
    /// Why it ended before all letters were looked at: the bound of the journal that was reached
    /// (`journal.max_bytes`), `poisoned`, `stopping`, `dead_io` or `dead_full`.
    pub stopped: Option<&'static str>,
}

/// A letter that did not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedLetter {
    /// Its name.
    pub id: LetterId,
    /// What is wrong: one of an event's faults, `unknown_pixel`, or `duplicate`.
    pub code: Code,
    /// Where in the event; empty for the event itself.
    pub path: String,
    /// What is expected there.
    pub rule: &'static str,
}

/// Redrives dead letters, one request after the other. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Redrive(Arc<Tools>);

#[derive(Debug)]
struct Tools {
    dead: Arc<DeadLetters>,
    journal: Journal,
    duplicates: Duplicates,
    clock: Clock,
    metrics: Metrics,
    turn: Mutex<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Some letters, looked at.
struct Chunk {
    passed: Vec<Passed>,
    refused: Vec<RefusedLetter>,
    unconfirmed: u64,
    next: Option<LetterId>,
}

impl Redrive {
    /// From the dead letters to the journal.
    pub fn new(
        dead: Arc<DeadLetters>,
        journal: Journal,
        duplicates: Duplicates,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Tools {
            dead,
            journal,
            duplicates,
            clock,
            metrics,
            turn: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Redrives what is asked for, of the given pixels. It runs to its end also when the caller
    /// no longer waits for the report.
    pub async fn run(&self, request: Request, pixels: HashSet<PixelId>) -> Report {
        let tools = Arc::clone(&self.0);
        let dry_run = request.dry_run;
        let work = self.0.tasks.spawn(tools.run(request, pixels));
        // the work does not panic; it is only cut off when the program ends
        work.await.unwrap_or(Report {
            dry_run,
            stopped: Some("stopping"),
            ..Report::default()
        })
    }

    /// Ends what runs after its present chunk, and waits for it. To be called before the journal
    /// is closed.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Tools {
    async fn run(self: Arc<Self>, request: Request, pixels: HashSet<PixelId>) -> Report {
        let _turn = self.turn.lock().await;
        let mut report = Report {
            dry_run: request.dry_run,
            ..Report::default()
        };
        // in the journal, but still among the dead letters
        let mut both = Vec::new();
        let mut stopped = self
            .work(&request, pixels, &mut report, &mut both)
            .await
            .err();
        if let Err(error) = self.remove(&mut both).await {
            stopped = Some(error);
        }
        report.stopped = stopped;
        if !request.dry_run {
            tracing::info!(
                dead.matched = report.matched,
                dead.redriven = report.redriven,
                dead.refused = report.refused,
                dead.unconfirmed = report.unconfirmed,
                stopped = report.stopped,
                "dead letters were redriven"
            );
        }
        report
    }

    async fn work(
        self: &Arc<Self>,
        request: &Request,
        pixels: HashSet<PixelId>,
        report: &mut Report,
        both: &mut Vec<LetterId>,
    ) -> Result<(), &'static str> {
        let tools = Arc::clone(self);
        // what is refused again gets a higher id
        let end = blocking(move || Ok(tools.dead.next_id())).await?;
        let job = Arc::new((request.clone(), pixels));
        let mut after = None;
        loop {
            if self.stop.is_cancelled() {
                return Err("stopping");
            }
            let (tools, job) = (Arc::clone(self), Arc::clone(&job));
            let chunk = blocking(move || tools.load(&job.0, &job.1, after, end)).await?;
            report.count(&chunk);
            if request.dry_run {
                self.look(&chunk.passed, report);
            } else {
                self.put(chunk.passed, report, both).await?;
            }
            match chunk.next {
                Some(_) => after = chunk.next,
                None => return Ok(()),
            }
        }
    }

    /// Reads letters from before `end` and checks them. Blocks.
    fn load(
        &self,
        request: &Request,
        pixels: &HashSet<PixelId>,
        after: Option<LetterId>,
        end: LetterId,
    ) -> Result<Chunk, DeadError> {
        let filter = &request.filter;
        let batch = self.dead.load(filter, after, CHUNK_LETTERS, CHUNK_BYTES)?;
        let takes_unconfirmed = request.include_unconfirmed || !filter.ids.is_empty();
        let mut chunk = Chunk {
            passed: Vec::with_capacity(batch.letters.len()),
            refused: Vec::new(),
            unconfirmed: 0,
            next: batch.next,
        };
        let now = self.clock.now();
        for letter in batch.letters {
            if letter.id >= end {
                chunk.next = None;
                break;
            }
            if letter.reason == UNCONFIRMED && !takes_unconfirmed {
                chunk.unconfirmed += 1;
                continue;
            }
            // the window holds it since its own first try
            let holds_itself =
                letter.reason == UNCONFIRMED && self.duplicates.spans(letter.dead_at);
            match check(letter, pixels, now) {
                Ok(passed) => chunk.passed.push(Passed {
                    holds_itself,
                    ..passed
                }),
                Err(refused) => chunk.refused.push(refused),
            }
        }
        Ok(chunk)
    }

    /// What a dry run says of letters that have passed.
    fn look(&self, passed: &[Passed], report: &mut Report) {
        let held = passed.iter().filter(|one| !one.holds_itself);
        // the claims are dropped at once
        let (turns, _) = self.duplicates.claim(held.clone().map(|one| &one.envelope));
        report.would_redrive += passed.len() as u64;
        for (one, turn) in held.zip(turns) {
            if !matches!(turn, Turn::Append) {
                report.would_redrive -= 1;
                report.refuse(duplicate(one.id));
            }
        }
    }

    /// Puts letters into the journal, but for duplicates, and then, now or later, takes them from
    /// the dead letters.
    async fn put(
        self: &Arc<Self>,
        passed: Vec<Passed>,
        report: &mut Report,
        both: &mut Vec<LetterId>,
    ) -> Result<(), &'static str> {
        let own = passed.iter().filter(|one| one.holds_itself);
        let own: Vec<Envelope> = own.map(|one| one.envelope.clone()).collect();
        self.duplicates.let_again(own.iter());
        let done = self.claim_and_append(passed, report, both).await;
        if done.is_err() {
            for one in own {
                let now = self.clock.now();
                let json = one.event.as_bytes();
                self.duplicates.remember(&one.lane, json, now);
            }
        }
        done
    }

    async fn claim_and_append(
        self: &Arc<Self>,
        passed: Vec<Passed>,
        report: &mut Report,
        both: &mut Vec<LetterId>,
    ) -> Result<(), &'static str> {
        let mut rest = passed;
        while !rest.is_empty() {
            let sorted = self.duplicates.sort(rest, |one| &one.envelope);
            for one in sorted.duplicates {
                report.refuse(duplicate(one.id));
            }
            self.append(sorted.own, sorted.claims, report, both).await?;
            rest = sorted.waiting.ended().await;
        }
        Ok(())
    }

    async fn append(
        self: &Arc<Self>,
        passed: Vec<Passed>,
        claims: Claims,
        report: &mut Report,
        both: &mut Vec<LetterId>,
    ) -> Result<(), &'static str> {
        let mut ids = Vec::with_capacity(passed.len());
        let mut envelopes: Vec<Envelope> = Vec::with_capacity(passed.len());
        let mut counts: BTreeMap<PixelId, u64> = BTreeMap::new();
        let mut at_once = false;
        for one in passed {
            ids.push(one.id);
            at_once |= !one.folds;
            *counts.entry(one.envelope.lane.pixel).or_default() += 1;
            envelopes.push(one.envelope);
        }
        self.journal.append(envelopes).await.map_err(word_of)?;
        claims.keep();
        for (pixel, count) in counts {
            let pixel = pixel.to_string();
            let redriven = &self.metrics.redriven;
            redriven.with_label_values(&[pixel.as_str()]).inc_by(count);
        }
        report.redriven += ids.len() as u64;
        both.extend(ids);
        // each removal rewrites a file, so letters wait for their neighbours; those that Meta
        // would count twice do not
        let files = both.first().map(|id| id.file()) != both.last().map(|id| id.file());
        if at_once || files {
            self.remove(both).await?;
        }
        Ok(())
    }

    async fn remove(self: &Arc<Self>, both: &mut Vec<LetterId>) -> Result<(), &'static str> {
        if both.is_empty() {
            return Ok(());
        }
        let (tools, ids) = (Arc::clone(self), std::mem::take(both));
        let count = ids.len();
        let removed = blocking(move || tools.dead.remove(&ids)).await;
        if removed.is_err() {
            tracing::error!(
                dead.letters = count,
                "redriven events cannot be removed from the dead letters; do not redrive them again"
            );
        }
        removed.map(|_| ())
    }
}

impl Report {
    fn count(&mut self, chunk: &Chunk) {
        let refused = chunk.refused.len() as u64;
        self.matched += chunk.passed.len() as u64 + refused + chunk.unconfirmed;
        self.refused += refused;
        self.unconfirmed += chunk.unconfirmed;
        let room = MAX_REFUSALS.saturating_sub(self.refusals.len());
        self.refusals
            .extend(chunk.refused.iter().take(room).cloned());
    }

    fn refuse(&mut self, letter: RefusedLetter) {
        self.refused += 1;
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push(letter);
        }
    }
}

fn duplicate(id: LetterId) -> RefusedLetter {
    RefusedLetter {
        id,
        code: codes::DUPLICATE,
        path: "event_id".to_owned(),
        rule: "an event with this name and id was accepted meanwhile: purge this letter",
    }
}

/// Runs what blocks elsewhere.
async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, DeadError> + Send + 'static,
) -> Result<T, &'static str> {
    match spawn_blocking(job).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "a redrive stops");
            Err(error.code())
        }
        // the job does not panic; it is only cut off when the program ends
        Err(_) => Err("stopping"),
    }
}

/// The stable word for what the journal says.
fn word_of(error: AppendError) -> &'static str {
    match error {
        AppendError::Full(limit) => limit.name(),
        AppendError::Stopping => "stopping",
        AppendError::Poisoned => "poisoned",
    }
}
