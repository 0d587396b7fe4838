//! The thread that takes endings, and the bounded queue before it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;

use super::entry::{IdDigest, Note, weight};
use super::store::Store;
use super::{Ending, FindError, MAX_QUEUED_BYTES, MAX_QUEUED_ENDINGS, Receipt, search};
use crate::event::Wanted;
use crate::telemetry::metrics::Metrics;

/// How often the thread looks after its files: what a process that dies loses at most.
const TICK: Duration = Duration::from_secs(1);
/// How long a look-up waits for what was noted before it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a full queue is tried again.
const RETRY: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Worker {
    queue: SyncSender<Job>,
    /// Bytes of the events in the queue.
    queued: Arc<AtomicUsize>,
    store: Arc<Mutex<Store>>,
    lost: IntCounter,
}

#[derive(Debug)]
enum Job {
    Note(Ending),
    /// Answers when all before it is in the store.
    Mark(SyncSender<()>),
    /// Answers when all before it is on disk, and ends the thread.
    Close(SyncSender<()>),
}

impl Worker {
    pub(super) fn start(store: Store, metrics: &Metrics) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(MAX_QUEUED_ENDINGS);
        let by_keys = store.by_keys();
        let store = Arc::new(Mutex::new(store));
        let queued = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::Builder::new().name("receipts".to_owned());
        let (own_store, own_queued) = (Arc::clone(&store), Arc::clone(&queued));
        thread.spawn(move || run(jobs, &own_store, &own_queued, by_keys))?;
        Ok(Self {
            queue,
            queued,
            store,
            lost: metrics.receipts_lost.clone(),
        })
    }

    pub(super) fn note(&self, ending: Ending) {
        let (weight, events) = (weight(&ending), ending.events.len() as u64);
        let before = self.queued.fetch_add(weight, Ordering::Relaxed);
        let fits = before == 0 || before + weight <= MAX_QUEUED_BYTES;
        if !fits || self.queue.try_send(Job::Note(ending)).is_err() {
            self.queued.fetch_sub(weight, Ordering::Relaxed);
            self.lost.inc_by(events);
        }
    }

    pub(super) fn find(&self, wanted: &Wanted, limit: usize) -> Result<Vec<Receipt>, FindError> {
        // without an answer it looks at what is there
        self.ask(Job::Mark, PATIENCE);
        let mut store = locked(&self.store);
        let hits = store.hits(IdDigest::of(wanted.key()), limit);
        let (disk, oldest) = store.searcher();
        drop(store);
        search::receipts(&*disk, wanted, oldest, limit, hits)
    }

    pub(super) fn close(&self, budget: Duration) -> bool {
        self.ask(Job::Close, budget)
    }

    /// Puts a job in the queue and waits for its answer; true when it came in time.
    fn ask(&self, job: fn(SyncSender<()>) -> Job, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let (answer, answered) = sync_channel(1);
        let mut job = job(answer);
        loop {
            job = match self.queue.try_send(job) {
                Ok(()) => break,
                // closed before
                Err(TrySendError::Disconnected(_)) => return true,
                Err(TrySendError::Full(job)) => job,
            };
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(RETRY);
        }
        let left = until.saturating_duration_since(Instant::now());
        answered.recv_timeout(left) != Err(RecvTimeoutError::Timeout)
    }
}

fn run(jobs: Receiver<Job>, store: &Mutex<Store>, queued: &AtomicUsize, by_keys: bool) {
    let mut ticked = Instant::now();
    loop {
        match jobs.recv_timeout(TICK) {
            Ok(Job::Note(ending)) => {
                // worked out before the lock is taken
                let note = Note::of(&ending, by_keys);
                queued.fetch_sub(weight(&ending), Ordering::Relaxed);
                drop(ending);
                if let Some(note) = note {
                    locked(store).add(note);
                }
            }
            Ok(Job::Mark(answer)) => {
                let _asker_gone = answer.send(());
            }
            Ok(Job::Close(answer)) => {
                locked(store).close();
                // what is noted after the answer finds no queue any more, and is counted as lost
                drop(jobs);
                let _asker_gone = answer.send(());
                return;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                locked(store).close();
                return;
            }
        }
        if ticked.elapsed() >= TICK {
            locked(store).tick();
            ticked = Instant::now();
        }
    }
}

fn locked(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
