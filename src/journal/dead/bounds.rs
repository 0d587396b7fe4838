//! What goes when there is too much, and who is told before.

use std::io;
use std::time::{Duration, Instant};

use super::shelf::{FileMeta, Shelf};
use super::{DeadError, DeadLetters};

/// From here on the operator is told that a bound is near, in per cent of it.
const WARN_PERCENT: i64 = 80;
/// How far the wall clock may go off the monotonic one between two looks.
const MAX_JUMP: Duration = Duration::from_mins(10);

impl DeadLetters {
    /// Drops the oldest files until `bytes` more fit; never the file `current`.
    pub(super) fn make_room(
        &self,
        shelf: &mut Shelf,
        bytes: u64,
        current: Option<u64>,
    ) -> Result<(), DeadError> {
        let max = self.settings.max_bytes;
        if bytes > max {
            return Err(DeadError::Full);
        }
        while shelf.bytes() + bytes > max {
            let mut numbers = shelf.files.keys().copied();
            let Some(oldest) = numbers.find(|number| Some(*number) != current) else {
                return Err(DeadError::Full);
            };
            self.purge_file(shelf, oldest, "dead_max_bytes")?;
        }
        Ok(())
    }

    /// Drops the files past their age, if the wall clock went as far as the monotonic one since the
    /// last call: when it jumps ahead, an operator has until the next call to notice.
    pub(super) fn purge_by_age(&self, shelf: &mut Shelf) {
        let now = self.clock.now();
        let looked = shelf.looked.replace((Instant::now(), now));
        let Some((before, wall)) = looked else { return };
        let went = i64::try_from(before.elapsed().as_millis()).unwrap_or(i64::MAX);
        let off = now.0.saturating_sub(wall.0).saturating_sub(went);
        if off.unsigned_abs() > MAX_JUMP.as_millis() as u64 {
            tracing::warn!(
                clock.jump_s = off / 1000,
                "the clock of the machine has jumped; no dead letter is purged for its age until it goes on evenly"
            );
            return;
        }
        let is_past = |file: &FileMeta| {
            let last = file.span.map(|(_, last)| last);
            last.is_some_and(|last| last.plus(self.settings.max_age) <= now)
        };
        let past: Vec<u64> = (shelf.files.iter())
            .filter(|(_, file)| is_past(file))
            .map(|(number, _)| *number)
            .collect();
        for number in past {
            if let Err(error) = self.purge_file(shelf, number, "dead_max_age") {
                tracing::warn!(error = %error, "dead letters past their age cannot be removed; it will be tried again");
                return;
            }
        }
    }

    fn purge_file(
        &self,
        shelf: &mut Shelf,
        number: u64,
        bound: &'static str,
    ) -> Result<(), DeadError> {
        let Some(meta) = self.drop_file(shelf, number)? else {
            return Ok(());
        };
        let purged = self.metrics.dead_purged.with_label_values(&[bound]);
        purged.inc_by(meta.letters);
        tracing::warn!(
            limit = format_args!("journal.{bound}"),
            dead.letters = meta.letters,
            dead.bytes = meta.bytes,
            "the oldest dead letters were purged, since a bound is reached"
        );
        Ok(())
    }

    /// Removes a whole file; gives what was known of it.
    pub(super) fn drop_file(
        &self,
        shelf: &mut Shelf,
        number: u64,
    ) -> Result<Option<FileMeta>, DeadError> {
        match self.disk.remove(&self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        shelf.finish(number);
        let meta = shelf.files.remove(&number);
        self.disk.sync_dir(&self.dir)?;
        Ok(meta)
    }

    /// Brings the metrics up to date, and tells the operator once when a bound is near.
    pub(super) fn tell(&self, shelf: &mut Shelf) {
        let (letters, bytes) = (shelf.letters(), shelf.bytes());
        let age = shelf.oldest().map(|oldest| self.clock.now().since(oldest));
        let age = age.unwrap_or_default();
        let fill = percent(u128::from(bytes), u128::from(self.settings.max_bytes))
            .max(percent(age.as_millis(), self.settings.max_age.as_millis()));
        self.metrics.dead_letters.set(letters as i64);
        self.metrics.dead_letters_bytes.set(bytes as i64);
        self.metrics.dead_letters_oldest.set(age.as_secs() as i64);
        self.metrics.dead_letters_fill.set(fill);
        let near = fill >= WARN_PERCENT;
        if near && !shelf.warned {
            tracing::warn!(
                dead.letters = letters,
                dead.bytes = bytes,
                dead.oldest_s = age.as_secs(),
                fill_percent = fill,
                "dead letters are near journal.dead_max_bytes or journal.dead_max_age, where the oldest are purged: redrive, export or purge them, or raise the bound"
            );
        }
        shelf.warned = near;
    }
}

fn percent(part: u128, whole: u128) -> i64 {
    i64::try_from(part.saturating_mul(100) / whole.max(1)).unwrap_or(i64::MAX)
}
