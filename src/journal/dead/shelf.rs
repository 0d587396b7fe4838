//! What is known of the files, so that no question about all letters reads them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::LetterId;
use super::sums::{self, Alike, Sum, Sums};
use crate::journal::segment::disk::DiskFile;
use crate::time::UnixMs;

/// All files.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) files: BTreeMap<u64, FileMeta>,
    pub(super) next_file: u64,
    /// The one that is written.
    pub(super) open: Option<Open>,
    /// When it was last looked after, by the monotonic clock and by the wall's.
    pub(super) looked: Option<(Instant, UnixMs)>,
    /// Whether the operator was told that a bound is near.
    pub(super) warned: bool,
}

/// The file that is written.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next line goes.
    pub(super) at: u64,
}

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileMeta {
    pub(super) bytes: u64,
    pub(super) letters: u64,
    /// Lines that are no letters.
    pub(super) damaged: u64,
    /// When its first letter died, and its last.
    pub(super) span: Option<(UnixMs, UnixMs)>,
    /// Whether every letter stands at the offset that its id tells.
    pub(super) in_place: bool,
    pub(super) sums: Sums,
}

impl Open {
    /// The id of a letter that will stand `ahead` bytes further on.
    pub(super) fn id(&self, ahead: usize) -> LetterId {
        LetterId {
            file: self.number,
            offset: self.at + ahead as u64,
        }
    }
}

impl FileMeta {
    /// A file that was just made.
    pub(super) fn empty() -> Self {
        Self {
            in_place: true,
            ..Self::default()
        }
    }

    pub(super) fn count(&mut self, (alike, sum): (Alike, Sum)) {
        self.letters += sum.letters;
        self.stretch((sum.first, sum.last));
        sums::join(&mut self.sums, alike, &sum);
    }

    /// Counts what was written behind it.
    pub(super) fn join(&mut self, added: Self) {
        self.bytes += added.bytes;
        self.letters += added.letters;
        if let Some(span) = added.span {
            self.stretch(span);
        }
        for (alike, sum) in added.sums {
            sums::join(&mut self.sums, alike, &sum);
        }
    }

    fn stretch(&mut self, (first, last): (UnixMs, UnixMs)) {
        let (old_first, old_last) = self.span.unwrap_or((first, last));
        self.span = Some((old_first.min(first), old_last.max(last)));
    }
}

impl Shelf {
    pub(super) fn letters(&self) -> u64 {
        self.files.values().map(|file| file.letters).sum()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    pub(super) fn oldest(&self) -> Option<UnixMs> {
        let firsts = self.files.values().filter_map(|file| file.span);
        firsts.map(|(first, _)| first).min()
    }

    /// Nothing is written to file `number` any more.
    pub(super) fn finish(&mut self, number: u64) {
        self.open.take_if(|open| open.number == number);
    }
}
