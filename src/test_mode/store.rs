//! What was started and stopped, in a small file, so that it holds after a restart.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Code;
use crate::pixel::PixelId;
use crate::private_file::{self, FileError};

/// The version of the file's format.
const VERSION: u32 = 1;
/// Bytes of the file: some thousands of pixels.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// Where it is written. Mode 0600; replaced as a whole.
#[derive(Debug)]
pub(super) struct Store(PathBuf);

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
    version: u32,
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
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Nothing where there is no file.
    pub(super) fn read(&self) -> Result<Kept, FileError> {
        let Some(text) = private_file::read(&self.0, MAX_FILE)? else {
            return Ok(Kept::default());
        };
        let file: File = serde_json::from_slice(&text).map_err(io::Error::from)?;
        if file.version != VERSION {
            return Err(io::Error::from(io::ErrorKind::Unsupported).into());
        }
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
        let file = File {
            version: VERSION,
            started: started.collect(),
            stopped: kept.stopped.clone(),
        };
        let text = serde_json::to_vec(&file).map_err(io::Error::from)?;
        private_file::replace(&self.0, &text, MAX_FILE)
    }
}
