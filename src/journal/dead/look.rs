//! Reads dead letters, while others may be appended or removed.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::ops::ControlFlow;

use super::filter::{Filter, Matcher};
use super::letter::{Group, Kept, Letter, Page, Shown, View};
use super::line::Stored;
use super::lines::Lines;
use super::shelf::FileMeta;
use super::sums::{self, Alike, Sum};
use super::{DeadError, DeadLetters, LetterId};
use crate::event::EncodedEvent;
use crate::journal::segment::locked;
use crate::time::UnixMs;

/// Letters of one page, at most.
pub const MAX_PAGE: usize = 1000;

/// Letters to be tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of their ids.
    pub letters: Vec<Kept>,
    /// After which id to go on; none when there is no more.
    pub next: Option<LetterId>,
}

/// Whether to go on.
type Visit = Result<ControlFlow<()>, DeadError>;

impl DeadLetters {
    /// Letters that are kept.
    pub fn count(&self) -> u64 {
        locked(&self.shelf).letters()
    }

    /// Bytes of their files.
    pub fn bytes(&self) -> u64 {
        locked(&self.shelf).bytes()
    }

    /// When the oldest died.
    pub fn oldest(&self) -> Option<UnixMs> {
        locked(&self.shelf).oldest()
    }

    /// The id that the next letter will have at the least: all that are kept have lower ones.
    pub fn next_id(&self) -> LetterId {
        let shelf = locked(&self.shelf);
        let (file, offset) = match &shelf.open {
            Some(open) => (open.number, open.at),
            None => (shelf.next_file, 0),
        };
        LetterId { file, offset }
    }

    /// How many there are of each pixel and reason; reads nothing.
    pub fn summary(&self) -> Vec<Group> {
        let mut sums = BTreeMap::new();
        for file in locked(&self.shelf).files.values() {
            for (alike, sum) in &file.sums {
                let group = (alike.pixel, alike.reason.clone());
                *sums.entry(group).or_default() += sum.letters;
            }
        }
        sums.into_iter()
            .map(|((pixel, reason), letters)| Group {
                pixel,
                reason,
                letters,
            })
            .collect()
    }

    /// What the letters that are alike come to; reads nothing.
    pub fn sums(&self) -> BTreeMap<Alike, Sum> {
        let mut sums = BTreeMap::new();
        for file in locked(&self.shelf).files.values() {
            for (alike, sum) in &file.sums {
                sums::join(&mut sums, alike.clone(), sum);
            }
        }
        sums
    }

    /// The event ids of the newest letters, `max_each` of those that are alike, the newest last. Reads the
    /// newest files, no more than about `max_bytes` of them.
    pub fn newest_ids(
        &self,
        max_each: usize,
        max_bytes: u64,
    ) -> Result<BTreeMap<Alike, VecDeque<String>>, DeadError> {
        let mut room = max_bytes;
        let mut numbers: Vec<u64> = (locked(&self.shelf).files.iter().rev())
            .take_while(|(_, file)| {
                let fits = room > 0;
                room = room.saturating_sub(file.bytes);
                fits
            })
            .map(|(number, _)| *number)
            .collect();
        numbers.reverse();
        let mut found: BTreeMap<Alike, VecDeque<String>> = BTreeMap::new();
        for number in numbers {
            let Some((mut lines, _)) = self.lines(number)? else {
                continue;
            };
            while let Some((offset, line)) = lines.next()? {
                let Some(stored) = Stored::read(line, number, offset) else {
                    continue;
                };
                let head = EncodedEvent::head_of(stored.event.get().as_bytes());
                let Some(id) = head.event_id else { continue };
                let ids = found.entry(Alike::from(&stored)).or_default();
                if ids.len() >= max_each {
                    ids.pop_front();
                }
                ids.push_back(id.into_owned());
            }
        }
        Ok(found)
    }

