//! Receipts: what became of an event, asked by its `event_id`, for a week.
//!
//! **Promises.** [`Receipts::note`] never blocks, waits or fails: it hands the ending to a thread
//! of this room. [`Receipts::find`] gives the endings that were noted before, are not older than
//! `keep` and were not lost, as many as it is asked for; an event may have several (sent again after it was dead; the same id
//! under two pixels). What is kept of an event is a part of the SHA-256 of its id, its name, what
//! became of which of its fields, and the line of its batch; with [`Settings::by_keys`] also parts
//! of the SHA-256 of its order id and of its hashed addresses, each kind in a way of its own. No
//! value can be read from these, but who knows one can look for it.
//!
//! **Refuses.** To be worth an outage. A disk that fails costs receipts, never an event and never
//! a start: they rest for a minute, say so once as an error and in `capigate_receipts_failed`, and
//! try again with a new file. What is damaged is left aside.
//!
//! **Limits.** At most `max_bytes` on disk, the oldest go first; 16 bytes an event, as many for each
//! other key, and about 220 a batch, of which at most [`MAX_ATTEMPTS`] requests to Graph. At most [`MAX_QUEUED_ENDINGS`] endings and [`MAX_QUEUED_BYTES`] of events wait for the
//! thread; beyond that endings are dropped and counted in `capigate_receipts_lost_total`. A process
//! that dies loses the receipts of its last second; a power cut those the system had not written
//! (some 30 seconds), since nothing is synced before its file is sealed. Events without
//! `event_id` have no receipt. Two ids share a receipt when 88 bits of their SHA-256 are the same,
//! which does not happen by chance.
//!
//! # On disk
//!
//! Chunks, named by the number of their first batch. `….lines` has a line of JSON for each batch;
//! `….head` has 16 bytes for each event and other key, in the order they came, while the chunk grows; it
//! becomes `….ids`, the same sorted, when the chunk is full, and at every start.

mod entry;
mod search;
mod store;
#[cfg(test)]
mod tests;
mod worker;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::event::{EncodedEvent, FieldChange, Label, Wanted};
use crate::journal::segment::disk::Disk;
use crate::pixel::PixelId;
use crate::telemetry::metrics::Metrics;
use crate::time::{Clock, UnixMs};

use store::Store;
use worker::Worker;

/// Endings that may wait for the thread.
pub const MAX_QUEUED_ENDINGS: usize = 2048;
/// Bytes of the events of those endings, which their notes keep in memory.
pub const MAX_QUEUED_BYTES: usize = 32 << 20;

/// Where receipts are kept, how long and how many.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Their directory; made, with mode 0700, if it is not there. One process at a time: the
    /// journal's lock stands for it.
    pub dir: PathBuf,
    /// How long after its end an event can be asked for.
    pub keep: Duration,
    /// Bytes of all files.
    pub max_bytes: u64,
    /// Whether events are found by their `order_id` and their e-mail addresses, too.
    pub by_keys: bool,
}

/// Requests to Graph that are kept with the events that ended.
pub const MAX_ATTEMPTS: usize = 8;

/// The end of the events of one batch, or of some of them; or what policies did to the events of
/// one request.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Where they belong.
    pub pixel: PixelId,
    /// When they ended.
    pub at: UnixMs,
    /// How.
    pub outcome: Outcome,
    /// How many events the batch had in all.
    pub batch_events: usize,
    /// The events that ended (cheap clones).
    pub events: Vec<Subject>,
    /// The last requests to Graph that carried any of them, the newest first.
    pub attempts: Vec<Attempt>,
}

/// A request to Graph that carried an event, or others that ended with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// When the answer came, in Unix milliseconds.
    pub at: i64,
    /// What came of it: `delivered`, `transient`, `throttled`, `held` or `split`.
    pub outcome: Cow<'static, str>,
    /// Events in it.
    pub events: u64,
    /// How many of the events that ended together were among them, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_batch: Option<u64>,
    /// Graph's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Graph's error subcode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// Graph's `fbtrace_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Milliseconds until the answer.
    pub took_ms: u64,
}

/// An event that something is told about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// One that was accepted.
    Encoded(EncodedEvent),
    /// One that was not.
    Label(Label),
}

impl From<EncodedEvent> for Subject {
    fn from(event: EncodedEvent) -> Self {
        Self::Encoded(event)
    }
}

/// How events end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Graph has confirmed them.
    Delivered {
        /// Graph's `fbtrace_id`.
        trace_id: Option<String>,
        /// Graph's `events_received`.
        received: u64,
    },
    /// They are dead letters.
    Dead {
        /// Why: the stable word of the dead letter.
        reason: &'static str,
        /// Graph's error code, if Graph has refused them.
        code: Option<i64>,
        /// Graph's error subcode.
        subcode: Option<i64>,
        /// Graph's `fbtrace_id`.
        trace_id: Option<String>,
    },
    /// A policy has kept them back; they were never accepted.
    Filtered {
        /// The stable word of the policy.
        policy: &'static str,
    },
    /// No end yet: they were accepted, and policies have changed or made them.
    Accepted {
        /// The stable words of these.
        policies: Vec<&'static str>,
    },
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In the journal, at its turn.
    Waiting,
    /// In the journal, and in a batch on its way.
    InFlight,
    /// In the journal; its lane waits out a failure.
    Backoff,
    /// In the journal; its lane is held.
    Held,
    /// In the journal; Graph has asked for a slower pace.
    Throttled,
    /// Graph has confirmed it.
    Delivered,
    /// It is a dead letter.
    Dead,
    /// A policy has kept it back: it was not accepted.
    Filtered,
    /// It was accepted, and no more is known: what it came to was not noted.
    Accepted,
}

