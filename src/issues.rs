//! Issues: what goes wrong with events, in groups, with what is at stake and what a person said of it.
//!
//! A group is a pixel, where it went wrong ([`Place`]), the stable word, Meta's code and subcode, and
//! the field. It has a name, [`IssueId`], that is the same in every life of the gateway.
//!
//! What is refused or kept back at the door is counted as it comes. What waits since nothing is sent,
//! and what has become dead letters, is looked up ([`Level`]): each event counts once, however often
//! it was tried, and as long as it waits or is kept. A group of which nothing is left ends by itself.
//!
//! **Promises.** Words, codes, field paths, sums and event ids only: no other data of a person. A
//! request without a fault takes no lock here. What is acknowledged or muted holds over a restart; so
//! do the groups, as they were when they were last [kept](Issues::keep).
//! **Refuses.** To be worth an outage: a file that cannot be read is an error in the log, and means
//! that nothing was acknowledged or muted, or that the door's refusals are counted anew.
//! **Limits.** [`MAX_ISSUES`] groups, [`MAX_PER_PIXEL`] of a pixel: one more takes the place of one that
//! is over, or else of the one that was seen least lately. [`MAX_EVENT_IDS`] ids of each. [`MAX_MARKS`]
//! marks; the oldest goes first.

mod board;
mod kind;
mod level;
mod marks;
mod recent;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pixel::PixelId;
use crate::private_file::{FileError, Versioned};
use crate::time::{Clock, UnixMs};

use board::Board;
pub use kind::{IssueId, IssueIdError, Kind, Place, Seen};
pub use level::{Level, LevelOf};
use marks::{Kept, Store};
use snapshot::Snapshot;

/// Groups of all pixels.
pub const MAX_ISSUES: usize = 2000;
/// Groups of one pixel.
pub const MAX_PER_PIXEL: usize = 100;
/// Event ids that are kept of a group, the newest.
pub const MAX_EVENT_IDS: usize = 10;
/// Bytes of an event id that is kept; a longer one is not.
pub const MAX_EVENT_ID: usize = 256;
/// Groups that are acknowledged or muted.
pub const MAX_MARKS: usize = 2000;
/// The longest time a group may be muted for.
pub const MAX_MUTE: Duration = Duration::from_hours(30 * 24);
/// For how long an acknowledgement holds: what still comes then is open again.
pub const ACKNOWLEDGED_FOR: Duration = Duration::from_hours(30 * 24);
/// The file, below `journal.dir`, of what was acknowledged and muted.
pub const FILE: &str = "issues.json";
/// The file, below `journal.dir`, of the groups.
pub const SEEN_FILE: &str = "issues_seen.json";

/// A group as people see it. Moments are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Issue {
    /// Its name.
    pub id: IssueId,
    /// What makes it.
    #[serde(flatten)]
    pub kind: Kind,
    /// Events, each once. Of the door and of policies, all since `first_seen`. Of what is held, those
    /// that wait, and of dead letters those that are kept; the most there were when none is left.
    pub events: u64,
    /// Events that wait in the journal at this moment.
    pub waiting: u64,
    /// Dead letters that are kept at this moment: what a redrive takes.
    pub letters: u64,
    /// Of `events`, those of the last hour.
    pub last_hour: u64,
    /// When the first of them was seen.
    pub first_seen: UnixMs,
    /// When the last was.
    pub last_seen: UnixMs,
    /// What the events say to be worth, by currency.
    pub money: BTreeMap<String, f64>,
    /// How many of them are known to say it.
    pub valued: u64,
    /// Some of the events, the newest first.
    pub event_ids: Vec<String>,
    /// Whether somebody has to look at it.
    pub state: State,
    /// Since when it is over, if it is.
    pub over_since: Option<UnixMs>,
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
    /// Nobody has to: it has ended by itself.
    Over,
}

impl State {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Muted => "muted",
            Self::Over => "over",
        }
    }
}

/// A group that is not over, in few figures: for whoever looks at all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Its name.
    pub id: IssueId,
    /// Whose events.
    pub pixel: PixelId,
    /// Where it went wrong.
    pub place: Place,
    /// As of an [`Issue`]; never [`State::Over`].
    pub state: State,
    /// Dead letters that are kept, as of the last look; those noted just now before the first one.
    pub letters: u64,
    /// Events of the last hour, of those that are noted as they come.
    pub last_hour: u64,
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
    snapshots: Versioned,
    /// Held while the groups are written; whether they are not to be any more.
    ended: Mutex<bool>,
}

