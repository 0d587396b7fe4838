//! A body that is written while it is sent, by work that waits for the disk.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes that are sent in one piece, more or less.
const PIECE: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const PIECES: usize = 4;
/// For how long nothing may be read before the work is given up.
const STALLED: Duration = Duration::from_secs(10);

enum Piece {
    Some(Bytes),
    /// All is said. Without it the body was cut, and its reader must know.
    End,
}

struct Pieces(Receiver<Piece>, bool);

/// Where the work writes to.
struct Pipe {
    to: Sender<Piece>,
    runtime: Handle,
    held: Vec<u8>,
}

/// Runs `work` beside the workers; what it writes is the body. When it fails, the body is cut.
pub(super) fn written(work: impl FnOnce(&mut dyn Write) -> bool + Send + 'static) -> Body {
    let (to, from) = channel(PIECES);
    let runtime = Handle::current();
    let mut pipe = Pipe {
        to,
        runtime: runtime.clone(),
        held: Vec::new(),
    };
    // it ends by itself: when all is written, or when nobody reads any more
    drop(runtime.spawn_blocking(move || {
        if work(&mut pipe) && pipe.flush().is_ok() {
            let _gone = pipe.send(Piece::End);
        }
    }));
    Body::new(Pieces(from, false))
}

impl Pipe {
    fn send(&self, piece: Piece) -> io::Result<()> {
        let sent = self.to.send(piece);
        let sent = self.runtime.block_on(tokio::time::timeout(STALLED, sent));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.held);
        self.send(Piece::Some(piece.into()))
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.1 {
            return Poll::Ready(None);
        }
        let piece = std::task::ready!(self.0.poll_recv(context));
        self.1 = !matches!(piece, Some(Piece::Some(_)));
        Poll::Ready(match piece {
            Some(Piece::Some(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => None,
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_body_is_whole_or_visibly_cut() {
        let long = |out: &mut dyn Write| (0..100_000).all(|n| writeln!(out, "{n}").is_ok());
        let body = written(move |out| long(out));
        let text = body.collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"\n99999\n"));
        let body = written(move |out| !long(out));
        assert!(body.collect().await.is_err());
        // nobody reads: the work ends all the same
        let (done, ended) = tokio::sync::oneshot::channel();
        drop(written(move |out| {
            let all = long(out);
            done.send(all).unwrap();
            all
        }));
        assert!(!ended.await.unwrap());
    }
}
