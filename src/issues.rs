//! Issues: what goes wrong with events, in groups, with what is at stake and what a person said of it.
//!
//! A group is a pixel, where it went wrong ([`Place`]), the stable word, Meta's code and subcode, and
//! the field. It has a name, [`IssueId`], that is the same in every life of the gateway.
//!
//! **Promises.** Words, codes, field paths, sums and event ids only: no other data of a person. A
//! request without a fault takes no lock here. What is acknowledged or muted holds over a restart.
//! **Refuses.** To be worth an outage: a file that cannot be read is an error in the log, and means
//! that nothing was acknowledged or muted.
//! **Limits.** Counted since the start of the process. [`MAX_ISSUES`] groups, [`MAX_PER_PIXEL`] of a
//! pixel: one more takes the place of the one that was seen least lately. [`MAX_EVENT_IDS`] ids and
//! [`MAX_CURRENCIES`] sums of each. [`MAX_MARKS`] marks; the oldest goes first.

mod board;
mod marks;
mod recent;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::event::Money;
use crate::pixel::PixelId;
use crate::private_file::FileError;
use crate::time::{Clock, UnixMs};

use board::Board;
use marks::{Kept, Store};

/// Groups of all pixels.
pub const MAX_ISSUES: usize = 2000;
/// Groups of one pixel.
pub const MAX_PER_PIXEL: usize = 100;
/// Event ids that are kept of a group, the newest.
pub const MAX_EVENT_IDS: usize = 10;
/// Bytes of an event id that is kept; a longer one is not.
pub const MAX_EVENT_ID: usize = 256;
/// Currencies of a group that are summed; events of others are not.
pub const MAX_CURRENCIES: usize = 8;
/// Groups that are acknowledged or muted.
pub const MAX_MARKS: usize = 2000;
/// The longest time a group may be muted for.
pub const MAX_MUTE: Duration = Duration::from_hours(30 * 24);
/// For how long an acknowledgement holds: what still comes then is open again.
pub const ACKNOWLEDGED_FOR: Duration = Duration::from_hours(30 * 24);
/// The file, below `journal.dir`, of what was acknowledged and muted.
pub const FILE: &str = "issues.json";

/// Where an event went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Refused at the door: it was never accepted.
    Door,
    /// A policy has kept it back.
    Policy,
    /// Meta has refused it, or does not take the pixel's events for now.
    Meta,
    /// The gateway has given it up without a word of Meta's, such as for its age.
    Lane,
}

impl Place {
    /// The stable word: `door`, `policy`, `meta` or `lane`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::Policy => "policy",
            Self::Meta => "meta",
            Self::Lane => "lane",
        }
    }
}

/// What makes a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// Whose events.
    pub pixel: PixelId,
    /// Where.
    pub place: Place,
    /// The stable word: of the refusal, of the policy, the reason of the dead letters, or why events
    /// are held.
    pub word: &'static str,
    /// Meta's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Meta's subcode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// The field, such as `custom_data.value`; empty for the event as a whole, or where it is not
    /// known.
    pub path: Cow<'static, str>,
}

/// Something that went wrong, of one event or several.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its group.
    pub kind: Kind,
    /// How many events.
    pub events: u64,
    /// The `event_id`, of one event.
    pub event_id: Option<String>,
    /// What it says to be worth, of one event.
    pub money: Option<Money>,
}

/// The name of a group: 16 hex digits, part of the SHA-256 of its [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssueId(u64);

/// A text is no name of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an issue is 16 hex digits, such as 0f3a5c7e9b1d2468")]
pub struct IssueIdError;

/// A group as people see it. Moments are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Issue {
    /// Its name.
    pub id: IssueId,
    /// What makes it.
    #[serde(flatten)]
    pub kind: Kind,
    /// Events since the start of the process, or since it was seen again after it had to make room. Of
    /// a hold, those of the batches that were refused; they wait and are not lost.
    pub events: u64,
    /// Of those, events of the last hour.
    pub last_hour: u64,
    /// When the first of them was seen.
    pub first_seen: UnixMs,
    /// When the last was.
    pub last_seen: UnixMs,
    /// What the events say to be worth, by currency, as far as they say it.
    pub money: BTreeMap<String, f64>,
    /// Some of the events, the newest first.
    pub event_ids: Vec<String>,
    /// Whether somebody has to look at it.
    pub state: State,
    /// Who has acknowledged it, while that holds.
    pub acknowledged: Option<Acknowledged>,
    /// Who has muted it, while that holds.
    pub muted: Option<Muted>,
}

/// Whether somebody has to look at a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has.
    Open,
    /// Somebody knows.
    Acknowledged,
    /// Nobody is to be told for a while.
    Muted,
}

impl State {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Muted => "muted",
        }
    }
}

/// Somebody knows of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Since when.
    pub at: UnixMs,
    /// Whose key, by its place in the configuration.
    pub by: String,
}

