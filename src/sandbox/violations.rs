//! Violations: what a correct sender never does, whatever the answer was.

use std::collections::VecDeque;

use serde::Serialize;

use crate::pixel::PixelId;

/// Most violations kept; older ones are counted only.
pub const MAX_VIOLATIONS: usize = 10_000;

/// Most violations noted for one request.
pub(super) const MAX_PER_REQUEST: usize = 100;

/// Something a correct sender never does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// When, in Unix milliseconds of the sandbox's clock.
    pub at_ms: i64,
    /// A stable word, from the table in the documentation of this module's parent.
    pub kind: &'static str,
    /// The pixel it was posted to, if the path named one.
    pub pixel: Option<PixelId>,
    /// Where in the request: a path such as `data[0].user_data.em[1]`. Never the value.
    pub path: String,
}

/// The violations of a sandbox's life.
#[derive(Debug, Default)]
pub(super) struct Log {
    kept: VecDeque<Violation>,
    total: u64,
}

impl Log {
    pub(super) fn add(&mut self, violation: Violation) {
        self.total += 1;
        self.kept.push_back(violation);
        if self.kept.len() > MAX_VIOLATIONS {
            self.kept.pop_front();
        }
    }

    pub(super) fn kept(&self) -> &VecDeque<Violation> {
        &self.kept
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
