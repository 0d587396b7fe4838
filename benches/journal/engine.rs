//! What every engine of the bench does, and how its answers are compared.

use std::path::Path;

use capigate::journal::Envelope;
use tokio::runtime::Runtime;

/// Records of one read and its deletes, at most.
pub(crate) const BATCH: u64 = 1000;

/// A durable queue of records.
pub(crate) trait Engine: Send + Sync + 'static {
    /// What the tables call it.
    const NAME: &'static str;

    /// Opens what is in `dir`, or makes it.
    fn open(dir: &Path) -> Self;

    /// Appends; the records are on disk once it is done.
    fn append(&self, records: Vec<Envelope>) -> impl Future<Output = ()> + Send;

    /// Reads what waits, the oldest first, [`BATCH`] at a time, and deletes it.
    fn drain(&self) -> Tally;

    /// Whether a record is there to be read; reads it.
    fn first(&self) -> bool;

    /// Waits until the work is done that was put off.
    fn rest(&self) {}

    /// Closes; all is on disk then.
    fn close(self, _runtime: &Runtime)
    where
        Self: Sized,
    {
    }
}

/// Records, and a sum over their contents that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    sum: u64,
}

impl Tally {
    /// Counts one record.
    pub(crate) fn add(&mut self, record: &[u8]) {
        self.records += 1;
        self.bytes += record.len() as u64;
        self.sum = self.sum.wrapping_add(u64::from(crc32fast::hash(record)));
    }

    /// Counts those of `other` too.
    pub(crate) fn merge(&mut self, other: Tally) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}
