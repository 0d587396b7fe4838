//! Events from a file or standard input, one by one: JSON, NDJSON or CSV.
//!
//! Nothing is held but the record that is read, so a file may be of any size. What is wrong with
//! one record is that record's [`RowFault`]; what is wrong with the whole file ends the reading.
//! Neither shows a value.

mod bounded;
mod cell;
mod columns;
mod json;
mod lines;
mod plan;
mod quotes;
mod sheet;

use std::io::{Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;

use clap::{Args, ValueEnum};

use super::client::failure;
use super::{USAGE, WRONG};
use crate::codes::Code;
use crate::private_file;
use plan::Plan;

/// Bytes at the beginning of a file by which its format is known.
const HEAD: usize = 64 << 10;
/// Bytes of one event, as the gateway takes it.
pub(super) const MAX_EVENT: usize = 1 << 20;
/// Bytes of one record, until it is taken for a file that is no list of events.
const MAX_RECORD: u64 = 8 << 20;
/// Bytes of one JSON object on standard input, which cannot be read twice.
const MAX_OBJECT: usize = 8 << 20;

/// How a file is to be read.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Reading {
    /// What the file is; else by its name's ending, or by what is in it
    #[arg(long, value_enum)]
    pub(super) format: Option<Format>,
    /// CSV: what stands between two cells, such as ";" or tab; else what the header line has most
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub(super) delimiter: Option<u8>,
    /// CSV: what a column with a name of its own is, such as "Customer Mail=user_data.em"
    #[arg(long, value_name = "COLUMN=PATH", value_parser = pair)]
    pub(super) map: Vec<(String, String)>,
    /// CSV: a column that is not sent, by its name or by its number, such as #7
    #[arg(long, value_name = "COLUMN")]
    pub(super) ignore: Vec<String>,
    /// CSV: the value where a row has none, such as action_source=physical_store
    #[arg(long, value_name = "PATH=VALUE", value_parser = pair)]
    pub(super) default: Vec<(String, String)>,
    /// CSV: the time zone of times that name none, such as Europe/Berlin or UTC
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(super) zone: Option<jiff::tz::TimeZone>,
}

/// What a file can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Graph's {"data":[…]}, an array of events, or one event.
    Json,
    /// One event a line.
    Ndjson,
    /// A header line, then one event a row.
    Csv,
}

/// One event, or what is wrong with its record.
#[derive(Debug)]
pub(super) struct Record {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// Bytes of the file up to its end; not exact, for showing how far it got.
    pub(super) end: u64,
    /// Its `event_id`, if that can be shown.
    pub(super) event_id: Option<String>,
    /// Its JSON text.
    pub(super) event: Result<String, RowFault>,
}

/// Why a record is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowFault {
    /// The stable word.
    pub(super) code: Code,
    /// The member it would have been, such as `custom_data.value`; empty for the record itself.
    pub(super) path: String,
    /// Where, and what is expected; never what was found.
    pub(super) message: String,
}

impl RowFault {
    fn new(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            path: path.into(),
            message: message.into(),
        }
    }
}

/// What a reader does with each record; it may end the reading.
type Each<'a> = dyn FnMut(Record) -> ControlFlow<()> + 'a;

/// A file that is ready to be read.
pub(super) struct Source {
    head: Vec<u8>,
    rest: Box<dyn Read + Send>,
    /// Bytes of the file; none for standard input.
    pub(super) size: Option<u64>,
    /// What it is.
    pub(super) format: Format,
    /// The request options of a body in Graph's shape, as JSON texts by name.
    pub(super) options: Vec<(String, String)>,
    /// Its members that are for the caller's own request, such as a token; they are not sent.
    pub(super) callers: Vec<(String, String)>,
    /// Whether it is a body in Graph's shape.
    pub(super) has_data: bool,
    /// Whether a body in Graph's shape has members that are no request options.
    pub(super) has_strange_members: bool,
    plan: Option<Plan>,
}

