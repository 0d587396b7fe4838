//! Servers that the bench starts itself again as: the floor, and a Graph of little cost.
//!
//! The Graph is simulated: it counts the events of each body and answers as Meta does when all are
//! well, after a delay that can be set. It checks nothing, but knows which numbers of a `Template`
//! have arrived, and keeps the first body.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::net::TcpListener;

const EVENT_ID: &[u8] = b"\"event_id\":\"";

/// Runs as the server that `--serve` names, and never returns; does nothing without it.
pub(crate) fn if_asked() {
    let Some(role) = super::argument("--serve") else {
        return;
    };
    let delay = super::argument("--delay-ms").map_or(0, |delay| delay.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve(role == "graph", Duration::from_millis(delay)));
}

/// What a simulated Graph has received.
#[derive(Default)]
struct Arrived {
    events: AtomicU64,
    /// A bit for each number that an event had as its `event_id`.
    numbers: Mutex<Vec<u64>>,
    first: OnceLock<Bytes>,
}

impl Arrived {
    /// Takes a body; gives how many events it has.
    fn take(&self, body: &Bytes) -> u64 {
        let mut events = 0;
        let mut numbers = self.numbers.lock().unwrap();
        for at in Finder::new(EVENT_ID).find_iter(body) {
            events += 1;
            let digits = body[at + EVENT_ID.len()..].iter();
            let digits = digits.take_while(|byte| byte.is_ascii_digit());
            let number = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
            if numbers.len() <= number / 64 {
                numbers.resize(number / 64 + 1, 0);
            }
            numbers[number / 64] |= 1 << (number % 64);
        }
        self.first.get_or_init(|| body.clone());
        self.events.fetch_add(events, Ordering::Relaxed);
        events
    }

    fn tell(&self, path: &str) -> Bytes {
        match path {
            "/count" => self.events.load(Ordering::Relaxed).to_string().into(),
            "/distinct" => {
                let numbers = self.numbers.lock().unwrap();
                let distinct: u32 = numbers.iter().map(|bits| bits.count_ones()).sum();
                distinct.to_string().into()
            }
            _ => self.first.get().cloned().unwrap_or_default(),
        }
    }
}

async fn serve(is_graph: bool, delay: Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    let arrived = Arc::new(Arrived::default());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let arrived = Arc::clone(&arrived);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let arrived = Arc::clone(&arrived);
                async move {
                    let answer = if is_graph {
                        graph(request, &arrived, delay).await
                    } else {
                        bare(request).await
                    };
                    Ok::<_, Infallible>(answer)
                }
            });
            let http = hyper::server::conn::http1::Builder::new();
            // a client that goes away
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(text.into()));
    let json = hyper::header::HeaderValue::from_static("application/json");
    answer
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    answer
}

/// Reads the body and answers what is always the same.
async fn bare(request: Request<Incoming>) -> Response<Full<Bytes>> {
    request.into_body().collect().await.unwrap();
    answer(r#"{"events_received":1,"messages":[],"fbtrace_id":"bare"}"#)
}

async fn graph(
    request: Request<Incoming>,
    arrived: &Arrived,
    delay: Duration,
) -> Response<Full<Bytes>> {
    if request.method() == Method::GET {
        return answer(arrived.tell(request.uri().path()));
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let events = arrived.take(&body);
    answer(format!(
        r#"{{"events_received":{events},"messages":[],"fbtrace_id":"simulated"}}"#
    ))
}
