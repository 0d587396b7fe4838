//! Test event codes: those of sources, those that were started at run time, and who may bring one.

use super::{Checks, Whole};
use crate::app::production::open_sources;
use crate::cli::token::look::moment;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::Exit;
use crate::test_mode;

impl Whole {
    /// Looks at what the pixels' own sections do not say.
    pub(super) fn test_codes(&self, checks: &mut Checks<'_, '_>) -> anyhow::Result<()> {
        checks.about("test mode")?;
        let config = &self.desk.config;
        let now = self.desk.clock.now();
        let mut findings: Vec<Finding> = Vec::new();
        for (name, source) in &config.sources {
            if source.test_event_code.is_some() {
                let says = format!("sources.{name}.test_event_code is set");
                let next = format!("take it out of [sources.{name}] before you go live");
                findings.push(self.test_code(&says, next));
            }
        }
        let path = test_mode::path(&config.journal.dir);
        match test_mode::started(&config.journal.dir, now) {
            Ok(started) => findings.extend(started.into_iter().map(|(pixel, code)| {
                let until = code.until.map(moment).unwrap_or_default();
                let until = until.as_str().unwrap_or("some time").to_owned();
                let says = format!(
                    "{} was started for pixel {pixel} at run time, until {until}",
                    code.code
                );
                let next = format!("stop it with `capigate test-mode stop {pixel}`");
                self.test_code(&says, next)
            })),
            Err(error) => {
                let says = format!("{}: {error}", path.display());
                let next =
                    "run this as the gateway's user to look at codes that were started at run time";
                findings.push(Finding::new("test_event_code", Mark::Skipped, says).next(next));
            }
        }
        for key in open_sources(config) {
            let mark = if self.is_production {
                Mark::Warn
            } else {
                Mark::Skipped
            };
            let says = format!("{key}: its requests may bring a test event code");
            let finding = Finding::new("allow_test_event_code", mark, says);
            findings.push(finding.next("set it to false before you go live"));
        }
        if findings.is_empty() {
            let says =
                "no test event code is held but those of pixels, and no source may bring one";
            findings.push(Finding::new("test_event_code", Mark::Pass, says));
        }
        checks.tell_all(findings)
    }

    /// A code that is set somewhere.
    pub(super) fn test_code(&self, what: &str, next: String) -> Finding {
        let mark = if self.is_production {
            Mark::Fail
        } else {
            Mark::Warn
        };
        let says =
            format!("{what}: events show under Test events, and count as real ones all the same");
        let finding = Finding::new("test_event_code", mark, says);
        finding.next(next).exit(Exit::Usage)
    }
}
