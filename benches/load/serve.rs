//! Servers that the bench starts itself again as: the floor, and a Graph of little cost.
//!
//! The Graph is simulated: it counts the events of each body and answers as Meta does when all are
//! well, after a delay that can be set; or it refuses them, if told to. It checks nothing, but knows
//! which numbers of a `Template` have come, and keeps the first body.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::net::TcpListener;

/// Runs as the server that `--serve` names, and never returns; does nothing without it.
pub(crate) fn if_asked() {
    let Some(role) = super::argument("--serve") else {
        return;
    };
    let delay = super::argument("--delay-ms").map_or(0, |delay| delay.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve(role == "graph", Duration::from_millis(delay)));
}

/// Stands before the number of an event.
const EVENT_ID: &str = "\"event_id\":\"";

/// What the Graph has taken, and whether it takes more.
#[derive(Default)]
struct Counts {
    events: AtomicU64,
    batches: AtomicU64,
    /// Of the numbers in the events.
    sum: AtomicU64,
    /// A bit for each of these numbers.
    seen: Mutex<Vec<u64>>,
    first: OnceLock<Bytes>,
    is_down: AtomicBool,
}

async fn serve(is_graph: bool, delay: Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    let counts = Arc::new(Counts::default());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let counts = Arc::clone(&counts);
                async move {
                    let answer = if is_graph {
                        graph(request, &counts, delay).await
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
    answer(r#"{"events_received":1,"messages":[],"fbtrace_id":"bare"}"#.to_owned())
}

async fn graph(
    request: Request<Incoming>,
    counts: &Counts,
    delay: Duration,
) -> Response<Full<Bytes>> {
    let of = |count: &AtomicU64| count.load(Ordering::Acquire);
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/count") => {
            let (events, batches) = (of(&counts.events), of(&counts.batches));
            return answer(format!("{events} {batches} {}", of(&counts.sum)));
        }
        (&Method::GET, "/distinct") => {
            let seen = counts.seen.lock().unwrap();
            let distinct: u32 = seen.iter().map(|bits| bits.count_ones()).sum();
            return answer(distinct.to_string());
        }
        (&Method::GET, "/first") => {
            return answer(counts.first.get().cloned().unwrap_or_default());
        }
        (&Method::GET, wish) => {
            counts.is_down.store(wish == "/down", Ordering::Relaxed);
            return answer("done".to_owned());
        }
        _ => {}
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    if counts.is_down.load(Ordering::Relaxed) {
        let mut down = answer(String::new());
        *down.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return down;
    }
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let events = Finder::new("\"action_source\":").find_iter(&body).count();
    let number = |at: usize| {
        let digits = body[at + EVENT_ID.len()..].iter();
        let digits = digits.take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    };
    let mut sum = 0;
    {
        let mut seen = counts.seen.lock().unwrap();
        for number in Finder::new(EVENT_ID).find_iter(&body).map(number) {
            sum += number;
            let word = (number / 64) as usize;
            if seen.len() <= word {
                seen.resize(word + 1, 0);
            }
            seen[word] |= 1 << (number % 64);
        }
    }
    counts.sum.fetch_add(sum, Ordering::Relaxed);
    counts.first.get_or_init(|| body.clone());
    counts.batches.fetch_add(1, Ordering::Relaxed);
    // last: who waits for the events wants to see the rest as well
    counts.events.fetch_add(events as u64, Ordering::Release);
    answer(format!(
        r#"{{"events_received":{events},"messages":[],"fbtrace_id":"simulated"}}"#
    ))
}
