//! `capigate token init`: makes the key that the vault is sealed with.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::desk::refused;
use super::say::Report;
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::private_file::FileError;
use crate::tokens::{Vault, VaultError};

#[derive(Args, Debug)]
pub(super) struct InitArgs {
    /// Where the key goes; there must be no file yet. Keep it on another disk, or at least in
    /// another backup, than the vault
    #[arg(long, value_name = "PATH", default_value = "./vault.key")]
    key_file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &InitArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.json);
    let done = init(args, &mut report);
    report.close(done)
}

fn init(args: &InitArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let made = Vault::make_key(&args.key_file);
    made.map_err(|error| match error {
        VaultError::File {
            path,
            error: error @ FileError::Exists,
        } => failure(
            USAGE,
            format!("the key {} {error} with --key-file", path.display()),
        ),
        error => refused(error),
    })?;
    let path = std::path::absolute(&args.key_file).unwrap_or_else(|_| args.key_file.clone());
    report.set("key_file", &path)?;
    report.done(
        "key",
        format!(
            "made a key in {}, readable by its owner alone",
            path.display()
        ),
    )?;
    report.say(&lines(&path))
}

/// What to put into the configuration.
fn lines(path: &Path) -> String {
    format!(
        "\nPut this into the configuration:\n\n    [tokens]\n    vault = \"data/tokens.vault\"\n    vault_key = {{ file = \"{}\" }}\n\nthen run `capigate token add --config FILE --pixel ID`. Whoever has the key and the vault has the tokens; whoever\nloses the key makes new tokens.",
        path.display()
    )
}
