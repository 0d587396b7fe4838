//! The page that the browser is led back to: one path on this machine, for the time of one login.
//!
//! It takes what comes to `localhost` only, on both loopback addresses, since browsers differ in
//! which they try, and under that very name and port, since a page of somebody else's whose name
//! was made to point here has another one. It answers with the same few words, whatever came, and
//! never with a part of the request.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use url::Url;

use super::attempt::{Attempt, Offer};
use crate::graph::oauth::Caught;

/// Connections open at once; browsers open some ahead of need.
const MAX_CONNECTIONS: usize = 16;
/// Bytes of a request's head. The cookies of all that runs on localhost are in it.
const MAX_HEAD: usize = 32 << 10;
/// From a connection's start to the end of its request's head.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// From a connection's start to its end.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// How long an answer that is being written may take at the end.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long nothing is accepted when the system has no means left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The only name that Meta takes for this machine.
const LOCALHOST: &str = "localhost";

const DONE: &str = "The answer has arrived. Go back to the terminal; you can close this page.";
const NO_ANSWER: &str =
    "There is no answer of Facebook's in this address. The login is still waiting for one.";
const NOTHING: &str = "There is nothing here.";

/// The redirect URI of a login, where it is one that can be listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) port: u16,
    /// As the browser has to say it.
    host: String,
    path: String,
}

/// Why the port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenError {
    /// Another program has it.
    #[error(
        "port {0} is taken by another program, perhaps a gateway (listen.ingest, 8080 unless set) or an earlier login that still waits: choose another port with --port, such as --port 8081, or end that one (`ss -ltnp 'sport = :{0}'` shows it); the port is part of the redirect URI, so it is not changed for you"
    )]
    Busy(u16),
    /// It needs rights that this program should not have.
    #[error("port {0} may not be used: choose one from 1024 on with --port, such as --port 8080")]
    Denied(u16),
    /// Something else.
    #[error("port {0} cannot be listened on ({1}): choose another one with --port")]
    Io(u16, io::ErrorKind),
}

/// Both sockets, bound.
#[derive(Debug)]
pub(super) struct Listener {
    sockets: Vec<TcpListener>,
}

/// A listener at work, until it is dropped.
pub(super) struct Serving {
    tasks: TaskTracker,
    stopping: CancellationToken,
    _kill: DropGuard,
}

impl Local {
    /// None when the browser will be led elsewhere.
    pub(super) fn of(redirect_uri: &str) -> Option<Self> {
        let url = Url::parse(redirect_uri).ok()?;
        if url.scheme() != "http" || url.host_str() != Some(LOCALHOST) {
            return None;
        }
        let host = match url.port() {
            Some(port) => format!("{LOCALHOST}:{port}"),
            None => LOCALHOST.to_owned(),
        };
        Some(Self {
            port: url.port_or_known_default()?,
            host,
            path: url.path().to_owned(),
        })
    }
}

impl ListenError {
    /// The stable word for `--json`.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Busy(_) => "port_busy",
            Self::Denied(_) => "port_denied",
            Self::Io(..) => "port_unusable",
        }
    }

    fn of(port: u16, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::Busy(port),
            io::ErrorKind::PermissionDenied => Self::Denied(port),
            other => Self::Io(port, other),
        }
    }
}

impl Listener {
    /// Binds the port on 127.0.0.1 and, where the machine has IPv6, on ::1.
    pub(super) async fn bind(port: u16) -> Result<Self, ListenError> {
        let bind = |ip: IpAddr| TcpListener::bind(SocketAddr::new(ip, port));
        let first = bind(Ipv4Addr::LOCALHOST.into()).await;
        let mut sockets = vec![first.map_err(|error| ListenError::of(port, &error))?];
        match bind(Ipv6Addr::LOCALHOST.into()).await {
            Ok(second) => sockets.push(second),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(ListenError::Busy(port));
            }
            // a machine without IPv6
            Err(_) => {}
        }
        Ok(Self { sockets })
    }

    /// Takes connections from now on.
    pub(super) fn serve(self, local: Local, attempt: Arc<Attempt>) -> Serving {
        let killed = CancellationToken::new();
        let stopping = killed.child_token();
        let tasks = TaskTracker::new();
        let page = Arc::new(Page { local, attempt });
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for socket in self.sockets {
            let accept = accept(
                socket,
                Arc::clone(&page),
                Arc::clone(&places),
                tasks.clone(),
                killed.clone(),
            );
            let stopping = stopping.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = accept => {}
                    () = stopping.cancelled() => {}
                }
            });
        }
        Serving {
            tasks,
            stopping,
            _kill: killed.drop_guard(),
        }
    }
}

impl Serving {
    /// Takes no more connections, and lets answers that are being written arrive.
    pub(super) async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(GOODBYE, self.tasks.wait()).await;
    }
}

async fn accept(
    socket: TcpListener,
    page: Arc<Page>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    killed: CancellationToken,
) {
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (page, killed) = (Arc::clone(&page), killed.clone());
        tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                _ = tokio::time::timeout(CONNECTION_TIME, page.speak(stream)) => {}
                () = killed.cancelled() => {}
            }
        });
    }
}

/// What is served.
struct Page {
    local: Local,
    attempt: Arc<Attempt>,
}

impl Page {
    async fn speak(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = self.answer(&request);
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        // what goes wrong on one connection is no matter of the login
        let _ = connection.await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let is_here = match (hosts.next(), hosts.next()) {
            (Some(host), None) => {
                let expected = self.local.host.as_bytes();
                host.as_bytes().eq_ignore_ascii_case(expected)
            }
            _ => false,
        };
        if !is_here {
            return words(StatusCode::MISDIRECTED_REQUEST, NOTHING);
        }
        if request.uri().path() != self.local.path {
            return words(StatusCode::NOT_FOUND, NOTHING);
        }
        if request.method() != Method::GET {
            let mut refused = words(StatusCode::METHOD_NOT_ALLOWED, NOTHING);
            let get = HeaderValue::from_static("GET");
            refused.headers_mut().insert(ALLOW, get);
            return refused;
        }
        let target = request.uri().path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        match self.attempt.offer(target, Caught::Listener) {
            Offer::Taken | Offer::Ignored => words(StatusCode::OK, DONE),
            Offer::NoAnswer(_) => words(StatusCode::BAD_REQUEST, NO_ANSWER),
        }
    }
}

/// A page with these words, which nobody keeps, frames, or learns the address of.
fn words(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>capigate</title><p>{words}</p></html>\n"
    );
    let mut answer = Response::new(Full::new(Bytes::from(page)));
    *answer.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests;
