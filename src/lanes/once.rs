//! At most once: events of business messaging are noted before they are sent, so that a crash in
//! flight does not send them twice.
//!
//! A note is taken back when the events surely were not taken. When they were, it stays until the
//! journal has surely written down that they are gone: a crash before that would find them
//! waiting. What an earlier life left noted is given up when it is leased, and forgotten when it
//! is not in the journal any more.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::journal::intents::{IntentError, Intents};
use crate::journal::{Class, Journal, Lease};

/// The notes of one gateway.
#[derive(Debug)]
pub(super) struct Once {
    intents: Arc<Intents>,
    /// How long the journal may take to write down what is settled.
    settling: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Settled, and when that surely is on disk.
    settled: VecDeque<(Instant, Vec<u64>)>,
    /// Of an earlier life, and found in the journal.
    claimed: HashSet<u64>,
}

impl Once {
    pub(super) fn new(intents: Arc<Intents>, settling: Duration) -> Self {
        Self {
            intents,
            settling,
            state: Mutex::default(),
        }
    }

    /// Notes that these are about to be sent; durable when `Ok`.
    pub(super) async fn begin(self: &Arc<Self>, seqs: &[u64]) -> Result<(), IntentError> {
        loop {
            self.forget_settled();
            let (once, seqs) = (Arc::clone(self), seqs.to_vec());
            let begun = tokio::task::spawn_blocking(move || once.intents.begin(&seqs)).await;
            match begun {
                Ok(Err(IntentError::Full)) => {
                    // there is room again once something is surely settled
                    let next = super::lock(&self.state).settled.front().map(|(at, _)| *at);
                    match next {
                        Some(at) => sleep_until(at).await,
                        None => return Err(IntentError::Full),
                    }
                }
                Ok(result) => return result,
                Err(error) => return Err(IntentError::Io(std::io::Error::other(error))),
            }
        }
    }

    /// These were not taken, or it does not matter.
    pub(super) fn returned(&self, seqs: &[u64]) {
        self.intents.end(seqs);
    }

    /// These are settled in the journal.
    pub(super) fn settled(&self, seqs: Vec<u64>) {
        let at = Instant::now() + self.settling;
        super::lock(&self.state).settled.push_back((at, seqs));
    }

    /// Whether an earlier life may have sent this event.
    pub(super) fn may_have_been_sent(&self, lease: &Lease) -> bool {
        let left = self.intents.contains(lease.seq());
        if left {
            super::lock(&self.state).claimed.insert(lease.seq());
        }
        left
    }

    fn forget_settled(&self) {
        let mut due = Vec::new();
        let mut state = super::lock(&self.state);
        while let Some((at, _)) = state.settled.front()
            && *at <= Instant::now()
        {
            due.extend(
                state
                    .settled
                    .pop_front()
                    .into_iter()
                    .flat_map(|(_, seqs)| seqs),
            );
        }
        drop(state);
        if !due.is_empty() {
            self.intents.end(&due);
        }
    }

    /// Forgets what an earlier life noted of events that are not in the journal any more. Reads
    /// the journal, if there is anything to look for.
    pub(super) fn prune(&self, journal: &Journal) {
        let mut gone = self.intents.left();
        if gone.is_empty() {
            return;
        }
        let walked = journal.walk(
            &|lane| lane.class == Class::BusinessMessaging,
            &mut |waiting| {
                gone.remove(&waiting.seq);
                ControlFlow::Continue(())
            },
        );
        if let Err(error) = walked {
            tracing::warn!(error = %error, "the journal could not be searched for events sent at most once");
            return;
        }
        let state = super::lock(&self.state);
        let gone: Vec<u64> = gone.difference(&state.claimed).copied().collect();
        drop(state);
        self.intents.end(&gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{RealDisk, Settings};
    use crate::telemetry::metrics::Metrics;
    use crate::time::Clock;

    #[tokio::test]
    async fn what_is_settled_stays_noted_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Arc::new(Intents::open(dir.path(), Arc::new(RealDisk)).unwrap());
        let once = Arc::new(Once::new(open(), Duration::from_hours(1)));
        once.begin(&[1, 2, 3]).await.unwrap();
        once.settled(vec![1]);
        once.returned(&[2]);
        once.forget_settled();
        assert_eq!(open().left(), HashSet::from([1, 3]));
        let once = Arc::new(Once::new(open(), Duration::ZERO));
        once.begin(&[4]).await.unwrap();
        once.settled(vec![1, 4]);
        once.begin(&[5]).await.unwrap();
        assert_eq!(open().left(), HashSet::from([3, 5]));
    }

    #[tokio::test]
    async fn what_is_no_longer_in_the_journal_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Arc::new(Intents::open(dir.path(), Arc::new(RealDisk)).unwrap());
        let journal = Journal::open(
            Settings::new(dir.path()),
            Arc::new(RealDisk),
            Clock::Real,
            &Metrics::new().unwrap(),
        )
        .unwrap();
        open().begin(&[1, 2]).unwrap();
        let once = Once::new(open(), Duration::ZERO);
        super::super::lock(&once.state).claimed.insert(2);
        once.prune(&journal);
        assert_eq!(once.intents.left(), HashSet::from([2]));
        journal.close().await;
    }
}
