//! How many bytes of bodies may be held at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntGauge;

/// How often a body is held at most: packed, unpacked once and unpacked twice, or as it came, as the
/// fields of its form and as the events in them.
pub const COPIES: usize = 3;

/// The bytes all requests together may hold (`ingest.max_in_flight`), and the share of it for
/// those whose caller is not known yet.
#[derive(Clone)]
pub struct Admission {
    all: Pool,
    strangers: Pool,
    gauge: IntGauge,
}

/// So many bytes, and how many of them are taken.
#[derive(Clone)]
struct Pool {
    room: usize,
    taken: Arc<AtomicUsize>,
}

/// The bytes one request holds, given back when it is dropped.
pub struct Reservation {
    bytes: usize,
    all: Arc<AtomicUsize>,
    strangers: Option<Arc<AtomicUsize>>,
    gauge: IntGauge,
}

/// `ingest.max_in_flight` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Admission {
    /// Room for `bytes`, shown in `gauge`; a quarter of it, or what [`COPIES`] of `one_body` take if
    /// that is more, for callers that show their key in the body only: so that who has none cannot
    /// take it all.
    pub fn new(bytes: usize, one_body: usize, gauge: IntGauge) -> Self {
        let pool = |room| Pool {
            room,
            taken: Arc::default(),
        };
        Self {
            all: pool(bytes),
            strangers: pool((bytes / 4).max(COPIES.saturating_mul(one_body))),
            gauge,
        }
    }

    /// The same bytes taken, in a room of another size. What is held beyond it stays until it is
    /// dropped.
    #[must_use]
    pub fn resized(&self, bytes: usize, one_body: usize) -> Self {
        let mut next = Self::new(bytes, one_body, self.gauge.clone());
        next.all.taken = Arc::clone(&self.all.taken);
        next.strangers.taken = Arc::clone(&self.strangers.taken);
        next
    }

    /// A reservation of nothing yet, for a caller that is known or one that is not.
    pub fn open(&self, is_known: bool) -> Reservation {
        Reservation {
            bytes: 0,
            all: Arc::clone(&self.all.taken),
            strangers: (!is_known).then(|| Arc::clone(&self.strangers.taken)),
            gauge: self.gauge.clone(),
        }
    }

    /// Makes `reservation` larger by `bytes` at once, or says that there is no room.
    pub fn grow(&self, reservation: &mut Reservation, bytes: usize) -> Result<(), Full> {
        self.all.take(bytes)?;
        if reservation.strangers.is_some()
            && let Err(full) = self.strangers.take(bytes)
        {
            self.all.taken.fetch_sub(bytes, Ordering::Relaxed);
            return Err(full);
        }
        reservation.bytes += bytes;
        self.gauge.add(bytes as i64);
        Ok(())
    }
}

impl Reservation {
    /// Gives all but `bytes` back.
    pub fn shrink_to(&mut self, bytes: usize) {
        let back = self.bytes.saturating_sub(bytes);
        self.give_back(back);
        self.bytes -= back;
    }

    fn give_back(&self, bytes: usize) {
        self.all.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(strangers) = &self.strangers {
            strangers.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.gauge.sub(bytes as i64);
    }
}

impl Pool {
    fn take(&self, bytes: usize) -> Result<(), Full> {
        let more = |taken: usize| {
            let taken = taken.checked_add(bytes)?;
            (taken <= self.room).then_some(taken)
        };
        // a count and nothing else: no other memory hangs on its order
        let took = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        took.map(drop).map_err(|_| Full)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let gauge = IntGauge::new("g", "g").unwrap();
        let admission = Admission::new(100, 1, gauge.clone());
        let mut first = admission.open(true);
        admission.grow(&mut first, 60).unwrap();
        let mut second = admission.open(true);
        assert_eq!(admission.grow(&mut second, 41), Err(Full));
        admission.grow(&mut first, 40).unwrap();
        assert_eq!(gauge.get(), 100);
        assert_eq!(admission.grow(&mut first, 1), Err(Full));
        drop(first);
        assert_eq!(gauge.get(), 0);
        admission.grow(&mut second, 100).unwrap();
        second.shrink_to(40);
        second.shrink_to(90);
        assert_eq!(gauge.get(), 40);
        let mut third = admission.open(false);
        admission.grow(&mut third, 25).unwrap();
        third.shrink_to(0);
        admission.grow(&mut third, 25).unwrap();
        admission.grow(&mut second, 35).unwrap();
    }

    #[test]
    fn strangers_get_a_quarter_and_leave_the_rest() {
        let gauge = IntGauge::new("g", "g").unwrap();
        let admission = Admission::new(100, 8, gauge);
        let mut stranger = admission.open(false);
        admission.grow(&mut stranger, 25).unwrap();
        assert_eq!(admission.grow(&mut stranger, 1), Err(Full));
        let mut known = admission.open(true);
        admission.grow(&mut known, 75).unwrap();
        drop(stranger);
        let mut stranger = admission.open(false);
        admission.grow(&mut stranger, 25).unwrap();
    }

    #[test]
    fn a_smaller_room_counts_what_is_held_already() {
        let gauge = IntGauge::new("g", "g").unwrap();
        let admission = Admission::new(100, 1, gauge.clone());
        let mut held = admission.open(true);
        admission.grow(&mut held, 80).unwrap();
        let smaller = admission.resized(50, 1);
        let mut next = smaller.open(true);
        assert_eq!(smaller.grow(&mut next, 1), Err(Full));
        drop(held);
        smaller.grow(&mut next, 50).unwrap();
        assert_eq!(smaller.grow(&mut next, 1), Err(Full));
        assert_eq!(gauge.get(), 50);
    }
}
