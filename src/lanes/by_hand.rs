//! Pixels that a person has stopped: their events are taken and wait, until the person says go.
//!
//! **Promises.** Nothing of a held pixel is sent once [`Lanes::hold`](super::Lanes::hold) has
//! returned, but for batches that are on the wire already. It holds over a restart, until it is
//! released or its end has come. What waits is no failure, and is sent then.
//! **Refuses.** To be worth an outage: a file that cannot be read is an error in the log, and means
//! that nothing is held.
//! **Limits.** [`MAX_HELD`] pixels. Events that wait for too long still expire: Meta refuses those.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::circuit::State;
use super::circuits::{Blocked, Key, Standing};
use super::lock;
use super::snapshot::HeldBy;
use crate::pixel::PixelId;
use crate::private_file::{FileError, Versioned};
use crate::time::{Clock, UnixMs};

/// Pixels that may be held at once.
pub const MAX_HELD: usize = 2000;
/// The longest time that a hold with an end may be for.
pub const MAX_SPAN: Duration = Duration::from_hours(30 * 24);
/// Characters of a reason.
pub const MAX_REASON: usize = 200;
/// The file, below `journal.dir`, of what is held.
pub const FILE: &str = "holds.json";
/// What the id of such a hold begins with; the pixel follows.
pub const PREFIX: &str = "by_hand:";

/// The version of the file's format.
const VERSION: u32 = 1;
/// Bytes of the file: [`MAX_HELD`] holds, each with a name and a reason.
const MAX_FILE: u64 = 4 << 20;
/// Bytes kept of the name of a key.
const MAX_NAME: usize = 128;

/// A person's word that nothing of a pixel is to be sent. Moments are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandHold {
    /// Whose key, by its place in the configuration.
    pub by: String,
    /// Since when.
    pub at: UnixMs,
    /// When it ends by itself; none when it does not.
    pub until: Option<UnixMs>,
    /// Why, in the person's words.
    pub reason: Option<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// It is held so already.
    #[error("the pixel is held by hand already, since {at} by {by}", at = moment(.0.at), by = .0.by)]
    Already(HandHold),
    /// Too many are held.
    #[error("{MAX_HELD} pixels are held already")]
    TooMany,
    /// It could not be written down.
    #[error("{FILE} {0}")]
    File(#[from] FileError),
}

/// The pixels of one gateway that are held by hand. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ByHand(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    store: Versioned,
    held: Mutex<BTreeMap<PixelId, Entry>>,
    /// Held for a change and its way to the file.
    turn: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Entry {
    hold: HandHold,
    /// Who waits stands in line, and only the first watches.
    line: Arc<Semaphore>,
    changed: Arc<Notify>,
}

#[derive(Serialize, Deserialize)]
struct File {
    held: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    pixel: PixelId,
    #[serde(flatten)]
    hold: HandHold,
}

