//! Work that waits for the disk, beside the workers that deliver.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Long requests at once: searches of the journal, redrives and purges.
pub const MAX_LONG: usize = 3;
/// Exports at once; they last as long as their readers like.
pub const MAX_EXPORTS: usize = 2;

/// The places for long requests.
pub(super) struct Places(Arc<Semaphore>);

/// One of the places, until it is dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// A place for a long request, or that there is none now.
    pub(super) fn take(&self) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit
            .map(|permit| Place { _permit: permit })
            .map_err(|_| Problem::busy())
    }
}

/// Runs what waits for the disk.
pub(super) async fn beside<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(job).await.map_err(|error| {
        tracing::error!(error = %error, "work for the admin api has panicked");
        Problem::failed("panic", "report it, with what the log says")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_long_requests_run_at_once() {
        let places = Places::new(MAX_LONG);
        let mut taken: Vec<Place> = (0..MAX_LONG).map(|_| places.take().unwrap()).collect();
        let busy = places.take().err().unwrap().into_response();
        assert_eq!(busy.status(), 429);
        assert_eq!(busy.headers()["retry-after"], "1");
        taken.pop();
        assert!(places.take().is_ok());
    }
}
