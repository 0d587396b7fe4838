//! How many bytes of bodies may be held at once.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes all requests together may hold (`ingest.max_in_flight`).
#[derive(Clone)]
pub struct Admission {
    bytes: Arc<Semaphore>,
    held: IntGauge,
}

/// The bytes one request holds, given back when it is dropped.
pub struct Reservation {
    permit: OwnedSemaphorePermit,
    held: IntGauge,
}

/// `ingest.max_in_flight` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Admission {
    /// Room for `bytes`, shown in `held`.
    pub fn new(bytes: usize, held: IntGauge) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
            held,
        }
    }

    /// Takes `bytes` at once, or says that there is no room.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, Full> {
        let permit = self.take(bytes)?;
        Ok(Reservation {
            permit,
            held: self.held.clone(),
        })
    }

    /// Makes `reservation` larger by `bytes`.
    pub fn grow(&self, reservation: &mut Reservation, bytes: usize) -> Result<(), Full> {
        reservation.permit.merge(self.take(bytes)?);
        Ok(())
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Full> {
        let count = u32::try_from(bytes).map_err(|_| Full)?;
        let permit = Arc::clone(&self.bytes)
            .try_acquire_many_owned(count)
            .map_err(|_| Full)?;
        self.held.add(i64::from(count));
        Ok(permit)
    }
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
        let admission = Admission::new(100, gauge.clone());
        let mut first = admission.reserve(60).unwrap();
        assert_eq!(admission.reserve(41).err(), Some(Full));
        admission.grow(&mut first, 40).unwrap();
        assert_eq!(gauge.get(), 100);
        assert_eq!(admission.grow(&mut first, 1), Err(Full));
        drop(first);
        assert_eq!(gauge.get(), 0);
        assert!(admission.reserve(100).is_ok());
    }
}
