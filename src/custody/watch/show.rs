//! What the metrics page says about tokens.

use super::{Roster, Watch};
use crate::time::UnixMs;
use crate::tokens::State;

impl Watch {
    /// Sets the gauges of every token that a pixel has; those of others go.
    pub(super) fn show(&self, roster: &Roster, now: UnixMs) {
        let metrics = &self.tools.metrics;
        let rows = roster.kept.iter().flat_map(|kept| {
            let note = self.note(kept);
            kept.pixels
                .iter()
                .map(move |(pixel, slot)| (kept, *pixel, *slot, note.clone()))
        });
        let mut expires = Vec::new();
        let mut data_access = Vec::new();
        let mut valid = Vec::new();
        let mut used = Vec::new();
        for (kept, pixel, slot, note) in rows {
            let labels = [
                pixel.to_string(),
                kept.key.to_string(),
                slot.code().to_owned(),
            ];
            let left = |at: UnixMs| (at.0 - now.0) as f64 / 1000.0;
            let facts = &note.facts;
            expires.extend(facts.expires.at().map(|at| (labels.clone(), left(at))));
            data_access.extend(facts.data_access.at().map(|at| (labels.clone(), left(at))));
            used.extend((note.usage.last_used).map(|at| (labels.clone(), at.0 as f64 / 1000.0)));
            if facts.state != State::Unknown {
                let is_valid = f64::from(u8::from(facts.state == State::Valid));
                valid.push((labels, is_valid));
            }
        }
        metrics.token_expires.set_all(expires);
        metrics.token_data_access_expires.set_all(data_access);
        metrics.token_valid.set_all(valid);
        metrics.token_last_used.set_all(used);
    }
}
