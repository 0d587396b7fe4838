//! How far it got, for the person who waits: a bar on a terminal, else a line every few seconds.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Time between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(5);
/// Time between two looks at the bar.
const LOOKS: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    is_shown: bool,
    size: Option<u64>,
    begun: Instant,
    first: Option<(u64, u64)>,
    rows: u64,
    bytes: u64,
}

impl Progress {
    pub(super) fn new(size: Option<u64>, is_shown: bool, is_terminal: bool) -> Self {
        let bar = (is_shown && is_terminal).then(|| {
            let bar = match size {
                Some(size) => ProgressBar::new(size),
                None => ProgressBar::new_spinner(),
            };
            let template = match size {
                Some(_) => "[{bar:30}] {percent}%  {msg}  {eta} left",
                None => "{spinner}  {msg}",
            };
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style.progress_chars("=> ")),
                Err(_) => bar,
            }
        });
        Self {
            bar,
            is_shown,
            size,
            begun: Instant::now(),
            first: None,
            rows: 0,
            bytes: 0,
        }
    }

    /// How often [`Progress::show`] is to be called.
    pub(super) fn interval(&self) -> Duration {
        if self.bar.is_some() { LOOKS } else { LINES }
    }

    /// So many rows are answered for, up to that byte of the file.
    pub(super) fn at(&mut self, rows: u64, bytes: u64) {
        if self.first.is_none() {
            self.begun = Instant::now();
            self.first = Some((rows, bytes));
        }
        (self.rows, self.bytes) = (rows, bytes);
    }

    /// Shows it, and what it waits for.
    pub(super) fn show(&self, trouble: Option<&str>) {
        if !self.is_shown {
            return;
        }
        let mut text = format!("{} rows", self.rows);
        let (rows, bytes) = self.first.unwrap_or_default();
        let took = self.begun.elapsed().as_secs_f64();
        if took > 0.5 {
            let rate = self.rows.saturating_sub(rows) as f64 / took;
            text.extend([", ", &format!("{rate:.0}"), "/s"]);
        }
        if let Some(trouble) = trouble {
            text.extend([", waiting: ", trouble]);
        }
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.set_position(self.bytes);
            bar.tick();
            return;
        }
        if let Some(size) = self.size.filter(|size| *size > 0) {
            let percent = self.bytes.min(size) * 100 / size;
            text.extend([", ", &percent.to_string(), " %"]);
            let speed = self.bytes.saturating_sub(bytes) as f64 / took;
            if speed > 1.0 {
                let left = size.saturating_sub(self.bytes) as f64 / speed;
                text.extend([", about ", &format!("{left:.0}"), " s left"]);
            }
        }
        // nobody is left to tell
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Leaves the terminal to what is said at the end.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
