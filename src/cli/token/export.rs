//! `capigate token export-env`: a token in clear, for a program that takes it from its environment.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use super::ask;
use super::desk::{Common, Desk};
use super::say::Report;
use super::which::Which;
use crate::cli::client::failure;
use crate::cli::{USAGE, WRONG};
use crate::custody::ladder::{Finding, Mark};
use crate::private_file;
use crate::secret::Secret;

/// Characters of the name of a variable.
const MAX_VARIABLE: usize = 100;

#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: Which,
    /// The variable, such as CAPIGATE_TOKEN
    #[arg(long, value_name = "NAME")]
    var: String,
    /// The file that is made, readable by its owner alone; there must be none yet
    #[arg(long, value_name = "FILE", required_unless_present = "reveal")]
    out: Option<PathBuf>,
    /// Print it here, in clear
    #[arg(long, conflicts_with_all = ["out", "json"])]
    reveal: bool,
    /// Do not ask
    #[arg(long, requires = "reveal")]
    yes: bool,
}

pub(super) fn run(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = export(args, &mut report);
    report.close(done)
}

fn export(args: &ExportArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    if !is_variable(&args.var) {
        return Err(failure(
            USAGE,
            "--var: the name of a variable, letters, digits and _, the first no digit, such as CAPIGATE_TOKEN",
        ));
    }
    let desk = Desk::open(&args.common)?;
    let kept = args.which.find(&desk, &desk.contents()?)?;
    let line = line(&args.var, &kept.secret)?;
    let Some(path) = &args.out else {
        let question = format!(
            "This shows {} in clear, also to whoever can read this screen or its log. Show it?",
            kept.label
        );
        if !ask::yes(&question, args.yes)? {
            return report.cancelled("exported", "it was not shown");
        }
        return report.say(&line);
    };
    let text = Zeroizing::new(format!("{}\n", *line));
    private_file::create(path, text.as_bytes())
        .map_err(|error| failure(WRONG, format!("the file {} {error}", path.display())))?;
    let path = path.display().to_string();
    report.set("name", &kept.label)?;
    report.set("variable", &args.var)?;
    report.set("file", &path)?;
    let says = format!(
        "wrote {} in clear to {path}, readable by its owner alone",
        kept.label
    );
    report.tell(
        Finding::new("exported", Mark::Warn, says)
            .next("a token in a file of its own, { file = … }, or in the vault is safer than a variable, which every child process inherits"),
    )
}

fn is_variable(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=MAX_VARIABLE).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// `NAME='…'`, as a shell and systemd's EnvironmentFile read it.
fn line(variable: &str, token: &Secret) -> anyhow::Result<Zeroizing<String>> {
    let value = token.expose();
    if value.contains(['\'', '\\']) {
        return Err(failure(
            WRONG,
            "this token has a quotation mark or backslash in it, which shells and systemd read differently: use { file = … }",
        ));
    }
    Ok(Zeroizing::new(format!("{variable}='{value}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_name_and_a_plain_value() {
        for good in ["A", "_a1", "CAPIGATE_TOKEN"] {
            assert!(is_variable(good), "{good}");
        }
        for bad in ["", "1A", "A-B", "A=1", "A B", "Ä"] {
            assert!(!is_variable(bad), "{bad}");
        }
        let of = |value: &str| line("A", &Secret::new(value.to_owned()));
        assert_eq!(of("EAA1").unwrap().as_str(), "A='EAA1'");
        assert!(of("EAA'1").is_err() && of("EAA\\1").is_err());
    }
}
