//! `capigate completions` and `capigate man`: what shells and `man` know of the commands.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, OK};

/// What `capigate completions` takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// What `capigate man` takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Directory for the pages, made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints the completions of one shell.
pub(super) fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    // its writer must not fail
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "capigate", &mut text);
    out.write_all(&text)?;
    Ok(OK)
}

/// Writes a page for each command: `capigate.1`, `capigate-serve.1`, …
pub(super) fn man(args: &ManArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let dir = args.out.display();
    std::fs::create_dir_all(&args.out)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.out))
        .with_context(|| format!("the manual pages cannot be written to {dir}"))?;
    writeln!(
        out,
        "the manual pages are in {dir}: try `man -l {dir}/capigate.1`"
    )?;
    Ok(OK)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_knows_every_command() {
        let names: Vec<String> = (Cli::command().get_subcommands())
            .map(|command| command.get_name().to_owned())
            .collect();
        assert!(names.len() > 20, "{names:?}");
        for shell in Shell::value_variants() {
            let mut text = Vec::new();
            completions(&CompletionsArgs { shell: *shell }, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            for name in &names {
                assert!(text.contains(name.as_str()), "{shell}: {name}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let args = ManArgs {
            out: dir.path().join("man1"),
        };
        man(&args, &mut Vec::new()).unwrap();
        for command in Cli::command().get_subcommands() {
            let page = format!("capigate-{}.1", command.get_name());
            assert!(args.out.join(&page).is_file(), "{page}");
        }
        assert!(args.out.join("capigate-token-rotate.1").is_file());
    }
}
