//! The right to send one batch, and the duty to say what came of it.

use std::sync::Arc;

use super::circuits::{Circuits, Heard, Key};
use crate::graph::Usage;
use crate::tokens::Credential;

/// What a circuit was when it let a batch pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) key: Key,
    pub(super) generation: u64,
    /// The batch decides what becomes of the circuit.
    pub(super) probes: bool,
}

/// Given by [`Circuits::enter`]. Dropped without a report, it makes room for another batch.
#[derive(Debug)]
pub(super) struct Ticket {
    circuits: Arc<Circuits>,
    credential: Arc<Credential>,
    stamps: Vec<Stamp>,
    one: bool,
    reported: bool,
}

impl Ticket {
    pub(super) fn new(
        circuits: Arc<Circuits>,
        credential: Arc<Credential>,
        stamps: Vec<Stamp>,
        one: bool,
    ) -> Self {
        Self {
            circuits,
            credential,
            stamps,
            one,
            reported: false,
        }
    }

    /// What the batch travels with.
    pub(super) fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// Whether the batch may have one event only.
    pub(super) fn is_for_one(&self) -> bool {
        self.one
    }

    /// Whether the batch may still be sent.
    pub(super) fn is_current(&self) -> bool {
        self.circuits.are_current(&self.stamps)
    }

    /// Says what was heard.
    pub(super) fn report(mut self, heard: &Heard, usage: &Usage) {
        self.reported = true;
        self.circuits.report(&self.stamps, heard, usage);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.reported {
            self.circuits.cancel(&self.stamps);
        }
    }
}
