//! Counts what is read, and ends the reading of a record that never ends.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use super::MAX_RECORD;

/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;

/// How far a file was read.
#[derive(Debug, Default)]
pub(super) struct Meter {
    total: Cell<u64>,
    lines: Cell<u64>,
    mark: Cell<u64>,
    last: Cell<u8>,
}

impl Meter {
    /// Bytes read so far; a buffer may be ahead of its records.
    pub(super) fn total(&self) -> u64 {
        self.total.get()
    }

    /// Line breaks read so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines.get()
    }

    /// Whether the last byte was a line break.
    pub(super) fn is_at_line_end(&self) -> bool {
        self.last.get() == b'\n'
    }

    /// A record is over; the next may have as many bytes again.
    pub(super) fn next_record(&self) {
        self.mark.set(self.total.get());
    }
}

/// Reads through a buffer, byte for byte where it is asked so.
pub(super) struct Bounded<R> {
    inner: BufReader<R>,
    meter: Rc<Meter>,
}

/// What `input` is read through, and its meter.
pub(super) fn bounded<R: Read>(input: R) -> (Bounded<R>, Rc<Meter>) {
    let meter = Rc::new(Meter::default());
    let bounded = Bounded {
        inner: BufReader::with_capacity(BUFFER, input),
        meter: Rc::clone(&meter),
    };
    (bounded, meter)
}

/// `input` without the mark that some editors put in front.
pub(super) fn without_bom(mut input: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut head = Vec::with_capacity(3);
    input.by_ref().take(3).read_to_end(&mut head)?;
    if head == b"\xef\xbb\xbf" {
        return Ok(Box::new(input));
    }
    Ok(Box::new(io::Cursor::new(head).chain(input)))
}

impl<R: Read> Bounded<R> {
    fn count(&self, read: &[u8]) -> io::Result<()> {
        let meter = &self.meter;
        let breaks = memchr::memchr_iter(b'\n', read).count() as u64;
        meter.lines.set(meter.lines.get() + breaks);
        meter.total.set(meter.total.get() + read.len() as u64);
        if let Some(last) = read.last() {
            meter.last.set(*last);
        }
        if meter.total.get() - meter.mark.get() > MAX_RECORD {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to)?;
        self.count(to.get(..read).unwrap_or_default())?;
        Ok(read)
    }
}

impl<R: Read> Bounded<R> {
    /// The bytes up to the next line break, which is left out, but no more than `max`: whether the
    /// line was longer. None at the end. The rest of a longer line is read over.
    pub(super) fn line(&mut self, line: &mut Vec<u8>, max: usize) -> io::Result<Option<bool>> {
        line.clear();
        let (mut is_longer, mut has_begun) = (false, false);
        loop {
            let buffer = self.inner.fill_buf()?;
            if buffer.is_empty() {
                return Ok(has_begun.then_some(is_longer));
            }
            has_begun = true;
            let end = memchr::memchr(b'\n', buffer);
            let part = buffer
                .get(..end.unwrap_or(buffer.len()))
                .unwrap_or_default();
            let room = max - line.len();
            line.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
            is_longer |= part.len() > room;
            let used = end.map_or(part.len(), |end| end + 1);
            let meter = &self.meter;
            meter.total.set(meter.total.get() + used as u64);
            meter
                .lines
                .set(meter.lines.get() + u64::from(end.is_some()));
            self.inner.consume(used);
            if end.is_some() {
                return Ok(Some(is_longer));
            }
        }
    }
}
