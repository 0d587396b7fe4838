//! Sending at most once: what is about to be sent is noted durably first.
//!
//! A note stays until the events have met their end *and* the journal has noted that on disk: so
//! a crash at any moment leaves either the note, and the next life makes dead letters
//! `unconfirmed` of the events, or no event.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::graph::Verdict;
use crate::journal::{Class, LaneKey, Lease};

/// Beyond twice `journal.settle_sync`, for a disk that is slow.
const SLACK: Duration = Duration::from_secs(1);

/// Whether events of this lane are sent at most once.
pub(super) fn applies(shared: &Shared, key: &LaneKey) -> bool {
    key.class == Class::BusinessMessaging && shared.settings().messaging_at_most_once
}

/// Notes that events are about to be sent. None when that cannot be written: they must not be.
pub(super) async fn begin(
    shared: &Arc<Shared>,
    key: &LaneKey,
    events: &[&Lease],
) -> Option<Vec<u64>> {
    if !applies(shared, key) {
        return Some(Vec::new());
    }
    let seqs: Vec<u64> = events.iter().map(|lease| lease.seq()).collect();
    let job = {
        let (shared, seqs) = (Arc::clone(shared), seqs.clone());
        move || shared.tools.intents.begin(&seqs)
    };
    match tokio::task::spawn_blocking(job).await {
        Ok(Ok(())) => Some(seqs),
        Ok(Err(error)) => {
            tracing::error!(pixel.id = %key.pixel, error = %error, code = error.code(), "events that are sent at most once wait, since that cannot be noted on disk");
            None
        }
        // the gateway stops
        Err(_) => None,
    }
}

/// Takes in what was heard. Events that were taken, or may have been, keep their note until they
/// have met their end ([`end`]). Those that may go again have lost it when this returns: a note
/// that is taken away later might be that of the next try.
pub(super) async fn heard(shared: &Arc<Shared>, seqs: Vec<u64>, verdict: &Verdict) {
    if seqs.is_empty() {
        return;
    }
    match verdict {
        Verdict::Delivered { .. } => {}
        Verdict::Transient(cause, _) if cause.is_ambiguous() => {}
        Verdict::Transient(..) | Verdict::Throttled(_) | Verdict::Hold(_) | Verdict::Split(_) => {
            forget(shared, seqs).await;
        }
    }
}

/// Takes their turn among the calls that sync, which is not for a thread of the runtime.
async fn forget(shared: &Arc<Shared>, seqs: Vec<u64>) {
    let shared = Arc::clone(shared);
    let job = move || shared.tools.intents.end(&seqs);
    let _stopping = tokio::task::spawn_blocking(job).await;
}

/// The numbers of events that are sent at most once; none of others.
pub(super) fn noted(shared: &Shared, key: &LaneKey, leases: &[Lease]) -> Vec<u64> {
    if !applies(shared, key) {
        return Vec::new();
    }
    leases.iter().map(Lease::seq).collect()
}

/// Forgets events that were settled, once the journal has noted it on disk. A stop before that
/// leaves the note; the next start takes it away.
pub(super) fn end(shared: &Arc<Shared>, seqs: Vec<u64>) {
    if seqs.is_empty() {
        return;
    }
    let wait = shared.tools.journal.settle_sync() * 2 + SLACK;
    let task = {
        let shared = Arc::clone(shared);
        async move {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shared.stop.cancelled() => return,
            }
            forget(&shared, seqs).await;
        }
    };
    shared.tasks.spawn(task);
}