/// Whether a text is a reason: 1 to [`MAX_REASON`] characters, none of them a control character.
pub fn is_reason(text: &str) -> bool {
    (1..=MAX_REASON).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// The id of the hold of a pixel, as in [`HoldSnapshot::id`](super::snapshot::HoldSnapshot::id).
pub fn id(pixel: PixelId) -> String {
    format!("{PREFIX}{pixel}")
}

/// The pixel of such an id.
pub fn pixel(id: &str) -> Option<PixelId> {
    id.strip_prefix(PREFIX)?.parse().ok()
}

impl ByHand {
    /// Reads what is held below `dir`. Blocks; never fails. The journal's lock keeps other processes
    /// from writing it.
    pub fn open(dir: &Path, clock: Clock) -> Self {
        let store = Versioned::new(dir.join(FILE), VERSION, MAX_FILE);
        let file = store.read::<File>().unwrap_or_else(|error| {
            tracing::error!(path = %store.path().display(), %error, "what is held by hand cannot be read: nothing is held so, and all pixels send");
            None
        });
        let lines = file.map_or_else(Vec::new, |file| file.held);
        let now = clock.now();
        let held = lines
            .into_iter()
            .filter(|line| line.hold.holds(now))
            .map(|line| (line.pixel, Entry::new(line.hold)));
        Self(Arc::new(Inner {
            clock,
            store,
            held: Mutex::new(held.collect()),
            turn: Mutex::default(),
        }))
    }

    /// The pixels that are held now.
    pub fn list(&self) -> BTreeMap<PixelId, HandHold> {
        let now = self.0.clock.now();
        let held = lock(&self.0.held);
        let current = held.iter().filter(|(_, entry)| entry.hold.holds(now));
        current
            .map(|(pixel, entry)| (*pixel, entry.hold.clone()))
            .collect()
    }

    /// Holds a pixel from now on; in the place of a hold that there is with `replace` alone. `span` is
    /// cut to [`MAX_SPAN`]. Blocks until it is written down.
    pub(super) fn hold(
        &self,
        pixel: PixelId,
        span: Option<Duration>,
        reason: Option<String>,
        by: &str,
        replace: bool,
    ) -> Result<HandHold, ByHandError> {
        let now = self.0.clock.now();
        let hold = HandHold {
            by: by
                .get(..by.floor_char_boundary(MAX_NAME))
                .unwrap_or(by)
                .to_owned(),
            at: now,
            until: span.map(|span| now.plus(span.min(MAX_SPAN))),
            reason,
        };
        self.change(|held| {
            if let Some(there) = held.get(&pixel).filter(|_| !replace) {
                return Err(ByHandError::Already(there.hold.clone()));
            }
            if held.len() >= MAX_HELD && !held.contains_key(&pixel) {
                return Err(ByHandError::TooMany);
            }
            held.entry(pixel)
                .and_modify(|entry| entry.hold = hold.clone())
                .or_insert_with(|| Entry::new(hold.clone()));
            Ok(())
        })?;
        Ok(hold)
    }

    /// Lets a pixel go; gives what held it, if something did. Blocks until it is written down.
    pub(super) fn release(&self, pixel: PixelId) -> Result<Option<HandHold>, ByHandError> {
        let mut released = None;
        self.change(|held| {
            released = held.remove(&pixel);
            Ok(())
        })?;
        Ok(released.map(|entry| entry.hold))
    }

    /// First on disk: what is in force must be so after a restart, too.
    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<PixelId, Entry>) -> Result<(), ByHandError>,
    ) -> Result<(), ByHandError> {
        let _turn = lock(&self.0.turn);
        let now = self.0.clock.now();
        let before = lock(&self.0.held).clone();
        let mut next = before.clone();
        next.retain(|_, entry| entry.hold.holds(now));
        change(&mut next)?;
        let lines = next.iter().map(|(pixel, entry)| Line {
            pixel: *pixel,
            hold: entry.hold.clone(),
        });
        self.0.store.write(File {
            held: lines.collect(),
        })?;
        *lock(&self.0.held) = next;
        for entry in before.values() {
            entry.changed.notify_waiters();
        }
        Ok(())
    }

    /// The pixels whose hold has come to its end by itself since this was asked before, with who held
    /// each.
    pub(super) fn newly_ended(&self) -> Vec<(PixelId, String)> {
        let now = self.0.clock.now();
        let mut held = lock(&self.0.held);
        let ended = held.extract_if(.., |_, entry| !entry.hold.holds(now));
        ended.map(|(pixel, entry)| (pixel, entry.hold.by)).collect()
    }

    /// When the first hold ends by itself.
    pub(super) fn next_end(&self) -> Option<Duration> {
        let now = self.0.clock.now();
        let held = self.list();
        let ends = held.values().filter_map(|hold| hold.until);
        ends.min().map(|until| until.since(now))
    }

    pub(super) fn holds(&self, pixel: PixelId) -> bool {
        self.find(pixel, |_| ()).is_some()
    }

    /// What is in the way of the pixel's batches.
    pub(super) fn blocked(&self, pixel: PixelId) -> Option<Blocked> {
        self.find(pixel, |entry| Blocked {
            line: Arc::clone(&entry.line),
            changed: Arc::clone(&entry.changed),
            until: self.end(&entry.hold),
        })
    }

    /// The same, for those who look.
    pub(super) fn standing(&self, pixel: PixelId) -> Option<Standing> {
        self.find(pixel, |entry| self.show(pixel, &entry.hold))
    }

    /// All of them.
    pub(super) fn standings(&self) -> Vec<(Standing, HandHold)> {
        let shown = |(pixel, hold): (PixelId, HandHold)| (self.show(pixel, &hold), hold);
        self.list().into_iter().map(shown).collect()
    }

    fn show(&self, pixel: PixelId, hold: &HandHold) -> Standing {
        Standing {
            key: Key::ByHand(pixel),
            state: State::Held {
                by: HeldBy::Hand,
                next_probe: self.end(hold),
                busy: false,
            },
            since: hold.at,
            seen: None,
            pixels: vec![pixel],
        }
    }

    fn end(&self, hold: &HandHold) -> Option<Instant> {
        let until = hold.until?;
        Some(Instant::now() + until.since(self.0.clock.now()))
    }

    fn find<R>(&self, pixel: PixelId, work: impl FnOnce(&Entry) -> R) -> Option<R> {
        let held = lock(&self.0.held);
        let entry = held.get(&pixel)?;
        entry.hold.holds(self.0.clock.now()).then(|| work(entry))
    }
}

