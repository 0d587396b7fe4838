//! Reads a secret where it is.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::place::{KeyRef, SecretRef};
use crate::secret::Secret;

/// Largest secret file that is read: no token is near it, and `/dev/zero` is endless.
const MAX_SECRET: u64 = 64 * 1024;

/// Why a secret could not be read. Names the variable or file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretRefError {
    /// The variable is not set, or is not Unicode.
    #[error("the environment variable {0} is not set, or is not Unicode")]
    NotSet(String),
    /// The file cannot be read.
    #[error("the file {} cannot be read: {}", .0.display(), .1.kind())]
    Unreadable(PathBuf, io::Error),
    /// The file is too large or not UTF-8.
    #[error("the file {} does not look like a secret: expected a regular file with one line of text", .0.display())]
    NotText(PathBuf),
    /// The service was given no credentials.
    #[error(
        "there is no credential {0}: CREDENTIALS_DIRECTORY is not set; add LoadCredential={0}:/path to the systemd unit"
    )]
    NoCredentials(String),
    /// A file that others may read, where that is not allowed.
    #[error("the file {} can be read by others: run `chmod 600 {}`", .0.display(), .0.display())]
    Open(PathBuf),
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(SecretRef),
    /// There is a line break, blank or control character in it.
    #[error(
        "{0} has white space, a line break, a byte-order mark or another character that is not ASCII inside: expected one word of ASCII"
    )]
    White(SecretRef),
}

impl SecretRef {
    /// As [`SecretRef::read_with`], but of a file that only its owner may read.
    pub fn read_private(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Secret, SecretRefError> {
        self.check_private()?;
        self.read_with(env)
    }

    /// Refuses a file that others than its owner may read.
    fn check_private(&self) -> Result<(), SecretRefError> {
        use std::os::unix::fs::MetadataExt;
        let Some(path) = self.file() else {
            return Ok(());
        };
        // what cannot be looked at is told when it is read
        match path.metadata() {
            Ok(about) if about.mode() & 0o077 != 0 => Err(SecretRefError::Open(path.to_owned())),
            _ => Ok(()),
        }
    }

    /// Reads the secret from the environment given, or from the file system; one line break at
    /// its end is taken off.
    pub fn read_with(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Secret, SecretRefError> {
        let mut text = match self {
            Self::Env(name) => env(name).ok_or_else(|| SecretRefError::NotSet(name.clone()))?,
            Self::File(path) => read_file(path)?,
            Self::Credential(name) => {
                let dir = env("CREDENTIALS_DIRECTORY");
                let dir = dir.ok_or_else(|| SecretRefError::NoCredentials(name.clone()))?;
                read_file(&Path::new(&dir).join(name))?
            }
        };
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        let secret = Secret::new(text);
        if secret.expose().is_empty() {
            return Err(SecretRefError::Empty(self.clone()));
        }
        if !secret.expose().bytes().all(|b| b.is_ascii_graphic()) {
            return Err(SecretRefError::White(self.clone()));
        }
        Ok(secret)
    }
}

fn read_file(path: &Path) -> Result<String, SecretRefError> {
    use std::io::Read;
    let unreadable = |error| SecretRefError::Unreadable(path.to_owned(), error);
    if !path.metadata().map_err(unreadable)?.is_file() {
        // a pipe that nobody writes to would wait for ever
        return Err(SecretRefError::NotText(path.to_owned()));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a secret file is no file of the journal"
    )]
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SECRET {
        return Err(SecretRefError::NotText(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| SecretRefError::NotText(path.to_owned()))
}

impl KeyRef {
    /// The SHA-256 digest of the key, which is looked up in the environment given.
    pub fn digest_with(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<[u8; 32], SecretRefError> {
        match self {
            Self::Sha256(digest) => Ok(*digest),
            Self::Secret(place) => {
                let key = place.read_with(env)?;
                Ok(Sha256::digest(key.expose().as_bytes()).into())
            }
        }
    }
}
