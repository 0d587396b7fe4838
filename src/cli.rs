//! The command tree, one verb a file.

mod alert;
mod backup;
mod check;
mod client;
pub mod config;
mod dead;
mod demo;
mod explain;
mod go_live;
mod health;
mod holds;
pub mod journal;
mod lanes;
mod lint;
mod manual;
mod profile;
mod receipt;
mod records;
mod reload;
pub mod sandbox;
mod send;
mod serve;
mod table;
mod test_mode;
mod token;
mod usage;

pub use usage::complain;

use std::io::Write;
use std::time::Duration;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::app::sockets::Sockets;
use crate::time::Clock;

/// How long work beside the workers may take at the end.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Done.
pub const OK: u8 = 0;
/// What was asked about is not in order.
pub const WRONG: u8 = 1;
/// The configuration or the arguments are not usable (`EX_USAGE`).
pub const USAGE: u8 = 64;
/// The gateway failed (`EX_SOFTWARE`).
pub const FAILED: u8 = 70;

/// An open, self-hosted gateway for Meta's Conversions API.
#[derive(Debug, Parser)]
#[command(name = "capigate", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    ///
    /// It takes over what changes in its configuration files and secret files by itself; SIGHUP
    /// (kill -HUP, systemctl reload) makes it look at once. A configuration with a fault, or with
    /// another value of a key that needs a restart, is refused, and the old one stays: see the
    /// log. Environment variables stay as they were at the start. `capigate config reference`
    /// marks the keys that need a restart.
    ///
    /// SIGTERM and Ctrl-C stop it in order, a second one at once; no accepted event is lost. A
    /// listening socket that a service manager hands over (systemd's socket activation) is used
    /// in the place of listen.ingest, so that no connection is refused during a restart. It tells
    /// systemd when it is ready, reloads and stops (Type=notify).
    Serve(serve::ServeArgs),
    /// See the whole path of an event on this machine, with no Meta account.
    Demo(demo::DemoArgs),
    /// Run a simulator of Graph's events endpoint. It is not Meta.
    Sandbox(sandbox::SandboxArgs),
    /// Try out the channels that alerts are sent through.
    Alert(alert::AlertArgs),
    /// Copy the data directory and the vault, also beside a running gateway.
    ///
    /// The copy holds every event that waits, dead letters, receipts and the sealed vault, and none
    /// of the secrets that the configuration points to: keep the vault's key elsewhere. Events that
    /// are delivered after it go out again from a gateway that is restored from it, with the same
    /// event_id. Exit codes: 0 done, 1 it could not be taken, or a part of the journal is damaged,
    /// 64 the directory is there already, or there is no journal.
    Backup(backup::BackupArgs),
    /// Put a backup where the configuration has its data, for a gateway that is not running.
    ///
    /// It checks every file first, and writes only where nothing is.
    Restore(backup::RestoreArgs),
    /// Look at everything that sending depends on, and say what has to be done.
    Check(check::CheckArgs),
    /// Check, print or explain the configuration.
    Config(config::ConfigArgs),
    /// Look at events that were given up, send them again or delete them.
    Dead(dead::DeadArgs),
    /// Say what an error of Meta's means and what to do next.
    Explain(explain::ExplainArgs),
    /// Hold a pixel's traffic to what going live needs, and end its test mode.
    GoLive(go_live::GoLiveArgs),
    /// Ask whether a running gateway can take events. For health checks.
    ///
    /// Exit codes: 0 it can, 1 it cannot or none answers, 64 the configuration or the command is not
    /// usable, so nothing was asked. A health check takes every code but 0 for unhealthy.
    Health(health::HealthArgs),
    /// Print what a shell needs to complete commands and options.
    Completions(manual::CompletionsArgs),
    /// Write the manual pages.
    Man(manual::ManArgs),
    /// Show what is held or throttled, hold a pixel by hand, and release it.
    Holds(holds::HoldsArgs),
    /// Look into the journal's files.
    Journal(journal::JournalArgs),
    /// Show what the lanes of a running gateway do.
    Lanes(lanes::LanesArgs),
    /// Look at events before they are sent: what would be refused or changed, and what would go out.
    Lint(Box<lint::LintArgs>),
    /// Ask a running gateway what became of an event.
    Receipt(receipt::ReceiptArgs),
    /// Start, list and stop test event codes.
    TestMode(test_mode::TestModeArgs),
    /// Send the events of a file (JSON, NDJSON or CSV) to a running gateway.
    ///
    /// The file may be of any size. A run that is interrupted goes on where it stopped when the
    /// same command is given again. What each row came to is in FILE.results.csv. Exit codes: 0
    /// all were accepted, 1 some were not, 6 the gateway could not be reached for too long, 7
    /// stopped, 64 the command or the file's header is not understood.
    Send(Box<send::SendArgs>),
    /// Get, check, keep and replace access tokens.
    Token(token::TokenArgs),
    /// Make a running gateway take over a changed configuration.
    Reload(reload::ReloadArgs),
}

