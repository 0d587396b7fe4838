//! The accept loop: connection limit, header and idle deadlines, TLS, graceful drain.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge (h2c) on plain connections; with TLS the client
//! chooses by ALPN. A connection must carry a whole request head within `header_timeout`; from the
//! end of one request to the whole head of the next it has `idle_timeout`; so long may it take no
//! piece of an answer that is written while it is sent.
//!
//! It ends in two steps, so that no request is lost where another process takes over. From
//! [`Serving::leave`] on every HTTP/1.1 answer says `Connection: close`: clients come again on a
//! new connection, which may be the other process's. [`Serving::stop`] closes the door: what waits
//! in the socket's queue is still taken, unless the socket outlives this process; a connection on
//! which nothing has been asked yet has a moment to do so; and HTTP/2 is told to go elsewhere.

mod reading;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus::IntGauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// Requests one HTTP/2 connection may have open at once.
const MAX_STREAMS: u32 = 200;
/// Bytes of a request's headers, all together.
const MAX_HEADERS: usize = 64 * 1024;
/// How long the loop waits when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a silent connection has to close in order.
const GOODBYE: Duration = Duration::from_millis(250);
/// How long a connection that was opened before the door closed has for its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 1024;

/// The bounds of a listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections open at once; at the limit, accepting waits.
    pub max_connections: usize,
    /// From accepting a connection to the end of its first request's head.
    pub header_timeout: Duration,
    /// From the end of one request to the whole head of the next.
    pub idle_timeout: Duration,
}

/// Who is at the other end of a request's connection; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A socket that listens.
pub struct Socket {
    listener: TcpListener,
    /// Another process has it too, and takes what waits in its queue.
    outlives: bool,
}

/// A bound socket and what answers there: routes, or a room that has but one way.
pub struct Listener<S> {
    socket: Socket,
    tls: Option<TlsAcceptor>,
    answers: S,
    settings: Settings,
    connections: IntGauge,
}

/// A running accept loop.
pub struct Serving {
    addr: SocketAddr,
    stage: Stage,
    tasks: TaskTracker,
}

/// How near the end is; each step implies the one before.
#[derive(Clone, Default)]
struct Stage {
    leaving: Arc<AtomicBool>,
    stopping: CancellationToken,
    killed: CancellationToken,
}

impl Stage {
    /// With tokens of its own: they are asked at every wake-up, and all connections would ask one lock.
    fn of_connection(&self) -> Self {
        Self {
            leaving: Arc::clone(&self.leaving),
            stopping: self.stopping.child_token(),
            killed: self.killed.child_token(),
        }
    }
}

impl Socket {
    /// Binds `addr`; port 0 takes a free one. With `reuse_port` other processes may bind the same
    /// one, and the system deals connections out between them.
    pub fn bind(addr: SocketAddr, reuse_port: bool) -> io::Result<Self> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // a port of connections that were closed a moment ago is free
        socket.set_reuseaddr(true)?;
        if reuse_port {
            socket.set_reuseport(true)?;
        }
        socket.bind(addr)?;
        Ok(Self {
            listener: socket.listen(BACKLOG)?,
            outlives: false,
        })
    }

    /// Takes a socket that someone else has bound and holds on to.
    pub fn adopt(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            listener: TcpListener::from_std(socket)?,
            outlives: true,
        })
    }

    /// The next of the connections that wait in the queue, if the queue would be lost.
    fn leftover(&self) -> Option<TcpStream> {
        if self.outlives {
            return None;
        }
        // asked directly, since the runtime may not have heard of them yet
        let socket = std::net::TcpListener::from(self.listener.as_fd().try_clone_to_owned().ok()?);
        let (stream, _) = socket.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    }
}

