//! Leases: the oldest events of a lane, none of them expired.

use std::sync::Arc;

use super::lane::Lane;
use super::once;
use super::settle::{Death, NotWritten, bury, give_back, without_buried};
use crate::journal::{Class, Lease, LeaseLimits};

/// The dead letters could not be written, so the expired events went back to the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeadLettersFailed;

/// What came of leasing once.
#[derive(Default)]
struct Leased {
    live: Vec<Lease>,
    /// Most of what was leased has become dead letters: there may be more of that kind.
    mostly_dead: bool,
}

impl Lane {
    /// Leases the oldest events, puts those that have expired among the dead letters, and gives
    /// at most `max_events` of the rest; none when nothing is left. A probe of one event, too,
    /// clears away a whole batch of expired ones.
    pub(super) async fn lease(&self, max_events: usize) -> Result<Vec<Lease>, DeadLettersFailed> {
        self.lease_once(max_events).await.map(|leased| leased.live)
    }

    async fn lease_once(&self, max_events: usize) -> Result<Leased, DeadLettersFailed> {
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let wake = Arc::clone(&self.wake);
        let settings = shared.settings();
        let limits = LeaseLimits {
            max_events: settings.max_events,
            max_bytes: usize::try_from(settings.max_bytes).unwrap_or(usize::MAX),
        };
        // reading from disk and syncing dead letters both block
        let messaging = key.class == Class::BusinessMessaging;
        // nobody may wait for this job any more: whoever has found the lane empty meanwhile looks again
        let give_back = move |leases: Vec<Lease>| {
            if !leases.is_empty() {
                give_back(leases);
                wake.notify_one();
            }
        };
        let job = move || {
            let now = shared.tools.clock.now();
            let leases = shared.tools.journal.lease(&key, limits);
            let leases = without_buried(&shared, &key, leases);
            // however old: one that may have arrived must not pass for one that never did
            let (doubtful, leases): (Vec<_>, Vec<_>) = leases
                .into_iter()
                .partition(|lease| messaging && shared.tools.intents.contains(lease.seq()));
            let (mut live, expired): (Vec<_>, Vec<_>) = leases
                .into_iter()
                .partition(|lease| lease.expires_at() > now);
            let seqs: Vec<u64> = doubtful.iter().map(Lease::seq).collect();
            let mostly_dead = doubtful.len() + expired.len() > live.len();
            let mut unwritten = Vec::new();
            match bury(&shared, &key, doubtful, &Death::unconfirmed(None)) {
                Ok(()) => once::end(&shared, seqs),
                Err(NotWritten(kept)) => unwritten = kept,
            }
            if let Err(NotWritten(kept)) = bury(&shared, &key, expired, &Death::expired()) {
                unwritten.extend(kept);
            }
            if unwritten.is_empty() {
                give_back(live.split_off(live.len().min(max_events)));
                return Ok(Leased { live, mostly_dead });
            }
            live.extend(unwritten);
            give_back(live);
            Err(DeadLettersFailed)
        };
        match tokio::task::spawn_blocking(job).await {
            Ok(result) => result,
            // the job does not panic; if it ever did, its leases went back to the journal
            Err(_) => Ok(Leased::default()),
        }
    }

    /// Puts the expired among the oldest events aside while nothing can be sent, batch by batch for
    /// as long as most have expired. A batch that is begun runs to its end even when nobody waits
    /// for it any more.
    pub(super) async fn screen(&self) -> Result<(), DeadLettersFailed> {
        while self.lease_once(0).await?.mostly_dead {}
        Ok(())
    }
}
