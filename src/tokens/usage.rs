//! What came of sending with a token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pixel::PixelId;
use crate::time::UnixMs;

/// What came of sending with one token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Events that Graph took.
    pub events: u64,
    /// Batches that Graph answered with an error.
    pub errors: u64,
    /// When Graph last took some.
    pub last_used: Option<UnixMs>,
    /// When Graph last took some of each pixel.
    pub used_by: BTreeMap<PixelId, UnixMs>,
    /// The last such error.
    pub last_error: Option<LastError>,
}

/// An error of Graph's, by its codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub at: UnixMs,
    /// Graph's code.
    pub code: i64,
    /// Graph's subcode.
    pub subcode: Option<i64>,
}

impl Usage {
    /// Adds what another process, or an earlier one, has counted.
    #[must_use]
    pub fn and(&self, earlier: &Self) -> Self {
        let later = |one: &Option<LastError>, other: &Option<LastError>| match (one, other) {
            (Some(one), Some(other)) if other.at > one.at => Some(other.clone()),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let mut used_by = earlier.used_by.clone();
        for (pixel, at) in &self.used_by {
            let latest = used_by.entry(*pixel).or_insert(*at);
            *latest = (*latest).max(*at);
        }
        Self {
            events: self.events.saturating_add(earlier.events),
            errors: self.errors.saturating_add(earlier.errors),
            last_used: self.last_used.max(earlier.last_used),
            used_by,
            last_error: later(&self.last_error, &earlier.last_error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_added_and_the_later_moment_stays() {
        let error = |at| {
            Some(LastError {
                at: UnixMs(at),
                code: 190,
                subcode: None,
            })
        };
        let used = |all: &[(u64, i64)]| {
            let pixel = |id| PixelId::from_u64(id).unwrap();
            all.iter()
                .map(|(id, at)| (pixel(*id), UnixMs(*at)))
                .collect()
        };
        let now = Usage {
            events: 2,
            errors: 0,
            last_used: Some(UnixMs(7)),
            used_by: used(&[(1, 7), (2, 5)]),
            last_error: error(3),
        };
        let before = Usage {
            events: 5,
            errors: 4,
            last_used: None,
            used_by: used(&[(2, 6), (3, 1)]),
            last_error: error(9),
        };
        let sum = now.and(&before);
        assert_eq!((sum.events, sum.errors), (7, 4));
        assert_eq!(sum.last_used, Some(UnixMs(7)));
        assert_eq!(sum.used_by, used(&[(1, 7), (2, 6), (3, 1)]));
        assert_eq!(sum.last_error, error(9));
        assert_eq!(now.and(&Usage::default()), now);
    }
}
