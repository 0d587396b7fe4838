//! A batch: one to a thousand leases of one lane, none of them expired.

use std::sync::Arc;

use crate::journal::dead::DeadLetter;
use crate::journal::{Lease, LeaseLimits, Settlement, settle_all};

use super::Shared;
use super::lane::Lane;

/// The dead letters could not be written, so the expired events went back to the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeadLettersFailed;

impl Lane {
    /// Leases the oldest events, puts those that have expired among the dead letters, and gives
    /// at most `max_events` of the rest; none when nothing is left. A probe of one event, too,
    /// clears away a whole batch of expired ones.
    pub(super) async fn lease(&self, max_events: usize) -> Result<Vec<Lease>, DeadLettersFailed> {
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let limits = LeaseLimits {
            max_events: shared.settings.max_events,
            max_bytes: usize::try_from(shared.settings.max_bytes).unwrap_or(usize::MAX),
        };
        // reading from disk and syncing dead letters both block
        let job = move || {
            let leases = shared.tools.journal.lease(&key, limits);
            let mut live = screen(&shared, &key, leases)?;
            let rest = live.split_off(live.len().min(max_events));
            settle_all(rest, Settlement::Returned);
            Ok(live)
        };
        match tokio::task::spawn_blocking(job).await {
            Ok(result) => result,
            // the job does not panic; if it ever did, its leases went back to the journal
            Err(_) => Ok(Vec::new()),
        }
    }
}

fn screen(
    shared: &Shared,
    key: &crate::journal::LaneKey,
    leases: Vec<Lease>,
) -> Result<Vec<Lease>, DeadLettersFailed> {
    let now = shared.tools.clock.now();
    let (live, expired): (Vec<_>, Vec<_>) = leases
        .into_iter()
        .partition(|lease| lease.expires_at() > now);
    if expired.is_empty() {
        return Ok(live);
    }
    let letters: Vec<DeadLetter> = expired
        .iter()
        .map(|lease| DeadLetter {
            lane: key.clone(),
            event: lease.event().clone(),
            received_at: lease.received_at(),
            expires_at: lease.expires_at(),
            dead_at: now,
            reason: "expired",
            refusal: None,
        })
        .collect();
    let pixel = key.pixel.to_string();
    if let Err(error) = shared.tools.dead.append(&letters) {
        tracing::error!(pixel.id = %pixel, batch.events = letters.len(), error = %error, "expired events cannot be written to the dead letters");
        settle_all(live, Settlement::Returned);
        settle_all(expired, Settlement::Returned);
        return Err(DeadLettersFailed);
    }
    tracing::warn!(pixel.id = %pixel, batch.events = letters.len(), "events expired before they could be sent");
    let count = expired.len() as u64;
    shared
        .tools
        .metrics
        .dead
        .with_label_values(&[pixel.as_str(), "expired"])
        .inc_by(count);
    settle_all(expired, Settlement::Dead);
    Ok(live)
}
