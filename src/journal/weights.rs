//! How much more some events are worth than others when a lane is behind.

use std::collections::BTreeMap;

/// The weight of each event name: an event of weight 10 goes out before one of weight 1 until
/// that one has less than a tenth of its time left.
///
/// Names that are not in the table weigh 1. Weights are read at the start: what waits then is
/// weighed anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights(BTreeMap<String, u16>);

impl Weights {
    /// The weight of `event_name`, at least 1.
    pub fn of(&self, event_name: &str) -> u16 {
        self.0.get(event_name).copied().unwrap_or(1)
    }
}

impl<N: Into<String>> FromIterator<(N, u16)> for Weights {
    /// A weight of 0 counts as 1.
    fn from_iter<I: IntoIterator<Item = (N, u16)>>(pairs: I) -> Self {
        let pair = |(name, weight): (N, u16)| (name.into(), weight.max(1));
        Self(pairs.into_iter().map(pair).collect())
    }
}
