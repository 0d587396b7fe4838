//! All that the gateway keeps on its disk, opened in order.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Context;

use super::wiring;
use crate::config::Config;
use crate::duplicates::Duplicates;
use crate::journal::dead::DeadLetters;
use crate::journal::intents::Intents;
use crate::journal::segment::disk::Disk;
use crate::journal::{Class, Journal};
use crate::receipts::Receipts;
use crate::telemetry::metrics::Metrics;
use crate::time::Clock;

/// The rooms that have files, all below `journal.dir`.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) journal: Journal,
    pub(super) dead: Arc<DeadLetters>,
    pub(super) intents: Arc<Intents>,
    pub(super) receipts: Receipts,
    pub(super) duplicates: Duplicates,
}

impl Stores {
    /// The journal first, since its lock keeps other processes out of all of them. Blocks for as
    /// long as reading them takes.
    pub(super) fn open(
        config: &Config,
        disk: &Arc<dyn Disk>,
        clock: &Clock,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let settings = wiring::journal(config);
        let dir = settings.dir.clone();
        let journal = Journal::open(settings, Arc::clone(disk), clock.clone(), metrics)?;
        let dead = DeadLetters::open(
            &dir,
            wiring::dead(&config.journal),
            Arc::clone(disk),
            clock.clone(),
            metrics,
        )
        .context("the dead letters cannot be opened")?;
        let intents = Intents::open(&dir, Arc::clone(disk))
            .context("the note of what is sent at most once cannot be opened")?;
        let receipts = wiring::receipts(config).map_or_else(Receipts::off, |settings| {
            Receipts::open(settings, Arc::clone(disk), clock.clone(), metrics)
        });
        let duplicates = wiring::duplicates(config);
        let duplicates = Duplicates::open(duplicates, Arc::clone(disk), clock.clone(), metrics);
        let stores = Self {
            journal,
            dead: Arc::new(dead),
            intents: Arc::new(intents),
            receipts,
            duplicates,
        };
        if let Err(error) = stores.remember() {
            tracing::error!(error = %error, "the journal cannot be read through; what waits there is not held to duplicates");
        }
        Ok(stores)
    }

    /// Tells those who have to know what waits in the journal.
    fn remember(&self) -> std::io::Result<()> {
        let mut gone = self.intents.left();
        let wanted = |class| self.duplicates.covers(class) || class == Class::BusinessMessaging;
        self.journal.walk(&|lane| wanted(lane.class), &mut |one| {
            gone.remove(&one.seq);
            let (pixel, class) = (one.lane.pixel, one.lane.class);
            self.duplicates
                .remember(pixel, class, one.event, one.received_at);
            ControlFlow::Continue(())
        })?;
        self.intents.end(&seqs(gone));
        Ok(())
    }
}

fn seqs(set: HashSet<u64>) -> Vec<u64> {
    set.into_iter().collect()
}
