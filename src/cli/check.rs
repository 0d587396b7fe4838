//! `capigate check`: looks at everything that sending depends on, and says what has to be done.
//!
//! As JSON it is also what to hand to whoever helps: versions, findings, Meta's trace ids, and no
//! secret. What cannot be told is no failure: a token from the Events Manager often may not read
//! what it may send to, and a variable of a service is not set in a person's shell.
//!
//! Exit codes: 0 nothing has to be done, else that of the first failure: 3 a token, 4 a permission
//! or an asset, 5 an app's credentials or the clock, 6 the network or Meta, 64 the configuration.

mod machine;
mod meta;
mod pixels;
mod test_codes;

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::profile::ProfileArg;
use super::token::desk::{Common, Desk, vault};
use super::token::look::moment;
use super::token::say::Report;
use crate::config::Config;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::Exit;
use crate::time::Clock;
use crate::tokens::Contents;

/// Look at everything that sending depends on, and say what has to be done.
///
/// Sends no event and changes nothing. With --json it is a report to hand to someone else: no
/// secret is in it.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    common: Common,
    /// Hold it to what production needs: no test code, for one
    #[arg(long, value_enum, default_value_t)]
    profile: ProfileArg,
    /// Ask nobody: look at what is on this machine
    #[arg(long)]
    offline: bool,
}

/// A report in the making, subject by subject.
struct Checks<'r, 'o> {
    report: &'r mut Report<'o>,
    subject: String,
    counts: [usize; 4],
}

impl Checks<'_, '_> {
    /// What comes is about this.
    fn about(&mut self, subject: impl Into<String>) -> anyhow::Result<()> {
        self.subject = subject.into();
        self.report.say(&format!("\n{}", self.subject))
    }

    fn tell(&mut self, mut finding: Finding) -> anyhow::Result<()> {
        self.counts[finding.mark as usize] += 1;
        finding.subject = Some(self.subject.clone());
        self.report.tell(finding)
    }

    fn tell_all(&mut self, findings: impl IntoIterator<Item = Finding>) -> anyhow::Result<()> {
        findings
            .into_iter()
            .try_for_each(|finding| self.tell(finding))
    }

    /// Sums it all up.
    fn end(self) -> anyhow::Result<()> {
        let [pass, skipped, warn, fail] = self.counts;
        let sums = json!({ "pass": pass, "skipped": skipped, "warn": warn, "fail": fail });
        self.report.set("summary", sums)?;
        let rest = match (fail, warn) {
            (0, 0) => "nothing has to be done".to_owned(),
            (0, _) => "nothing has to be done now".to_owned(),
            _ => "what is marked ✗ has to be done".to_owned(),
        };
        let all = pass + skipped + warn + fail;
        self.report.say(&format!(
            "\n{all} checks: {pass} fine, {skipped} not told, {warn} to know, {fail} failed; {rest}."
        ))
    }
}

pub(super) async fn run(args: CheckArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = check(&args, &mut report).await;
    report.close(done)
}

async fn check(args: &CheckArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let mut checks = Checks {
        report,
        subject: String::new(),
        counts: [0; 4],
    };
    head(args, checks.report)?;
    checks.about("configuration")?;
    let loaded = Config::load(&args.common.config.files, super::environment());
    let config = match loaded {
        Ok(config) => config,
        Err(errors) => {
            let faults = errors.faults.iter().map(|fault| {
                Finding::new("config", Mark::Fail, fault.to_string()).exit(Exit::Usage)
            });
            checks.tell_all(faults)?;
            let says = "the rest is not looked at before these are put right";
            checks.tell(Finding::new("rest", Mark::Skipped, says))?;
            return checks.end();
        }
    };
    let version = config.graph.version.to_string();
    checks.report.set("graph_version", version)?;
    checks.report.set("graph_url", config.graph.url.as_str())?;
    checks.tell_all(machine::configuration(&config, Clock::Real.now()))?;
    checks.about("files")?;
    checks.tell_all(machine::files(&config))?;
    checks.about("vault")?;
    let (opened, broken) = match vault(&config) {
        Ok(vault) => (vault, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let (contents, broken) = match opened.as_ref().map(crate::tokens::Vault::read) {
        Some(Ok(contents)) => (contents, broken),
        Some(Err(error)) => (Contents::default(), Some(error.to_string())),
        None => (Contents::default(), broken),
    };
    checks.tell_all(machine::vault(&config, &contents, broken.as_deref()))?;
    if let Some(vault) = opened.as_ref().filter(|_| broken.is_none()) {
        checks.tell_all(machine::unwritable(vault))?;
    }
    let whole = Whole {
        is_production: args.profile == ProfileArg::Production,
        is_offline: args.offline,
        is_vault_broken: broken.is_some(),
        desk: Desk::with(config, opened.filter(|_| broken.is_none()))?,
        contents,
    };
    whole.meta(&mut checks).await?;
    whole.pixels(&mut checks).await?;
    whole.test_codes(&mut checks)?;
    checks.about("alerts")?;
    checks.tell_all(machine::alerts(&whole.desk.config))?;
    checks.end()
}

/// Everything that is looked at.
struct Whole {
    desk: Desk,
    contents: Contents,
    is_production: bool,
    is_offline: bool,
    /// There is a vault, and nobody knows what is in it.
    is_vault_broken: bool,
}

/// Which program, where and when.
fn head(args: &CheckArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let system = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    report.set("capigate", version)?;
    report.set("system", &system)?;
    report.set("at", moment(Clock::Real.now()))?;
    report.set("offline", args.offline)?;
    report.set("production", args.profile == ProfileArg::Production)?;
    report.set("config_files", &args.common.config.files)?;
    report.say(&format!("capigate {version} on {system}"))
}
