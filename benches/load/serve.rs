//! Servers that the bench starts itself again as: the floor, and a Graph of little cost.
//!
//! The Graph is simulated: it counts the events of each body and answers as Meta does when all are
//! well, after a delay that can be set. It checks nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
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

async fn serve(is_graph: bool, delay: Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU64::new(0));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let count = Arc::clone(&count);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let count = Arc::clone(&count);
                async move {
                    let answer = if is_graph {
                        graph(request, &count, delay).await
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

fn answer(text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
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
    count: &AtomicU64,
    delay: Duration,
) -> Response<Full<Bytes>> {
    if request.method() == Method::GET {
        return answer(count.load(Ordering::Relaxed).to_string());
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let events = Finder::new("\"action_source\":").find_iter(&body).count();
    count.fetch_add(events as u64, Ordering::Relaxed);
    answer(format!(
        r#"{{"events_received":{events},"messages":[],"fbtrace_id":"simulated"}}"#
    ))
}
