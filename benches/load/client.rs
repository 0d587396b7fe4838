//! A client of HTTP/1.1 that writes ready-made bytes on connections it keeps open: closed loop, as
//! fast as answers come, or open loop, at a rate that does not wait for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use capigate::time::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// What each event's own number takes the place of.
const ORDER: &str = "order-1001";
const DIGITS: usize = 10;
const METHOD: &str = "POST ";

/// A request that is sent over and over, with a new number in each of its events.
#[derive(Clone)]
pub(crate) struct Template {
    bytes: Arc<Vec<u8>>,
    /// Paths of one length, in turn.
    paths: Arc<Vec<String>>,
    /// Where the numbers stand.
    numbers: Arc<Vec<usize>>,
    next: Arc<AtomicU64>,
}

impl Template {
    /// A request of `events` copies of `event`, each with a number of its own as `event_id`.
    pub(crate) fn new(host: &str, path: &str, key: &str, event: &str, events: usize) -> Self {
        Self::over(host, vec![path.to_owned()], key, event, events)
    }

    /// The same, but each request goes to the next of some paths, which are of one length.
    pub(crate) fn over(
        host: &str,
        paths: Vec<String>,
        key: &str,
        event: &str,
        events: usize,
    ) -> Self {
        let mut event: serde_json::Value = serde_json::from_str(event).unwrap();
        event["event_time"] = Clock::Real.now().secs().into();
        event["event_id"] = ORDER.into();
        let event = event.to_string();
        let body = format!("{{\"data\":[{}]}}", vec![event; events].join(","));
        Self::of_body(host, paths, key, &body)
    }

    fn of_body(host: &str, paths: Vec<String>, key: &str, body: &str) -> Self {
        let path = &paths[0];
        assert!(paths.iter().all(|other| other.len() == path.len()));
        let head = format!(
            "{METHOD}{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let bytes = format!("{head}{body}");
        let pattern = format!("\"{ORDER}\"");
        let numbers = bytes
            .match_indices(&pattern)
            .map(|(at, _)| at + 1)
            .collect();
        Self {
            bytes: Arc::new(bytes.into_bytes()),
            paths: Arc::new(paths),
            numbers: Arc::new(numbers),
            next: Arc::default(),
        }
    }

    pub(crate) fn events(&self) -> usize {
        self.numbers.len()
    }

    /// How many events have been sent, and the sum of their numbers.
    pub(crate) fn sent(&self) -> (u64, u64) {
        let sent = self.next.load(Ordering::Relaxed);
        (sent, sent * sent.saturating_sub(1) / 2)
    }

    fn number(&self, bytes: &mut [u8]) {
        let first = self.next.fetch_add(self.events() as u64, Ordering::Relaxed);
        if self.paths.len() > 1 {
            let turn = first as usize / self.events() % self.paths.len();
            let path = self.paths[turn].as_bytes();
            bytes[METHOD.len()..METHOD.len() + path.len()].copy_from_slice(path);
        }
        for (number, at) in (first..).zip(self.numbers.iter()) {
            bytes[*at..at + DIGITS].copy_from_slice(format!("{number:0DIGITS$}").as_bytes());
        }
    }
}

/// What came of a load.
#[derive(Default)]
pub(crate) struct Answered {
    pub(crate) requests: u64,
    pub(crate) took: Duration,
    /// Of each request, sorted.
    latencies: Vec<Duration>,
}

impl Answered {
    /// The latency that a share of the requests stayed under, in milliseconds.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let at = (self.latencies.len() as f64 * share) as usize;
        let at = at.min(self.latencies.len().saturating_sub(1));
        self.latencies
            .get(at)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    template: Template,
    request: Vec<u8>,
}

impl Connection {
    async fn open(addr: &str, template: &Template) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::with_capacity(4096),
            template: template.clone(),
            request: template.bytes.to_vec(),
        }
    }

    /// Sends the next request and reads its answer, which must be one of success.
    async fn ask(&mut self) {
        self.template.number(&mut self.request);
        self.stream.write_all(&self.request).await.unwrap();
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            let so_far = String::from_utf8_lossy(&self.buffer);
            assert!(read > 0, "the connection was closed: {so_far}");
            if whole(&self.buffer) {
                break;
            }
        }
        let is_good = self.buffer.starts_with(b"HTTP/1.1 20");
        assert!(is_good, "{}", String::from_utf8_lossy(&self.buffer));
    }
}

/// Whether an answer has come to its end.
fn whole(answer: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        return false;
    };
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    match length {
        Some(length) => body.len() >= length.trim().parse::<usize>().unwrap(),
        None => body.ends_with(b"0\r\n\r\n"),
    }
}

/// Requests on `connections`, each as soon as the last is answered, for `time`.
pub(crate) async fn closed(
    addr: &str,
    template: &Template,
    connections: usize,
    time: Duration,
) -> Answered {
    run(addr, template, connections, time, None).await
}

/// `rate` requests a second on `connections`, whether earlier ones are answered or not; the
/// latency counts from the moment a request was due.
pub(crate) async fn open(
    addr: &str,
    template: &Template,
    connections: usize,
    time: Duration,
    rate: f64,
) -> Answered {
    let between = Duration::from_secs_f64(connections as f64 / rate);
    run(addr, template, connections, time, Some(between)).await
}

async fn run(
    addr: &str,
    template: &Template,
    connections: usize,
    time: Duration,
    between: Option<Duration>,
) -> Answered {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(addr, template).await);
    }
    let started = Instant::now();
    let end = started + time;
    let mut tasks = JoinSet::new();
    for (place, mut connection) in open.into_iter().enumerate() {
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            let offset = between
                .unwrap_or_default()
                .mul_f64(place as f64 / connections as f64);
            let mut due = started + offset;
            loop {
                if let Some(between) = between {
                    until(due).await;
                    connection.ask().await;
                    latencies.push(due.elapsed());
                    due += between;
                } else {
                    let sent = Instant::now();
                    connection.ask().await;
                    latencies.push(sent.elapsed());
                    due = Instant::now();
                }
                if due >= end {
                    return latencies;
                }
            }
        });
    }
    let mut latencies: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    latencies.sort_unstable();
    Answered {
        requests: latencies.len() as u64,
        took: started.elapsed(),
        latencies,
    }
}

/// So many requests on `connections`, each as soon as the last is answered.
pub(crate) async fn count(addr: &str, template: &Template, connections: usize, requests: usize) {
    let left = Arc::new(Semaphore::new(requests));
    let mut tasks = JoinSet::new();
    for _ in 0..connections.min(requests) {
        let mut connection = Connection::open(addr, template).await;
        let left = Arc::clone(&left);
        tasks.spawn(async move {
            while let Ok(one) = left.try_acquire() {
                one.forget();
                connection.ask().await;
            }
        });
    }
    tasks.join_all().await;
}

/// Waits for a moment, more exactly than the runtime's timers, which know whole milliseconds.
async fn until(due: Instant) {
    sleep_until(due - Duration::from_millis(2)).await;
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

/// The body of a small answer.
pub(crate) async fn get(addr: &str, path: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    let ask = async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout_at(deadline, ask).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
