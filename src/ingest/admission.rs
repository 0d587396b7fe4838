//! How many bytes of bodies may be held at once.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes all requests together may hold (`ingest.max_in_flight`), and the share of it for
/// those whose caller is not known yet.
#[derive(Clone)]
pub struct Admission {
    bytes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    held: IntGauge,
}

/// The bytes one request holds, given back when it is dropped.
pub struct Reservation {
    permit: OwnedSemaphorePermit,
    stranger: Option<OwnedSemaphorePermit>,
    held: IntGauge,
}

/// `ingest.max_in_flight` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Admission {
    /// Room for `bytes`, shown in `held`; a quarter of it, or `one_body` if that is more, for
    /// callers that show their key in the body only: so that who has none cannot take it all.
    pub fn new(bytes: usize, one_body: usize, held: IntGauge) -> Self {
        let semaphore = |bytes: usize| Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Self {
            bytes: semaphore(bytes),
            strangers: semaphore((bytes / 4).max(one_body)),
            held,
        }
    }

    /// A reservation of nothing yet, for a caller that is known or one that is not.
    pub fn open(&self, is_known: bool) -> Result<Reservation, Full> {
        let stranger = (!is_known).then(|| take(&self.strangers, 0)).transpose()?;
        Ok(Reservation {
            permit: take(&self.bytes, 0)?,
            stranger,
            held: self.held.clone(),
        })
    }

    /// Makes `reservation` larger by `bytes` at once, or says that there is no room.
    pub fn grow(&self, reservation: &mut Reservation, bytes: usize) -> Result<(), Full> {
        if let Some(stranger) = &mut reservation.stranger {
            stranger.merge(take(&self.strangers, bytes)?);
        }
        reservation.permit.merge(take(&self.bytes, bytes)?);
        self.held.add(bytes as i64);
        Ok(())
    }
}

fn take(semaphore: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Full> {
    let count = u32::try_from(bytes).map_err(|_| Full)?;
    let permit = Arc::clone(semaphore).try_acquire_many_owned(count);
    permit.map_err(|_| Full)
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.held.sub(self.permit.num_permits() as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let gauge = IntGauge::new("g", "g").unwrap();
        let admission = Admission::new(100, 1, gauge.clone());
        let mut first = admission.open(true).unwrap();
        admission.grow(&mut first, 60).unwrap();
        let mut second = admission.open(true).unwrap();
        assert_eq!(admission.grow(&mut second, 41), Err(Full));
        admission.grow(&mut first, 40).unwrap();
        assert_eq!(gauge.get(), 100);
        assert_eq!(admission.grow(&mut first, 1), Err(Full));
        drop(first);
        assert_eq!(gauge.get(), 0);
        admission.grow(&mut second, 100).unwrap();
    }

    #[test]
    fn strangers_get_a_quarter_and_leave_the_rest() {
        let gauge = IntGauge::new("g", "g").unwrap();
        let admission = Admission::new(100, 10, gauge);
        let mut stranger = admission.open(false).unwrap();
        admission.grow(&mut stranger, 25).unwrap();
        assert_eq!(admission.grow(&mut stranger, 1), Err(Full));
        let mut known = admission.open(true).unwrap();
        admission.grow(&mut known, 75).unwrap();
        drop(stranger);
        let mut stranger = admission.open(false).unwrap();
        admission.grow(&mut stranger, 25).unwrap();
    }
}
