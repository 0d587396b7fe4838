//! How a command tells what it finds and does: a line each as it happens, or one JSON object at
//! the end.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::client::Failure;
use crate::cli::table::{self, plain};
use crate::cli::{OK, USAGE, WRONG};
use crate::custody::ladder::{Finding, Mark, verdict};
use crate::graph::oauth::{Context, Exit, OauthError};

/// What a command has to say.
pub(in crate::cli) struct Report<'o> {
    out: &'o mut dyn Write,
    json: bool,
    findings: Vec<Finding>,
    members: Map<String, Value>,
}

impl<'o> Report<'o> {
    pub(in crate::cli) fn new(out: &'o mut dyn Write, json: bool) -> Self {
        Self {
            out,
            json,
            findings: Vec::new(),
            members: Map::new(),
        }
    }

    /// One thing that was found or done.
    pub(in crate::cli) fn tell(&mut self, finding: Finding) -> anyhow::Result<()> {
        if !self.is_json() {
            let mark = match finding.mark {
                Mark::Pass => '✓',
                Mark::Skipped => '-',
                Mark::Warn => '!',
                Mark::Fail => '✗',
            };
            let code = finding.code.as_ref().map(|code| format!(" ({code})"));
            let says = plain(&finding.says);
            writeln!(self.out, "{mark} {says}{}", code.unwrap_or_default())?;
            if let Some(words) = &finding.words {
                writeln!(self.out, "  Meta says: {}", plain(words))?;
            }
            if let Some(trace) = &finding.trace_id {
                writeln!(self.out, "  trace id for Meta's support: {}", plain(trace))?;
            }
            if let Some(next) = &finding.next {
                writeln!(self.out, "  → {}", plain(next))?;
            }
            self.out.flush()?;
        }
        self.findings.push(finding);
        Ok(())
    }

    /// Several of them.
    pub(in crate::cli) fn tell_all(
        &mut self,
        findings: impl IntoIterator<Item = Finding>,
    ) -> anyhow::Result<()> {
        findings
            .into_iter()
            .try_for_each(|finding| self.tell(finding))
    }

    /// Something that went well.
    pub(in crate::cli) fn done(
        &mut self,
        check: &'static str,
        says: impl Into<String>,
    ) -> anyhow::Result<()> {
        self.tell(Finding::new(check, Mark::Pass, says))
    }

    /// What Meta, or the way to it, has said against it.
    pub(in crate::cli) fn refused(
        &mut self,
        check: &'static str,
        context: Context,
        error: &OauthError,
    ) -> anyhow::Result<()> {
        self.tell(Finding::of(check, Mark::Fail, context, error))
    }

    /// What a person has said no to.
    pub(in crate::cli) fn cancelled(
        &mut self,
        check: &'static str,
        says: impl Into<String>,
    ) -> anyhow::Result<()> {
        self.tell(Finding::new(check, Mark::Fail, says).exit(Exit::Cancelled))
    }

    /// A text for people, who read no JSON.
    pub(in crate::cli) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        if !self.is_json() {
            writeln!(self.out, "{text}")?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// A table for people.
    pub(in crate::cli) fn table(
        &mut self,
        heads: &[&str],
        rows: &[Vec<String>],
    ) -> anyhow::Result<()> {
        if !self.is_json() {
            table::print(self.out, heads, rows)?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// A member of the JSON object.
    pub(in crate::cli) fn set(&mut self, name: &str, value: impl Serialize) -> anyhow::Result<()> {
        let value = serde_json::to_value(value)?;
        self.members.insert(name.to_owned(), value);
        Ok(())
    }

    /// Whether something has failed so far.
    pub(in crate::cli) fn has_failed(&self) -> bool {
        verdict(&self.findings).0 == Mark::Fail
    }

    /// Whether output is JSON.
    pub(in crate::cli) fn is_json(&self) -> bool {
        self.json
    }

    /// Ends the report of a command; one that did not come to its end is told in JSON, too.
    pub(in crate::cli) fn close(mut self, done: anyhow::Result<()>) -> anyhow::Result<u8> {
        let Err(error) = done else {
            return self.end();
        };
        if !self.json {
            return Err(error);
        }
        let failure = error.downcast_ref::<Failure>();
        let exit = failure.map_or(WRONG, |failure| failure.exit);
        let told = Finding::new("command", Mark::Fail, format!("{error:#}"));
        self.findings.push(told);
        self.end()?;
        Ok(exit)
    }

    /// Ends the report; the exit code is that of the first failure.
    pub(in crate::cli) fn end(mut self) -> anyhow::Result<u8> {
        let (mark, exit) = verdict(&self.findings);
        if self.is_json() {
            self.members
                .insert("ok".to_owned(), (mark != Mark::Fail).into());
            let findings = serde_json::to_value(&self.findings)?;
            self.members.insert("findings".to_owned(), findings);
            serde_json::to_writer_pretty(&mut *self.out, &self.members)?;
            writeln!(self.out)?;
        }
        Ok(match exit {
            None if mark == Mark::Fail => WRONG,
            None => OK,
            // as everywhere in this program
            Some(Exit::Usage) => USAGE,
            Some(exit) => exit.code(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::failure;

    fn closed(json: bool, done: anyhow::Result<()>) -> (anyhow::Result<u8>, Vec<u8>) {
        let mut out = Vec::new();
        let code = Report::new(&mut out, json).close(done);
        (code, out)
    }

    #[test]
    fn a_no_ends_with_7() {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, false);
        report.cancelled("revoked", "nothing was changed").unwrap();
        assert_eq!(report.close(Ok(())).unwrap(), 7);
    }

    #[test]
    fn every_error_is_told_in_json() {
        let odd = || anyhow::anyhow!("no terminal").context("the prompt");
        for (error, exit, says) in [
            (failure(USAGE, "say which"), USAGE, "say which"),
            (odd(), WRONG, "the prompt: no terminal"),
        ] {
            let (code, out) = closed(true, Err(error));
            assert_eq!(code.unwrap(), exit);
            let told: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(told["ok"], false);
            assert_eq!(told["findings"][0]["says"], says);
        }
        let (code, out) = closed(false, Err(odd()));
        assert!(code.is_err() && out.is_empty());
    }
}
