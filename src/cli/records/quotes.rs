//! Finds the quotation marks of a CSV file that its reader would forgive, and change cells by it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

/// What was read so far; the reader of the rows may be behind by its buffer.
#[derive(Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    state: State,
    at: u64,
    is_over: bool,
    /// Whether the record that is read has a fault already.
    is_faulty: bool,
    /// Where records have text behind a closed quotation mark: the first place of each.
    faults: VecDeque<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// Behind a mark that closes the cell, or is the first of two.
    Mark,
    /// Blanks behind a closed cell.
    Tail,
}

impl Quotes {
    /// Whether a record up to the byte `end` has text behind a closed quotation mark. Records are
    /// asked for in order.
    pub(super) fn is_faulty(&mut self, end: u64) -> bool {
        let mut is_faulty = false;
        while self.faults.front().is_some_and(|at| *at < end) {
            self.faults.pop_front();
            is_faulty = true;
        }
        is_faulty
    }

    /// Whether the file is over inside of quotation marks.
    pub(super) fn is_left_open(&self) -> bool {
        self.is_over && self.state == State::Quoted
    }

    fn scan(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = match (self.state, *byte) {
                (State::Quoted, b'"') => State::Mark,
                (State::Quoted, _) | (State::Mark, b'"') => State::Quoted,
                (_, b'\n') => {
                    self.is_faulty = false;
                    State::Start
                }
                (_, byte) if byte == self.delimiter => State::Start,
                (State::Start, b'"') => State::Quoted,
                (State::Mark | State::Tail, b' ' | b'\t' | b'\r') => State::Tail,
                (State::Mark | State::Tail, _) => {
                    if !self.is_faulty {
                        self.faults.push_back(self.at);
                    }
                    self.is_faulty = true;
                    State::Plain
                }
                (State::Start | State::Plain, _) => State::Plain,
            };
            self.at += 1;
        }
    }
}

/// Looks at what is read.
pub(super) struct Watched<R> {
    inner: R,
    quotes: Rc<RefCell<Quotes>>,
}

/// What `input` is read through, and what is seen of it.
pub(super) fn watched<R: Read>(input: R, delimiter: u8) -> (Watched<R>, Rc<RefCell<Quotes>>) {
    let quotes = Rc::new(RefCell::new(Quotes {
        delimiter,
        state: State::Start,
        at: 0,
        is_over: false,
        is_faulty: false,
        faults: VecDeque::new(),
    }));
    let watched = Watched {
        inner: input,
        quotes: Rc::clone(&quotes),
    };
    (watched, quotes)
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to)?;
        let mut quotes = self.quotes.borrow_mut();
        quotes.scan(to.get(..read).unwrap_or_default());
        quotes.is_over |= read == 0 && !to.is_empty();
        Ok(read)
    }
}
