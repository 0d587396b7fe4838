//! The way a batch passes: its circuits, a place in flight, the pace.
//!
//! Who waits for circuits holds nothing. Who waits stands in the line of the circuit that is in
//! the way, and only the first in line watches it: when a circuit opens, its lanes pass one after
//! the other, and after a failed try the next lane has its turn.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::AcquireError;
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::pace::PixelPace;
use super::places::Place;
use super::ticket::Ticket;
use crate::journal::{Class, LaneKey};
use crate::pixel::PixelId;

/// All that a batch needs to be sent.
pub(super) struct Passage {
    pub(super) ticket: Ticket,
    pub(super) places: [Place; 2],
}

/// The gate of one lane.
#[derive(Clone)]
pub(super) struct Gate {
    shared: Arc<Shared>,
    pixel: PixelId,
    class: Class,
    pub(super) pace: Arc<PixelPace>,
}

impl Gate {
    pub(super) fn new(shared: Arc<Shared>, lane: &LaneKey) -> Self {
        let pace = shared.pace.pixel(lane.pixel, &shared.settings());
        Self {
            shared,
            pixel: lane.pixel,
            class: lane.class,
            pace,
        }
    }

    /// Waits until a batch may be sent. The pixel's own place and pace come first: who waits for
    /// those must not keep a probe's turn from other pixels, nor one of the whole gateway's
    /// places, which are given in the order of asking.
    pub(super) async fn pass(&self) -> Result<Passage, AcquireError> {
        loop {
            self.circuits().await;
            if let Some(passage) = self.try_pass().await? {
                return Ok(passage);
            }
        }
    }

    /// The same; none when the circuits make it wait for longer than `patience`.
    pub(super) async fn pass_within(
        &self,
        patience: Duration,
    ) -> Result<Option<Passage>, AcquireError> {
        loop {
            let circuits = &self.shared.circuits;
            if circuits.wait_ahead(self.pixel, self.class) > patience
                || timeout(patience, self.circuits()).await.is_err()
            {
                return Ok(None);
            }
            if let Some(passage) = self.try_pass().await? {
                return Ok(Some(passage));
            }
        }
    }

    /// None when a circuit got in the way meanwhile.
    async fn try_pass(&self) -> Result<Option<Passage>, AcquireError> {
        let (pixel, circuits) = (self.pixel, &self.shared.circuits);
        let own = self.pace.in_flight.take().await?;
        self.pace.wait(|| circuits.factor(pixel)).await;
        let Some(ticket) = circuits.enter(pixel, self.class) else {
            return Ok(None);
        };
        let all = self.shared.pace.in_flight.take().await?;
        self.shared.pace.wait().await;
        let passage = Passage {
            ticket,
            places: [own, all],
        };
        Ok(passage.ticket.is_current().then_some(passage))
    }

    /// Waits until no circuit is in the way.
    async fn circuits(&self) {
        let circuits = &self.shared.circuits;
        while let Some(first) = circuits.blocked(self.pixel, self.class) {
            let Ok(_turn) = first.line.acquire().await else {
                return;
            };
            loop {
                let mut changed = pin!(first.changed.notified());
                // from here on no change is missed
                changed.as_mut().enable();
                match circuits.blocked(self.pixel, self.class) {
                    Some(now) if Arc::ptr_eq(&now.line, &first.line) => {
                        tokio::select! {
                            () = changed => {}
                            () = until(now.until) => {}
                        }
                    }
                    _ => break,
                }
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
