//! The file that says what each row came to. It holds no value of a row but its `event_id`.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use serde_json::json;

use crate::cli::client::failure;
use crate::cli::table::plain;
use crate::cli::{USAGE, WRONG};

/// Faults that are shown where there is no such file.
pub(super) const SHOWN: usize = 20;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Durable in the gateway.
    Accepted,
    /// Its twin was accepted before.
    Duplicate,
    /// A policy of the gateway's keeps it back.
    Filtered,
    /// The gateway does not take it.
    Refused,
    /// It is no event.
    Error,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }
}

/// One row, answered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowResult {
    pub(super) row: u64,
    pub(super) line: u64,
    pub(super) event_id: Option<String>,
    pub(super) status: Status,
    pub(super) code: String,
    pub(super) path: String,
    pub(super) message: String,
}

/// The file, open at its end.
pub(super) struct Results {
    file: File,
    /// Bytes written to it.
    pub(super) bytes: u64,
    is_ndjson: bool,
    /// Whether it holds nothing of an earlier run.
    pub(super) is_new: bool,
    path: String,
}

impl Results {
    /// Makes the file; one that is there is only written over where that is asked for.
    pub(super) fn create(path: &Path, over: bool) -> anyhow::Result<Self> {
        let mut options = options();
        if over {
            options.create(true);
        } else {
            options.create_new(true);
        }
        #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
        let file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => failure(
                USAGE,
                format!(
                    "{} is there already: name another file with --results, or begin again and write over it with --restart",
                    path.display()
                ),
            ),
            _ => unusable(path, &error),
        })?;
        Self::at(file, path, 0)
    }

    /// Opens the file of an interrupted run; what is behind `bytes` was not confirmed.
    pub(super) fn go_on(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "this is no file of the journal")]
        let opened = options().open(path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self::create(path, false);
            }
            opened => opened.map_err(|error| unusable(path, &error))?,
        };
        let length = file.metadata().map_or(0, |about| about.len());
        if length < bytes {
            let message = format!(
                "{} is not the file of results of the run before, or was cut: put that one back, name a new one with --results, or begin again with --restart",
                path.display()
            );
            return Err(failure(USAGE, message));
        }
        let mut results = Self::at(file, path, bytes)?;
        results.is_new = false;
        Ok(results)
    }

    /// Positioned behind `bytes`, or behind a new header.
    fn at(file: File, path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let mut results = Self::locked(file, path)?;
        results.cut(bytes)?;
        if results.bytes == 0 && !results.is_ndjson {
            results.write(b"row,line,event_id,status,code,path,message\n")?;
        }
        Ok(results)
    }

    fn locked(file: File, path: &Path) -> anyhow::Result<Self> {
        if file.try_lock().is_err() {
            let message = format!(
                "another process is writing {}: is the file being sent already?",
                path.display()
            );
            return Err(failure(USAGE, message));
        }
        let ending = path.extension().and_then(|ending| ending.to_str());
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(|error| unusable(path, &error))?;
        Ok(Self {
            file,
            bytes: 0,
            is_new: true,
            is_ndjson: ending.is_some_and(|e| matches!(e, "ndjson" | "jsonl" | "json")),
            path: path.display().to_string(),
        })
    }

    fn cut(&mut self, bytes: u64) -> anyhow::Result<()> {
        let mut cut = || {
            let length = self.file.metadata()?.len().min(bytes);
            self.file.set_len(length)?;
            self.file.seek(SeekFrom::Start(length))
        };
        self.bytes = cut().map_err(|error| unusable(Path::new(&self.path), &error))?;
        Ok(())
    }

    /// Writes rows, and has them on disk. Blocks.
    pub(super) fn add(&mut self, rows: &[RowResult]) -> anyhow::Result<()> {
        let mut text = Vec::with_capacity(rows.len() * 64);
        if self.is_ndjson {
            for row in rows {
                let line = json!({
                    "row": row.row,
                    "line": row.line,
                    "event_id": row.event_id,
                    "status": row.status.word(),
                    "code": row.code,
                    "path": row.path,
                    "message": row.message,
                });
                writeln!(text, "{line}")?;
            }
        } else {
            let mut sheet = csv::Writer::from_writer(&mut text);
            for row in rows {
                let id = row.event_id.as_deref().unwrap_or_default();
                let (number, line) = (row.row.to_string(), row.line.to_string());
                let status = row.status.word();
                let cells = [
                    &number,
                    &line,
                    id,
                    status,
                    &row.code,
                    &row.path,
                    &row.message,
                ];
                sheet.write_record(cells)?;
            }
            sheet.flush()?;
        }
        self.write(&text)
    }

    fn write(&mut self, text: &[u8]) -> anyhow::Result<()> {
        let mut write = || {
            self.file.write_all(text)?;
            self.file.sync_data()
        };
        write().map_err(|error| {
            let message = format!("{} cannot be written: {}", self.path, error.kind());
            failure(WRONG, message)
        })?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// A file of mode 0600, and not what a link leads to.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
    options
}

fn unusable(path: &Path, error: &io::Error) -> anyhow::Error {
    let message = format!(
        "{} cannot be used for the results: {}; name another file with --results",
        path.display(),
        error.kind()
    );
    failure(USAGE, message)
}

/// A fault in one line.
pub(super) fn words(path: &str, message: &str) -> String {
    match path {
        "" => plain(message),
        path => plain(&format!("{path}: {message}")),
    }
}
