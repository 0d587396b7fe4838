//! The live tail: what happens to events at this moment, for somebody who looks.
//!
//! **Promises.** While nobody looks it costs one atomic load. Whoever tells it something never waits.
//! Names of fields, words and ids only: no value of `user_data`.
//! **Refuses.** To keep anything: what nobody looked at is gone.
//! **Limits.** [`MAX_WATCHERS`] at once. [`MAX_BEHIND`] rows wait for each; beyond it the oldest are
//! dropped, and the watcher is told how many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Serialize, Serializer};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use crate::event::MatchKeys;
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Who may look at once.
pub const MAX_WATCHERS: usize = 4;
/// Rows that wait for one who looks.
pub const MAX_BEHIND: usize = 1024;
/// Bytes of a name or an id that are shown.
const MAX_TEXT: usize = 128;

/// What has just happened to an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// When, in Unix milliseconds.
    pub at: UnixMs,
    /// Whose event.
    pub pixel: PixelId,
    /// Its name; empty where it could not be read, or a whole request is meant.
    pub event_name: String,
    /// Its id, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The source it came from; known at the door only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The names of the fields of its `user_data`.
    #[serde(serialize_with = "names")]
    pub keys: MatchKeys,
    /// What has happened.
    pub verdict: Verdict,
    /// Why: the stable word of the refusal or policy, or the reason of the dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Milliseconds since the gateway received it.
    pub latency_ms: u64,
}

/// What can happen to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is durable.
    Accepted,
    /// Its twin was accepted before.
    Duplicate,
    /// It was refused at the door.
    Refused,
    /// A policy has kept it back.
    Filtered,
    /// Graph has confirmed it.
    Delivered,
    /// It is a dead letter.
    Dead,
}

impl Verdict {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::Filtered => "filtered",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// The live tail of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Tail(Arc<Inner>);

struct Inner {
    watchers: AtomicUsize,
    rows: Sender<Arc<Row>>,
}

/// One who looks, until it is dropped.
pub struct Watch {
    rows: Receiver<Arc<Row>>,
    tail: Tail,
}

impl Default for Tail {
    fn default() -> Self {
        Self(Arc::new(Inner {
            watchers: AtomicUsize::new(0),
            rows: channel(MAX_BEHIND).0,
        }))
    }
}

impl Tail {
    /// Whether anybody looks: if not, nothing need be told.
    pub fn is_watched(&self) -> bool {
        self.0.watchers.load(Ordering::Relaxed) > 0
    }

    /// Tells those who look.
    pub fn tell(&self, mut row: Row) {
        row.event_name = cut(row.event_name);
        row.event_id = row.event_id.map(cut);
        // nobody may look any more
        let _ = self.0.rows.send(Arc::new(row));
    }

    /// Looks from now on; none when [`MAX_WATCHERS`] do already.
    pub fn watch(&self) -> Option<Watch> {
        let watchers = &self.0.watchers;
        let more = |count| (count < MAX_WATCHERS).then_some(count + 1);
        (watchers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)).ok()?;
        Some(Watch {
            rows: self.0.rows.subscribe(),
            tail: self.clone(),
        })
    }
}

impl Watch {
    /// What has happened since the last call: of the rows that are wanted the newest `most`, the oldest
    /// of them first, and how many others there were, and may have been.
    pub fn take(&mut self, most: usize, wanted: impl Fn(&Row) -> bool) -> (Vec<Arc<Row>>, u64) {
        let (mut rows, mut dropped) = (Vec::new(), 0);
        // no more than there can be: others may go on telling
        for _ in 0..=MAX_BEHIND {
            match self.rows.try_recv() {
                Ok(row) if wanted(&row) => rows.push(row),
                Ok(_) => {}
                Err(TryRecvError::Lagged(count)) => dropped += count,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let beyond = rows.len().saturating_sub(most);
        rows.drain(..beyond);
        (rows, dropped + beyond as u64)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tail.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

fn cut(text: String) -> String {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    text.get(..end).unwrap_or_default().to_owned()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn names<S: Serializer>(keys: &MatchKeys, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(keys.names())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Row {
        Row {
            at: UnixMs(1),
            pixel: "7".parse().unwrap(),
            event_name: name.to_owned(),
            event_id: None,
            source: None,
            keys: MatchKeys::default(),
            verdict: Verdict::Accepted,
            reason: None,
            latency_ms: 1,
        }
    }

    fn told(rows: &[Arc<Row>]) -> Vec<&str> {
        rows.iter().map(|row| row.event_name.as_str()).collect()
    }

    #[test]
    fn few_look_at_once_and_only_from_then_on() {
        let tail = Tail::default();
        assert!(!tail.is_watched());
        tail.tell(row("before"));
        let mut all: Vec<Watch> = (0..MAX_WATCHERS).map(|_| tail.watch().unwrap()).collect();
        assert!(tail.watch().is_none());
        assert!(tail.is_watched());
        tail.tell(row("a"));
        tail.tell(row(&"ä".repeat(100)));
        for watch in &mut all {
            let (rows, dropped) = watch.take(10, |_| true);
            assert_eq!((rows.len(), dropped), (2, 0));
            assert_eq!(told(&rows)[0], "a");
            assert_eq!(rows[1].event_name.len(), MAX_TEXT);
            assert_eq!(watch.take(10, |_| true).0.len(), 0);
        }
        all.pop();
        assert!(tail.watch().is_some());
        all.clear();
        assert!(!tail.is_watched());
    }

    #[test]
    fn what_is_dropped_is_counted() {
        let tail = Tail::default();
        let mut watch = tail.watch().unwrap();
        for n in 0..5 {
            tail.tell(row(&n.to_string()));
        }
        let (rows, dropped) = watch.take(2, |_| true);
        assert_eq!((told(&rows), dropped), (vec!["3", "4"], 3));
        for n in 0..MAX_BEHIND + 7 {
            tail.tell(row(&n.to_string()));
        }
        let (rows, dropped) = watch.take(MAX_BEHIND, |_| true);
        assert_eq!((rows.len(), dropped), (MAX_BEHIND, 7));
        assert_eq!(told(&rows)[0], "7");
    }
}
