//! Counts what policies did to the events of a request, and notes it for their receipts.

use std::collections::BTreeMap;

use super::Shared;
use super::events::{Changed, Filtered};
use crate::pixel::PixelId;
use crate::receipts::{Ending, Outcome, Subject};

/// Tells of a request whose good events are durable. `changed` are those that were accepted.
pub(super) fn tell(shared: &Shared, filtered: &[Filtered], changed: Vec<Changed>) {
    let mut told: BTreeMap<(PixelId, Vec<&str>, bool), Vec<Subject>> = BTreeMap::new();
    for one in filtered {
        let word = one.kept_back.policy.word();
        let labels = [one.pixel.to_string(), word.to_owned()];
        shared.metrics.filtered.with_label_values(&labels).inc();
        let subject = Subject::Label(one.told.label.clone());
        told.entry((one.pixel, vec![word], true))
            .or_default()
            .push(subject);
    }
    for one in changed {
        let words: Vec<&str> = one.applied.words().collect();
        for word in &words {
            let labels = [one.pixel.to_string(), (*word).to_owned()];
            shared
                .metrics
                .policy_applied
                .with_label_values(&labels)
                .inc();
        }
        let subject = Subject::Encoded(one.event);
        told.entry((one.pixel, words, false))
            .or_default()
            .push(subject);
    }
    for ((pixel, policies, is_filtered), events) in told {
        let outcome = match policies.as_slice() {
            [policy] if is_filtered => Outcome::Filtered { policy },
            _ => Outcome::Accepted { policies },
        };
        shared.receipts.note(Ending {
            pixel,
            at: shared.clock.now(),
            outcome,
            batch_events: events.len(),
            events,
            attempts: Vec::new(),
        });
    }
}