/// Somebody wants no word of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Muted {
    /// Since when.
    pub at: UnixMs,
    /// Until when.
    pub until: UnixMs,
    /// Whose key, by its place in the configuration.
    pub by: String,
}

/// What somebody says of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// I know.
    Acknowledge,
    /// Nobody knows any more.
    Reopen,
    /// Not for so long.
    Mute(Duration),
    /// It is to be told again.
    Unmute,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No such group.
    #[error("there is no issue with this id")]
    Unknown,
    /// It could not be written down.
    #[error("{FILE} {0}")]
    File(#[from] FileError),
}

impl IssueError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "not_found",
            Self::File(_) => "issues_file",
        }
    }
}

/// The issues of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Issues(Arc<Inner>);

struct Inner {
    clock: Clock,
    since: UnixMs,
    board: Mutex<Board>,
    store: Store,
    kept: Mutex<Kept>,
    /// Held for a change and its way to the file.
    turn: Mutex<()>,
}

impl Issues {
    /// Groups from now on; reads what was acknowledged and muted below `dir`. Blocks; never fails. The
    /// journal's lock keeps other processes from writing it.
    pub fn open(dir: &Path, clock: Clock) -> Self {
        let store = Store::new(dir.join(FILE));
        let kept = store.read().unwrap_or_else(|error| {
            tracing::error!(path = %store.path().display(), %error, "what was acknowledged and muted of issues cannot be read: all of them are open");
            Kept::default()
        });
        Self(Arc::new(Inner {
            since: clock.now(),
            clock,
            board: Mutex::default(),
            store,
            kept: Mutex::new(kept),
            turn: Mutex::default(),
        }))
    }

    /// Since when they are counted.
    pub fn since(&self) -> UnixMs {
        self.0.since
    }

    /// Takes in what went wrong.
    pub fn note(&self, seen: impl IntoIterator<Item = Seen>) {
        let mut seen = seen.into_iter().peekable();
        if seen.peek().is_none() {
            return;
        }
        let now = self.0.clock.now();
        let mut board = locked(&self.0.board);
        for one in seen {
            board.note(one, now);
        }
    }

    /// The groups that are wanted: the open ones first, then by what came in the last hour, then by
    /// when they were last seen.
    pub fn list(&self, wanted: impl Fn(&Kind) -> bool) -> Vec<Issue> {
        let now = self.0.clock.now();
        let mut all = locked(&self.0.board).list(&wanted, now);
        {
            let kept = locked(&self.0.kept);
            for issue in &mut all {
                kept.mark(issue, now);
            }
        }
        all.sort_by(|a, b| {
            let order = |issue: &Issue| (issue.last_hour, issue.last_seen, issue.id);
            (a.state.cmp(&b.state)).then_with(|| order(b).cmp(&order(a)))
        });
        all
    }

    /// One group.
    pub fn get(&self, id: IssueId) -> Option<Issue> {
        let now = self.0.clock.now();
        let mut issue = locked(&self.0.board).get(id, now)?;
        locked(&self.0.kept).mark(&mut issue, now);
        Some(issue)
    }

    /// Takes in what `by` says of a group, and writes it down. Blocks.
    pub fn change(&self, id: IssueId, change: Change, by: &str) -> Result<Issue, IssueError> {
        let _turn = locked(&self.0.turn);
        if self.get(id).is_none() {
            return Err(IssueError::Unknown);
        }
        let mut next = locked(&self.0.kept).clone();
        next.change(id, change, by, self.0.clock.now());
        self.0.store.write(&next)?;
        *locked(&self.0.kept) = next;
        self.get(id).ok_or(IssueError::Unknown)
    }
}

impl Kind {
    /// Its name.
    pub fn id(&self) -> IssueId {
        let text = format!(
            "{} {} {} {:?} {:?} {}",
            self.pixel,
            self.place.word(),
            self.word,
            self.code,
            self.subcode,
            self.path
        );
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 8];
        for (byte, from) in bytes.iter_mut().zip(digest) {
            *byte = from;
        }
        IssueId(u64::from_be_bytes(bytes))
    }

    /// Whether it is of this code: our word (`without_value`), Meta's code (`100`), or that with its
    /// subcode (`100/2804009`).
    pub fn is_of(&self, code: &str) -> bool {
        let number = self.code.map(|number| match self.subcode {
            Some(subcode) => (number.to_string(), format!("{number}/{subcode}")),
            None => (number.to_string(), number.to_string()),
        });
        self.word == code || number.is_some_and(|(bare, whole)| bare == code || whole == code)
    }
}

impl fmt::Display for IssueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for IssueId {
    type Err = IssueIdError;

    fn from_str(text: &str) -> Result<Self, IssueIdError> {
        let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(Self).ok_or(IssueIdError)
    }
}

impl Serialize for IssueId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A panic elsewhere leaves counts that are still counts.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
