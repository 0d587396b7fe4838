//! What a group comes to where that can be looked up at any moment, so that nothing is counted twice
//! and nothing is lost by a restart.

use std::collections::BTreeMap;

use super::Kind;
use crate::time::UnixMs;

/// What there is of a group at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Which group.
    pub kind: Kind,
    /// Of what.
    pub of: LevelOf,
    /// How many events; each once, however often it was tried.
    pub events: u64,
    /// Those of them that came in the last hour, where that is known.
    pub last_hour: Option<u64>,
    /// Since when, at the least.
    pub first: UnixMs,
    /// When it was last seen.
    pub last: UnixMs,
    /// How many of the events are known to say what they are worth.
    pub valued: u64,
    /// What those come to, by currency.
    pub money: BTreeMap<String, f64>,
    /// Some of the events, the newest last; empty where nobody has looked.
    pub event_ids: Vec<String>,
}

/// What a level counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelOf {
    /// Events that wait in the journal, since nothing is sent.
    Waiting,
    /// Dead letters that are kept.
    Letters,
}