impl Source {
    /// Opens a file, or standard input for `-`, and looks at its beginning: a header that is not
    /// understood is an error before anything is done. Blocks.
    pub(super) fn open(path: &Path, reading: &Reading) -> anyhow::Result<Self> {
        let (mut rest, size) = input(path)?;
        let mut head = Vec::with_capacity(HEAD);
        rest.by_ref()
            .take(HEAD as u64)
            .read_to_end(&mut head)
            .map_err(|error| unreadable(path, &error))?;
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err(failure(
                USAGE,
                format!("{} is UTF-16: save it as UTF-8", shown(path)),
            ));
        }
        if is_wide(&head) {
            return Err(failure(
                USAGE,
                format!(
                    "{} has zero bytes, as UTF-16 does: save it as UTF-8",
                    shown(path)
                ),
            ));
        }
        if head.iter().all(u8::is_ascii_whitespace) && head.len() < HEAD {
            return Err(failure(USAGE, format!("{} is empty", shown(path))));
        }
        let format = reading.format.unwrap_or_else(|| guess(path, &head));
        let mut source = Self {
            head,
            rest,
            size,
            format,
            options: Vec::new(),
            callers: Vec::new(),
            has_data: false,
            has_strange_members: false,
            plan: None,
        };
        match format {
            Format::Csv => source.plan = Some(Plan::read(&source.head, reading)?),
            _ if reading.is_for_csv() => {
                return Err(failure(
                    USAGE,
                    "--delimiter, --map, --ignore, --default and --zone are for CSV files, and this one is none; if it is, add --format csv",
                ));
            }
            Format::Json => source.look_through(path)?,
            Format::Ndjson => {}
        }
        Ok(source)
    }

    /// The digest of the file's beginning, by which it is known again.
    pub(super) fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        hex::encode(Sha256::digest(&self.head))
    }

    /// Gives each record to `each`, in order. Blocks.
    pub(super) fn read(self, each: &mut Each<'_>) -> anyhow::Result<()> {
        let bom: &[u8] = b"\xef\xbb\xbf";
        let skip = if self.head.starts_with(bom) { 3 } else { 0 };
        let mut head = Cursor::new(self.head);
        head.set_position(skip);
        let (input, meter) = bounded::bounded(head.chain(self.rest));
        match self.plan {
            Some(plan) => sheet::read(input, &meter, &plan, each),
            None if self.format == Format::Json => {
                json::read(input, &meter, &mut json::Envelope::default(), each)
            }
            None => lines::read(input, &meter, each),
        }
    }

    /// Finds the request options of a body in Graph's shape, which may stand behind its events.
    fn look_through(&mut self, path: &Path) -> anyhow::Result<()> {
        let first = self.head.iter().find(|b| !b.is_ascii_whitespace());
        let is_list = first == Some(&b'[');
        if is_list {
            return Ok(());
        }
        let mut envelope = json::Envelope::default();
        let mut each = |_| ControlFlow::Continue(());
        if self.size.is_some() {
            let again = Self {
                head: Vec::new(),
                rest: input(path)?.0,
                size: self.size,
                format: self.format,
                options: Vec::new(),
                callers: Vec::new(),
                has_data: false,
                has_strange_members: false,
                plan: None,
            };
            let (input, meter) = bounded::bounded(bounded::without_bom(again.rest)?);
            // a fault is told when its turn comes, with the records before it
            let _ = json::read(input, &meter, &mut envelope, &mut each);
        } else {
            let limit = MAX_OBJECT + 1 - self.head.len().min(MAX_OBJECT);
            self.rest
                .by_ref()
                .take(limit as u64)
                .read_to_end(&mut self.head)
                .map_err(|error| unreadable(path, &error))?;
            if self.head.len() > MAX_OBJECT {
                return Err(failure(
                    USAGE,
                    "a JSON object of more than 8 MiB cannot be read from standard input: name it as a file, or give one event a line (--format ndjson)",
                ));
            }
            let whole = bounded::without_bom(Cursor::new(self.head.clone()))?;
            let (input, meter) = bounded::bounded(whole);
            let _ = json::read(input, &meter, &mut envelope, &mut each);
        }
        self.options = envelope.options;
        self.callers = envelope.callers;
        self.has_data = envelope.has_data;
        self.has_strange_members = envelope.has_strange_members;
        Ok(())
    }
}

impl Reading {
    fn is_for_csv(&self) -> bool {
        let lists = [self.map.is_empty(), self.default.is_empty()];
        self.delimiter.is_some()
            || self.zone.is_some()
            || !self.ignore.is_empty()
            || lists.contains(&false)
    }
}

/// Whether this is UTF-16 without a mark in front: a third of its beginning are zeros.
fn is_wide(head: &[u8]) -> bool {
    let begin = head.get(..64).unwrap_or(head);
    let zeros = memchr::memchr_iter(0, begin).count();
    zeros > 0 && zeros * 3 >= begin.len()
}

fn input(path: &Path) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), None));
    }
    let file = private_file::open(path).map_err(|error| unreadable(path, &error))?;
    let about = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !about.is_file() {
        let message = format!(
            "{} is no plain file: give its contents on standard input, with - as the file",
            path.display()
        );
        return Err(failure(USAGE, message));
    }
    Ok((Box::new(file), Some(about.len())))
}

fn unreadable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let message = format!("{} cannot be read: {}", shown(path), error.kind());
    failure(USAGE, message)
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// By the ending of the name, or by what the beginning looks like.
fn guess(path: &Path, head: &[u8]) -> Format {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ending = ending.map(str::to_ascii_lowercase);
    match ending.as_deref() {
        Some("ndjson" | "jsonl") => return Format::Ndjson,
        Some("csv" | "tsv") => return Format::Csv,
        _ => {}
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.trim_ascii_start();
    match head.first() {
        Some(b'[') => Format::Json,
        Some(b'{') => {
            let mut lines = head.splitn(2, |b| *b == b'\n');
            let first = lines.next().unwrap_or_default();
            let more = lines.next().unwrap_or_default();
            let is_whole = serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok();
            if is_whole && !more.trim_ascii().is_empty() {
                Format::Ndjson
            } else {
                Format::Json
            }
        }
        _ if ending.as_deref() == Some("json") => Format::Json,
        _ => Format::Csv,
    }
}

/// An `event_id` that may stand in a file of results: it cannot be an address, nor be taken for a
/// formula.
fn showable(id: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b);
    let first = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    (first && id.len() <= 128 && id.bytes().all(plain)).then(|| id.to_owned())
}

fn delimiter(text: &str) -> Result<u8, &'static str> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [one] if one.is_ascii_punctuation() || *one == b'\t' => Ok(*one),
        _ => Err("one character, such as ; or | or tab"),
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a name, = and a value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn zone(text: &str) -> Result<jiff::tz::TimeZone, &'static str> {
    if text == "UTC" || text == "Z" {
        return Ok(jiff::tz::TimeZone::UTC);
    }
    jiff::tz::TimeZone::get(text)
        .map_err(|_| "the name of a time zone, such as Europe/Berlin, America/New_York or UTC")
}

#[cfg(test)]
mod tests;
