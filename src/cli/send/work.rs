//! The run itself: batches out, answers in, results and state written in the order of the rows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::feed::{self, Batch};
use super::post::{Halt, Poster};
use super::progress::Progress;
use super::results::{Results, RowResult, SHOWN, words};
use super::state::State;
use crate::app::signals::Signals;
use crate::cli::records::Source;
use crate::config::units::Rate;

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every row is answered for.
    Whole,
    /// A signal asked for it.
    Stopped,
    /// The gateway was not there, or took nothing, for too long.
    GaveUp(String),
    /// The gateway will not take anything that is sent like this.
    Wrong(String),
    /// So many events were taken as live ones although a test code came with them.
    Live(u64),
    /// The file cannot be read any further.
    Unreadable(String),
}

pub(super) struct Work {
    pub(super) poster: Poster,
    pub(super) progress: Progress,
    pub(super) batch: usize,
    pub(super) parallel: usize,
    pub(super) rate: Option<Rate>,
    /// Where the state is kept.
    pub(super) place: Option<PathBuf>,
}

/// A batch that is answered for.
struct Answered {
    rows: Vec<RowResult>,
    end: u64,
}

type Jobs = JoinSet<(u64, Result<Answered, Halt>)>;

impl Work {
    pub(super) async fn run(
        &mut self,
        source: Source,
        state: &mut State,
        mut results: Option<&mut Results>,
        signals: &mut Signals,
    ) -> anyhow::Result<Ended> {
        // a slow rate is kept evenly, not in bursts
        let size = self.rate.map_or(self.batch, |rate| {
            self.batch.min(rate.each_second().get() as usize)
        });
        let mut batches = feed::start(source, state.rows, size)?;
        let stop = CancellationToken::new();
        let poster = Arc::new(self.poster.clone());
        let mut jobs: Jobs = JoinSet::new();
        let mut waiting: BTreeMap<u64, Answered> = BTreeMap::new();
        let mut next_start = Instant::now();
        let mut ended: Option<Ended> = None;
        let mut shown = 0;
        let mut ticks = tokio::time::interval(self.progress.interval());
        ticks.tick().await;
        loop {
            if ended.is_some() && jobs.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                _ = signals.stop() => {
                    if stop.is_cancelled() {
                        jobs.abort_all();
                    }
                    stop.cancel();
                    ended = Some(Ended::Stopped);
                }
                Some(done) = jobs.join_next() => {
                    // one that was aborted, or has panicked, is not confirmed
                    let Ok((first, done)) = done else { continue };
                    match done {
                        Ok(answered) => { waiting.insert(first, answered); }
                        Err(halt) => {
                            stop.cancel();
                            ended = Some(worse(ended, halt));
                        }
                    }
                    while let Some(answered) = waiting.remove(&(state.rows + 1)) {
                        self.confirm(&answered, state, results.as_deref_mut(), &mut shown)?;
                    }
                }
                batch = batches.recv(), if ended.is_none() && jobs.len() < self.most(&poster) => {
                    match batch {
                        Some(Ok(batch)) => {
                            let start = next_start.max(Instant::now());
                            next_start = start + self.span(batch.events());
                            let (poster, stop) = (Arc::clone(&poster), stop.clone());
                            jobs.spawn(async move { one(&poster, batch, start, &stop).await });
                        }
                        Some(Err(error)) => ended = Some(Ended::Unreadable(format!("{error:#}"))),
                        None => ended = Some(Ended::Whole),
                    }
                }
                _ = ticks.tick() => self.progress.show(poster.trouble().as_deref()),
            }
        }
        self.progress.end();
        let ended = ended.unwrap_or(Ended::Whole);
        state.done = ended == Ended::Whole;
        self.keep(state)?;
        Ok(ended)
    }

    /// The most requests on their way at once.
    fn most(&self, poster: &Poster) -> usize {
        if poster.is_trying() { 1 } else { self.parallel }
    }

    /// The time that so many events take at the rate that is asked for.
    fn span(&self, events: usize) -> Duration {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        self.rate
            .map_or(Duration::ZERO, |rate| rate.interval() * events)
    }

    /// Writes what the next rows came to, and then that it is written.
    fn confirm(
        &mut self,
        answered: &Answered,
        state: &mut State,
        results: Option<&mut Results>,
        shown: &mut usize,
    ) -> anyhow::Result<()> {
        for row in &answered.rows {
            state.counts.add(row.status.word(), &row.code);
        }
        match results {
            Some(results) => {
                results.add(&answered.rows)?;
                state.results_bytes = results.bytes;
            }
            None => tell(&answered.rows, shown),
        }
        state.rows += answered.rows.len() as u64;
        self.progress.at(state.rows, answered.end);
        self.keep(state)
    }

    fn keep(&self, state: &State) -> anyhow::Result<()> {
        match &self.place {
            Some(place) => state.write(place),
            None => Ok(()),
        }
    }
}

/// The first faults, where there is no file for them.
fn tell(rows: &[RowResult], shown: &mut usize) {
    use std::io::Write;
    for row in rows.iter().filter(|row| !row.message.is_empty()) {
        if *shown == SHOWN {
            return;
        }
        *shown += 1;
        let (line, words) = (row.line, words(&row.path, &row.message));
        // nobody is left to tell
        let _ = writeln!(
            std::io::stderr(),
            "line {line}: {}: {words}",
            row.status.word()
        );
    }
}

async fn one(
    poster: &Poster,
    batch: Batch,
    start: Instant,
    stop: &CancellationToken,
) -> (u64, Result<Answered, Halt>) {
    let first = batch.first;
    let end = batch.records.last().map_or(0, |record| record.end);
    tokio::select! {
        () = stop.cancelled() => return (first, Err(Halt::Stopped)),
        () = tokio::time::sleep_until(start) => {}
    }
    let rows = poster.deliver(&batch, stop).await;
    (first, rows.map(|rows| Answered { rows, end }))
}

/// What is told at the end: the first thing that went wrong.
fn worse(before: Option<Ended>, halt: Halt) -> Ended {
    match (before, halt) {
        (Some(before), _) if before != Ended::Whole => before,
        (_, Halt::Stopped) => Ended::Stopped,
        (_, Halt::GaveUp(why)) => Ended::GaveUp(why),
        (_, Halt::Wrong(why)) => Ended::Wrong(why),
        (_, Halt::Live(events)) => Ended::Live(events),
    }
}
