//! Appends each event that is held to the window of duplicates once, whoever posts its twin
//! meanwhile.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Shared;
use super::admission::Reservation;
use super::events::Posted;
use crate::duplicates::Duplicates;
use crate::journal::{AppendError, Envelope, Journal};
use crate::pixel::PixelId;
use crate::test_mode::TestMode;

/// An event that is left out, since its twin was accepted before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Twin {
    /// Its place.
    pub(super) at: usize,
    /// `event_id`.
    pub(super) event_id: Option<String>,
}

impl Twin {
    fn of(at: usize, posted: &Posted) -> Self {
        let event_id = posted.envelope.event.head().event_id;
        let event_id = event_id.map(Cow::into_owned);
        Self { at, event_id }
    }
}

/// Makes events durable, each with its copy, but for duplicates of accepted events, which
/// it gives in the order of their places. `reservation` is held until then.
pub(super) async fn append(
    shared: &Shared,
    posted: Vec<Posted>,
    reservation: Arc<Reservation>,
) -> Result<Vec<Twin>, AppendError> {
    let door = Door {
        journal: shared.journal.clone(),
        test_mode: shared.test_mode.clone(),
    };
    let duplicates = &shared.duplicates;
    if !posted
        .iter()
        .any(|one| duplicates.covers(one.envelope.lane.class))
    {
        door.append(posted).await?;
        return Ok(Vec::new());
    }
    let duplicates = duplicates.clone();
    // a task of its own: a client that goes away drops this future, and then nobody would know
    // whether the events behind its claims are durable
    let task = shared.tasks.spawn(async move {
        let _reservation = reservation;
        claim_and_append(&door, &duplicates, posted).await
    });
    // it does not panic, so it was cut short with the whole runtime
    task.await.unwrap_or(Err(AppendError::Stopping))
}

/// The way into the journal.
struct Door {
    journal: Journal,
    test_mode: TestMode,
}

impl Door {
    async fn append(&self, posted: Vec<Posted>) -> Result<(), AppendError> {
        let all: Vec<Envelope> = posted
            .into_iter()
            .flat_map(Posted::into_envelopes)
            .collect();
        let mut coded: BTreeMap<PixelId, u64> = BTreeMap::new();
        for lane in all.iter().map(|one| &one.lane) {
            if lane.options.test_event_code.is_some() {
                *coded.entry(lane.pixel).or_default() += 1;
            }
        }
        self.journal.append(all).await?;
        for (pixel, events) in coded {
            self.test_mode.count(pixel, events);
        }
        Ok(())
    }
}

/// A copy claims nothing: it goes with its event.
async fn claim_and_append(
    door: &Door,
    duplicates: &Duplicates,
    posted: Vec<Posted>,
) -> Result<Vec<Twin>, AppendError> {
    let mut left_out = Vec::new();
    let mut rest: Vec<(usize, Posted)> = posted.into_iter().enumerate().collect();
    while !rest.is_empty() {
        let sorted = duplicates.sort(rest, |(_, posted)| &posted.envelope);
        let twins = sorted.duplicates.iter();
        left_out.extend(twins.map(|(at, posted)| Twin::of(*at, posted)));
        let own = sorted.own.into_iter().map(|(_, posted)| posted);
        door.append(own.collect()).await?;
        sorted.claims.keep();
        rest = sorted.waiting.ended().await;
    }
    left_out.sort_unstable_by_key(|twin: &Twin| twin.at);
    Ok(left_out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::duplicates::{Covers, Settings};
    use crate::journal::{self, RealDisk, RequestOptions};
    use crate::telemetry::metrics::Metrics;
    use crate::time::Clock;

    fn open(dir: &Path) -> (Door, Duplicates) {
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
        let configured = crate::test_mode::Configured::default();
        let test_mode = TestMode::open(dir, configured, false, Clock::Real, metrics);
        (Door { journal, test_mode }, duplicates)
    }

    fn events() -> Vec<Posted> {
        let event = |json| Posted {
            envelope: Envelope::sample(7, json),
            mirror: None,
            counted: crate::traffic::Place::default(),
        };
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

    fn places(left_out: Result<Vec<Twin>, AppendError>) -> Result<Vec<usize>, AppendError> {
        left_out.map(|twins| twins.iter().map(|twin| twin.at).collect())
    }

    #[tokio::test]
    async fn a_refused_append_claims_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (closed, duplicates) = open(dir.path());
        closed.journal.close().await;
        let refused = claim_and_append(&closed, &duplicates, events()).await;
        assert_eq!(refused, Err(AppendError::Stopping));
        let (door, _) = open(dir.path());
        let first = claim_and_append(&door, &duplicates, events()).await;
        let twin = Twin {
            at: 2,
            event_id: Some("a".to_owned()),
        };
        assert_eq!(first, Ok(vec![twin]));
        let again = claim_and_append(&door, &duplicates, events()).await;
        assert_eq!(places(again), Ok(vec![0, 1, 2]));
        assert_eq!(door.journal.depth().records, 2);
        door.journal.close().await;
    }

    #[tokio::test]
    async fn a_copy_goes_with_its_event_and_never_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (door, duplicates) = open(dir.path());
        let plain = events().into_iter().take(1).collect();
        assert_eq!(
            places(claim_and_append(&door, &duplicates, plain).await),
            Ok(vec![])
        );
        let mirror = Arc::new(RequestOptions {
            test_event_code: Some("TEST1".to_owned()),
            ..RequestOptions::default()
        });
        let mut mirrored = events();
        for one in &mut mirrored {
            one.mirror = Some(Arc::clone(&mirror));
        }
        let left_out = claim_and_append(&door, &duplicates, mirrored).await;
        assert_eq!(places(left_out), Ok(vec![0, 2]));
        // the first, and the second with its copy
        let lanes: Vec<(Option<String>, u64)> = door
            .journal
            .lanes()
            .into_iter()
            .map(|(key, waiting)| (key.options.test_event_code.clone(), waiting.records))
            .collect();
        assert_eq!(lanes, [(None, 2), (Some("TEST1".to_owned()), 1)]);
        door.journal.close().await;
    }

    #[tokio::test]
    async fn a_twin_takes_the_turn_of_one_that_failed() {
        let dir = tempfile::tempdir().unwrap();
        let (door, duplicates) = open(dir.path());
        let held = events();
        let (_, claims) = duplicates.claim(held.iter().take(1).map(|one| &one.envelope));
        let mut waiting = std::pin::pin!(claim_and_append(&door, &duplicates, events()));
        // its own event is durable before it waits
        let own_is_durable = async {
            while door.journal.depth().records == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            early = &mut waiting => panic!("{early:?}"),
            () = own_is_durable => {}
        }
        drop(claims);
        assert_eq!(places(waiting.await), Ok(vec![2]));
        assert_eq!(door.journal.depth().records, 2);
        door.journal.close().await;
    }
}
