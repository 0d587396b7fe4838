//! Reads a file into batches, in a thread of its own.

use std::ops::ControlFlow;

use tokio::sync::mpsc;

use crate::cli::records::{Record, Source};

/// Bytes of a batch: half of what a gateway takes unless it is set otherwise.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// Batches that are read ahead.
const AHEAD: usize = 1;

/// Rows that are sent together.
#[derive(Debug)]
pub(super) struct Batch {
    /// The number of its first row, from 1.
    pub(super) first: u64,
    pub(super) records: Vec<Record>,
}

impl Batch {
    /// How many of its rows are events.
    pub(super) fn events(&self) -> usize {
        self.records.iter().filter(|one| one.event.is_ok()).count()
    }
}

/// Begins to read, behind the first `skip` rows. Dropping the receiver ends it.
pub(super) fn start(
    source: Source,
    skip: u64,
    size: usize,
) -> std::io::Result<mpsc::Receiver<anyhow::Result<Batch>>> {
    let (sender, batches) = mpsc::channel(AHEAD);
    // a thread of its own, since standard input cannot be waited for otherwise
    std::thread::Builder::new()
        .name("feed".to_owned())
        .spawn(move || feed(source, skip, size, &sender))?;
    Ok(batches)
}

fn feed(source: Source, skip: u64, size: usize, to: &mpsc::Sender<anyhow::Result<Batch>>) {
    let mut row = 0_u64;
    let mut bytes = 0;
    let mut batch = Batch {
        first: skip + 1,
        records: Vec::with_capacity(size),
    };
    let read = source.read(&mut |record| {
        row += 1;
        if row <= skip {
            return ControlFlow::Continue(());
        }
        let length = record.event.as_ref().map_or(0, String::len);
        let is_full = batch.records.len() == size || bytes + length > MAX_BATCH_BYTES;
        if is_full && !batch.records.is_empty() {
            let next = Batch {
                first: row,
                records: Vec::with_capacity(size),
            };
            bytes = 0;
            let full = std::mem::replace(&mut batch, next);
            if to.blocking_send(Ok(full)).is_err() {
                return ControlFlow::Break(());
            }
        }
        bytes += length;
        batch.records.push(record);
        ControlFlow::Continue(())
    });
    if !batch.records.is_empty() && to.blocking_send(Ok(batch)).is_err() {
        return;
    }
    if let Err(error) = read {
        // nobody is left to tell
        let _ = to.blocking_send(Err(error));
    }
}