impl Issues {
    /// Reads the groups, and what was acknowledged and muted, below `dir`. Blocks; never fails. The
    /// journal's lock keeps other processes from writing it.
    pub fn open(dir: &Path, clock: Clock) -> Self {
        let store = Store::new(dir.join(FILE));
        let kept = store.read().unwrap_or_else(|error| {
            tracing::error!(path = %store.path().display(), %error, "what was acknowledged and muted of issues cannot be read: all of them are open");
            Kept::default()
        });
        let snapshots = snapshot::file(dir.join(SEEN_FILE));
        let snapshot = snapshots.read::<Snapshot>().unwrap_or_else(|error| {
            tracing::error!(path = %snapshots.path().display(), %error, "the issues of before cannot be read: what is refused at the door is counted anew");
            None
        });
        let snapshot = snapshot.unwrap_or_else(|| Snapshot {
            since: clock.now(),
            groups: Vec::new(),
        });
        Self(Arc::new(Inner {
            since: snapshot.since,
            clock,
            board: Mutex::new(Board::of(snapshot.groups)),
            store,
            kept: Mutex::new(kept),
            turn: Mutex::default(),
            snapshots,
            ended: Mutex::default(),
        }))
    }

    /// Since when they are counted.
    pub fn since(&self) -> UnixMs {
        self.0.since
    }

    /// Takes in what went wrong just now.
    pub fn note(&self, seen: impl IntoIterator<Item = Seen>) {
        let mut seen = seen.into_iter().peekable();
        if seen.peek().is_some() {
            self.note_at(seen, self.0.clock.now());
        }
    }

    /// The same, of another moment.
    pub fn note_at(&self, seen: impl IntoIterator<Item = Seen>, at: UnixMs) {
        let mut board = locked(&self.0.board);
        for one in seen {
            board.note(one, at);
        }
    }

    /// Takes over what stands at this moment, all of it. What does not stand any more is over when
    /// `is_over` says so, which gets the group and when it was last seen; so does what was noted.
    pub fn stand(&self, levels: Vec<Level>, mut is_over: impl FnMut(&Kind, UnixMs) -> bool) {
        let now = self.0.clock.now();
        let mut rest = locked(&self.0.board).stand(levels);
        // who asks others must not keep the door waiting
        rest.retain(|(_, kind, last_seen)| is_over(kind, *last_seen));
        if rest.is_empty() {
            return;
        }
        let mut board = locked(&self.0.board);
        for (id, _, last_seen) in rest {
            board.end(id, last_seen, now);
        }
    }

    /// Writes the groups down, if they have changed; a crash loses what came since. With `ends` for the
    /// last time: others may have the file from then on. Blocks.
    pub fn keep(&self, ends: bool) {
        let mut ended = locked(&self.0.ended);
        if *ended {
            return;
        }
        *ended = ends;
        let Some(groups) = locked(&self.0.board).changes() else {
            return;
        };
        let snapshot = Snapshot {
            since: self.0.since,
            groups,
        };
        if let Err(error) = self.0.snapshots.write(&snapshot) {
            locked(&self.0.board).forget_told();
            tracing::warn!(path = %self.0.snapshots.path().display(), %error, "issues cannot be written down: after a restart, what is refused at the door is counted anew");
        }
    }

    /// Adds ids of events, the newest last, that are from before those that are known.
    pub fn recall(&self, kind: &Kind, event_ids: VecDeque<String>) {
        locked(&self.0.board).recall(kind, event_ids);
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

    /// All groups that are not over, in no order. `looked` is how long ago the last look at what stands
    /// ([`Issues::stand`]) may be: letters that are noted and younger than that count as kept.
    pub fn briefs(&self, looked: Duration) -> Vec<Brief> {
        let now = self.0.clock.now();
        let mut all = locked(&self.0.board).briefs(now, looked);
        let kept = locked(&self.0.kept);
        for brief in &mut all {
            brief.state = kept.state(brief.id, false, now);
        }
        all
    }

    /// How many groups of each state there are.
    pub fn states(&self) -> BTreeMap<State, u64> {
        let now = self.0.clock.now();
        let all = locked(&self.0.board).states();
        let kept = locked(&self.0.kept);
        let mut states = BTreeMap::new();
        for (id, is_over) in all {
            *states.entry(kept.state(id, is_over, now)).or_default() += 1;
        }
        states
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

/// A panic elsewhere leaves counts that are still counts.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