    /// The letters the filter means, in the order of their ids: those behind `after`, `limit` of
    /// them (1 to [`MAX_PAGE`]).
    ///
    /// Letters that are appended meanwhile may be missing, and so may those that are removed.
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Page, DeadError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut page = Page::default();
        self.visit(filter, after, &mut |stored, _| {
            if page.letters.len() == limit {
                page.next = page.letters.last().map(|letter| letter.id);
                return Ok(ControlFlow::Break(()));
            }
            page.letters.push(Letter::from(stored));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(page)
    }

    /// One letter with its event; none if there is no such letter.
    pub fn show(&self, id: LetterId, view: View) -> Result<Option<Shown>, DeadError> {
        let filter = Filter {
            ids: vec![id],
            ..Filter::default()
        };
        let mut found = None;
        self.visit(&filter, None, &mut |stored, _| {
            found = Some(Shown::new(stored, view));
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// The newest `limit` letters whose event has `needle` in its JSON and is wanted, newest first.
    /// Reads every file, from the newest on, until it has enough.
    pub fn search(
        &self,
        needle: &[u8],
        wanted: &dyn Fn(&[u8]) -> bool,
        limit: usize,
    ) -> Result<Vec<Shown>, DeadError> {
        let finder = memchr::memmem::Finder::new(needle);
        let mut found = Vec::new();
        let numbers: Vec<u64> = locked(&self.shelf).files.keys().rev().copied().collect();
        for number in numbers {
            let Some((mut lines, _)) = self.lines(number)? else {
                continue;
            };
            let mut of_file = Vec::new();
            while let Some((offset, line)) = lines.next()? {
                // most are not looked at any further
                if finder.find(line).is_none() {
                    continue;
                }
                let stored = Stored::read(line, number, offset);
                let stored = stored.filter(|stored| wanted(stored.event.get().as_bytes()));
                if let Some(stored) = stored {
                    of_file.push(Shown::new(&stored, View::Masked));
                    if of_file.len() > limit {
                        of_file.remove(0);
                    }
                }
            }
            found.extend(of_file.into_iter().rev());
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Writes the letters the filter means as they are stored, one object of JSON a line, events
    /// in clear as they would be sent; gives their number. An error of `out` is a
    /// [`DeadError::Io`], too.
    pub fn export(&self, filter: &Filter, out: &mut dyn Write) -> Result<u64, DeadError> {
        let mut exported = 0;
        let mut buf = Vec::new();
        self.visit(filter, None, &mut |stored, line| {
            buf.clear();
            stored.copy(line, &mut buf)?;
            out.write_all(&buf)?;
            exported += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        out.flush()?;
        Ok(exported)
    }

    /// The letters behind `after` that the filter means, with what is needed to try them again:
    /// at most `max_letters`, and at most `max_bytes` of events, but at least one if there is one.
    pub fn load(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        max_letters: usize,
        max_bytes: usize,
    ) -> Result<Batch, DeadError> {
        let mut batch = Batch::default();
        let mut bytes = 0;
        self.visit(filter, after, &mut |stored, _| {
            bytes += stored.event.get().len();
            let full = batch.letters.len() >= max_letters.max(1) || bytes > max_bytes;
            if full && let Some(last) = batch.letters.last() {
                batch.next = Some(last.id);
                return Ok(ControlFlow::Break(()));
            }
            batch.letters.push(Kept::from(stored));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(batch)
    }

    /// Calls `each` with every letter the filter means and its line, in the order of ids.
    fn visit(
        &self,
        filter: &Filter,
        after: Option<LetterId>,
        each: &mut dyn FnMut(&Stored<'_>, &[u8]) -> Visit,
    ) -> Result<(), DeadError> {
        let matcher = Matcher::new(filter, self.clock.now());
        let from = after.map_or(0, |after| after.file);
        let numbers: Vec<u64> = (locked(&self.shelf).files.range(from..))
            .map(|(number, _)| *number)
            .filter(|number| matcher.may_be_in(*number))
            .collect();
        for number in numbers {
            let Some((mut lines, in_place)) = self.lines(number)? else {
                continue;
            };
            let start = after.max(matcher.first_in(number));
            if let Some(start) = start.filter(|start| in_place && start.file == number) {
                lines.seek(start.offset)?;
            }
            while let Some((offset, line)) = lines.next()? {
                let Some(stored) = Stored::read(line, number, offset) else {
                    continue;
                };
                if after.is_some_and(|after| stored.id <= after) || !matcher.meets(&stored) {
                    continue;
                }
                if each(&stored, line)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The lines of a file, and whether all letters are in place; none if it was purged.
    ///
    /// Both are of one moment: a file that is rewritten from then on is read as it was, one that
    /// grows as far as it goes now.
    pub(super) fn lines(&self, number: u64) -> Result<Option<(Lines, bool)>, DeadError> {
        let shelf = locked(&self.shelf);
        let Some(meta) = shelf.files.get(&number) else {
            return Ok(None);
        };
        let file = self.disk.open_read_only(&self.path(number))?;
        Ok(Some((Lines::new(file, meta.bytes), meta.in_place)))
    }

    /// Reads a file to know what is in it.
    pub(super) fn scan(&self, number: u64) -> Result<FileMeta, DeadError> {
        let mut lines = Lines::new(self.disk.open_read_only(&self.path(number))?, u64::MAX);
        let mut meta = FileMeta::empty();
        while let Some((offset, line)) = lines.next()? {
            meta.bytes = offset + line.len() as u64;
            let Some(stored) = Stored::read(line, number, offset) else {
                meta.damaged += 1;
                continue;
            };
            meta.in_place &= stored.id.offset == offset;
            meta.count((&stored).into());
        }
        Ok(meta)
    }
}
