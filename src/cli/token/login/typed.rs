//! Lines that a person types or pastes while something else is waited for as well.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Bytes of a line; the rest of a longer one is left out.
const MAX_LINE: usize = 64 << 10;

/// How long it takes at most until the end is noticed.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Lines from standard input. Nothing is read ahead of need, so that after [`Typed::stop`] other
/// questions can be asked there.
pub(super) struct Typed {
    lines: mpsc::Receiver<Zeroizing<String>>,
    is_over: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Typed {
    /// Begins to read standard input.
    pub(super) fn start() -> io::Result<Self> {
        Self::read(std::io::stdin())
    }

    fn read(input: impl AsFd + Send + 'static) -> io::Result<Self> {
        let (sender, lines) = mpsc::channel(1);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        // a thread of its own, since a terminal cannot be waited for otherwise
        let reader = std::thread::Builder::new()
            .name("typed".to_owned())
            .spawn(move || read_lines(&input, &over, &sender))?;
        Ok(Self {
            lines,
            is_over,
            reader,
        })
    }

    /// The next line; none at the end of the input.
    pub(super) async fn next(&mut self) -> Option<Zeroizing<String>> {
        self.lines.recv().await
    }

    /// Leaves standard input to others.
    pub(super) fn stop(self) {
        self.is_over.store(true, Ordering::Release);
        drop(self.lines);
        // it has nothing to say
        let _ = self.reader.join();
    }
}

fn read_lines(input: &impl AsFd, over: &AtomicBool, sender: &mpsc::Sender<Zeroizing<String>>) {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut piece = Zeroizing::new([0_u8; 1024]);
    while !over.load(Ordering::Acquire) {
        let mut ready = [PollFd::new(input, PollFlags::IN)];
        match poll(&mut ready, Some(&LOOK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        let count = match rustix::io::read(input, piece.as_mut_slice()) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        };
        for byte in &piece[..count] {
            if *byte != b'\n' {
                if line.len() < MAX_LINE {
                    line.push(*byte);
                }
            } else if !send(&mut line, sender) {
                return;
            }
        }
        if count == 0 {
            if !line.is_empty() {
                send(&mut line, sender);
            }
            return;
        }
    }
}

/// False when nobody listens any more.
fn send(line: &mut Zeroizing<Vec<u8>>, sender: &mpsc::Sender<Zeroizing<String>>) -> bool {
    let text = Zeroizing::new(String::from_utf8_lossy(line).into_owned());
    line.clear();
    sender.blocking_send(text).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn lines_come_as_they_are_typed_and_the_last_needs_no_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut typed = Typed::read(reader).unwrap();
        writer.write_all(b"one\ntw").unwrap();
        assert_eq!(
            typed.next().await.as_deref().map(String::as_str),
            Some("one")
        );
        writer.write_all(b"o\nlast").unwrap();
        drop(writer);
        assert_eq!(
            typed.next().await.as_deref().map(String::as_str),
            Some("two")
        );
        assert_eq!(
            typed.next().await.as_deref().map(String::as_str),
            Some("last")
        );
        assert!(typed.next().await.is_none());
        typed.stop();
    }

    #[tokio::test]
    async fn a_line_without_end_is_kept_to_its_bound() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut typed = Typed::read(reader).unwrap();
        let writing = std::thread::spawn(move || {
            let long = vec![b'a'; 3 * MAX_LINE];
            writer.write_all(&long).unwrap();
            writer.write_all(b"\nnext\n").unwrap();
        });
        assert_eq!(typed.next().await.unwrap().len(), MAX_LINE);
        assert_eq!(
            typed.next().await.as_deref().map(String::as_str),
            Some("next")
        );
        writing.join().unwrap();
        typed.stop();
    }

    #[test]
    fn it_can_be_stopped_while_nothing_is_typed() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let typed = Typed::read(reader).unwrap();
        let start = std::time::Instant::now();
        typed.stop();
        assert!(start.elapsed() < std::time::Duration::from_secs(5));
    }
}
