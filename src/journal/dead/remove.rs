//! Removes dead letters, each file in one go: what stays is written anew beside it, synced, and
//! takes its place by a rename. After a crash the file is the old one or the new one.

use std::collections::{BTreeMap, HashSet};

use super::filter::{Filter, Matcher};
use super::line::Stored;
use super::lines::Lines;
use super::shelf::FileMeta;
use super::{DeadError, DeadLetters, LetterId, full_or_io};
use crate::journal::segment::disk::DiskFile;
use crate::journal::segment::locked;

/// Bytes written in one call.
const CHUNK: usize = 1 << 20;

impl DeadLetters {
    /// Removes letters, durably when `Ok`; gives how many there were. Each file is rewritten once,
    /// however many of its letters go. After an error some may be gone.
    pub fn remove(&self, ids: &[LetterId]) -> Result<u64, DeadError> {
        let mut files: BTreeMap<u64, HashSet<u64>> = BTreeMap::new();
        for id in ids {
            files.entry(id.file).or_default().insert(id.offset);
        }
        let _turn = locked(&self.removal);
        let mut removed = 0;
        for (number, offsets) in files {
            removed += self.sweep(number, &|letter| offsets.contains(&letter.id.offset))?;
        }
        Ok(removed)
    }

    /// Removes the letters the filter means, durably when `Ok`; gives how many. A dry run only
    /// counts them. An empty filter means all.
    pub fn purge(&self, filter: &Filter, dry_run: bool) -> Result<u64, DeadError> {
        let _turn = locked(&self.removal);
        let matcher = Matcher::new(filter, self.clock.now());
        let numbers: Vec<u64> = locked(&self.shelf).files.keys().copied().collect();
        let mut purged = 0;
        for number in numbers.into_iter().filter(|n| matcher.may_be_in(*n)) {
            let goes = |letter: &Stored<'_>| matcher.meets(letter);
            if dry_run {
                if let Some((mut lines, _)) = self.lines(number)? {
                    purged += tally(number, &mut lines, &goes)?.goes;
                }
                continue;
            }
            let gone = self.sweep(number, &goes)?;
            let counter = self.metrics.dead_purged.with_label_values(&["operator"]);
            counter.inc_by(gone);
            purged += gone;
        }
        if !dry_run && purged > 0 {
            tracing::info!(dead.letters = purged, "dead letters were purged");
        }
        Ok(purged)
    }

    /// Removes from one file what `goes`.
    fn sweep(&self, number: u64, goes: &dyn Fn(&Stored<'_>) -> bool) -> Result<u64, DeadError> {
        let Some((mut lines, _)) = self.lines(number)? else {
            return Ok(0);
        };
        let mut found = tally(number, &mut lines, goes)?;
        if found.goes == 0 {
            return Ok(0);
        }
        // from here on the file does not grow; what came since is looked at, too
        let mut shelf = locked(&self.shelf);
        shelf.finish(number);
        let size = shelf.files.get(&number).map(|meta| meta.bytes);
        drop(shelf);
        let Some(size) = size else {
            return Ok(0);
        };
        if size != found.bytes {
            lines.restart(size);
            found = tally(number, &mut lines, goes)?;
        }
        if found.stays == 0 {
            let mut shelf = locked(&self.shelf);
            let dropped = self.drop_file(&mut shelf, number);
            self.tell(&mut shelf);
            return Ok(dropped?.map_or(0, |_| found.goes));
        }
        let draft = self.draft_path(number);
        let new = self.disk.create(&draft).map_err(full_or_io)?;
        lines.restart(size);
        let replaced =
            rewrite(number, &mut lines, goes, &*new).and_then(|meta| self.replace(number, meta));
        if !matches!(replaced, Ok(true)) {
            // should this fail, the next start removes it
            let _gone = self.disk.remove(&draft);
        }
        Ok(if replaced? { found.goes } else { 0 })
    }

    /// Puts the draft in the file's place; false if a bound has purged the file meanwhile.
    fn replace(&self, number: u64, meta: FileMeta) -> Result<bool, DeadError> {
        let mut shelf = locked(&self.shelf);
        let Some(known) = shelf.files.get_mut(&number) else {
            return Ok(false);
        };
        self.disk
            .rename(&self.draft_path(number), &self.path(number))?;
        *known = meta;
        self.tell(&mut shelf);
        self.disk.sync_dir(&self.dir)?;
        Ok(true)
    }
}

/// Letters of a file.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    goes: u64,
    stays: u64,
    bytes: u64,
}

fn tally(
    number: u64,
    lines: &mut Lines,
    goes: &dyn Fn(&Stored<'_>) -> bool,
) -> Result<Tally, DeadError> {
    let mut tally = Tally::default();
    while let Some((offset, line)) = lines.next()? {
        tally.bytes = offset + line.len() as u64;
        match Stored::read(line, number, offset) {
            Some(letter) if goes(&letter) => tally.goes += 1,
            Some(_) => tally.stays += 1,
            None => {}
        }
    }
    Ok(tally)
}

/// Writes to `out` what stays of a file.
fn rewrite(
    number: u64,
    lines: &mut Lines,
    goes: &dyn Fn(&Stored<'_>) -> bool,
    out: &dyn DiskFile,
) -> Result<FileMeta, DeadError> {
    let mut meta = FileMeta::default();
    let mut text = Vec::new();
    while let Some((offset, line)) = lines.next()? {
        if let Some(letter) = Stored::read(line, number, offset) {
            if goes(&letter) {
                continue;
            }
            letter.copy(line, &mut text)?;
            meta.count((&letter).into());
        } else {
            // somebody may still make sense of it; it stays a line of its own
            meta.damaged += 1;
            text.extend_from_slice(line);
            if !line.ends_with(b"\n") {
                text.push(b'\n');
            }
        }
        if text.len() >= CHUNK {
            out.write_at(&text, meta.bytes).map_err(full_or_io)?;
            meta.bytes += text.len() as u64;
            text.clear();
        }
    }
    out.write_at(&text, meta.bytes).map_err(full_or_io)?;
    meta.bytes += text.len() as u64;
    out.sync().map_err(full_or_io)?;
    Ok(meta)
}
