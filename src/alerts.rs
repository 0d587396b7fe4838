//! Tells people that something needs them: in the log, to a webhook, by e-mail.
//!
//! **Promises.** [`Alerts::raise`] never blocks and never fails. What is about the same key is told
//! once when it begins or grows worse, again every [`Settings::repeat`] while it lasts (not for what is only good to know), and once
//! when it is over; a restart sends nothing twice, and logs once what still lasts. Every alert is a log
//! line. Neither
//! channel waits for the other. No secret is in any message, error or log line.
//! **Refuses** to tell more than [`Settings::max_per_hour`] in an hour, and [`MAX_CRITICAL`] beyond
//! it of what is critical; the rest is in the log, one message says how many, and what is still
//! raised is told as soon as there is room. It gives a message up after [`Settings::give_up`].
//! **Limits.** [`MAX_KEYS`] keys, [`MAX_QUEUED`] messages a channel (beyond it the oldest go), and
//! the lengths of [`Alert`].

mod board;
pub mod email;
mod error;
mod message;
mod queue;
mod retry;
mod store;
pub mod webhook;
mod words;
mod work;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};

use board::{Board, Limits, Step};
pub use error::ChannelError;
use message::Message;
use queue::Queue;
use store::Store;

/// Keys that are known at a time; beyond it the one told longest ago is forgotten.
pub const MAX_KEYS: usize = 1024;
/// Messages about what is critical in any hour, beyond [`Settings::max_per_hour`].
pub const MAX_CRITICAL: usize = 30;
/// Messages that wait for one channel.
pub const MAX_QUEUED: usize = 64;

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Someone should act in the next days.
    Warning,
    /// Someone must act now.
    Critical,
}

/// Something that needs a person. Whoever makes one keeps secrets out of it; it is cut to its
/// lengths and to one line where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about, the same each time, such as `token:9817945f:expires`; one line of at most
    /// 200 characters.
    pub key: String,
    /// How urgent it is. A higher one than before counts as new.
    pub severity: Severity,
    /// What it is, in a line of at most 200 characters.
    pub title: String,
    /// What happened, in plain words; at most 4,000 characters.
    pub text: String,
    /// What to do, with the exact command; at most 2,000 characters.
    pub next: String,
    /// The pixels that are concerned, at most 100.
    pub pixels: Vec<PixelId>,
    /// The token that is concerned, by fingerprint or mask; one line of at most 200 characters.
    pub token: Option<String>,
    /// When it was found.
    pub at: UnixMs,
}

/// How alerts are sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often what lasts is told again.
    pub repeat: Duration,
    /// Messages in any hour.
    pub max_per_hour: usize,
    /// How long a message is tried.
    pub give_up: Duration,
    /// For one try, from connecting to the end of the answer.
    pub timeout: Duration,
    /// How this gateway is called in messages.
    pub instance: String,
    /// Authorities that are trusted beside those of the system.
    pub roots: Vec<CertificateDer<'static>>,
    /// Where to POST.
    pub webhook: Option<webhook::Settings>,
    /// Where to mail.
    pub email: Option<email::Settings>,
}

/// A way to reach people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// POST of a JSON object.
    Webhook,
    /// Mail.
    Email,
}

/// What came of a test alert on one channel.
#[derive(Debug)]
pub struct ChannelReport {
    /// The channel.
    pub channel: Channel,
    /// Whether it was sent.
    pub outcome: Result<(), ChannelError>,
}

/// What is raised, and the way to tell it. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Alerts(Arc<Inner>);

struct Inner {
    settings: ArcSwap<Settings>,
    board: Mutex<Board>,
    webhook: Queue,
    email: Queue,
    store: Option<Store>,
    /// What was sent has changed since it was written down.
    changed: Notify,
    clock: Clock,
    metrics: Metrics,
    tasks: TaskTracker,
    /// No wait from now on, one try for each message.
    stopping: CancellationToken,
    /// Ends everything.
    ended: CancellationToken,
}

impl Severity {
    /// The stable word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Channel {
    /// Every channel beside the log.
    pub const ALL: [Self; 2] = [Self::Webhook, Self::Email];

    /// The stable word for it, also the value of the metric label `channel`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Settings {
    fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Webhook => self.webhook.is_some(),
            Channel::Email => self.email.is_some(),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            repeat: self.repeat,
            max_per_hour: self.max_per_hour,
        }
    }
}

impl Alerts {
    /// Remembers what `file` says was sent before; without a file, a restart tells everything
    /// again. Blocks for as long as reading it takes. A file that cannot be read is as none, with a
    /// warning in the log.
    pub fn new(settings: Settings, file: Option<PathBuf>, clock: Clock, metrics: Metrics) -> Self {
        for channel in Channel::ALL {
            for outcome in ["sent", "failed", "held_back"] {
                let labels = [channel.code(), outcome];
                metrics.alerts.with_label_values(&labels).inc_by(0);
            }
        }
        metrics.alerts.with_label_values(&["log", "sent"]).inc_by(0);
        let store = file.map(Store::new);
        let sent = store.as_ref().map_or_else(Vec::new, Store::read);
        Self(Arc::new(Inner {
            settings: ArcSwap::from_pointee(settings),
            board: Mutex::new(Board::new(sent, clock.now())),
            webhook: Queue::new(MAX_QUEUED),
            email: Queue::new(MAX_QUEUED),
            store,
            changed: Notify::new(),
            clock,
            metrics,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            ended: CancellationToken::new(),
        }))
    }

