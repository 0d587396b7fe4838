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
use crate::journal::{Class, Journal, format};
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
        if let Err(error) = format::mark(&dir) {
            // without it the format is the first one, as it is
            tracing::warn!(%error, "the file FORMAT cannot be written; the next start tries again");
        }
        let mut gone = stores.intents.left();
        match remember(&stores.journal, &stores.duplicates, clock, &mut gone) {
            Ok(()) => stores.intents.end(&Vec::from_iter(gone)),
            Err(error) => {
                tracing::error!(error = %error, "the journal cannot be read through; what waits there is not held to duplicates");
            }
        }
        Ok(stores)
    }
}

/// Tells `duplicates` what waits in the journal, and takes it from `gone`.
///
/// What waits holds its twins back from now on, however long it has waited or, if it was redriven,
/// was dead: it will go out.
pub(super) fn remember(
    journal: &Journal,
    duplicates: &Duplicates,
    clock: &Clock,
    gone: &mut HashSet<u64>,
) -> std::io::Result<()> {
    let now = clock.now();
    let wanted = |class| duplicates.covers(class) || class == Class::BusinessMessaging;
    journal.walk(&|lane| wanted(lane.class), &mut |one| {
        gone.remove(&one.seq);
        duplicates.remember(one.lane, one.event, now);
        ControlFlow::Continue(())
    })
}
