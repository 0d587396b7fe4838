//! The listener: HTTP/1.1 and HTTP/2 without TLS on one port, and where each request goes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming as Body;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::form_urlencoded;

use super::answer::Reply;
use super::core::Core;
use super::ledger::shown;
use super::refusal::{self as no, Refusal};
use super::{accounts, control, edge};
use crate::pixel::PixelId;

/// Most connections at once; further ones wait to be taken.
pub const MAX_CONNECTIONS: usize = 4096;

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// Where tasks run: counted, and ended together.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    pub tracker: TaskTracker,
    pub stop: CancellationToken,
}

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    fn child(&self) -> Self {
        Self {
            tracker: self.tracker.clone(),
            stop: self.stop.child_token(),
        }
    }
}

// hyper runs the streams of an HTTP/2 connection with this
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.spawn(async move {
            task.await;
        });
    }
}

/// Takes connections until the tasks are stopped.
pub(super) async fn accept(listener: TcpListener, core: Arc<Core>, tasks: Tasks) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = serve(stream, Arc::clone(&core), tasks.child());
                tasks.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "sandbox could not take a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, core: Arc<Core>, tasks: Tasks) {
    // without it small answers wait for the sender's acknowledgement
    let _ = stream.set_nodelay(true);
    let hang_up = tasks.stop.clone();
    let service = service_fn(|request: Request<Body>| {
        let core = Arc::clone(&core);
        let hang_up = hang_up.clone();
        async move {
            match route(&core, request).await {
                Reply::Answer(response) => Ok::<_, Infallible>(response),
                Reply::HangUp => {
                    hang_up.cancel();
                    std::future::pending().await
                }
            }
        }
    });
    let mut builder = auto::Builder::new(tasks.clone());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    // dropping the connection closes its socket; the streams end with the same token
    if let Some(Err(error)) = hang_up.run_until_cancelled(connection).await {
        tracing::debug!(%error, "sandbox lost a connection");
    }
    tasks.stop.cancel();
}

async fn route(core: &Core, request: Request<Body>) -> Reply {
    let path = request.uri().path().to_owned();
    if path == "/" || path == "/sandbox" || path.starts_with("/sandbox/") {
        return Reply::Answer(control::answer(core, request).await);
    }
    if path == "/favicon.ico" {
        // browsers ask on their own
        return Reply::Answer(super::answer::raw(404, "text/plain", ""));
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let [version, pixel, "events"] = segments[..] else {
        return account(core, &segments, request).await;
    };
    if !is_version(version) {
        return turn_away(core, &no::UNKNOWN_PATH, "bad_version", None, &request);
    }
    let Ok(pixel) = pixel.parse::<PixelId>() else {
        return turn_away(core, &no::PIXEL_UNREACHABLE, "bad_pixel_id", None, &request);
    };
    if request.method() != Method::POST {
        return turn_away(
            core,
            &no::WRONG_METHOD,
            "wrong_method",
            Some(pixel),
            &request,
        );
    }
    edge::post(core, request, pixel, version).await
}

/// A call to another edge than events.
async fn account(core: &Core, segments: &[&str], request: Request<Body>) -> Reply {
    match accounts::route::of(segments, is_version) {
        Err(kind) => turn_away(core, &no::UNKNOWN_PATH, kind, None, &request),
        Ok(asked) if asked.edge.takes(request.method()) => {
            accounts::exchange::serve(core, request, asked).await
        }
        Ok(asked) => {
            let pixel = asked.subject.parse().ok();
            turn_away(core, &no::WRONG_METHOD, "wrong_method", pixel, &request)
        }
    }
}

/// Refuses what no correct sender asks for, and notes it with the path (without its query).
fn turn_away(
    core: &Core,
    refusal: &'static Refusal,
    kind: &'static str,
    pixel: Option<PixelId>,
    request: &Request<Body>,
) -> Reply {
    let method = shown(request.method().as_str());
    let path = shown(request.uri().path());
    core.violate(kind, pixel, format!("{method} {path}"));
    let query = request.uri().query().unwrap_or_default();
    if form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "access_token") {
        core.violate("token_in_url", pixel, "access_token".to_owned());
    }
    Reply::Answer(edge::refuse(core, refusal))
}

/// `v`, one to three digits, a point, one or two digits.
fn is_version(text: &str) -> bool {
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    text.strip_prefix('v')
        .and_then(|numbers| numbers.split_once('.'))
        .is_some_and(|(major, minor)| digits(major, 3) && digits(minor, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in ["v26.0", "v1.0", "v123.45"] {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "", "v", "26.0", "v26", "v26.", "v.0", "v1234.0", "v26.000", "V26.0", "v2a.0",
            "v26.0.1",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
