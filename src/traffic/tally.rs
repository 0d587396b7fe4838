//! The counts of one request, made without a lock.

use super::{MAX_LABEL, MAX_LABELS};

/// What one request has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub(super) events: u32,
    pub(super) coded: u32,
    pub(super) with_event_id: u32,
    pub(super) names: Vec<(String, u32)>,
    pub(super) other_names: u32,
    pub(super) match_keys: Vec<(&'static str, u32)>,
    pub(super) warnings: Vec<(&'static str, u32)>,
    pub(super) refused: Vec<(&'static str, u32)>,
    pub(super) filtered: Vec<(&'static str, u32)>,
}

impl Tally {
    /// Counts an event that is taken, with the names of the fields of its `user_data`.
    pub fn event(
        &mut self,
        name: &str,
        brought_id: bool,
        match_keys: impl Iterator<Item = &'static str>,
    ) {
        self.events += 1;
        self.with_event_id += u32::from(brought_id);
        let name = cut(name);
        if let Some((_, count)) = self.names.iter_mut().find(|(known, _)| known == name) {
            *count += 1;
        } else if self.names.len() < MAX_LABELS {
            self.names.push((name.to_owned(), 1));
        } else {
            self.other_names += 1;
        }
        for key in match_keys {
            add(&mut self.match_keys, key);
        }
    }

    /// The events taken get a test code.
    pub fn coded(&mut self) {
        self.coded = self.events;
    }

    /// Counts a warning by its word.
    pub fn warning(&mut self, word: &'static str) {
        add(&mut self.warnings, word);
    }

    /// Counts an event, or a whole request, that is refused, by its word.
    pub fn refused(&mut self, word: &'static str) {
        add(&mut self.refused, word);
    }

    /// Counts an event that a policy has kept back, by the policy's word.
    pub fn filtered(&mut self, word: &'static str) {
        add(&mut self.filtered, word);
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The words are constants: there are few.
fn add(counts: &mut Vec<(&'static str, u32)>, word: &'static str) {
    match counts.iter_mut().find(|(known, _)| *known == word) {
        Some((_, count)) => *count += 1,
        None => counts.push((word, 1)),
    }
}

fn cut(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_LABEL).map(|(at, _)| at);
    end.and_then(|end| name.get(..end)).unwrap_or(name)
}
