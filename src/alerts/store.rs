//! What was told, in a small file, so that a restart does not tell it again.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::board::Sent;
use super::{Alert, MAX_KEYS, Severity, message};
use crate::pixel::PixelId;
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
        let read = read_file(&self.0).and_then(|text| {
            let file: File = serde_json::from_slice(&text).map_err(io::Error::from)?;
            if file.version == VERSION {
                Ok(file.sent)
            } else {
                Err(io::Error::from(io::ErrorKind::Unsupported))
            }
        });
        match read {
            Ok(lines) => lines.into_iter().take(MAX_KEYS).map(sent).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(path = %self.0.display(), error = %error.kind(), "the file with the alerts that were sent cannot be read; some may be sent again");
                Vec::new()
            }
        }
    }

    pub(super) fn write(&self, sent: &[Sent]) {
        if let Err(error) = self.replace(sent) {
            tracing::warn!(path = %self.0.display(), error = %error.kind(), "the alerts that were sent cannot be written down; after a restart some may be sent again");
        }
    }

    fn replace(&self, sent: &[Sent]) -> io::Result<()> {
        let file = File {
            version: VERSION,
            sent: sent.iter().map(line).collect(),
        };
        let text = serde_json::to_vec(&file)?;
        let fresh = self.0.with_extension("json.new");
        write_file(&fresh, &text)?;
        #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
        std::fs::rename(&fresh, &self.0)?;
        match self.0.parent() {
            Some(dir) => open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn open(path: &Path) -> io::Result<std::fs::File> {
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    std::fs::File::open(path)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open(path)?.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(text)
}

fn write_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
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
            write_file(&path, junk.as_bytes()).unwrap();
            assert!(store.read().is_empty(), "{junk}");
        }
        // a disk that refuses is logged, no more
        Store::new(dir.path().join("no/such/alerts.json")).write(&sent);
    }
}
