//! `GET /tail`: what happens to events at this moment, a line of JSON each.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::json;
use tokio::time::Interval;

use super::Admin;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use crate::config::units::{Span, UnitError};
use crate::pixel::PixelId;
use crate::tail::{MAX_WATCHERS, Row, Watch};

/// How often rows are sent.
const BEAT: Duration = Duration::from_millis(400);
/// Rows that are sent at once; others are counted.
const MAX_ROWS: usize = 200;
/// For how long one answer lasts, at most.
const LASTS: Duration = Duration::from_mins(10);
/// Beats without a row after which something is sent all the same, to see whether anybody reads.
const QUIET: u32 = 20;

/// Rows as they come; ends with the gateway, and after a while.
pub(super) struct Rows<W> {
    admin: Admin,
    watch: Watch,
    pixel: Option<PixelId>,
    /// Rows at once.
    most: usize,
    write: W,
    beats: Interval,
    left: u32,
    quiet: u32,
}

impl<W: FnMut(&[Arc<Row>], u64) -> Option<String> + Send + Unpin + 'static> Rows<W> {
    /// A body of what `write` makes of rows and of the number of those that are left out; of nothing
    /// at all it makes what keeps the connection.
    pub(super) fn body(
        admin: &Admin,
        pixel: Option<PixelId>,
        most: usize,
        lasts: Duration,
        write: W,
    ) -> Result<Body, Problem> {
        let watch = admin.0.tail.watch().ok_or_else(full)?;
        Ok(Body::new(Self {
            admin: admin.clone(),
            watch,
            pixel,
            most,
            write,
            beats: tokio::time::interval(BEAT),
            left: (lasts.as_millis() / BEAT.as_millis()) as u32,
            quiet: QUIET,
        }))
    }
}

impl<W: FnMut(&[Arc<Row>], u64) -> Option<String> + Unpin> hyper::body::Body for Rows<W> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        loop {
            std::task::ready!(this.beats.poll_tick(context));
            if this.left == 0 || this.admin.0.tasks.is_closed() {
                return Poll::Ready(None);
            }
            this.left -= 1;
            let pixel = this.pixel;
            let wanted = |row: &Row| pixel.is_none_or(|pixel| pixel == row.pixel);
            let (rows, dropped) = this.watch.take(this.most, wanted);
            this.quiet += 1;
            if rows.is_empty() && dropped == 0 && this.quiet < QUIET {
                continue;
            }
            this.quiet = 0;
            let text = (this.write)(&rows, dropped);
            return Poll::Ready(text.map(|text| Ok(Frame::data(text.into()))));
        }
    }
}

fn full() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "busy",
        format!("{MAX_WATCHERS} live tails are open, which is the most there may be at once"),
        "close one in another tab, or end another GET /tail; then open this one again",
    )
    .retry_after(1)
}

/// `GET /tail`.
pub(super) fn show(mut call: Call) -> Done {
    Box::pin(async move {
        let expected = "send the id of a pixel, such as \"1234567890123456\"";
        let pixel = call.members.parsed("pixel", expected)?;
        let expected = || format!("{}, such as \"30s\"; at most 10m", UnitError::Span);
        let lasts = call.members.parsed::<Span>("for", &expected())?;
        let lasts = lasts.map_or(LASTS, Span::get);
        if !(BEAT..=LASTS).contains(&lasts) {
            return Err(Problem::bad("for", expected()));
        }
        call.members.end()?;
        let body = Rows::body(&call.admin, pixel, MAX_ROWS, lasts, lines)?;
        Ok(Reply::new(StatusCode::OK, "application/x-ndjson", body))
    })
}

/// A line for each row, and one that says how many are left out; an empty one for nothing.
#[expect(
    clippy::unnecessary_wraps,
    reason = "as a stream that may end wants it"
)]
fn lines(rows: &[Arc<Row>], dropped: u64) -> Option<String> {
    let rows = rows.iter().map(|row| json!(**row).to_string());
    let left_out = (dropped > 0).then(|| json!({"dropped": dropped}).to_string());
    let lines: Vec<String> = rows.chain(left_out).collect();
    Some(lines.join("\n") + "\n")
}
