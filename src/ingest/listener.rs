//! The accept loop: connection limit, header and idle deadlines, TLS, graceful drain.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge (h2c) on plain connections; with TLS the client
//! chooses by ALPN. A connection must carry a whole request head within `header_timeout`; from the
//! end of one request to the whole head of the next it has `idle_timeout`.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus::IntGauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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

/// A bound socket with its routes.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    settings: Settings,
    connections: IntGauge,
}

/// A running accept loop.
pub struct Serving {
    addr: SocketAddr,
    stop: CancellationToken,
    kill: CancellationToken,
    tasks: TaskTracker,
}

impl Listener {
    /// Binds `addr`; port 0 takes a free one. `connections` shows how many are open.
    pub async fn bind(
        addr: SocketAddr,
        tls: Option<TlsAcceptor>,
        router: Router,
        settings: Settings,
        connections: IntGauge,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(addr).await?;
        Ok(Self {
            socket,
            tls,
            router,
            settings,
            connections,
        })
    }

    /// The address that was bound.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Starts to accept.
    pub fn serve(self) -> io::Result<Serving> {
        let serving = Serving {
            addr: self.addr()?,
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (stop, kill, tasks) = (
            serving.stop.clone(),
            serving.kill.clone(),
            serving.tasks.clone(),
        );
        serving.tasks.spawn(self.accept(stop, kill, tasks));
        Ok(serving)
    }

    async fn accept(self, stop: CancellationToken, kill: CancellationToken, tasks: TaskTracker) {
        let permits = Arc::new(Semaphore::new(self.settings.max_connections));
        let shared = Arc::new(self);
        loop {
            let next = async {
                let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
                Some((permit, shared.socket.accept().await))
            };
            let (permit, accepted) = tokio::select! {
                next = next => match next { Some(next) => next, None => return },
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (shared, stop, kill) = (Arc::clone(&shared), stop.clone(), kill.clone());
                    tasks.spawn(async move {
                        let _open = Open::new(shared.connections.clone(), permit);
                        tokio::select! {
                            () = shared.connection(stream, peer, &stop) => {}
                            () = kill.cancelled() => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, stop: &CancellationToken) {
        // without it, small answers wait for the client's delayed acknowledgement
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.speak(stream, peer, stop).await,
            Some(acceptor) => {
                let handshake =
                    tokio::time::timeout(self.settings.header_timeout, acceptor.accept(stream));
                tokio::select! {
                    shaken = handshake => if let Ok(Ok(stream)) = shaken {
                        self.speak(stream, peer, stop).await;
                    },
                    // nothing has been asked yet
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        peer: SocketAddr,
        stop: &CancellationToken,
    ) {
        let activity = Arc::new(Activity::new());
        let router = self.router.clone();
        let seen = Arc::clone(&activity);
        let service = service_fn(move |request: Request<Incoming>| {
            let busy = Busy::new(Arc::clone(&seen));
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let answer = router.clone().call(request);
            async move {
                let answer = answer.await;
                drop(busy);
                answer
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // hyper counts silence between requests too; the first head is held to its own
            // deadline by `Activity`
            .header_read_timeout(self.settings.idle_timeout)
            .max_buf_size(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADERS as u32)
            .keep_alive_interval(Some(self.settings.idle_timeout))
            .keep_alive_timeout(self.settings.header_timeout);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut draining = false;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = activity.silent(&self.settings) => break,
                () = stop.cancelled(), if !draining => {
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

    /// Stops accepting, lets requests in flight finish for as long as `budget`, then cuts what is
    /// left. True when nothing was cut.
    pub async fn stop(&self, budget: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let finished = tokio::time::timeout(budget, self.tasks.wait())
            .await
            .is_ok();
        self.kill.cancel();
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
    busy: AtomicUsize,
    /// Milliseconds after `started` at which the last request ended.
    last: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            used: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            last: AtomicU64::new(0),
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
        activity.used.store(true, Ordering::Release);
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
