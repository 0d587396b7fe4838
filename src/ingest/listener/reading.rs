//! An answer that is written while it is sent, as far as its connection's deadlines care.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::http::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::{Activity, Busy};

/// A body of which each piece that is taken counts as activity. While the client takes nothing the
/// connection is silent; while the gateway has nothing to give, it is not.
struct Reading {
    body: Body,
    activity: Arc<Activity>,
    waiting: Option<Busy>,
}

/// Ties a long answer to its connection's deadlines; one whose length is known is sent at once.
pub(super) fn followed(answer: Response<Body>, activity: &Arc<Activity>) -> Response<Body> {
    if answer.body().size_hint().exact().is_some() {
        return answer;
    }
    answer.map(|body| {
        Body::new(Reading {
            body,
            activity: Arc::clone(activity),
            waiting: None,
        })
    })
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.waiting.is_none() {
            self.waiting = Some(Busy::new(Arc::clone(&self.activity)));
        }
        let piece = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        self.waiting = None;
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::*;
    use crate::ingest::listener::Settings;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc::{Receiver, channel};

    struct Pieces(Receiver<Bytes>);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            let piece = self.0.poll_recv(context);
            piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
        }
    }

    #[tokio::test]
    async fn only_a_reader_that_takes_nothing_is_silent() {
        let limit = Duration::from_millis(20);
        let settings = Settings {
            max_connections: 1,
            header_timeout: limit,
            idle_timeout: limit,
        };
        let (to, from) = channel(1);
        let activity = Arc::new(Activity::new());
        activity.used.store(true, Ordering::Release);
        let answer = Response::new(Body::new(Pieces(from)));
        let mut body = followed(answer, &activity).into_body();
        let slow = async {
            tokio::time::sleep(10 * limit).await;
            to.send(Bytes::from_static(b"a")).await.unwrap();
        };
        let taken = async { tokio::join!(body.frame(), slow).0 };
        tokio::select! {
            biased;
            piece = taken => assert!(piece.is_some()),
            () = activity.silent(&settings) => panic!("cut while the gateway had nothing to give"),
        }
        // ends, since the client takes no more
        activity.silent(&settings).await;
        let whole = followed(Response::new(Body::from("whole")), &activity);
        assert_eq!(whole.body().size_hint().exact(), Some(5));
    }
}
