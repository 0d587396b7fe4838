//! The vault: one sealed file with every token and app secret.
//!
//! **Promises.** What is on disk shows no token, name or pixel (AES-256-GCM, see `seal`). A change
//! is there as a whole or not at all, also after a power cut, and two processes that change it
//! take turns. A file that cannot be read, for whatever reason, is never written over. What root
//! writes belongs to the owner of the vault, or else of its directory.
//! **Refuses.** Files that others may read, and a key that is not the one it was sealed with.
//! **Limits.** [`MAX_FILE`] bytes. Whoever has the file and the key has the tokens: keep the key
//! elsewhere, also in backups.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::contents::{ChangeError, Contents};
use super::key::{KeyError, VaultKey};
use super::seal::{self, SealError, UnsealError};
use crate::private_file::{self, FileError};
use crate::secret::Secret;

/// Bytes of a vault file: some 20,000 tokens.
pub const MAX_FILE: u64 = 16 << 20;

/// Bytes by which one change makes the file larger, at most.
const SLACK: usize = 64 << 10;

/// A vault on disk. Cheap to clone; nothing is read before it is asked for.
#[derive(Clone, Debug)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    key: VaultKey,
}

/// Why a vault cannot be used. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key is none.
    #[error("tokens.vault_key: {0}")]
    Key(#[from] KeyError),
    /// The file cannot be read or written.
    #[error("the vault {} {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: FileError,
    },
    /// What is in the file cannot be read.
    #[error("the vault {} {error}", path.display())]
    Unseal {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: UnsealError,
    },
    /// It was there before.
    #[error("the vault {} is gone: put it back from a backup, or restart the gateway to begin a new one", .0.display())]
    Gone(PathBuf),
    /// The new contents could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It cannot be changed as asked.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl VaultError {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(_) => "bad_key",
            Self::File { error, .. } => match error {
                FileError::Open { .. } => "permissions",
                FileError::TooMuch { .. } => "too_much",
                FileError::TooLarge => "too_large",
                FileError::Dangling => "dangling_link",
                FileError::Busy => "busy",
                FileError::Exists => "exists",
                FileError::Io(_) => "io",
            },
            Self::Unseal { error, .. } => match error {
                UnsealError::NotAVault => "not_a_vault",
                UnsealError::Version(_) => "version",
                UnsealError::WrongKey => "wrong_key",
                UnsealError::Damaged => "damaged",
            },
            Self::Gone(_) => "gone",
            Self::Seal(_) => "seal",
            Self::Change(_) => "change",
        }
    }
}

impl Vault {
    /// The vault in this file, sealed with this key (64 hex digits).
    pub fn new(path: PathBuf, key: &Secret) -> Result<Self, VaultError> {
        let key = VaultKey::read(key)?;
        Ok(Self(Arc::new(Inner { path, key })))
    }

    /// Makes a new key in a file of mode 0600, which must not be there yet.
    pub fn make_key(path: &Path) -> Result<(), VaultError> {
        let key = VaultKey::generate()?;
        let line = Zeroizing::new([key.expose(), "\n"].concat());
        let made = private_file::create(path, line.as_bytes());
        made.map_err(|error| VaultError::File {
            path: path.to_owned(),
            error,
        })
    }

    /// The file it is in.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Reads it; a file that is not there is empty. Blocks.
    pub fn read(&self) -> Result<Contents, VaultError> {
        let path = &self.0.path;
        let bytes = private_file::read(path, MAX_FILE).map_err(|error| self.failed(error))?;
        let Some(bytes) = bytes else {
            return Ok(Contents::default());
        };
        seal::unseal(&bytes, &self.0.key).map_err(|error| VaultError::Unseal {
            path: path.clone(),
            error,
        })
    }

    /// Reads it, changes it, and writes it, while nobody else does. When `work` fails nothing is
    /// written. Blocks.
    pub fn update<R, E: From<VaultError>>(
        &self,
        work: impl FnOnce(&mut Contents) -> Result<R, E>,
    ) -> Result<R, E> {
        let path = &self.0.path;
        let _turn = private_file::lock(path).map_err(|error| self.failed(error))?;
        let mut contents = self.read()?;
        let result = work(&mut contents)?;
        contents.generation += 1;
        let bytes = seal::seal(&contents, &self.0.key).map_err(VaultError::Seal)?;
        private_file::replace(path, &bytes, MAX_FILE).map_err(|error| self.failed(error))?;
        Ok(result)
    }

    /// Whether it could be changed now, as far as that can be told: takes the turn, and writes and
    /// removes a file of its size, and [`SLACK`] more, beside it. Blocks.
    ///
    /// # Errors
    ///
    /// As of [`Self::update`].
    pub fn probe(&self) -> Result<(), VaultError> {
        let path = &self.0.path;
        let _turn = private_file::lock(path).map_err(|error| self.failed(error))?;
        self.read()?;
        let size = path.metadata().map_or(0, |about| about.len());
        let bytes = size.min(MAX_FILE) as usize + SLACK;
        private_file::probe(path, bytes).map_err(|error| self.failed(error))
    }

    /// The turn to refresh a token, until the result is dropped, so that of several processes with
    /// this vault only one does; none while another has it.
    pub fn refresh_turn(&self) -> Result<Option<impl Sized + use<>>, VaultError> {
        private_file::turn(&self.0.path, ".refresh").map_err(|error| self.failed(error))
    }

