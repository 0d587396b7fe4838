//! Places that are taken first come first served, and whose number can change.

use std::sync::{Arc, Mutex};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// A semaphore that knows its size. Cheap to clone; clones share the places.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    semaphore: Arc<Semaphore>,
    size: Mutex<Size>,
}

struct Size {
    wanted: usize,
    /// Places that are taken and are to go when they become free.
    surplus: usize,
}

/// One place, until it is dropped.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Places,
}

impl Places {
    pub(super) fn new(size: usize) -> Self {
        Self(Arc::new(Inner {
            semaphore: Arc::new(Semaphore::new(size)),
            size: Mutex::new(Size {
                wanted: size,
                surplus: 0,
            }),
        }))
    }

    /// Waits for a place, in the order of asking. The semaphore is never closed.
    pub(super) async fn take(&self) -> Result<Place, AcquireError> {
        let permit = Arc::clone(&self.0.semaphore).acquire_owned().await?;
        Ok(self.place(permit))
    }

    /// A place, if one is free.
    pub(super) fn try_take(&self) -> Option<Place> {
        let permit = Arc::clone(&self.0.semaphore).try_acquire_owned().ok()?;
        Some(self.place(permit))
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        let size = super::lock(&self.0.size);
        let all = size.wanted + size.surplus;
        all.saturating_sub(self.0.semaphore.available_permits())
    }

    /// Changes the number of places. Places that are taken stay taken.
    pub(super) fn resize(&self, wanted: usize) {
        let mut size = super::lock(&self.0.size);
        if wanted >= size.wanted {
            let more = wanted - size.wanted;
            let kept = more.min(size.surplus);
            size.surplus -= kept;
            self.0.semaphore.add_permits(more - kept);
        } else {
            let fewer = size.wanted - wanted;
            size.surplus += fewer - self.0.semaphore.forget_permits(fewer);
        }
        size.wanted = wanted;
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        Place {
            permit: Some(permit),
            places: self.clone(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut size = super::lock(&self.places.0.size);
        if let Some(permit) = self.permit.take()
            && size.surplus > 0
        {
            size.surplus -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_places_go_when_they_are_free() {
        let places = Places::new(3);
        let mut taken: Vec<Place> = (0..3).map(|_| places.try_take().unwrap()).collect();
        places.resize(1);
        for _ in 0..2 {
            taken.pop();
            assert!(places.try_take().is_none(), "two of three are surplus");
        }
        taken.pop();
        let one = places.try_take().unwrap();
        assert!(places.try_take().is_none());
        drop(one);
        places.resize(4);
        let four: Vec<_> = (0..5).filter_map(|_| places.try_take()).collect();
        assert_eq!(four.len(), 4);
        places.resize(2);
        places.resize(3);
        drop(four);
        let three: Vec<_> = (0..5).filter_map(|_| places.try_take()).collect();
        assert_eq!(three.len(), 3);
    }
}
