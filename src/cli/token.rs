//! `capigate token`: from nothing to a verified, sealed token, and on to its successor.
//!
//! Exit codes: 0 done, 1 what was asked for is not there, 3 the token is invalid or has ended, 4 a
//! permission or an asset is missing, 5 app id or secret are wrong, 6 the network or Meta for a
//! while, 7 cancelled or too late, 64 configuration or arguments.

pub(super) mod ask;
pub(super) mod desk;
mod guide;
mod init;
mod login;
pub(super) mod look;
pub(super) mod obtained;
pub(super) mod say;

use std::io::Write;

use clap::{Args, Subcommand};

/// Get, check, keep and replace access tokens.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the key of the vault, once.
    Init(init::InitArgs),
    /// Walk through Meta's pages, step by step.
    Guide(guide::GuideArgs),
    /// Log in through the browser and keep the token that comes of it.
    Login(login::LoginArgs),
}

/// Runs `capigate token`; returns the exit code.
pub(super) async fn run(args: TokenArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Init(args) => init::run(&args, out),
        Verb::Guide(args) => guide::run(&args, out),
        Verb::Login(args) => login::run(&args, out).await,
    }
}
