//! Segments ready for use: made of zeros in the background, or taken from the emptied ones.
//!
//! A spare is whole before it gets its name: `spare-N.new` is filled and synced, then renamed.
//! When no spare can be had, the journal is full: what is left of the active segment is then the
//! room that evacuation needs to get out of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::disk::{DiskFile, is_full};
use super::file::Name;
use super::frame::HEADER_BYTES;
use super::{Shared, locked};
use crate::journal::Limit;

/// A file that can become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) name: Name,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) size: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Spares {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ready: Option<Spare>,
    /// Somebody is making one.
    making: bool,
    /// The last one is on its way to be the head.
    rolling: bool,
    /// The number for the next name.
    next: u64,
}

impl Spares {
    /// Bytes of the spare, if there is one.
    pub(crate) fn bytes(&self) -> u64 {
        locked(&self.state).ready.as_ref().map_or(0, |s| s.size)
    }

    /// A number no spare has had since the start.
    pub(crate) fn number(&self) -> u64 {
        let mut state = locked(&self.state);
        state.next += 1;
        state.next
    }

    /// Names up to `number` are taken.
    pub(crate) fn skip_to(&self, number: u64) {
        let mut state = locked(&self.state);
        state.next = state.next.max(number);
    }

    /// The one that was taken is the head now, or will never be.
    pub(crate) fn rolled(&self) {
        locked(&self.state).rolling = false;
    }

    /// Whether a spare that was taken is not yet the head.
    pub(crate) fn is_rolling(&self) -> bool {
        locked(&self.state).rolling
    }

    /// Offers a spare; gives it back when there is one already.
    pub(crate) fn offer(&self, spare: Spare) -> Option<Spare> {
        let mut state = locked(&self.state);
        if state.ready.is_some() {
            return Some(spare);
        }
        state.ready = Some(spare);
        self.changed.notify_all();
        None
    }
}

impl Shared {
    /// Whether a spare is there.
    pub(crate) fn has_spare(&self) -> bool {
        locked(&self.spares.state).ready.is_some()
    }

    /// Sees that a spare is there; makes one, or waits for the one in the making, if there is
    /// none. Only the writer takes it away again.
    pub(crate) fn await_spare(&self) -> Result<(), Limit> {
        self.spare_state().map(drop)
    }

    /// Takes the spare; makes one, or waits for the one in the making, if there is none.
    pub(crate) fn take_spare(&self) -> Result<Spare, Limit> {
        loop {
            let mut state = self.spare_state()?;
            if let Some(spare) = state.ready.take() {
                state.rolling = true;
                return Ok(spare);
            }
        }
    }

    /// The state, with a spare in it.
    fn spare_state(&self) -> Result<MutexGuard<'_, State>, Limit> {
        loop {
            let mut state = locked(&self.spares.state);
            while state.ready.is_none() && state.making {
                state = self
                    .spares
                    .changed
                    .wait(state)
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            if state.ready.is_some() {
                return Ok(state);
            }
            drop(state);
            self.ensure_spare()?;
        }
    }

    /// Makes a spare if there is none, within `max_bytes`, and says so to the appends.
    pub(crate) fn ensure_spare(&self) -> Result<(), Limit> {
        let size = self.settings.segment_bytes;
        {
            let mut state = locked(&self.spares.state);
            if state.making {
                return Ok(());
            }
            if state.ready.is_some() {
                drop(state);
                let used = locked(&self.index).disk_bytes();
                // it never says "full" here: the writer may have counted on the contrary since
                if self.still_full(used).is_none() {
                    self.set_full(None);
                }
                return Ok(());
            }
            state.making = true;
        }
        let made = self.room_for_spare().and_then(|()| self.make_spare(size));
        let mut state = locked(&self.spares.state);
        state.making = false;
        let outcome = made.map(|spare| {
            // a recycled one may have come first
            let extra = state.ready.is_some().then_some(spare.name);
            state.ready.get_or_insert(spare);
            extra
        });
        self.spares.changed.notify_all();
        drop(state);
        match outcome {
            Ok(extra) => {
                if let Some(name) = extra {
                    let _removed_at_next_start = self.disk.remove(&name.path(&self.settings.dir));
                }
                self.set_full(None);
                Ok(())
            }
            Err(limit) => {
                self.set_full(Some(limit));
                Err(limit)
            }
        }
    }

    /// Says so when there is no room for a spare, before the keeper has looked.
    pub(crate) fn check_room(&self) {
        if !self.has_spare()
            && let Err(limit) = self.room_for_spare()
        {
            self.set_full(Some(limit));
        }
    }

    /// How many times the writer can roll from now on, whatever else happens: into the spare, if
    /// there is one, and into those that may still be made after it.
    pub(crate) fn rolls_left(&self) -> u64 {
        let spare = self.spares.bytes();
        let ready = u64::from(spare > 0);
        let index = locked(&self.index);
        let used = index.disk_bytes() + spare;
        let slots = index.free_slots();
        drop(index);
        let more = if self.full() == Some(Limit::MaxBytes) {
            0
        } else {
            self.settings.max_bytes.saturating_sub(used) / self.settings.segment_bytes
        };
        (ready + more).min(slots)
    }

    /// An append was refused because the whole of it does not fit. Above nine tenths the journal
    /// counts as full from then on; below, one large call must not keep out the small ones.
    pub(crate) fn refused_large(&self) {
        let used = locked(&self.index).disk_bytes();
        if self.full().is_none() && self.above_nine_tenths(used) {
            self.set_full(Some(Limit::MaxBytes));
            self.kick();
        }
    }

    fn above_nine_tenths(&self, used: u64) -> bool {
        used > self.settings.max_bytes / 10 * 9
    }

    fn room_for_spare(&self) -> Result<(), Limit> {
        let used = locked(&self.index).disk_bytes();
        if used + self.settings.segment_bytes > self.settings.max_bytes {
            return Err(Limit::MaxBytes);
        }
        self.still_full(used).map_or(Ok(()), Err)
    }

    /// A journal that was full stays so until it has fallen to nine tenths of its bound.
    fn still_full(&self, used: u64) -> Option<Limit> {
        self.full()
            .filter(|full| *full == Limit::MaxBytes && self.above_nine_tenths(used))
    }

    /// Makes a spare of `size` bytes, without counting it against any limit.
    pub(crate) fn make_spare(&self, size: u64) -> Result<Spare, Limit> {
        let number = self.spares.number();
        let dir = &self.settings.dir;
        let making = Name::Making(number).path(dir);
        let name = Name::Spare(number);
        let made = self.disk.create(&making).and_then(|file| {
            file.allocate(size.max(HEADER_BYTES))?;
            file.sync()?;
            self.disk.rename(&making, &name.path(dir))?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Spare { name, file, size }),
            Err(error) => {
                let _removed_at_next_start = self.disk.remove(&making);
                // nothing was in it: a failure here takes nothing from anyone
                if self.full() != Some(Limit::Disk) {
                    tracing::error!(
                        error = %error,
                        disk.full = is_full(&error),
                        "no room for another journal segment"
                    );
                }
                Err(Limit::Disk)
            }
        }
    }
}