/// What is known of an event. Times are Unix milliseconds; what is not known is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The id that was asked for; none where it was asked by something else, since ids are not kept.
    pub event_id: Option<String>,
    /// Its name, up to 64 bytes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// Where it belongs.
    pub pixel: PixelId,
    /// Where it stands.
    pub state: State,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// The number of the batch it ended in: the same for its companions, rising with time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u64>,
    /// How many events that batch had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_events: Option<u64>,
    /// How many of them Graph said it had received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_received: Option<u64>,
    /// Graph's `fbtrace_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Why it is dead, its lane held, or which policy has kept it back: a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Graph's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Graph's error subcode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// For an event in the journal: when the gateway received it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<i64>,
    /// For an event in the journal: from when on Meta refuses it for its age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The policies that have changed it, or made it (`fan_out`), in stable words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// What became of its fields when it was normalised and hashed, as far as that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// The last requests to Graph that carried it or, once it has ended, those of its batch; the
    /// newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

impl Receipt {
    /// A receipt of which nothing else is known.
    pub fn new(pixel: PixelId, state: State) -> Self {
        Self {
            event_id: None,
            event_name: None,
            pixel,
            state,
            at: None,
            batch: None,
            batch_events: None,
            batch_received: None,
            trace_id: None,
            reason: None,
            code: None,
            subcode: None,
            received_at: None,
            expires_at: None,
            policies: Vec::new(),
            changes: Vec::new(),
            attempts: Vec::new(),
        }
    }
}

/// Puts what is known of policies into the receipts of the same pixel that say where the event
/// stands. What stays alone has the state [`State::Accepted`].
pub fn gathered(receipts: Vec<Receipt>) -> Vec<Receipt> {
    let is_note = |receipt: &Receipt| receipt.state == State::Accepted;
    let (notes, mut others): (Vec<_>, Vec<_>) = receipts.into_iter().partition(is_note);
    for note in notes {
        let is_its = |other: &&mut Receipt| {
            other.pixel == note.pixel && !matches!(other.state, State::Filtered | State::Accepted)
        };
        let mut is_told = false;
        for other in others.iter_mut().filter(is_its) {
            is_told = true;
            // the newest note comes first
            if other.policies.is_empty() {
                other.policies.clone_from(&note.policies);
            }
        }
        if !is_told {
            others.push(note);
        }
    }
    others
}

/// Why receipts could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The disk refused.
    #[error("the disk of the receipts failed")]
    Io(#[from] std::io::Error),
}

impl FindError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "receipts_io",
        }
    }
}

/// The receipts of one gateway. Cheap to clone. When the last handle is dropped without
/// [`Receipts::close`], the thread writes what it has and ends by itself.
#[derive(Clone, Debug)]
pub struct Receipts(Option<Arc<Worker>>);

impl Receipts {
    /// Reads the directory and starts the thread. Blocks; never fails: a directory that cannot be
    /// used is an error in the log, and means no receipts.
    pub fn open(settings: Settings, disk: Arc<dyn Disk>, clock: Clock, metrics: &Metrics) -> Self {
        let started = Store::open(settings, disk, clock, metrics.clone())
            .and_then(|store| Worker::start(store, metrics));
        match started {
            Ok(worker) => Self(Some(Arc::new(worker))),
            Err(error) => {
                tracing::error!(error = %error, "receipts cannot be opened, so none are kept");
                metrics.receipts_failed.set(1);
                Self::off()
            }
        }
    }

    /// Keeps none and finds none.
    pub fn off() -> Self {
        Self(None)
    }

    /// Takes an ending. Never blocks; what does not fit is dropped and counted.
    pub fn note(&self, ending: Ending) {
        if let Some(worker) = &self.0 {
            worker.note(ending);
        }
    }

    /// The endings of the events with this id, newest first, `limit` of them. Blocks: it waits for
    /// what was noted before, for five seconds at most, and reads from disk: chunks from the newest
    /// on until it has enough, of each at most its entries.
    pub fn find(&self, event_id: &str, limit: usize) -> Result<Vec<Receipt>, FindError> {
        self.find_wanted(&Wanted::event_id(event_id), limit)
    }

    /// The same of the events that somebody knows by something.
    pub fn find_wanted(&self, wanted: &Wanted, limit: usize) -> Result<Vec<Receipt>, FindError> {
        match &self.0 {
            Some(worker) => worker.find(wanted, limit),
            None => Ok(Vec::new()),
        }
    }

    /// Writes and syncs what was noted, and takes nothing more. Blocks, for as long as `budget`;
    /// true when all was done by then.
    pub fn close(&self, budget: Duration) -> bool {
        self.0.as_ref().is_none_or(|worker| worker.close(budget))
    }
}