    /// Starts sending; what was raised before waits for it. Call it once, within a runtime.
    pub fn start(&self) {
        for channel in Channel::ALL {
            let (alerts, ended) = (self.clone(), self.0.ended.clone());
            self.0.tasks.spawn(async move {
                ended.run_until_cancelled(alerts.serve(channel)).await;
            });
        }
        let (alerts, ended) = (self.clone(), self.0.ended.clone());
        self.0.tasks.spawn(async move {
            ended.run_until_cancelled(alerts.keep()).await;
        });
    }

    /// Takes other settings over; a message that is being tried goes on with them.
    pub fn apply(&self, settings: Settings) {
        self.0.settings.store(Arc::new(settings));
    }

    /// Something needs a person, or still does. Never blocks on a channel, never fails.
    pub fn raise(&self, alert: Alert) {
        let limits = self.0.settings.load().limits();
        let now = self.0.clock.now();
        let mut board = self.board();
        let step = board.raise(message::cut(alert), now, limits);
        self.act(&mut board, step);
    }

    /// It is over. Without a message if nobody was told; a key that is not raised is no fault.
    pub fn clear(&self, key: &str) {
        let limits = self.0.settings.load().limits();
        let now = self.0.clock.now();
        let mut board = self.board();
        let step = board.clear(&message::cut_key(key), now, limits);
        self.act(&mut board, step);
    }

    /// Clears every key that begins with one of `prefixes` and is not in `keep`: for who knows all
    /// that is to be raised under them, also after a restart.
    pub fn clear_others(&self, prefixes: &[&str], keep: &BTreeSet<String>) {
        let over = self.board().keys(|key| {
            prefixes.iter().any(|prefix| key.starts_with(prefix)) && !keep.contains(key)
        });
        for key in &over {
            self.clear(key);
        }
    }

    /// Sends a test alert through each channel now, whatever was sent before; once each.
    pub async fn test(&self) -> Vec<ChannelReport> {
        let settings = self.0.settings.load_full();
        let message = Message::test(self.0.clock.now());
        let (webhook, email) = tokio::join!(
            self.attempt(&settings, Channel::Webhook, &message),
            self.attempt(&settings, Channel::Email, &message),
        );
        let outcomes = [(Channel::Webhook, webhook), (Channel::Email, email)];
        let report = |(channel, outcome): (_, Option<_>)| {
            Some(ChannelReport {
                channel,
                outcome: outcome?,
            })
        };
        outcomes.into_iter().filter_map(report).collect()
    }

    /// Tries what waits once more, for at most `budget`, and writes down what was sent. True when
    /// all came to its end in time.
    pub async fn stop(&self, budget: Duration) -> bool {
        self.0.stopping.cancel();
        self.0.tasks.close();
        let in_time = tokio::time::timeout(budget, self.0.tasks.wait())
            .await
            .is_ok();
        self.0.ended.cancel();
        self.write().await;
        in_time
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, channel: Channel) -> &Queue {
        match channel {
            Channel::Webhook => &self.0.webhook,
            Channel::Email => &self.0.email,
        }
    }

    fn count(&self, channel: Channel, outcome: &str) {
        let labels = [channel.code(), outcome];
        self.0.metrics.alerts.with_label_values(&labels).inc();
    }

    /// Does what the board has decided; the board stays locked so that messages keep its order.
    fn act(&self, board: &mut Board, step: Step) {
        self.0.metrics.alerts_raised.set(board.raised() as i64);
        let (message, is_sent) = match step {
            Step::Quiet => return,
            Step::Log(message) => return self.log(&message),
            Step::Send(message) => (message, true),
            Step::HoldBack(message) => (message, false),
        };
        self.log(&message);
        let settings = self.0.settings.load();
        let channels = Channel::ALL
            .into_iter()
            .filter(|channel| settings.has(*channel));
        let message = Arc::new(message);
        let mut is_alone = true;
        for channel in channels {
            is_alone = false;
            if !is_sent {
                self.count(channel, "held_back");
            } else if let Some(lost) = self.queue(channel).push(Arc::clone(&message)) {
                self.count(channel, "failed");
                tracing::error!(alert.key = %lost.alert.key, alert.channel = channel.code(), "an alert was not sent, since {MAX_QUEUED} newer ones wait");
            }
        }
        if is_alone {
            // the log is the only channel there is
            board.delivered(&message);
        }
        self.0.changed.notify_one();
    }

    fn log(&self, message: &Message) {
        let labels = ["log", "sent"];
        self.0.metrics.alerts.with_label_values(&labels).inc();
        message.log();
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alerts")
    }
}

#[cfg(test)]
mod tests;