impl<S> Listener<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    /// What `answers` to what comes to `socket`. `connections` shows how many are open.
    pub fn new(
        socket: Socket,
        tls: Option<TlsAcceptor>,
        answers: S,
        settings: Settings,
        connections: IntGauge,
    ) -> Self {
        Self {
            socket,
            tls,
            answers,
            settings,
            connections,
        }
    }

    /// The address that was bound.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.socket.listener.local_addr()
    }

    /// Starts to accept.
    pub fn serve(self) -> io::Result<Serving> {
        let serving = Serving {
            addr: self.addr()?,
            stage: Stage::default(),
            tasks: TaskTracker::new(),
        };
        let (stage, tasks) = (serving.stage.clone(), serving.tasks.clone());
        serving.tasks.spawn(self.accept(stage, tasks));
        Ok(serving)
    }

    async fn accept(self, stage: Stage, tasks: TaskTracker) {
        let permits = Arc::new(Semaphore::new(self.settings.max_connections));
        let shared = Arc::new(self);
        let take = |stream, permit| {
            let (shared, stage) = (Arc::clone(&shared), stage.of_connection());
            tasks.spawn(async move {
                let _open = Open::new(shared.connections.clone(), permit);
                tokio::select! {
                    () = shared.connection(stream, &stage) => {}
                    () = stage.killed.cancelled() => {}
                }
            });
        };
        loop {
            let next = async {
                let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
                Some((permit, shared.socket.listener.accept().await))
            };
            let (permit, accepted) = tokio::select! {
                next = next => match next { Some(next) => next, None => return },
                () = stage.stopping.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => take(stream, permit),
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // closing the socket would reset these connections, and the requests on them
        for _ in 0..BACKLOG {
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                return;
            };
            let Some(stream) = shared.socket.leftover() else {
                return;
            };
            take(stream, permit);
        }
    }

    async fn connection(&self, stream: TcpStream, stage: &Stage) {
        // without it, small answers wait for the client's delayed acknowledgement
        let _ = stream.set_nodelay(true);
        let peer = stream.peer_addr().ok().map(Peer);
        match &self.tls {
            None => self.speak(stream, peer, stage).await,
            Some(acceptor) => {
                let handshake =
                    tokio::time::timeout(self.settings.header_timeout, acceptor.accept(stream));
                let too_late = async {
                    stage.stopping.cancelled().await;
                    tokio::time::sleep(FIRST_REQUEST).await;
                };
                tokio::select! {
                    shaken = handshake => if let Ok(Ok(stream)) = shaken {
                        self.speak(stream, peer, stage).await;
                    },
                    // nothing has been asked yet
                    () = too_late => {}
                }
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        peer: Option<Peer>,
        stage: &Stage,
    ) {
        let activity = Arc::new(Activity::new());
        let answers = self.answers.clone();
        let seen = Arc::clone(&activity);
        let leaving = Arc::clone(&stage.leaving);
        let service = service_fn(move |request: Request<Incoming>| {
            let (busy, seen) = (Busy::new(Arc::clone(&seen)), Arc::clone(&seen));
            let leaving = Arc::clone(&leaving);
            // of HTTP/2 connections it is a violation
            let may_say_close = request.version() <= Version::HTTP_11;
            let mut request = request.map(Body::new);
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            let answer = answers.clone().call(request);
            async move {
                let mut answer = answer.await;
                if may_say_close
                    && leaving.load(Ordering::Acquire)
                    && let Ok(answer) = &mut answer
                {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                drop(busy);
                answer.map(|answer| reading::followed(answer, &seen))
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // `Activity` keeps both deadlines, without a timer for each request
            .header_read_timeout(None)
            .max_buf_size(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADERS as u32)
            .keep_alive_interval(Some(self.settings.idle_timeout))
            .keep_alive_timeout(self.settings.header_timeout);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut over = pin!(async {
            stage.stopping.cancelled().await;
            // a fresh connection would be closed with its request unread
            let _ = tokio::time::timeout(FIRST_REQUEST, activity.first_request()).await;
        });
        let mut draining = false;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = activity.silent(&self.settings) => break,
                () = over.as_mut(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
        // HTTP/2 is told, so that a request on its way is sent again elsewhere
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(GOODBYE, connection).await;
    }
}

impl Serving {
    /// The address that is listened on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Goes on accepting, but asks clients not to reuse their connections.
    pub fn leave(&self) {
        self.stage.leaving.store(true, Ordering::Release);
    }

    /// Stops accepting, lets requests in flight finish for as long as `budget`, then cuts what is
    /// left. True when nothing was cut.
    pub async fn stop(&self, budget: Duration) -> bool {
        self.leave();
        self.stage.stopping.cancel();
        self.tasks.close();
        let finished = tokio::time::timeout(budget, self.tasks.wait())
            .await
            .is_ok();
        self.stage.killed.cancel();
        self.tasks.wait().await;
        finished
    }
}

/// An open connection: counted, and one of `max_connections`, until it is dropped.
struct Open {
    connections: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    fn new(connections: IntGauge, permit: OwnedSemaphorePermit) -> Self {
        connections.inc();
        Self {
            connections,
            _permit: permit,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.dec();
    }
}

/// What a connection is doing, as far as its deadlines care.
struct Activity {
    started: Instant,
    /// A request has come at all.
    used: AtomicBool,
    first: Notify,
    busy: AtomicUsize,
    /// Milliseconds after `started` at which the last request ended.
    last: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            used: AtomicBool::new(false),
            first: Notify::new(),
            busy: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Ends when the head of the first request has come.
    async fn first_request(&self) {
        if !self.used.load(Ordering::Acquire) {
            self.first.notified().await;
        }
    }

    /// Ends when the connection has been silent for too long: no request since it was accepted,
    /// or none since the last one.
    async fn silent(&self, settings: &Settings) {
        loop {
            let used = self.used.load(Ordering::Acquire);
            let limit = if used {
                settings.idle_timeout
            } else {
                settings.header_timeout
            };
            let last = self.started + Duration::from_millis(self.last.load(Ordering::Acquire));
            let busy = self.busy.load(Ordering::Acquire) > 0;
            let due = if busy {
                Instant::now() + limit
            } else {
                last + limit
            };
            if !busy && due <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

/// A request being answered.
struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: Arc<Activity>) -> Self {
        if !activity.used.swap(true, Ordering::AcqRel) {
            activity.first.notify_one();
        }
        activity.busy.fetch_add(1, Ordering::AcqRel);
        Self(activity)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = self.0.started.elapsed().as_millis() as u64;
        self.0.last.store(now, Ordering::Release);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}