/// Runs one command and gives the exit code.
pub fn run(cli: Cli) -> u8 {
    no_core_dumps();
    let mut out = std::io::stdout().lock();
    let failed = match cli.command {
        Command::Serve(_) => FAILED,
        Command::Sandbox(_) => USAGE,
        _ => WRONG,
    };
    let result = match cli.command {
        // before there are threads: it changes the environment
        Command::Serve(args) => {
            Sockets::inherited().and_then(|sockets| on_runtime(serve::run(args, sockets)))
        }
        Command::Demo(args) => on_runtime(demo::run(args)),
        Command::Sandbox(args) => on_runtime(sandbox::run(args, &mut out)),
        Command::Alert(args) => on_runtime(alert::run(
            args,
            environment(),
            Clock::Real,
            &mut out,
            &mut std::io::stderr(),
        )),
        Command::Backup(args) => backup::run(&args, &mut out),
        Command::Restore(args) => backup::run_restore(&args, &mut out),
        Command::Health(args) => on_runtime(health::run(args, &mut out)),
        Command::Completions(args) => manual::completions(&args, &mut out),
        Command::Man(args) => manual::man(&args, &mut out),
        Command::Check(args) => on_runtime(check::run(args, &mut out)),
        Command::Config(args) => config::run(&args, environment(), &Clock::Real, &mut out),
        Command::Journal(args) => journal::run(&args, &mut out),
        Command::Dead(args) => on_runtime(dead::run(args, &mut out)),
        Command::Explain(args) => explain::run(&args, &mut out),
        Command::GoLive(args) => on_runtime(go_live::run(args, &mut out)),
        Command::Holds(args) => on_runtime(holds::run(args, &mut out)),
        Command::Lanes(args) => on_runtime(lanes::run(args, &mut out)),
        Command::Lint(args) => lint::run(&args, &mut out),
        Command::Receipt(args) => on_runtime(receipt::run(args, &mut out)),
        Command::TestMode(args) => on_runtime(test_mode::run(args, &mut out)),
        Command::Send(args) => on_runtime(send::run(*args, &mut out)),
        Command::Token(args) => on_runtime(token::run(args, &mut out)),
        Command::Reload(args) => on_runtime(reload::run(args, &mut out)),
    };
    result.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            // the reader has seen enough, as with `| head`
            return OK;
        }
        // nothing is left to tell when standard error is closed
        let _ = writeln!(std::io::stderr(), "capigate: {error:#}");
        let failure = error.downcast_ref::<client::Failure>();
        failure.map_or(failed, |failure| failure.exit)
    })
}

/// What is in memory must not come to lie in a file when the process dies. Where that cannot be
/// forbidden, it is as it was.
fn no_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
}

/// The variables that are Unicode; `std::env::vars` would panic at the first that is not, and show
/// what is in it.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Prints one value for other programs.
fn print_json(out: &mut dyn Write, value: &serde_json::Value) -> anyhow::Result<u8> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(OK)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn on_runtime(job: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(job);
    // a read of a file that never ends must not keep the process
    runtime.shutdown_timeout(LAST_WAIT);
    code
}
