//! What was acknowledged and muted, in a small file, so that it holds after a restart.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ACKNOWLEDGED_FOR, Acknowledged, Change, Issue, IssueId, MAX_MARKS, Muted, State};
use crate::private_file::{FileError, Versioned};
use crate::time::UnixMs;

/// The version of the file's format.
const VERSION: u32 = 1;
/// Bytes of the file: [`MAX_MARKS`] marks, each with two names of keys.
const MAX_FILE: u64 = 1 << 20;
/// Bytes kept of the name of a key.
const MAX_NAME: usize = 128;

/// Where it is written.
#[derive(Debug)]
pub(super) struct Store(Versioned);

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept(BTreeMap<IssueId, Mark>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Acknowledged>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    muted: Option<Muted>,
}

#[derive(Serialize, Deserialize)]
struct File {
    marks: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    #[serde(flatten)]
    mark: Mark,
}

impl Kept {
    /// Puts what is known of an issue into it.
    pub(super) fn mark(&self, issue: &mut Issue, now: UnixMs) {
        issue.state = self.state(issue.id, issue.over_since.is_some(), now);
        let mark = self.at(issue.id, now);
        (issue.acknowledged, issue.muted) = (mark.acknowledged, mark.muted);
    }

    pub(super) fn state(&self, id: IssueId, is_over: bool, now: UnixMs) -> State {
        let mark = self.at(id, now);
        match (is_over, mark.muted, mark.acknowledged) {
            (true, ..) => State::Over,
            (false, Some(_), _) => State::Muted,
            (false, None, Some(_)) => State::Acknowledged,
            (false, None, None) => State::Open,
        }
    }

    fn at(&self, id: IssueId, now: UnixMs) -> Mark {
        let mark = self.0.get(&id).map(|mark| mark.at(now));
        mark.unwrap_or_default()
    }

    pub(super) fn change(&mut self, id: IssueId, change: Change, by: &str, now: UnixMs) {
        let by = by.get(..by.floor_char_boundary(MAX_NAME)).unwrap_or(by);
        let by = by.to_owned();
        self.0.retain(|_, mark| !mark.at(now).is_empty());
        let mark = self.0.entry(id).or_default();
        match change {
            Change::Acknowledge => mark.acknowledged = Some(Acknowledged { at: now, by }),
            Change::Reopen => mark.acknowledged = None,
            Change::Mute(span) => {
                let until = now.plus(span);
                mark.muted = Some(Muted { at: now, until, by });
            }
            Change::Unmute => mark.muted = None,
        }
        if mark.is_empty() {
            self.0.remove(&id);
        }
        while self.0.len() > MAX_MARKS {
            let oldest = self.0.iter().min_by_key(|(_, mark)| mark.since());
            let Some(oldest) = oldest.map(|(id, _)| *id) else {
                return;
            };
            self.0.remove(&oldest);
        }
    }
}

impl Mark {
    /// What of it holds at this moment.
    fn at(&self, now: UnixMs) -> Self {
        let acknowledged = self.acknowledged.clone();
        let muted = self.muted.clone();
        Self {
            acknowledged: acknowledged.filter(|one| now < one.at.plus(ACKNOWLEDGED_FOR)),
            muted: muted.filter(|one| now < one.until),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn since(&self) -> Option<UnixMs> {
        let acknowledged = self.acknowledged.as_ref().map(|one| one.at);
        acknowledged.max(self.muted.as_ref().map(|one| one.at))
    }
}

impl Store {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Versioned::new(path, VERSION, MAX_FILE))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Nothing where there is no file.
    pub(super) fn read(&self) -> Result<Kept, FileError> {
        let mut kept = BTreeMap::new();
        for line in self
            .0
            .read::<File>()?
            .map_or_else(Vec::new, |file| file.marks)
        {
            let id = line.id.parse();
            let id = id.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            kept.insert(id, line.mark);
        }
        Ok(Kept(kept))
    }

    pub(super) fn write(&self, kept: &Kept) -> Result<(), FileError> {
        let marks = kept.0.iter().map(|(id, mark)| Line {
            id: id.to_string(),
            mark: mark.clone(),
        });
        self.0.write(File {
            marks: marks.collect(),
        })
    }
}
