//! `capigate backup` and `capigate restore`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::config::ConfigFiles;
use super::{OK, USAGE, WRONG, client, print_json};
use crate::backup::{BackupError, Manifest, Places, restore, take};
use crate::config::Config;
use crate::text::counted;
use crate::time::Clock;

/// What `capigate backup` takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// Directory to make; it must not be there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `capigate restore` takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// Directory that `capigate backup` made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Leave the vault out, and keep the one that may be there
    #[arg(long)]
    without_vault: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `capigate backup`; returns the exit code.
pub(super) fn run(args: &BackupArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let places = places(&args.config)?;
    let manifest = take(&places, &args.out, &Clock::Real).map_err(|error| refused(&error))?;
    let code = if manifest.damaged { WRONG } else { OK };
    if args.json {
        print_json(out, &summary(&manifest))?;
        return Ok(code);
    }
    let (journal, to) = (places.journal.display(), args.out.display());
    writeln!(out, "a backup of {journal} is in {to}")?;
    tell(&manifest, out)?;
    if manifest.damaged {
        writeln!(
            out,
            "a part of the journal cannot be read: `capigate journal check --dir {journal}` says which; what can be read is in the backup"
        )?;
    }
    Ok(code)
}

/// Runs `capigate restore`; returns the exit code.
pub(super) fn run_restore(args: &RestoreArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut places = places(&args.config)?;
    if args.without_vault {
        places.vault = None;
    }
    let manifest = restore(&args.from, &places).map_err(|error| refused(&error))?;
    if args.json {
        return print_json(out, &summary(&manifest));
    }
    let at = manifest.taken_at.to_rfc3339();
    let journal = places.journal.display();
    writeln!(out, "the backup of {at} is restored to {journal}")?;
    tell(&manifest, out)?;
    writeln!(
        out,
        "start the gateway with `capigate serve`: what was delivered after the backup goes out again, with the same event_id"
    )?;
    Ok(OK)
}

/// Where the configuration has its data; its secrets are not read.
fn places(files: &ConfigFiles) -> anyhow::Result<Places> {
    let loaded = Config::load(&files.files, super::environment());
    let config = loaded.map_err(|faults| {
        client::failure(USAGE, format!("the configuration has faults:\n{faults}"))
    })?;
    let secrets = config.secret_files();
    Ok(Places {
        secrets: secrets.into_iter().map(ToOwned::to_owned).collect(),
        vault: Some(config.tokens.vault.clone()),
        journal: config.journal.dir,
    })
}

fn refused(error: &BackupError) -> anyhow::Error {
    let exit = match error {
        BackupError::Taken(_)
        | BackupError::Within(_)
        | BackupError::NoJournal(_)
        | BackupError::NoBackup(_) => USAGE,
        _ => WRONG,
    };
    client::failure(exit, error.to_string())
}

fn summary(manifest: &Manifest) -> serde_json::Value {
    json!({
        "taken_at": manifest.taken_at,
        "format": manifest.format,
        "program": manifest.program,
        "events": manifest.events(),
        "waiting": manifest.waiting,
        "dead_letters": manifest.dead_letters,
        "vault": manifest.vault,
        "damaged": manifest.damaged,
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
    })
}

fn tell(manifest: &Manifest, out: &mut dyn Write) -> anyhow::Result<()> {
    let (events, dead) = (manifest.events(), manifest.dead_letters);
    writeln!(
        out,
        "it holds {} of {}, and {}, in {}",
        counted(events, "waiting event"),
        counted(manifest.waiting.len() as u64, "pixel"),
        counted(dead, "dead letter"),
        counted(manifest.files.len() as u64, "file"),
    )?;
    let vault = if manifest.vault {
        "the vault is in it, and its key is not: keep that elsewhere"
    } else {
        "no vault is in it"
    };
    writeln!(out, "{vault}")?;
    Ok(())
}
