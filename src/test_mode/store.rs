//! What was started and stopped, in a small file, so that it holds after a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Code;
use crate::pixel::PixelId;
use crate::private_file::{FileError, Versioned};

/// The version of the file's format.
const VERSION: u32 = 1;
/// Bytes of the file: some thousands of pixels.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// Where it is written.
#[derive(Debug)]
pub(super) struct Store(Versioned);

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) started: BTreeMap<PixelId, Code>,
    pub(super) stopped: Vec<StoppedCode>,
}

/// A code of the configuration that is out of force for the events of one pixel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoppedCode {
    pub(super) pixel: PixelId,
    /// The source it is the code of; none for the pixel's own.
    pub(super) source: Option<String>,
    /// Its value then: another one is in force again.
    pub(super) code: Code,
}

#[derive(Serialize, Deserialize)]
struct File {
    started: Vec<StartedCode>,
    stopped: Vec<StoppedCode>,
}

#[derive(Serialize, Deserialize)]
struct StartedCode {
    pixel: PixelId,
    code: Code,
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
        let Some(file) = self.0.read::<File>()? else {
            return Ok(Kept::default());
        };
        let started = file.started.into_iter();
        Ok(Kept {
            started: started.map(|one| (one.pixel, one.code)).collect(),
            stopped: file.stopped,
        })
    }

    pub(super) fn write(&self, kept: &Kept) -> Result<(), FileError> {
        let started = kept.started.iter().map(|(pixel, code)| StartedCode {
            pixel: *pixel,
            code: code.clone(),
        });
        self.0.write(File {
            started: started.collect(),
            stopped: kept.stopped.clone(),
        })
    }
}
