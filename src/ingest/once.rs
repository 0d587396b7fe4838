//! Appends each event that is held to the window of duplicates once, whoever posts its twin
//! meanwhile.

use std::sync::Arc;

use super::Shared;
use super::admission::Reservation;
use crate::duplicates::Duplicates;
use crate::journal::{AppendError, Envelope, Journal};

/// Makes `envelopes` durable, but for duplicates of accepted events, whose places it gives in
/// rising order. `reservation` is held until then.
pub(super) async fn append(
    shared: &Shared,
    envelopes: Vec<Envelope>,
    reservation: Arc<Reservation>,
) -> Result<Vec<usize>, AppendError> {
    let duplicates = &shared.duplicates;
    if !envelopes
        .iter()
        .any(|one| duplicates.covers(one.lane.class))
    {
        shared.journal.append(envelopes).await?;
        return Ok(Vec::new());
    }
    let (journal, duplicates) = (shared.journal.clone(), duplicates.clone());
    // a task of its own: a client that goes away drops this future, and then nobody would know
    // whether the events behind its claims are durable
    let task = shared.tasks.spawn(async move {
        let _reservation = reservation;
        claim_and_append(&journal, &duplicates, envelopes).await
    });
    // it does not panic, so it was cut short with the whole runtime
    task.await.unwrap_or(Err(AppendError::Stopping))
}

async fn claim_and_append(
    journal: &Journal,
    duplicates: &Duplicates,
    envelopes: Vec<Envelope>,
) -> Result<Vec<usize>, AppendError> {
    let mut left_out = Vec::new();
    let mut rest: Vec<(usize, Envelope)> = envelopes.into_iter().enumerate().collect();
    while !rest.is_empty() {
        let sorted = duplicates.sort(rest, |(_, envelope)| envelope);
        left_out.extend(sorted.duplicates.iter().map(|(at, _)| *at));
        let own = sorted.own.into_iter().map(|(_, envelope)| envelope);
        journal.append(own.collect()).await?;
        sorted.claims.keep();
        rest = sorted.waiting.ended().await;
    }
    left_out.sort_unstable();
    Ok(left_out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::duplicates::{Covers, Settings};
    use crate::journal::{self, RealDisk};
    use crate::telemetry::metrics::Metrics;
    use crate::time::Clock;

    fn open(dir: &Path) -> (Journal, Duplicates) {
        let (disk, metrics) = (Arc::new(RealDisk), Metrics::new().unwrap());
        let settings = Settings {
            dir: dir.join("duplicates"),
            window: Duration::from_hours(48),
            covers: Covers::All,
            max_entries: 1000,
        };
        let duplicates = Duplicates::open(settings, disk.clone(), Clock::Real, &metrics);
        let settings = journal::Settings::new(dir);
        let journal = Journal::open(settings, disk, Clock::Real, &metrics).unwrap();
        (journal, duplicates)
    }

    fn events() -> Vec<Envelope> {
        let event = |json| Envelope::sample(7, json);
        vec![
            event(
                r#"{"event_name":"Lead","event_time":1,"event_id":"a","action_source":"website"}"#,
            ),
            event(
                r#"{"event_name":"Lead","event_time":1,"event_id":"b","action_source":"website"}"#,
            ),
            event(
                r#"{"event_name":"Lead","event_time":1,"event_id":"a","action_source":"website"}"#,
            ),
        ]
    }

    #[tokio::test]
    async fn a_refused_append_claims_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (closed, duplicates) = open(dir.path());
        closed.close().await;
        let refused = claim_and_append(&closed, &duplicates, events()).await;
        assert_eq!(refused, Err(AppendError::Stopping));
        let (journal, _) = open(dir.path());
        let first = claim_and_append(&journal, &duplicates, events()).await;
        assert_eq!(first, Ok(vec![2]));
        let again = claim_and_append(&journal, &duplicates, events()).await;
        assert_eq!(again, Ok(vec![0, 1, 2]));
        assert_eq!(journal.depth().records, 2);
        journal.close().await;
    }

    #[tokio::test]
    async fn a_twin_takes_the_turn_of_one_that_failed() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, duplicates) = open(dir.path());
        let (_, claims) = duplicates.claim(events().iter().take(1));
        let mut waiting = std::pin::pin!(claim_and_append(&journal, &duplicates, events()));
        // its own event is durable before it waits
        let own_is_durable = async {
            while journal.depth().records == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            early = &mut waiting => panic!("{early:?}"),
            () = own_is_durable => {}
        }
        drop(claims);
        assert_eq!(waiting.await, Ok(vec![2]));
        assert_eq!(journal.depth().records, 2);
        journal.close().await;
    }
}
