//! Appends each event that is held to the window of duplicates once, whoever posts its twin
//! meanwhile.

use super::Shared;
use super::admission::Reservation;
use crate::duplicates::{Duplicates, Turn};
use crate::journal::{AppendError, Envelope, Journal};

/// Makes `envelopes` durable, but for duplicates of accepted events, whose places it gives in
/// rising order. `reservation` is held until then.
pub(super) async fn append(
    shared: &Shared,
    envelopes: Vec<Envelope>,
    reservation: Reservation,
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
        let (turns, claims) = duplicates.claim(rest.iter().map(|(_, envelope)| envelope));
        let mut own = Vec::with_capacity(rest.len());
        let (mut waiting, mut twins) = (Vec::new(), Vec::new());
        for ((at, envelope), turn) in rest.into_iter().zip(turns) {
            match turn {
                Turn::Append => own.push(envelope),
                Turn::Duplicate => left_out.push(at),
                Turn::Wait(twin) => {
                    waiting.push((at, envelope));
                    twins.push(twin);
                }
            }
        }
        journal.append(own).await?;
        claims.keep();
        // nothing is claimed here any more, so two requests cannot wait for each other
        for twin in twins {
            twin.ended().await;
        }
        rest = waiting;
    }
    left_out.sort_unstable();
    Ok(left_out)
}