/// A moment for people, to the second.
fn moment(at: UnixMs) -> String {
    let stamp = jiff::Timestamp::from_second(at.secs());
    stamp.map_or_else(|_| "an unreadable time".to_owned(), |at| at.to_string())
}

impl HandHold {
    fn holds(&self, now: UnixMs) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Entry {
    fn new(hold: HandHold) -> Self {
        Self {
            hold,
            line: Arc::new(Semaphore::new(1)),
            changed: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(id: u64) -> PixelId {
        PixelId::from_u64(id).unwrap()
    }

    #[test]
    fn a_hold_is_there_after_a_restart_until_it_is_released() {
        let dir = tempfile::tempdir().unwrap();
        let by_hand = ByHand::open(dir.path(), Clock::Real);
        let reason = Some("the shop moves".to_owned());
        let hold = by_hand
            .hold(pixel(1), None, reason, "admin.keys[0]", false)
            .unwrap();
        assert!(by_hand.holds(pixel(1)) && !by_hand.holds(pixel(2)));
        let again = ByHand::open(dir.path(), Clock::Real);
        assert_eq!(again.list(), BTreeMap::from([(pixel(1), hold.clone())]));
        assert_eq!(again.release(pixel(1)).unwrap(), Some(hold));
        assert_eq!(again.release(pixel(1)).unwrap(), None);
        assert!(ByHand::open(dir.path(), Clock::Real).list().is_empty());
    }

    #[test]
    fn what_holds_it_is_not_replaced_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let by_hand = ByHand::open(dir.path(), Clock::Real);
        let hold = |span, by, replace| by_hand.hold(pixel(1), span, None, by, replace);
        let first = hold(None, "admin.keys[0]", false).unwrap();
        let error = hold(Some(MAX_SPAN), "other", false).unwrap_err();
        let said = error.to_string();
        assert!(said.ends_with("by admin.keys[0]"), "{said}");
        assert_eq!(by_hand.list()[&pixel(1)], first);
        let second = hold(Some(Duration::ZERO), "other", true).unwrap();
        assert!(second.until.is_some());
        assert!(hold(None, "k", false).is_ok(), "what has ended is none");
    }

    #[test]
    fn it_ends_by_itself_and_no_later_than_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let by_hand = ByHand::open(dir.path(), Clock::Real);
        let long = by_hand
            .hold(pixel(1), Some(Duration::MAX), None, "k", false)
            .unwrap();
        assert_eq!(long.until, Some(long.at.plus(MAX_SPAN)));
        by_hand
            .hold(pixel(2), Some(Duration::ZERO), None, "k", false)
            .unwrap();
        assert!(!by_hand.holds(pixel(2)), "its end has come");
        assert_eq!(by_hand.newly_ended(), [(pixel(2), "k".to_owned())]);
        assert_eq!(by_hand.newly_ended(), [], "it is told once");
        let again = ByHand::open(dir.path(), Clock::Real);
        assert_eq!(again.newly_ended(), [], "nor after a restart");
        assert_eq!(by_hand.list().len(), 1);
        assert!(by_hand.next_end().unwrap() <= MAX_SPAN);
        assert!(by_hand.blocked(pixel(1)).unwrap().until.is_some());
    }

    #[test]
    fn a_file_that_cannot_be_read_holds_nothing_and_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        crate::private_file::replace(&dir.path().join(FILE), b"{", MAX_FILE).unwrap();
        let by_hand = ByHand::open(dir.path(), Clock::Real);
        assert!(by_hand.list().is_empty());
        by_hand.hold(pixel(1), None, None, "k", false).unwrap();
        assert!(ByHand::open(dir.path(), Clock::Real).holds(pixel(1)));
    }

    #[test]
    fn reasons_and_ids_have_their_bounds() {
        assert!(is_reason("consent is unclear: ask Anna"));
        for bad in ["", "two\nlines", "\u{1b}[31m", &"x".repeat(MAX_REASON + 1)] {
            assert!(!is_reason(bad), "{bad:?}");
        }
        assert_eq!(super::pixel(&id(pixel(7))), Some(pixel(7)));
        assert_eq!(super::pixel("pixel:7"), None);
    }
}