    fn failed(&self, error: FileError) -> VaultError {
        VaultError::File {
            path: self.0.path.clone(),
            error,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files of these tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::time::UnixMs;
    use crate::tokens::contents::{AppRecord, Name};

    fn key(byte: u8) -> Secret {
        Secret::new(hex::encode([byte; 32]))
    }

    fn vault(dir: &tempfile::TempDir) -> Vault {
        Vault::new(dir.path().join("new/tokens.vault"), &key(1)).unwrap()
    }

    fn add_app(vault: &Vault, id: &str) -> Result<(), VaultError> {
        vault.update(|contents| {
            let app = AppRecord {
                secret: Secret::new(format!("secret-of-{id}")),
                added_at: UnixMs(1),
            };
            contents.apps.insert(id.to_owned(), app);
            Ok(())
        })
    }

    #[test]
    fn it_begins_empty_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&dir);
        assert_eq!(vault.read().unwrap().generation, 0);
        assert!(!vault.path().exists());
        add_app(&vault, "1").unwrap();
        add_app(&vault, "2").unwrap();
        let read = vault.read().unwrap();
        assert_eq!((read.generation, read.apps.len()), (2, 2));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(vault.path()), 0o600);
        assert_eq!(mode(vault.path().parent().unwrap()), 0o700);
    }

    #[test]
    fn what_cannot_be_read_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&dir);
        add_app(&vault, "1").unwrap();
        let good = std::fs::read(vault.path()).unwrap();
        let other = Vault::new(vault.path().to_owned(), &key(2)).unwrap();
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let refused = |vault: &Vault, bytes: &[u8], code: &str| {
            std::fs::write(vault.path(), bytes).unwrap();
            let read = vault.read().unwrap_err();
            let written = add_app(vault, "2").unwrap_err();
            assert_eq!((read.code(), written.code()), (code, code));
            assert!(read.to_string().contains("tokens.vault"), "{read}");
            assert_eq!(std::fs::read(vault.path()).unwrap(), bytes, "{code}");
        };
        refused(&other, &good, "wrong_key");
        refused(&vault, &damaged, "damaged");
        refused(&vault, b"", "not_a_vault");
        refused(&vault, b"{\"tokens\":{}}", "not_a_vault");
        std::fs::write(vault.path(), &good).unwrap();
        std::fs::set_permissions(vault.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        refused(&vault, &good, "permissions");
        std::fs::set_permissions(vault.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(vault.read().unwrap().apps.len(), 1);
    }

    #[test]
    fn work_that_fails_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&dir);
        add_app(&vault, "1").unwrap();
        let name: Name = "none".parse().unwrap();
        let failed = vault.update(|contents| -> Result<_, VaultError> {
            contents.apps.clear();
            Ok(contents.remove(&name, false)?)
        });
        assert_eq!(failed.unwrap_err().code(), "change");
        assert_eq!(vault.read().unwrap().apps.len(), 1);
    }

    #[test]
    fn whether_it_can_be_changed_is_told_before() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&dir);
        vault.probe().unwrap();
        assert!(!vault.path().exists());
        add_app(&vault, "1").unwrap();
        let before = std::fs::read(vault.path()).unwrap();
        vault.probe().unwrap();
        assert_eq!(std::fs::read(vault.path()).unwrap(), before);
        let names = std::fs::read_dir(vault.path().parent().unwrap()).unwrap();
        assert_eq!(names.count(), 2, "the vault and its lock");
        // a file where the directory should be stops also who may do anything
        let blocked = dir.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let blocked = Vault::new(blocked.join("tokens.vault"), &key(1)).unwrap();
        assert_eq!(blocked.probe().unwrap_err().code(), "io");
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&dir);
        add_app(&vault, "1").unwrap();
        let error = vault
            .update(|contents| -> Result<_, VaultError> {
                let secret = Secret::new("x".repeat(MAX_FILE as usize));
                let added_at = UnixMs(1);
                let app = AppRecord { secret, added_at };
                contents.apps.insert("2".to_owned(), app);
                Ok(())
            })
            .unwrap_err();
        assert_eq!(error.code(), "too_much");
        assert!(error.to_string().contains("16777216"), "{error}");
        assert_eq!(vault.read().unwrap().apps.len(), 1);
    }

    #[test]
    fn those_who_change_it_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&dir);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let vault = &vault;
                scope.spawn(move || {
                    for turn in 0..5 {
                        add_app(vault, &format!("{worker}{turn}")).unwrap();
                    }
                });
            }
        });
        let read = vault.read().unwrap();
        assert_eq!((read.generation, read.apps.len()), (20, 20));
    }

    #[test]
    fn one_at_a_time_refreshes() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(&dir);
        let turn = vault.refresh_turn().unwrap();
        assert!(turn.is_some());
        assert!(vault.refresh_turn().unwrap().is_none());
        drop(turn);
        assert!(vault.refresh_turn().unwrap().is_some());
        // and others may change the vault meanwhile
        let _turn = vault.refresh_turn().unwrap();
        add_app(&vault, "1").unwrap();
    }

    #[test]
    fn a_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        Vault::make_key(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(Vault::new(path.clone(), &Secret::new(text.trim().to_owned())).is_ok());
        assert_eq!(Vault::make_key(&path).unwrap_err().code(), "exists");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
