//! The clock, passed in wherever time matters, so that tests can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// The moment `seconds` after the epoch.
    pub fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment plus `span`.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// As in RFC 3339, to the second where it is a whole one; `at an unreadable time` for moments
    /// no calendar has.
    pub fn to_rfc3339(self) -> String {
        let stamp = jiff::Timestamp::from_millisecond(self.0);
        stamp.map_or_else(|_| "at an unreadable time".to_owned(), |at| at.to_string())
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Where a room takes wall-clock time from: the machine, or a test that sets it by hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    Real,
    /// A clock that stands still until a test moves it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that shows `now` until [`Clock::set`] is called.
    pub fn manual(now: UnixMs) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.0)))
    }

    /// The present moment.
    pub fn now(&self) -> UnixMs {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that asks the machine"
            )]
            Self::Real => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual(now) => UnixMs(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the machine's clock is not ours to move, so there it does nothing.
    pub fn set(&self, now: UnixMs) {
        if let Self::Manual(cell) = self {
            cell.store(now.0, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(UnixMs::from_secs(100));
        let copy = clock.clone();
        assert_eq!(copy.now().secs(), 100);
        clock.set(clock.now().plus(Duration::from_millis(1500)));
        assert_eq!(copy.now(), UnixMs(101_500));
        assert_eq!(
            copy.now().since(UnixMs(100_000)),
            Duration::from_millis(1500)
        );
        assert_eq!(UnixMs(0).since(UnixMs(5)), Duration::ZERO);
    }
}
