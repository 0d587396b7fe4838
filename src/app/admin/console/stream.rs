//! What moves on a page: server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Interval;

use super::super::problem::Problem;
use super::super::{Admin, Inner};
use super::seen::seen;
use super::shell::guarded;
use super::{View, Visit};

/// Streams at once, of all sessions.
const MAX_STREAMS: usize = 64;
/// How often a region is written again.
const BEAT: Duration = Duration::from_secs(3);
/// For how long one stream lasts; the browser opens the next one, which asks for the session again.
const LASTS: u32 = 20;

/// What an event does to its region of the page.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// It takes the place of what is there.
    Page,
    /// Rows of a table that go on top of it.
    Rows,
}

/// The places for streams.
pub(in crate::app::admin) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_STREAMS)))
    }
}

/// Writes a region again every few seconds, for a minute; `render` may block, and gives nothing when it
/// fails.
pub(super) fn again(
    visit: Visit,
    kind: Kind,
    render: impl FnMut(&Inner) -> Option<String> + Send + Sync + Unpin + 'static,
) -> Result<View, Problem> {
    visit.members.end()?;
    let permit = place(&visit.admin)?;
    let body = Again {
        headers: visit.headers,
        admin: visit.admin,
        kind,
        render: Some(render),
        job: None,
        beats: tokio::time::interval(BEAT),
        left: LASTS,
        _permit: permit,
    };
    Ok(View::Own(response(Body::new(body))))
}

/// A place for a stream, until it is dropped.
pub(super) fn place(admin: &Admin) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = Arc::clone(&admin.0.streams.0).try_acquire_owned();
    permit.map_err(|_| Problem::busy())
}

/// Whether a stream may go on: the gateway runs, and the session is still one.
pub(super) fn lives(admin: &Admin, headers: &HeaderMap) -> bool {
    let in_force = admin.0.in_force();
    let (keys, now) = (&in_force.secrets.admin, admin.0.clock.now());
    !admin.0.tasks.is_closed() && admin.0.sessions.viewer(headers, keys, now, false).is_some()
}

/// The answer that carries a stream.
pub(super) fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    guarded(headers);
    response
}

/// One event, as it goes over the wire.
pub(super) fn event(kind: Kind, html: &str) -> Bytes {
    let name = match kind {
        Kind::Page => "page",
        Kind::Rows => "rows",
    };
    // JSON has no line breaks in it, which would end the field
    let data = serde_json::Value::from(seen(html.to_owned()));
    format!("retry: 500\nevent: {name}\ndata: {data}\n\n").into()
}

/// Work beside the workers that deliver.
type Job<F> = JoinHandle<(F, Option<String>)>;

struct Again<F> {
    admin: Admin,
    /// Whose session it is.
    headers: HeaderMap,
    kind: Kind,
    /// None while it is at work.
    render: Option<F>,
    job: Option<Job<F>>,
    beats: Interval,
    left: u32,
    _permit: OwnedSemaphorePermit,
}

impl<F: FnMut(&Inner) -> Option<String> + Send + Unpin + 'static> hyper::body::Body for Again<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let job = if let Some(job) = &mut this.job {
            job
        } else {
            std::task::ready!(this.beats.poll_tick(context));
            if this.left == 0 || !lives(&this.admin, &this.headers) {
                return Poll::Ready(None);
            }
            this.left -= 1;
            let Some(mut render) = this.render.take() else {
                // it has panicked
                return Poll::Ready(None);
            };
            let admin = this.admin.clone();
            this.job.insert(tokio::task::spawn_blocking(move || {
                let html = render(&admin.0);
                (render, html)
            }))
        };
        let done = std::task::ready!(Pin::new(job).poll(context));
        this.job = None;
        let Ok((render, Some(html))) = done else {
            return Poll::Ready(None);
        };
        this.render = Some(render);
        Poll::Ready(Some(Ok(Frame::data(event(this.kind, &html)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let sent = event(Kind::Page, "<p>\n\"a\"</p>");
        assert_eq!(
            sent,
            "retry: 500\nevent: page\ndata: \"<p>\\n\\\"a\\\"</p>\"\n\n"
        );
    }
}
