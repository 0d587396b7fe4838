//! The loop of one lane: `open → backoff → probation → held`, each state a function.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::journal::LaneKey;

use super::Shared;
use super::backoff;
use super::batch::DeadLettersFailed;
use super::pace::PixelPace;
use super::send::{Permits, Sent, send};
use super::snapshot::{HeldBy, LaneState, Shown};

/// One lane's task.
pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) key: LaneKey,
    wake: Arc<Notify>,
    shown: Shown,
    pace: Arc<PixelPace>,
    /// Failures in a row.
    failures: u32,
}

enum Next {
    Open,
    Backoff(Option<Duration>),
    Probation { max_events: usize },
    Held(HeldBy),
    End,
}

/// What a waiting lane finds.
enum Work {
    Batch(Permits),
    Idle,
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, key: LaneKey, wake: Arc<Notify>, shown: Shown) -> Self {
        let pace = shared.pace.pixel(key.pixel);
        Self {
            shared,
            key,
            wake,
            shown,
            pace,
            failures: 0,
        }
    }

    /// Runs until the gateway stops or the lane has been idle for a while.
    pub(super) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let mut next = Next::Open;
        loop {
            next = match next {
                Next::Open => self.open().await,
                Next::Backoff(server) => self.backoff(server).await,
                Next::Probation { max_events } => self.probation(max_events).await,
                Next::Held(by) => self.held(by).await,
                Next::End => return,
            };
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Sends batch after batch, several at a time, until one fails.
    async fn open(&mut self) -> Next {
        self.show(LaneState::Open);
        let lane = &*self;
        let mut sends = JoinSet::new();
        let mut work = Box::pin(lane.work());
        let failed = loop {
            tokio::select! {
                Some(sent) = sends.join_next() => match sent {
                    Ok(Sent::Delivered) => {}
                    Ok(failed) => break Some(failed),
                    Err(_) => break Some(Sent::Backoff(None)),
                },
                found = &mut work => match found {
                    Ok(Work::Batch(permits)) => {
                        match lane.lease(lane.shared.settings.max_events).await {
                            Ok(leases) if leases.is_empty() => {}
                            Ok(leases) => {
                                sends.spawn(send(Arc::clone(&lane.shared), lane.key.clone(), leases, permits));
                            }
                            Err(DeadLettersFailed) => break Some(Sent::Held(HeldBy::DeadLetters)),
                        }
                        work.set(lane.work());
                    }
                    Ok(Work::Idle) if sends.is_empty() && lane.shared.retire(&lane.key) => break None,
                    Ok(Work::Idle) => work.set(lane.work()),
                    Err(_) => break None,
                },
                () = lane.shared.stop.cancelled() => break None,
            }
        };
        drop(work);
        // the others in flight were sent before the failure was known; each is settled by its task
        let mut worst = failed;
        while let Some(sent) = sends.join_next().await {
            worst = worse(worst, sent.unwrap_or(Sent::Backoff(None)));
        }
        match worst {
            None | Some(Sent::Delivered) => Next::End,
            Some(failed) => self.after(failed),
        }
    }

    /// Waits out a failure: jittered, longer each time, or what the server asked for.
    async fn backoff(&mut self, server: Option<Duration>) -> Next {
        self.show(LaneState::Backoff);
        let settings = &self.shared.settings;
        let delay = backoff::delay(
            self.failures,
            settings.backoff_min,
            settings.backoff_max,
            server,
            fastrand::f64,
        );
        tracing::debug!(pixel.id = %self.key.pixel, delay_ms = delay.as_millis() as u64, failures = self.failures, "lane waits");
        self.pause(delay).await;
        Next::Probation {
            max_events: settings.max_events,
        }
    }

    /// Sends nothing until the next probe: one event.
    async fn held(&mut self, by: HeldBy) -> Next {
        self.show(LaneState::Held(by));
        self.pause(self.shared.settings.probe_interval).await;
        Next::Probation { max_events: 1 }
    }

    /// One batch only, to see whether the far end is well again.
    async fn probation(&mut self, max_events: usize) -> Next {
        self.show(LaneState::Probation);
        let permits = tokio::select! {
            permits = self.permits() => permits,
            () = self.shared.stop.cancelled() => return Next::End,
        };
        let Ok(permits) = permits else {
            return Next::End;
        };
        let leases = match self.lease(max_events).await {
            Ok(leases) => leases,
            Err(DeadLettersFailed) => return Next::Held(HeldBy::DeadLetters),
        };
        if leases.is_empty() {
            // all had expired; nothing is known about the far end yet
            let waiting = self.shared.tools.journal.waiting(&self.key).records;
            return if waiting == 0 {
                Next::Open
            } else {
                Next::Probation { max_events }
            };
        }
        let sent = send(Arc::clone(&self.shared), self.key.clone(), leases, permits).await;
        self.after(sent)
    }

    fn after(&mut self, sent: Sent) -> Next {
        match sent {
            Sent::Delivered => {
                self.failures = 0;
                Next::Open
            }
            Sent::Backoff(server) => {
                self.failures = self.failures.saturating_add(1);
                Next::Backoff(server)
            }
            Sent::Held(by) => Next::Held(by),
        }
    }

    /// Waits until a batch is due, then for a place in flight and for the pace.
    async fn work(&self) -> Result<Work, AcquireError> {
        let settings = &self.shared.settings;
        let journal = &self.shared.tools.journal;
        let mut linger_until = None;
        loop {
            let waiting = journal.waiting(&self.key);
            if waiting.records == 0 {
                linger_until = None;
                if tokio::time::timeout(settings.idle, self.wake.notified())
                    .await
                    .is_err()
                {
                    return Ok(Work::Idle);
                }
                continue;
            }
            if waiting.records as usize >= settings.max_events
                || waiting.bytes >= settings.max_bytes
            {
                break;
            }
            let until = *linger_until.get_or_insert_with(|| Instant::now() + settings.linger);
            if tokio::time::timeout_at(until, self.wake.notified())
                .await
                .is_err()
            {
                break;
            }
        }
        self.permits().await.map(Work::Batch)
    }

    /// The pixel's own place and pace first: who waits for those must not keep one of the whole
    /// gateway's places, which are given in the order of asking.
    async fn permits(&self) -> Result<Permits, AcquireError> {
        let pixel = acquire(&self.pace.in_flight).await?;
        self.pace.wait().await;
        let all = acquire(&self.shared.in_flight).await?;
        self.shared.pace.wait().await;
        Ok(Permits {
            _pixel: pixel,
            _all: all,
        })
    }

    async fn pause(&self, delay: Duration) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.shared.stop.cancelled() => {}
        }
    }

    fn show(&self, state: LaneState) {
        self.shown.set(state, self.shared.tools.clock.now());
    }
}

async fn acquire(
    permits: &Arc<Semaphore>,
) -> Result<tokio::sync::OwnedSemaphorePermit, AcquireError> {
    Arc::clone(permits).acquire_owned().await
}

/// Of several batches in flight at a failure, the one that asks for the most caution counts.
fn worse(one: Option<Sent>, other: Sent) -> Option<Sent> {
    match (one, other) {
        (Some(Sent::Held(by)), _) | (_, Sent::Held(by)) => Some(Sent::Held(by)),
        (Some(Sent::Backoff(one)), Sent::Backoff(other)) => Some(Sent::Backoff(one.max(other))),
        (Some(Sent::Backoff(wait)), Sent::Delivered) | (_, Sent::Backoff(wait)) => {
            Some(Sent::Backoff(wait))
        }
        (None | Some(Sent::Delivered), Sent::Delivered) => one,
    }
}
