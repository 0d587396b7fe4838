//! The clients: they post without a pause, and try again what is refused for the moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capigate::time::Clock;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use super::books::{Books, Fate, Kind, pixel_id};
use super::weather::POISONS;

pub(crate) const PIXELS: usize = 40;
const CLIENTS: usize = 6;
const WEEK_SECS: i64 = 7 * 86_400;

/// Found nowhere in what the gateway writes, together with all that holds it.
pub(crate) const CANARY: &str = "canary";
pub(crate) const CANARY_PHONE: &str = "15209876543";
pub(crate) const KEY: &str = "canary-ingest-key-987";

/// What the clients share.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) books: Arc<Books>,
    http: reqwest::Client,
    /// Where the gateway listens, while it does.
    gateway: Mutex<Option<String>>,
    /// Held for reading while a request is under way.
    gate: RwLock<()>,
    stop: AtomicBool,
    /// Answers 503 and 429.
    pub(crate) put_off: AtomicU64,
}

impl Load {
    pub(crate) fn new() -> Arc<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Arc::new(Self {
            books: Arc::default(),
            http,
            gateway: Mutex::default(),
            gate: RwLock::default(),
            stop: AtomicBool::default(),
            put_off: AtomicU64::default(),
        })
    }

    pub(crate) fn start(self: &Arc<Self>, rng: &mut Rng) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (load, mut rng) = (Arc::clone(self), rng.fork());
            clients.spawn(async move {
                while !load.stop.load(Ordering::Relaxed) {
                    load.post(&mut rng).await;
                    tokio::time::sleep(Duration::from_millis(rng.u64(20..80))).await;
                }
            });
        }
        clients
    }

    /// The clients finish what they have begun.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn show_gateway(&self, ingest: Option<String>) {
        *self.gateway.lock().unwrap() = ingest;
    }

    /// No request is under way as long as the guard lives.
    pub(crate) async fn silence(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// A page of the admin listener.
    pub(crate) async fn page(&self, url: &str) -> String {
        let answer = self.http.get(url).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// One request, until it is taken. When its answer is lost, some clients try again: events
    /// that were taken the first time are answered as if they were now, and sent once.
    async fn post(&self, rng: &mut Rng) {
        let pixel = rng.usize(..PIXELS);
        let kinds = draw(rng);
        let first = self.books.open(pixel, &kinds);
        let body = body(first, &kinds);
        while !self.stop.load(Ordering::Relaxed) {
            let Some(fate) = self.attempt(pixel, kinds.len(), &body).await else {
                tokio::time::sleep(Duration::from_millis(rng.u64(20..100))).await;
                continue;
            };
            self.books.close(first, kinds.len(), fate);
            if fate == Fate::Accepted || rng.bool() {
                return;
            }
        }
    }

    async fn attempt(&self, pixel: usize, count: usize, body: &Value) -> Option<Fate> {
        let _open = self.gate.read().await;
        let ingest = self.gateway.lock().unwrap().clone()?;
        let url = format!("{ingest}/v26.0/{}/events", pixel_id(pixel));
        let answer = self.http.post(url).bearer_auth(KEY).json(body).send().await;
        let Ok(answer) = answer else {
            return Some(Fate::Maybe);
        };
        let status = answer.status().as_u16();
        let Ok(text) = answer.text().await else {
            return Some(Fate::Maybe);
        };
        match status {
            200 => {
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                if answer["events_received"] != count {
                    self.books
                        .problem(format!("good events are not taken: {text}"));
                }
                Some(Fate::Accepted)
            }
            503 | 429 => {
                self.put_off.fetch_add(1, Ordering::Relaxed);
                None
            }
            _ => {
                self.books
                    .problem(format!("a good request is answered {status}: {text}"));
                Some(Fate::Maybe)
            }
        }
    }
}

/// What is in one request. Messaging events do not mix with others in real life.
fn draw(rng: &mut Rng) -> Vec<Kind> {
    let count = rng.usize(1..=12);
    if rng.u8(..10) == 0 {
        return vec![Kind::Messaging; count];
    }
    let poisoned = (rng.u8(..10) == 0).then(|| rng.usize(..count));
    (0..count)
        .map(|at| match rng.u8(..100) {
            _ if poisoned == Some(at) => Kind::Poison(rng.usize(..POISONS.len()) as u8),
            0 => Kind::Old,
            1..50 => Kind::PageView,
            _ => Kind::Purchase,
        })
        .collect()
}

fn body(first: usize, kinds: &[Kind]) -> Value {
    let events: Vec<Value> = (first..)
        .zip(kinds)
        .map(|(number, kind)| event(*kind, &kind.event_id(number)))
        .collect();
    json!({ "data": events })
}

fn event(kind: Kind, id: &str) -> Value {
    let now = Clock::Real.now().secs();
    let time = match kind {
        // what is older is refused at the door for the last two minutes
        Kind::Old => now - WEEK_SECS + 150,
        _ => now,
    };
    match kind {
        Kind::Messaging => json!({
            "event_name": "Purchase", "event_time": time, "event_id": id,
            "action_source": "business_messaging", "messaging_channel": "whatsapp",
            "user_data": {"whatsapp_business_account_id": "100000000000001", "ctwa_clid": "ARAkLkA8rmlFeiCktEJQ-QTwRiyYHAFDLMND"},
            "custom_data": {"value": 1, "currency": "EUR", "order_id": id}
        }),
        Kind::PageView => json!({
            "event_name": "PageView", "event_time": time, "event_id": id, "action_source": "website",
            "event_source_url": format!("https://shop.example/p?mail={CANARY}@mail.example"),
            "user_data": {"external_id": format!("{CANARY}-{id}"), "client_user_agent": "soak"},
            "custom_data": {"order_id": id}
        }),
        Kind::Purchase | Kind::Poison(_) | Kind::Old => json!({
            "event_name": "Purchase", "event_time": time, "event_id": id, "action_source": "website",
            "event_source_url": "https://shop.example/thanks",
            "user_data": {
                "em": format!("{CANARY}.{id}@mail.example"), "ph": format!("+49 {CANARY_PHONE}"),
                "fn": format!("{CANARY}person"), "client_user_agent": "soak"
            },
            "custom_data": {"value": 12.5, "currency": "EUR", "order_id": id, "note": format!("of {CANARY}@mail.example")}
        }),
    }
}
