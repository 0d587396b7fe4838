//! What was told, in a small file, so that a restart does not tell it again.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::board::Sent;
use super::{Alert, MAX_KEYS, Severity, message};
use crate::pixel::PixelId;
use crate::private_file::{self, FileError};
use crate::time::UnixMs;

/// The version of the file's format.
const VERSION: u32 = 1;
/// Bytes of the file that are read: more than [`MAX_KEYS`] alerts take.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// Where it is written. Mode 0600; replaced as a whole.
#[derive(Clone, Debug)]
pub(super) struct Store(PathBuf);

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    sent: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    severity: Severity,
    title: String,
    text: String,
    next: String,
    pixels: Vec<PixelId>,
    token: Option<String>,
    /// Milliseconds since 1970, as the next.
    at: i64,
    sent_at: i64,
}

impl Store {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What was told before; nothing, with a warning, if that cannot be read.
    pub(super) fn read(&self) -> Vec<Sent> {
        match read_file(&self.0) {
            Ok(lines) => lines.into_iter().take(MAX_KEYS).map(sent).collect(),
            Err(error) => {
                tracing::warn!(path = %self.0.display(), %error, "the file with the alerts that were sent cannot be read; some may be sent again");
                Vec::new()
            }
        }
    }

    pub(super) fn write(&self, sent: &[Sent]) {
        if let Err(error) = self.replace(sent) {
            tracing::warn!(path = %self.0.display(), %error, "the alerts that were sent cannot be written down; after a restart some may be sent again");
        }
    }

    fn replace(&self, sent: &[Sent]) -> Result<(), FileError> {
        let file = File {
            version: VERSION,
            sent: sent.iter().map(line).collect(),
        };
        let text = serde_json::to_vec(&file).map_err(io::Error::from)?;
        private_file::replace(&self.0, &text, MAX_FILE)
    }
}

fn read_file(path: &Path) -> Result<Vec<Line>, FileError> {
    let Some(text) = private_file::read(path, MAX_FILE)? else {
        return Ok(Vec::new());
    };
    let file: File = serde_json::from_slice(&text).map_err(io::Error::from)?;
    if file.version != VERSION {
        return Err(io::Error::from(io::ErrorKind::Unsupported).into());
    }
    Ok(file.sent)
}

fn line(sent: &Sent) -> Line {
    let alert = sent.alert.clone();
    Line {
        key: alert.key,
        severity: alert.severity,
        title: alert.title,
        text: alert.text,
        next: alert.next,
        pixels: alert.pixels,
        token: alert.token,
        at: alert.at.0,
        sent_at: sent.at.0,
    }
}

fn sent(line: Line) -> Sent {
    Sent {
        at: UnixMs(line.sent_at),
        alert: message::cut(Alert {
            key: line.key,
            severity: line.severity,
            title: line.title,
            text: line.text,
            next: line.next,
            pixels: line.pixels,
            token: line.token,
            at: UnixMs(line.at),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::super::message::Message;
    use super::*;

    #[test]
    fn what_was_written_is_read_and_junk_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.json");
        let store = Store::new(path.clone());
        assert!(store.read().is_empty());
        let mut alert = Message::test(UnixMs(7)).alert;
        alert.pixels = vec!["1234567890123456".parse().unwrap()];
        alert.token = Some("sha256:9817945f".to_owned());
        let sent = vec![Sent {
            alert,
            at: UnixMs(9),
        }];
        for _ in 0..2 {
            store.write(&sent);
            assert_eq!(store.read(), sent);
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let whole = std::fs::read_to_string(&path).unwrap();
        for junk in [
            "",
            "{}",
            "[",
            &whole[..whole.len() / 2],
            &whole.replace("\"version\":1", "\"version\":2"),
        ] {
            private_file::replace(&path, junk.as_bytes(), MAX_FILE).unwrap();
            assert!(store.read().is_empty(), "{junk}");
        }
        private_file::replace(&path, whole.as_bytes(), MAX_FILE).unwrap();
        assert_eq!(store.read(), sent);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(store.read().is_empty(), "others may have written it");
        // a disk that refuses is logged, no more
        Store::new(path.join("alerts.json")).write(&sent);
    }

    #[test]
    fn two_that_write_at_once_leave_one_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("alerts.json"));
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    let mut alert = Message::test(UnixMs(7)).alert;
                    alert.text = "x".repeat(writer * 1000);
                    let at = UnixMs(9);
                    for _ in 0..20 {
                        let alert = alert.clone();
                        store.replace(&[Sent { alert, at }]).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.read().len(), 1);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
