//! What may wait: the settle log, emptied segments, the next spare, evacuation.
//!
//! Settled records are noted in `.done` files, written and synced at intervals; losing the last
//! notes costs a repeated delivery, never an event. A sealed segment in which nothing lives
//! becomes the spare, or goes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::{DiskFile, is_full};
use super::evacuate::copy_through_writer;
use super::file::{Name, SegmentFile};
use super::settled::{DONE_HEADER_BYTES, done_header, push_done_frame};
use super::spares::Spare;
use super::table::Segment;
use super::{Call, Shared, locked};
use crate::failpoint;

/// How often a full journal looks whether there is room again.
const RETRY: Duration = Duration::from_secs(1);

/// The one that cleans up.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(super) shared: Arc<Shared>,
    /// Open `.done` files, by the first number of their segment.
    done: HashMap<u64, Arc<dyn DiskFile>>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            done: HashMap::new(),
        }
    }

    /// The keeper thread.
    pub(crate) fn run(mut self) {
        let interval = self.shared.settings.settle_sync;
        let mut flushed = Instant::now();
        // what recovery found empty is recycled at once
        let mut patience = Some(Duration::ZERO);
        loop {
            let call = self.shared.next_call(patience);
            if call == Call::Stop {
                break;
            }
            if flushed.elapsed() >= interval {
                self.flush_settled();
                flushed = Instant::now();
            }
            self.evacuate(&mut |shared, items| copy_through_writer(shared, items));
            patience = self.patience();
        }
        self.flush_settled();
        self.recycle();
        *locked(&self.shared.lock) = None;
        self.shared.closed.send_replace(true);
    }

    /// How long the keeper may sleep if nobody calls.
    fn patience(&self) -> Option<Duration> {
        let waits = self.spare_can_wait();
        let index = locked(&self.shared.index);
        if waits
            || index
                .segments()
                .any(|(_, s)| !s.unsaved.is_empty() || empty(s))
        {
            return Some(self.shared.settings.settle_sync);
        }
        let busy = self.shared.full().is_some() || self.excess(&index) > 0;
        busy.then_some(RETRY)
    }

    /// Recycles what is empty and sees that a spare is there.
    pub(crate) fn tidy(&mut self) {
        self.recycle();
        if !self.shared.is_poisoned() && !self.spare_can_wait() {
            // a full journal has said so where appends see it
            let _full = self.shared.ensure_spare();
        }
        self.shared.show_sizes();
    }

    /// Writes down and syncs what was settled since the last time.
    pub(crate) fn flush_settled(&mut self) {
        let mut work = Vec::new();
        for (slot, segment) in locked(&self.shared.index).segments_mut() {
            if !segment.unsaved.is_empty() {
                let ordinals = std::mem::take(&mut segment.unsaved);
                work.push((slot, segment.file.clone(), segment.done_end, ordinals));
            }
        }
        if work.is_empty() {
            return;
        }
        failpoint::hit("journal.settle_sync");
        let mut created = false;
        let mut touched = Vec::new();
        for (slot, segment, end, mut ordinals) in work {
            created |= end == 0;
            match self.write_done(&segment, end, &mut ordinals) {
                Ok((file, end)) => {
                    touched.push(file);
                    if let Some(segment) = locked(&self.shared.index).segment_mut(slot) {
                        segment.done_end = end;
                    }
                }
                Err(error) if is_full(&error) => {
                    // they are not forgotten in memory, and the next turn tries again
                    if let Some(segment) = locked(&self.shared.index).segment_mut(slot) {
                        segment.unsaved.append(&mut ordinals);
                    }
                }
                Err(error) => return self.shared.poison("settle log", &error),
            }
        }
        let synced = touched.iter().try_for_each(|file| file.sync());
        let synced = synced.and_then(|()| {
            if created {
                self.shared.disk.sync_dir(&self.shared.settings.dir)
            } else {
                Ok(())
            }
        });
        if let Err(error) = synced {
            self.shared.poison("settle log", &error);
        }
    }

    fn write_done(
        &mut self,
        segment: &SegmentFile,
        end: u64,
        ordinals: &mut [u32],
    ) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        let path = Name::Done(segment.first_seq).path(&self.shared.settings.dir);
        let file = match self.done.get(&segment.first_seq) {
            Some(file) => file.clone(),
            None if end == 0 => self.shared.disk.create(&path)?,
            None => self.shared.disk.open(&path)?,
        };
        self.done.insert(segment.first_seq, file.clone());
        let mut bytes = Vec::new();
        if end == 0 {
            bytes = done_header(segment.first_seq, segment.salt);
            debug_assert_eq!(bytes.len(), DONE_HEADER_BYTES);
        }
        push_done_frame(&mut bytes, segment.salt, ordinals);
        file.write_at(&bytes, end)?;
        Ok((file, end + bytes.len() as u64))
    }

    /// Turns every sealed segment in which nothing lives into the spare, or removes it.
    pub(crate) fn recycle(&mut self) {
        let mut emptied: Vec<(u64, u64, bool)> = Vec::new();
        let mut index = locked(&self.shared.index);
        let slots: Vec<u16> = index
            .segments()
            // a lease that is being read holds on to the file
            .filter(|(_, s)| empty(s) && Arc::strong_count(&s.file) == 1)
            .map(|(slot, s)| {
                emptied.push((s.file.first_seq, s.file.size, s.damaged));
                slot
            })
            .collect();
        for slot in slots {
            index.remove_segment(slot);
        }
        drop(index);
        if emptied.is_empty() {
            return;
        }
        failpoint::hit("journal.before_recycle");
        match self.put_away(&emptied) {
            Ok(()) => {}
            // what is left behind holds nothing live, and the next start clears it away
            Err(error) if is_full(&error) => {
                tracing::error!(error = %error, "an empty journal segment cannot be recycled");
            }
            Err(error) => self.shared.poison("recycle", &error),
        }
    }

    fn put_away(&mut self, emptied: &[(u64, u64, bool)]) -> io::Result<()> {
        let dir = self.shared.settings.dir.clone();
        let disk = self.shared.disk.clone();
        let mut spares = Vec::new();
        for (first_seq, size, damaged) in emptied {
            self.done.remove(first_seq);
            let path = Name::Segment(*first_seq).path(&dir);
            let wanted = *size == self.shared.settings.segment_bytes
                && spares.is_empty()
                && !self.shared.has_spare();
            if *damaged {
                disk.rename(&path, &Name::Corrupt(*first_seq).path(&dir))?;
            } else if wanted {
                let name = Name::Spare(self.shared.spares.number());
                disk.rename(&path, &name.path(&dir))?;
                let file = disk.open(&name.path(&dir))?;
                let size = *size;
                spares.push(Spare { name, file, size });
            } else {
                disk.remove(&path)?;
            }
            failpoint::hit("journal.after_rename");
        }
        // the old names are gone for good before the files get new content, and before the
        // notes go that say what was settled in them
        disk.sync_dir(&dir)?;
        for (first_seq, _, _) in emptied {
            match disk.remove(&Name::Done(*first_seq).path(&dir)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        for spare in spares {
            if let Some(extra) = self.shared.spares.offer(spare) {
                disk.remove(&extra.name.path(&dir))?;
            }
        }
        Ok(())
    }
}

/// Whether a segment has served its time.
fn empty(segment: &Segment) -> bool {
    segment.live == 0 && segment.sealed_at.is_some()
}
