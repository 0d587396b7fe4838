//! Reads a secret where it is.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::place::{KeyRef, SecretRef};
use crate::private_file;
use crate::secret::Secret;

/// Largest secret file that is read: no token is near it, and `/dev/zero` is endless.
const MAX_SECRET: usize = 64 * 1024;
/// What a buffer has beyond that, so that the end is found without another one.
const SPARE: usize = 64;

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
        self.read(env, false)
    }

    /// Reads the secret from the environment given, or from the file system; one line break at
    /// its end is taken off.
    pub fn read_with(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Secret, SecretRefError> {
        self.read(env, true)
    }

    fn read(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        may_be_open: bool,
    ) -> Result<Secret, SecretRefError> {
        let bytes = match self {
            Self::Env(name) => {
                let text = env(name).ok_or_else(|| SecretRefError::NotSet(name.clone()))?;
                Zeroizing::new(text.into_bytes())
            }
            Self::File(path) => read_file(path, may_be_open)?,
            Self::Credential(name) => {
                let dir = env("CREDENTIALS_DIRECTORY");
                let dir = dir.ok_or_else(|| SecretRefError::NoCredentials(name.clone()))?;
                read_file(&Path::new(&dir).join(name), true)?
            }
        };
        let line = bytes.strip_suffix(b"\n");
        let line = line.map_or(&bytes[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
        if line.is_empty() {
            return Err(SecretRefError::Empty(self.clone()));
        }
        match str::from_utf8(line) {
            // a copy of its exact size, since what is cut to its size may be moved, unwiped
            Ok(word) if word.bytes().all(|b| b.is_ascii_graphic()) => {
                Ok(Secret::new(word.to_owned()))
            }
            _ => Err(SecretRefError::White(self.clone())),
        }
    }
}

fn read_file(path: &Path, may_be_open: bool) -> Result<Zeroizing<Vec<u8>>, SecretRefError> {
    let unreadable = |error| SecretRefError::Unreadable(path.to_owned(), error);
    let file = private_file::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(SecretRefError::NotText(path.to_owned()));
    }
    if !may_be_open && about.mode() & 0o077 != 0 {
        return Err(SecretRefError::Open(path.to_owned()));
    }
    // large enough at once, since a buffer that grows leaves its old self behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET + SPARE));
    file.take(MAX_SECRET as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > MAX_SECRET || str::from_utf8(&bytes).is_err() {
        return Err(SecretRefError::NotText(path.to_owned()));
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    /// What becomes of a file with these bytes: the secret, or the variant of the error.
    fn read(bytes: &[u8], mode: u32) -> [String; 2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        private_file::create(&path, bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let place = SecretRef::File(path);
        let says = |read: Result<Secret, SecretRefError>| match read {
            Ok(secret) => secret.expose().to_owned(),
            Err(error) => {
                let name = format!("{error:?}");
                name.split('(').next().unwrap_or_default().to_owned()
            }
        };
        [place.read_with(&|_| None), place.read_private(&|_| None)].map(says)
    }

    #[test]
    fn a_file_with_one_word_of_any_size_is_read() {
        let long = "x".repeat(MAX_SECRET);
        for (text, want) in [
            ("word", "word"),
            ("word\n", "word"),
            ("word\r\n", "word"),
            ("word\n\n", "White"),
            ("wo rd", "White"),
            ("w\u{f6}rd", "White"),
            ("", "Empty"),
            ("\n", "Empty"),
            (&long, &long),
            (&format!("{long}x"), "NotText"),
        ] {
            assert_eq!(read(text.as_bytes(), 0o600), [want; 2]);
        }
        assert_eq!(read(b"w\xff", 0o600), ["NotText"; 2]);
        assert_eq!(read(b"word", 0o640), ["word", "Open"]);
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let read = SecretRef::File(path).read_with(&|_| None);
        assert!(matches!(read, Err(SecretRefError::NotText(_))), "{read:?}");
    }
}
